"""Half the squared error, whose Gauss-Newton matrix is `J^T J / n` without a factor, and what a regression reports."""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from separatrix._core.probe import Probe, Transition

__all__ = ["half_squared_error", "regression_errors"]

Cadence = int | Callable[[int], Sequence[int]]


def half_squared_error(
    outputs: Float[Array, "batch *outputs"], targets: Float[Array, "batch *outputs"]
) -> Float[Array, " batch"]:
    """Half the squared distance of each example's output from its target, summed over outputs.

    Args:
        outputs: examples on the first axis.
        targets: of the same shape.

    Returns:
        Shape `(batch,)`, >= 0.

    Raises:
        ValueError: if the shapes differ.

    Example:
        >>> half_squared_error(jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2))).tolist()
        [12.5]
    """
    outputs, targets = jnp.asarray(outputs), jnp.asarray(targets)
    if outputs.shape != targets.shape:
        raise ValueError(f"`targets` must have the shape {outputs.shape} of the outputs; got {targets.shape}.")
    return jnp.sum((outputs - targets) ** 2, axis=range(1, outputs.ndim)) / 2


def regression_errors(every: Cadence = 1) -> Probe:
    """Mean loss on all training and held-out examples, and how often the held-out sign is wrong.

    The process must have the methods of `Supervised` and a stream with a field `data`, as `FullBatch` and
    `MiniBatches`.

    Args:
        every: cadence.

    Returns:
        A probe recording `train_loss` and, where the process has `held_out`, `test_loss` and `sign_error`, the fraction
        of outputs whose sign differs from the target's.
    """

    def measure(tr: Transition, key):
        del key
        process: Any = tr.process
        data, held_out = process.stream.data, process.held_out
        out = {"train_loss": jnp.mean(process.loss(process.outputs(tr.after, data.inputs), data.targets))}
        if held_out is not None:
            outputs = process.outputs(tr.after, held_out.inputs)
            out["test_loss"] = jnp.mean(process.loss(outputs, held_out.targets))
            out["sign_error"] = jnp.mean(jnp.sign(outputs) != jnp.sign(held_out.targets), dtype=outputs.dtype)
        return out

    attrs = {
        "train_loss": {"units": "1", "long_name": "training loss"},
        "test_loss": {"units": "1", "long_name": "test loss"},
        "sign_error": {"units": "1", "long_name": "sign disagreements on test data"},
    }
    return Probe(measure, every=every, name="regression_errors", attrs=attrs)
