"""Batch normalisation with its running statistics in the open: training and evaluation are two functions."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["BatchNorm", "BatchStatistics"]


class BatchStatistics(NamedTuple):
    """Running mean and variance of each feature.

    Attributes:
        mean: shape `(features,)`.
        variance: of the population, estimated without bias; shape `(features,)`.
    """

    mean: Float[Array, " features"]
    variance: Float[Array, " features"]

    @classmethod
    def standard(cls, features: int, dtype: DTypeLike = jnp.float32) -> "BatchStatistics":
        """Return mean 0 and variance 1, what the running statistics start from."""
        dtype = resolve_float_dtype(dtype)
        return cls(jnp.zeros(features, dtype), jnp.ones(features, dtype))


class BatchNorm(eqx.Module):
    """Standardise each feature over the leading axes of a batch, then scale and shift it.

    Args:
        features: length of the last axis.
        momentum: weight of the newest batch in the running statistics.
        eps: added to the variance.
        dtype: float dtype of the parameters.

    Attributes:
        scale: gamma, `(features,)`, ones at the start.
        shift: beta, `(features,)`, zeros at the start.
        momentum: weight of the newest batch in the running statistics, static.
        eps: added to the variance, static.

    References:
        Ioffe, Szegedy (2015), ICML, arXiv 1502.03167.

    Example:
        >>> norm, x = BatchNorm(1), jnp.array([[1.0], [3.0]])
        >>> y, statistics = norm(x, BatchStatistics.standard(1))
        >>> [round(float(v), 3) for v in y[:, 0]], round(float(statistics.mean[0]), 3)
        ([-1.0, 1.0], 0.2)
    """

    scale: Float[Array, " features"]
    shift: Float[Array, " features"]
    momentum: float = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5, dtype: DTypeLike = jnp.float32):
        dtype = resolve_float_dtype(dtype)
        self.scale, self.shift = jnp.ones(features, dtype), jnp.zeros(features, dtype)
        self.momentum, self.eps = momentum, eps

    def __call__(
        self, x: Float[Array, "*batch features"], statistics: BatchStatistics
    ) -> tuple[Float[Array, "*batch features"], BatchStatistics]:
        """Normalise by the statistics of this batch.

        Args:
            x: at least two values of each feature.
            statistics: running statistics before this batch.

        Returns:
            The result, and the running statistics after this batch; no gradient flows through the latter.

        Raises:
            ValueError: if there is a single value of each feature, whose variance is unknown.
        """
        axes, count = tuple(range(x.ndim - 1)), x.size // x.shape[-1]
        if count < 2:
            raise ValueError(f"the statistics of a batch need at least two examples; got shape {x.shape}.")
        mean, variance = jnp.mean(x, axes), jnp.var(x, axes)
        newest = BatchStatistics(mean, variance * count / (count - 1))
        moved = [(1 - self.momentum) * old + self.momentum * new for old, new in zip(statistics, newest, strict=True)]
        return self._apply(x, mean, variance), BatchStatistics(*(lax.stop_gradient(value) for value in moved))

    def evaluate(
        self, x: Float[Array, "*batch features"], statistics: BatchStatistics
    ) -> Float[Array, "*batch features"]:
        """Normalise by the running statistics; each example on its own.

        Args:
            x: any batch.
            statistics: running statistics.

        Returns:
            The result.
        """
        return self._apply(x, statistics.mean, statistics.variance)

    def _apply(self, x: Array, mean: Array, variance: ArrayLike) -> Array:
        return (x - mean) * lax.rsqrt(jnp.asarray(variance) + self.eps) * self.scale + self.shift
