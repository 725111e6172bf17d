"""Stacked networks and policies: members are independent, densities are those of the distributions."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.rl import BoundedGaussian, Deterministic, Network, QEnsemble, TanhGaussian, greedy, sampling


def test_members_are_networks_of_their_own():
    net = Network(jr.key(0), (3, 5, 4, 2), members=4)
    x = jr.normal(jr.key(1), (7, 3))
    for member in range(4):
        hidden = x
        for layer, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
            hidden = (np.maximum(hidden, 0) if layer else hidden) @ weight[member] + bias[member]
        np.testing.assert_allclose(net(x)[member], hidden, atol=1e-6)


def test_one_network_is_one_member_without_the_axis():
    net = Network(jr.key(0), (3, 5, 2), members=1)
    single = jax.tree.map(lambda a: a[0], net)
    x = jr.normal(jr.key(1), (7, 3))
    np.testing.assert_allclose(net(x)[0], single(x), atol=1e-6)


def test_shared_inputs_equal_inputs_for_each_member():
    critic = QEnsemble(jr.key(0), 3, 2, (5,), members=4)
    s, a = jr.normal(jr.key(1), (7, 3)), jr.normal(jr.key(2), (7, 2))
    np.testing.assert_allclose(critic(s, a), critic(s, jnp.broadcast_to(a, (4, 7, 2))), atol=1e-6)


def test_values_begin_near_zero_and_hidden_biases_at_a_tenth():
    critic = QEnsemble(jr.key(0), 3, 1, (64, 64), members=2)
    assert float(jnp.abs(critic(jnp.ones((1, 3)), jnp.ones((1, 1)))).max()) < 0.2
    assert all(bool((b == 0.1).all()) for b in critic.network.biases[:-1])
    assert float(jnp.abs(critic.network.weights[-1]).max()) <= 3e-3


@pytest.mark.parametrize(("sizes", "members"), [((3,), None), ((3, 0), None), ((3, 2), 0)])
def test_impossible_sizes_are_refused(sizes, members):
    with pytest.raises(ValueError, match="two positive widths"):
        Network(jr.key(0), sizes, members=members)


def test_the_squashed_density_integrates_to_one():
    policy = TanhGaussian(jr.key(0), 2, 1, (4,))
    grid = jnp.linspace(-0.99999, 0.99999, 20_001)[:, None]
    density = jnp.exp(policy.log_prob(jnp.ones((len(grid), 2)), grid))
    assert float(jnp.trapezoid(density, grid[:, 0])) == pytest.approx(1.0, abs=2e-3)


def test_the_density_of_a_sample_is_the_density_at_it():
    policy = TanhGaussian(jr.key(0), 2, 3, (4,))
    s = jr.normal(jr.key(1), (50, 2))
    action, log_prob = policy.sample(s, jr.key(2))
    np.testing.assert_allclose(policy.log_prob(s, action), log_prob, atol=2e-2)


def test_an_action_on_the_boundary_has_a_finite_density_and_gradient():
    policy = TanhGaussian(jr.key(0), 2, 1, (4,))
    slope = jax.grad(lambda p: p.log_prob(jnp.ones((1, 2)), jnp.ones((1, 1))).sum())(policy)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slope))


def test_the_bounded_gaussian_is_a_gaussian():
    policy = BoundedGaussian(jr.key(0), 2, 2, (4,))
    s, a = jnp.ones((3, 2)), jnp.zeros((3, 2))
    mean = policy.mode(s)
    expected = -0.5 * ((a - mean) ** 2).sum(-1) - np.log(2 * np.pi)  # unit spread in two dimensions
    np.testing.assert_allclose(policy.log_prob(s, a), expected, atol=1e-6)


@pytest.mark.parametrize("make", [TanhGaussian, BoundedGaussian, Deterministic])
def test_policies_act_on_one_observation_as_on_a_batch(make):
    policy = make(jr.key(0), 3, 2, (8,))
    s = jr.normal(jr.key(1), (3,))
    np.testing.assert_array_equal(greedy(policy)(s, jr.key(2)), policy.mode(s[None])[0])
    np.testing.assert_array_equal(sampling(policy)(s, jr.key(2)), policy.sample(s[None], jr.key(2))[0][0])
    assert float(jnp.abs(policy.sample(jnp.ones((100, 3)), jr.key(3))[0]).max()) <= 1
