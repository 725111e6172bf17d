"""The grokking delay: how much later a model generalises than it fits.

Use thresholds on a loss where one exists: an accuracy that jumps may be made by the metric and not by the training.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["GrokkingDelay", "grokking_delay"]


class GrokkingDelay(NamedTuple):
    """When two curves crossed their thresholds.

    Attributes:
        train: first recorded step at which the training curve has crossed, infinite if it never does.
        test: the same of the test curve.
        ratio: `test / train`; infinite where only the test curve never crosses, NaN where the training curve does not.
        bound: the ratio with the last recorded step in place of a test step that never came, a lower bound; NaN as
            `ratio`.
    """

    train: NDArray[np.float64]
    test: NDArray[np.float64]
    ratio: NDArray[np.float64]
    bound: NDArray[np.float64]


def grokking_delay(
    steps: ArrayLike,
    train: ArrayLike,
    test: ArrayLike,
    thresholds: tuple[float, float] | Sequence[float],
    *,
    rising: bool = False,
    lasting: bool = False,
) -> GrokkingDelay:
    """Steps to fit, steps to generalise, and their ratio, from recorded curves.

    Args:
        steps: recorded steps, increasing, shape `(records,)`.
        train: training curves, shape `(..., records)`. NaN never crosses.
        test: test curves, likewise.
        thresholds: levels of the training and of the test curve.
        rising: whether a curve crosses upwards (an accuracy) or downwards (a loss).
        lasting: count the first step from which the curve stays beyond its threshold to the end, in place of the first
            step at which it is there.

    Returns:
        The delay, each field of shape `(...)`.

    Raises:
        ValueError: if the shapes do not fit, or there are not two thresholds.

    Examples:
        >>> delay = grokking_delay([1, 10, 100], [0.5, 0.05, 0.0], [0.9, 0.9, 0.05], (0.1, 0.1))
        >>> float(delay.train), float(delay.test), float(delay.ratio)
        (10.0, 100.0, 10.0)
    """
    steps = np.asarray(steps, np.float64)
    curves = [np.asarray(curve, np.float64) for curve in (train, test)]
    if len(thresholds) != 2:
        raise ValueError(f"`thresholds` must be two levels, of the training and the test curve; got {thresholds!r}.")
    if steps.ndim != 1 or not steps.size or any(curve.shape[-1:] != steps.shape for curve in curves):
        raise ValueError(
            f"the last axis of the curves must be that of the steps; got {curves[0].shape} and {curves[1].shape} for "
            f"steps of shape {steps.shape}."
        )
    reached = [
        _first(steps, curve >= level if rising else curve <= level, lasting)
        for curve, level in zip(curves, thresholds, strict=True)
    ]
    fit, generalise = reached
    fitted = np.isfinite(fit)
    safe = np.where(fitted, fit, 1)
    ratio = np.where(fitted, generalise / safe, np.nan)
    bound = np.where(fitted, np.minimum(generalise, steps[-1]) / safe, np.nan)
    return GrokkingDelay(fit, generalise, ratio, bound)


def _first(steps: NDArray[np.float64], beyond: NDArray[np.bool_], lasting: bool) -> NDArray[np.float64]:
    if lasting:
        beyond = np.logical_and.accumulate(beyond[..., ::-1], axis=-1)[..., ::-1]
    return np.where(beyond.any(axis=-1), steps[beyond.argmax(axis=-1)], np.inf)
