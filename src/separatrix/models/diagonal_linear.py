"""The diagonal linear network, a linear predictor that is the product of two weights for each input."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["DiagonalLinear", "unbalanced_diagonal"]


class DiagonalLinear(eqx.Module):
    """The network `f(x) = sum_j a_j b_j x_j`, linear in x and not in its parameters.

    Under gradient flow on any loss of f, `a_j^2 - b_j^2` is conserved for every j. For inputs of second moment s2 in
    each coordinate the population Gauss-Newton trace is `s2 (|a|^2 + |b|^2) >= 2 s2 |a b|_1`, with equality if and only
    if `|a_j| = |b_j|` for every j (balanced).

    Args:
        key: drives the initial weights, normal of mean zero.
        dim: number of inputs.
        scale: their standard deviation.
        dtype: float dtype of the weights.

    Attributes:
        a: shape `(dim,)`.
        b: shape `(dim,)`.

    Raises:
        ValueError: if `dim` is not positive, or `dtype` is no usable float format.

    References:
        Woodworth et al. (2020), COLT, arXiv 2002.09277. Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> net = DiagonalLinear(jr.key(0), dim=4)
        >>> x = jnp.arange(4.0)
        >>> bool(jnp.allclose(net(x), net.coefficients() @ x))
        True
    """

    a: Float[Array, " dim"]
    b: Float[Array, " dim"]

    def __init__(self, key: PRNGKeyArray, dim: int, *, scale: float = 1.0, dtype: DTypeLike = jnp.float32):
        if dim < 1:
            raise ValueError(f"`dim` must be at least 1; got {dim}.")
        dtype = resolve_float_dtype(dtype)
        self.a, self.b = (scale * jr.normal(jr.fold_in(key, i), (dim,), dtype) for i in range(2))

    def __call__(self, x: Float[Array, " dim"]) -> Float[Array, ""]:
        """Prediction for one example."""
        return (self.a * self.b) @ x

    def coefficients(self) -> Float[Array, " dim"]:
        """The linear predictor, `a b` elementwise."""
        return self.a * self.b

    def path_norm(self) -> Float[Array, ""]:
        """The l1 norm of the predictor, `sum_j |a_j b_j|`."""
        return jnp.sum(jnp.abs(self.a * self.b))

    def population_trace(self, second_moment: ArrayLike = 1.0) -> Float[Array, ""]:
        """Trace of the Gauss-Newton matrix over inputs with `E x_j^2 = second_moment`."""
        return jnp.asarray(second_moment) * (jnp.sum(self.a**2) + jnp.sum(self.b**2))

    def balance_score(self) -> Float[Array, ""]:
        """The population trace over its lower bound, `(|a|^2 + |b|^2) / (2 |a b|_1)`; 1 when balanced."""
        return self.population_trace() / (2 * self.path_norm())


def unbalanced_diagonal(
    key: PRNGKeyArray, dim: int, ratio: ArrayLike, *, scale: float = 0.1**0.5, dtype: DTypeLike = jnp.float32
) -> DiagonalLinear:
    """A diagonal linear network whose balance score is `ratio` at the start.

    `a` is normal and `b_j = +-c a_j` with random signs and `c = ratio + sqrt(ratio^2 - 1)`.

    Args:
        key: drives weights and signs.
        dim: number of inputs.
        ratio: balance score, at least 1, traced: a grid of it is a `vmap`.
        scale: standard deviation of `a`; its square is 0.1 by default.
        dtype: float dtype of the weights.

    Returns:
        The network.

    Raises:
        ValueError: as `DiagonalLinear`; or if `ratio` is a number below 1.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> round(float(unbalanced_diagonal(jr.key(0), 100, ratio=4.0).balance_score()), 4)
        4.0
    """
    if isinstance(ratio, int | float) and not (1 <= ratio < math.inf):
        raise ValueError(f"`ratio` must be at least 1 and finite; got {ratio}.")
    net = DiagonalLinear(key, dim, scale=scale, dtype=dtype)
    signs = jr.rademacher(jr.fold_in(key, 2), (dim,), net.a.dtype)
    ratio = jnp.asarray(ratio, net.a.dtype)
    c = ratio + jnp.sqrt(jax.nn.relu(ratio**2 - 1))
    return eqx.tree_at(lambda m: m.b, net, c * signs * net.a)
