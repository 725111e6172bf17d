"""Curves of millions of points made as small as the pixels that show them, without losing an extreme.

The horizontal axis is cut into pixel columns, on the axis's own scale; of each column only the points of the smallest
and of the largest value remain. A line through them covers the same pixels as the line through all points, since a
column's vertical extent is all that one pixel can show.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Num

__all__ = ["column_starts", "column_summary", "kept_points"]

Scale = Literal["linear", "log"]


def column_starts(x: Num[np.ndarray, " points"], columns: int, scale: Scale = "linear") -> Int[np.ndarray, " used"]:
    """Cut sorted positions into pixel columns.

    Args:
        x: ascending positions.
        columns: number of pixel columns.
        scale: of the axis; positions at or below zero fall into the first column of a logarithmic one.

    Returns:
        The index at which each column that holds a point begins, at most `columns` of them; the first is 0.

    Raises:
        ValueError: if `columns` is not positive.

    Example:
        >>> column_starts(np.arange(1, 1001), 3, "log").tolist()  # decades
        [0, 9, 99]
    """
    if columns < 1:
        raise ValueError(f"`columns` must be at least 1; got {columns}.")
    if not len(x):
        return np.zeros(0, int)
    at = x.astype(np.float64)
    if scale == "log":
        positive = at[at > 0]
        if not len(positive):
            return np.zeros(1, int)
        edges = np.geomspace(positive[0], positive[-1], columns + 1)[:-1]
    else:
        edges = np.linspace(at[0], at[-1], columns + 1)[:-1]
    slack = 1e-12 * np.abs(edges)  # an edge that is a position must not miss it by rounding
    starts = np.searchsorted(at, edges - slack)
    starts[0] = 0
    return np.unique(starts[starts < len(at)])


def kept_points(values: Float[np.ndarray, " points"], starts: Int[np.ndarray, " used"]) -> Int[np.ndarray, " kept"]:
    """Choose the points to draw of one curve.

    Args:
        values: the curve; NaN is not drawn.
        starts: from `column_starts`.

    Returns:
        Ascending indices: of each column the smallest and largest value, and the first and last measured point of the
        curve. At most `2 * len(starts) + 2`.

    Example:
        >>> spike = np.zeros(1_000_000); spike[123_456] = 9.0
        >>> kept = kept_points(spike, column_starts(np.arange(1_000_000), 500))
        >>> len(kept) <= 1002, bool(spike[kept].max() == 9.0)
        (True, True)
    """
    measured = ~np.isnan(values)
    if not measured.any():
        return np.zeros(0, int)
    ends = [*starts[1:], len(values)]
    kept = [int(np.argmax(measured)), len(values) - 1 - int(np.argmax(measured[::-1]))]
    low = np.where(measured, values, np.inf)
    high = np.where(measured, values, -np.inf)
    for start, end in zip(starts, ends, strict=True):
        kept += (start + int(low[start:end].argmin()), start + int(high[start:end].argmax()))
    found = np.unique(kept)
    return found[measured[found]]


def column_summary(
    low: Float[np.ndarray, " points"], high: Float[np.ndarray, " points"], starts: Int[np.ndarray, " used"]
) -> tuple[Float[np.ndarray, " used"], Float[np.ndarray, " used"]]:
    """The band of a column: from the smallest `low` to the largest `high` in it; NaN where nothing was measured.

    Args:
        low: lower rim at each point.
        high: upper rim.
        starts: from `column_starts`.

    Returns:
        Both rims, a value for each column.
    """
    return np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
