"""Sequences of tasks: their examples as stacked arrays, and a stream that visits them block by block."""

from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, Shaped

from separatrix._core.stream import shuffled

__all__ = ["Examples", "OneTask", "TaskBatch", "TaskSet", "TaskStream", "stack_tasks"]


SORTED = 512


class TaskBatch(NamedTuple):
    """What a task stream yields.

    Attributes:
        inputs: examples on the first axis.
        targets: their targets.
        task: index of the task they come from, a scalar.
        ends: whether this is the last update of a block, when methods consolidate; a scalar.
    """

    inputs: Shaped[Array, "batch ..."]
    targets: Shaped[Array, "batch ..."]
    task: Int[Array, ""]
    ends: Bool[Array, ""]


class Examples(NamedTuple):
    """Examples of one task, filled up to a common length.

    Attributes:
        inputs: examples on the first axis.
        targets: their targets.
        weight: 1 for an example, 0 for what fills up.
    """

    inputs: Shaped[Array, "examples ..."]
    targets: Shaped[Array, "examples ..."]
    weight: Float[Array, " examples"]


class TaskSet(eqx.Module):
    """Training and test examples of several tasks; shorter tasks are filled up by repeating their own examples.

    Attributes:
        train_inputs: tasks on the first axis, examples on the second.
        train_targets: their targets.
        test_inputs: held-out examples.
        test_targets: their targets.
        train_counts: number of real training examples of each task, static.
        test_counts: number of real test examples of each task, static.
        num_classes: number of outputs of a shared head, static; 0 for regression.
        names: of the tasks, static.
    """

    train_inputs: Shaped[Array, "tasks train ..."]
    train_targets: Shaped[Array, "tasks train ..."]
    test_inputs: Shaped[Array, "tasks test ..."]
    test_targets: Shaped[Array, "tasks test ..."]
    train_counts: tuple[int, ...] = eqx.field(static=True)
    test_counts: tuple[int, ...] = eqx.field(static=True)
    num_classes: int = eqx.field(static=True)
    names: tuple[str, ...] = eqx.field(static=True)

    @property
    def num_tasks(self) -> int:
        """Number of tasks."""
        return len(self.train_counts)

    def examples(self, task: Int[Array, ""]) -> Examples:
        """Return the training examples of a task (its index may be traced)."""
        return _one_task(self.train_inputs, self.train_targets, self.train_counts, task)

    def tests(self, task: Int[Array, ""]) -> Examples:
        """Return the test examples of a task (its index may be traced)."""
        return _one_task(self.test_inputs, self.test_targets, self.test_counts, task)

    def draw(self, tasks: Int[Array, " batch"], key: Key[Array, ""]) -> tuple[Array, Array]:
        """Draw one training example of each task named, uniformly and independently.

        Args:
            tasks: task of each example.
            key: drives the choice.

        Returns:
            Inputs and targets, in the order of `tasks`.
        """
        counts = jnp.asarray(self.train_counts, jnp.int32)[tasks]
        rows = jnp.minimum((jr.uniform(key, tasks.shape) * counts).astype(jnp.int32), counts - 1)
        return self.train_inputs[tasks, rows], self.train_targets[tasks, rows]

    def class_mask(self) -> Bool[Array, "tasks classes"]:
        """Return which classes occur in the training examples of each task."""
        hot = jax.nn.one_hot(self.train_targets, self.num_classes, dtype=bool)
        return jnp.any(hot, axis=1)


def _one_task(inputs: Array, targets: Array, counts: tuple[int, ...], task) -> Examples:
    weight = (jnp.arange(inputs.shape[1]) < jnp.asarray(counts)[task]).astype(jnp.float32)
    return Examples(inputs[task], targets[task], weight)


def stack_tasks(
    train: Sequence[tuple[Array | np.ndarray, Array | np.ndarray]],
    test: Sequence[tuple[Array | np.ndarray, Array | np.ndarray]],
    num_classes: int,
    names: Sequence[str] | None = None,
) -> TaskSet:
    """Make a task set from one pair of inputs and targets for each task.

    Args:
        train: `(inputs, targets)` of each task, examples on the first axis, alike but for their number.
        test: the same, held out.
        num_classes: number of outputs of a shared head; 0 for regression.
        names: of the tasks; `task 0`, ... by default.

    Returns:
        The tasks.

    Raises:
        ValueError: if there is no task, the two lists differ in length, a task is empty, inputs and targets differ in
            length, or a label is not in `0..num_classes-1`.

    Examples:
        >>> task = lambda n: (np.zeros((n, 2), np.float32), np.zeros(n, np.int32))
        >>> tasks = stack_tasks([task(5), task(3)], [task(2), task(2)], num_classes=1)
        >>> tasks.train_inputs.shape, tasks.train_counts
        ((2, 5, 2), (5, 3))
    """
    if not train or len(train) != len(test):
        raise ValueError(f"there must be as many test sets as tasks, at least one; got {len(train)} and {len(test)}.")
    for part, pairs in (("train", train), ("test", test)):
        for i, (inputs, targets) in enumerate(pairs):
            if len(inputs) != len(targets) or not len(inputs):
                raise ValueError(
                    f"`{part}` of task {i} must have as many inputs as targets, at least one; got {len(inputs)} and "
                    f"{len(targets)}."
                )
            low, high = np.min(targets), np.max(targets)
            if num_classes and not 0 <= low <= high < num_classes:
                raise ValueError(
                    f"the labels of `{part}` of task {i} must be in 0..{num_classes - 1}; got {low} to {high}."
                )
    labels = tuple(names) if names is not None else tuple(f"task {i}" for i in range(len(train)))
    if len(labels) != len(train):
        raise ValueError(f"`names` must name {len(train)} tasks; got {len(labels)}.")
    (train_x, train_y), (test_x, test_y) = _fill(train), _fill(test)
    counts = [tuple(len(targets) for _, targets in pairs) for pairs in (train, test)]
    return TaskSet(train_x, train_y, test_x, test_y, counts[0], counts[1], num_classes, labels)


def _fill(pairs) -> list[Array]:
    longest = max(len(targets) for _, targets in pairs)
    return [
        jnp.asarray(np.stack([np.resize(np.asarray(pair[part]), (longest, *pair[part].shape[1:])) for pair in pairs]))
        for part in (0, 1)
    ]


class TaskStream(eqx.Module):
    """Batches of one task at a time: a stream for `run`.

    Block b feeds `steps[b]` updates from task `order[b]`, without replacement within an epoch; a last short batch of an
    epoch is dropped. After the last block its task goes on.

    Attributes:
        tasks: the examples.
        steps: updates of each block; a single number serves all.
        batch_size: examples in a batch.
        order: task of each block; each task once, in order, by default.

    Examples:
        >>> task = lambda k: (np.full((4, 1), k, np.float32), np.full(4, k, np.int32))
        >>> tasks = stack_tasks([task(0), task(1)], [task(0), task(1)], num_classes=2)
        >>> stream = TaskStream(tasks, steps=3, batch_size=2)
        >>> stream.boundaries, [int(stream(jnp.int32(n), jr.key(0)).task) for n in range(6)]
        ((0, 3, 6), [0, 0, 0, 1, 1, 1])
    """

    tasks: TaskSet
    steps: tuple[int, ...] = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    order: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, tasks: TaskSet, steps: int | Sequence[int], batch_size: int, order: Sequence[int] | None = None):
        self.order = tuple(range(tasks.num_tasks)) if order is None else tuple(int(t) for t in order)
        self.steps = (int(steps),) * len(self.order) if isinstance(steps, int) else tuple(int(s) for s in steps)
        self.tasks, self.batch_size = tasks, batch_size
        if not self.order or any(not 0 <= t < tasks.num_tasks for t in self.order):
            raise ValueError(f"`order` must list tasks in 0..{tasks.num_tasks - 1}; got {self.order}.")
        if len(self.steps) != len(self.order) or min(self.steps) < 1:
            raise ValueError(
                f"`steps` must give at least one update for each of {len(self.order)} blocks; got {steps}."
            )
        fewest = min(tasks.train_counts[t] for t in self.order)
        if not 1 <= batch_size <= fewest:
            raise ValueError(f"`batch_size` must lie in 1..{fewest}, the size of the smallest task; got {batch_size}.")

    @property
    def boundaries(self) -> tuple[int, ...]:
        """Completed updates at the start and at the end of each block."""
        return (0, *(int(n) for n in np.cumsum(self.steps)))

    @property
    def total_steps(self) -> int:
        """Updates of all blocks."""
        return sum(self.steps)

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> TaskBatch:
        """Return the batch of this step; see `separatrix.Stream`."""
        marks = jnp.asarray(self.boundaries, jnp.int32)
        block = jnp.minimum(jnp.sum(step >= marks[1:]), len(self.order) - 1)
        task = jnp.asarray(self.order, jnp.int32)[block]
        places = (step - marks[block]) * self.batch_size
        rows = self._rows(jr.fold_in(key, block), task, places)
        batch = [a[task, rows] for a in (self.tasks.train_inputs, self.tasks.train_targets)]
        return TaskBatch(batch[0], batch[1], task, jnp.any(step + 1 == marks[1:]))

    def _rows(self, key, task, first) -> Int[Array, " batch"]:
        sizes = sorted({self.tasks.train_counts[t] for t in self.order})
        places = jnp.arange(self.batch_size, dtype=jnp.int32)

        def within(n: int):
            def rows(key, first):
                epoch = (n // self.batch_size) * self.batch_size
                return shuffled(jr.fold_in(key, first // epoch), first % epoch + places, n)

            return rows

        if len(sizes) == 1:
            return within(sizes[0])(key, first)
        if sizes[-1] <= SORTED:  # one sort serves all lengths; a branch for each length costs seconds of compilation
            count = jnp.asarray(self.tasks.train_counts, jnp.int32)[task]
            epoch = (count // self.batch_size) * self.batch_size
            drawn = jr.uniform(jr.fold_in(key, first // epoch), (sizes[-1],))
            order = jnp.argsort(jnp.where(jnp.arange(sizes[-1]) < count, drawn, 2.0))
            return order[first % epoch + places].astype(jnp.int32)
        which = jnp.asarray([sizes.index(n) if n in sizes else 0 for n in self.tasks.train_counts], jnp.int32)[task]
        return jax.lax.switch(which, [within(n) for n in sizes], key, first)

    def examples(self, task: Int[Array, ""]) -> Examples:
        """Return the training examples of a task, which methods consolidate on."""
        return self.tasks.examples(task)


class OneTask(eqx.Module):
    """Batches of a single task, drawn with replacement: the stream of a single-task expert.

    Which task is data, so experts of all tasks share one compiled program (`over={"expert": ...}`).

    Attributes:
        tasks: the examples.
        task: index of the task, traced.
        batch_size: examples in a batch.
    """

    tasks: TaskSet
    task: Int[Array, ""] | int
    batch_size: int = eqx.field(static=True)

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> TaskBatch:
        """Return the batch of this step; see `separatrix.Stream`."""
        task = jnp.asarray(self.task, jnp.int32)
        batch = self.tasks.draw(jnp.broadcast_to(task, (self.batch_size,)), jr.fold_in(key, step))
        return TaskBatch(*batch, task, jnp.asarray(False))

    def examples(self, task: Int[Array, ""]) -> Examples:
        """Return the training examples of a task."""
        return self.tasks.examples(task)
