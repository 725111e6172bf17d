"""A neural ordinary differential equation as a map: a learned field stepped by the classical Runge-Kutta method."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.keys import named_key

__all__ = ["NeuralODEStep", "runge_kutta"]


def runge_kutta(field, z: Float[Array, "*batch M"], dt: ArrayLike) -> Float[Array, "*batch M"]:
    """One step of the classical fourth-order method.

    Args:
        field: `z -> dz/dt`.
        z: states.
        dt: time step.

    Returns:
        States a time step later.

    Examples:
        >>> round(float(runge_kutta(lambda z: -z, jnp.ones(()), 0.1)), 5)  # exp(-0.1) = 0.904837
        0.90484
    """
    k1 = field(z)
    k2 = field(z + dt / 2 * k1)
    k3 = field(z + dt / 2 * k2)
    k4 = field(z + dt * k3)
    return z + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


class NeuralODEStep(eqx.Module):
    """`dz/dt = out(r + silu-layer(r)), r = tanh(in(z))`, advanced by `dt` in one Runge-Kutta step.

    Args:
        N: number of variables.
        size: width of the two hidden layers.
        key: drives the initial weights, normal with standard deviation 0.1; biases are zero.
        dt: time between two samples; 1 makes the field's unit of time the sampling interval.

    Attributes:
        layers: weights and biases `(W, b)` of the three layers.
        dt: time step, traced; it receives no gradient.

    References:
        Chen et al. (2018), NeurIPS, arXiv:1806.07366. Layout of Gilpin (2023), Phys. Rev. Research 5, 043252.

    Examples:
        >>> NeuralODEStep(3, 30, jr.key(0)).step(jnp.zeros((4, 3))).tolist()[0]
        [0.0, 0.0, 0.0]
    """

    layers: tuple[tuple[Float[Array, "out in"], Float[Array, " out"]], ...]
    dt: ArrayLike

    def __init__(self, N: int, size: int, key: Key[Array, ""], dt: ArrayLike = 1.0):
        shapes = {"in": (size, N), "residual": (size, size), "out": (N, size)}
        self.layers = tuple(
            (0.1 * jr.normal(named_key(key, name), shape), jnp.zeros(shape[0])) for name, shape in shapes.items()
        )
        self.dt = dt

    def field(self, z: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """Return the derivative by time."""
        (w_in, b_in), (w, b), (w_out, b_out) = self.layers
        r = jnp.tanh(z @ w_in.T + b_in)
        r = r + jax.nn.silu(r @ w.T + b)
        return r @ w_out.T + b_out

    def step(self, z: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """Advance states by one sampling interval."""
        return runge_kutta(self.field, z, jax.lax.stop_gradient(jnp.asarray(self.dt, z.dtype)))
