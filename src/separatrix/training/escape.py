"""How long SGD stays at a minimum: the escape experiment."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from separatrix._core.intervention import replace as replace_fields
from separatrix._core.probe import Probe
from separatrix._core.run import run
from separatrix._core.stream import MiniBatches
from separatrix.training.regression_loss import half_squared_error
from separatrix.training.supervised import Batch, Supervised

__all__ = ["escape_time"]


class _Kicked(eqx.Module):
    """Parameters moved by a given distance in a random direction."""

    params: PyTree
    size: ArrayLike

    def __call__(self, key):
        flat, unravel = ravel_pytree(self.params)
        direction = jr.normal(key, flat.shape, flat.dtype)
        return unravel(flat + self.size * direction / jnp.linalg.norm(direction))


class _Forward(eqx.Module):
    f: Callable[[PyTree, PyTree], Any]

    def __call__(self, model, inputs, key):
        del key
        return jax.vmap(self.f, in_axes=(None, 0))(model, inputs)


class _Distance(eqx.Module):
    centre: PyTree

    def __call__(self, tr, key):
        del key
        return {"distance": optax.tree.norm(optax.tree.sub(tr.after.params, self.centre))}


_RATE_COMES_WITH_THE_GRID = optax.sgd(0.0)


def _with_rate(process, values):
    return replace_fields(optimiser=optax.sgd(values["rate"]))(process)


def escape_time(
    f: Callable[[PyTree, PyTree], Float[Array, "*outputs"]],
    params: PyTree,
    inputs: PyTree,
    targets: Float[Array, "n *outputs"],
    rate: float,
    batch_size: int,
    key: Key[Array, "*seeds"],
    radius: float = 1.0,
    *,
    kick: float = 1e-3,
    max_steps: int = 1_000,
    replace: bool = True,
    loss: Callable[[Array, PyTree], Float[Array, " batch"]] = half_squared_error,
) -> Int[np.ndarray, "*seeds"]:
    """Steps until SGD, started beside given parameters, is farther from them than a radius.

    Where the minimum is stable the distance stays near the kick. Rates share one compilation.

    Args:
        f: `(params, x) -> output` of one example.
        params: the minimum, a pytree of floating-point arrays.
        inputs: examples on the first axis of each leaf.
        targets: their targets.
        rate: learning rate.
        batch_size: examples in a batch; all of them without replacement is gradient descent.
        key: one key, or several for independent runs; drives the kick and the batches.
        radius: distance that counts as an escape, in the units of the parameters.
        kick: distance of the start, in a random direction.
        max_steps: length of the experiment.
        replace: whether examples are drawn independently; epochs of shuffled batches otherwise.
        loss: `(outputs, targets) -> losses`, one for each example.

    Returns:
        Completed steps at the first escape (a number that is no longer finite is one), -1 if there was none.

    Raises:
        ValueError: if `radius` does not exceed `kick`, or the batch size is out of range.

    References:
        Wu, Ma, E (2018), NeurIPS, "How SGD selects the global minima in over-parameterized learning".

    Example:
        >>> f, w, inputs = lambda w, x: w @ x, jnp.zeros(1), jnp.array([[1.0], [1.0]])
        >>> [int(escape_time(f, w, inputs, jnp.zeros(2), rate, 1, jr.key(0))) for rate in (1.9, 3.0)]  # 2^10 > 1000
        [-1, 10]
    """
    if not 0 < kick < radius:
        raise ValueError(f"`radius` must exceed `kick`, and `kick` be positive; got {radius} and {kick}.")
    process = Supervised(
        model=_Kicked(params, kick),
        loss=loss,
        optimiser=_RATE_COMES_WITH_THE_GRID,
        stream=MiniBatches(Batch(inputs, targets), batch_size, replace),
        forward=_Forward(f),
    )
    probe = Probe(_Distance(params), name="distance")
    rates = {"rate": np.array([rate])}
    records = run(process, key, max_steps, probes=[probe], over=rates, vary=_with_rate).records
    distance = np.asarray(records["distance"])[0]
    outside = ~(distance <= radius)
    return np.where(outside.any(axis=-1), outside.argmax(axis=-1) + 1, -1)
