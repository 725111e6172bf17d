"""The benchmark of forecasts: choose each method's variant on one trajectory, score it on the end of another."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, ArrayLike, Float, Key
from scipy.stats import rankdata, spearmanr

from separatrix._core.keys import named_key
from separatrix.dynamics.forecasting.forecast_metrics import METRICS, forecast_metrics
from separatrix.dynamics.forecasting.forecaster import Forecaster, forecast_many
from separatrix.systems.forecast_error import smape

__all__ = ["correlate", "forecast_benchmark", "rank", "split_at", "tune"]

SHARE = 5 / 6


def split_at(length: int, share: float = SHARE) -> int:
    """Samples in the fitted part of a series.

    Args:
        length: of the series.
        share: of it that is fitted.

    Returns:
        Their number, which leaves one sample at least on either side.

    Examples:
        >>> split_at(180)
        150
    """
    return min(max(round(share * length), 1), length - 1)


def tune(
    variants: Sequence[Forecaster], series: Float[ArrayLike, "S T D"], key: Key[Array, ""], share: float = SHARE
) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "variants S"]]:
    """Choose a variant for each series: fit on its beginning, score by sMAPE on the rest.

    Args:
        variants: forecasters of different hyper-parameters.
        series: training series.
        key: drives the fits.
        share: of a series that is fitted.

    Returns:
        The index of the best variant for each series, and all scores.

    Raises:
        ValueError: if there are no variants.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import NaiveSeasonal
        >>> wave = np.tile([1.0, 2.0, 3.0], 12)[None, :, None]
        >>> tune([NaiveSeasonal(1), NaiveSeasonal(3)], wave, jr.key(0))[0].tolist()
        [1]
    """
    if not variants:
        raise ValueError("there must be at least one variant.")
    series = np.asarray(series, float)
    cut = split_at(series.shape[1], share)
    scores = np.empty((len(variants), len(series)))
    for i, variant in enumerate(variants):
        guess = forecast_many(variant, series[:, :cut], series.shape[1] - cut, key)
        for s, (y, p) in enumerate(zip(series[:, cut:], guess, strict=True)):
            scores[i, s] = smape(y, p) if np.isfinite(p).all() else 200.0
    return scores.argmin(axis=0), scores


def forecast_benchmark(
    methods: Mapping[str, Sequence[Forecaster]],
    train: Float[ArrayLike, "S T D"],
    test: Float[ArrayLike, "S T D"],
    key: Key[Array, ""],
    *,
    names: Sequence[Any] | None = None,
    share: float = SHARE,
    smape_scale: float = 200.0,
) -> xr.Dataset:
    """Score methods on many series.

    For each series the variant of a method is chosen on the train series (fitted on its first `share`, sMAPE on the
    rest), fitted anew on the first `share` of the test series, and scored on its rest, which no choice has seen. All
    series of one variant are one compiled program where the method is written in JAX.

    Args:
        methods: variants of each method by name; with one variant nothing is tuned.
        train: series for the choice of variants.
        test: series of the same systems from other initial states.
        key: drives the fits.
        names: labels of the series; numbers by default.
        share: of a series that is fitted.
        smape_scale: largest possible sMAPE.

    Returns:
        `error (model, series, metric)`, `forecast (model, series, ahead, coord)`, `truth (series, ahead, coord)`,
        `variant (model, series)`, `seconds (model)` for everything, and `failed (model, series)`, whether a forecast
        is not finite (its sMAPE is then the largest, its other errors NaN).

    Raises:
        ValueError: if train and test do not match.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import NaiveMean
        >>> y = np.random.default_rng(0).normal(size=(2, 60, 1))
        >>> result = forecast_benchmark({"mean": [NaiveMean()]}, y, y, jr.key(0))
        >>> result.error.dims, result.sizes["ahead"]
        (('model', 'series', 'metric'), 10)
    """
    train, test = np.asarray(train, float), np.asarray(test, float)
    if train.ndim != 3 or test.ndim != 3 or len(train) != len(test) or train.shape[2] != test.shape[2]:
        raise ValueError(f"train and test must hold the same systems; got shapes {train.shape} and {test.shape}.")
    cut = split_at(test.shape[1], share)
    truth = test[:, cut:]
    errors, guesses, chosen, seconds = [], [], [], []
    for method, variants in methods.items():
        began, own = time.perf_counter(), named_key(key, method)
        index = np.zeros(len(test), int)
        if len(variants) > 1:
            index = tune(variants, train, named_key(own, "tune"), share)[0]
        guess = np.empty_like(truth)
        for i in np.unique(index):
            # all series are fitted, so that the shapes, and the compiled program, do not depend on the choice
            everything = forecast_many(variants[i], test[:, :cut], truth.shape[1], named_key(own, "test"))
            guess[index == i] = everything[index == i]
        found = [forecast_metrics(y, p, smape_scale=smape_scale) for y, p in zip(truth, guess, strict=True)]
        errors.append([[f[name] for name in METRICS] for f in found])
        guesses.append(guess)
        chosen.append(index)
        seconds.append(time.perf_counter() - began)
    guesses = np.array(guesses)
    return xr.Dataset(
        {
            "error": (("model", "series", "metric"), np.array(errors), {"long_name": "error of the forecast"}),
            "forecast": (("model", "series", "ahead", "coord"), guesses, {"long_name": "forecast"}),
            "truth": (("series", "ahead", "coord"), truth, {"long_name": "what came"}),
            "variant": (("model", "series"), np.array(chosen), {"long_name": "variant that was chosen"}),
            "seconds": ("model", seconds, {"units": "s", "long_name": "time of tuning, fits and forecasts"}),
            "failed": (
                ("model", "series"),
                ~np.isfinite(guesses).all(axis=(2, 3)),
                {"long_name": "whether a forecast is not finite"},
            ),
        },
        coords={
            "model": list(methods),
            "series": list(range(len(test))) if names is None else list(names),
            "metric": list(METRICS),
        },
        attrs={"smape_scale": smape_scale, "share": share},
    )


def rank(result: xr.Dataset, metric: str = "smape") -> pd.DataFrame:
    """Rank methods by their median error.

    Args:
        result: of `forecast_benchmark`.
        metric: by which; a smaller one is better.

    Returns:
        One row a method, best first: `median`, quartiles `low` and `high`, mean `rank` over series, and `wins`.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import NaiveMean, NaiveSeasonal
        >>> y = np.tile([1.0, 2.0, 3.0], 20)[None, :, None]
        >>> methods = {"mean": [NaiveMean()], "seasonal": [NaiveSeasonal(3)]}
        >>> rank(forecast_benchmark(methods, y, y, jr.key(0))).index.tolist()
        ['seasonal', 'mean']
    """
    error = result.error.sel(metric=metric).transpose("model", "series").values
    places = rankdata(error, axis=0)
    low, middle, high = np.quantile(error, [0.25, 0.5, 0.75], axis=1)
    frame = pd.DataFrame(
        {
            "median": middle,
            "low": low,
            "high": high,
            "rank": places.mean(axis=1),
            "wins": (error == error.min(axis=0)).sum(axis=1),
        },
        index=pd.Index(result.model.values, name="model"),
    )
    return frame.sort_values("median")


def correlate(
    result: xr.Dataset, invariant: Float[ArrayLike, " S"], metric: str = "smape"
) -> tuple[float, Float[np.ndarray, " model"]]:
    """Spearman's correlation of errors with an invariant of the systems.

    Args:
        result: of `forecast_benchmark`.
        invariant: one number a series, e.g. exponent times period; series with NaN are left out.
        metric: which error.

    Returns:
        The correlation of the best method's error on each series, and that of each method.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import NaiveMean
        >>> y = np.random.default_rng(0).normal(size=(5, 60, 1))
        >>> best, each = correlate(forecast_benchmark({"mean": [NaiveMean()]}, y, y, jr.key(0)), np.arange(5.0))
        >>> bool(best == each[0])
        True
    """
    invariant = np.asarray(invariant, float)
    known = np.isfinite(invariant)
    error = result.error.sel(metric=metric).transpose("model", "series").values[:, known]
    each = np.array([_rank_correlation(row, invariant[known]) for row in error])
    return _rank_correlation(error.min(axis=0), invariant[known]), each


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    found: Any = spearmanr(a, b)
    return float(found.statistic)
