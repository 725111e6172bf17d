"""Sequentially thresholded least squares: the regression that finds sparse laws, with a fixed number of passes."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = ["stlsq"]


def stlsq(
    theta: Float[Array, "samples p"],
    y: Float[Array, "samples q"],
    alpha: ArrayLike = 0.0,
    threshold: ArrayLike = 0.1,
    iters: int = 20,
) -> Float[Array, "p q"]:
    """Ridge regression whose small coefficients are removed again and again.

    A pass solves `(theta^T theta + alpha I) c = theta^T y` on the columns that are left, for each target by itself, and
    removes those with `|c| < threshold`. A removed column never returns; once nothing is removed, further passes change
    nothing, so the fixed number of passes only bounds the work. Removed columns have exact zeros. The ridge shrinkage
    of the last pass remains: refit by least squares on the support if that matters.

    The normal equations square the condition number: use float64 (`jax.enable_x64()`) where columns differ by orders of
    magnitude. Everything but `iters` is traced, so a grid over `alpha` and `threshold` is a `vmap`.

    Args:
        theta: library evaluated at the samples.
        y: targets: next states, or derivatives.
        alpha: ridge penalty.
        threshold: smallest modulus of a coefficient that stays.
        iters: passes.

    Returns:
        Coefficients. With `alpha = 0` and columns that are linearly dependent on the samples they are not finite.

    Raises:
        ValueError: if `iters` is below 1 or the samples do not match.

    Examples:
        >>> y = jnp.array([[1.0], [0.05], [0.001]])
        >>> stlsq(jnp.eye(3), y, alpha=0.0, threshold=0.1)[:, 0].tolist()
        [1.0, 0.0, 0.0]

    References:
        Brunton, Proctor, Kutz (2016), PNAS 113, 3932-3937.
    """
    if iters < 1:
        raise ValueError(f"`iters` must be at least 1; got {iters}.")
    if theta.ndim != 2 or y.ndim != 2 or len(theta) != len(y):
        raise ValueError(f"`theta` and `y` must be matrices of equally many rows; got {theta.shape} and {y.shape}.")
    gram, moment = theta.T @ theta, theta.T @ y
    identity = jnp.eye(len(gram), dtype=gram.dtype)

    def fit(kept: Float[Array, " p"], target: Float[Array, " p"]) -> Float[Array, " p"]:
        system = kept[:, None] * gram * kept[None, :] + alpha * identity + jnp.diag(1 - kept)
        return kept * jnp.linalg.solve(system, kept * target)

    def one_target(target):
        def one_pass(_, carry):
            kept, coefficients = carry
            kept = kept * (jnp.abs(coefficients) >= threshold)
            return kept, fit(kept, target)

        everything = jnp.ones_like(target)
        first = fit(everything, target)
        return jax.lax.fori_loop(1, iters, one_pass, (everything, first))

    kept, coefficients = jax.vmap(one_target, in_axes=1, out_axes=1)(moment)
    return jnp.where(kept * (jnp.abs(coefficients) >= threshold), coefficients, 0.0)
