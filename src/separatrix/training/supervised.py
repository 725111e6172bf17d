"""Supervised training as a process: model, loss, optimiser and data are its seams."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from separatrix._core.intervention import Intervention, between, replace
from separatrix._core.process import AbstractProcess
from separatrix._core.stream import Stream
from separatrix.models.trained_arrays import put_back, trained_arrays, vmapped
from separatrix.training.cross_entropy import mask_correct_class

__all__ = ["Batch", "Supervised", "SupervisedState", "mask_correct_class_gradient", "vmapped"]

NEVER = 2**31 - 1


class Batch(NamedTuple):
    """Examples with their targets, along a common leading axis."""

    inputs: PyTree
    targets: PyTree


class SupervisedState(NamedTuple):
    """State of `Supervised`.

    Attributes:
        params: the model with everything but its floating-point arrays taken out.
        opt_state: state of the optimiser.
    """

    params: PyTree
    opt_state: PyTree


class Supervised(AbstractProcess):
    """Gradient training of a model on batches from a stream.

    Attributes:
        model: `key -> model`, any pytree; its floating-point arrays are trained.
        loss: `(outputs, targets) -> losses`, one for each example; the mean is minimised.
        optimiser: any optax transform; it is given the parameters.
        stream: yields `Batch`.
        held_out: a `Batch` for probes to evaluate on, or None.
        forward: `(model, inputs, key) -> outputs` on a batch; `key` is None when evaluating, so that dropout can tell.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr, optax
        >>> from separatrix import FullBatch, info_probe, run
        >>> data = Batch(jnp.array([[0.0], [1.0]]), jnp.array([1.0, 3.0]))
        >>> process = Supervised(
        ...     model=lambda key: {"w": jnp.zeros(1), "b": jnp.zeros(())},
        ...     loss=lambda outputs, targets: (outputs - targets) ** 2,
        ...     optimiser=optax.sgd(0.4),
        ...     stream=FullBatch(data),
        ...     forward=lambda model, x, key: x @ model["w"] + model["b"],
        ... )
        >>> state, records = run(process, jr.key(0), 200, probes=[info_probe("loss", every=100)])
        >>> [round(float(v), 3) for v in (state.params["w"][0], state.params["b"])]
        [2.0, 1.0]
    """

    model: Callable[[Key[Array, ""]], PyTree]
    loss: Callable[[PyTree, PyTree], Float[Array, " batch"]]
    optimiser: optax.GradientTransformation
    stream: Stream
    held_out: Batch | None = None
    forward: Callable[[PyTree, PyTree, Key[Array, ""] | None], PyTree] = vmapped

    def init(self, key):
        """Initialise the model and the optimiser."""
        params = trained_arrays(self.model(key))
        return SupervisedState(params, self.optimiser.init(params))

    def step(self, state, x, key):
        """Take one optimiser step on the batch `x`."""
        value, gradient = self.value_and_gradient(state, x, key)
        updates, opt_state = self.optimiser.update(gradient, state.opt_state, state.params)
        return SupervisedState(optax.apply_updates(state.params, updates), opt_state), {"loss": value}

    def model_at(self, state: SupervisedState) -> PyTree:
        """Return the model with the parameters of `state` put back."""
        return put_back(self.model, state.params)

    def outputs(self, state: SupervisedState, inputs: PyTree, key: Key[Array, ""] | None = None) -> PyTree:
        """Return the model's outputs on a batch of inputs; evaluation mode unless a key is given."""
        return self.forward(self.model_at(state), inputs, key)

    def value_and_gradient(
        self, state: SupervisedState, x: Batch, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], PyTree]:
        """Return the mean loss on a batch and its gradient, structured like `state.params`."""

        def objective(params):
            outputs = self.outputs(state._replace(params=params), x.inputs, key)
            return jnp.mean(self.loss(outputs, x.targets))

        return jax.value_and_grad(objective)(state.params)


def mask_correct_class_gradient(from_step: ArrayLike) -> Intervention:
    """Zero the gradient with respect to the correct class's logit, as a collapsed softmax does, from a step on.

    A control: if learning stops now, the missing gradient is what stops it.

    Args:
        from_step: completed updates when it begins.

    Returns:
        An intervention on any process with a field `loss` of logits and integer labels.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), arXiv:2501.04697, appendix.
    """
    return between(from_step, NEVER, _mask)


def _mask(process: Any) -> AbstractProcess:
    return replace(loss=mask_correct_class(process.loss))(process)
