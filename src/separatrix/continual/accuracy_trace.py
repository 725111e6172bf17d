"""The trace of performance over steps and tasks, with its metrics, and the stability gap after a switch of task."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from separatrix.continual import accuracy_metrics as metric, matrix_metrics

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["AccuracyTrace", "Gap", "stability_gap"]


class Gap(NamedTuple):
    """A stability gap: how deep, where, and when it was made good.

    Attributes:
        depth: performance at the switch minus the least performance after it.
        argmin_step: completed updates since the switch at the least performance.
        recovery_step: completed updates since the switch when the performance is back within the tolerance, counted
            after the minimum; NaN if never.
        recovery: final minus least performance.
    """

    depth: np.ndarray
    argmin_step: np.ndarray
    recovery_step: np.ndarray
    recovery: np.ndarray


@dataclass(frozen=True)
class AccuracyTrace:
    """Performance on each task at each evaluation, and where tasks begin and end.

    Attributes:
        values: `A[step, task, ...]`; further axes (seeds) are kept by all metrics. For a task that is not seen yet it
            may be NaN; only forward transfer looks there.
        boundaries: completed updates at the start and end of each task, `tasks + 1` numbers.
        steps: completed updates at each evaluation; 0, 1, ... by default.

    Examples:
        >>> first = [0.1, 0.5, 0.8, 0.9, 0.2, 0.4, 0.7, 0.85]
        >>> second = [np.nan] * 4 + [0.3, 0.6, 0.8, 0.9]
        >>> trace = AccuracyTrace(np.stack([first, second], axis=1), (0, 3, 7))
        >>> [round(float(x), 6) for x in (trace.acc(), trace.forg(), trace.min_acc(), trace.wc_acc())]
        [0.875, 0.05, 0.2, 0.55]
    """

    values: Any
    boundaries: Sequence[int]
    steps: Any = None

    def __post_init__(self):
        values, boundaries, steps = metric.check_trace(self.values, self.boundaries, self.steps)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "boundaries", tuple(int(b) for b in boundaries))
        object.__setattr__(self, "steps", steps)

    @property
    def _all(self):
        return self.values, self.boundaries, self.steps

    def acc(self) -> np.ndarray:
        """ACC, `average_accuracy`."""
        return metric.average_accuracy(*self._all)

    def forg(self) -> np.ndarray:
        """FORG, `forgetting`."""
        return metric.forgetting(*self._all)

    def min_acc(self) -> np.ndarray:
        """min-ACC, `minimum_accuracy`."""
        return metric.minimum_accuracy(*self._all)

    def wc_acc(self, n: int | None = None) -> np.ndarray:
        """WC-ACC after `n` updates, `worst_case_accuracy`."""
        return metric.worst_case_accuracy(*self._all, at_step=n)

    def windowed_forgetting(self, window: int = 10) -> np.ndarray:
        """WF^w of each task, `windowed_forgetting`."""
        return metric.windowed_forgetting(self.values, self.boundaries, window, self.steps)

    def windowed_plasticity(self, window: int = 10) -> np.ndarray:
        """WP^w of each task, `windowed_plasticity`."""
        return metric.windowed_plasticity(self.values, self.boundaries, window, self.steps)

    def lca(self, beta: int = 10) -> np.ndarray:
        """LCA, `learning_curve_area`."""
        return metric.learning_curve_area(self.values, self.boundaries, beta, self.steps)

    def bwt(self) -> np.ndarray:
        """BWT, `backward_transfer`."""
        return matrix_metrics.backward_transfer(self.matrix())

    def fwt(self) -> np.ndarray:
        """FWT, `forward_transfer`; NaN where tasks were not evaluated before they were learnt, and before the first."""
        untrained = self.values[self.steps == self.boundaries[0]]
        matrix = self.matrix()
        if not len(untrained):
            return np.full(matrix.shape[2:], np.nan)
        return matrix_metrics.forward_transfer(matrix, untrained[0])

    def matrix(self) -> np.ndarray:
        """`a[n, i]` at the ends of tasks, `accuracy_matrix`."""
        return metric.accuracy_matrix(*self._all)

    def thin(self, every: int) -> "AccuracyTrace":
        """Return the trace that an evaluation every so many updates, and at the end of each task, would have seen."""
        keep = metric.thin(self.boundaries, self.steps, every)
        return AccuracyTrace(self.values[keep], self.boundaries, self.steps[keep])

    def summary(self, windows: Sequence[int] = (10, 100)) -> "xr.Dataset":
        """Return every metric of the trace.

        Args:
            windows: of windowed forgetting and plasticity.

        Returns:
            Dataset whose variables keep the further axes as `seed`, or `extra_0`, ... if there are several.
        """
        import xarray as xr

        extra = self.values.ndim - 2
        dims = ("seed",) if extra == 1 else tuple(f"extra_{i}" for i in range(extra))
        matrix = self.matrix()
        scalars = {
            "acc": (self.acc(), "average accuracy at the end"),
            "forg": (self.forg(), "forgetting"),
            "min_acc": (self.min_acc(), "least accuracy of past tasks"),
            "wc_acc": (self.wc_acc(), "worst-case accuracy"),
            "bwt": (self.bwt(), "backward transfer"),
            "fwt": (self.fwt(), "forward transfer"),
            "lca": (self.lca(), "mean accuracy over the first evaluations of a task"),
            "learning_accuracy": (metric.learning_accuracy(*self._all), "accuracy just after learning"),
            "incremental_accuracy": (
                matrix_metrics.average_incremental_accuracy(matrix),
                "average incremental accuracy",
            ),
            "forgetting_from_peak": (matrix_metrics.forgetting_from_peak(matrix), "forgetting from the best accuracy"),
            "forgetting_per_step": (matrix_metrics.forgetting_per_step(matrix), "forgetting from one task to the next"),
        }
        for window in windows:
            scalars[f"wf_{window}"] = (self.windowed_forgetting(window).mean(0), f"windowed forgetting, {window}")
            scalars[f"wp_{window}"] = (self.windowed_plasticity(window).mean(0), f"windowed plasticity, {window}")
        data = {name: (dims, value, {"units": "1", "long_name": text}) for name, (value, text) in scalars.items()}
        return xr.Dataset(data)

    @classmethod
    def from_table(
        cls,
        table: "pd.DataFrame",
        boundaries: Sequence[int],
        *,
        step: str = "step",
        task: str = "task",
        value: str = "accuracy",
        seed: str | None = None,
    ) -> "AccuracyTrace":
        """Read a tidy table with one evaluation in a row, as other frameworks log them.

        Args:
            table: with a column for each of the names below; other columns are ignored.
            boundaries: completed updates at the start and end of each task.
            step: completed updates.
            task: label of the task; tasks are in the order of their first row, or sorted if their labels are numbers.
            value: the performance.
            seed: distinguishes runs; there is no such axis when None.

        Returns:
            The trace.

        Raises:
            ValueError: if a column is missing, an evaluation occurs twice, or the boundaries do not fit.
        """
        names = [step, task, value, *([seed] if seed else [])]
        missing = [name for name in names if name not in table]
        if missing:
            raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}.")
        keys = [step, task, *([seed] if seed else [])]
        if table.duplicated(keys).any():
            raise ValueError(f"some rows share {', '.join(keys)}; each evaluation must occur once.")
        labels = list(dict.fromkeys(table[task]))
        if all(isinstance(label, int | float | np.number) for label in labels):
            labels = sorted(labels)
        at = np.unique(table[step].to_numpy())
        runs = sorted(table[seed].unique()) if seed else [None]
        values = np.full((len(at), len(labels), len(runs)), np.nan)
        rows = np.searchsorted(at, table[step].to_numpy())
        place_of = {label: i for i, label in enumerate(labels)}
        columns = np.array([place_of[label] for label in table[task]])
        places = np.searchsorted(np.array(runs), table[seed].to_numpy()) if seed else np.zeros(len(table), int)
        values[rows, columns, places] = table[value].to_numpy(float)
        return cls(values if seed else values[..., 0], boundaries, at)

    @classmethod
    def from_matrix(cls, matrix: Any) -> "AccuracyTrace":
        """Take an accuracy matrix `a[n, i]` (on task i after task n) as a trace with one evaluation a task.

        Metrics between ends of tasks (min-ACC, windows) then see ends of tasks only.
        """
        a = np.asarray(matrix, float)
        return cls(a, tuple(range(len(a) + 1)), np.arange(1, len(a) + 1))


def stability_gap(trace: AccuracyTrace, task: int, switch: int, *, tolerance: float = 0.0) -> Gap:
    """Measure the fall of an old task's performance after a switch of task, up to the next switch.

    Args:
        trace: the trace.
        task: the old task.
        switch: completed updates at the switch, one of `trace.boundaries`.
        tolerance: how far below the level at the switch counts as recovered.

    Returns:
        The gap, a number for each of the further axes.

    Raises:
        ValueError: if `switch` is no boundary with a task after it, or there is no such task.

    Examples:
        >>> values = np.stack([[0.1, 0.9, 0.2, 0.5, 0.9], [np.nan, np.nan, 0.5, 0.8, 0.9]], axis=1)
        >>> [float(x) for x in stability_gap(AccuracyTrace(values, (0, 1, 4)), task=0, switch=1)]
        [0.7, 1.0, 3.0, 0.7]
    """
    if switch not in trace.boundaries[1:-1]:
        raise ValueError(f"`switch` must be one of the boundaries {trace.boundaries[1:-1]}; got {switch}.")
    if not 0 <= task < trace.values.shape[1]:
        raise ValueError(f"`task` must be in 0..{trace.values.shape[1] - 1}; got {task}.")
    end = trace.boundaries[trace.boundaries.index(switch) + 1]
    values, at = trace.values[:, task], trace.steps
    level = values[np.searchsorted(at, switch)]
    inside = (at > switch) & (at <= end)
    after, since = values[inside], at[inside] - switch
    lowest = after.argmin(0)
    back = (after >= level - tolerance) & (np.arange(len(after)).reshape(-1, *[1] * (after.ndim - 1)) >= lowest)
    recovery = np.where(back.any(0), since[back.argmax(0)], np.nan)
    return Gap(level - after.min(0), since[lowest].astype(float), recovery, after[-1] - after.min(0))
