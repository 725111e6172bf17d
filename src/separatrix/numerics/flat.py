"""A pytree's floating-point arrays seen as one vector, and batches cut into chunks.

Curvature is linear algebra on vectors, models are pytrees. Vectors are kept in at least `float32`, so that products and
sums of low-precision models do not lose what is measured.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

__all__ = ["FlatView", "chunked_mean", "num_examples", "widen"]


class FlatView:
    """How the real floating-point arrays of a pytree lie in one vector; other leaves are held fixed.

    Attributes:
        dim: number of entries.
        dtype: of the vector, at least `float32`.

    Raises:
        ValueError: if there is no floating-point array, or one is complex.

    Examples:
        >>> view = FlatView({"w": jnp.ones((2, 2), jnp.bfloat16), "name": "layer"})
        >>> view.dim, view.dtype.name, view.unravel(jnp.arange(4.0))["w"].dtype.name
        (4, 'float32', 'bfloat16')
    """

    def __init__(self, tree: PyTree):
        floats, _ = eqx.partition(tree, eqx.is_inexact_array)
        leaves, self._treedef = jax.tree.flatten(floats)
        if not leaves:
            raise ValueError("`params` must hold at least one floating-point array; it holds none.")
        if any(jnp.iscomplexobj(leaf) for leaf in leaves):
            raise ValueError("curvature is defined for real parameters; view complex ones as pairs of real ones.")
        self._shapes = [(leaf.shape, leaf.dtype) for leaf in leaves]
        self._ends = np.cumsum([leaf.size for leaf in leaves])
        self.dim = int(self._ends[-1])
        self.dtype = jnp.result_type(jnp.float32, *(leaf.dtype for leaf in leaves))

    def ravel(self, tree: PyTree) -> Float[Array, " dim"]:
        """Concatenate the floating-point leaves of a tree of this structure."""
        leaves = self._treedef.flatten_up_to(eqx.filter(tree, eqx.is_inexact_array))
        return jnp.concatenate([jnp.ravel(leaf).astype(self.dtype) for leaf in leaves])

    def unravel(self, vector: Float[Array, " dim"]) -> PyTree:
        """Cut a vector into the leaves' shapes and dtypes; leaves that are not floating-point arrays are None."""
        if vector.shape != (self.dim,):
            raise ValueError(f"the vector must have shape ({self.dim},); got {vector.shape}.")
        parts = jnp.split(vector, self._ends[:-1])
        leaves = [part.reshape(shape).astype(dtype) for part, (shape, dtype) in zip(parts, self._shapes, strict=True)]
        return jax.tree.unflatten(self._treedef, leaves)


def num_examples(batch: PyTree) -> int:
    """Return the common length of the leading axes of a batch.

    Args:
        batch: a pytree of arrays.

    Returns:
        The number of examples.

    Raises:
        ValueError: if there is no array, or the leading axes differ.

    Examples:
        >>> num_examples((jnp.zeros((3, 2)), jnp.zeros(3)))
        3
    """
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(batch)]
    lengths = {shape[0] if shape else -1 for shape in shapes}
    if len(lengths) != 1 or -1 in lengths:
        raise ValueError(f"arrays of a batch must share their leading axis, the examples; got shapes {shapes}.")
    return lengths.pop()


def widen(tree: PyTree) -> PyTree:
    """Cast floating-point leaves to at least `float32`.

    Args:
        tree: any pytree of arrays.

    Returns:
        The same tree, wider where it was narrow.
    """

    def cast(a):
        return a.astype(jnp.result_type(a, jnp.float32)) if jnp.issubdtype(a.dtype, jnp.floating) else a

    return jax.tree.map(cast, tree)


def chunked_mean(fn: Callable[[PyTree], PyTree], batch: PyTree, chunk_size: int | None) -> PyTree:
    """Average over a batch what `fn` averages over a part of it, one part at a time.

    Args:
        fn: from a batch to a pytree of arrays, each a mean over its examples.
        batch: a pytree of arrays with the examples along their leading axes.
        chunk_size: examples in a part, the last of which may be shorter; None takes the batch as it is.

    Returns:
        The mean over all examples, accumulated in at least `float32`.

    Raises:
        ValueError: if `chunk_size` is below 1.

    Examples:
        >>> float(chunked_mean(jnp.mean, jnp.arange(5.0), chunk_size=2))
        2.0
    """
    if chunk_size is None:
        return widen(fn(batch))
    if chunk_size < 1:
        raise ValueError(f"`chunk_size` must be at least 1; got {chunk_size}.")
    count = num_examples(batch)
    if chunk_size >= count:
        return widen(fn(batch))
    whole = count // chunk_size
    weigh: Any = lambda tree, size: jax.tree.map(lambda a: a * (size / count), widen(tree))  # noqa: E731
    cut = lambda a: a[: whole * chunk_size].reshape(whole, chunk_size, *a.shape[1:])  # noqa: E731
    head = jax.tree.map(cut, batch)
    shapes = jax.eval_shape(lambda b: widen(fn(b)), jax.tree.map(lambda a: a[0], head))
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
    add = lambda total, part: (jax.tree.map(jnp.add, total, weigh(fn(part), chunk_size)), None)  # noqa: E731
    total, _ = jax.lax.scan(add, zero, head)
    if rest := count - whole * chunk_size:
        tail = jax.tree.map(lambda a: a[whole * chunk_size :], batch)
        total = jax.tree.map(jnp.add, total, weigh(fn(tail), rest))
    return total
