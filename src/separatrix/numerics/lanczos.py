"""Lanczos iteration with full reorthogonalisation: tridiagonal forms and extreme eigenpairs of a symmetric operator.

Existing JAX packages were looked at first. matfree (0.6) returns NaN from the step on at which the Krylov space is
exhausted, and that happens here: a quadratic bowl, a dead network, a Gauss-Newton matrix of low rank. It also gives no
sign of convergence. traceax (1.0) has no Lanczos. So this is our own: a space that is exhausted is continued with a
random direction, every pair comes with the norm of its residual, and restarts bound the memory by the basis's.
"""

from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key

from separatrix.numerics.operators import Matvec, prepare

__all__ = ["Eigenpairs", "Tridiagonal", "eigenpairs", "tridiagonalise"]

End = Literal["largest", "smallest", "both"]


class Tridiagonal(NamedTuple):
    """`A V = V T` up to the last residual, with orthonormal rows V.

    Attributes:
        diagonal: of T.
        off_diagonal: of T; zero where the Krylov space was exhausted and a random direction followed.
        basis: the rows V.
        residual: length of what A adds to the last row outside the basis.
    """

    diagonal: Float[Array, " steps"]
    off_diagonal: Float[Array, " steps-1"]
    basis: Float[Array, "steps dim"]
    residual: Float[Array, ""]


class Eigenpairs(NamedTuple):
    """Extreme eigenpairs with their convergence.

    Attributes:
        values: eigenvalues, the largest first.
        vectors: unit eigenvectors, row by row.
        residuals: `|A v - value v|` as the iteration estimates it; an eigenvalue of A lies within this distance of
            the value, and much closer where the spectrum is not crowded (the error falls with its square).
        converged: whether the residual is within the tolerance. It vouches for an eigenpair, which is the outermost one
            unless the start is orthogonal to that one.
        num_matvecs: products with A that were taken.
    """

    values: Float[Array, " k"]
    vectors: Float[Array, "k dim"]
    residuals: Float[Array, " k"]
    converged: Bool[Array, " k"]
    num_matvecs: Int[Array, ""]


class _Krylov(NamedTuple):
    basis: Float[Array, "steps+1 dim"]
    projected: Float[Array, "steps+1 steps"]  # columns V A v_j; row j + 1 holds the length of the residual
    scale: Float[Array, ""]  # largest |A v| seen


def _begin(start: Float[Array, " dim"], steps: int, key: Key[Array, ""]) -> _Krylov:
    norm = jnp.linalg.norm(start)
    other = jr.normal(key, start.shape, start.dtype)
    usable = jnp.isfinite(norm) & (norm > 0)  # a start of zero is as good as none
    first = jnp.where(usable, start / jnp.where(usable, norm, 1), other / jnp.linalg.norm(other))
    basis = jnp.zeros((steps + 1, start.size), start.dtype).at[0].set(first)
    return _Krylov(basis, jnp.zeros((steps + 1, steps), start.dtype), jnp.zeros((), start.dtype))


def _extend(matvec: Matvec, krylov: _Krylov, j, key: Key[Array, ""], coupled: ArrayLike = 0) -> _Krylov:
    """Multiply row j of the basis and append what is new; A couples row `coupled` to all rows before it.

    In exact arithmetic any other row is coupled to its neighbour alone. So its image first loses these two parts, for
    the price of a few vectors, and one pass over the basis then removes what rounding left: the rows are read twice,
    not four times, and the reading is most of the work that is not the product.
    """
    basis, projected, scale = krylov
    steps, dim = basis.shape[0] - 1, basis.shape[1]

    def outside(w):
        coefficients = basis @ w
        return w - coefficients @ basis, coefficients

    def off_neighbours(w):
        before = jnp.maximum(j - 1, 0)
        lower = jnp.where(j > 0, basis[before] @ w, 0)
        w = w - lower * basis[before]
        own = basis[j] @ w
        return w - own * basis[j], jnp.zeros(steps + 1, w.dtype).at[before].add(lower).at[j].add(own)

    image = matvec(basis[j]).astype(basis.dtype)
    left, coefficients = jax.lax.cond((j == coupled) & (j > 0), outside, off_neighbours, image)
    left, again = outside(left)  # twice is enough (Kahan and Parlett)
    coefficients = coefficients + again
    length = jnp.linalg.norm(left)
    scale = jnp.maximum(scale, jnp.linalg.norm(image))
    exhausted = length <= 4 * jnp.finfo(basis.dtype).eps * scale

    def random_direction():
        w = jr.normal(jr.fold_in(key, j), (dim,), basis.dtype)
        w, _ = outside(outside(w)[0])
        w, _ = outside(outside(w / jnp.linalg.norm(w))[0])
        return w / jnp.linalg.norm(w), jnp.zeros_like(length)

    following, length = jax.lax.cond(exhausted, random_direction, lambda: (left / length, length))
    # Only upper triangles are read: rows up to j are the coefficients, row j + 1 the length of the residual.
    column = jnp.where(jnp.arange(steps + 1) <= j, coefficients, 0).at[j + 1].set(length)
    return _Krylov(basis.at[j + 1].set(following), projected.at[:, j].set(column), scale)


@eqx.filter_jit
def tridiagonalise(
    matvec: Matvec, start: Float[Array, " dim"], num_steps: int, key: Key[Array, ""] | None = None
) -> Tridiagonal:
    """Lanczos's tridiagonal form of a symmetric operator on the Krylov space of a vector.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        start: first basis vector, of any length; its dtype is that of the computation, `float32` or wider.
        num_steps: products with A, at most `dim`; the basis takes `(num_steps + 1) dim` numbers.
        key: for directions that follow an exhausted Krylov space; fixed by default.

    Returns:
        The form and its basis, orthonormal to rounding.

    Raises:
        ValueError: if `num_steps` is out of range.

    Examples:
        >>> matrix = jnp.diag(jnp.array([3.0, 1.0, 1.0]))
        >>> form = tridiagonalise(lambda v: matrix @ v, jnp.array([1.0, 1.0, 0.0]), 2)
        >>> form.diagonal.round(5).tolist(), form.off_diagonal.round(5).tolist()
        ([2.0, 2.0], [1.0])

    References:
        Lanczos (1950), J. Res. Nat. Bur. Standards 45, 255-282.
    """
    if not 1 <= num_steps <= start.size:
        raise ValueError(f"`num_steps` must lie in 1..{start.size}, the dimension; got {num_steps}.")
    key = jr.key(0) if key is None else key
    product = prepare(matvec)
    extend = lambda j, krylov: _extend(product, krylov, j, key)  # noqa: E731
    krylov = jax.lax.fori_loop(0, num_steps, extend, _begin(start, num_steps, jr.fold_in(key, num_steps)))
    square = krylov.projected[:num_steps]
    off_diagonal = jnp.diagonal(krylov.projected, -1)
    return Tridiagonal(
        jnp.diagonal(square), off_diagonal[: num_steps - 1], krylov.basis[:num_steps], off_diagonal[num_steps - 1]
    )


class _Cycle(NamedTuple):
    krylov: _Krylov
    kept: Int[Array, ""]
    values: Float[Array, " wanted"]
    residuals: Float[Array, " wanted"]
    converged: Bool[Array, " wanted"]
    num_matvecs: Int[Array, ""]


@eqx.filter_jit
def eigenpairs(
    matvec: Matvec,
    start: Float[Array, " dim"],
    k: int = 1,
    *,
    end: End = "largest",
    tolerance: float = 1e-4,
    max_matvecs: int = 300,
    basis_size: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Eigenpairs:
    """Extreme eigenpairs of a symmetric operator by the thick-restart Lanczos method.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        start: where to start: a random vector (`operator.random_vector(key)`), or the eigenvector of a nearby operator,
            such as the last one along a training run. A start that is an eigenvector to the last bit hides the rest.
        k: number of pairs, or with `end="both"` the number at each end.
        end: algebraically `"largest"`, `"smallest"`, or `"both"`, which needs `2 k <= dim`.
        tolerance: a pair is converged when its residual is at most this fraction of the largest modulus of an
            eigenvalue. At least a few machine epsilons.
        max_matvecs: products with A after which to stop (the last round of the basis is completed).
        basis_size: vectors kept in memory; by default `2 pairs + 10` or the dimension.
        key: for directions that follow an exhausted Krylov space; fixed by default.

    Returns:
        Pairs in descending order, with residuals; inspect `converged`.

    Raises:
        ValueError: if `k` or `basis_size` is out of range.

    Examples:
        >>> matrix = jnp.diag(jnp.arange(-5.0, 6.0))
        >>> pairs = eigenpairs(lambda v: matrix @ v, jnp.ones(11), 2, end="both")
        >>> pairs.values.round(3).tolist(), bool(pairs.converged.all())
        ([5.0, 4.0, -4.0, -5.0], True)

    References:
        Wu and Simon (2000), SIAM J. Matrix Anal. Appl. 22, 602-616.
    """
    dim = start.size
    if end not in ("largest", "smallest", "both"):
        raise ValueError(f'`end` must be "largest", "smallest" or "both"; got {end!r}.')
    wanted = 2 * k if end == "both" else k
    if k < 1 or wanted > dim:
        raise ValueError(f"`k` must be at least 1 and ask for at most {dim} pairs, the dimension; got {wanted}.")
    size = min(dim, 2 * wanted + 10 if basis_size is None else basis_size)
    if size < min(dim, wanted + 2):
        raise ValueError(f"`basis_size` must be at least {min(dim, wanted + 2)}, the pairs and two; got {basis_size}.")
    key = jr.key(0) if key is None else key
    product = prepare(matvec)
    keep = min(wanted + (size - wanted) // 2, size - 1)
    outer, retained = _outermost(size, wanted, end), _outermost(size, keep, end)

    def fill(krylov: _Krylov, kept: Int[Array, ""], seed: Key[Array, ""]):
        extend = lambda j, krylov: _extend(product, krylov, j, seed, kept)  # noqa: E731
        krylov = jax.lax.fori_loop(kept, size, extend, krylov)
        upper = jnp.triu(krylov.projected[:size])
        ritz, rotation = jnp.linalg.eigh(upper + jnp.triu(upper, 1).T)
        residuals = jnp.abs(krylov.projected[size, size - 1] * rotation[size - 1])
        return krylov, ritz, rotation, residuals, residuals <= tolerance * jnp.max(jnp.abs(ritz))

    def cycle_once(cycle: _Cycle) -> _Cycle:
        seed = jr.fold_in(key, cycle.num_matvecs)
        krylov, ritz, rotation, residuals, converged = fill(cycle.krylov, cycle.kept, seed)
        # Restart with the outermost Ritz vectors; the coefficients of the next product hold their coupling to it.
        vectors = rotation[:, retained].T @ krylov.basis[:size]
        basis = jnp.zeros_like(krylov.basis).at[:keep].set(vectors).at[keep].set(krylov.basis[size])
        along = jnp.arange(keep)
        projected = jnp.zeros_like(krylov.projected).at[along, along].set(ritz[retained])
        count = cycle.num_matvecs + (size - cycle.kept)
        restarted = _Krylov(basis, projected, krylov.scale)
        return _Cycle(restarted, jnp.full_like(count, keep), ritz[outer], residuals[outer], converged[outer], count)

    def unfinished(cycle: _Cycle) -> Bool[Array, ""]:
        return ~jnp.all(cycle.converged) & (cycle.num_matvecs < max_matvecs)

    krylov, none = _begin(start, size, jr.fold_in(key, max_matvecs)), jnp.int32(0)
    if size == dim:  # the basis spans the whole space
        krylov, ritz, rotation, residuals, converged = fill(krylov, none, key)
        values, residuals, converged = ritz[outer], residuals[outer], converged[outer]
        vectors, count = rotation[:, outer].T @ krylov.basis[:size], jnp.int32(size)
    else:
        blank = jnp.zeros(wanted, start.dtype)
        cycle = _Cycle(krylov, none, blank, blank, jnp.zeros(wanted, bool), none)
        cycle = jax.lax.while_loop(unfinished, cycle_once, cycle)
        values, residuals, converged, count = cycle.values, cycle.residuals, cycle.converged, cycle.num_matvecs
        vectors = cycle.krylov.basis[_outermost(keep, wanted, end)]
    vectors = vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)
    return Eigenpairs(values[::-1], vectors[::-1], residuals[::-1], converged[::-1], count)


def _outermost(size: int, count: int, end: End) -> np.ndarray:
    """Positions, among eigenvalues in ascending order, of the outermost ones."""
    low = {"largest": 0, "smallest": count, "both": count // 2}[end]
    return np.concatenate([np.arange(low), np.arange(size - (count - low), size)])
