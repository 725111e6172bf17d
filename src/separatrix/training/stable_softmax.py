"""StableMax: a softmax whose exponential is replaced by a function that grows linearly and decays hyperbolically.

With `s(x) = x + 1` for `x >= 0` and `1 / (1 - x)` below, probabilities `s(x_i) / sum s(x_j)` change with the logits so
slowly that no class is absorbed at the sizes training reaches. It is the softmax of `sign(x) log(1 + |x|)`.
"""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from separatrix.numerics.rounding import resolve_float_dtype
from separatrix.training.cross_entropy import check_labels

__all__ = ["log_stablemax", "stablemax", "stablemax_cross_entropy"]


def _split_sign(x: Array) -> tuple[Array, Array, Array]:
    # Each branch sees only arguments for which it is finite, so that the branch not taken has no NaN gradient.
    positive = x >= 0
    return positive, jnp.where(positive, x, 0), jnp.where(positive, 0, -x)


def stablemax(logits: Float[Array, "*dims"], axis: int = -1) -> Float[Array, "*dims"]:
    """Class probabilities `s(x_i) / sum_j s(x_j)`.

    Args:
        logits: float array.
        axis: axis of the classes.

    Returns:
        Probabilities shaped and typed like `logits`, summing to 1 along `axis`.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 4.1.

    Example:
        Here s is 3, 1/2, 3/2, which add up to 5.

        >>> print(stablemax(jnp.array([2.0, -1.0, 0.5])))
        [0.6 0.1 0.3]
    """
    positive, above, below = _split_sign(jnp.asarray(logits))
    s = jnp.where(positive, 1 + above, 1 / (1 + below))
    return s / jnp.sum(s, axis=axis, keepdims=True)


def log_stablemax(logits: Float[Array, "*dims"], axis: int = -1) -> Float[Array, "*dims"]:
    """Logarithm of `stablemax`, computed as the log-softmax of `sign(x) log(1 + |x|)`.

    Args:
        logits: float array.
        axis: axis of the classes.

    Returns:
        Log-probabilities in nat, shaped and typed like `logits`.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 4.1.

    Example:
        >>> print(jnp.exp(log_stablemax(jnp.array([2.0, -1.0, 0.5]))).round(6))
        [0.6 0.1 0.3]
    """
    positive, above, below = _split_sign(jnp.asarray(logits))
    return jax.nn.log_softmax(jnp.where(positive, jnp.log1p(above), -jnp.log1p(below)), axis=axis)


def stablemax_cross_entropy(
    logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"], dtype: DTypeLike | None = None
) -> Float[Array, "*batch"]:
    """Cross-entropy of the StableMax, per example: `-log stablemax(z)_label`.

    Args:
        logits: float array, classes on the last axis.
        labels: integer class of each example, in [0, classes); a label >= classes gives NaN.
        dtype: float type to compute in. By default that of the logits; the code published with the paper uses
            `float64`.

    Returns:
        Loss per example in nat, in `dtype`. The gradient has the dtype of `logits`.

    Raises:
        ValueError: if the shapes do not fit, the labels are not integers, or `dtype` is `float64` while 64-bit types
            are disabled.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 4.1.

    Example:
        -log .6 = .5108 for the first row; s is 1, 4, 1/5 in the second, and -log(.2 / 5.2) = 3.2581.

        >>> logits = jnp.array([[2.0, -1.0, 0.5], [0.0, 3.0, -4.0]])
        >>> print(stablemax_cross_entropy(logits, jnp.array([0, 2])).round(4))
        [0.5108 3.2581]
    """
    logits, labels = check_labels(logits, labels)
    if dtype is not None:
        logits = logits.astype(resolve_float_dtype(dtype))
    return -jnp.take_along_axis(log_stablemax(logits), labels[..., None], axis=-1)[..., 0]
