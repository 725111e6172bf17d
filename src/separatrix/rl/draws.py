"""Random draws in few operations: compiling one random operation costs more than thousands of its numbers."""

import hashlib
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

__all__ = ["named_keys", "random_rows", "uniform_pieces"]


def named_keys(key: Key[Array, ""], *names: str) -> list[Key[Array, ""]]:
    """Derive several keys by name at once, each the same as by `separatrix.named_key`.

    Args:
        key: the parent key.
        names: of the children.

    Returns:
        One key a name.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix import named_key
        >>> first, second = named_keys(jr.key(0), "actor", "critic")
        >>> bool(second == named_key(jr.key(0), "critic"))
        True
    """
    hashes = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "little") for name in names]
    return list(jax.vmap(jr.fold_in, (None, 0))(key, jnp.asarray(hashes, jnp.uint32)))


def random_rows(key: Key[Array, ""], count: int, rows: int | Int[Array, ""]) -> Int[Array, " count"]:
    """Draw row numbers with replacement.

    Args:
        key: random.
        count: how many.
        rows: numbers come from `0..rows - 1`; a remainder of 32 random bits, so uneven by `rows / 2^32`.

    Returns:
        Integers.
    """
    return (jr.bits(key, (count,), jnp.uint32) % jnp.asarray(rows, jnp.uint32)).astype(jnp.int32)


def uniform_pieces(
    key: Key[Array, ""], shapes: Sequence[tuple[int, ...]], dtype: DTypeLike = jnp.float32
) -> list[Float[Array, "..."]]:
    """Draw several arrays uniformly from [-1, 1) at once.

    Args:
        key: random.
        shapes: of the arrays.
        dtype: of the arrays.

    Returns:
        One array a shape.
    """
    sizes = [math.prod(shape) for shape in shapes]
    flat, pieces, begin = jr.uniform(key, (sum(sizes),), dtype, minval=-1.0), [], 0
    for shape, size in zip(shapes, sizes, strict=True):
        pieces.append(flat[begin : begin + size].reshape(shape))
        begin += size
    return pieces
