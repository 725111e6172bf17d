"""A model in two parts, its trained arrays and the rest, as processes keep it; and a model on a batch."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key, PyTree

__all__ = ["put_back", "trained_arrays", "vmapped"]


def trained_arrays(model: Any) -> PyTree:
    """Return a model with everything but its floating-point arrays taken out."""
    return eqx.filter(model, eqx.is_inexact_array)


def put_back(build: Callable[[Key[Array, ""]], Any], params: PyTree) -> Any:
    """Return the model whose trained arrays are given.

    Args:
        build: `key -> model`; it runs for the model's shape alone, unless the model has arrays that are not trained,
            which must not depend on the key.
        params: as `trained_arrays` returns them.

    Returns:
        The model.

    Examples:
        >>> model = put_back(lambda key: {"w": jr.normal(key, (2,)), "act": jnp.tanh}, {"w": jnp.ones(2), "act": None})
        >>> model["w"].tolist(), model["act"] is jnp.tanh
        ([1.0, 1.0], True)
    """
    shapes = eqx.filter_eval_shape(build, jr.key(0))
    is_array = lambda a: isinstance(a, jax.ShapeDtypeStruct)  # noqa: E731
    rest = eqx.filter(shapes, is_array, inverse=True)
    if all(jnp.issubdtype(a.dtype, jnp.inexact) for a in jax.tree.leaves(eqx.filter(shapes, is_array))):
        return eqx.combine(params, rest)
    fixed = eqx.filter(build(jr.key(0)), lambda a: eqx.is_array(a) and not eqx.is_inexact_array(a))
    return eqx.combine(params, fixed, rest)


def vmapped(model: Callable[[PyTree], PyTree], inputs: PyTree, key: Key[Array, ""] | None) -> PyTree:
    """Apply a model of one example to a batch; the default `forward`, deterministic."""
    del key
    return jax.vmap(model)(inputs)
