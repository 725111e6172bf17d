"""Losses, gradients and Jacobians of single examples, in bounded memory.

One convention throughout: a loss is called as `loss(params, batch)` with the examples along the leading axes of the
batch, and returns their mean or one number for each. An example is a batch of length one, so the same function that
trains a model is taken apart here; quantities that mix examples (batch statistics) are those of that one example.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from separatrix.numerics.flat import FlatView, widen

__all__ = ["per_example_gradients", "per_example_jacobians", "per_example_losses"]

Loss = Callable[[PyTree, PyTree], Array]


def mean_loss(loss: Loss, params: PyTree, batch: PyTree) -> Float[Array, ""]:
    """Return the mean of what the loss returns, in at least `float32`."""
    return jnp.mean(widen(loss(params, batch)))


def over_examples(fn: Callable[[PyTree], Any], batch: PyTree, chunk_size: int | None) -> Any:
    """Apply `fn` to each example, a batch of length one, `chunk_size` of them at once."""
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"`chunk_size` must be at least 1; got {chunk_size}.")
    one = lambda example: fn(jax.tree.map(lambda a: a[None], example))  # noqa: E731
    batch = jax.tree.map(jnp.asarray, batch)
    return jax.vmap(one)(batch) if chunk_size is None else jax.lax.map(one, batch, batch_size=chunk_size)


@eqx.filter_jit
def per_example_losses(
    loss: Loss, params: PyTree, batch: PyTree, *, chunk_size: int | None = None
) -> Float[Array, " examples"]:
    """Loss of each example.

    Args:
        loss: `(params, batch) -> ` the mean loss, or the loss of each example.
        params: any pytree.
        batch: a pytree of arrays with the examples along their leading axes.
        chunk_size: examples evaluated at once; all of them when None.

    Returns:
        Losses in at least `float32`.

    Examples:
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2)
        >>> per_example_losses(loss, jnp.array([1.0, 2.0]), jnp.eye(2)).tolist()
        [1.0, 4.0]
    """
    return over_examples(lambda example: mean_loss(loss, params, example), batch, chunk_size)


@eqx.filter_jit
def per_example_gradients(
    loss: Loss,
    params: PyTree,
    batch: PyTree,
    *,
    chunk_size: int | None = None,
    flat: bool = False,
    reduce: Callable[[PyTree], Any] | None = None,
) -> Any:
    """Gradient of the loss of each example with respect to the floating-point arrays of `params`.

    Args:
        loss: `(params, batch) -> ` the mean loss, or the loss of each example.
        params: any pytree; leaves that are not floating-point arrays are held fixed.
        batch: a pytree of arrays with the examples along their leading axes.
        chunk_size: examples evaluated at once; all of them when None. Beside the result, memory grows with this number
            and not with the batch.
        flat: return vectors instead of pytrees, in the order of the leaves.
        reduce: applied to each example's gradient, so that only its result is kept: `optax.tree.norm` gives the norms
            of all gradients in the memory of `chunk_size` of them.

    Returns:
        A pytree like `params` whose leaves have shape `(examples, *leaf)` and the leaf's dtype (None for leaves held
        fixed); or an array `(examples, dim)` in at least `float32`; or what `reduce` returns, stacked.

    Examples:
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2)
        >>> w = jnp.array([1.0, 2.0])
        >>> per_example_gradients(loss, w, jnp.eye(2)).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        >>> per_example_gradients(loss, w, jnp.eye(2), chunk_size=1, reduce=jnp.linalg.norm).tolist()
        [2.0, 4.0]
    """
    floats, rest = eqx.partition(params, eqx.is_inexact_array)
    view = FlatView(params)

    def gradient(example):
        slope = jax.grad(lambda p: mean_loss(loss, eqx.combine(p, rest), example))(floats)
        slope = view.ravel(slope) if flat else slope
        return slope if reduce is None else reduce(slope)

    return over_examples(gradient, batch, chunk_size)


@eqx.filter_jit
def per_example_jacobians(
    outputs: Callable[[PyTree, PyTree], PyTree],
    params: PyTree,
    batch: PyTree,
    *,
    chunk_size: int | None = None,
    flat: bool = False,
) -> Any:
    """Jacobian of a model's outputs for each example, by one reverse pass for each output.

    Args:
        outputs: `(params, batch) -> ` a floating-point array, or a pytree of them when not `flat`, with the examples
            along the leading axis.
        params: any pytree; leaves that are not floating-point arrays are held fixed.
        batch: a pytree of arrays with the examples along their leading axes.
        chunk_size: examples evaluated at once; all of them when None.
        flat: return one array instead of pytrees.

    Returns:
        For each leaf of the outputs a pytree like `params` with leaves `(examples, *output, *leaf)`; or an array
        `(examples, outputs, dim)` in at least `float32`.

    Examples:
        >>> outputs = lambda w, x: x @ w
        >>> per_example_jacobians(outputs, jnp.ones((2, 1)), jnp.array([[3.0, 4.0]]), flat=True).tolist()
        [[[3.0, 4.0]]]
    """
    floats, rest = eqx.partition(params, eqx.is_inexact_array)
    view = FlatView(params)

    def jacobian(example):
        def one(p):
            out = jax.tree.map(lambda a: a[0], outputs(eqx.combine(p, rest), example))
            if not flat:
                return out
            return jnp.concatenate([jnp.ravel(a).astype(view.dtype) for a in jax.tree.leaves(out)])

        if not flat:
            return jax.jacrev(one)(floats)
        values, pull = jax.vjp(one, floats)
        return jax.vmap(lambda cotangent: view.ravel(pull(cotangent)[0]))(jnp.eye(values.size, dtype=values.dtype))

    return over_examples(jacobian, batch, chunk_size)
