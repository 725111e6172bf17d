"""Quantities of a learning lifetime as functions of plain curves: one curve for each stretch of learning or testing.

A curve is a vector of performance, one number for each experience, larger for better.
"""

from collections.abc import Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "Saturation",
    "contrast",
    "flat_smooth",
    "performance_maintenance",
    "performance_recovery",
    "ratio",
    "recovery_times",
    "relative_performance",
    "sample_efficiency",
    "saturation",
    "terminal_performance",
    "theil_sen_slope",
]

LONGEST_WINDOW = 100


def flat_smooth(curve: ArrayLike, window: int | None = None) -> np.ndarray:
    """Moving average with reflected ends, of the curve's length.

    It is cut as the published code cuts it: the average belongs to the middle of its window only up to half a place
    (even windows) or one place (odd windows).

    Args:
        curve: shape `(n,)`.
        window: number of values; `min(floor(n / 5), 100)` by default. Below 3 the curve is returned as it is.

    Returns:
        Shape `(n,)`.

    Raises:
        ValueError: if the window is longer than the curve.

    Examples:
        >>> flat_smooth([0.0, 3.0, 0.0, 3.0, 0.0], window=3).round(9).tolist()
        [1.0, 2.0, 1.0, 2.0, 1.0]
    """
    x = np.asarray(curve, float)
    width = min(len(x) // 5, LONGEST_WINDOW) if window is None else window
    if width < 3:
        return x
    if width > len(x):
        raise ValueError(f"`window` must not exceed the {len(x)} values of the curve; got {width}.")
    padded = np.concatenate([x[width - 1 : 0 : -1], x, x[-2 : -width - 1 : -1]])
    means = np.convolve(padded, np.full(width, 1 / width), mode="valid")
    return means[(width // 2 - 1) : len(means) - -(-width // 2)]


def terminal_performance(curve: ArrayLike) -> float:
    """Mean of the last tenth of a training curve, `x[int(0.9 n):]`.

    Args:
        curve: shape `(n,)`, not empty.

    Returns:
        A number; NaN for an empty curve.

    Examples:
        >>> terminal_performance(np.arange(20.0)), terminal_performance(np.arange(9.0))
        (18.5, 8.0)
    """
    x = np.asarray(curve, float)
    return float(np.mean(x[int(0.9 * len(x)) :])) if len(x) else float("nan")


class Saturation(NamedTuple):
    """Where a curve saturates.

    Attributes:
        value: largest value of the smoothed curve.
        experiences: index of its first occurrence.
    """

    value: float
    experiences: int


def saturation(curve: ArrayLike, *, smooth: bool = True) -> Saturation:
    """Return the largest value of a curve and how many experiences it took.

    Args:
        curve: shape `(n,)`, not empty.
        smooth: smooth it first, even if it is smoothed already, as the published code does.

    Returns:
        Value and index.
    """
    x = flat_smooth(curve) if smooth else np.asarray(curve, float)
    return Saturation(float(np.max(x)), int(np.argmax(x)))


def theil_sen_slope(values: ArrayLike) -> float:
    """Median of the slopes between all pairs of equally spaced values.

    Args:
        values: shape `(n,)`, at least two.

    Returns:
        The slope a place.

    Examples:
        >>> theil_sen_slope([2.0, 3.0, 3.0])
        0.5
    """
    v = np.asarray(values, float)
    return float(np.median([(v[j] - v[i]) / (j - i) for i, j in combinations(range(len(v)), 2)]))


def recovery_times(curves: Sequence[ArrayLike]) -> list[int]:
    """Experiences until each training curve regains the terminal performance of the one before.

    Args:
        curves: the training curves of one task, in order.

    Returns:
        For each curve but the first, the first index at which it is reached; one more than its length if it never is.
    """
    times = []
    for before, curve in pairwise(curves):
        reached = np.asarray(curve, float) >= terminal_performance(before)
        times.append(int(np.argmax(reached)) if reached.any() else len(reached) + 1)
    return times


def performance_recovery(curves: Sequence[ArrayLike]) -> float:
    """PR: minus the Theil-Sen slope of the recovery times; above 0 a task is regained ever faster.

    Args:
        curves: the training curves of one task, in order.

    Returns:
        A number; NaN with fewer than two recovery times.

    Examples:
        >>> performance_recovery([[0.0, 1.0], [0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 1.0]])
        1.0
    """
    times = recovery_times(curves)
    return -theil_sen_slope(times) + 0.0 if len(times) > 1 else float("nan")


def performance_maintenance(
    tests: Sequence[float], trained_before: Sequence[bool], learnt: Sequence[float] | None = None
) -> float:
    """PM: mean change of the test performance since the task was last trained; at least 0 is good.

    The first test after a training regime is a reference and does not count itself.

    Args:
        tests: mean of each test regime of the task, in order.
        trained_before: whether the task was trained between the previous test regime (or the start) and this one.
        learnt: terminal performance of the task's latest training regime before each test. If given, it is what tests
            are compared with (the variant "mrtlp"), in place of the reference ("mrlep").

    Returns:
        A number; NaN where no test counts.

    Examples:
        >>> performance_maintenance([5, 60, 45, 80, 78], [False, True, False, True, False])
        -8.5
    """
    changes, reference = [], float("nan")
    for i, (value, trained) in enumerate(zip(tests, trained_before, strict=True)):
        if trained:
            reference = value if learnt is None else learnt[i]
        elif not np.isnan(reference):
            changes.append(value - reference)
    return float(np.mean(changes)) if changes else float("nan")


def ratio(before: float, after: float) -> float:
    """Transfer as a ratio, `after / before`; it explodes for a small `before`.

    Args:
        before: performance.
        after: performance.

    Returns:
        The ratio; NaN for 0 / 0.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(after) / np.float64(before))


def contrast(before: float, after: float) -> float:
    """Transfer as a contrast, `(after - before) / (after + before)`, in [-1, 1] for positive performance.

    Args:
        before: performance.
        after: performance.

    Returns:
        The contrast; NaN for two zeros.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.float64(after - before) / np.float64(after + before))


def relative_performance(lifetime: ArrayLike, expert: ArrayLike) -> float:
    """RP: summed performance over that of a single-task expert, over as many experiences as both had.

    Args:
        lifetime: the task's training curves, concatenated.
        expert: the expert's training curve.

    Returns:
        The ratio; NaN if either is empty.

    Examples:
        >>> relative_performance([1.0, 2.0, 9.0], [1.0, 1.0])
        1.5
    """
    a, b = np.asarray(lifetime, float), np.asarray(expert, float)
    n = min(len(a), len(b))
    return ratio(float(np.sum(b[:n])), float(np.sum(a[:n]))) if n else float("nan")


def sample_efficiency(lifetime: ArrayLike, expert: ArrayLike, *, smooth: bool = True) -> float:
    """SE: ratio of the levels at saturation times the inverse ratio of the experiences that it took.

    Args:
        lifetime: the task's training curves, concatenated.
        expert: the expert's training curve.
        smooth: smooth both before looking for saturation.

    Returns:
        The product; 0 if the lifetime saturates below a fifth of the expert's level, or falls along a straight-line
        fit; NaN if either saturates at once.
    """
    if not len(np.atleast_1d(lifetime)) or not len(np.atleast_1d(expert)):
        return float("nan")
    own, other = saturation(lifetime, smooth=smooth), saturation(expert, smooth=smooth)
    if own.experiences == 0 or other.experiences == 0:
        return float("nan")
    curve = np.asarray(lifetime, float)
    falls = len(curve) > 1 and np.polynomial.Polynomial.fit(np.arange(len(curve)), curve, 1).convert().coef[-1] < 0
    if own.value < 0.2 * other.value or (falls and np.ptp(curve) > 0):
        return 0.0
    return (own.value / other.value) * (other.experiences / own.experiences)
