"""How strong teacher forcing must be: estimates of Jacobian norms, and the strength that just tames them.

With strength `alpha` every Jacobian in the backward product carries a factor `1 - alpha`, so `alpha = 1 - 1 / sigma`
keeps the product of Jacobians of norm up to `sigma` below one for every length. The estimators differ in how they
summarise the Jacobians along the states that data imply.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = [
    "AdaptiveAlpha",
    "arithmetic_mean",
    "batch_maximum",
    "estimate_alpha",
    "explog",
    "jacobian_upper_bound",
    "optimal_alpha",
    "product_upper_bound",
    "spectral_norms",
]

Estimator = Callable[[Any, Float[Array, "T *batch M"]], Float[Array, ""]]
SQUARINGS = 8
TINY = 1e-20


def spectral_norms(matrices: Float[Array, "*batch M M"]) -> Float[Array, "*batch"]:
    """Largest singular values of many small matrices, by repeated squaring.

    A power of two of `J^T J` singles out the leading direction, whose Rayleigh quotient is taken; all matrices go
    through the same products, which is far quicker than one decomposition each. The relative error is below 1e-3,
    downwards, and far smaller unless two singular values nearly agree.

    Args:
        matrices: square matrices.

    Returns:
        Their spectral norms.

    Examples:
        >>> spectral_norms(jnp.diag(jnp.array([3.0, -4.0]))).round(4).tolist()
        4.0
    """
    gram = jnp.swapaxes(matrices, -1, -2) @ matrices
    trace = lambda g: jnp.trace(g, axis1=-2, axis2=-1)[..., None, None]  # noqa: E731
    power = gram / jnp.maximum(trace(gram), TINY)
    for _ in range(SQUARINGS):
        power = power @ power
        power = power / jnp.maximum(trace(power), TINY)
    column = jnp.argmax(jnp.diagonal(power, axis1=-2, axis2=-1), axis=-1)
    v = jnp.take_along_axis(power, column[..., None, None], axis=-1)[..., 0]
    value = jnp.sum((matrices @ v[..., None])[..., 0] ** 2, axis=-1) / jnp.maximum(jnp.sum(v**2, axis=-1), TINY)
    return jnp.sqrt(value)


def jacobian_upper_bound(model: Any, zbar: Float[Array, "T *batch M"]) -> Float[Array, ""]:
    """The model's own bound, `max |A| + |W1| |W2|`; it holds everywhere and is the most cautious.

    Args:
        model: with `norm_bound()`.
        zbar: not used.

    Returns:
        An upper bound on the norm of every Jacobian.
    """
    del zbar
    return model.norm_bound()


def batch_maximum(model: Any, zbar: Float[Array, "T *batch M"]) -> Float[Array, ""]:
    """Largest norm of a Jacobian at any of the states.

    Args:
        model: with `jacobian(z)`.
        zbar: states inferred from data, time first.

    Returns:
        The maximum.
    """
    return jnp.max(spectral_norms(model.jacobian(zbar)))


def product_upper_bound(model: Any, zbar: Float[Array, "T *batch M"]) -> Float[Array, ""]:
    """Geometric mean over time of the norms, the largest of all sequences: a bound on their product. The default.

    Args:
        model: with `jacobian(z)`.
        zbar: states inferred from data, time first.

    Returns:
        The norm per step.
    """
    logs = jnp.log(jnp.maximum(spectral_norms(model.jacobian(zbar)), TINY))
    return jnp.exp(jnp.max(jnp.mean(logs, axis=0)))


def arithmetic_mean(model: Any, zbar: Float[Array, "T *batch M"]) -> Float[Array, ""]:
    """Norm of the mean Jacobian over time, the largest of all sequences.

    Args:
        model: with `jacobian(z)`.
        zbar: states inferred from data, time first.

    Returns:
        The norm.
    """
    return jnp.max(spectral_norms(jnp.mean(model.jacobian(zbar), axis=0)))


def explog(model: Any, zbar: Float[Array, "T *batch M"]) -> Float[Array, ""]:
    """Norm of the geometric mean of matrices, `|exp(mean log J_t)|`, the largest of all sequences.

    The logarithm of a matrix is taken through its eigenvectors, on the CPU only. Eigenvalues below 1e-6 in modulus are
    lifted to it, as the logarithm of a singular matrix does not exist.

    Args:
        model: with `jacobian(z)`.
        zbar: states inferred from data, time first.

    Returns:
        The norm.
    """
    values, vectors = jnp.linalg.eig(model.jacobian(zbar))
    modulus = jnp.abs(values)
    values = jnp.where(modulus < 1e-6, 1e-6, values)
    logs = (vectors * jnp.log(values)[..., None, :]) @ jnp.linalg.inv(vectors)
    mean = jax.scipy.linalg.expm(jnp.mean(logs, axis=0))
    return jnp.max(jnp.linalg.norm(mean, ord=2, axis=(-2, -1)))


def optimal_alpha(sigma: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    """The weakest forcing that keeps products of Jacobians of norm `sigma` bounded, `max(0, 1 - 1 / sigma)`.

    Args:
        sigma: norm of a Jacobian.

    Returns:
        Strength in [0, 1).

    Examples:
        >>> optimal_alpha(jnp.array([0.5, 1.0, 2.0])).tolist()
        [0.0, 0.0, 0.5]
    """
    return jnp.maximum(0.0, 1 - 1 / jnp.asarray(sigma, float))


def estimate_alpha(
    model: Any, zbar: Float[Array, "T *batch M"], estimator: Estimator = product_upper_bound
) -> Float[Array, ""]:
    """Strength of forcing from the states that data imply.

    Args:
        model: with `jacobian(z)` and, for `jacobian_upper_bound`, `norm_bound()`.
        zbar: states inferred from data, time first.
        estimator: how Jacobians are summarised.

    Returns:
        Strength in [0, 1).

    References:
        Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406, section 3 and appendix.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.models import ClippedShallowPLRNN
        >>> zbar = jr.normal(jr.key(1), (10, 4, 3))
        >>> alpha = estimate_alpha(ClippedShallowPLRNN(3, 20, jr.key(0)), zbar, jacobian_upper_bound)
        >>> 0 < float(alpha) < 1
        True
    """
    return optimal_alpha(estimator(model, zbar))


class AdaptiveAlpha(eqx.Module):
    """Strength that follows the estimates: up at once, down slowly.

    Every `every` steps, `alpha <- estimate` if the estimate is larger, else `gamma alpha + (1 - gamma) estimate`.

    Attributes:
        estimator: how Jacobians are summarised.
        gamma: memory of the way down.
        every: steps between two estimates.
    """

    estimator: Estimator = product_upper_bound
    gamma: ArrayLike = 0.999
    every: int = eqx.field(static=True, default=5)

    def update(self, alpha: Float[Array, ""], estimate: Float[Array, ""]) -> Float[Array, ""]:
        """Return the strength after an estimate."""
        return jnp.where(estimate > alpha, estimate, self.gamma * alpha + (1 - self.gamma) * estimate)

    def __call__(self, alpha: Float[Array, ""], step: Any, model: Any, zbar: Any) -> Float[Array, ""]:
        """Return the strength to use in the update that follows `step` completed ones."""

        def estimate():
            return self.update(alpha, estimate_alpha(model, zbar, self.estimator).astype(alpha.dtype))

        return jax.lax.cond(step % self.every == 0, estimate, lambda: alpha)
