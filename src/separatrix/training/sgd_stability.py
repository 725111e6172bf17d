"""Linear stability of stochastic gradient descent at an interpolating minimum, from per-example Jacobians.

Near a minimum where all residuals vanish, a step of SGD with rate eta on a batch S of B of the n examples is the random
linear map `delta <- (I - eta H_S) delta` with `H_S = (1/B) sum_{i in S} H_i` and `H_i = J_i^T J_i`, and one of gradient
descent has `H = (1/n) sum_i H_i` in place of H_S. The second moment M of delta then evolves by

    T(M) = (I - eta H) M (I - eta H) + eta^2 q [ (1/n) sum_i H_i M H_i - H M H ],

where `q = (n - B) / (B (n - 1))` for batches without replacement and `q = 1 / B` for independent draws. SGD can stay at
the minimum in mean square if and only if the spectral radius of T is at most 1. As `T = I - 2 eta C + eta^2 D` with
`C(M) = (H M + M H) / 2` and `D(M) = (1 - q) H M H + (q/n) sum_i H_i M H_i`, this is `eta <= 2 / lambda_max(C^+ D)`.

All of this is for the loss `L = (1/2n) sum_i |f(x_i) - y_i|^2`; without the half every threshold is halved. Jacobians
have shape (n, p), or (n, k, p) for k outputs. Thresholds compare numbers near 1: use float64.

References:
    Wu, Su (2023), ICML, arXiv 2305.17490. Mulayoff, Michaeli (2023), arXiv 2306.07850 (the closed form).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float

__all__ = [
    "LARGEST_DENSE",
    "MomentMap",
    "Projected",
    "check_jacobian",
    "mean_sandwich",
    "mean_square_radius",
    "mean_square_threshold",
    "mean_square_threshold_by_power",
    "project",
    "sampling_noise",
    "sgd_moment_map",
]

LARGEST_DENSE = 2_500  # symmetric matrices of order 70; beyond it eigenvalues are found by iteration

Jacobian = Float[Array, "n *k p"]


def sampling_noise(num_examples: int, batch_size: int, replace: bool = False) -> float:
    """Variance of a mean over a batch, in units of the variance of one example: the factor q.

    Args:
        num_examples: n.
        batch_size: B, from 1 to n (any size with replacement).
        replace: whether each example is drawn independently.

    Returns:
        `1 / B` with replacement, else `(n - B) / (B (n - 1))`, which is 0 for the full batch.

    Raises:
        ValueError: if the batch size is out of range.

    Example:
        >>> sampling_noise(5, 2), sampling_noise(5, 5), sampling_noise(5, 2, replace=True)
        (0.375, 0.0, 0.5)
    """
    if batch_size < 1 or (batch_size > num_examples and not replace):
        raise ValueError(f"`batch_size` must lie in 1..{num_examples}; got {batch_size}.")
    if replace:
        return 1 / batch_size
    return (num_examples - batch_size) / (batch_size * (num_examples - 1)) if num_examples > 1 else 0.0


def check_jacobian(jacobian: Jacobian) -> Float[Array, "n k p"]:
    """Return Jacobians with an axis for the outputs, or say what is wrong with them.

    Args:
        jacobian: shape `(n, p)` or `(n, k, p)`.

    Returns:
        Shape `(n, k, p)`.

    Raises:
        ValueError: if the shape is neither, or an axis is empty.

    Example:
        >>> check_jacobian(jnp.ones((4, 2))).shape
        (4, 1, 2)
    """
    jacobian = jnp.asarray(jacobian)
    if jacobian.ndim not in (2, 3) or not jacobian.size:
        raise ValueError(f"`jacobian` must have shape (n, p) or (n, k, p), without empty axes; got {jacobian.shape}.")
    return jacobian if jacobian.ndim == 3 else jacobian[:, None, :]


class MomentMap(eqx.Module):
    """The map T that a step of SGD applies to the second moment of the distance to the minimum; see `sgd_moment_map`.

    Attributes:
        jacobian: per-example Jacobians, shape `(n, k, p)`.
        rate: learning rate.
        noise: the factor q of `sampling_noise`.
    """

    jacobian: Float[Array, "n k p"]
    rate: ArrayLike
    noise: ArrayLike

    def __call__(self, moment: Float[Array, "p p"]) -> Float[Array, "p p"]:
        """Second moment after one step, from the symmetric second moment before it."""
        n = len(self.jacobian)
        rows = self.jacobian.reshape(-1, self.jacobian.shape[-1])
        apply = lambda m: rows.T @ (rows @ m) / n  # noqa: E731 (the product H m, which never forms H)
        once = apply(moment)
        both = apply(once.T)
        extra = self.noise * (mean_sandwich(self.jacobian, moment) - both)
        return moment - self.rate * (once + once.T) + self.rate**2 * (both + extra)


def mean_sandwich(jacobian: Float[Array, "n k p"], moment: Float[Array, "p p"]) -> Float[Array, "p p"]:
    """Mean over the examples of `H_i M H_i`, in O(n k p^2).

    Args:
        jacobian: shape `(n, k, p)`.
        moment: the matrix M.

    Returns:
        Shape `(p, p)`.

    Example:
        >>> mean_sandwich(jnp.array([[[1.0]], [[2.0]]]), jnp.ones((1, 1))).tolist()  # (1 + 16) / 2
        [[8.5]]
    """
    inner = jnp.einsum("iap,pq,ibq->iab", jacobian, moment, jacobian, optimize="optimal")
    return jnp.einsum("iap,iab,ibq->pq", jacobian, inner, jacobian, optimize="optimal") / len(jacobian)


def sgd_moment_map(jacobian: Jacobian, rate: ArrayLike, batch_size: int, replace: bool = False) -> MomentMap:
    """The linear map on symmetric matrices by which SGD moves the second moment `E delta delta^T`.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        rate: learning rate, traced.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.

    Returns:
        A callable from a symmetric `(p, p)` matrix to another, in O(n k p^2); leaves are traced.

    Raises:
        ValueError: if the shape or the batch size is out of range.

    Example:
        >>> moments = sgd_moment_map(jnp.array([[1.0], [2.0]]), rate=0.1, batch_size=1)
        >>> round(float(moments(jnp.ones((1, 1)))[0, 0]), 6), (0.9**2 + 0.6**2) / 2
        (0.585, 0.585)
    """
    jacobian = check_jacobian(jacobian)
    return MomentMap(jacobian, rate, sampling_noise(len(jacobian), batch_size, replace))


class Projected(NamedTuple):
    """Jacobians on an orthonormal basis of the eigenvectors of H that the gradients span.

    Attributes:
        jacobian: shape `(n, k, r)` with `r = min(nk, p)`.
        eigenvalues: of H in this basis, descending, exactly 0 where they are below rounding; shape `(r,)`.
    """

    jacobian: Float[Array, "n k r"]
    eigenvalues: Float[Array, " r"]


def project(jacobian: Jacobian) -> Projected:
    """Express Jacobians on the span of their rows, where SGD's distance to the minimum changes; H becomes diagonal.

    Nothing is lost but the null space of H, on which delta never moves (T is the identity there).

    Args:
        jacobian: per-example Jacobians, shape `(n, p)` or `(n, k, p)`.

    Returns:
        Jacobians with the same inner products, and the eigenvalues of H.

    Raises:
        ValueError: if the shape is none of these.

    Example:
        >>> project(jnp.array([[3.0, 4.0, 0.0]])).eigenvalues.tolist()
        [25.0]
    """
    jacobian = check_jacobian(jacobian)
    n, k, p = jacobian.shape
    left, scale, _ = jnp.linalg.svd(jacobian.reshape(n * k, p), full_matrices=False)
    scale = jnp.where(scale > jnp.finfo(scale.dtype).eps * max(n * k, p) * scale[0], scale, 0)
    return Projected((left * scale).reshape(n, k, -1), scale**2 / n)


def _inverse_root(values: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(values > 0, jax.lax.rsqrt(jnp.where(values > 0, values, 1)), 0)


def _mean_eigenvalues(eigenvalues: Float[Array, " r"]) -> Float[Array, "r r"]:
    """The operator C, which is diagonal on the eigenvectors of H."""
    return (eigenvalues[:, None] + eigenvalues[None, :]) / 2


class _Parts(NamedTuple):
    """C (a diagonal) and D on an orthonormal basis of the symmetric matrices; `inside` marks those on range(H)."""

    c: Float[Array, " m"]
    d: Float[Array, "m m"]
    inside: Bool[Array, " m"]


def _dense_parts(jacobian: Jacobian, noise: float) -> _Parts:
    rows, eigenvalues = project(jacobian)
    n, k, r = rows.shape
    size = r * (r + 1) // 2
    if size > LARGEST_DENSE:
        raise ValueError(
            f"the gradients span {r} dimensions, so the moment map is a matrix of order {size}, above {LARGEST_DENSE}. "
            f"Use `mean_square_threshold_by_power`."
        )
    a, b = jnp.triu_indices(r)
    weight = jnp.where(a == b, 0.5, jnp.sqrt(0.5)).astype(rows.dtype)
    left, right = rows[:, :, None, :], rows[:, None, :, :]
    features = weight * (left[..., a] * right[..., b] + left[..., b] * right[..., a])  # g_c^T E_ab g_d
    features = features.reshape(n * k * k, size)
    d = (1 - noise) * jnp.diag(eigenvalues[a] * eigenvalues[b]) + noise * features.T @ features / n
    inside = (eigenvalues[a] > 0) & (eigenvalues[b] > 0)
    return _Parts(_mean_eigenvalues(eigenvalues)[a, b], d, inside)


def mean_square_threshold(jacobian: Jacobian, batch_size: int, replace: bool = False) -> Float[Array, ""]:
    """Largest learning rate at which SGD is stable in mean square at the minimum, exactly.

    The condition is `E |delta_t|^2 <= const |delta_0|^2` for all t. The threshold grows with the batch; for the full
    batch it is that of gradient descent, `2 / lambda_max(H)`; for orthogonal gradients and B = 1 it is
    `2 / max_i |g_i|^2`.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`, that span at most 70 dimensions.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.

    Returns:
        Scalar; infinite if all gradients vanish.

    Raises:
        ValueError: if a shape or the batch size is out of range, or the gradients span too many dimensions.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490. Mulayoff, Michaeli (2023), arXiv 2306.07850.

    Example:
        >>> with jax.enable_x64():
        ...     gradients = jnp.array([[1.0, 0, 0], [0, 2, 0], [1, 1, 1], [0, 1, -1]], jnp.float64)
        ...     [round(float(mean_square_threshold(gradients, size)), 10) for size in (1, 2, 4)]
        [0.6150571641, 0.9692945305, 1.280176042]
    """
    parts = _dense_parts(jacobian, sampling_noise(len(jacobian), batch_size, replace))
    root = _inverse_root(parts.c)
    return 2 / jnp.linalg.eigvalsh(root[:, None] * parts.d * root)[-1]


def mean_square_radius(jacobian: Jacobian, rate: ArrayLike, batch_size: int, replace: bool = False) -> Float[Array, ""]:
    """Spectral radius of the moment map on the span of the gradients: the growth of E |delta|^2 in one step, at last.

    T maps positive semi-definite matrices to such matrices, so its radius is its largest eigenvalue. Directions in
    which no gradient points keep their moment (factor 1) and are left out.

    Args:
        jacobian: as for `mean_square_threshold`.
        rate: learning rate, traced.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.

    Returns:
        Scalar, 1 at the threshold.

    Raises:
        ValueError: as `mean_square_threshold`.

    Example:
        >>> gradients = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> round(float(mean_square_radius(gradients, 0.5, 1)), 6)  # the threshold is 2 / 4
        1.0
    """
    c, d, inside = _dense_parts(jacobian, sampling_noise(len(jacobian), batch_size, replace))
    map_on_span = jnp.diag(1 - 2 * rate * c) + rate**2 * d
    return jnp.linalg.eigvalsh(jnp.where(inside[:, None] & inside, map_on_span, 0))[-1]


def mean_square_threshold_by_power(
    jacobian: Jacobian,
    batch_size: int,
    replace: bool = False,
    *,
    tolerance: float = 1e-6,
    max_iterations: int = 10_000,
) -> Float[Array, ""]:
    """The threshold of `mean_square_threshold` by power iteration on r x r matrices, for gradients of any number.

    A product costs O(n k r^2). The estimate is a Rayleigh quotient, so it never lies below the exact threshold (up to
    rounding); at the end its relative error is at most `tolerance`, unless the iterations ran out.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.
        tolerance: stop when the residual is below this fraction of the eigenvalue; keep it above the resolution of the
            dtype.
        max_iterations: bound on the number of products.

    Returns:
        Scalar; infinite if all gradients vanish.

    Raises:
        ValueError: if a shape or the batch size is out of range.

    Example:
        >>> gradients = jnp.diag(jnp.array([1.0, 2.0, 3.0]))
        >>> round(float(mean_square_threshold_by_power(gradients, 1)), 4)  # 2 / 9
        0.2222
    """
    noise = sampling_noise(len(jacobian), batch_size, replace)
    rows, eigenvalues = project(jacobian)
    root = _inverse_root(_mean_eigenvalues(eigenvalues))

    def product(m):
        m = root * m
        sandwich = eigenvalues[:, None] * m * eigenvalues
        return root * ((1 - noise) * sandwich + noise * mean_sandwich(rows, m))

    def step(carry):
        m, _, _, count = carry
        image = product(m)
        value = jnp.vdot(m, image)
        residual = jnp.linalg.norm(image - value * m)
        length = jnp.linalg.norm(image)
        return image / jnp.where(length > 0, length, 1), value, residual, count + 1

    def unfinished(carry):
        _, value, residual, count = carry
        return (count < max_iterations) & (residual > tolerance * value)

    start = jnp.diag(eigenvalues > 0).astype(rows.dtype)  # positive, so it meets the positive leading matrix
    start = start / jnp.maximum(jnp.linalg.norm(start), 1)
    zero = jnp.zeros((), rows.dtype)
    _, value, _, _ = jax.lax.while_loop(unfinished, step, (start, zero, zero + jnp.inf, 0))
    return 2 / value
