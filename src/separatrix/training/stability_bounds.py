"""Conditions for the stability of gradient descent and SGD at a minimum that need no moment map.

Every function takes per-example Jacobians, as in `separatrix.training.sgd_stability`, and returns a learning rate or
an ingredient of one. For the threshold of SGD in mean square they bracket the exact one:

    one_step_threshold <= mean_square_threshold <= min(rayleigh_threshold, gd_threshold), rayleigh <= trace_threshold.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from separatrix.numerics.gauss_newton import smaller_gram
from separatrix.training.sgd_stability import check_jacobian, mean_sandwich, project, sampling_noise

__all__ = [
    "gd_threshold",
    "loss_stability_threshold",
    "noise_alignment",
    "non_uniformity",
    "one_step_threshold",
    "rayleigh_threshold",
    "trace_threshold",
]

Jacobian = Float[Array, "n *k p"]


def gd_threshold(jacobian: Jacobian, batch_size: int | None = None, replace: bool = False) -> Float[Array, ""]:
    """Largest learning rate at which full-batch gradient descent is linearly stable, `2 / lambda_max(H)`.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: not used; all thresholds share their arguments.
        replace: not used.

    Returns:
        Scalar; infinite if all gradients vanish.

    Raises:
        ValueError: if the shape is none of these.

    Example:
        >>> float(gd_threshold(jnp.array([[1.0, 0.0], [0.0, 2.0]])))  # H = diag(1, 4) / 2
        1.0
    """
    del batch_size, replace
    return 2 / jnp.linalg.eigvalsh(smaller_gram(check_jacobian(jacobian)))[-1]


def rayleigh_threshold(jacobian: Jacobian, batch_size: int, replace: bool = False) -> Float[Array, ""]:
    """Upper bound on the mean-square threshold of SGD from its Rayleigh quotient at the identity.

    A stable rate satisfies `[(1 - q) |H|_F^2 + q (1/n) sum_i |H_i|_F^2] / Tr H <= 2 / rate`, where `|H_i|_F = |g_i|^2`
    for scalar outputs. It needs no eigenvalue, and sharpens the trace bound of the paper.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.

    Returns:
        Scalar; NaN if all gradients vanish.

    Raises:
        ValueError: if the shape or the batch size is out of range.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> gradients = jnp.array([[1.0, 0, 0], [0, 2, 0], [1, 1, 1], [0, 1, -1]])
        >>> [round(float(rayleigh_threshold(gradients, size)), 4) for size in (1, 2, 4)]
        [0.6667, 1.1111, 1.6667]
    """
    jacobian = check_jacobian(jacobian)
    noise = sampling_noise(len(jacobian), batch_size, replace)
    gram = smaller_gram(jacobian)
    own = jnp.einsum("iap,ibp->iab", jacobian, jacobian)
    fourth = jnp.mean(jnp.sum(own**2, axis=(1, 2)))
    return 2 * jnp.trace(gram) / ((1 - noise) * jnp.sum(gram**2) + noise * fourth)


def trace_threshold(jacobian: Jacobian, batch_size: int = 1, replace: bool = False) -> Float[Array, ""]:
    """Upper bound on the mean-square threshold of SGD from the trace alone, `2 k / (q Tr H)` for k outputs.

    For scalar outputs and B = 1 it is the paper's condition `Tr H <= 2 / rate`. Necessary, and far from sufficient.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.

    Returns:
        Scalar; infinite for the full batch.

    Raises:
        ValueError: if the shape or the batch size is out of range.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> float(trace_threshold(jnp.array([[1.0, 0.0], [0.0, 2.0]])))
        0.800000011920929
    """
    jacobian = check_jacobian(jacobian)
    noise = sampling_noise(len(jacobian), batch_size, replace)
    return 2 * jacobian.shape[1] / (noise * jnp.sum(jacobian**2) / len(jacobian))


def one_step_threshold(jacobian: Jacobian, batch_size: int, replace: bool = False) -> Float[Array, ""]:
    """Largest learning rate at which no single step of SGD lengthens the distance to the minimum in mean square.

    The condition is `lambda_max{ (I - rate H)^2 + rate^2 q Sigma_H } <= 1` with `Sigma_H = (1/n) sum_i H_i^2 - H^2`,
    solved for the rate. It is sufficient for stability, not necessary.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.

    Returns:
        Scalar; infinite if all gradients vanish.

    Raises:
        ValueError: if the shape or the batch size is out of range.

    References:
        Wu, Ma, E (2018), NeurIPS, "How SGD selects the global minima in over-parameterized learning".

    Example:
        >>> round(float(one_step_threshold(jnp.diag(jnp.array([1.0, 2.0])), 1)), 6)  # orthogonal: the exact one, 2 / 4
        0.5
    """
    noise = sampling_noise(len(jacobian), batch_size, replace)
    rows, eigenvalues = project(jacobian)
    second = (1 - noise) * jnp.diag(eigenvalues**2) + noise * _mean_square(rows)
    root = jnp.where(eigenvalues > 0, jax.lax.rsqrt(jnp.where(eigenvalues > 0, eigenvalues, 1)), 0)
    return 2 / jnp.linalg.eigvalsh(root[:, None] * second * root)[-1]


def _mean_square(rows: Float[Array, "n k r"]) -> Float[Array, "r r"]:
    """The mean of H_i^2."""
    return mean_sandwich(rows, jnp.eye(rows.shape[-1], dtype=rows.dtype))


def non_uniformity(jacobian: Jacobian) -> Float[Array, ""]:
    """How much the examples' curvatures differ, `sqrt( lambda_max( (1/n) sum_i H_i^2 - H^2 ) )`.

    A minimum at which SGD is stable without lengthening any step has
    `non_uniformity <= sqrt(B (n - 1) / (n - B)) / rate`.

    Args:
        jacobian: per-example Jacobians, shape `(n, p)` or `(n, k, p)`.

    Returns:
        Scalar >= 0, in the units of H.

    Raises:
        ValueError: if the shape is none of these.

    References:
        Wu, Ma, E (2018), NeurIPS, "How SGD selects the global minima in over-parameterized learning".

    Example:
        >>> float(non_uniformity(jnp.array([[1.0], [3.0]])))  # the standard deviation of 1 and 9
        4.0
    """
    rows, eigenvalues = project(jacobian)
    largest = jnp.linalg.eigvalsh(_mean_square(rows) - jnp.diag(eigenvalues**2))[-1]
    return jnp.sqrt(jnp.maximum(largest, 0))


def noise_alignment(jacobian: Jacobian, residuals: Float[Array, "n *k"]) -> Float[Array, ""]:
    """How far the noise of stochastic gradients points along sharp directions, `mu = Tr(H Sigma) / (2 L |H|_F^2)`.

    Sigma is the covariance of the examples' gradients `J_i^T r_i` and `L = (1/2n) sum_i |r_i|^2`. Noise of covariance
    `2 L H`, aligned with the curvature, has mu = 1.

    Args:
        jacobian: per-example Jacobians, shape `(n, p)` or `(n, k, p)`.
        residuals: `f(x_i) - y_i`, shape `(n,)` or `(n, k)`.

    Returns:
        Scalar >= 0; NaN where the loss or the curvature is zero.

    Raises:
        ValueError: if the shapes do not fit.

    References:
        Wu, Wang, Su (2022), NeurIPS, arXiv 2207.02628.

    Example:
        >>> float(noise_alignment(jnp.array([[1.0], [1.0]]), jnp.array([1.0, -1.0])))
        1.0
    """
    blocks = check_jacobian(jacobian)
    residuals = jnp.asarray(residuals)
    if residuals.shape != jnp.shape(jacobian)[:-1]:
        raise ValueError(
            f"`residuals` must have the shape {jnp.shape(jacobian)[:-1]} of the outputs; got {residuals.shape}."
        )
    n, _, p = blocks.shape
    rows = blocks.reshape(-1, p)
    gradients = jnp.einsum("ikp,ik->ip", blocks, residuals.reshape(blocks.shape[:2]))
    centred = gradients - jnp.mean(gradients, axis=0)
    along = jnp.sum((centred @ rows.T) ** 2) / n**2  # Tr(H Sigma)
    return along / (jnp.sum(residuals**2) / n * jnp.sum(smaller_gram(blocks) ** 2))


def loss_stability_threshold(
    jacobian: Jacobian, batch_size: int, replace: bool = False, *, alignment: ArrayLike = 1.0
) -> Float[Array, ""]:
    """Upper bound on the learning rates at which the expected loss of SGD stays bounded, `1 / (sqrt(q mu) |H|_F)`.

    One step gives `E L' >= rate^2 q mu |H|_F^2 L` where the alignment is at least mu. With replacement this reads
    `|H|_F <= sqrt(B / mu) / rate`, whatever n and p are.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.
        alignment: lower bound mu on `noise_alignment` along the trajectory; 1 is noise of covariance `2 L H`.

    Returns:
        Scalar; infinite for the full batch.

    Raises:
        ValueError: if the shape or the batch size is out of range.

    References:
        Wu, Wang, Su (2022), NeurIPS, arXiv 2207.02628. Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> round(float(loss_stability_threshold(jnp.array([[1.0, 0.0], [0.0, 2.0]]), 1)), 4)  # 1 / |diag(1/2, 2)|
        0.4851
    """
    jacobian = check_jacobian(jacobian)
    noise = sampling_noise(len(jacobian), batch_size, replace)
    return 1 / (jnp.sqrt(noise * jnp.asarray(alignment)) * jnp.linalg.norm(smaller_gram(jacobian)))
