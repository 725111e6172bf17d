"""Regression with a kernel, and how hard a task is for it.

In its eigenbasis a kernel learns the components of the target one by one, at rates given by the eigenvalues: a task is
easy if its power lies in the leading eigenvectors.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = ["TaskPower", "kernel_difficulty", "kernel_regression", "task_power"]


def kernel_regression(
    kernel: Float[Array, "n n"],
    targets: Float[Array, "n *outputs"],
    kernel_test: Float[Array, "m n"],
    ridge: ArrayLike = 0.0,
    rcond: float | None = None,
) -> Float[Array, "m *outputs"]:
    """Predictions of kernel (ridge) regression, `K_test (K + ridge I)^(-1) y`.

    Without a ridge, eigenvalues below `rcond` times the largest are left out, as in a pseudo-inverse: a kernel of less
    than full rank then gives the interpolating or least-squares function of smallest norm.

    Args:
        kernel: symmetric positive semi-definite kernel of the n training examples.
        targets: their targets.
        kernel_test: kernel between m test examples and the training examples.
        ridge: added to the diagonal, at least 0.
        rcond: cut-off; `10 n` machine epsilons by default.

    Returns:
        Predictions for the test examples.

    Example:
        >>> x, y = jnp.array([[1.0], [2.0]]), jnp.array([2.0, 4.0])
        >>> round(float(kernel_regression(x @ x.T, y, jnp.array([[3.0]]) @ x.T)[0]), 4)  # y = 2 x, rank one
        6.0
    """
    values, vectors = jnp.linalg.eigh(kernel)
    cut = (10 * len(kernel) * float(jnp.finfo(kernel.dtype).eps) if rcond is None else rcond) * values[-1]
    kept = values > cut
    inverse = jnp.where(kept, 1, 0) / (jnp.where(kept, values, 1) + ridge)
    flat = targets.reshape(len(targets), -1)
    predictions = kernel_test @ (vectors @ (inverse[:, None] * (vectors.T @ flat)))
    return predictions.reshape(len(kernel_test), *targets.shape[1:])


def kernel_difficulty(
    kernel: Float[Array, "n n"], targets: Float[Array, "n *outputs"], ridge: ArrayLike = 0.0
) -> Float[Array, ""]:
    """Squared norm of the function that fits, `tr(Y^T (K + ridge I)^(-1) Y)`; large for a misaligned kernel.

    Args:
        kernel: symmetric positive definite kernel, or any positive semi-definite one with a ridge.
        targets: what to fit.
        ridge: added to the diagonal.

    Returns:
        Scalar >= 0; infinite if the kernel has a zero eigenvalue along the targets.

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.

    Example:
        >>> float(kernel_difficulty(jnp.diag(jnp.array([4.0, 1.0])), jnp.array([2.0, 0.0])))
        1.0
    """
    values, vectors = jnp.linalg.eigh(kernel)
    parts = jnp.sum((vectors.T @ targets.reshape(len(targets), -1)) ** 2, axis=1)
    return jnp.sum(jnp.where(parts > 0, parts / jnp.where(parts > 0, values + ridge, 1), 0))


class TaskPower(NamedTuple):
    """A target in the eigenbasis of a kernel.

    Attributes:
        eigenvalues: of the kernel, decreasing.
        power: share of the target's squared norm along each eigenvector.
        cumulative: share within the leading eigenvectors, increasing to 1.
    """

    eigenvalues: Float[Array, " n"]
    power: Float[Array, " n"]
    cumulative: Float[Array, " n"]


def task_power(kernel: Float[Array, "n n"], targets: Float[Array, "n *outputs"]) -> TaskPower:
    """Decompose targets in the eigenbasis of a kernel.

    Args:
        kernel: symmetric kernel of n examples.
        targets: not all zero.

    Returns:
        Eigenvalues and shares of power; the shares sum to 1.

    References:
        Canatar, Bordelon, Pehlevan (2021), Nature Communications 12, 2914, arXiv 2006.13198.

    Example:
        >>> task_power(jnp.diag(jnp.array([1.0, 3.0])), jnp.array([0.0, 5.0])).cumulative.tolist()
        [1.0, 1.0]
    """
    values, vectors = jnp.linalg.eigh(kernel)
    parts = jnp.sum((vectors.T @ targets.reshape(len(targets), -1)) ** 2, axis=1)[::-1]
    power = parts / jnp.sum(parts)
    return TaskPower(values[::-1], power, jnp.cumsum(power))
