"""How many examples a softmax in finite precision has stopped learning from.

An example has collapsed where the rounded sum of exponentials equals the exponential of the largest logit. These
probes use the arithmetic of `softmax_cross_entropy` itself, in the precision of the *loss* (which may differ from
that of the model), so what they count is what the loss does. Evaluate them on the training batch.
"""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from separatrix.training.cross_entropy import check_labels, softmax_cross_entropy, softmax_terms

__all__ = ["collapse_mask", "logit_scale", "softmax_collapse", "zero_loss_fraction"]


def collapse_mask(
    logits: Float[Array, "*batch classes"],
    labels: Int[Array, "*batch"],
    precision: DTypeLike = "float32",
    require_correct: bool = True,
) -> Bool[Array, "*batch"]:
    """Which examples have a collapsed softmax.

    Args:
        logits: float array, classes on the last axis.
        labels: integer class of each example.
        precision: format in which the loss computes its softmax, as for `softmax_cross_entropy`.
        require_correct: count an example only if its largest logit is that of its label, which is when the gradient of
            the correct logit vanishes. Without it, examples that are confidently wrong count too; the code published
            with the paper counts them.

    Returns:
        Boolean per example. False where a logit is NaN or overflows the format.

    Raises:
        ValueError: as `softmax_cross_entropy`.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, definition of Softmax Collapse in section 3.

    Example:
        >>> logits = jnp.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]])
        >>> collapse_mask(logits, jnp.array([0, 0]), "float16").tolist()
        [True, False]
        >>> collapse_mask(logits, jnp.array([0, 0]), "float16", require_correct=False).tolist()
        [True, True]
    """
    logits, labels = check_labels(logits, labels)
    shifted, total = softmax_terms(logits, precision)
    collapsed = total == 1
    return collapsed & (jnp.argmax(shifted, axis=-1) == labels) if require_correct else collapsed


def softmax_collapse(
    logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"], precision: DTypeLike = "float32"
) -> Float[Array, ""]:
    """Fraction of examples predicted correctly by a collapsed softmax.

    Args:
        logits: float array, classes on the last axis.
        labels: integer class of each example.
        precision: format in which the loss computes its softmax, as for `softmax_cross_entropy`.

    Returns:
        Scalar in [0, 1], `float32`: the mean of `collapse_mask`.

    Raises:
        ValueError: as `softmax_cross_entropy`.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 3.

    Example:
        >>> margins = jnp.array([4.0, 8.0, 16.0, 32.0])[:, None] * jnp.array([1.0, 0.0])
        >>> [float(softmax_collapse(margins, jnp.zeros(4, int), p)) for p in ("bfloat16", "float16", "float32")]
        [0.75, 0.75, 0.25]
    """
    return jnp.mean(collapse_mask(logits, labels, precision), dtype=jnp.float32)


def zero_loss_fraction(
    logits: Float[Array, "*batch classes"], labels: Int[Array, "*batch"], precision: DTypeLike = "float32"
) -> Float[Array, ""]:
    """Fraction of examples whose cross-entropy is exactly zero.

    It is at least `softmax_collapse`, and above it only if the logarithm of a sum above 1 rounds to zero.

    Args:
        logits: float array, classes on the last axis.
        labels: integer class of each example.
        precision: as for `softmax_cross_entropy`.

    Returns:
        Scalar in [0, 1], `float32`.

    Raises:
        ValueError: as `softmax_cross_entropy`.

    Example:
        >>> float(zero_loss_fraction(jnp.array([[9.0, 0.0], [0.0, 9.0]]), jnp.array([0, 0]), "float16"))
        0.5
    """
    return jnp.mean(softmax_cross_entropy(logits, labels, precision) == 0, dtype=jnp.float32)


def logit_scale(logits: Float[Array, "..."]) -> Float[Array, ""]:
    """Largest absolute logit, which grows without bound under naive loss minimisation.

    Args:
        logits: float array of any shape.

    Returns:
        Scalar >= 0 in the dtype of `logits`; NaN if any logit is.

    Example:
        >>> float(logit_scale(jnp.array([[1.0, -7.0], [3.0, 2.0]])))
        7.0
    """
    return jnp.max(jnp.abs(jnp.asarray(logits)))
