"""Metrics of continual learning as pure functions of the performance trace.

The trace is `A[step, task, ...]`: performance (accuracy, reward, minus loss; larger is better) on each task at each
evaluation, further axes such as seeds kept as they are. `steps` are the completed updates at each evaluation (0, 1, ...
by default) and `boundaries` the completed updates at the start and at the end of each task, `tasks + 1` numbers: task i
is trained on in the updates after `boundaries[i]`, up to `boundaries[i + 1]`. NaN stands for a task that is not seen
yet and is not looked at.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from separatrix.continual.matrix_metrics import backward_transfer

__all__ = [
    "accuracy_matrix",
    "average_accuracy",
    "check_trace",
    "forgetting",
    "learning_accuracy",
    "learning_curve_area",
    "minimum_accuracy",
    "sampling_error",
    "thin",
    "windowed_forgetting",
    "windowed_plasticity",
    "worst_case_accuracy",
]


def check_trace(trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None) -> tuple[Any, Any, Any]:
    """Return the three as arrays, or say what does not fit.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` increasing numbers.
        steps: completed updates at each evaluation; 0, 1, ... by default.

    Returns:
        Trace, boundaries and steps.

    Raises:
        ValueError: if they do not fit together, or a boundary was not evaluated.

    Examples:
        >>> check_trace(np.zeros((3, 1)), [0, 5])
        Traceback (most recent call last):
        ...
        ValueError: the trace has no evaluation at step 5, the end of task 0; evaluate at the last update of each task.
    """
    values, marks = np.asarray(trace, float), np.asarray(boundaries)
    at = np.arange(len(values)) if steps is None else np.asarray(steps)
    if values.ndim < 2 or marks.shape != (values.shape[1] + 1,):
        raise ValueError(
            f"a trace has axes (step, task, ...) and there is one boundary more than tasks; got a trace of shape "
            f"{values.shape} and {len(marks)} boundaries."
        )
    if at.shape != values.shape[:1] or np.any(np.diff(at) <= 0):
        raise ValueError(f"`steps` must give one increasing number for each of {len(values)} evaluations; got {at}.")
    if np.any(np.diff(marks) <= 0):
        raise ValueError(f"`boundaries` must increase; got {marks.tolist()}.")
    for task, end in enumerate(marks[1:]):
        if end not in at:
            raise ValueError(
                f"the trace has no evaluation at step {end}, the end of task {task}; evaluate at the last update of "
                "each task."
            )
    return values, marks, at


def _last(trace, boundaries, steps):
    """The rows of the evaluations at the end of each task."""
    values, marks, at = check_trace(trace, boundaries, steps)
    return values, marks, at, np.searchsorted(at, marks[1:])


def accuracy_matrix(trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None) -> np.ndarray:
    """Performance on each task at the end of each task.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.

    Returns:
        `a[n, i]`, on task i after task n, further axes kept.

    Examples:
        >>> trace = np.array([[0.1, np.nan], [0.9, 0.1], [0.5, 0.8]])
        >>> accuracy_matrix(trace, [0, 1, 2]).tolist()
        [[0.9, 0.1], [0.5, 0.8]]
    """
    values, _, _, rows = _last(trace, boundaries, steps)
    return values[rows]


def average_accuracy(trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None) -> np.ndarray:
    """ACC: mean over tasks of the performance at the end.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.

    Returns:
        A number for each of the further axes.
    """
    return accuracy_matrix(trace, boundaries, steps)[-1].mean(0)


def learning_accuracy(trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None) -> np.ndarray:
    """Mean over tasks of the performance just after learning them.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.

    Returns:
        A number for each of the further axes.
    """
    matrix = accuracy_matrix(trace, boundaries, steps)
    return np.stack([matrix[i, i] for i in range(len(matrix))]).mean(0)


def forgetting(trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None) -> np.ndarray:
    """FORG: mean over past tasks of the performance just after learning them minus that at the end.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.

    Returns:
        A number for each of the further axes; NaN for a single task.
    """
    return -backward_transfer(accuracy_matrix(trace, boundaries, steps))


def _minimum(values, marks, at, task: int, until: int):
    """Least performance on a task at `boundaries[task + 1] < n <= until`."""
    after = (at > marks[task + 1]) & (at <= until)
    return values[after, task].min(0)


def minimum_accuracy(trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None) -> np.ndarray:
    """min-ACC: mean over past tasks of the least performance after their training ended, strictly.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.

    Returns:
        A number for each of the further axes; NaN for a single task.

    References:
        De Lange, van de Ven, Tuytelaars (2023), ICLR, arXiv:2205.13452.
    """
    values, marks, at = check_trace(trace, boundaries, steps)
    return _minimum_up_to(values, marks, at, values.shape[1] - 1, marks[-1])


def _minimum_up_to(values, marks, at, current: int, until: int):
    if current == 0:
        return np.full(values.shape[2:], np.nan)
    return np.stack([_minimum(values, marks, at, task, until) for task in range(current)]).mean(0)


def worst_case_accuracy(
    trace: ArrayLike, boundaries: Sequence[int], steps: ArrayLike | None = None, at_step: int | None = None
) -> np.ndarray:
    """WC-ACC: `A(current) / k + (1 - 1 / k) min-ACC` while learning task k, a lower bound on ACC.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.
        at_step: completed updates; the last boundary by default.

    Returns:
        A number for each of the further axes.

    Raises:
        ValueError: if there was no evaluation at that step, or it lies outside all tasks.
    """
    values, marks, at = check_trace(trace, boundaries, steps)
    step = marks[-1] if at_step is None else at_step
    if step not in at or not marks[0] < step <= marks[-1]:
        raise ValueError(f"there is no evaluation of a task that is trained at step {step}.")
    current = int(np.searchsorted(marks, step)) - 1
    now = values[np.searchsorted(at, step), current]
    if current == 0:
        return now
    share = 1.0 / (current + 1)
    return share * now + (1 - share) * _minimum_up_to(values, marks, at, current, step)


def _largest_change(trace, boundaries, steps, window: int, sign: float) -> np.ndarray:
    values, marks, at = check_trace(trace, boundaries, steps)
    if window < 2:
        raise ValueError(f"`window` must hold at least 2 evaluations; got {window}.")
    changes = []
    for task in range(values.shape[1]):
        seen = values[(at >= marks[task]) & (at <= marks[-1]), task]
        if task and len(seen):
            seen = seen[at[(at >= marks[task]) & (at <= marks[-1])] > marks[task]]
        finite = ~np.isnan(seen).reshape(len(seen), -1).any(1)
        seen = seen[int(np.argmax(finite)) :] if finite.any() else seen
        best = np.zeros(values.shape[2:])
        for lag in range(1, min(window, len(seen))):
            best = np.maximum(best, (sign * (seen[lag:] - seen[:-lag])).max(0))
        changes.append(best)
    return np.stack(changes)


def windowed_forgetting(
    trace: ArrayLike, boundaries: Sequence[int], window: int, steps: ArrayLike | None = None
) -> np.ndarray:
    """WF^w of each task: its largest fall within `window` consecutive evaluations, at least 0.

    A task is looked at from the first evaluation at which it is seen: the evaluation before the first update for the
    first task, the one after its first update for the others. WF^2 is the largest fall from one evaluation to the next.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        window: number of evaluations, at least 2; the paper has 10 and 100.
        steps: completed updates at each evaluation.

    Returns:
        Shape `(task, ...)`; the paper's WF^w is its mean over tasks.

    Raises:
        ValueError: if the window is too short.
    """
    return _largest_change(trace, boundaries, steps, window, -1.0)


def windowed_plasticity(
    trace: ArrayLike, boundaries: Sequence[int], window: int, steps: ArrayLike | None = None
) -> np.ndarray:
    """WP^w of each task: its largest rise within `window` consecutive evaluations, at least 0.

    The true largest rise; the paper's code misses rises that begin below an earlier maximum (.9, .1, .8 rises by .7).

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        window: number of evaluations, at least 2.
        steps: completed updates at each evaluation.

    Returns:
        Shape `(task, ...)`; the paper's WP^w is its mean over tasks.

    Raises:
        ValueError: if the window is too short.
    """
    return _largest_change(trace, boundaries, steps, window, 1.0)


def learning_curve_area(
    trace: ArrayLike, boundaries: Sequence[int], beta: int = 10, steps: ArrayLike | None = None
) -> np.ndarray:
    """LCA: mean over tasks of the mean performance over the first `beta` evaluations after a task began.

    Args:
        trace: `A[step, task, ...]`.
        boundaries: `tasks + 1` completed updates.
        beta: number of evaluations; fewer where a task has fewer.
        steps: completed updates at each evaluation.

    Returns:
        A number for each of the further axes.

    References:
        Chaudhry, Ranzato, Rohrbach, Elhoseiny (2019), ICLR, arXiv:1812.00420.
    """
    values, marks, at = check_trace(trace, boundaries, steps)
    areas = []
    for task in range(values.shape[1]):
        during = values[(at > marks[task]) & (at <= marks[task + 1]), task]
        areas.append(during[:beta].mean(0))
    return np.stack(areas).mean(0)


def thin(boundaries: Sequence[int], steps: ArrayLike, every: int) -> np.ndarray:
    """Say which evaluations remain at a coarser period: multiples of `every`, and the last update of each task.

    Args:
        boundaries: `tasks + 1` completed updates.
        steps: completed updates at each evaluation.
        every: the period.

    Returns:
        Booleans, one for each evaluation.

    Examples:
        >>> thin([0, 5], np.arange(6), 2).tolist()
        [True, False, True, False, True, True]
    """
    at = np.asarray(steps)
    return (at % every == 0) | np.isin(at, np.asarray(boundaries))


def sampling_error(accuracy: ArrayLike, examples: ArrayLike, population: ArrayLike | None = None) -> np.ndarray:
    """Standard error of an accuracy measured on a random subset, `sqrt(p (1 - p) / m)`.

    Args:
        accuracy: p, in [0, 1].
        examples: m, size of the subset.
        population: size of the set that it was drawn from without replacement; shrinks the error to 0 at `m`.

    Returns:
        The error, shaped like `accuracy`.

    Examples:
        >>> float(sampling_error(0.5, 100)), float(sampling_error(0.5, 100, 100))
        (0.05, 0.0)
    """
    p, m = np.asarray(accuracy, float), np.asarray(examples, float)
    error = np.sqrt(p * (1 - p) / m)
    if population is None:
        return error
    n = np.asarray(population, float)
    return error * np.sqrt((n - m) / np.maximum(n - 1, 1))
