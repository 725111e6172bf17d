"""Batch normalisation against a slow twin, in training and in evaluation."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.batch_norm import BatchNorm, BatchStatistics
from separatrix.models.quadratic_mlp import BatchNormMLP, batch_norm_evaluate, batch_norm_forward

MOMENTUM, EPS = 0.1, 1e-5


def slow_network(model, mean, variance, pairs, train):
    """One example and one neuron at a time, in float64; statistics as in the definition."""
    first, second, readout = (np.asarray(w, np.float64) for w in jax.tree.leaves(model.net))
    scale, shift = np.asarray(model.norm.scale, np.float64), np.asarray(model.norm.shift, np.float64)
    pairs, (n, width) = np.asarray(pairs), (len(pairs), first.shape[1])
    hidden = np.array([[(first[a, k] + second[b, k]) ** 2 for k in range(width)] for a, b in pairs])
    mean, variance = np.array(mean, np.float64), np.array(variance, np.float64)
    used_mean, used_variance = mean.copy(), variance.copy()
    if train:
        for k in range(width):
            used_mean[k] = sum(hidden[:, k]) / n
            used_variance[k] = sum((h - used_mean[k]) ** 2 for h in hidden[:, k]) / n
            mean[k] += MOMENTUM * (used_mean[k] - mean[k])
            variance[k] += MOMENTUM * (used_variance[k] * n / (n - 1) - variance[k])
    normalised = (hidden - used_mean) / np.sqrt(used_variance + EPS) * scale + shift
    return normalised @ readout, mean, variance


def random_model(seed):
    model = BatchNormMLP(jr.key(seed), p=5, width=6)
    leaves, structure = jax.tree.flatten(model)
    noise = [jr.normal(jr.fold_in(jr.key(seed + 1), i), leaf.shape) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, [leaf + 0.3 * e for leaf, e in zip(leaves, noise, strict=True)])


def test_training_and_evaluation_equal_the_slow_twin_over_several_batches():
    model, statistics = random_model(0), BatchStatistics.standard(6)
    mean, variance = np.zeros(6), np.ones(6)
    for step in range(3):
        pairs = jr.randint(jr.key(10 + step), (7, 2), 0, 5)
        outputs, statistics = batch_norm_forward(model, statistics, pairs)
        expected, mean, variance = slow_network(model, mean, variance, pairs, train=True)
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(statistics.mean, mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(statistics.variance, variance, rtol=1e-5, atol=1e-6)
        evaluated = batch_norm_evaluate(model, statistics, pairs)
        np.testing.assert_allclose(
            evaluated, slow_network(model, mean, variance, pairs, False)[0], rtol=1e-4, atol=1e-5
        )


def test_evaluation_of_an_example_does_not_depend_on_the_others():
    model, statistics = random_model(1), BatchStatistics(jnp.full(6, 0.4), jnp.full(6, 2.0))
    pairs = jr.randint(jr.key(0), (8, 2), 0, 5)
    alone = jnp.concatenate([batch_norm_evaluate(model, statistics, pair[None]) for pair in pairs])
    np.testing.assert_allclose(batch_norm_evaluate(model, statistics, pairs), alone, rtol=1e-5, atol=1e-6)


def test_a_normalised_batch_has_mean_zero_and_variance_one():
    x = 3 + 2 * jr.normal(jr.key(0), (4, 50, 3))
    y, _ = BatchNorm(3)(x, BatchStatistics.standard(3))
    np.testing.assert_allclose(y.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(axis=(0, 1)), 1, atol=1e-4)


def test_running_statistics_converge_geometrically_to_those_of_a_constant_stream():
    x = jr.normal(jr.key(1), (20, 2)) * 3 + 1
    norm, statistics = BatchNorm(2, momentum=0.1), BatchStatistics.standard(2)
    for _ in range(10):
        _, statistics = norm(x, statistics)
    left = 0.9**10
    np.testing.assert_allclose(statistics.mean, (1 - left) * x.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(statistics.variance, (1 - left) * x.var(axis=0, ddof=1) + left, rtol=1e-5)


def test_scaling_the_input_changes_nothing_in_training():
    x = jr.normal(jr.key(2), (30, 4))
    one, many = (BatchNorm(4)(c * x, BatchStatistics.standard(4))[0] for c in (1.0, 50.0))
    np.testing.assert_allclose(one, many, atol=1e-4)


def test_no_gradient_flows_into_the_running_statistics():
    slope = jax.grad(lambda x: sum(jnp.sum(s) for s in BatchNorm(2)(x, BatchStatistics.standard(2))[1]))
    np.testing.assert_array_equal(slope(jnp.arange(6.0).reshape(3, 2)), 0)


def test_pruned_neurons_do_not_reach_the_output():
    # normalisation of a dead neuron is not zero, so the weights out of it must be
    model, statistics = random_model(3), BatchStatistics(jnp.full(6, 0.4), jnp.full(6, 2.0))
    keep = jnp.arange(6) < 2
    masked, pairs = model.mask_neurons(keep), jnp.array([[1, 2], [4, 0]])
    hidden = (model.net.first[pairs[:, 0]] + model.net.second[pairs[:, 1]]) ** 2
    expected = model.norm.evaluate(hidden, statistics)[:, keep] @ model.net.readout[keep]
    np.testing.assert_allclose(batch_norm_evaluate(masked, statistics, pairs), expected, atol=1e-6)


def test_a_single_example_is_refused():
    with pytest.raises(ValueError, match="at least two examples"):
        BatchNorm(3)(jnp.ones((1, 3)), BatchStatistics.standard(3))
