"""Maps whose invariants are known in closed form."""

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float

from separatrix._core.process import AbstractProcess

__all__ = ["LinearMap", "LogisticMap"]


class LogisticMap(AbstractProcess):
    """`x -> rate x (1 - x)`; state is a scalar in [0, 1], drawn uniformly at the start.

    At `rate = 4` the Lyapunov exponent is ln 2; below 3 orbits settle on `1 - 1 / rate`.

    Attributes:
        rate: growth rate, in [0, 4].
    """

    rate: ArrayLike

    def init(self, key):
        """Draw the state uniformly."""
        return jr.uniform(key, dtype=jnp.result_type(self.rate, float))

    def step(self, state, x, key):
        """Apply the map once."""
        del x, key
        return self.rate * state * (1 - state), {}


class LinearMap(AbstractProcess):
    """`x -> matrix x`; state has shape `(dim,)`, standard normal at the start.

    The Lyapunov exponents are the logarithms of the moduli of the eigenvalues.

    Attributes:
        matrix: shape `(dim, dim)`.
    """

    matrix: Float[Array, "dim dim"]

    def init(self, key):
        """Draw the state from the standard normal."""
        return jr.normal(key, (self.matrix.shape[0],), self.matrix.dtype)

    def step(self, state, x, key):
        """Apply the map once."""
        del x, key
        return self.matrix @ state, {}
