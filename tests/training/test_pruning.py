"""Pruned neurons are gone, in the order of their scores, and the others are untouched."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.mlp import MLP
from separatrix.models.quadratic_mlp import QuadraticMLP
from separatrix.training.pruning import kept_neurons, mask_hidden_layer, prune_neurons, pruning_curve

SCORES = jnp.array([0.5, 0.1, 0.9, 0.3, 0.7])


@pytest.mark.parametrize("is_traced", [False, True])
@pytest.mark.parametrize(
    ("fraction", "order", "kept"),
    [
        (0.0, "ascending", [0, 1, 2, 3, 4]),
        (0.2, "ascending", [0, 2, 3, 4]),
        (0.6, "ascending", [2, 4]),
        (0.6, "descending", [1, 3]),
        (0.79, "descending", [1, 3]),
        (1.0, "ascending", []),
    ],
)
def test_the_lowest_or_highest_scores_go_first(fraction, order, kept, is_traced):
    keep = lambda f: kept_neurons(SCORES, f, order)  # noqa: E731
    mask = jax.jit(keep)(fraction) if is_traced else keep(fraction)
    assert np.flatnonzero(mask).tolist() == kept


@pytest.mark.parametrize("fraction", [0.1 * i for i in range(11)])
def test_a_traced_fraction_prunes_as_many_as_a_number(fraction):
    scores = jr.normal(jr.key(0), (500,))
    traced = jax.jit(lambda f: kept_neurons(scores, f))(fraction)
    np.testing.assert_array_equal(traced, kept_neurons(scores, fraction))
    assert int((~traced).sum()) == round(500 * fraction)


def test_pruning_both_ends_partitions_the_neurons():
    scores = jr.normal(jr.key(1), (40,))
    low, high = kept_neurons(scores, 0.25), kept_neurons(scores, 0.75, "descending")
    np.testing.assert_array_equal(low, ~high)


def test_ties_go_by_index():
    assert np.flatnonzero(kept_neurons(jnp.zeros(4), 0.5)).tolist() == [2, 3]
    assert np.flatnonzero(kept_neurons(jnp.zeros(4), 0.5, "descending")).tolist() == [2, 3]


def test_pruning_zeroes_rows_and_columns():
    model = prune_neurons(QuadraticMLP(jr.key(2), p=7, width=5), SCORES, 0.4)
    for rows in (model.first.T, model.second.T, model.readout):
        assert np.flatnonzero(np.abs(rows).sum(axis=1)).tolist() == [0, 2, 4]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("layer", [0, 1])
def test_masking_a_hidden_layer_equals_a_network_without_those_neurons(layer, use_bias):
    # an activation that is 1 at zero, so that the weights out of a neuron must go too
    net = MLP(jr.key(3), (3, 4, 5, 2), use_bias=use_bias, activation=jnp.cos)
    keep = jnp.array([True, False, True, True, False])
    keep = keep[: net.weights[layer].shape[1]]
    masked = mask_hidden_layer(layer)(net, keep)
    x = jnp.array([0.3, -1.0, 2.0])
    weights, biases = [np.asarray(w) for w in net.weights], [0, 0, 0]
    if net.biases is not None:
        biases = [np.asarray(b) for b in net.biases]
        biases[layer] = biases[layer][keep]
    weights[layer], weights[layer + 1] = weights[layer][:, keep], weights[layer + 1][keep]
    h = np.cos(np.asarray(x) @ weights[0] + biases[0])
    h = np.cos(h @ weights[1] + biases[1])
    np.testing.assert_allclose(masked(x), h @ weights[2] + biases[2], atol=1e-6)


def test_the_curve_equals_pruning_at_each_fraction():
    model, pair = QuadraticMLP(jr.key(4), p=7, width=5), jnp.array([2, 6])
    fractions = [0.0, 0.3, 0.6, 1.0]
    evaluate = lambda m: {"out": m(pair), "norm": jnp.sum(m.readout**2)}  # noqa: E731
    for order in ("ascending", "descending"):
        curve = pruning_curve(model, SCORES, evaluate, fractions, order)
        for i, fraction in enumerate(fractions):
            one = evaluate(prune_neurons(model, SCORES, fraction, order))
            jax.tree.map(lambda c, o: np.testing.assert_allclose(c[i], o, atol=1e-7), curve, one)  # noqa: B023


def test_unknown_orders_are_refused():
    with pytest.raises(ValueError, match="`order`"):
        kept_neurons(SCORES, 0.5, "random")  # pyright: ignore[reportArgumentType]


def test_models_that_cannot_be_masked_are_told_how():
    net = MLP(jr.key(0), (3, 4, 2))
    with pytest.raises(ValueError, match=r"MLP has no `mask_neurons`.*mask_hidden_layer\(0\)"):
        prune_neurons(net, jnp.arange(4.0), 0.5)
    with pytest.raises(ValueError, match=r"widths \[4\] have no neurons to mask at layer 0 with 3 scores"):
        prune_neurons(net, jnp.arange(3.0), 0.5, mask=mask_hidden_layer(0))
    with pytest.raises(ValueError, match="at layer 1 with 4 scores"):
        prune_neurons(net, jnp.arange(4.0), 0.5, mask=mask_hidden_layer(1))
