"""How sharp a loss is: top eigenvalue, trace and norm of its Hessian, as it is and as an optimiser sees it.

Gradient descent with rate r is stable along a direction of curvature c while `c < 2 / r`; `stability_limit` has the
forms with momentum. Adam divides by a diagonal matrix P, so what counts there is the top eigenvalue of `P^-1 H`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, PyTree

from separatrix.numerics.flat import FlatView, widen
from separatrix.numerics.lanczos import Eigenpairs, eigenpairs
from separatrix.numerics.operators import CurvatureOperator, hessian_operator
from separatrix.numerics.per_example import Loss
from separatrix.numerics.trace_estimators import Estimate, hutchinson_trace

__all__ = [
    "Sharpness",
    "adam_preconditioner",
    "frobenius_norm",
    "hessian_trace",
    "preconditioned_sharpness",
    "sharpness",
    "stability_limit",
]


class Sharpness(NamedTuple):
    """A top eigenvalue with its convergence.

    Attributes:
        value: largest eigenvalue, in units of loss per squared parameter (dimensionless where preconditioned by squared
            gradients).
        vector: its unit eigenvector, flat; pass it as the next `start`.
        residual: `|H v - value v|`; an eigenvalue lies within it.
        converged: whether the residual is within the tolerance.
        num_matvecs: Hessian-vector products taken.
    """

    value: Float[Array, ""]
    vector: Float[Array, " dim"]
    residual: Float[Array, ""]
    converged: Bool[Array, ""]
    num_matvecs: Int[Array, ""]


def sharpness(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    *,
    start: PyTree | Float[Array, " dim"] | None = None,
    tolerance: float = 1e-3,
    max_matvecs: int = 200,
    chunk_size: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Sharpness:
    """Largest eigenvalue of the Hessian of a loss.

    Args:
        loss: `(params, batch) -> ` a scalar, or the loss of each example, of which the mean is taken.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the loss takes, arrays with the examples along their leading axes.
        start: warm start, such as the last `vector` along a training run, flat or structured like `params`. A little
            noise is added, so that a new leading direction is found; not-finite or zero starts are replaced.
        tolerance: relative residual at which to stop; the eigenvalue is then mostly far more accurate.
        max_matvecs: products after which to stop unconverged.
        chunk_size: examples in memory at once; the loss must be a mean over examples if it is given.
        key: for the start and the noise; fixed by default.

    Returns:
        The eigenvalue with its vector and convergence. A Hessian that is not finite gives NaN.

    Examples:
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2) / 2
        >>> found = sharpness(loss, jnp.zeros(2), jnp.array([[1.0, 0.0], [0.0, 2.0]]))
        >>> float(found.value), bool(found.converged)
        (2.0, True)

    References:
        Cohen, Kaur, Li, Kolter, Talwalkar (2021), ICLR, arXiv:2103.00065.
    """
    operator = hessian_operator(loss, params, batch, chunk_size=chunk_size)
    return top_eigenvalue(operator, start, tolerance, max_matvecs, key)


@eqx.filter_jit
def top_eigenvalue(
    operator: Any,
    start: PyTree | None = None,
    tolerance: float = 1e-3,
    max_matvecs: int = 200,
    key: Key[Array, ""] | None = None,
) -> Sharpness:
    """Largest eigenvalue of an operator with a `view`, as `sharpness` finds it.

    Args:
        operator: a `CurvatureOperator` or one like it.
        start: warm start.
        tolerance: relative residual at which to stop.
        max_matvecs: products after which to stop.
        key: for the start and the noise.

    Returns:
        The eigenvalue with its vector and convergence.
    """
    key = jr.key(0) if key is None else key
    view: FlatView = operator.view
    noise = jr.normal(key, (view.dim,), view.dtype)
    vector = noise if start is None else _warm(view, start, noise)
    pairs: Eigenpairs = eigenpairs(
        operator, vector, 1, tolerance=tolerance, max_matvecs=max_matvecs, key=jr.fold_in(key, 1)
    )
    return Sharpness(pairs.values[0], pairs.vectors[0], pairs.residuals[0], pairs.converged[0], pairs.num_matvecs)


def _warm(view: FlatView, start: PyTree, noise: Float[Array, " dim"]) -> Float[Array, " dim"]:
    flat = isinstance(start, jax.Array) and start.shape == noise.shape
    vector = start.astype(view.dtype) if flat else view.ravel(start)
    norm = jnp.linalg.norm(vector)
    usable = jnp.isfinite(norm) & (norm > 0)
    # One part in a hundred: the eigenvector of a nearby Hessian costs nothing, and nothing is orthogonal to it.
    mixed = vector / jnp.where(usable, norm, 1) + 0.01 * noise / jnp.linalg.norm(noise)
    return jnp.where(usable, mixed, noise)


def hessian_trace(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    key: Key[Array, ""],
    *,
    num_matvecs: int = 30,
    chunk_size: int | None = None,
    estimator: Callable[..., Estimate] = hutchinson_trace,
) -> Estimate:
    """Trace of the Hessian of a loss.

    Args:
        loss: `(params, batch) -> ` a scalar, or the loss of each example, of which the mean is taken.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the loss takes.
        key: draws the random vectors.
        num_matvecs: Hessian-vector products.
        chunk_size: examples in memory at once; the loss must be a mean over examples if it is given.
        estimator: `hutchinson_trace`, `hutch_pp_trace`, `xtrace`, or one with their arguments.

    Returns:
        The estimate with its standard error.

    Examples:
        >>> import jax.random as jr
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2) / 2
        >>> round(hessian_trace(loss, jnp.zeros(2), jnp.array([[1.0, 0.0], [0.0, 2.0]]), jr.key(0)).value.item(), 4)
        2.5
    """
    operator = hessian_operator(loss, params, batch, chunk_size=chunk_size)
    return estimator(operator, key, num_matvecs=num_matvecs)


def frobenius_norm(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    key: Key[Array, ""],
    *,
    num_matvecs: int = 30,
    chunk_size: int | None = None,
    of: Callable[..., CurvatureOperator] = hessian_operator,
) -> Estimate:
    """Frobenius norm of the Hessian of a loss, the root of the sum of its squared eigenvalues.

    Args:
        loss: `(params, batch) -> ` a scalar, or the loss of each example, of which the mean is taken.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the loss takes.
        key: draws the random vectors.
        num_matvecs: products; the square of the norm is the mean of `|H z|^2` over random signs z.
        chunk_size: examples in memory at once; the loss must be a mean over examples if it is given.
        of: `hessian_operator` or `empirical_fisher_operator`.

    Returns:
        The estimate; the root makes it biased downwards by half its squared relative error.

    Examples:
        >>> import jax.random as jr
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2)
        >>> data = jnp.array([[1.0, 0.0], [0.0, 2.0]])  # the Hessian is diag(1, 4)
        >>> round(frobenius_norm(loss, jnp.zeros(2), data, jr.key(0)).value.item() ** 2, 3)
        17.0
    """
    return norm_of(of(loss, params, batch, chunk_size=chunk_size), key, num_matvecs)


@eqx.filter_jit
def norm_of(operator: Any, key: Key[Array, ""], num_matvecs: int) -> Estimate:
    """Frobenius norm of a symmetric operator.

    Args:
        operator: with `dim`, `dtype` and `linearised`.
        key: draws the random vectors.
        num_matvecs: products.

    Returns:
        The estimate.
    """
    product = operator.linearised()

    def one(i):
        image = product(jr.rademacher(jr.fold_in(key, i), (operator.dim,), operator.dtype))
        return image @ image

    squares = jax.lax.map(one, jnp.arange(num_matvecs))
    value = jnp.sqrt(jnp.mean(squares))
    spread = jnp.std(squares, ddof=1) / jnp.sqrt(num_matvecs) if num_matvecs > 1 else jnp.full_like(value, jnp.nan)
    return Estimate(value, spread / (2 * jnp.where(value == 0, 1, value)), jnp.int32(num_matvecs))


class _Preconditioned(eqx.Module):
    """`P^-1/2 H P^-1/2`, which has the eigenvalues of `P^-1 H` and is symmetric."""

    inner: CurvatureOperator
    inverse_root: Float[Array, " dim"]

    @property
    def view(self) -> FlatView:
        return self.inner.view

    @property
    def dim(self) -> int:
        return self.inner.dim

    @property
    def dtype(self) -> Any:
        return self.inner.dtype

    def linearised(self):
        product = self.inner.linearised()
        return lambda vector: self.inverse_root * product(self.inverse_root * vector)


def preconditioned_sharpness(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    preconditioner: PyTree,
    *,
    start: Float[Array, " dim"] | None = None,
    tolerance: float = 1e-3,
    max_matvecs: int = 200,
    chunk_size: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Sharpness:
    """Largest eigenvalue of `P^-1 H` for a diagonal matrix P, the curvature that a preconditioned optimiser sees.

    Along training with full-batch Adam it rises to `stability_limit(rate, b1, b1)`, 38 / rate for `b1 = 0.9`, and stays
    there: the adaptive edge of stability.

    Args:
        loss: `(params, batch) -> ` a scalar, or the loss of each example, of which the mean is taken.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the loss takes, arrays with the examples along their leading axes.
        preconditioner: diagonal of P, positive, structured like `params`; such as `adam_preconditioner(opt_state)`.
        start: warm start, the last `vector`.
        tolerance: relative residual at which to stop.
        max_matvecs: products after which to stop unconverged.
        chunk_size: examples in memory at once; the loss must be a mean over examples if it is given.
        key: for the start and the noise; fixed by default.

    Returns:
        The eigenvalue; `vector` is that of the symmetric form `P^-1/2 H P^-1/2`. NaN where P is not positive, as before
        the first update.

    Examples:
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2) / 2
        >>> data, scale = jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.array([1.0, 8.0])
        >>> preconditioned_sharpness(loss, jnp.zeros(2), data, scale).value.item()
        0.5

    References:
        Cohen, Ghorbani, Krishnan, Agarwal, Medapati, Badura, Suo, Cardoze, Nado, Dahl, Gilmer (2022),
        arXiv:2207.14484.
    """
    inner = hessian_operator(loss, params, batch, chunk_size=chunk_size)
    operator = _Preconditioned(inner, 1 / jnp.sqrt(inner.view.ravel(preconditioner)))
    return top_eigenvalue(operator, start, tolerance, max_matvecs, key)


def adam_preconditioner(
    opt_state: PyTree, *, b1: ArrayLike = 0.9, b2: ArrayLike = 0.999, eps: ArrayLike = 1e-8, eps_root: ArrayLike = 0.0
) -> PyTree:
    """Diagonal by which Adam divides the mean of gradients, `(1 - b1^t) (sqrt(nu / (1 - b2^t) + eps_root) + eps)`.

    The factor `1 - b1^t` is the bias correction of the mean, so that the update is `-rate m / P` with the raw mean m.

    Args:
        opt_state: state of an optax chain that holds one state of Adam or AdamW.
        b1: decay of the mean, as given to the optimiser (its state does not hold it).
        b2: decay of the mean square.
        eps: added outside the root.
        eps_root: added inside.

    Returns:
        A pytree like the parameters, in at least `float32`; zero before the first update.

    Raises:
        ValueError: if there is not exactly one state of Adam.

    Examples:
        >>> optimiser, w = optax.adam(0.1), jnp.ones(2)
        >>> _, state = optimiser.update(jnp.array([3.0, 4.0]), optimiser.init(w), w)
        >>> after_one_step = (1 - 0.9) * jnp.array([3.0, 4.0])  # the root is |g|
        >>> bool(jnp.allclose(adam_preconditioner(state), after_one_step))
        True
    """
    is_adam = lambda s: isinstance(s, optax.ScaleByAdamState)  # noqa: E731
    found = [s for s in jax.tree.leaves(opt_state, is_leaf=is_adam) if is_adam(s)]
    if len(found) != 1:
        raise ValueError(f"`opt_state` must hold one `optax.ScaleByAdamState`; it holds {len(found)}.")
    count = found[0].count

    def root(nu):
        nu = widen(nu)
        done = count.astype(nu.dtype)
        second = nu / jnp.where(done > 0, 1 - jnp.asarray(b2, nu.dtype) ** done, 1)
        return (1 - jnp.asarray(b1, nu.dtype) ** done) * (jnp.sqrt(second + eps_root) + eps)

    return jax.tree.map(root, found[0].nu)


def stability_limit(rate: ArrayLike, momentum: ArrayLike = 0.0, dampening: ArrayLike = 0.0) -> Float[Array, ""]:
    """Largest curvature along which an optimiser with velocity is stable, `2 (1 + momentum) / ((1 - dampening) rate)`.

    The velocity is `v <- momentum v + (1 - dampening) g`, the move `-rate v`. Gradient descent: 2 / rate. Heavy ball:
    `dampening = 0`. Adam, whose mean of gradients is dampened: both `b1`, against the preconditioned curvature.

    Args:
        rate: learning rate, positive.
        momentum: in [0, 1).
        dampening: in [0, 1).

    Returns:
        The limit, in the units of `sharpness`.

    Examples:
        >>> float(stability_limit(0.5)), float(stability_limit(1.0, 0.9, 0.9).round(3))
        (4.0, 38.0)

    References:
        Polyak (1964), USSR Comput. Math. Math. Phys. 4(5), 1-17. Cohen et al. (2022), arXiv:2207.14484.
    """
    return 2 * (1 + jnp.asarray(momentum)) / ((1 - jnp.asarray(dampening)) * jnp.asarray(rate))
