"""Masks of fixed shape train as subsets do, for every point of a grid at once."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, info_probe, run
from separatrix.data.modular import operation_table
from separatrix.models.quadratic_mlp import QuadraticMLP
from separatrix.training.corruption_grid import CorruptedTable, WeightedLoss, phase_diagram, table_accuracy
from separatrix.training.label_noise import NoisyBatch, noisy_accuracy
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.supervised import Batch, Supervised

P = 7
A, B, SUM = operation_table(P, "add")
PAIRS = np.stack([A, B], axis=1).astype(np.int32)
LOSS = WeightedLoss(one_hot_squared_error)
ADAM = optax.adam(0.01)
FRACTIONS, CORRUPTIONS = (0.4, 0.8), (0.0, 0.25, 0.5)


def table(key, batch_size=None):
    return CorruptedTable.shuffled(key, PAIRS, SUM.astype(np.int32), P, batch_size)


def network(key):
    return QuadraticMLP(key, P, 10)


def build(key):
    return Supervised(network, LOSS, ADAM, table(jr.fold_in(key, 3)))


@pytest.mark.parametrize(("fraction", "corruption"), [(0.4, 0.25), (0.8, 0.0), (0.5, 0.9)])
def test_masks_have_the_sizes_of_their_fractions(fraction, corruption):
    t = jax.jit(lambda f, c: table(jr.key(0)).at(f, c))(fraction, corruption)
    trained = int(fraction * P**2 + 1e-6)
    assert int(t.trained.sum()) == trained
    assert int(t.corrupted.sum()) == int(corruption * trained + 1e-6)
    assert not bool(jnp.any(t.corrupted & ~t.trained))
    np.testing.assert_array_equal(t.labels[~t.corrupted], t.truth[~t.corrupted])
    assert sorted(map(tuple, t.inputs.tolist())) == sorted(map(tuple, PAIRS.tolist()))
    np.testing.assert_array_equal(t.inputs.sum(axis=1) % P, t.truth)


def test_training_on_the_masked_table_equals_training_on_the_subset():
    t = table(jr.key(1)).at(0.6, 0.4)
    masked = Supervised(network, LOSS, ADAM, t)
    rows = np.flatnonzero(t.trained)
    data = NoisyBatch(t.inputs[rows], t.labels[rows], t.corrupted[rows])
    held_out = Batch(t.inputs[~t.trained], t.truth[~t.trained])
    plain = Supervised(network, one_hot_squared_error, ADAM, FullBatch(data), held_out)
    probes = [info_probe("loss", every=10)]
    state, records = run(masked, jr.key(2), 60, probes=[*probes, table_accuracy(10)])
    expected, wanted = run(plain, jr.key(2), 60, probes=[*probes, noisy_accuracy(10)])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), state.params, expected.params)
    np.testing.assert_allclose(records["loss"], wanted["loss"], rtol=1e-4)
    for name in ("train_accuracy", "clean_accuracy", "corrupted_accuracy", "test_accuracy"):
        np.testing.assert_allclose(records[name], wanted[name], atol=1e-6)


def test_a_point_of_the_grid_equals_its_own_run():
    keys = jr.split(jr.key(3), 2)
    grid = phase_diagram(build, keys, 30, train_fractions=FRACTIONS, corruptions=CORRUPTIONS).records
    assert grid["train_accuracy"].shape == (2, 3, 2, 1)
    for i, j, seed in ((0, 1, 0), (1, 2, 1)):
        one = phase_diagram(
            build, keys[seed], 30, train_fractions=FRACTIONS[i : i + 1], corruptions=CORRUPTIONS[j : j + 1]
        )
        for name in grid.variables:
            np.testing.assert_allclose(grid[name][i, j, seed], one.records[name][0, 0], atol=0.03)


def test_one_trace_serves_the_whole_grid():
    count = 0

    def counting(outputs, labels):
        nonlocal count
        count += 1
        return one_hot_squared_error(outputs, labels)

    def counted(key):
        return Supervised(network, WeightedLoss(counting), ADAM, table(key))

    phase_diagram(counted, jr.key(0), 2, train_fractions=(0.5,), corruptions=(0.5,))
    first, count = count, 0
    phase_diagram(counted, jr.key(1), 4, train_fractions=(0.3,), corruptions=(0.1,))
    assert first > 0
    assert count == 0


def test_minibatches_are_drawn_from_the_training_examples_alone():
    t = table(jr.key(4), batch_size=500).at(0.3, 0.5)
    batch = t(jnp.int32(0), jr.key(5))
    drawn = {tuple(pair) for pair in batch.inputs.tolist()}
    assert drawn == {tuple(pair) for pair in t.inputs[t.trained].tolist()}
    wrong = batch.inputs.sum(axis=1) % P != batch.targets.labels
    truly = float(jnp.mean((t.labels != t.truth)[t.trained]))
    assert float(wrong.mean()) == pytest.approx(truly, abs=0.1)
    np.testing.assert_array_equal(batch.targets.weights, 1)


def test_larger_training_sets_contain_the_smaller():
    t = table(jr.key(6))
    assert not bool(jnp.any(t.at(0.3, 0.0).trained & ~t.at(0.5, 0.0).trained))


def test_fractions_out_of_range_are_explained():
    with pytest.raises(ValueError, match=r"`train_fractions` must be in \(0, 1\)"):
        phase_diagram(build, jr.key(0), 1, train_fractions=(1.0,), corruptions=(0.1,))
