"""Supervised training of models that keep running statistics, such as those of batch normalisation.

The statistics are part of the state and no part of the model: they receive no gradient and no weight decay.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from separatrix._core.process import AbstractProcess
from separatrix._core.stream import Stream
from separatrix.training.supervised import Batch, Supervised, SupervisedState

__all__ = ["StatisticsState", "SupervisedWithStatistics"]


class StatisticsState(NamedTuple):
    """State of `SupervisedWithStatistics`.

    Attributes:
        params: the model with everything but its floating-point arrays taken out.
        opt_state: state of the optimiser.
        statistics: running statistics.
    """

    params: PyTree
    opt_state: PyTree
    statistics: PyTree


class SupervisedWithStatistics(AbstractProcess):
    """Gradient training with two ways to apply the model: one while training, one for evaluation.

    Probes for `Supervised` work with it; what they measure is the evaluation.

    Attributes:
        model: `key -> model`, any pytree; its floating-point arrays are trained.
        statistics: running statistics at the start.
        loss: `(outputs, targets) -> losses`, one for each example; the mean is minimised.
        optimiser: any optax transform; it is given the parameters.
        stream: yields `Batch`.
        forward: `(model, statistics, inputs, key) -> (outputs, statistics)` on a batch, while training.
        evaluate: `(model, statistics, inputs) -> outputs`.
        held_out: a `Batch` for probes to evaluate on, or None.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix import FullBatch, run
        >>> from separatrix.models import BatchNormMLP, BatchStatistics, batch_norm_evaluate, batch_norm_forward
        >>> from separatrix.training import one_hot_squared_error
        >>> pairs = jnp.array([[0, 1], [2, 2], [1, 1]])
        >>> process = SupervisedWithStatistics(
        ...     model=lambda key: BatchNormMLP(key, p=3, width=8),
        ...     statistics=BatchStatistics.standard(8),
        ...     loss=one_hot_squared_error,
        ...     optimiser=optax.adam(1e-2),
        ...     stream=FullBatch(Batch(pairs, pairs.sum(axis=1) % 3)),
        ...     forward=batch_norm_forward,
        ...     evaluate=batch_norm_evaluate,
        ... )
        >>> state, _ = run(process, jr.key(0), 200)
        >>> jnp.argmax(process.outputs(state, pairs), axis=-1).tolist()
        [1, 1, 2]
    """

    model: Callable[[Key[Array, ""]], PyTree]
    statistics: PyTree
    loss: Callable[[PyTree, PyTree], Float[Array, " batch"]]
    optimiser: optax.GradientTransformation
    stream: Stream
    forward: Callable[[PyTree, PyTree, PyTree, Key[Array, ""] | None], tuple[PyTree, PyTree]]
    evaluate: Callable[[PyTree, PyTree, PyTree], PyTree]
    held_out: Batch | None = None

    def init(self, key):
        """Initialise the model and the optimiser; the statistics start from the field."""
        params, opt_state = self._plain().init(key)
        return StatisticsState(params, opt_state, self.statistics)

    def step(self, state, x, key):
        """Take one optimiser step on the batch `x` and move the statistics towards its own."""
        (value, statistics), gradient = self._differentiate(state, x, key)
        updates, opt_state = self.optimiser.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return StatisticsState(params, opt_state, statistics), {"loss": value}

    def model_at(self, state: StatisticsState) -> PyTree:
        """Return the model with the parameters of `state` put back."""
        return self._plain().model_at(SupervisedState(state.params, None))

    def outputs(self, state: StatisticsState, inputs: PyTree) -> PyTree:
        """Return the outputs in evaluation, by the running statistics."""
        return self.evaluate(self.model_at(state), state.statistics, inputs)

    def value_and_gradient(
        self, state: StatisticsState, x: Batch, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], PyTree]:
        """Return the mean loss on a batch, applied as in training, and its gradient, structured like `state.params`."""
        (value, _), gradient = self._differentiate(state, x, key)
        return value, gradient

    def _differentiate(self, state, x, key):
        def objective(params):
            model = self.model_at(state._replace(params=params))
            outputs, statistics = self.forward(model, state.statistics, x.inputs, key)
            return jnp.mean(self.loss(outputs, x.targets)), statistics

        return jax.value_and_grad(objective, has_aux=True)(state.params)

    def _plain(self) -> Supervised:
        return Supervised(self.model, self.loss, self.optimiser, self.stream)
