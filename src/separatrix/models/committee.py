"""A committee of neurons with fixed, equal votes: the smallest network that can be lazy or rich."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["CommitteeQuadratic", "committee_weights"]


def committee_weights(
    key: PRNGKeyArray, width: int, dim: int, dtype: DTypeLike = jnp.float32
) -> Float[Array, "width dim"]:
    """Initial weights of a committee: independent standard normal.

    Args:
        key: drives the weights.
        width: number of neurons.
        dim: number of inputs.
        dtype: float dtype.

    Returns:
        One row a neuron.

    Raises:
        ValueError: if a size is not positive, or `dtype` is no usable float format.

    Example:
        >>> committee_weights(jr.key(0), width=3, dim=2).shape
        (3, 2)
    """
    if width < 1 or dim < 1:
        raise ValueError(f"`width` and `dim` must be at least 1; got {width} and {dim}.")
    return jr.normal(key, (width, dim), resolve_float_dtype(dtype))


class CommitteeQuadratic(eqx.Module):
    """Mean of neurons with a quadratic activation, `f(x) = (1/N) sum_i phi(w_i . x)`, `phi(h) = h + (eps/2) h^2`.

    Only the weights learn. eps says how much of the target's quadratic part the initial tangent kernel sees,
    `(x . x') + eps^2 (x . x')^2` for many neurons. The output scale alpha is put on with `scaled` or `LazyScale`.

    Args:
        key: drives the initial weights, `committee_weights`.
        dim: number of inputs D; they are expected to have variance 1/D each.
        width: number of neurons N.
        eps: curvature of the activation; a traced leaf that receives no gradient.
        dtype: float dtype of the weights.

    Attributes:
        weights: `(width, dim)`.
        eps: curvature.

    Raises:
        ValueError: as `committee_weights`.

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.

    Example:
        >>> model = CommitteeQuadratic(jr.key(0), dim=3, width=5, eps=0.0)
        >>> x = jnp.array([1.0, 0.0, 0.0])  # linear for eps = 0: the mean weight
        >>> bool(jnp.allclose(model(x), model.weights.mean(0)[0]))
        True
    """

    weights: Float[Array, "width dim"]
    eps: Any

    def __init__(
        self,
        key: PRNGKeyArray,
        dim: int,
        width: int = 200,
        eps: float | Float[Array, ""] = 0.25,
        dtype: DTypeLike = jnp.float32,
    ):
        self.weights = committee_weights(key, width, dim, dtype)
        self.eps = eps

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        """Output for one example."""
        h = self.weights @ x
        eps = lax.stop_gradient(jnp.asarray(self.eps, h.dtype))
        return jnp.mean(h + eps / 2 * h**2)
