"""Gram matrices of a dictionary on snapshot pairs, from matrices in memory or streamed over chunks of the data.

With snapshots `y = F(x)`, quadrature weights `w` and `Psi_X`, `Psi_Y` the dictionary on both, the inner products that
everything else is made of are `G = Psi_X* W Psi_X`, `A = Psi_X* W Psi_Y`, `L = Psi_Y* W Psi_Y`. `compress` keeps more
digits: it reduces the snapshots to at most `2 N` rows with the same inner products and does not square the condition
number.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num

__all__ = ["Dictionary", "Gram", "Snapshots", "compress", "evaluate", "gram", "stream_gram", "weighted"]

Dictionary = Callable[[Any], Any]
"""Maps states `(samples, dim)` to observables `(samples, size)`; an equinox module is compiled, others are called."""

CHUNK = 4_096
SMALL_PRODUCT = 10**8  # multiplications below which compiling a program takes longer than the product in NumPy


class Gram(NamedTuple):
    """Inner products of a dictionary, each of shape `(size, size)`.

    Attributes:
        G: `<psi_k, psi_j>`.
        A: `<K psi_k, psi_j>`.
        L: `<K psi_k, K psi_j>`.
    """

    G: Num[np.ndarray, "size size"]
    A: Num[np.ndarray, "size size"]
    L: Num[np.ndarray, "size size"]


class Snapshots(NamedTuple):
    """A dictionary on snapshot pairs, row by row; rows that came from `compress` are combinations of snapshots.

    Attributes:
        psi_x: observables before, shape `(rows, size)`.
        psi_y: observables after.
    """

    psi_x: Num[np.ndarray, "rows size"]
    psi_y: Num[np.ndarray, "rows size"]


def weighted(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
) -> Snapshots:
    """Multiply the rows by the roots of their quadrature weights, in double precision.

    Args:
        psi_x: dictionary before.
        psi_y: dictionary after.
        weights: one weight a row, not negative; `1 / rows` by default.

    Returns:
        Rows whose plain inner products are the weighted ones.

    Raises:
        ValueError: if shapes differ, weights are negative, or a value is not finite.
    """
    psi_x, psi_y = (np.asarray(p) for p in (psi_x, psi_y))
    if psi_x.ndim != 2 or psi_x.shape != psi_y.shape or not psi_x.size:
        raise ValueError(f"`psi_x` and `psi_y` must be equal matrices, not empty; got {psi_x.shape}, {psi_y.shape}.")
    dtype = np.result_type(psi_x, psi_y, np.float64)
    rows = len(psi_x)
    if weights is None:
        root = np.full((rows, 1), rows**-0.5)
    else:
        weights = np.asarray(weights, float)
        if weights.shape != (rows,) or not (weights >= 0).all():
            raise ValueError(f"`weights` must hold {rows} numbers >= 0, one a snapshot; got shape {weights.shape}.")
        root = np.sqrt(weights)[:, None]
    out = Snapshots(psi_x.astype(dtype, copy=False) * root, psi_y.astype(dtype, copy=False) * root)
    if not all(np.isfinite(p).all() for p in out):
        raise ValueError("the dictionary has NaN or infinite values on the snapshots; drop those rows first.")
    return out


def gram(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
) -> Gram:
    """Inner products of a dictionary that is in memory.

    Args:
        psi_x: dictionary at the snapshots `x`.
        psi_y: dictionary at the snapshots `y = F(x)`.
        weights: quadrature weights; `1 / rows` by default.

    Returns:
        `G`, `A` and `L`.

    References:
        Colbrook, Ayton, Szoke (2023), Residual dynamic mode decomposition, J. Fluid Mech. 955, A21.

    Examples:
        >>> import numpy as np
        >>> shift = gram(np.eye(3), np.roll(np.eye(3), -1, 0))  # point masses, moved along a cycle of three
        >>> bool(np.allclose(3 * shift.A, np.roll(np.eye(3), -1, 0)))
        True
    """
    x, y = weighted(psi_x, psi_y, weights)
    if x.size * x.shape[1] < SMALL_PRODUCT:
        return Gram(x.conj().T @ x, x.conj().T @ y, y.conj().T @ y)
    with jax.enable_x64():
        empty = _empty(x.shape[1], x.dtype)
        return Gram(*(np.asarray(m) for m in _add_products(empty, x, y)))


def stream_gram(
    dictionary: Dictionary,
    x: Num[np.ndarray, "samples dim"],
    y: Num[np.ndarray, "samples dim"],
    weights: Float[np.ndarray, " samples"] | None = None,
    *,
    chunk: int = CHUNK,
) -> Gram:
    """Inner products of a dictionary that never stands in memory as a whole.

    Memory is that of two chunks of observables and three `size x size` matrices, whatever the number of snapshots.

    Args:
        dictionary: maps `(samples, dim)` to `(samples, size)`, real or complex.
        x: snapshots.
        y: their images.
        weights: quadrature weights; `1 / samples` by default.
        chunk: snapshots in one product.

    Returns:
        `G`, `A` and `L`.

    Raises:
        ValueError: if shapes do not fit or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> x = np.linspace(0, 1, 50)[:, None]
        >>> monomials = lambda x: x ** np.arange(3)
        >>> whole, parts = gram(monomials(x), monomials(x / 2)), stream_gram(monomials, x, x / 2, chunk=7)
        >>> bool(np.allclose(whole.A, parts.A))
        True
    """
    total = None
    with jax.enable_x64():
        for step in _chunks(x, y, weights, chunk):
            if isinstance(dictionary, eqx.Module):
                if total is None:
                    total = _empty(*_size(dictionary, step[0]))
                total = _add_module(dictionary, total, *step)
            else:
                psi_x, psi_y = (jnp.asarray(dictionary(part)) for part in step[:2])
                if total is None:
                    total = _empty(psi_x.shape[1], jnp.result_type(psi_x, jnp.float64))
                total = _add_products(total, psi_x * step[2], psi_y * step[2])
        out = Gram(*(np.asarray(m) for m in total or ()))
    return _finite(out)


def compress(
    dictionary: Dictionary,
    x: Num[np.ndarray, "samples dim"],
    y: Num[np.ndarray, "samples dim"],
    weights: Float[np.ndarray, " samples"] | None = None,
    *,
    chunk: int | None = None,
) -> Snapshots:
    """Reduce snapshots to at most `2 size` rows with the same inner products, by orthogonal transformations.

    `[Psi_X, Psi_Y] = Q R` is updated chunk by chunk and only `R` is kept. Its two halves take the place of `Psi_X` and
    `Psi_Y` (with weights of one) in every method of this package, and nothing is lost to squaring as it is in `gram`.

    Args:
        dictionary: maps `(samples, dim)` to `(samples, size)`, real or complex.
        x: snapshots.
        y: their images.
        weights: quadrature weights; `1 / samples` by default.
        chunk: snapshots in one factorisation; by default 4,096, or four times `size` if that is more.

    Returns:
        The halves of `R`; pass `weights=np.ones(rows)` with them.

    Raises:
        ValueError: if shapes do not fit or a value is not finite.

    References:
        Demmel, Grigori, Hoemmen, Langou (2012), Communication-optimal parallel and sequential QR, SIAM J. Sci. Comput.

    Examples:
        >>> import numpy as np
        >>> x = np.linspace(0, 1, 50)[:, None]
        >>> few = compress(lambda x: x ** np.arange(3), x, x / 2, chunk=20)
        >>> few.psi_x.shape
        (6, 3)
    """
    triangle = None
    with jax.enable_x64():
        if chunk is None:
            size = np.shape(evaluate(dictionary, np.asarray(x)[:1]))[1]
            chunk = max(CHUNK, 4 * size)
        for part_x, part_y, root in _chunks(x, y, weights, chunk):
            rows = jnp.concatenate([_call(dictionary, p) for p in (part_x, part_y)], axis=1) * root
            if triangle is None:
                triangle = jnp.zeros((rows.shape[1], rows.shape[1]), rows.dtype)
            triangle = _add_rows(triangle, rows)
        both = np.asarray(triangle)
    size = both.shape[1] // 2
    both = both[: min(len(both), len(x))]
    return _finite(Snapshots(np.ascontiguousarray(both[:, :size]), np.ascontiguousarray(both[:, size:])))


def evaluate(dictionary: Dictionary, x: Num[np.ndarray, "samples dim"]) -> Num[np.ndarray, "samples size"]:
    """A dictionary on states, in double precision.

    Args:
        dictionary: an equinox module (compiled) or any function of a matrix of states.
        x: states.

    Returns:
        NumPy matrix of observables.

    Examples:
        >>> import numpy as np
        >>> evaluate(lambda x: x**2, np.array([[1.0], [2.0]])).tolist()
        [[1.0], [4.0]]
    """
    with jax.enable_x64():
        out = np.asarray(_call(dictionary, np.asarray(x, float)))
    if out.ndim != 2 or len(out) != len(x):
        raise ValueError(f"a dictionary must map {np.shape(x)} to ({len(x)}, size); got {out.shape}.")
    return out


@eqx.filter_jit
def _compiled(dictionary, x):
    return dictionary(x)


def _call(dictionary: Dictionary, x: Any) -> Any:
    psi = _compiled(dictionary, jnp.asarray(x)) if isinstance(dictionary, eqx.Module) else dictionary(x)
    return jnp.asarray(psi)


def _size(dictionary: Dictionary, x: Any) -> tuple[int, Any]:
    shape = eqx.filter_eval_shape(dictionary, jnp.asarray(x))
    return shape.shape[1], jnp.result_type(shape.dtype, jnp.float64)


def _empty(size: int, dtype: Any) -> tuple[Any, Any, Any]:
    zeros = jnp.zeros((size, size), dtype)
    return zeros, zeros, zeros


@jax.jit
def _add_products(total, x, y):
    """Add the three products of a chunk; `A` and `L` share their right factor and so come from one product."""
    g, a, length = total
    both = jnp.concatenate([x, y], axis=1).conj().T @ y
    size = x.shape[1]
    return g + x.conj().T @ x, a + both[:size], length + both[size:]


@eqx.filter_jit
def _add_module(dictionary, total, x, y, root):
    return _add_products(total, dictionary(x) * root, dictionary(y) * root)


@jax.jit
def _add_rows(triangle, rows):
    return jnp.linalg.qr(jnp.concatenate([triangle, rows]), mode="r")


def _chunks(x: Any, y: Any, weights: Any, chunk: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yield chunks of equal shape, so that one program serves all; rows that fill up the last have no weight."""
    x, y = (np.asarray(a, float) for a in (x, y))
    if x.ndim != 2 or x.shape != y.shape or not x.size:
        raise ValueError(f"`x` and `y` must be equal matrices (samples, dim), not empty; got {x.shape}, {y.shape}.")
    if chunk < 1:
        raise ValueError(f"`chunk` must be at least 1; got {chunk}.")
    count = len(x)
    root = np.full(count, count**-0.5) if weights is None else np.sqrt(np.asarray(weights, float))
    if root.shape != (count,) or np.isnan(root).any():
        raise ValueError(f"`weights` must hold {count} numbers >= 0, one a snapshot; got shape {root.shape}.")
    chunk = min(chunk, count)
    for first in range(0, count, chunk):
        rows = np.arange(first, first + chunk)
        real = rows < count
        rows = np.minimum(rows, count - 1)
        yield x[rows], y[rows], np.where(real, root[rows], 0.0)[:, None]


def _finite(matrices):
    if not all(np.isfinite(m).all() for m in matrices):
        raise ValueError("the dictionary has NaN or infinite values on the snapshots; drop those rows first.")
    return matrices
