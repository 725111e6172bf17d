"""What a forecaster is, and how one runs over many series: as one compiled program where it is written in JAX."""

import warnings
from typing import Any, NamedTuple, Protocol

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

__all__ = ["Forecaster", "Scaling", "forecast", "forecast_many", "scaling"]


class Forecaster(Protocol):
    """Anything with these two pure functions.

    A forecaster that is an `equinox.Module` is written in JAX: `forecast_many` compiles it once and maps it over all
    series. Any other object is called for one series after the other, with NumPy arrays.
    """

    def fit(self, y: Any, key: Any) -> Any:
        """Learn from a series `(T, D)` at equal intervals; the key drives whatever is random."""
        ...

    def predict(self, state: Any, context: Any, steps: int) -> Any:
        """Continue a context `(W, D)`, whose last row is the present, by `steps` rows `(steps, D)`."""
        ...


class Scaling(NamedTuple):
    """Mean and standard deviation of each coordinate, shape `(D,)`; a constant coordinate has scale 1."""

    mean: Float[Array, " D"]
    scale: Float[Array, " D"]

    def forward(self, y: Float[Array, "T D"]) -> Float[Array, "T D"]:
        """Into standard units."""
        return (y - self.mean) / self.scale

    def back(self, y: Float[Array, "T D"]) -> Float[Array, "T D"]:
        """Into the data's units."""
        return y * self.scale + self.mean


def scaling(y: Float[Array, "T D"]) -> Scaling:
    """Mean and standard deviation of a series.

    Args:
        y: the fitted part; nothing of the future goes in.

    Returns:
        The scaling.

    Examples:
        >>> scaling(jnp.array([[1.0], [3.0]])).forward(jnp.array([[3.0]])).tolist()
        [[1.0]]
    """
    deviation = y.std(axis=0)
    return Scaling(y.mean(axis=0), jnp.where(deviation > 0, deviation, 1.0))


def forecast(forecaster: Forecaster, y: Float[ArrayLike, "T D"], steps: int, key: Key[Array, ""]) -> np.ndarray:
    """Fit to one series and continue it.

    Args:
        forecaster: any.
        y: series `(T, D)` or `(T,)`.
        steps: how many samples to forecast.
        key: drives the fit.

    Returns:
        Array `(steps, D)`.

    Examples:
        >>> from separatrix.dynamics.forecasting import NaiveDrift
        >>> forecast(NaiveDrift(), [0.0, 1.0, 2.0], 2, jr.key(0)).ravel().tolist()
        [3.0, 4.0]
    """
    y = np.asarray(y, float)
    return forecast_many(forecaster, (y[:, None] if y.ndim == 1 else y)[None], steps, key)[0]


def forecast_many(
    forecaster: Forecaster, series: Float[ArrayLike, "S T D"], steps: int, key: Key[Array, ""]
) -> Float[np.ndarray, "S steps D"]:
    """Fit to each of many series of one shape and continue each of them.

    Args:
        forecaster: any; one in JAX (an `equinox.Module`) runs as one program, mapped over the series.
        series: the series.
        steps: how many samples to forecast.
        key: of all fits; series `i` gets the key folded with `i`.

    Returns:
        The forecasts. A series on which a method fails by a singular matrix has NaN, and a warning counts them.

    Raises:
        ValueError: if a series has a value that is not finite, or `steps` is below 1.

    Examples:
        >>> from separatrix.dynamics.forecasting import NaiveMean
        >>> forecast_many(NaiveMean(), np.arange(8.0).reshape(2, 4, 1), 1, jr.key(0)).ravel().tolist()
        [1.5, 5.5]
    """
    series = np.asarray(series, float)
    if series.ndim != 3 or steps < 1:
        raise ValueError(f"`series` must be (series, times, coordinates) and `steps` positive; got {series.shape}.")
    if not np.isfinite(series).all():
        raise ValueError("a series has NaN or infinite values; cut or fill them first.")
    keys = jax.vmap(jr.fold_in, (None, 0))(key, np.arange(len(series)))
    if isinstance(forecaster, eqx.Module):
        return np.asarray(_together(forecaster, jnp.asarray(series), keys, steps), float)
    out, failed = np.full((len(series), steps, series.shape[2]), np.nan), 0
    for i, y in enumerate(series):
        try:
            out[i] = forecaster.predict(forecaster.fit(y, keys[i]), y, steps)
        except np.linalg.LinAlgError:
            failed += 1
    if failed:
        warnings.warn(
            f"{type(forecaster).__name__} failed on {failed} of {len(series)} series; their forecasts are NaN.",
            RuntimeWarning,
            stacklevel=2,
        )
    return out


@eqx.filter_jit
def _together(forecaster, series, keys, steps):
    def one(y, key):
        return forecaster.predict(forecaster.fit(y, key), y, steps)

    return jax.vmap(one)(series, keys)
