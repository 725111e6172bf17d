"""Probes of a classifier under training, for `Supervised` and any process with its methods."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from separatrix._core.probe import Probe, Transition
from separatrix.training.alignment import nlm_alignment, weight_norm
from separatrix.training.health import logit_scale, softmax_collapse, zero_loss_fraction

__all__ = ["accuracy", "collapse", "norms", "weight_alignment"]

Cadence = int | Callable[[int], Sequence[int]]


def _accuracy(process: Any, state: Any, batch: Any):
    outputs = process.outputs(state, batch.inputs)
    return jnp.mean((jnp.argmax(outputs, axis=-1) == batch.targets).astype(jnp.float32))


def _measure_accuracy(tr: Transition, key):
    del key
    process: Any = tr.process
    out = {"train_accuracy": _accuracy(process, tr.after, tr.x)}
    if process.held_out is not None:
        out["test_accuracy"] = _accuracy(process, tr.after, process.held_out)
    return out


def accuracy(every: Cadence = 1) -> Probe:
    """Fraction of examples classified correctly after the update, on its batch and on the held-out data.

    Args:
        every: cadence.

    Returns:
        A probe recording `train_accuracy` and, where the process has `held_out`, `test_accuracy`.
    """
    attrs = {
        "train_accuracy": {"units": "1", "long_name": "training accuracy"},
        "test_accuracy": {"units": "1", "long_name": "test accuracy"},
    }
    return Probe(_measure_accuracy, every=every, name="accuracy", attrs=attrs)


class _Collapse(eqx.Module):
    precision: DTypeLike = eqx.field(static=True)

    def __call__(self, tr: Transition, key):
        del key
        process: Any = tr.process
        logits, labels = process.outputs(tr.after, tr.x.inputs), tr.x.targets
        return {
            "softmax_collapse": softmax_collapse(logits, labels, self.precision),
            "zero_loss": zero_loss_fraction(logits, labels, self.precision),
            "logit_scale": logit_scale(logits),
        }


def collapse(precision: DTypeLike = "float32", every: Cadence = 1) -> Probe:
    """Softmax Collapse of the training batch in the precision of the loss (not of the model).

    Args:
        precision: arithmetic of the softmax.
        every: cadence.

    Returns:
        A probe recording `softmax_collapse`, `zero_loss` (fractions of the batch) and `logit_scale`.
    """
    attrs = {
        "softmax_collapse": {"units": "1", "long_name": f"samples whose {precision} softmax has collapsed"},
        "zero_loss": {"units": "1", "long_name": f"samples with zero {precision} loss"},
        "logit_scale": {"units": "1", "long_name": "largest modulus of a logit"},
    }
    return Probe(_Collapse(precision), every=every, name="collapse", attrs=attrs)


def _measure_norm(tr: Transition, key):
    del key
    return {"weight_norm": weight_norm(tr.after.params)}


def norms(every: Cadence = 1) -> Probe:
    """Euclidean norm of all parameters after the update.

    Args:
        every: cadence.

    Returns:
        A probe recording `weight_norm`.
    """
    attrs = {"weight_norm": {"units": "1", "long_name": "weight norm"}}
    return Probe(_measure_norm, every=every, name="norms", attrs=attrs)


def _measure_alignment(tr: Transition, key):
    del key
    process: Any = tr.process
    _, gradient = process.value_and_gradient(tr.after, tr.x)
    return {"nlm_alignment": jnp.stack(jax.tree.leaves(nlm_alignment(tr.after.params, gradient)))}


def weight_alignment(every: Cadence = 1) -> Probe:
    """Cosine between each parameter tensor and its negative gradient, the direction of naive loss minimisation.

    It costs one gradient on the training batch for each record.

    Args:
        every: cadence.

    Returns:
        A probe recording `nlm_alignment` with the axis `layer`, in the order of the parameter tensors.
    """
    return Probe(
        _measure_alignment,
        every=every,
        name="weight_alignment",
        dims={"nlm_alignment": ("layer",)},
        attrs={"nlm_alignment": {"units": "1", "long_name": "cosine of weights and negative gradient"}},
    )
