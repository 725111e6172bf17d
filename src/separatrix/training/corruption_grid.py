"""Training on many sizes of the training set and many levels of label noise as one compiled program.

The whole data set is kept, in an order of its own for each seed. Its first part is trained on, and of this part a
fraction has wrong labels: both are masks of fixed shape, so the training fraction and the corruption are traced.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key, PyTree, Shaped

from separatrix._core.intervention import replace
from separatrix._core.probe import Probe, Transition
from separatrix._core.process import AbstractProcess
from separatrix._core.run import Run, run
from separatrix.data.corruption import corrupt_labels
from separatrix.training.label_noise import ACCURACY_ATTRS, Cadence, masked_mean
from separatrix.training.supervised import Batch

__all__ = ["CorruptedTable", "WeightedLoss", "WeightedTargets", "phase_diagram", "table_accuracy"]


class WeightedTargets(NamedTuple):
    """Targets with a weight for each example, for `WeightedLoss`."""

    labels: PyTree
    weights: Float[Array, " batch"]


class WeightedLoss(eqx.Module):
    """A loss on `WeightedTargets`: each example's loss times its weight.

    Attributes:
        loss: `(outputs, labels) -> losses`, one for each example; static.

    Examples:
        >>> from separatrix.training.squared_error import one_hot_squared_error
        >>> targets = WeightedTargets(jnp.array([0, 1]), jnp.array([2.0, 0.0]))
        >>> WeightedLoss(one_hot_squared_error)(jnp.zeros((2, 2)), targets).tolist()
        [1.0, 0.0]
    """

    loss: Callable[[Any, Any], Float[Array, " batch"]] = eqx.field(static=True)

    def __call__(self, outputs: PyTree, targets: WeightedTargets) -> Float[Array, " batch"]:
        """Return the weighted losses."""
        return self.loss(outputs, targets.labels) * targets.weights


class CorruptedTable(eqx.Module):
    """A stream over a data set of which a traced fraction is trained on, with a traced fraction of wrong labels.

    Made by `CorruptedTable.shuffled`. It yields the whole table with weights that make the mean of `WeightedLoss` the
    mean over the training examples; or, with a batch size, that many training examples drawn with replacement.

    Attributes:
        inputs: all inputs, in random order, the examples to train on first.
        truth: their classes.
        labels: the same, but wrong where `corrupted`.
        trained: which examples are trained on.
        corrupted: which of them had their labels redrawn.
        key: drives the corruption.
        num_classes: number of classes, static.
        batch_size: None for the whole table, static.

    Examples:
        >>> table = CorruptedTable.shuffled(jr.key(0), jnp.arange(10), jnp.arange(10) % 5, 5).at(0.6, 0.5)
        >>> int(table.trained.sum()), int(table.corrupted.sum()), bool(jnp.all(table.trained[:6]))
        (6, 3, True)
    """

    inputs: Shaped[Array, "n ..."]
    truth: Int[Array, " n"]
    labels: Int[Array, " n"]
    trained: Bool[Array, " n"]
    corrupted: Bool[Array, " n"]
    key: Key[Array, ""]
    num_classes: int = eqx.field(static=True)
    batch_size: int | None = eqx.field(static=True, default=None)

    @classmethod
    def shuffled(
        cls,
        key: Key[Array, ""],
        inputs: ArrayLike,
        truth: ArrayLike,
        num_classes: int,
        batch_size: int | None = None,
    ) -> "CorruptedTable":
        """Put a data set in random order; all of it is trained on, with its true labels, until `at` is called.

        Args:
            key: drives the order and the corruption.
            inputs: examples on the first axis.
            truth: integer class of each example.
            num_classes: number of classes.
            batch_size: None for the whole table at every step.

        Returns:
            The table.
        """
        inputs, truth = jnp.asarray(inputs), jnp.asarray(truth)
        order = jr.permutation(jr.fold_in(key, 0), len(truth))
        inputs, truth, trained = inputs[order], truth[order], jnp.ones(len(truth), bool)
        return cls(inputs, truth, truth, trained, ~trained, jr.fold_in(key, 1), num_classes, batch_size)

    def at(self, train_fraction: ArrayLike, corruption: ArrayLike) -> "CorruptedTable":
        """Return the table with another training set.

        For one seed, larger training sets contain the smaller ones.

        Args:
            train_fraction: in (0, 1), traceable; the first `floor(train_fraction n)` examples are trained on.
            corruption: fraction in [0, 1] of these to corrupt, traceable.

        Returns:
            The changed copy.
        """
        n = len(self.truth)
        product = jnp.asarray(train_fraction, jnp.result_type(float)) * n
        trained = jnp.arange(n) < jnp.floor(product * (1 + 4 * jnp.finfo(product.dtype).eps))
        corruption = jnp.asarray(corruption, product.dtype)
        labels, corrupted = corrupt_labels(self.key, self.truth, self.num_classes, corruption, among=trained)
        where = lambda t: (t.labels, t.trained, t.corrupted)  # noqa: E731
        return eqx.tree_at(where, self, (labels, trained, corrupted))

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> Batch:
        """Return the batch of this step; see `Stream`."""
        if self.batch_size is None:
            share = jnp.mean(self.trained.astype(jnp.float32))
            return Batch(self.inputs, WeightedTargets(self.labels, self.trained / share))
        rows = jr.randint(jr.fold_in(key, step), (self.batch_size,), 0, jnp.sum(self.trained))
        return Batch(self.inputs[rows], WeightedTargets(self.labels[rows], jnp.ones(self.batch_size)))


def table_accuracy(every: Cadence = 1) -> Probe:
    """Accuracies after the update on the parts of a `CorruptedTable`.

    Args:
        every: cadence.

    Returns:
        A probe for processes whose stream is a `CorruptedTable`; it records `train_accuracy`, `clean_accuracy`,
        `corrupted_accuracy` (NaN where nothing is corrupted) and `test_accuracy`.
    """
    return Probe(_measure_table, every=every, name="table_accuracy", attrs=ACCURACY_ATTRS)


def _measure_table(tr: Transition, key):
    del key
    process: Any = tr.process
    table = process.stream
    predicted = jnp.argmax(process.outputs(tr.after, table.inputs), axis=-1)
    fits = predicted == table.labels
    return {
        "train_accuracy": masked_mean(fits, table.trained),
        "clean_accuracy": masked_mean(fits, table.trained & ~table.corrupted),
        "corrupted_accuracy": masked_mean(fits, table.corrupted),
        "test_accuracy": masked_mean(predicted == table.truth, ~table.trained),
    }


def phase_diagram(
    build: Callable[[Key[Array, ""]], AbstractProcess],
    key: Key[Array, "*seeds"],
    steps: int,
    *,
    train_fractions: Sequence[float],
    corruptions: Sequence[float],
    probes: Sequence[Probe] = (),
    over: Mapping[str, ArrayLike] | None = None,
    label: str = "run",
) -> Run:
    """Run a process for every training fraction, every corruption and every seed, with one compilation.

    Args:
        build: `key -> process` whose stream is a `CorruptedTable` and whose loss takes `WeightedTargets`.
        key: one for each seed.
        steps: number of steps.
        train_fractions: values of the training fraction, each in (0, 1).
        corruptions: values of the corruption, each in [0, 1].
        probes: what to measure; `table_accuracy(steps)` by default.
        over: further axes, values by the name of a field of the process.
        label: names the run for its monitor.

    Returns:
        State and records with the axes `(train_fraction, corruption, *over, seed)`; classify the accuracies with
        `classify_phase`.

    Raises:
        ValueError: if a fraction is out of range.

    Examples:
        >>> import optax
        >>> from separatrix.data.modular import operation_table
        >>> from separatrix.models import QuadraticMLP
        >>> from separatrix.training.squared_error import one_hot_squared_error
        >>> from separatrix.training.supervised import Supervised
        >>> a, b, c = operation_table(5, "add")
        >>> def build(key):
        ...     table = CorruptedTable.shuffled(key, jnp.stack([a, b], axis=1), c, 5)
        ...     model = lambda key: QuadraticMLP(key, p=5, width=8)
        ...     return Supervised(model, WeightedLoss(one_hot_squared_error), optax.adam(0.01), table)
        >>> result = phase_diagram(build, jr.key(0), 3, train_fractions=[0.4, 0.8], corruptions=[0.0, 0.2, 0.4])
        >>> result.records["train_accuracy"].shape
        (2, 3, 1)
    """
    if not all(0 < value < 1 for value in train_fractions) or not all(0 <= value <= 1 for value in corruptions):
        raise ValueError(
            f"`train_fractions` must be in (0, 1) and `corruptions` in [0, 1]; got {list(train_fractions)} and "
            f"{list(corruptions)}."
        )
    axes = {"train_fraction": train_fractions, "corruption": corruptions, **(over or {})}
    probes = list(probes) or [table_accuracy(steps)]
    return run(build, key, steps, probes=probes, over=axes, vary=_set_training_set, label=label)


def _set_training_set(process: AbstractProcess, values: dict[str, Array]) -> AbstractProcess:
    values = dict(values)
    where = values.pop("train_fraction"), values.pop("corruption")
    stream = getattr(process, "stream")  # noqa: B009
    return replace(stream=stream.at(*where), **values)(process)
