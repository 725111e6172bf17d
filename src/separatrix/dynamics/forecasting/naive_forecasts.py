"""Forecasts that learn next to nothing, against which all others are measured."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["NaiveDrift", "NaiveMean", "NaiveSeasonal"]


class NaiveMean(eqx.Module):
    """The mean of the fitted series, for ever.

    Examples:
        >>> model = NaiveMean()
        >>> y = jnp.array([[1.0], [2.0], [6.0]])
        >>> model.predict(model.fit(y, None), y, 2).ravel().tolist()
        [3.0, 3.0]
    """

    def fit(self, y: Float[Array, "T D"], key) -> Float[Array, " D"]:
        """Return the mean over time."""
        del key
        return y.mean(axis=0)

    def predict(self, state: Float[Array, " D"], context, steps: int) -> Float[Array, "steps D"]:
        """Repeat the mean."""
        del context
        return jnp.tile(state, (steps, 1))


class NaiveDrift(eqx.Module):
    """The straight line through the first and the last point, from the last point of the context on.

    Examples:
        >>> model = NaiveDrift()
        >>> y = jnp.array([[0.0], [5.0], [4.0]])
        >>> model.predict(model.fit(y, None), y, 2).ravel().tolist()
        [6.0, 8.0]
    """

    def fit(self, y: Float[Array, "T D"], key) -> Float[Array, " D"]:
        """Return the slope a sample."""
        del key
        return (y[-1] - y[0]) / max(len(y) - 1, 1)

    def predict(self, state: Float[Array, " D"], context: Float[Array, "W D"], steps: int) -> Float[Array, "steps D"]:
        """Go on along the line."""
        return context[-1] + state * jnp.arange(1, steps + 1)[:, None]


class NaiveSeasonal(eqx.Module):
    """The last `season` points again and again; with one, the last point for ever (persistence).

    Attributes:
        season: samples in one season; the points of a dominant period are a good choice.

    Examples:
        >>> y = jnp.array([[0.0], [1.0], [2.0]])
        >>> NaiveSeasonal(2).predict(None, y, 3).ravel().tolist()
        [1.0, 2.0, 1.0]
    """

    season: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        """Refuse a season without samples."""
        if self.season < 1:
            raise ValueError(f"`season` must be at least 1; got {self.season}.")

    def fit(self, y: Float[Array, "T D"], key) -> None:
        """Nothing is learnt."""
        del y, key

    def predict(self, state: None, context: Float[Array, "W D"], steps: int) -> Float[Array, "steps D"]:
        """Repeat the end of the context."""
        del state
        if len(context) < self.season:
            raise ValueError(f"the context must have `season` = {self.season} samples at least; got {len(context)}.")
        return context[-self.season :][jnp.arange(steps) % self.season]
