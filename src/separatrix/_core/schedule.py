"""When probes are due: the recorded steps of a run, and their division into chunks."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from .probe import Probe

__all__ = ["Rows", "Schedule", "log_spaced", "recorded_steps"]


def log_spaced(per_decade: int = 10, first: int = 1) -> Callable[[int], Sequence[int]]:
    """Cadence with equally many records in each decade of steps, the last step included.

    Args:
        per_decade: records in a factor of ten; fewer where steps are whole numbers apart.
        first: first recorded step.

    Returns:
        A function for a probe's `every`.

    Raises:
        ValueError: if `per_decade` or `first` is below 1.

    Examples:
        >>> log_spaced(per_decade=3)(100)
        [1, 2, 5, 10, 22, 46, 100]
    """
    if per_decade < 1 or first < 1:
        raise ValueError(f"`per_decade` and `first` must be at least 1; got {per_decade} and {first}.")
    return _LogSpaced(per_decade, first)


class _LogSpaced(NamedTuple):  # a value, not a closure: equal cadences compare equal, so nothing is compiled twice
    per_decade: int
    first: int

    def __call__(self, steps: int) -> list[int]:
        count = max(1, math.floor(self.per_decade * math.log10(max(1.0, steps / self.first)) + 1e-9))
        grid = self.first * 10.0 ** (np.arange(count + 1) / self.per_decade)
        return sorted({round(s) for s in grid if round(s) <= steps} | ({steps} if steps else set()))


def recorded_steps(probe: Probe, steps: int) -> np.ndarray:
    """Steps, counted in completed updates, at which `probe` is due within `steps`.

    Args:
        probe: any probe.
        steps: length of the run.

    Returns:
        Increasing integers of shape `(records,)`.

    Raises:
        ValueError: if `steps` is not a multiple of an integer `every`, or a function returns steps out of range.
    """
    if isinstance(probe.every, int):
        if steps % probe.every:
            up = -(-steps // probe.every) * probe.every
            raise ValueError(
                f"`steps` must be a multiple of {probe.every}, the cadence of probe {probe.name!r}; got {steps}. "
                f"Try steps={up}."
            )
        return np.arange(probe.every, steps + 1, probe.every)
    due = np.asarray(probe.every(steps), dtype=np.int64)
    if due.size and (due[0] < 1 or due[-1] > steps or np.any(np.diff(due) <= 0)):
        raise ValueError(f"`every` of probe {probe.name!r} must give increasing steps within 1..{steps}; got {due}.")
    return due


class Rows(NamedTuple):
    """Consecutive stretches of steps; at the end of each some probes may be due.

    Attributes:
        strides: number of steps of each, shape `(rows,)`.
        due: which probes record after it, shape `(rows, probes)`.
    """

    strides: np.ndarray
    due: np.ndarray


class Schedule:
    """The recorded steps of all probes of a run of `steps` steps.

    Attributes:
        per_probe: recorded steps of each probe.
    """

    def __init__(self, probes: Sequence[Probe], steps: int):
        if steps < 0:
            raise ValueError(f"`steps` must not be negative; got {steps}.")
        self.steps = steps
        self.per_probe = [recorded_steps(probe, steps) for probe in probes]
        marks = np.sort(np.concatenate([*self.per_probe, [steps]]).astype(np.int64))
        self._marks = marks[np.diff(marks, prepend=0) > 0]
        self._due = np.zeros((len(self._marks), len(probes)), bool)
        for i, due in enumerate(self.per_probe):
            self._due[:, i] = np.isin(self._marks, due)

    @property
    def num_marks(self) -> int:
        """Number of distinct recorded steps, the last step included."""
        return len(self._marks)

    def chunk(self, done: int, max_rows: int, max_steps: int) -> Rows:
        """Return the next rows after `done` steps, at most `max_rows` of them and `max_steps` steps.

        A stretch that reaches beyond is cut; the cut row has nothing due.
        """
        first = int(np.searchsorted(self._marks, done, side="right"))
        ends = self._marks[first : first + max_rows]
        whole = int(np.searchsorted(ends, done + max_steps, side="right"))
        due = self._due[first : first + whole]
        cut = whole < len(ends) and (ends[whole - 1] if whole else done) < done + max_steps
        ends = ends[:whole]
        if cut:
            ends = np.append(ends, done + max_steps)
            due = np.concatenate([due, np.zeros((1, due.shape[1]), bool)])
        return Rows(np.diff(ends, prepend=done), due)
