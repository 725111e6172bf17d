"""Flows as processes: a vector field stepped by the classical Runge-Kutta method."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from separatrix._core.process import AbstractProcess
from separatrix.systems.facts import Facts

__all__ = ["Flow", "as_array", "lorenz63", "observe", "reported_names"]


def as_array(values: Any) -> Any:
    """Return arrays as they are, so that NumPy's float64 outlives a 32-bit session, and turn the rest into arrays."""
    return values if isinstance(values, jax.Array | np.ndarray) else jnp.asarray(values)


class Flow(AbstractProcess):
    """An autonomous ordinary differential equation, one step of size `dt` a step.

    The step is the fourth-order Runge-Kutta method with a fixed step, in a plain loop: reproducible to the bit and
    without the overhead of step control; `simulate` integrates to a tolerance instead. Time that stands in the
    equations is one more coordinate, a clock with derivative 1, so that whatever works on a state works on driven
    systems too.

    Attributes:
        field: `(state, parameters) -> derivative`, the state being an array of shape `(dim,)`.
        parameters: any pytree, by habit a dictionary; its floats are traced.
        initial: state at time 0, shape `(dim,)`.
        dt: time step.
        spread: standard deviation of the Gaussian added to `initial`, so that seeds differ.
        period: dominant period in units of time, the unit of `simulate`'s granularity; None if unknown.
        states: names of the coordinates.
        reported: `(state, parameters) -> reported coordinates`, e.g. sines of unbounded phases; None for the state.
        facts: what the catalogue knows of the system; None for others.
    """

    field: Callable[[Float[Array, " dim"], Any], Float[Array, " dim"]]
    parameters: Any
    initial: Float[Array, " dim"] = eqx.field(converter=as_array)
    dt: float | Float[Array, ""]
    spread: ArrayLike = 0.0
    period: float | None = eqx.field(static=True, default=None)
    states: tuple[str, ...] = eqx.field(static=True, default=())
    reported: Callable | None = None
    facts: Facts | None = eqx.field(static=True, default=None)

    def init(self, key):
        """Return the initial state, perturbed by `spread`."""
        start = jnp.asarray(self.initial)
        return start + self.spread * jr.normal(key, start.shape, start.dtype)

    def rhs(self, state: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Time derivative at a state."""
        return self.field(state, self.parameters)

    def jacobian(self, state: Float[Array, " dim"]) -> Float[Array, "dim dim"]:
        """Derivative of `rhs`, entry `[i, j]` being that of component `i` by coordinate `j`."""
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
        """Advance time by `dt`."""
        del x, key
        f = lambda y: self.field(y, self.parameters)  # noqa: E731
        k1 = f(state)
        k2 = f(state + self.dt / 2 * k1)
        k3 = f(state + self.dt / 2 * k2)
        k4 = f(state + self.dt * k3)
        return state + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), {}


def observe(system: Any, states: Float[ArrayLike, "*batch dim"]) -> Float[Array, "*batch reported"]:
    """Reported coordinates of states: the state itself, or what `system.reported` makes of it.

    Args:
        system: a flow, delay flow or map.
        states: coordinates along the last axis.

    Returns:
        Reported coordinates along the last axis.
    """
    states = jnp.asarray(states)
    if system.reported is None:
        return states
    rows = states.reshape(-1, states.shape[-1])
    out = jax.vmap(lambda x: system.reported(x, system.parameters))(rows)
    return out.reshape(*states.shape[:-1], -1)


def reported_names(system: Any) -> tuple[str, ...]:
    """Names of the reported coordinates of a system.

    Args:
        system: a flow, delay flow or map.

    Returns:
        The expressions of the catalogue's row, the names of the states, or `x0, x1, ...`.
    """
    dim = np.shape(system.initial)[-1]
    if system.reported is None:
        return system.states or tuple(f"x{i}" for i in range(dim))
    if hasattr(system.reported, "text"):
        return tuple(part.strip() for part in system.reported.text.split(";"))
    shape = jax.eval_shape(lambda x: system.reported(x, system.parameters), jnp.asarray(system.initial)).shape
    return tuple(f"y{i}" for i in range(shape[0]))


def _lorenz(state, p):
    x, y, z = state
    return jnp.stack([p["sigma"] * (y - x), x * (p["rho"] - z) - y, x * y - p["beta"] * z])


def lorenz63(
    sigma: ArrayLike = 10.0, rho: ArrayLike = 28.0, beta: ArrayLike = 8 / 3, dt: Any = 0.01, dtype=None
) -> Flow:
    """Lorenz's system of 1963; its leading exponent at the defaults is 0.9056 per unit time.

    Args:
        sigma: Prandtl number.
        rho: Rayleigh number over its critical value.
        beta: geometric factor.
        dt: time step.
        dtype: of the state; the default float by default.

    Returns:
        A flow that starts near the attractor.

    References:
        Lorenz (1963), J. Atmos. Sci. 20, 130-141. Sprott (2003), Chaos and Time-Series Analysis, for the exponents.
    """
    initial = jnp.array([1.0, 1.0, 20.0], dtype or jax.dtypes.canonicalize_dtype(float))
    parameters = {"sigma": sigma, "rho": rho, "beta": beta}
    return Flow(_lorenz, parameters, initial, dt, 1e-3, period=1.5008, states=("x", "y", "z"))
