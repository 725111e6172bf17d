"""Folders of l2logger (formats 1.0 and 1.1): text files only, nothing is unpickled."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from separatrix.continual.lifetime_log import COLUMNS, LifetimeLog, LogError

__all__ = ["read_experts", "read_l2logger", "write_l2logger"]

VERSIONS = ("1.0", "1.1")  # the older one has no sleep
TEXT = ("timestamp", "task_name", "task_params", "worker_id")


def read_l2logger(folder: str | Path) -> LifetimeLog:
    """Read a scenario: `logger_info.json`, `scenario_info.json` and every `<worker>/<block>/data-log.tsv`.

    Args:
        folder: of the scenario.

    Returns:
        The log, its rows in the order of `exp_num`. Names of tasks are put into lower case, as l2logger's own reader
        does; what `scenario_info.json` says is kept as it is.

    Raises:
        FileNotFoundError: if the folder or one of its parts is missing.
        LogError: if a file is damaged or of another version, or a row is not allowed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    info = _json(folder / "logger_info.json")
    version, metrics = info.get("log_format_version"), info.get("metrics_columns")
    if version not in VERSIONS:
        raise LogError(
            f"{folder / 'logger_info.json'} has log_format_version {version!r}; this reads {' and '.join(VERSIONS)}."
        )
    if not isinstance(metrics, list) or not metrics or not all(isinstance(name, str) for name in metrics):
        raise LogError(f"{folder / 'logger_info.json'} must name `metrics_columns` in a list of text; got {metrics!r}.")
    scenario = _json(folder / "scenario_info.json") if (folder / "scenario_info.json").exists() else {}
    files = sorted(folder.glob("*/*/data-log.tsv"))
    if not files:
        raise FileNotFoundError(f"no <worker>/<block>/data-log.tsv in {folder}.")
    table = pd.concat([_rows(path) for path in files], ignore_index=True)
    if "task_name" in table:
        table["task_name"] = table["task_name"].str.lower()
    if "exp_num" in table:
        table = table.sort_values("exp_num", kind="stable")
    return LifetimeLog(table, tuple(metrics), {k: str(v) for k, v in scenario.items()})


def read_experts(
    folders: Iterable[str | Path], metric: str | None = None, *, with_variants: bool = True
) -> dict[str, list[np.ndarray]]:
    """Read scenarios of single-task experts, which `lifelong_metrics` compares a lifetime with.

    Args:
        folders: one for each expert, such as `Path("ste_logs").iterdir()`; a task may have several.
        metric: column of performance; the first by default.
        with_variants: treat variants of a label as tasks of their own, as in `preprocess`.

    Returns:
        Training curves by task; blocks of evaluation are left out.

    Raises:
        FileNotFoundError: if a folder or one of its parts is missing.
        LogError: as `read_l2logger`, or if an expert has learnt no task, or more than one.

    Examples:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     LifetimeLog.from_blocks([("train", "a", [0.2, 0.9])]).write(f"{folder}/ste-a")
        ...     experts = read_experts([f"{folder}/ste-a"])
        >>> {task: [curve.tolist() for curve in curves] for task, curves in experts.items()}
        {'a': [[0.2, 0.9]]}
    """
    experts: dict[str, list[np.ndarray]] = {}
    for folder in sorted(map(Path, folders)):
        learnt = [r for r in read_l2logger(folder).regimes(metric, with_variants=with_variants) if r.is_training]
        tasks = list(dict.fromkeys(r.task for r in learnt))
        if len(tasks) != 1:
            raise LogError(
                f"{folder} must have learnt one task, as a single-task expert; got {', '.join(tasks) or 'none'}."
            )
        experts.setdefault(tasks[0], []).append(np.concatenate([r.values for r in learnt]))
    return experts


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no {path.name} in {path.parent}.") from None
    except ValueError as error:
        raise LogError(f"{path} is no JSON: {error}.") from None
    if not isinstance(content, dict):
        raise LogError(f"{path} must hold a JSON object; got a {type(content).__name__}.")
    return content


def _rows(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep="\t", dtype=dict.fromkeys(TEXT, str))
    except (ValueError, pd.errors.ParserError) as error:
        raise LogError(f"{path} is no table of tab-separated values: {error}.") from None


def write_l2logger(log: LifetimeLog, folder: str | Path) -> None:
    """Write a scenario that l2logger and l2metrics read.

    Args:
        log: the lifetime.
        folder: of the scenario; made if need be, and must hold no log yet.

    Raises:
        ValueError: if the folder holds a log already.
    """
    folder = Path(folder)
    if (folder / "logger_info.json").exists():
        raise ValueError(f"{folder} holds a log already; give another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    info = {"metrics_columns": list(log.metrics_columns), "log_format_version": VERSIONS[-1]}
    scenario = {"complexity": "1-low", "difficulty": "1-easy", "scenario_type": "custom", **log.scenario_info}
    (folder / "scenario_info.json").write_text(json.dumps(scenario), encoding="utf-8")
    columns = [*COLUMNS, *log.metrics_columns]
    for where, rows in log.table.groupby(["worker_id", "block_num", "block_type"]):
        worker, block, kind = cast("tuple[Any, ...]", where)
        path = folder / str(worker) / f"{block}-{kind}" / "data-log.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows[columns].to_csv(path, sep="\t", index=False)
    (folder / "logger_info.json").write_text(json.dumps(info), encoding="utf-8")
