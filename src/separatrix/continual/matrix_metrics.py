"""Metrics of an accuracy matrix `A[k, i]`: accuracy on task i at the end of task k."""

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "average_incremental_accuracy",
    "backward_transfer",
    "forgetting_from_peak",
    "forgetting_per_step",
    "forward_transfer",
    "incremental_accuracy",
]


def average_incremental_accuracy(matrix: ArrayLike) -> np.ndarray:
    """Mean over tasks n of the mean performance on tasks 0..n after task n.

    Args:
        matrix: `a[n, i, ...]`, on task i after task n.

    Returns:
        A number for each of the further axes.
    """
    a = np.asarray(matrix, float)
    return np.stack([a[n, : n + 1].mean(0) for n in range(len(a))]).mean(0)


incremental_accuracy = average_incremental_accuracy


def backward_transfer(matrix: ArrayLike) -> np.ndarray:
    """BWT: mean over past tasks of the final performance minus that just after learning them.

    Args:
        matrix: `a[n, i, ...]`, on task i after task n.

    Returns:
        A number for each of the further axes; NaN for a single task.

    Examples:
        >>> float(backward_transfer([[0.9, 0.1], [0.5, 0.8]]))
        -0.4

    References:
        Lopez-Paz, Ranzato (2017), NeurIPS, arXiv:1706.08840.
    """
    a = np.asarray(matrix, float)
    if len(a) < 2:
        return np.full(a.shape[2:], np.nan)
    return np.stack([a[-1, i] - a[i, i] for i in range(len(a) - 1)]).mean(0)


def forward_transfer(matrix: ArrayLike, untrained: ArrayLike) -> np.ndarray:
    """FWT: mean over later tasks of the performance just before learning them minus that of an untrained model.

    Args:
        matrix: `a[n, i, ...]`, on task i after task n, unseen tasks evaluated too.
        untrained: `b[i, ...]`.

    Returns:
        A number for each of the further axes; NaN for a single task.
    """
    a, b = np.asarray(matrix, float), np.asarray(untrained, float)
    if len(a) < 2:
        return np.full(a.shape[2:], np.nan)
    return np.stack([a[i - 1, i] - b[i] for i in range(1, len(a))]).mean(0)


def forgetting_from_peak(matrix: ArrayLike) -> np.ndarray:
    """Mean over past tasks of the best performance after any task since it was learnt, minus the final one.

    Chaudhry et al. take the maximum over earlier tasks; Mammoth's over all rows, zeros before the task was seen
    included, which gives the same unless a task was better before it was learnt.

    Args:
        matrix: `a[n, i, ...]`.

    Returns:
        A number for each of the further axes; NaN for a single task.

    References:
        Chaudhry, Dokania, Ajanthan, Torr (2018), ECCV, arXiv:1801.10112.
    """
    a = np.asarray(matrix, float)
    if len(a) < 2:
        return np.full(a.shape[2:], np.nan)
    return np.stack([a[i:-1, i].max(0) - a[-1, i] for i in range(len(a) - 1)]).mean(0)


def forgetting_per_step(matrix: ArrayLike) -> np.ndarray:
    """Mean over tasks n of the mean loss of performance on earlier tasks from one task to the next.

    Args:
        matrix: `a[n, i, ...]`.

    Returns:
        A number for each of the further axes; NaN for a single task.

    Examples:
        >>> float(forgetting_per_step([[0.9, 0, 0], [0.6, 0.8, 0], [0.5, 0.7, 0.9]]).round(12))
        0.2

    References:
        Smith, Tian, Halbe, Hsu, Kira (2023), arXiv:2203.17269.
    """
    a = np.asarray(matrix, float)
    if len(a) < 2:
        return np.full(a.shape[2:], np.nan)
    return np.stack([(a[n - 1, :n] - a[n, :n]).mean(0) for n in range(1, len(a))]).mean(0)
