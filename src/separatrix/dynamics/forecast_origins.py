"""Which model forecasts best on a held-out part, and for how long: one fit, forecasts from many origins."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.keys import named_key
from separatrix.dynamics.forecasting.forecaster import Forecaster
from separatrix.systems.forecast_error import valid_prediction_time

__all__ = ["held_out_forecasts"]


def held_out_forecasts(
    models: Mapping[str, Forecaster],
    y: Float[ArrayLike, "T D"],
    key: Key[Array, ""],
    *,
    held_out: float = 0.3,
    steps: int = 100,
    origins: int = 20,
    threshold: float = 0.4,
    dt: float = 1.0,
) -> xr.Dataset:
    """Fit each model on the beginning of a series and forecast from several times of its rest.

    The context of a forecast is all that was measured before its origin, as long as the fitted part. Errors are in
    standard deviations of the fitted part: `e(t) = sqrt(mean over coordinates of (y - p)^2 / variance)`. A model that
    forecasts from the end of its fitted series only (ARIMA and its kin) is fitted anew at each origin.

    Args:
        models: forecasters by name.
        y: series.
        key: drives the fits.
        held_out: share of the series, at its end, that no fit sees.
        steps: samples of a forecast.
        origins: number of forecasts, evenly spread.
        threshold: of the error, beyond which a forecast is no longer valid.
        dt: time between samples.

    Returns:
        `valid (model, origin)`, in time; `error (model, origin, ahead)`; `forecast (model, origin, ahead, coord)`;
        `truth (origin, ahead, coord)`.

    Raises:
        ValueError: if the held-out part is shorter than a forecast.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import NaiveMean, NaiveSeasonal
        >>> wave = np.sin(2 * np.pi * np.arange(200.0) / 10)[:, None]
        >>> models = {"mean": NaiveMean(), "season": NaiveSeasonal(10)}
        >>> result = held_out_forecasts(models, wave, jr.key(0), steps=20, origins=3)
        >>> result.valid.mean("origin").values.tolist()[1]
        20.0
    """
    y = np.asarray(y, float)
    cut = len(y) - round(held_out * len(y))
    room = len(y) - cut - steps
    if room < 0 or cut < 2:
        raise ValueError(f"the held-out part has {len(y) - cut} samples, fewer than the {steps} of a forecast.")
    at = np.unique(np.linspace(cut, cut + room, origins).astype(int))
    truth = y[at[:, None] + np.arange(steps)]
    contexts = y[at[:, None] - cut + np.arange(cut)]
    variance = np.maximum(y[:cut].var(axis=0), 1e-300)

    def error(a, b):
        return np.sqrt(np.mean((a - b) ** 2 / variance, axis=-1))

    guesses = []
    for name, model in models.items():
        own = named_key(key, name)
        if isinstance(model, eqx.Module):
            guess = np.asarray(_forecasts(model, jnp.asarray(y[:cut]), jnp.asarray(contexts), own, steps), float)
        else:
            guess = np.stack([model.predict(model.fit(c, own), c, steps) for c in contexts])
        guesses.append(guess)
    guesses = np.array(guesses)
    errors = error(truth[None], guesses)
    errors = np.where(np.isfinite(errors), errors, np.inf)
    valid = [
        [valid_prediction_time(t, g, dt, threshold=threshold, error=error) for t, g in zip(truth, rows, strict=True)]
        for rows in guesses
    ]
    time = {"units": "time", "long_name": "time for which the forecast is valid"}
    return xr.Dataset(
        {
            "valid": (("model", "origin"), np.array(valid), time),
            "error": (("model", "origin", "ahead"), errors, {"long_name": "error in standard deviations"}),
            "forecast": (("model", "origin", "ahead", "coord"), guesses, {"long_name": "forecast"}),
            "truth": (("origin", "ahead", "coord"), truth, {"long_name": "what came"}),
        },
        coords={"model": list(models), "origin": at, "ahead": dt * np.arange(1, steps + 1)},
        attrs={"fitted": cut, "threshold": threshold, "steps": steps},
    )


@eqx.filter_jit
def _forecasts(model, y, contexts, key, steps):
    state: Any = model.fit(y, key)
    return jax.lax.map(lambda context: model.predict(state, context, steps), contexts)
