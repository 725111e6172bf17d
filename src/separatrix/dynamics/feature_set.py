"""A small set of features of series: moments, correlations, spectrum, crossings and trend."""

import itertools

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.stats import kurtosis, skew

__all__ = ["FEATURES", "series_features"]

_LAGS = (1, 2, 3, 5, 8)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_BANDS = 4
FEATURES = (
    "mean",
    "standard deviation",
    "skewness",
    "excess kurtosis",
    *(f"quantile {q}" for q in _QUANTILES),
    *(f"autocorrelation {lag}" for lag in _LAGS),
    *(f"power share {k + 1}/{_BANDS}" for k in range(_BANDS)),
    "spectral centroid",
    "mean absolute change",
    "mean second difference",
    "crossings of the mean",
    "slope",
    "time of the maximum",
    "time of the minimum",
    "time asymmetry",
)
"""Names of the features, in order."""


def series_features(x: Float[ArrayLike, "n T"]) -> Float[np.ndarray, "n features"]:
    """Features of each row.

    The published study used the several hundred features of tsfresh; these 26 cover the same families. Times are in
    units of the length, frequencies in cycles per sample.

    Args:
        x: series, one a row, of 9 samples at least.

    Returns:
        One column a feature, in the order of `FEATURES`; what a constant series does not have is 0.

    Raises:
        ValueError: if series are shorter or not finite.

    Examples:
        >>> round(float(series_features(np.arange(20.0)[None])[0, FEATURES.index("slope")]), 6)
        19.0
    """
    x = np.asarray(x, float)
    if x.ndim != 2 or x.shape[1] < 9 or not np.isfinite(x).all():
        raise ValueError(f"series must be finite rows of 9 samples at least; got shape {x.shape}.")
    count = x.shape[1]
    mean, std = x.mean(axis=1), x.std(axis=1)
    safe = np.where(std > 1e-12 * (1 + np.abs(mean)), std, np.inf)
    z = (x - mean[:, None]) / safe[:, None]
    power = np.abs(np.fft.rfft(z, axis=1)[:, 1:]) ** 2
    total = np.maximum(power.sum(axis=1), 1e-300)
    edges = np.linspace(0, power.shape[1], _BANDS + 1).astype(int)
    frequency = np.fft.rfftfreq(count)[1:]
    t = np.linspace(-0.5, 0.5, count)
    step = np.diff(z, axis=1)
    columns = [mean, std, np.nan_to_num(skew(z, axis=1)), np.nan_to_num(kurtosis(z, axis=1))]
    columns += list(np.quantile(x, _QUANTILES, axis=1))
    columns += [np.mean(z[:, lag:] * z[:, :-lag], axis=1) for lag in _LAGS]
    columns += [power[:, a:b].sum(axis=1) / total for a, b in itertools.pairwise(edges)]
    columns += [(power * frequency).sum(axis=1) / total]
    columns += [np.abs(step).mean(axis=1), np.diff(step, axis=1).mean(axis=1)]
    columns += [np.mean(z[:, 1:] * z[:, :-1] < 0, axis=1)]
    columns += [x @ t / (t @ t)]
    columns += [x.argmax(axis=1) / count, x.argmin(axis=1) / count]
    columns += [np.mean(step**3, axis=1)]
    return np.stack(columns, axis=1)
