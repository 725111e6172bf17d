"""Softmax cross-entropy in a stated floating-point precision, forward and backward.

With p bits of precision a class whose probability is below 2^-p of the largest is absorbed: the sum of exponentials
rounds to 1, the loss and the gradient of the correct logit become *exactly* zero, and training on that example stops.
When this happens depends on the precision of every operation and on the order of the sum, so both are part of the
definition here: logits are rounded first, every intermediate value is rounded, and the sum is a balanced tree.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int

from separatrix.numerics.rounding import pairwise_sum, resolve_float_dtype, round_to, rounded_exp, rounded_log

__all__ = ["check_labels", "log_softmax", "mask_correct_class", "softmax_cross_entropy", "softmax_terms"]


def _on_grid(logits: Array, name: str) -> Array:
    """Round the logits to a format; carry half formats in float32 and the others in their own dtype."""
    logits = jnp.asarray(logits)
    carrier = jnp.promote_types(name, jnp.float32)
    wide = logits.astype(jnp.promote_types(logits.dtype, carrier))
    return round_to(wide, name).astype(carrier)


@partial(jax.jit, static_argnums=1)
def _terms(z: Array, name: str) -> tuple[Array, Array]:
    shifted = round_to(z - lax.stop_gradient(jnp.max(z, axis=-1, keepdims=True)), name)
    return shifted, pairwise_sum(round_to(rounded_exp(shifted), name), axis=-1, dtype=name)


@partial(jax.jit, static_argnums=1)
def _log_probabilities(z: Array, name: str) -> Array:
    shifted, total = _terms(z, name)
    return round_to(shifted - round_to(rounded_log(total), name)[..., None], name)


def softmax_terms(
    logits: Float[Array, "*batch classes"], precision: DTypeLike = "float32"
) -> tuple[Float[Array, "*batch classes"], Float[Array, "*batch"]]:
    """Logits minus their maximum, and the sum of their exponentials, as the loss computes them.

    A softmax has collapsed where the sum is exactly 1, its smallest possible value.

    Args:
        logits: float array, classes on the last axis.
        precision: `"float16"`, `"bfloat16"`, `"float32"`, `"float64"` or a dtype.

    Returns:
        The shifted logits and the sum over classes, which lies in [1, classes]; both on the grid of `precision`, in
        `float32` (`float64` for `float64`).

    Raises:
        ValueError: if `precision` is no float format, or is `float64` while 64-bit types are disabled.

    Example:
        >>> shifted, total = softmax_terms(jnp.array([10.0, 2.0, 2.0]), "float16")
        >>> shifted.tolist(), float(total)  # exp(-8) = 3.4e-4; twice that exceeds half the spacing 2^-10
        ([0.0, -8.0, -8.0], 1.0)
    """
    name = resolve_float_dtype(precision).name
    return _terms(_on_grid(logits, name), name)


def log_softmax(
    logits: Float[Array, "*dims"], precision: DTypeLike = "float32", axis: int = -1
) -> Float[Array, "*dims"]:
    """Log-probabilities of the classes, every operation rounded to a float format.

    Computed as `z - max z - log(sum exp(z - max z))` from logits rounded to `precision`. The gradient, in reverse
    mode only, is `g - softmax * sum(g)`, rounded to `precision`.

    Args:
        logits: float array.
        precision: `"float16"`, `"bfloat16"`, `"float32"`, `"float64"` or a dtype.
        axis: axis of the classes.

    Returns:
        Array shaped like `logits`, in nat, on the grid of `precision`; its dtype is `float32`, and `float64` for
        `precision="float64"`. NaN where a logit overflows the format (above 65504 in `float16`).

    Raises:
        ValueError: if `precision` is no float format, or is `float64` while 64-bit types are disabled.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 3.

    Example:
        >>> log_softmax(jnp.array([0.0, 0.0])).tolist()  # -log 2 in float32, float16
        [-0.6931471824645996, -0.6931471824645996]
        >>> log_softmax(jnp.array([0.0, 0.0]), "float16").tolist()
        [-0.693359375, -0.693359375]
    """
    name = resolve_float_dtype(precision).name
    z = jnp.moveaxis(_on_grid(logits, name), axis, -1)
    return jnp.moveaxis(_log_softmax(z, name), -1, axis)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _log_softmax(z: Array, name: str) -> Array:
    return _log_probabilities(z, name)


def _log_softmax_fwd(z: Array, name: str):
    log_probabilities = _log_probabilities(z, name)
    return log_probabilities, log_probabilities


def _log_softmax_bwd(name: str, log_probabilities: Array, g: Array):
    softmax = round_to(rounded_exp(log_probabilities), name)
    total = pairwise_sum(g, axis=-1, dtype=name)[..., None]
    return (round_to(g - round_to(softmax * total, name), name),)


_log_softmax.defvjp(_log_softmax_fwd, _log_softmax_bwd)


def softmax_cross_entropy(
    logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"], precision: DTypeLike = "float32"
) -> Float[Array, "*batch"]:
    """Cross-entropy of the softmax, per example, every operation rounded to a float format.

    The loss is `log(sum exp(z - max z)) - (z_label - max z)`. The gradient is `softmax - onehot` with
    `softmax = exp(log_softmax)`, times the incoming gradient, rounded to `precision`: at a collapsed example that is
    predicted correctly, both the loss and the gradient of the correct logit are exactly zero. Eager, compiled and
    batched evaluation agree to the bit. Differentiable in reverse mode (and forward over reverse).

    Args:
        logits: float array of any dtype, classes on the last axis.
        labels: integer class of each example, in [0, classes); a label >= classes gives NaN.
        precision: `"float16"`, `"bfloat16"`, `"float32"`, `"float64"` or a dtype.

    Returns:
        Loss per example in nat, >= 0, on the grid of `precision`. It is returned in `float32` (`float64` for
        `precision="float64"`), so that a mean over examples adds no coarser rounding. NaN where a logit overflows the
        format. The gradient has the dtype of `logits`.

    Raises:
        ValueError: if the shapes do not fit, the labels are not integers, `precision` is no float format, or is
            `float64` while 64-bit types are disabled.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, sections 3 and 4.

    Example:
        The float32 softmax of three classes collapses between a margin of 16 and one of 18.

        >>> logits = jnp.array([[16.0, 0.0, 0.0], [18.0, 0.0, 0.0]])
        >>> softmax_cross_entropy(logits, jnp.array([0, 0])).tolist()  # 2^-22 - 2^-45 and 0
        [2.3841855067985307e-07, 0.0]
        >>> jax.grad(softmax_cross_entropy)(logits[1], jnp.array(0)).tolist()  # exp(-18) = 1.523e-8
        [0.0, 1.5229979055675358e-08, 1.5229979055675358e-08]
    """
    name = resolve_float_dtype(precision).name
    logits, labels = check_labels(logits, labels)
    return _cross_entropy(_on_grid(logits, name), labels, name)


def check_labels(logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]) -> tuple[Array, Array]:
    """Return both as arrays, or say why they do not fit.

    Args:
        logits: float array, classes on the last axis.
        labels: integer array shaped like `logits` without its last axis.

    Returns:
        Logits and labels as JAX arrays.

    Raises:
        ValueError: if the labels are not integers or the shapes do not fit.

    Example:
        >>> check_labels(jnp.zeros((5, 3)), jnp.zeros(4, int))
        Traceback (most recent call last):
        ...
        ValueError: `labels` must have the shape of `logits` without its last axis, (5,); got (4,).
    """
    logits, labels = jnp.asarray(logits), jnp.asarray(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(f"`labels` must be integer classes, not one-hot or float; got dtype {labels.dtype}.")
    if logits.ndim == 0 or labels.shape != logits.shape[:-1]:
        raise ValueError(
            f"`labels` must have the shape of `logits` without its last axis, {logits.shape[:-1]}; got {labels.shape}."
        )
    return logits, labels


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _cross_entropy(z: Array, labels: Array, name: str) -> Array:
    return _cross_entropy_fwd(z, labels, name)[0]


def _cross_entropy_fwd(z: Array, labels: Array, name: str):
    log_probabilities = _log_probabilities(z, name)
    correct = jnp.take_along_axis(log_probabilities, labels[..., None], axis=-1)[..., 0]
    return 0.0 - correct, (log_probabilities, labels)  # 0 - 0 is +0


def _cross_entropy_bwd(name: str, residuals: tuple[Array, Array], g: Array):
    log_probabilities, labels = residuals
    softmax = round_to(rounded_exp(log_probabilities), name)
    onehot = jax.nn.one_hot(labels, softmax.shape[-1], dtype=softmax.dtype)
    return round_to(g[..., None] * (softmax - onehot), name), None


_cross_entropy.defvjp(_cross_entropy_fwd, _cross_entropy_bwd)


def mask_correct_class(loss_fn: Callable[..., Array]) -> Callable[..., Array]:
    """Zero the gradient of a loss with respect to the correct class's logit, and leave its value as it is.

    This does by hand, from the first step on, what the collapse of the softmax does to an example, and is the control
    that shows this part of the gradient to be what generalisation needs.

    Args:
        loss_fn: loss `(logits, labels, *args) -> loss` with classes on the last axis of `logits`.

    Returns:
        A function with the same arguments.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, appendix.

    Example:
        >>> logits, label = jnp.zeros(4), jnp.array(1)
        >>> jax.grad(softmax_cross_entropy)(logits, label).tolist()
        [0.25, -0.75, 0.25, 0.25]
        >>> jax.grad(mask_correct_class(softmax_cross_entropy))(logits, label).tolist()
        [0.25, 0.0, 0.25, 0.25]
    """

    def masked(logits: Array, labels: Array, *args, **kwargs) -> Array:
        logits, labels = check_labels(logits, labels)
        correct = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
        return loss_fn(jnp.where(correct, lax.stop_gradient(logits), logits), labels, *args, **kwargs)

    return masked
