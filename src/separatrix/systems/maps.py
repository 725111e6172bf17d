"""Maps: those of the catalogue or a user's own, and two whose invariants are known in closed form."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float

from separatrix._core.process import AbstractProcess
from separatrix.systems.facts import Facts
from separatrix.systems.flow import as_array, observe

__all__ = ["LinearMap", "LogisticMap", "Map"]


class Map(AbstractProcess):
    """A discrete-time system, `state -> field(state, parameters)`.

    Attributes:
        field: `(state, parameters) -> next state`, the state being an array of shape `(dim,)`.
        parameters: any pytree, by habit a dictionary; its floats are traced.
        initial: state at the start, shape `(dim,)`.
        spread: standard deviation of the Gaussian added to `initial`, so that seeds differ.
        states: names of the coordinates.
        reported: `(state, parameters) -> reported coordinates`; None for the state.
        facts: what the catalogue knows of the system; None for others.
    """

    field: Callable[[Float[Array, " dim"], Any], Float[Array, " dim"]]
    parameters: Any
    initial: Float[Array, " dim"] = eqx.field(converter=as_array)
    spread: ArrayLike = 0.0
    states: tuple[str, ...] = eqx.field(static=True, default=())
    reported: Callable | None = None
    facts: Facts | None = eqx.field(static=True, default=None)

    def init(self, key):
        """Return the initial state, perturbed by `spread`."""
        start = jnp.asarray(self.initial)
        return start + self.spread * jr.normal(key, start.shape, start.dtype)

    def rhs(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """The next state."""
        return self.field(state, self.parameters)

    def jacobian(self, state: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """Derivative of the next state by the state."""
        return jax.jacfwd(self.rhs)(jnp.asarray(state))

    @property
    def invariants(self) -> dict[str, Any]:
        """Our stored invariants, by the names of `computed_invariants`; empty for other systems or parameters."""
        from separatrix.systems.computed import invariants_of  # the table is read when it is asked for

        return invariants_of(self)

    def observe(self, states: Float[ArrayLike, "*batch dim"]) -> Float[Array, "*batch reported"]:
        """Reported coordinates of states."""
        return observe(self, states)

    def step(self, state, x, key):
        """Apply the map once."""
        del x, key
        return self.field(state, self.parameters), {}


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
