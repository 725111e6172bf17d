"""Spectral density of a symmetric operator by stochastic Lanczos quadrature.

The Lanczos form of a random vector is a Gauss quadrature rule for the spectral measure of that vector; the average of
such rules estimates the eigenvalue density from some tens of products with the operator. (Own Lanczos: see `lanczos`.)
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from separatrix.numerics.lanczos import tridiagonalise
from separatrix.numerics.operators import Matvec, prepare
from separatrix.numerics.trace_estimators import Estimate, space_of

__all__ = ["SpectralDensity", "spectral_density", "spectral_function_trace", "spectral_nodes"]


class SpectralDensity(NamedTuple):
    """Density of eigenvalues on a grid.

    Attributes:
        grid: eigenvalues.
        density: per unit of eigenvalue; it integrates to 1.
        standard_error: of the density, from the scatter over random vectors; NaN for a single one.
        nodes: of the quadrature, one row for each random vector.
        weights: of the nodes, each row summing to 1.
    """

    grid: Float[Array, " points"]
    density: Float[Array, " points"]
    standard_error: Float[Array, " points"]
    nodes: Float[Array, "probes steps"]
    weights: Float[Array, "probes steps"]


@eqx.filter_jit
def spectral_nodes(
    matvec: Matvec, key: Key[Array, ""], *, num_probes: int = 8, num_steps: int = 60, dim: int | None = None
) -> tuple[Float[Array, "probes steps"], Float[Array, "probes steps"]]:
    """Nodes and weights of stochastic Lanczos quadrature.

    `dim` times the weighted mean of `f(node)` estimates the trace of `f(A)`, for any function f.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        key: draws the random vectors.
        num_probes: random vectors, one after the other; memory is that of one basis.
        num_steps: products for each, at most the dimension (a larger number is reduced to it).
        dim: dimension; the operator's own by default.

    Returns:
        Nodes in ascending order and weights.

    Raises:
        ValueError: if a number is below 1, or `dim` is missing.

    Examples:
        >>> import jax.random as jr
        >>> nodes, weights = spectral_nodes(lambda v: 2 * v, jr.key(0), num_probes=1, num_steps=3, dim=5)
        >>> float((nodes * weights).sum().round(4))
        2.0

    References:
        Ubaru, Chen, Saad (2017), SIAM J. Matrix Anal. Appl. 38, 1075-1099. Ghorbani, Krishnan, Xiao (2019),
        arXiv:1901.10159.
    """
    dim, dtype = space_of(matvec, dim)
    if num_probes < 1 or num_steps < 1:
        raise ValueError(f"`num_probes` and `num_steps` must be at least 1; got {num_probes} and {num_steps}.")
    product, steps = prepare(matvec), min(num_steps, dim)

    def one(probe_key):
        start = jr.rademacher(jr.fold_in(probe_key, 0), (dim,), dtype)
        form = tridiagonalise(product, start, steps, jr.fold_in(probe_key, 1))
        square = jnp.diag(form.diagonal) + jnp.diag(form.off_diagonal, 1) + jnp.diag(form.off_diagonal, -1)
        nodes, vectors = jnp.linalg.eigh(square)
        return nodes, vectors[0] ** 2

    return jax.lax.map(one, jax.vmap(lambda i: jr.fold_in(key, i))(jnp.arange(num_probes)))


@eqx.filter_jit
def spectral_density(
    matvec: Matvec,
    key: Key[Array, ""],
    *,
    num_probes: int = 8,
    num_steps: int = 60,
    dim: int | None = None,
    width: float | None = None,
    num_points: int = 512,
    bounds: tuple[float, float] | None = None,
) -> SpectralDensity:
    """Eigenvalue density of a symmetric operator, each node broadened to a Gaussian.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        key: draws the random vectors.
        num_probes: random vectors.
        num_steps: products for each.
        dim: dimension; the operator's own by default.
        width: standard deviation of the Gaussians, in units of eigenvalues; 1 % of the range of the nodes by default.
        num_points: grid points.
        bounds: ends of the grid; by default the range of the nodes and five widths on each side.

    Returns:
        The density with its quadrature.

    Raises:
        ValueError: if a number is out of range, or `dim` is missing.

    Examples:
        A quarter of the eigenvalues at 1, the others at 0:

        >>> import jax.random as jr
        >>> matrix = jnp.diag(jnp.array([1.0, 0.0, 0.0, 0.0]))
        >>> found = spectral_density(lambda v: matrix @ v, jr.key(0), dim=4, width=0.05)
        >>> float(jnp.trapezoid(jnp.where(found.grid > 0.5, found.density, 0), found.grid).round(3))
        0.25

    References:
        Lin, Saad, Yang (2016), SIAM Review 58, 34-65. Ghorbani, Krishnan, Xiao (2019), arXiv:1901.10159.
    """
    if num_points < 2 or (width is not None and width <= 0):
        raise ValueError(f"`num_points` must be at least 2 and `width` positive; got {num_points} and {width}.")
    nodes, weights = spectral_nodes(matvec, key, num_probes=num_probes, num_steps=num_steps, dim=dim)
    low, high = jnp.min(nodes), jnp.max(nodes)
    scale = jnp.maximum(jnp.abs(low), jnp.abs(high))
    # A spectrum of one point still needs a width that its numbers can resolve.
    floor = jnp.maximum(64 * jnp.finfo(nodes.dtype).eps * scale, jnp.finfo(nodes.dtype).tiny ** 0.5)
    sigma = jnp.maximum(0.01 * (high - low), floor) if width is None else jnp.asarray(width, nodes.dtype)
    first, last = (low - 5 * sigma, high + 5 * sigma) if bounds is None else bounds
    grid = jnp.linspace(first, last, num_points, dtype=nodes.dtype)

    def smooth(pair):
        where, mass = pair
        bumps = jnp.exp(-0.5 * ((grid[:, None] - where) / sigma) ** 2) / (sigma * jnp.sqrt(2 * jnp.pi))
        return bumps @ mass

    rows = jax.lax.map(smooth, (nodes, weights))
    return SpectralDensity(grid, jnp.mean(rows, 0), _standard_error(rows), nodes, weights)


@eqx.filter_jit
def spectral_function_trace(
    fn: Callable[[Float[Array, " n"]], Float[Array, " n"]],
    matvec: Matvec,
    key: Key[Array, ""],
    *,
    num_probes: int = 8,
    num_steps: int = 60,
    dim: int | None = None,
) -> Estimate:
    """Trace of a function of a symmetric operator: `jnp.abs` gives the nuclear norm, `x > c` counts eigenvalues.

    Args:
        fn: function of eigenvalues, applied elementwise.
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        key: draws the random vectors.
        num_probes: random vectors.
        num_steps: products for each.
        dim: dimension; the operator's own by default.

    Returns:
        The estimate of `sum_i fn(eigenvalue_i)`; its standard error holds no bias of the quadrature.

    Examples:
        >>> import jax.random as jr
        >>> matrix = jnp.diag(jnp.array([1.0, 2.0, 3.0]))
        >>> found = spectral_function_trace(jnp.exp, lambda v: matrix @ v, jr.key(0), dim=3)
        >>> bool(jnp.isclose(found.value, jnp.trace(jax.scipy.linalg.expm(matrix)), rtol=1e-4))
        True

    References:
        Ubaru, Chen, Saad (2017), SIAM J. Matrix Anal. Appl. 38, 1075-1099.
    """
    dim, _ = space_of(matvec, dim)
    nodes, weights = spectral_nodes(matvec, key, num_probes=num_probes, num_steps=num_steps, dim=dim)
    values = dim * jnp.sum(weights * fn(nodes), axis=1)
    return Estimate(jnp.mean(values), _standard_error(values), jnp.int32(nodes.size))


def _standard_error(samples: Float[Array, "n *shape"]) -> Float[Array, "*shape"]:
    count = samples.shape[0]
    if count == 1:
        return jnp.full(samples.shape[1:], jnp.nan, samples.dtype)
    return jnp.std(samples, axis=0, ddof=1) / jnp.sqrt(count)
