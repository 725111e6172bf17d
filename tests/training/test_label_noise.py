"""Accuracies by part of the training set, as probes, and the errors they are made from."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, MiniBatches, run
from separatrix.data.corruption import corrupt_labels
from separatrix.data.modular import modular_arithmetic
from separatrix.models.quadratic_mlp import QuadraticMLP
from separatrix.training.label_noise import (
    NoisyBatch,
    clean_accuracy,
    corrupted_accuracy,
    neuron_scores,
    noisy_accuracy,
    pruned_accuracy,
)
from separatrix.training.periodicity import neuron_periodicity
from separatrix.training.pruning import prune_neurons
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.supervised import Batch, Supervised

SPLIT = modular_arithmetic(jr.key(0), 11, "add", 0.6, "pairs")
LABELS, MASK = corrupt_labels(jr.key(1), SPLIT.train_targets, 11, 0.4)
DATA = NoisyBatch(SPLIT.train_inputs, LABELS, MASK)
HELD_OUT = Batch(SPLIT.test_inputs, SPLIT.test_targets)


def network(key):
    return QuadraticMLP(key, 11, 24)


def periodicity(model):
    return neuron_periodicity(model.first, model.second, model.readout)


def process(stream):
    return Supervised(network, one_hot_squared_error, optax.adam(0.01), stream, HELD_OUT)


def by_hand(model):
    right = np.asarray(jnp.argmax(jax.vmap(model)(DATA.inputs), axis=-1) == LABELS)
    test = np.asarray(jnp.argmax(jax.vmap(model)(HELD_OUT.inputs), axis=-1) == HELD_OUT.targets)
    return [right.mean(), right[~MASK].mean(), right[MASK].mean(), test.mean()]


NAMES = ["train_accuracy", "clean_accuracy", "corrupted_accuracy", "test_accuracy"]


@pytest.mark.parametrize("stream", [FullBatch(DATA), MiniBatches(DATA, 8)], ids=["full", "mini"])
def test_the_probe_evaluates_the_whole_training_set(stream):
    state, records = run(process(stream), jr.key(2), 30, probes=[noisy_accuracy(30)])
    model = process(stream).model_at(state)
    np.testing.assert_allclose([records[name][-1] for name in NAMES], by_hand(model), atol=1e-6)


def test_train_accuracy_is_the_weighted_mean_of_both_parts():
    _, records = run(process(FullBatch(DATA)), jr.key(2), 30, probes=[noisy_accuracy(10)])
    share = float(MASK.mean())
    mixed = share * records["corrupted_accuracy"] + (1 - share) * records["clean_accuracy"]
    np.testing.assert_allclose(records["train_accuracy"], mixed, atol=1e-6)


def test_the_pruning_probe_prunes_by_the_score_of_the_trained_network():
    p = process(FullBatch(DATA))
    probe = pruned_accuracy(periodicity, (0.0, 0.25, 0.75), every=20)
    state, records = run(p, jr.key(3), 20, probes=[probe, neuron_scores("ipr", periodicity, 20)])
    model = p.model_at(state)
    np.testing.assert_allclose(records["ipr"][-1], periodicity(model), rtol=1e-4)
    for i, order in enumerate(("ascending", "descending")):
        for j, fraction in enumerate((0.0, 0.25, 0.75)):
            expected = by_hand(prune_neurons(model, records["ipr"][-1], fraction, order))
            np.testing.assert_allclose([records[f"pruned_{n}"][-1, i, j] for n in NAMES], expected, atol=1e-6)
    assert records.variables["pruned_test_accuracy"].dims == ("order", "pruned")


def test_probes_change_nothing():
    p = process(FullBatch(DATA))
    probes = [noisy_accuracy(5), pruned_accuracy(periodicity, (0.5,), 5), neuron_scores("ipr", periodicity, 5)]
    plain, probed = run(p, jr.key(4), 10).state, run(p, jr.key(4), 10, probes=probes).state
    jax.tree.map(np.testing.assert_array_equal, plain, probed)


def test_accuracies_of_a_network_that_always_gives_the_true_class():
    n, classes = 40_000, 20
    true = jr.randint(jr.key(5), (n,), 0, classes)
    labels, mask = corrupt_labels(jr.key(6), true, classes, 0.5)
    outputs = jax.nn.one_hot(true, classes)
    assert float(clean_accuracy(outputs, labels, mask)) == 1
    assert float(corrupted_accuracy(outputs, labels, mask)) == pytest.approx(1 / classes, abs=0.006)
    assert float(corrupted_accuracy(jax.nn.one_hot(labels, classes), labels, mask)) == 1
    assert bool(jnp.isnan(corrupted_accuracy(outputs, labels, jnp.zeros(n, bool))))


def test_squared_error_is_averaged_over_the_outputs():
    outputs = jr.normal(jr.key(7), (4, 6))
    labels = jnp.array([0, 5, 2, 2])
    expected = [np.mean((np.asarray(outputs[i]) - np.eye(6)[labels[i]]) ** 2) for i in range(4)]
    np.testing.assert_allclose(one_hot_squared_error(outputs, labels), expected, rtol=1e-5)
    slope = jax.grad(lambda f: one_hot_squared_error(f, jnp.array(1)))(jnp.zeros(50))
    np.testing.assert_allclose(slope, -2 / 50 * jnp.eye(50)[1], atol=1e-8)
