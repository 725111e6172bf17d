"""Measures of the error of a forecast, with the conventions of the published benchmarks written out."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import ArrayLike, Float

from separatrix.systems.forecast_error import EPSILON, smape

__all__ = ["METRICS", "forecast_metrics"]


def _cv(y, p):
    return 100 * np.std(y - p) / (np.mean(y) + EPSILON)


def _mae(y, p):
    return np.mean(np.abs(y - p))


def _mape(y, p):
    return 100 * np.mean(np.abs((y - p) / (y + EPSILON)))


def _marre(y, p):
    return 100 * np.mean(np.abs(y - p)) / (np.max(y) - np.min(y) + EPSILON)


def _mse(y, p):
    return np.mean((y - p) ** 2)


def _r2(y, p):
    return 1 - np.sum((y - p) ** 2) / (np.sum((y - y.mean()) ** 2) + EPSILON)


def _rmse(y, p):
    return np.sqrt(np.mean((y - p) ** 2))


def _nrmse(y, p):
    return np.sqrt(np.mean((y - p) ** 2 / (y.var(axis=0) + EPSILON)))


def _wape(y, p):
    return 100 * np.sum(np.abs(y - p)) / (np.sum(np.abs(y)) + EPSILON)


_FORMULAS = {
    "cv": _cv,
    "mae": _mae,
    "mape": _mape,
    "marre": _marre,
    "mse": _mse,
    "nrmse": _nrmse,
    "r2": _r2,
    "rmse": _rmse,
    "smape": smape,
    "wape": _wape,
}
METRICS = tuple(_FORMULAS)
"""Names of the measures."""


def forecast_metrics(
    y: Float[ArrayLike, "T *D"],
    predicted: Float[ArrayLike, "T *D"],
    include: Sequence[str] | None = None,
    *,
    smape_scale: float = 200.0,
) -> dict[str, float]:
    """Errors of a forecast.

    `cv = 100 std(y - p) / mean(y)`; `mape = 100 mean |(y - p) / y|`; `marre = 100 mean |y - p| / (max y - min y)`;
    `nrmse` has each coordinate in its standard deviation; `r2 = 1 - sum (y - p)^2 / sum (y - mean y)^2`; `smape =
    scale mean |y - p| / (|y| + |p|)`; `wape = 100 sum |y - p| / sum |y|`; `mae`, `mse` and `rmse` as usual. Means are
    over times and coordinates. 1e-10 guards zeros.

    Args:
        y: what was measured.
        predicted: what was forecast.
        include: which of `METRICS`; all by default.
        smape_scale: largest possible sMAPE; 200 in the papers, 100 in the current package of the collection, 2 for
            symbolic regression.

    Returns:
        Numbers by name. A forecast that is not finite has NaN throughout, except the largest possible sMAPE.

    Raises:
        ValueError: if shapes differ or a name is unknown.

    Examples:
        >>> found = forecast_metrics([1, 2, 3, 4, 5], [1.1, 1.9, 3.2, 4.1, 5.1])
        >>> round(found["mse"], 4), round(found["marre"], 3), round(found["mape"], 4)
        (0.016, 3.0, 5.2333)
    """
    y, predicted = np.asarray(y, float), np.asarray(predicted, float)
    if y.shape != predicted.shape or not y.size:
        raise ValueError(f"measurements and forecast must have one shape; got {y.shape} and {predicted.shape}.")
    names = METRICS if include is None else tuple(include)
    unknown = [n for n in names if n not in _FORMULAS]
    if unknown:
        raise ValueError(f"there is no measure {unknown[0]!r}; there are {', '.join(METRICS)}.")
    if not np.isfinite(predicted).all():
        return {n: smape_scale if n == "smape" else float("nan") for n in names}
    return {
        n: smape(y, predicted, scale=smape_scale) if n == "smape" else float(_FORMULAS[n](y, predicted)) for n in names
    }
