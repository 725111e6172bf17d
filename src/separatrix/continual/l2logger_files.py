"""Folders of l2logger (format 1.1): text files only, nothing is unpickled."""

import json
from pathlib import Path
from typing import Any, cast

import pandas as pd

from separatrix.continual.lifetime_log import COLUMNS, LifetimeLog, LogError

__all__ = ["read_l2logger", "write_l2logger"]

VERSION = "1.1"
SCENARIO_TYPES = ("condensed", "dispersed", "permuted", "alternating", "ste", "custom")
SCENARIO = {
    "complexity": ("1-low", "2-intermediate", "3-high"),
    "difficulty": ("1-easy", "2-medium", "3-hard"),
    "scenario_type": SCENARIO_TYPES,
}


def read_l2logger(folder: str | Path) -> LifetimeLog:
    """Read a scenario: `logger_info.json`, `scenario_info.json` and every `<worker>/<block>/data-log.tsv`.

    Args:
        folder: of the scenario.

    Returns:
        The log, its rows in the order of `exp_num`.

    Raises:
        FileNotFoundError: if the folder or one of its parts is missing.
        LogError: if a file is damaged or of another version, or a row is not allowed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}.")
    info = _json(folder / "logger_info.json")
    version, metrics = info.get("log_format_version"), info.get("metrics_columns")
    if version != VERSION:
        raise LogError(f"{folder / 'logger_info.json'} has log_format_version {version!r}; this reads {VERSION!r}.")
    if not isinstance(metrics, list) or not metrics or not all(isinstance(name, str) for name in metrics):
        raise LogError(f"{folder / 'logger_info.json'} must name `metrics_columns` in a list of text; got {metrics!r}.")
    scenario = _json(folder / "scenario_info.json") if (folder / "scenario_info.json").exists() else {}
    for name, allowed in SCENARIO.items():
        if name in scenario and scenario[name] not in allowed:
            raise LogError(f"scenario_info.json: {name} must be one of {', '.join(allowed)}; got {scenario[name]!r}.")
    files = sorted(folder.glob("*/*/data-log.tsv"))
    if not files:
        raise FileNotFoundError(f"no <worker>/<block>/data-log.tsv in {folder}.")
    table = pd.concat([_rows(path) for path in files], ignore_index=True)
    if "exp_num" in table:
        table = table.sort_values("exp_num", kind="stable")
    return LifetimeLog(table, tuple(metrics), {k: str(v) for k, v in scenario.items()})


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
        return pd.read_csv(path, sep="\t", dtype={"timestamp": str, "task_params": str, "worker_id": str})
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
    info = {"metrics_columns": list(log.metrics_columns), "log_format_version": VERSION}
    scenario = {"complexity": "1-low", "difficulty": "1-easy", "scenario_type": "custom", **log.scenario_info}
    (folder / "scenario_info.json").write_text(json.dumps(scenario), encoding="utf-8")
    columns = [*COLUMNS, *log.metrics_columns]
    for where, rows in log.table.groupby(["worker_id", "block_num", "block_type"]):
        worker, block, kind = cast("tuple[Any, ...]", where)
        path = folder / str(worker) / f"{block}-{kind}" / "data-log.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows[columns].to_csv(path, sep="\t", index=False)
    (folder / "logger_info.json").write_text(json.dumps(info), encoding="utf-8")
