"""What a network makes of the training labels that are known to be wrong."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from separatrix._core.probe import Probe, Transition
from separatrix.training.pruning import pruning_curve

__all__ = ["NoisyBatch", "clean_accuracy", "corrupted_accuracy", "neuron_scores", "noisy_accuracy", "pruned_accuracy"]

Cadence = int | Callable[[int], Sequence[int]]

ACCURACY_ATTRS = {
    "train_accuracy": {"units": "1", "long_name": "accuracy on the training labels"},
    "clean_accuracy": {"units": "1", "long_name": "accuracy on the clean training labels"},
    "corrupted_accuracy": {"units": "1", "long_name": "accuracy on the corrupted training labels"},
    "test_accuracy": {"units": "1", "long_name": "test accuracy"},
}


class NoisyBatch(NamedTuple):
    """A `Batch` of which it is known whose targets were corrupted; fits wherever a `Batch` does."""

    inputs: PyTree
    targets: PyTree
    corrupted: Bool[Array, " batch"]


def masked_mean(correct: Bool[Array, " n"], mask: Bool[Array, " n"]) -> Float[Array, ""]:
    """Fraction of the masked entries that are true; NaN if none is masked."""
    return jnp.sum(correct & mask) / jnp.sum(mask)


def _correct(outputs: Float[Array, "n classes"], labels: Int[Array, " n"]) -> Bool[Array, " n"]:
    return jnp.argmax(outputs, axis=-1) == labels


def corrupted_accuracy(
    outputs: Float[Array, "n classes"], labels: Int[Array, " n"], corrupted: Bool[Array, " n"]
) -> Float[Array, ""]:
    """Accuracy on the corrupted labels: 1 if all are memorised, about 1 / classes if none is.

    Args:
        outputs: of the network.
        labels: as trained on.
        corrupted: mask from `corrupt_labels`.

    Returns:
        Fraction in [0, 1]; NaN if no label is corrupted.

    Examples:
        >>> outputs, mask = jnp.eye(3), jnp.array([False, True, True])
        >>> float(corrupted_accuracy(outputs, jnp.array([0, 1, 0]), mask))
        0.5
    """
    return masked_mean(_correct(outputs, labels), corrupted)


def clean_accuracy(
    outputs: Float[Array, "n classes"], labels: Int[Array, " n"], corrupted: Bool[Array, " n"]
) -> Float[Array, ""]:
    """Accuracy on the labels that were left alone.

    Args:
        outputs: of the network.
        labels: as trained on.
        corrupted: mask from `corrupt_labels`.

    Returns:
        Fraction in [0, 1]; NaN if every label is corrupted.

    Examples:
        >>> float(clean_accuracy(jnp.eye(3), jnp.array([0, 2, 0]), jnp.array([False, True, True])))
        1.0
    """
    return masked_mean(_correct(outputs, labels), ~corrupted)


def noisy_accuracy(every: Cadence = 1) -> Probe:
    """Accuracies after the update on all training labels, their clean and their corrupted part, and the held-out data.

    The whole training set is evaluated, also where the stream yields mini-batches of it.

    Args:
        every: cadence.

    Returns:
        A probe for processes whose `stream.data` is a `NoisyBatch`; it records `train_accuracy`, `clean_accuracy`,
        `corrupted_accuracy` (NaN where nothing is corrupted) and `test_accuracy`.
    """
    return Probe(_measure_noisy, every=every, name="noisy_accuracy", attrs=ACCURACY_ATTRS)


def _measure_noisy(tr: Transition, key):
    del key
    process: Any = tr.process
    return _accuracies(functools.partial(process.outputs, tr.after), process.stream.data, process.held_out)


def _accuracies(apply: Callable[[PyTree], Array], data: NoisyBatch, held_out: Any) -> dict[str, Array]:
    outputs = apply(data.inputs)
    return {
        "train_accuracy": jnp.mean(_correct(outputs, data.targets), dtype=jnp.float32),
        "clean_accuracy": clean_accuracy(outputs, data.targets, data.corrupted),
        "corrupted_accuracy": corrupted_accuracy(outputs, data.targets, data.corrupted),
        "test_accuracy": jnp.mean(_correct(apply(held_out.inputs), held_out.targets), dtype=jnp.float32),
    }


def neuron_scores(
    name: str,
    score: Callable[[Any], Float[Array, " width"]],
    every: Cadence = 1,
    attrs: Mapping[str, str] | None = None,
) -> Probe:
    """Any score of the neurons after the update.

    Args:
        name: of the variable.
        score: `model -> (width,)`, a function that stays the same object.
        every: cadence.
        attrs: `units`, `long_name` and the like.

    Returns:
        A probe for `Supervised` and processes with a `model_at`, recording the variable along the axis `unit`.
    """
    return Probe(
        _MeasureScores(name, score),
        every=every,
        name=f"neuron_scores:{name}",
        dims={name: ("unit",)},
        attrs={name: {"units": "1", **(attrs or {})}},
    )


class _MeasureScores(eqx.Module):  # a value, not a closure, so that equal probes compile once
    name: str = eqx.field(static=True)
    score: Callable[[Any], Float[Array, " width"]] = eqx.field(static=True)

    def __call__(self, tr: Transition, key):
        del key
        process: Any = tr.process
        return {self.name: self.score(process.model_at(tr.after))}


def pruned_accuracy(
    score: Callable[[Any], Float[Array, " width"]], fractions: Sequence[float], every: Cadence = 1
) -> Probe:
    """The accuracies of `noisy_accuracy` with growing fractions of the neurons pruned, lowest and highest scores first.

    Args:
        score: `model -> (width,)`, a function that stays the same object.
        fractions: pruned parts in [0, 1].
        every: cadence; each record evaluates the network twice for every fraction.

    Returns:
        A probe for `Supervised` whose model has `mask_neurons` and whose `stream.data` is a `NoisyBatch`. It records
        `pruned_train_accuracy` and so on, with the axes `order` (ascending, descending) and `pruned`.
    """
    names = [f"pruned_{name}" for name in ACCURACY_ATTRS]
    attrs = {
        f"pruned_{name}": {**given, "long_name": f"{given['long_name']} of the pruned network"}
        for name, given in ACCURACY_ATTRS.items()
    }
    measure = _MeasurePruned(score, tuple(fractions))
    dims = dict.fromkeys(names, ("order", "pruned"))
    return Probe(measure, every=every, name="pruned_accuracy", dims=dims, attrs=attrs)  # pyright: ignore[reportArgumentType]


class _MeasurePruned(eqx.Module):
    score: Callable[[Any], Float[Array, " width"]] = eqx.field(static=True)
    fractions: tuple[float, ...] = eqx.field(static=True)

    def __call__(self, tr: Transition, key):
        del key
        process: Any = tr.process
        model = process.model_at(tr.after)
        scores = self.score(model)

        def evaluate(pruned):
            apply = lambda inputs: process.forward(pruned, inputs, None)  # noqa: E731
            return _accuracies(apply, process.stream.data, process.held_out)

        curves = [
            pruning_curve(model, scores, evaluate, self.fractions, order) for order in ("ascending", "descending")
        ]
        return {f"pruned_{name}": jnp.stack([curve[name] for curve in curves]) for name in ACCURACY_ATTRS}
