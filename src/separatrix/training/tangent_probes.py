"""Probes of lazy and rich training for `Supervised`: losses, the tangent kernel, and how far the parameters went."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from separatrix._core.probe import Probe, Transition
from separatrix.models.lazy_scale import LazyScale, trained_leaves
from separatrix.numerics.kernel_similarity import centered_kernel_alignment, kernel_alignment
from separatrix.numerics.kernels import empirical_ntk, ntk_distance, parameter_displacement

__all__ = ["laziness", "lazy_start", "losses", "tangent_alignment"]

Cadence = int | Callable[[int], Sequence[int]]


def losses(every: Cadence = 1) -> Probe:
    """Mean loss after the update, on its batch and on the held-out data.

    Args:
        every: cadence.

    Returns:
        A probe recording `train_loss` and, where the process has `held_out`, `test_loss`.
    """

    def measure(tr: Transition, key):
        del key
        process: Any = tr.process
        parts = {"train_loss": tr.x} | ({} if process.held_out is None else {"test_loss": process.held_out})
        return {
            name: jnp.mean(process.loss(process.outputs(tr.after, batch.inputs), batch.targets))
            for name, batch in parts.items()
        }

    attrs = {
        "train_loss": {"units": "1", "long_name": "training loss"},
        "test_loss": {"units": "1", "long_name": "test loss"},
    }
    return Probe(measure, every=every, name="losses", attrs=attrs)


class _Params(NamedTuple):  # what a process reads of its state to compute outputs
    params: PyTree


def _kernel(process: Any, params: PyTree, inputs: PyTree) -> Array:
    """Tangent kernel of the process's model on inputs, summed over outputs."""

    def output(p: PyTree, x: PyTree) -> Array:
        return process.outputs(_Params(p), jax.tree.map(lambda a: a[None], x))[0]

    return empirical_ntk(output, params, inputs, trace=True, filter_spec=trained_leaves(params))


def tangent_alignment(every: Cadence = 1, examples: int = 64) -> Probe:
    """Alignment of the tangent kernel with the targets of the batch; it rises as features are learned.

    Args:
        every: cadence; each record costs a gradient for each example and output.
        examples: leading examples of the batch that are used.

    Returns:
        A probe recording `kernel_alignment`. Integer targets count as one-hot codes, and means are taken out;
        NaN if all the targets are equal.
    """

    def measure(tr: Transition, key):
        del key
        process: Any = tr.process
        inputs, targets = jax.tree.map(lambda a: a[:examples], (tr.x.inputs, tr.x.targets))
        kernel = _kernel(process, tr.after.params, inputs)
        if not jnp.issubdtype(targets.dtype, jnp.integer):
            return {"kernel_alignment": kernel_alignment(kernel, targets, centred=True)}
        same = (targets[:, None] == targets[None, :]).astype(kernel.dtype)  # product of the one-hot codes
        return {"kernel_alignment": centered_kernel_alignment(kernel, same)}

    attrs = {"kernel_alignment": {"units": "1", "long_name": "alignment of the tangent kernel with the targets"}}
    return Probe(measure, every=every, name="tangent_alignment", attrs=attrs)


def lazy_start(params: PyTree) -> PyTree:
    """Return the parameters at the start, kept by a centred `LazyScale`, in the place of the present ones.

    Args:
        params: parameters of a `LazyScale`.

    Returns:
        A pytree of the same structure.

    Raises:
        ValueError: if they are of another model, or not centred.

    Example:
        >>> params = eqx.tree_at(lambda p: p.model, LazyScale(jnp.ones(2), 1.0), jnp.zeros(2))
        >>> lazy_start(params).model.tolist()
        [1.0, 1.0]
    """
    if not isinstance(params, LazyScale) or params.initial is None:
        raise ValueError("the start is kept by centred `LazyScale` models only; pass a function `start` for others.")
    return eqx.tree_at(lambda p: p.model, params, params.initial)


def laziness(every: Cadence = 1, examples: int = 64, start: Callable[[PyTree], PyTree] = lazy_start) -> Probe:
    """How far training has left the lazy regime: displacement of parameters and of the tangent kernel.

    Args:
        every: cadence; each record costs two gradients for each example and output.
        examples: leading examples of the batch on which the kernels are compared.
        start: from the present parameters to the initial ones; by default those that `LazyScale` keeps.

    Returns:
        A probe recording `displacement`, relative to the initial norm, and `ntk_distance`.
    """

    def measure(tr: Transition, key):
        del key
        process: Any = tr.process
        now = tr.after.params
        before = start(now)
        inputs = jax.tree.map(lambda a: a[:examples], tr.x.inputs)
        kernels = [_kernel(process, params, inputs) for params in (now, before)]
        marks = trained_leaves(now)
        moved = parameter_displacement(eqx.filter(now, marks), eqx.filter(before, marks))
        return {"displacement": moved, "ntk_distance": ntk_distance(*kernels)}

    attrs = {
        "displacement": {"units": "1", "long_name": "relative displacement of the parameters"},
        "ntk_distance": {"units": "1", "long_name": "distance of the tangent kernel from the initial one"},
    }
    return Probe(measure, every=every, name="laziness", attrs=attrs)
