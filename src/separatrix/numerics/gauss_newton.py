"""The Gauss-Newton matrix of any model: its kernel, its spectrum, and estimates that never form it.

For a model `f(params, x)` with outputs in R^k and per-example Jacobians J_i of shape (k, p), the Gauss-Newton matrix is
`G = (1/n) sum_i J_i^T A_i J_i`, where A_i is the Hessian of the example's loss with respect to its output. With half
the squared error, `L = (1/2n) sum_i |f(x_i) - y_i|^2`, A_i is the identity and at an interpolating minimum G is the
Hessian of L. A mean of squares *without* the half has twice this Hessian: then pass its `loss`.

G shares its non-zero spectrum with the kernel `K = J J^T / n`, which is (nk, nk) however many parameters there are.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from separatrix.numerics.lanczos import tridiagonalise

__all__ = [
    "SharpnessSummary",
    "estimate_sharpness",
    "example_jacobian",
    "gauss_newton_kernel",
    "lanczos_ritz_values",
    "sharpness_summary",
]

Model = Callable[[PyTree, PyTree], Float[Array, "*outputs"]]
Loss = Callable[[Float[Array, "*outputs"], PyTree], Float[Array, ""]]


class SharpnessSummary(NamedTuple):
    """Measures of how sharp a minimum is, all of one positive semi-definite matrix G.

    Attributes:
        trace: `Tr G`, the sum of the eigenvalues.
        frobenius: `|G|_F`, the root of the sum of their squares.
        lambda_max: the largest.
        spectrum: eigenvalues in descending order, zeros included up to the size of the smaller of G and its kernel;
            of an estimate, the Ritz values.
    """

    trace: Float[Array, ""]
    frobenius: Float[Array, ""]
    lambda_max: Float[Array, ""]
    spectrum: Float[Array, " eigenvalues"]


def example_jacobian(f: Model, params: PyTree, inputs: PyTree, *, chunk: int | None = None) -> Float[Array, "n *k p"]:
    """Jacobian of each example's output with respect to all parameters as one vector.

    Args:
        f: `(params, x) -> output` of one example, a scalar or a vector of k outputs.
        params: pytree of floating-point arrays, p numbers in all.
        inputs: examples on the first axis of each leaf.
        chunk: examples differentiated at once; all by default. The memory of the backward passes is that of one chunk.

    Returns:
        Shape `(n, p)` for a scalar output, `(n, k, p)` for a vector; columns in the order of the leaves.

    Raises:
        ValueError: if an output has two axes or more.

    Example:
        >>> example_jacobian(lambda w, x: w @ x, jnp.ones(2), jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    flat, unravel = ravel_pytree(params)

    def row(x):
        return jax.jacrev(lambda v: f(unravel(v), x))(flat)

    jacobian = jax.vmap(row)(inputs) if chunk is None else jax.lax.map(row, inputs, batch_size=chunk)
    if jacobian.ndim > 3:
        raise ValueError(f"`f` must return a scalar or a vector; got an output of shape {jacobian.shape[1:-1]}.")
    return jacobian


def gauss_newton_kernel(
    f: Model, params: PyTree, inputs: PyTree, *, chunk: int | None = None
) -> Float[Array, "rows rows"]:
    """Kernel `J J^T / n`, which has the non-zero spectrum of the Gauss-Newton matrix `J^T J / n`.

    Args:
        f: `(params, x) -> output` of one example, a scalar or a vector of k outputs.
        params: pytree of floating-point arrays.
        inputs: n examples on the first axis of each leaf.
        chunk: as for `example_jacobian`.

    Returns:
        Symmetric matrix with n rows, or nk with an example's outputs side by side.

    Raises:
        ValueError: as `example_jacobian`.

    Example:
        >>> gauss_newton_kernel(lambda w, x: w @ x, jnp.ones(2), jnp.array([[1.0, 1.0], [1.0, -1.0]])).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    jacobian = example_jacobian(f, params, inputs, chunk=chunk)
    rows = jacobian.reshape(-1, jacobian.shape[-1])
    return rows @ rows.T / len(jacobian)


def smaller_gram(jacobian: Float[Array, "n k p"]) -> Float[Array, "m m"]:
    """Return the smaller of `J^T J / n` and its kernel `J J^T / n`: trace, norm and largest eigenvalue are the same."""
    rows = jacobian.reshape(-1, jacobian.shape[-1])
    return (rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows) / len(jacobian)


def sharpness_summary(
    f: Model,
    params: PyTree,
    inputs: PyTree,
    *,
    loss: Loss | None = None,
    targets: PyTree = None,
    chunk: int | None = None,
) -> SharpnessSummary:
    """Trace, Frobenius norm, largest eigenvalue and spectrum of the Gauss-Newton matrix, exactly.

    It forms the Jacobian and the smaller of the matrix and its kernel; for large models see `estimate_sharpness`.

    Args:
        f: `(params, x) -> output` of one example, a scalar or a vector of k outputs.
        params: pytree of floating-point arrays.
        inputs: n examples on the first axis of each leaf.
        loss: `(output, target) -> scalar` of one example, convex in the output; half the squared error by default.
        targets: targets of the examples; only `loss` reads them.
        chunk: as for `example_jacobian`.

    Returns:
        The summary, in the dtype of the Jacobian; `spectrum` has `min(nk, p)` entries.

    Raises:
        ValueError: as `example_jacobian`.

    Example:
        >>> inputs = jnp.array([[3.0, 0.0], [0.0, 1.0]])
        >>> [float(v) for v in sharpness_summary(lambda w, x: w @ x, jnp.zeros(2), inputs)[:3]]  # G = diag(9, 1) / 2
        [5.0, 4.527692794799805, 4.5]
    """
    jacobian = example_jacobian(f, params, inputs, chunk=chunk)
    n, p = jacobian.shape[0], jacobian.shape[-1]
    if loss is not None:
        roots = jax.vmap(lambda x, y: _root_of_output_hessian(f, loss, params, x, y))(inputs, targets)
        jacobian = jnp.einsum("nij,njp->nip", roots, jacobian.reshape(n, -1, p))
    gram = smaller_gram(jacobian.reshape(n, -1, p))
    spectrum = jnp.maximum(jnp.linalg.eigvalsh(gram)[::-1], 0)
    return SharpnessSummary(jnp.trace(gram), jnp.linalg.norm(gram), spectrum[0], spectrum)


def _root_of_output_hessian(f: Model, loss: Loss, params: PyTree, x: PyTree, y: PyTree) -> Float[Array, "k k"]:
    hessian = jnp.atleast_2d(jax.hessian(loss)(f(params, x), y))
    values, vectors = jnp.linalg.eigh(hessian)
    return jnp.sqrt(jnp.maximum(values, 0))[:, None] * vectors.T


def estimate_sharpness(
    f: Model,
    params: PyTree,
    inputs: PyTree,
    key: Key[Array, ""],
    *,
    num_samples: int = 32,
    num_iterations: int = 32,
) -> SharpnessSummary:
    """Estimate the summary of the Gauss-Newton matrix of half the squared error from products with its kernel.

    Each product is one backward and one forward pass over all examples. The trace and the squared Frobenius norm are
    Hutchinson means over random signs u, `E u^T K u` and `E |K u|^2`; their relative errors are at most
    `sqrt(2 / num_samples)` in standard deviation, for the trace usually far less. The largest Ritz value of Lanczos'
    iteration never exceeds the largest eigenvalue, up to rounding.

    Args:
        f: `(params, x) -> output` of one example, a scalar or a vector of k outputs.
        params: pytree of floating-point arrays.
        inputs: n examples on the first axis of each leaf.
        key: drives the random signs and the first Lanczos vector.
        num_samples: random sign vectors.
        num_iterations: Lanczos steps, at most nk of which are taken.

    Returns:
        The summary; `spectrum` holds the Ritz values.

    Raises:
        ValueError: if `num_samples` or `num_iterations` is below 1.

    References:
        Hutchinson (1990), Commun. Stat. Simul. Comput. 19, 433-450.

    Example:
        >>> inputs = jnp.array([[3.0, 0.0], [0.0, 1.0]])
        >>> estimate = estimate_sharpness(lambda w, x: w @ x, jnp.zeros(2), inputs, jr.key(0))
        >>> round(float(estimate.trace), 5), round(float(estimate.lambda_max), 5)
        (5.0, 4.5)
    """
    if num_samples < 1 or num_iterations < 1:
        raise ValueError(
            f"`num_samples` and `num_iterations` must be at least 1; got {num_samples} and {num_iterations}."
        )
    outputs = lambda p: jax.vmap(f, in_axes=(None, 0))(p, inputs)  # noqa: E731
    values, pull = jax.vjp(outputs, params)
    n, dtype = values.shape[0], values.dtype

    def product(u):
        (direction,) = pull(u.reshape(values.shape))
        return jax.jvp(outputs, (params,), (direction,))[1].reshape(-1) / n

    def sample(k):
        u = jr.rademacher(k, (values.size,), dtype)
        image = product(u)
        return u @ image, image @ image

    traces, squares = jax.lax.map(sample, jr.split(jr.fold_in(key, 0), num_samples))
    start = jr.normal(jr.fold_in(key, 1), (values.size,), dtype)
    ritz = jnp.maximum(lanczos_ritz_values(product, start, num_iterations)[::-1], 0)
    return SharpnessSummary(jnp.mean(traces), jnp.sqrt(jnp.mean(squares)), ritz[0], ritz)


def lanczos_ritz_values(
    product: Callable[[Float[Array, " dim"]], Float[Array, " dim"]], start: Float[Array, " dim"], num_iterations: int
) -> Float[Array, " iterations"]:
    """Ritz values of a symmetric operator after some Lanczos steps with full reorthogonalisation.

    Args:
        product: the operator.
        start: non-zero first vector.
        num_iterations: steps, at most `dim` of which are taken.

    Returns:
        Ascending values. Once the iteration has exhausted an invariant subspace, further ones are zero.

    Example:
        >>> lanczos_ritz_values(lambda v: jnp.array([1.0, 3.0]) * v, jnp.ones(2), 5).round(4).tolist()
        [1.0, 3.0]
    """
    form = tridiagonalise(product, start, min(num_iterations, start.size))
    off = form.off_diagonal
    within = jnp.concatenate([jnp.ones(1, off.dtype), jnp.cumprod((off > 0).astype(off.dtype))])  # first subspace
    off = off * within[1:]
    return jnp.linalg.eigvalsh(jnp.diag(form.diagonal * within) + jnp.diag(off, 1) + jnp.diag(off, -1))
