"""Mean squared error of a classifier against one-hot targets."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

__all__ = ["one_hot_squared_error"]


def one_hot_squared_error(
    outputs: Float[Array, "*batch classes"], labels: Int[Array, "*batch"]
) -> Float[Array, "*batch"]:
    """Squared distance of the outputs from the one-hot code of the label, averaged over the classes.

    The mean over classes, and not their sum, is part of the definition: it divides gradients by the number of classes.

    Args:
        outputs: float array, classes on the last axis.
        labels: integer class of each example, in [0, classes).

    Returns:
        Loss per example, >= 0, in the dtype of `outputs`.

    Example:
        >>> one_hot_squared_error(jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.array([0, 0])).tolist()
        [0.0, 2.5]
    """
    outputs = jnp.asarray(outputs)
    targets = jax.nn.one_hot(labels, outputs.shape[-1], dtype=outputs.dtype)
    return jnp.mean((outputs - targets) ** 2, axis=-1)
