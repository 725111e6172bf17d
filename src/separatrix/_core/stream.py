"""What is fed: a stream is a function of the step, so a run can resume anywhere."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.random as jr
from jaxtyping import Array, Int, Key, PyTree

__all__ = ["FullBatch", "MiniBatches", "Stream"]

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

    Without replacement each epoch is a fresh permutation and a last short batch is dropped, as is usual; the
    permutation is recomputed at each step, which costs a sort of the `num_examples` indices.

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
            order = jr.permutation(jr.fold_in(key, step // per_epoch), n)
            rows = jax.lax.dynamic_slice(order, ((step % per_epoch) * size,), (size,))
        return jax.tree.map(lambda a: a[rows], self.data)
