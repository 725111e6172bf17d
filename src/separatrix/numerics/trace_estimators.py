"""Trace and diagonal of a symmetric operator from products with random vectors, with standard errors.

Existing JAX packages were looked at first. In traceax (1.0) XTrace inverts a singular matrix where the operator's rank
is below the number of vectors, as that of a Gauss-Newton matrix often is, and the other estimators have no standard
error. matfree (0.6) multiplies all random vectors at once, so its memory grows with their number. So these are our own:
products are taken `at_once` at a time, and every estimate carries its standard error.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key

from separatrix.numerics.operators import Matvec, prepare

__all__ = ["Estimate", "hutch_pp_trace", "hutchinson_diagonal", "hutchinson_trace", "xtrace"]


class Estimate(NamedTuple):
    """An estimate with its uncertainty.

    Attributes:
        value: the estimate.
        standard_error: its standard deviation as the sample shows it; NaN where one sample cannot tell.
        num_matvecs: products that were taken.
    """

    value: Float[Array, "..."]
    standard_error: Float[Array, "..."]
    num_matvecs: Int[Array, ""]


def space_of(matvec: Any, dim: int | None) -> tuple[int, Any]:
    """Return dimension and dtype of an operator's vectors.

    Args:
        matvec: an operator with `dim` and `dtype`, or a function.
        dim: dimension, needed for a function.

    Returns:
        The dimension and the dtype, `float32` (`float64` where 64-bit types are enabled) for a function.

    Raises:
        ValueError: if the dimension is missing or below 1.
    """
    dim = getattr(matvec, "dim", None) if dim is None else dim
    if dim is None or dim < 1:
        raise ValueError(f"`dim` must be given, and positive, for a plain function; got {dim}.")
    return dim, getattr(matvec, "dtype", jnp.zeros(()).dtype)


def _products(matvec: Any, vectors: Float[Array, "k dim"], at_once: int) -> Float[Array, "k dim"]:
    return _mapped(prepare(matvec), vectors, at_once).astype(vectors.dtype)


def _signs(key: Key[Array, ""], count: int, dim: int, dtype: Any) -> Float[Array, "count dim"]:
    return jr.rademacher(key, (count, dim), dtype)


def _mean_and_error(samples: Float[Array, "n *shape"]):
    count = samples.shape[0]
    if count == 1:
        return samples[0], jnp.full_like(samples[0], jnp.nan)
    return jnp.mean(samples, axis=0), jnp.std(samples, axis=0, ddof=1) / jnp.sqrt(count)


@eqx.filter_jit
def hutchinson_trace(
    matvec: Matvec, key: Key[Array, ""], *, num_matvecs: int = 30, dim: int | None = None, at_once: int = 1
) -> Estimate:
    """Trace as the mean of `z . A z` over random signs z.

    Its variance for one vector is twice the sum of the squared off-diagonal entries, so it is exact for diagonal A.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        key: draws the signs.
        num_matvecs: random vectors, at least 1.
        dim: dimension; the operator's own by default.
        at_once: products taken together.

    Returns:
        An unbiased estimate.

    Raises:
        ValueError: if a number is out of range, or `dim` is missing.

    Examples:
        >>> import jax.random as jr
        >>> matrix = jnp.diag(jnp.array([1.0, 2.0, 3.0]))
        >>> float(hutchinson_trace(lambda v: matrix @ v, jr.key(0), num_matvecs=2, dim=3).value)
        6.0

    References:
        Hutchinson (1989), Commun. Stat. Simul. Comput. 18, 1059-1076.
    """
    dim, dtype = space_of(matvec, dim)
    _at_least(1, num_matvecs)
    samples = _quadratic_forms(matvec, key, num_matvecs, dim, dtype, at_once)
    return Estimate(*_mean_and_error(samples), jnp.int32(num_matvecs))


def _quadratic_forms(matvec: Any, key, count: int, dim: int, dtype: Any, at_once: int) -> Float[Array, " count"]:
    product = prepare(matvec)

    def one(i):  # the vector is drawn where it is used, so that memory does not grow with their number
        z = jr.rademacher(jr.fold_in(key, i), (dim,), dtype)
        return z @ product(z)

    return _mapped(one, jnp.arange(count), at_once)


@eqx.filter_jit
def hutch_pp_trace(
    matvec: Matvec, key: Key[Array, ""], *, num_matvecs: int = 30, dim: int | None = None, at_once: int = 1
) -> Estimate:
    """Trace as the exact trace on a random low-rank space, and Hutchinson's estimate on what is left (Hutch++).

    A third of the products finds the space, a third evaluates it, a third samples the rest. The error falls like
    1 / num_matvecs, faster than Hutchinson's, where the spectrum decays.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        key: draws the signs.
        num_matvecs: products, at least 3; a remainder of the division by three is not used.
        dim: dimension; the operator's own by default.
        at_once: products taken together. Memory is that of `2 num_matvecs / 3` vectors.

    Returns:
        An unbiased estimate; the standard error is that of the sampled rest.

    Raises:
        ValueError: if a number is out of range, or `dim` is missing.

    Examples:
        >>> import jax.random as jr
        >>> rank_one = jnp.ones((4, 4))
        >>> float(hutch_pp_trace(lambda v: rank_one @ v, jr.key(0), num_matvecs=6, dim=4).value.round(4))
        4.0

    References:
        Meyer, Musco, Musco, Woodruff (2021), SOSA, 142-155, arXiv:2010.09649.
    """
    dim, dtype = space_of(matvec, dim)
    _at_least(3, num_matvecs)
    third = min(num_matvecs // 3, dim)
    images = _products(matvec, _signs(jr.fold_in(key, 0), third, dim, dtype), at_once)
    space = jnp.linalg.qr(images.T)[0].T
    inside = jnp.sum(space * _products(matvec, space, at_once))
    rest = _signs(jr.fold_in(key, 1), third, dim, dtype)
    rest = rest - (rest @ space.T) @ space
    value, error = _mean_and_error(jnp.sum(rest * _products(matvec, rest, at_once), axis=1))
    return Estimate(inside + value, error, jnp.int32(3 * third))


@eqx.filter_jit
def xtrace(
    matvec: Matvec, key: Key[Array, ""], *, num_matvecs: int = 30, dim: int | None = None, at_once: int = 1
) -> Estimate:
    """Trace by XTrace: each random vector is tested against the space that all the others span.

    Every product serves both for the low-rank space and for the rest, so for a decaying spectrum it is the most
    accurate of the three at equal cost. Below half as many products as the dimension; otherwise the trace is computed
    exactly.

    Args:
        matvec: `v -> A v`, symmetric; a `CurvatureOperator`, or any traceable function.
        key: draws vectors on the sphere.
        num_matvecs: products, at least 4; an odd one is not used.
        dim: dimension; the operator's own by default.
        at_once: products taken together. Memory is that of `3 num_matvecs / 2` vectors.

    Returns:
        An unbiased estimate. Its samples are correlated, so the standard error is a good guide, not exact; it is zero
        where the trace is exact because the rank of A is below the number of vectors.

    Raises:
        ValueError: if a number is out of range, or `dim` is missing.

    Examples:
        >>> import jax.random as jr
        >>> rank_one = jnp.ones((20, 20))
        >>> float(xtrace(lambda v: rank_one @ v, jr.key(0), num_matvecs=6, dim=20).value.round(3))
        20.0

    References:
        Epperly, Tropp, Webber (2024), SIAM J. Matrix Anal. Appl. 45, 1-23, arXiv:2301.07825.
    """
    dim, dtype = space_of(matvec, dim)
    _at_least(4, num_matvecs)
    half = num_matvecs // 2
    if 2 * half >= dim:
        unit = jnp.eye(dim, dtype=dtype)
        exact = jnp.sum(unit * _products(matvec, unit, at_once))
        return Estimate(exact, jnp.zeros_like(exact), jnp.int32(dim))
    tests = jr.normal(key, (half, dim), dtype)
    tests = tests * (jnp.sqrt(dim) / jnp.linalg.norm(tests, axis=1, keepdims=True)).astype(dtype)
    space, triangle = jnp.linalg.qr(_products(matvec, tests, at_once).T)
    inside = space.T @ _products(matvec, space.T, at_once).T  # A seen in the space, (half, half)
    scale = jnp.max(jnp.abs(jnp.diagonal(triangle)))
    deficient = jnp.min(jnp.abs(jnp.diagonal(triangle))) <= half * jnp.finfo(dtype).eps * scale
    solvable = jnp.where(deficient, jnp.eye(half, dtype=dtype), triangle)
    # Column i of `out` is the direction of the space that only test vector i contributes.
    out = jnp.linalg.inv(solvable).T
    out = out / jnp.linalg.norm(out, axis=0)
    seen = space.T @ tests.T
    kept = seen - out * jnp.sum(out * seen, axis=0)  # test vector i in the space that the others span
    without = jnp.trace(inside) - jnp.sum(out * (inside @ out), axis=0)
    rest = jnp.sum(seen * triangle, axis=0) - 2 * jnp.sum(kept * triangle, axis=0) + jnp.sum(kept * (inside @ kept), 0)
    left = jnp.sum(tests.T**2, axis=0) - jnp.sum(kept**2, axis=0)
    value, error = _mean_and_error(without + rest * (dim - half + 1) / left)
    exact = jnp.trace(inside)
    return Estimate(
        jnp.where(deficient, exact, value), jnp.where(deficient, jnp.zeros_like(error), error), jnp.int32(2 * half)
    )


@eqx.filter_jit
def hutchinson_diagonal(
    matvec: Matvec, key: Key[Array, ""], *, num_matvecs: int = 30, dim: int | None = None
) -> Estimate:
    """Diagonal as the mean of `z * A z` over random signs z.

    Args:
        matvec: `v -> A v`; a `CurvatureOperator`, or any traceable function.
        key: draws the signs.
        num_matvecs: random vectors, at least 1.
        dim: dimension; the operator's own by default.

    Returns:
        Vectors of length `dim`; the variance of an entry for one vector is the sum of its row's squares off the
        diagonal.

    Raises:
        ValueError: if a number is out of range, or `dim` is missing.

    Examples:
        >>> import jax.random as jr
        >>> matrix = jnp.diag(jnp.array([1.0, 2.0, 3.0]))
        >>> hutchinson_diagonal(lambda v: matrix @ v, jr.key(0), num_matvecs=2, dim=3).value.tolist()
        [1.0, 2.0, 3.0]

    References:
        Bekas, Kokiopoulou, Saad (2007), Appl. Numer. Math. 57, 1214-1229.
    """
    dim, dtype = space_of(matvec, dim)
    _at_least(1, num_matvecs)
    product = prepare(matvec)

    def draw(i):
        z = jr.rademacher(jr.fold_in(key, i), (dim,), dtype)
        return z * product(z)

    def add(moments, i):  # Welford's update: two vectors, however many samples
        mean, squares = moments
        sample = draw(i)
        change = sample - mean
        mean = mean + change / (i + 1)
        return (mean, squares + change * (sample - mean)), None

    zero = jnp.zeros(dim, dtype)
    (mean, squares), _ = jax.lax.scan(add, (zero, zero), jnp.arange(num_matvecs))
    error = jnp.sqrt(squares / (num_matvecs - 1) / num_matvecs) if num_matvecs > 1 else jnp.full_like(mean, jnp.nan)
    return Estimate(mean, error, jnp.int32(num_matvecs))


def _mapped(function: Any, xs: Any, at_once: int) -> Array:
    # a batch of one would still be a batch to XLA, whose batched convolutions take twice as long
    return jax.lax.map(function, xs, batch_size=at_once if at_once > 1 else None)


def _at_least(least: int, num_matvecs: int) -> None:
    if num_matvecs < least:
        raise ValueError(f"`num_matvecs` must be at least {least}; got {num_matvecs}.")
