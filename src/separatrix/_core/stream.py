"""What is fed: a stream is a function of the step, so a run can resume anywhere."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Int, Key, PyTree

__all__ = ["FullBatch", "MiniBatches", "Stream"]

ROUNDS = 8
SHORT = 256

Stream = Callable[[Int[Array, ""], Key[Array, ""]], Any]
"""`(step, key) -> x`: random access by the number of completed steps; `key` is the same at every step."""


class FullBatch(eqx.Module):
    """The whole data set at every step.

    Attributes:
        data: any pytree, handed on as it is.
    """

    data: PyTree

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> PyTree:
        """Return all the data; see `Stream`."""
        del step, key
        return self.data


class MiniBatches(eqx.Module):
    """Batches drawn with or without replacement.

    Without replacement each epoch is a fresh permutation and a last short batch is dropped, as is usual. The
    permutation is never formed: each of its entries is computed on its own (`shuffled`), at a cost that does not grow
    with the data.

    Attributes:
        data: a pytree of arrays with a common leading axis of length `num_examples`.
        batch_size: examples in a batch, `1 <= batch_size <= num_examples`.
        replace: draw each example independently.
    """

    data: PyTree
    batch_size: int = eqx.field(static=True)
    replace: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        """Refuse a batch that the data cannot fill."""
        if not 1 <= self.batch_size <= self.num_examples:
            raise ValueError(f"`batch_size` must lie in 1..{self.num_examples}; got {self.batch_size}.")

    @property
    def num_examples(self) -> int:
        """Length of the leading axis of the data."""
        return jax.tree.leaves(self.data)[0].shape[0]

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> PyTree:
        """Return the batch of this step; see `Stream`."""
        n, size = self.num_examples, self.batch_size
        if self.replace:
            rows = jr.randint(jr.fold_in(key, step), (size,), 0, n)
        else:
            per_epoch = n // size
            places = (step % per_epoch) * size + jnp.arange(size, dtype=jnp.int32)
            rows = shuffled(jr.fold_in(key, step // per_epoch), places, n)
        return jax.tree.map(lambda a: a[rows], self.data)


def shuffled(key: Key[Array, ""], places: Int[Array, " k"], n: int) -> Int[Array, " k"]:
    """Entries of a pseudo-random permutation of `0..n-1`, without forming it.

    A Feistel network permutes the numbers of an even number of bits; those that fall outside the range are sent through
    again until they fall inside (cycle walking), which keeps it a permutation. It is meant for shuffling data, not for
    cryptography.

    Args:
        key: chooses the permutation.
        places: positions in `0..n-1`.
        n: length of the permutation, at most 2^30.

    Returns:
        What stands at those places, int32.

    Examples:
        >>> sorted(shuffled(jr.key(0), jnp.arange(10), 10).tolist()) == list(range(10))
        True

    References:
        Black and Rogaway (2002), Ciphers with Arbitrary Finite Domains, CT-RSA.
    """
    if n <= SHORT:  # few bits are mixed badly, and sorting few numbers is cheap
        return jr.permutation(key, n)[places].astype(jnp.int32)
    half = ((n - 1).bit_length() + 1) // 2
    mask = jnp.uint32(2**half - 1)
    round_keys = jr.bits(key, (ROUNDS,), jnp.uint32)

    def mix(x):  # finaliser of MurmurHash3
        x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
        x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
        return x ^ (x >> 16)

    def network(x):
        left, right = x >> half, x & mask
        for round_key in round_keys:
            left, right = right, left ^ (mix(right ^ round_key) & mask)
        return (left << half) | right

    outside = lambda x: jnp.any(x >= n)  # noqa: E731
    again = lambda x: jnp.where(x >= n, network(x), x)  # noqa: E731
    return jax.lax.while_loop(outside, again, network(places.astype(jnp.uint32))).astype(jnp.int32)
