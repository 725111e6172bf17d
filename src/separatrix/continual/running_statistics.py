"""Continual learning of models with running statistics, such as those of batch normalisation.

The statistics are part of the state and no part of the parameters: no term of a method penalises or projects them.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, PyTree

from separatrix._core.keys import named_key
from separatrix._core.process import AbstractProcess
from separatrix.continual.buffers import Slots, draw
from separatrix.continual.learner import ContinualState, Learner

__all__ = ["NormalisedLearner", "NormalisedState"]


class NormalisedState(NamedTuple):
    """State of `NormalisedLearner`.

    Attributes:
        learner: state of the learner.
        statistics: running statistics.
    """

    learner: ContinualState
    statistics: PyTree


class NormalisedLearner(AbstractProcess):
    """A learner whose model is applied in one way while training and in another for evaluation.

    While training every batch, new or from a memory, is normalised by itself. The running statistics follow the new
    batch together with as many examples from each memory, drawn afresh: what a method replays counts in evaluation.
    Teachers and importances of parameters are evaluated by the running statistics.

    Attributes:
        learner: with all its terms; its own `forward` is not used.
        statistics: running statistics at the start.
        train: `(model, statistics, inputs, key) -> (outputs, statistics)` on a batch.
        evaluate: `(model, statistics, inputs) -> outputs`.

    Examples:
        >>> import jax.random as jr, optax
        >>> from separatrix import run
        >>> from separatrix.data import TaskStream, gaussian_tasks
        >>> from separatrix.models import MLP, BatchNorm, BatchStatistics
        >>> norm = BatchNorm(2)
        >>> process = NormalisedLearner(
        ...     Learner(
        ...         model=lambda key: MLP(key, (2, 16, 2)),
        ...         loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        ...         optimiser=optax.sgd(0.1),
        ...         stream=TaskStream(gaussian_tasks(jr.key(0), 2), steps=50, batch_size=16),
        ...     ),
        ...     statistics=BatchStatistics.standard(2),
        ...     train=lambda net, old, x, key: (jax.vmap(net)((found := norm(x, old))[0]), found[1]),
        ...     evaluate=lambda net, statistics, x: jax.vmap(net)(norm.evaluate(x, statistics)),
        ... )
        >>> state, _ = run(process, jr.key(1), 100)
        >>> process.outputs(state, jnp.zeros((3, 2))).shape
        (3, 2)
    """

    learner: Learner
    statistics: PyTree
    train: Callable[[PyTree, PyTree, PyTree, Key[Array, ""] | None], tuple[PyTree, PyTree]]
    evaluate: Callable[[PyTree, PyTree, PyTree], PyTree]

    @property
    def stream(self) -> Any:
        """The learner's stream."""
        return self.learner.stream

    def init(self, key):
        """Initialise the learner; the statistics start from the field."""
        return NormalisedState(self._with(self.statistics).init(key), self.statistics)

    def step(self, state, x, key):
        """Take one step of the learner, and move the statistics by the model before it."""
        learner = self._with(state.statistics)
        after, info = learner.step(state.learner, x, key)
        seen = self._seen(state.learner, x, named_key(key, "statistics"))
        _, statistics = self.train(learner.model_at(state.learner), state.statistics, seen, named_key(key, "forward"))
        return NormalisedState(after, jax.lax.stop_gradient(statistics)), info

    def outputs(self, state: NormalisedState, inputs: PyTree) -> PyTree:
        """Return the model's outputs on a batch, by the running statistics."""
        return self._with(state.statistics).outputs(state.learner, inputs)

    def _with(self, statistics: PyTree) -> Learner:
        def forward(model, inputs, key):
            if key is None:
                return self.evaluate(model, statistics, inputs)
            return self.train(model, statistics, inputs, key)[0]

        return dataclasses.replace(self.learner, forward=forward)

    def _seen(self, state: ContinualState, x: Any, key: Key[Array, ""]) -> PyTree:
        """The new inputs and as many of each memory; where a memory has none yet, the new ones again."""
        parts, count = [x.inputs], len(jax.tree.leaves(x.inputs)[0])
        for i, memory in enumerate(m for m in state.memories if isinstance(m, Slots)):
            old, weight = draw(memory, count, jax.random.fold_in(key, i))

            def choose(old, new, weight=weight):
                return jnp.where(weight.reshape(-1, *(1,) * (new.ndim - 1)) > 0, old, new)

            parts.append(jax.tree.map(choose, old.inputs, x.inputs))
        return jax.tree.map(lambda *a: jnp.concatenate(a), *parts)
