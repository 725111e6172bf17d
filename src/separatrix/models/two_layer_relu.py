"""Two-layer ReLU network without biases, whose population sharpness has a closed form."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["TwoLayerReLU"]


class TwoLayerReLU(eqx.Module):
    """The network `f(x) = sum_j a_j relu(w_j . x)`.

    For inputs uniform on the sphere of radius `sqrt(dim)` the population Gauss-Newton trace is
    `(1/2) sum_j (|w_j|^2 + dim a_j^2)`, at least `sqrt(dim)` times the path norm `sum_j |a_j| |w_j|`, with equality if
    and only if `|w_j| = sqrt(dim) |a_j|` for every j (balanced). Gradient flow conserves `|w_j|^2 - a_j^2`.

    Args:
        key: drives the initial weights: `a` standard normal, `w` normal of standard deviation `dim**-0.25`.
        dim: number of inputs.
        width: number of hidden units.
        dtype: float dtype of the weights.

    Attributes:
        w: shape `(width, dim)`; rows are the hidden units.
        a: shape `(width,)`.

    Raises:
        ValueError: if a size is not positive, or `dtype` is no usable float format.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> net = TwoLayerReLU(jr.key(0), dim=5, width=3)
        >>> x = jnp.ones(5)
        >>> bool(jnp.allclose(net(2 * x), 2 * net(x)))
        True
    """

    w: Float[Array, "width dim"]
    a: Float[Array, " width"]

    def __init__(self, key: PRNGKeyArray, dim: int, width: int, *, dtype: DTypeLike = jnp.float32):
        if dim < 1 or width < 1:
            raise ValueError(f"`dim` and `width` must be at least 1; got {dim} and {width}.")
        dtype = resolve_float_dtype(dtype)
        self.w = dim**-0.25 * jr.normal(jr.fold_in(key, 0), (width, dim), dtype)
        self.a = jr.normal(jr.fold_in(key, 1), (width,), dtype)

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        """Prediction for one example."""
        return self.a @ jax.nn.relu(self.w @ x)

    def path_norm(self) -> Float[Array, ""]:
        """The norm `sum_j |a_j| |w_j|`, which bounds the network's complexity."""
        return jnp.sum(jnp.abs(self.a) * jnp.linalg.norm(self.w, axis=1))

    def population_trace(self) -> Float[Array, ""]:
        """Trace of the Gauss-Newton matrix over inputs uniform on the sphere of radius `sqrt(dim)`."""
        return (jnp.sum(self.w**2) + self.w.shape[1] * jnp.sum(self.a**2)) / 2

    def balance_score(self) -> Float[Array, ""]:
        """The population trace over its lower bound `sqrt(dim)` times the path norm; 1 when balanced."""
        return self.population_trace() / (math.sqrt(self.w.shape[1]) * self.path_norm())
