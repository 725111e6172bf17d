"""The log of a learning lifetime: a validated table with one experience in a row, and its regimes."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

__all__ = ["LifetimeLog", "LogError", "Regime", "validate_log"]

COLUMNS = (
    "block_num",
    "block_type",
    "block_subtype",
    "worker_id",
    "exp_num",
    "task_name",
    "task_params",
    "exp_status",
    "timestamp",
)
DEFAULTS = {"block_subtype": "wake", "worker_id": "worker-0", "task_params": "{}", "exp_status": "complete"}
CHOICES = {
    "block_type": ("train", "test"),
    "block_subtype": ("wake", "sleep"),
    "exp_status": ("complete", "incomplete"),
}
STAMP = "%Y%m%dT%H%M%S.%f"


class LogError(ValueError):
    """A log does not follow the format; the message names the row and the column."""


class Regime(NamedTuple):
    """A maximal run of experiences with the same block and task.

    Attributes:
        number: counts from 0.
        block_num: of its block.
        is_training: whether it is learning, or testing.
        subtype: `wake` or `sleep`.
        task: name of the task.
        values: performance of each experience that is complete and not NaN.
    """

    number: int
    block_num: int
    is_training: bool
    subtype: str
    task: str
    values: np.ndarray


def validate_log(table: pd.DataFrame, metrics_columns: Sequence[str]) -> pd.DataFrame:
    """Check a table of experiences and fill in what may be left out.

    Args:
        table: with the columns `block_num`, `block_type`, `exp_num`, `task_name` and the metrics; `block_subtype`,
            `worker_id`, `task_params`, `exp_status` and `timestamp` may be missing.
        metrics_columns: names of the columns of performance, at least one.

    Returns:
        A copy with all columns, their types set.

    Raises:
        LogError: if a column is missing, a number does not increase as it must, or a value is not allowed.

    Examples:
        >>> validate_log(pd.DataFrame({"block_num": [0], "block_type": ["exam"]}), ["accuracy"])
        Traceback (most recent call last):
        ...
        separatrix.continual.lifetime_log.LogError: the log has no column 'exp_num'.
    """
    table = table.reset_index(drop=True).copy()
    column: Any = table.__getitem__  # pandas' own annotations are too wide to be checked
    numeric: Any = pd.to_numeric
    if not metrics_columns:
        raise LogError("the log names no performance column; put at least one into `metrics_columns`.")
    for name in ("block_num", "block_type", "exp_num", "task_name", *metrics_columns):
        if name not in table:
            raise LogError(f"the log has no column {name!r}.")
    for name, value in DEFAULTS.items():
        table[name] = value if name not in table else table[name].fillna(value)
    if "timestamp" not in table:
        table["timestamp"] = datetime.datetime(2000, 1, 1).strftime(STAMP)
    for name in ("block_num", "exp_num"):
        numbers = numeric(column(name), errors="coerce")
        _refuse(table, name, numbers.isna() | (numbers < 0) | (numbers % 1 != 0), "a whole number, at least 0")
        table[name] = numbers.astype(np.int64)
        _refuse(table, name, column(name).diff() < 0, "no smaller than in the row before")
    for name, allowed in CHOICES.items():
        _refuse(table, name, ~column(name).isin(allowed), f"one of {', '.join(allowed)}")
    names = column("task_name")
    text: Any = names.map(lambda v: isinstance(v, str) and bool(v) and v == v.lower())
    _refuse(table, "task_name", ~text.astype(bool), "text in lower case")
    _refuse(table, "task_params", ~column("task_params").map(_is_json).astype(bool), "JSON")
    _refuse(table, "timestamp", ~column("timestamp").map(_is_stamp).astype(bool), f"a time such as {STAMP}")
    for name in metrics_columns:
        numbers = numeric(column(name), errors="coerce")
        _refuse(table, name, numbers.isna() & column(name).notna(), "a number")
        table[name] = numbers.astype(float)
    per_block: Any = table.groupby("block_num")["block_type"].nunique()
    if (per_block > 1).any():
        both = per_block.index[per_block > 1][0]
        raise LogError(f"block {both} is both train and test; give each a block of its own.")
    return table


def _refuse(table: pd.DataFrame, name: str, bad: Any, what: str) -> None:
    if bad.any():
        row = int(np.argmax(bad.to_numpy()))
        raise LogError(f"row {row}: {name} must be {what}; got {table[name].iloc[row]!r}.")


def _is_json(value: Any) -> bool:
    try:
        json.loads(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_stamp(value: Any) -> bool:
    try:
        datetime.datetime.strptime(value, STAMP)
    except (TypeError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class LifetimeLog:
    """One lifetime: experiences in blocks of learning and of evaluation, over several tasks.

    Attributes:
        table: one experience in a row; validated on construction.
        metrics_columns: names of the columns of performance.
        scenario_info: complexity, difficulty, type of the scenario and the like.

    Examples:
        >>> log = LifetimeLog.from_blocks([("test", "a", [0.1]), ("train", "a", [0.2, 0.6]), ("test", "a", [0.7])])
        >>> [(r.number, r.is_training, r.values.tolist()) for r in log.regimes()]
        [(0, False, [0.1]), (1, True, [0.2, 0.6]), (2, False, [0.7])]
    """

    table: pd.DataFrame
    metrics_columns: tuple[str, ...]
    scenario_info: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        object.__setattr__(self, "metrics_columns", tuple(self.metrics_columns))
        object.__setattr__(self, "table", validate_log(self.table, self.metrics_columns))

    def regimes(self, metric: str | None = None, *, with_variants: bool = True) -> list[Regime]:
        """Return the regimes in order.

        If any block is sleep, test blocks that are wake are left out of the evaluation, and so of this list.

        Args:
            metric: column of performance; the first by default.
            with_variants: keep the variant in `label_variant`; otherwise all variants of a label are one task.

        Returns:
            Regimes, numbered among all of the log; those without a complete experience are left out.

        Raises:
            LogError: if there is no such column.
        """
        name = self.metrics_columns[0] if metric is None else metric
        if name not in self.metrics_columns:
            raise LogError(f"the log has no performance {name!r}; it has {', '.join(self.metrics_columns)}.")
        table: Any = self.table
        tasks = table["task_name"] if with_variants else table["task_name"].str.split("_").str[0]
        keys = pd.concat([table[["block_num", "block_type", "block_subtype"]], tasks], axis=1)
        number = (keys != keys.shift()).any(axis=1).cumsum() - 1
        asleep = (table["block_subtype"] == "sleep").any()
        counts = (table["exp_status"] == "complete") & table[name].notna()
        found = []
        for i, rows in table.groupby(number.to_numpy()):
            first = rows.iloc[0]
            is_training = first["block_type"] == "train"
            if asleep and not is_training and first["block_subtype"] == "wake":
                continue
            values = rows.loc[counts[rows.index], name].to_numpy(float)
            if len(values):
                task = tasks[rows.index[0]]
                found.append(
                    Regime(int(i), int(first["block_num"]), is_training, str(first["block_subtype"]), task, values)  # pyright: ignore[reportArgumentType]
                )
        return found

    @classmethod
    def from_blocks(
        cls, blocks: Sequence[tuple[str, str, ArrayLike]], metric: str = "performance", **info: str
    ) -> "LifetimeLog":
        """Make a log from stretches of experiences.

        Consecutive tests belong to one block; every stretch of learning is a block of its own.

        Args:
            blocks: `("train" or "test", task, performance of each experience)` in order.
            metric: name of the column.
            info: of the scenario.

        Returns:
            The log.

        Raises:
            LogError: if there is no block, or a name is not allowed.
        """
        if not blocks:
            raise LogError("a log needs at least one block.")
        parts, number = [], -1
        for i, (kind, task, values) in enumerate(blocks):
            if i == 0 or kind == "train" or blocks[i - 1][0] == "train":
                number += 1
            parts.append(
                pd.DataFrame({"block_num": number, "block_type": kind, "task_name": task, metric: np.ravel(values)})
            )
        table = pd.concat(parts, ignore_index=True)
        table["exp_num"] = np.arange(len(table))
        return cls(table, (metric,), dict(info))

    @classmethod
    def from_trace(
        cls,
        evaluations: ArrayLike,
        boundaries: Sequence[int],
        *,
        order: Sequence[int] | None = None,
        training: ArrayLike | None = None,
        steps: ArrayLike | None = None,
        names: Sequence[str] | None = None,
        metric: str = "performance",
    ) -> "LifetimeLog":
        """Make a log from what a compiled run recorded: an evaluation block at every boundary, learning in between.

        Args:
            evaluations: `A[step, task]` of one lifetime, on all tasks, also those that are not seen yet.
            boundaries: completed updates at the start and end of each learning block.
            order: task of each learning block; 0, 1, ... by default.
            training: performance of each update, e.g. the accuracy on its batch before it; by default the evaluation
                on the block's task after each update.
            steps: completed updates at each evaluation; 0, 1, ... by default.
            names: of the tasks; `task0`, ... by default.
            metric: name of the column.

        Returns:
            The log.

        Raises:
            LogError: if there is no evaluation at a boundary, or the lengths do not fit.
        """
        values = np.asarray(evaluations, float)
        at = np.arange(len(values)) if steps is None else np.asarray(steps)
        tasks = list(range(len(boundaries) - 1)) if order is None else [int(t) for t in order]
        if values.ndim != 2 or len(at) != len(values) or len(tasks) != len(boundaries) - 1:
            raise LogError(
                f"a trace of one lifetime has axes (step, task), a step for each evaluation and a task for each block; "
                f"got shape {values.shape}, {len(at)} steps, {len(tasks)} tasks and {len(boundaries)} boundaries."
            )
        missing = [b for b in boundaries if b not in at]
        if missing:
            raise LogError(f"the trace has no evaluation at step {missing[0]}, a boundary.")
        labels = [f"task{t}" for t in range(values.shape[1])] if names is None else [str(n).lower() for n in names]
        row = {int(n): i for i, n in enumerate(at)}
        blocks: list[tuple[str, str, ArrayLike]] = []
        for block, begin in enumerate(boundaries):
            blocks += [("test", label, [values[row[begin], t]]) for t, label in enumerate(labels)]
            if block < len(tasks):
                end = boundaries[block + 1]
                if training is None:
                    inside = (at > begin) & (at <= end)
                    curve = values[inside, tasks[block]]
                else:
                    curve = np.asarray(training, float)[begin:end]
                blocks.append(("train", labels[tasks[block]], curve))
        return cls.from_blocks(blocks, metric)

    @classmethod
    def read(cls, folder: str | Path) -> "LifetimeLog":
        """Read a scenario's folder as l2logger writes it; see `separatrix.continual.read_l2logger`."""
        from separatrix.continual.l2logger_files import read_l2logger

        return read_l2logger(folder)

    def write(self, folder: str | Path) -> None:
        """Write a scenario's folder in the format 1.1 of l2logger; see `separatrix.continual.write_l2logger`."""
        from separatrix.continual.l2logger_files import write_l2logger

        write_l2logger(self, folder)
