"""Regression of the next sample on lagged ones, and its recursion; polynomial features make it a reservoir's rival."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix.dynamics.forecasting.forecaster import Scaling, scaling

__all__ = ["LagState", "LinearLags", "NextGenerationReservoir", "lagged"]


def lagged(y: Float[Array, "T D"], lags: int, chunk: int = 1) -> tuple[Float[Array, "n LD"], Float[Array, "n CD"]]:
    """Rows of lagged samples, oldest first, and the samples that follow each.

    Args:
        y: series.
        lags: samples in a row.
        chunk: samples that follow.

    Returns:
        Two matrices of `T - lags - chunk + 1` rows.

    Raises:
        ValueError: if no row fits.

    Examples:
        >>> past, next = lagged(jnp.arange(4.0)[:, None], 2)
        >>> past.tolist(), next.tolist()
        ([[0.0, 1.0], [1.0, 2.0]], [[2.0], [3.0]])
    """
    rows = len(y) - lags - chunk + 1
    if rows < 1:
        raise ValueError(f"{len(y)} samples are too few for {lags} lags; use fewer lags or a longer series.")
    at = np.arange(rows)[:, None]
    past = y[at + np.arange(lags)].reshape(rows, -1)
    return past, y[at + lags + np.arange(chunk)].reshape(rows, -1)


class LagState(eqx.Module):
    """A fitted recursion: coefficients of the features (first the constant), and the data's scaling."""

    coefficients: Float[Array, "features D"]
    units: Scaling


class LinearLags(eqx.Module):
    """Least squares of the next sample on the last `lags` samples of all coordinates, applied again and again.

    Attributes:
        lags: samples that are looked at.
        ridge: penalty on the coefficients in standard units, in means over samples; a trace of it keeps the normal
            equations solvable where lags are dependent.

    Examples:
        >>> from separatrix.dynamics.forecasting import forecast
        >>> wave = jnp.sin(0.3 * jnp.arange(100.0))
        >>> truth = jnp.sin(0.3 * jnp.arange(100.0, 120.0))
        >>> import jax.random as jr
        >>> error = forecast(LinearLags(2, ridge=0.0), wave, 20, jr.key(0))[:, 0] - truth
        >>> bool(abs(error).max() < 1e-2)
        True
    """

    lags: int = eqx.field(static=True, default=5)
    ridge: ArrayLike = 1e-8

    def fit(self, y: Float[Array, "T D"], key: Key[Array, ""] | None) -> LagState:
        """Solve for the coefficients."""
        del key
        units = scaling(y)
        past, target = lagged(units.forward(y), self.lags)
        return LagState(_ridge(_with_constant(past), target, self.ridge), units)

    def predict(self, state: LagState, context: Float[Array, "W D"], steps: int) -> Float[Array, "steps D"]:
        """Iterate the regression."""
        return _iterate(state, context, self.lags, _with_constant, steps)


class NextGenerationReservoir(eqx.Module):
    """Ridge regression of the increment on all monomials, up to an order, of delayed samples (NVAR).

    Attributes:
        delays: number of delayed samples.
        order: largest degree of the monomials. The published benchmark used 1, which is a linear regression.
        ridge: penalty, in means over samples.
        stride: samples between delays.

    References:
        Gauthier, Bollt, Griffith, Barbosa (2021), Nature Communications 12, 5564.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import forecast
        >>> orbit = [0.3]
        >>> for _ in range(102):
        ...     orbit.append(3.9 * orbit[-1] * (1 - orbit[-1]))
        >>> guess = forecast(NextGenerationReservoir(1, 2, 1e-9), orbit[:100], 3, jr.key(0))
        >>> bool(abs(guess[:, 0] - jnp.array(orbit[100:])).max() < 1e-2)
        True
    """

    delays: int = eqx.field(static=True, default=2)
    order: int = eqx.field(static=True, default=2)
    ridge: ArrayLike = 1e-4
    stride: int = eqx.field(static=True, default=1)

    @property
    def _span(self) -> int:
        return (self.delays - 1) * self.stride + 1

    def _features(self, row: Float[Array, "*batch LD"]) -> Float[Array, "*batch features"]:
        dim = row.shape[-1] // self._span
        x = row.reshape(*row.shape[:-1], self._span, dim)[..., :: self.stride, :].reshape(*row.shape[:-1], -1)
        columns = [jnp.ones_like(x[..., :1]), x]
        for degree in range(2, self.order + 1):
            index = np.array(list(itertools.combinations_with_replacement(range(x.shape[-1]), degree)))
            columns.append(jnp.prod(x[..., index], axis=-1))
        return jnp.concatenate(columns, axis=-1)

    def fit(self, y: Float[Array, "T D"], key: Key[Array, ""] | None) -> LagState:
        """Solve for the coefficients of the increment."""
        del key
        units = scaling(y)
        z = units.forward(y)
        past, target = lagged(z, self._span)
        return LagState(_ridge(self._features(past), target - past[:, -y.shape[1] :], self.ridge), units)

    def predict(self, state: LagState, context: Float[Array, "W D"], steps: int) -> Float[Array, "steps D"]:
        """Iterate the increments."""
        return _iterate(state, context, self._span, self._features, steps, increments=True)


def _with_constant(past):
    return jnp.concatenate([jnp.ones_like(past[..., :1]), past], axis=-1)


def _ridge(features, target, ridge):
    # the penalty as rows of their own: a least squares problem keeps half the digits that normal equations lose
    count, wide = features.shape
    penalty = jnp.sqrt(jnp.asarray(ridge, features.dtype) * count) * jnp.eye(wide, dtype=features.dtype).at[0, 0].set(0)
    a = jnp.concatenate([features, penalty])
    b = jnp.concatenate([target, jnp.zeros((wide, target.shape[1]), target.dtype)])
    return jnp.linalg.lstsq(a, b)[0]


def _iterate(state, context, lags, features, steps, increments=False):
    if len(context) < lags:
        raise ValueError(f"the context must have {lags} samples at least; got {len(context)}.")

    def advance(window, _):
        new = features(window.reshape(-1)) @ state.coefficients
        new = window[-1] + new if increments else new
        new = jnp.clip(new, -1e3, 1e3)  # a diverging recursion stays a number, far from the data
        return jnp.concatenate([window[1:], new[None]]), new

    _, path = jax.lax.scan(advance, state.units.forward(context[-lags:]), length=steps)
    return state.units.back(path)
