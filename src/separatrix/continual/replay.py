"""Replay: old examples beside new ones, with their labels (ER), with stored outputs (DER, DER++), or all (joint)."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool

from separatrix._core.intervention import Intervention
from separatrix._core.keys import named_key
from separatrix.continual.buffers import Balanced, Reservoir, Ring, Slots, draw
from separatrix.continual.learner import AbstractTerm, Learner, Stored, with_term

__all__ = ["DarkReplay", "JointTraining", "Replay", "dark_experience_replay", "experience_replay", "joint"]

Buffer = Reservoir | Ring | Balanced


def _one_example(learner: Learner, params, outputs: bool) -> Stored:
    """The shapes of a stored batch of one, from the stream's own batch."""
    batch = jax.eval_shape(learner.stream, jax.ShapeDtypeStruct((), jnp.int32), jax.eval_shape(lambda: jr.key(0)))
    one = lambda a: jnp.zeros((1, *a.shape[1:]), a.dtype)  # noqa: E731
    inputs, targets = jax.tree.map(one, (batch.inputs, batch.targets))
    own = jnp.zeros(1, jnp.int32)
    given = jax.eval_shape(lambda p: learner.apply(p, inputs, own, jnp.int32(0)), params) if outputs else None
    return Stored(inputs, targets, own, jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), given))


def _stored(x: Any, outputs=None) -> Stored:
    count = len(jax.tree.leaves(x.inputs)[0])
    return Stored(x.inputs, x.targets, jnp.broadcast_to(jnp.asarray(x.task, jnp.int32), (count,)), outputs)


def task_examples(learner: Learner, x: Any):
    """Return the examples of the task that ends, and their weights.

    Args:
        learner: whose stream knows them.
        x: the last batch of the task.

    Returns:
        A `Stored` and weights.

    Raises:
        ValueError: if the stream has no method `examples`.
    """
    if not hasattr(learner.stream, "examples"):
        raise ValueError(
            "this method needs the examples of a finished task; give the stream a method `examples(task) -> (inputs, "
            "targets, weight)`, as `data.TaskStream` has."
        )
    inputs, targets, weight = learner.stream.examples(x.task)
    own = jnp.broadcast_to(jnp.asarray(x.task, jnp.int32), weight.shape)
    return Stored(inputs, targets, own), weight


def _weighted_mean(values: Array, weight: Array) -> Array:
    return jnp.sum(values * weight) / jnp.maximum(jnp.sum(weight), 1.0)


class Replay(AbstractTerm):
    """`lam x loss(new batch) + (1 - lam) x loss(memory batch)`; see `experience_replay`.

    Attributes:
        buffer: the memory.
        lam: weight of the new batch once there is a memory.
        batch_size: examples drawn from the memory at each update; as many as are new when None.
    """

    buffer: Buffer
    lam: ArrayLike = 0.5
    batch_size: int | None = eqx.field(static=True, default=None)

    def init(self, learner, params, key):
        """Return an empty buffer."""
        del key
        return self.buffer.init(_one_example(learner, params, outputs=False))

    def share(self, memory: Slots, x):
        """Return `lam`, and 1 while the memory is empty."""
        del x
        return jnp.where(jnp.any(memory.group >= 0), self.lam, 1.0)

    def penalty(self, learner, memory, params, x, outputs, key):
        """Return the loss on a batch from the memory, times `1 - lam`."""
        del outputs
        count = len(jax.tree.leaves(x.inputs)[0]) if self.batch_size is None else self.batch_size
        old, weight = draw(memory, count, key)
        given = learner.apply(params, old.inputs, old.task, x.task, named_key(key, "forward"))
        return (1.0 - jnp.asarray(self.lam)) * _weighted_mean(learner.loss(given, old.targets), weight)

    def observe(self, learner, memory, before, after, gradient, x, outputs, key):
        """Offer the new batch to the buffer."""
        del learner, before, after, gradient, outputs
        return self.buffer.add(memory, _stored(x), key)

    def consolidate(self, learner, memory, params, x, key):
        """Offer the finished task's examples to a buffer that is filled at the end of a task."""
        del params
        if not isinstance(self.buffer, Balanced):
            return memory
        return self.buffer.refill(memory, *task_examples(learner, x), key)


def experience_replay(buffer: Buffer, lam: ArrayLike = 0.5, batch_size: int | None = None) -> Intervention:
    """Experience replay (ER): mix the loss on old examples into that on new ones.

    Args:
        buffer: where old examples are kept: `Reservoir`, `Ring` or `Balanced`.
        lam: weight of the new batch, traced; the old one has `1 - lam`. While the buffer is empty the new one has 1.
        batch_size: old examples at each update; as many as are new by default.

    Returns:
        An intervention.

    References:
        Chaudhry et al. (2019), arXiv:1902.10486.

    Examples:
        >>> import optax
        >>> from separatrix import run
        >>> from separatrix.continual import Learner, Reservoir
        >>> from separatrix.data import TaskStream, gaussian_tasks
        >>> from separatrix.models import MLP
        >>> plain = Learner(
        ...     model=lambda key: MLP(key, (2, 16, 2)),
        ...     loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        ...     optimiser=optax.sgd(0.1),
        ...     stream=TaskStream(gaussian_tasks(jr.key(0), 2), steps=20, batch_size=8),
        ... )
        >>> state, _ = run(experience_replay(Reservoir(32), lam=0.3)(plain), jr.key(1), 40)
        >>> int(state.memories[0].offered), sorted(set(state.memories[0].group.tolist()))
        (320, [0, 1])
    """
    return with_term(Replay(buffer, lam, batch_size))


class DarkReplay(AbstractTerm):
    """`loss(new batch) + alpha x mse(outputs, stored outputs) + beta x loss(second memory batch)`.

    Attributes:
        buffer: the memory, filled while training.
        alpha: weight of the squared difference, a mean over examples and outputs.
        beta: weight of the loss on old labels; 0 is DER.
        batch_size: examples of each of the two draws; as many as are new when None.
    """

    buffer: Reservoir | Ring
    alpha: ArrayLike = 0.5
    beta: ArrayLike = 0.0
    batch_size: int | None = eqx.field(static=True, default=None)

    def init(self, learner, params, key):
        """Return an empty buffer with room for outputs."""
        del key
        return self.buffer.init(_one_example(learner, params, outputs=True))

    def penalty(self, learner, memory, params, x, outputs, key):
        """Return both penalties; the second draw is left out where `beta` is the number 0."""
        del outputs
        count = len(jax.tree.leaves(x.inputs)[0]) if self.batch_size is None else self.batch_size
        old, weight = draw(memory, count, named_key(key, "outputs"))
        given = learner.apply(params, old.inputs, old.task, x.task, named_key(key, "forward"))
        total = self.alpha * _weighted_mean(jnp.mean((given - old.outputs) ** 2, axis=-1), weight)
        if isinstance(self.beta, int | float) and self.beta == 0:
            return total
        old, weight = draw(memory, count, named_key(key, "labels"))
        given = learner.apply(params, old.inputs, old.task, x.task, named_key(key, "forward again"))
        return total + self.beta * _weighted_mean(learner.loss(given, old.targets), weight)

    def observe(self, learner, memory, before, after, gradient, x, outputs, key):
        """Offer the new batch with the outputs that it had before the update."""
        del learner, before, after, gradient
        return self.buffer.add(memory, _stored(x, jax.lax.stop_gradient(outputs)), key)


def dark_experience_replay(
    buffer: Reservoir | Ring, alpha: ArrayLike = 0.5, beta: ArrayLike = 0.0, batch_size: int | None = None
) -> Intervention:
    """Dark experience replay: match outputs stored along the way (DER); with `beta` > 0 also the labels (DER++).

    The squared difference is a mean over examples and outputs, as in the authors' code.

    Args:
        buffer: `Reservoir` or `Ring`.
        alpha: weight of the outputs, traced.
        beta: weight of the labels, traced; drawn independently.
        batch_size: examples of each draw; as many as are new by default.

    Returns:
        An intervention.

    Raises:
        ValueError: if the buffer is filled at the end of a task, when the outputs of training are gone.

    References:
        Buzzega, Boschini, Porrello, Abati, Calderara (2020), NeurIPS, arXiv:2004.07211.
    """
    if isinstance(buffer, Balanced):
        raise ValueError("dark experience replay stores outputs while training; give it a `Reservoir` or a `Ring`.")
    return with_term(DarkReplay(buffer, alpha, beta, batch_size))


class JointTraining(AbstractTerm):
    """An unbiased estimate of the mean loss over all tasks seen so far; see `joint`.

    Attributes:
        batch_size: examples drawn from the other tasks at each update; as many as are new when None.
    """

    batch_size: int | None = eqx.field(static=True, default=None)

    def init(self, learner, params, key):
        """Return which tasks are finished: none."""
        del params, key
        if not hasattr(getattr(learner.stream, "tasks", None), "draw"):
            raise ValueError(
                "joint training needs the examples of all tasks: give it a `data.TaskStream`, or `fit` a "
                "`ContinualClassifier` without a method once, on the arrays of all tasks together."
            )
        return jnp.zeros(learner.stream.tasks.num_tasks, bool)

    def share(self, memory: Bool[Array, " tasks"], x):
        """Return one over the number of tasks seen, the current one among them."""
        return 1.0 / (1.0 + jnp.sum(self._others(memory, x)))

    def _others(self, memory, x):
        return memory & (jnp.arange(len(memory)) != x.task)

    def penalty(self, learner, memory, params, x, outputs, key):
        """Return the loss on a batch from the other tasks seen, times their number's share."""
        del outputs
        count = len(jax.tree.leaves(x.inputs)[0]) if self.batch_size is None else self.batch_size
        others = self._others(memory, x)
        number = jnp.sum(others)
        tasks = jr.categorical(named_key(key, "tasks"), jnp.where(others, 0.0, -1e9), shape=(count,))
        inputs, targets = learner.stream.tasks.draw(tasks, named_key(key, "rows"))
        given = learner.apply(params, inputs, tasks, x.task, named_key(key, "forward"))
        return (number / (1.0 + number)) * jnp.where(number > 0, jnp.mean(learner.loss(given, targets)), 0.0)

    def consolidate(self, learner, memory, params, x, key):
        """Count the finished task among those seen."""
        del learner, params, key
        return memory | (jnp.arange(len(memory)) == x.task)


def joint(batch_size: int | None = None) -> Intervention:
    """Train on all tasks seen so far, each with the same weight: the upper baseline.

    The new batch stands for the current task; the others are drawn afresh from their whole training data.

    Args:
        batch_size: examples from the other tasks at each update; as many as are new by default.

    Returns:
        An intervention on a process whose stream is a `data.TaskStream`.
    """
    return with_term(JointTraining(batch_size))
