"""Flows as processes: a vector field stepped by the classical Runge-Kutta method."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float

from separatrix._core.process import AbstractProcess

__all__ = ["Flow", "lorenz63"]


class Flow(AbstractProcess):
    """An autonomous ordinary differential equation, one step of size `dt` a step.

    The solver is the fourth-order Runge-Kutta method with a fixed step, in a plain loop: reproducible to the bit and
    without the overhead of step control. Stiff systems need another.

    Attributes:
        field: `(state, parameters) -> derivative`, the state being an array of shape `(dim,)`.
        parameters: any pytree; its floats are traced.
        initial: state at time 0, shape `(dim,)`.
        dt: time step.
        spread: standard deviation of the Gaussian added to `initial`, so that seeds differ.
    """

    field: Callable[[Float[Array, " dim"], dict[str, ArrayLike]], Float[Array, " dim"]]
    parameters: dict[str, ArrayLike]
    initial: Float[Array, " dim"] = eqx.field(converter=jnp.asarray)
    dt: ArrayLike
    spread: ArrayLike = 0.0

    def init(self, key):
        """Return the initial state, perturbed by `spread`."""
        return self.initial + self.spread * jr.normal(key, self.initial.shape, self.initial.dtype)

    def step(self, state, x, key):
        """Advance time by `dt`."""
        del x, key
        f = lambda y: self.field(y, self.parameters)  # noqa: E731
        k1 = f(state)
        k2 = f(state + self.dt / 2 * k1)
        k3 = f(state + self.dt / 2 * k2)
        k4 = f(state + self.dt * k3)
        return state + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), {}


def _lorenz(state, p):
    x, y, z = state
    return jnp.stack([p["sigma"] * (y - x), x * (p["rho"] - z) - y, x * y - p["beta"] * z])


def lorenz63(
    sigma: ArrayLike = 10.0, rho: ArrayLike = 28.0, beta: ArrayLike = 8 / 3, dt: ArrayLike = 0.01, dtype=None
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
    return Flow(_lorenz, {"sigma": sigma, "rho": rho, "beta": beta}, initial, dt, 1e-3)
