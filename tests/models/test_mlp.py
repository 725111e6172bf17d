"""Homogeneity, Euler's identity, and look-ups that equal one-hot products."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.mlp import MLP, PairMLP, lazy_learning_rate, scaled, uniform_weights


def test_network_is_homogeneous_of_the_degree_of_its_depth(x64):
    net = MLP(jr.key(0), (6, 11, 9, 4), dtype=jnp.float64)
    x = jr.normal(jr.key(1), (6,))
    np.testing.assert_allclose(jax.tree.map(lambda w: 2 * w, net)(x), 8 * net(x), rtol=1e-13)


def test_eulers_identity(x64):
    net = MLP(jr.key(0), (6, 11, 9, 4), dtype=jnp.float64)
    x = jr.normal(jr.key(1), (6,))
    _, derivative = jax.jvp(lambda m: m(x), (net,), (net,))  # <theta, grad_theta f>
    np.testing.assert_allclose(derivative, 3 * net(x), rtol=1e-12)


@pytest.mark.parametrize("use_bias", [True, False])
def test_output_equals_explicit_matrix_products(use_bias):
    net = MLP(jr.key(0), (3, 4, 2), use_bias=use_bias, activation=jnp.tanh)
    x = np.array([0.2, -1.0, 0.7], np.float32)
    b = net.biases if use_bias else (0.0, 0.0)
    first = x @ np.asarray(net.weights[0]) + b[0]
    np.testing.assert_allclose(net(x), np.tanh(first) @ np.asarray(net.weights[1]) + b[1], atol=1e-6)
    np.testing.assert_allclose(net.preactivations(x)[0], first, atol=1e-6)
    assert len(jax.tree.leaves(net)) == (4 if use_bias else 2)


def test_preactivations_lead_to_the_output():
    net = MLP(jr.key(0), (3, 4, 2, 5))
    x = jnp.ones(3)
    hidden = net.preactivations(x)
    assert [h.shape for h in hidden] == [(4,), (2,)]
    np.testing.assert_allclose(jax.nn.relu(hidden[0]) @ net.weights[1], hidden[1], atol=1e-6)
    np.testing.assert_allclose(jax.nn.relu(hidden[1]) @ net.weights[2], net(x), atol=1e-6)


def test_initial_weights_are_uniform_within_their_bound():
    weight = np.asarray(MLP(jr.key(0)).weights[0])
    bound = 226**-0.5
    assert weight.shape == (226, 200)
    assert np.abs(weight).max() <= bound
    assert weight.var() == pytest.approx(bound**2 / 3, rel=0.02)
    assert weight.mean() == pytest.approx(0, abs=4 * bound / np.sqrt(3 * weight.size))


def test_layers_are_independent_of_the_depth():
    shallow, deep = MLP(jr.key(3), (3, 4, 2)), MLP(jr.key(3), (3, 4, 2, 5))
    np.testing.assert_array_equal(shallow.weights[1], deep.weights[1])


def test_parameters_are_float32_with_64_bit_types_and_float64_on_request(x64):
    assert all(w.dtype == jnp.float32 for w in jax.tree.leaves(MLP(jr.key(0), (3, 4, 2), use_bias=True)))
    net = MLP(jr.key(0), (3, 4, 2))
    assert net(jnp.ones(3, jnp.float32)).dtype == jnp.float32
    assert scaled(net, jnp.asarray(2.0))(jnp.ones(3, jnp.float32)).dtype == jnp.float32
    assert all(w.dtype == jnp.float64 for w in MLP(jr.key(0), (3, 4, 2), dtype=jnp.float64).weights)


@pytest.mark.parametrize("use_bias", [True, False])
def test_pair_network_equals_the_network_on_concatenated_onehots(use_bias):
    model = PairMLP(jr.key(0), modulus=7, hidden=(12, 9), use_bias=use_bias)
    assert model.net.weights[0].shape == (14, 12)
    pairs = jnp.stack(jnp.meshgrid(jnp.arange(7), jnp.arange(7)), axis=-1).reshape(-1, 2)
    onehots = jax.nn.one_hot(pairs, 7).reshape(-1, 14)
    call = jax.jit(jax.vmap(lambda m, x: m(x), in_axes=(None, 0)))
    np.testing.assert_allclose(call(model, pairs), call(model.net, onehots), atol=1e-6)

    def preactivations(m, x):
        return m.preactivations(x)

    compiled = jax.jit(jax.vmap(preactivations, in_axes=(None, 0)))
    for ours, theirs in zip(compiled(model, pairs), compiled(model.net, onehots), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)

    slope = jax.jit(jax.grad(lambda m, x: jnp.sum(jnp.sin(call(m, x)))))
    ours, theirs = slope(model, pairs).net, slope(model.net, onehots)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), ours, theirs)


def test_pair_network_starts_as_the_network_and_clamps_large_integers():
    model = PairMLP(jr.key(5), modulus=6, hidden=(8,), num_classes=3)
    for ours, theirs in zip(model.net.weights, MLP(jr.key(5), (12, 8, 3)).weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model(jnp.array([6, 0])), model(jnp.array([5, 0])))
    np.testing.assert_array_equal(model(jnp.array([0, 6])), model(jnp.array([0, 5])))
    assert np.all(np.isfinite(model(jnp.array([5, 5]))))


def test_scaling_multiplies_the_output_and_its_gradient_but_alpha_gets_none():
    net, x = MLP(jr.key(0), (3, 4, 2)), jnp.ones(3)
    model = scaled(net, jnp.asarray(5.0))
    np.testing.assert_allclose(model(x), 5 * net(x), rtol=1e-6)
    grads = jax.grad(lambda m: m(x)[0])(model)
    plain = jax.grad(lambda m: m(x)[0])(net)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, 5 * b, rtol=1e-6), grads.model, plain)
    assert grads.alpha == 0


def test_a_grid_of_scales_is_a_vmap():
    net, x = MLP(jr.key(0), (3, 4, 2)), jnp.ones(3)
    out = eqx.filter_vmap(lambda alpha: scaled(net, alpha)(x))(jnp.array([1.0, 2.0, 4.0]))
    np.testing.assert_allclose(out, jnp.array([[1.0], [2.0], [4.0]]) * net(x), rtol=1e-6)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 8.0])
def test_the_lazy_rate_makes_the_first_change_of_the_output_independent_of_alpha(x64, alpha):
    net, x = MLP(jr.key(0), (3, 4, 2), dtype=jnp.float64), jnp.ones(3)

    @jax.jit
    def change(alpha, rate):
        # one step down the gradient of the output itself, so the loss has unit slope whatever alpha
        model = scaled(net, alpha)
        grads = jax.grad(lambda m: m(x)[0])(model)
        stepped = jax.tree.map(lambda w, g: w - rate * g, model, grads)
        return stepped(x)[0] - model(x)[0]

    assert float(change(alpha, lazy_learning_rate(1e-7, alpha))) == pytest.approx(float(change(1.0, 1e-7)), rel=1e-5)


@pytest.mark.parametrize("sizes", [(3,), (3, 0, 2)])
def test_bad_sizes_are_explained(sizes):
    with pytest.raises(ValueError, match="`sizes`"):
        MLP(jr.key(0), sizes)


def test_bad_fan_in_and_dtype_are_explained():
    with pytest.raises(ValueError, match="`fan_in`"):
        uniform_weights(jr.key(0), (2,), 0)
    with pytest.raises(ValueError, match="enable_x64"):
        MLP(jr.key(0), (3, 2), dtype=jnp.float64)
