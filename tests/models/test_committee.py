"""The committee, and output scales around it."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix.models.committee import CommitteeQuadratic, committee_weights
from separatrix.models.lazy_scale import LazyModel, LazyScale, trained_leaves
from separatrix.models.mlp import MLP


def test_output_is_the_mean_of_the_neurons(x64):
    model = CommitteeQuadratic(jr.key(0), dim=4, width=3, eps=0.5, dtype=jnp.float64)
    x = jnp.arange(4.0)
    h = [float(w @ x) for w in model.weights]
    assert float(model(x)) == pytest.approx(np.mean([v + 0.25 * v**2 for v in h]), rel=1e-14)


def test_initial_weights_are_those_of_the_key(x64):
    model = CommitteeQuadratic(jr.key(3), 5, 7, dtype=jnp.float64)
    np.testing.assert_array_equal(model.weights, committee_weights(jr.key(3), 7, 5, jnp.float64))
    with pytest.raises(ValueError, match="`width` and `dim` must be at least 1"):
        committee_weights(jr.key(0), 0, 3)


def test_eps_receives_no_gradient():
    model = CommitteeQuadratic(jr.key(0), 3, 4, eps=jnp.array(0.3))
    grads = jax.grad(lambda m: m(jnp.ones(3)))(model)
    assert float(grads.eps) == 0
    assert float(jnp.abs(grads.weights).sum()) > 0


@pytest.fixture
def net():
    return MLP(jr.key(0), (3, 8, 2))


def test_centred_output_starts_at_zero_and_moves_with_the_model(net):
    lazy, x = LazyScale(net, 5.0), jnp.ones(3)
    np.testing.assert_array_equal(lazy(x), 0)
    moved = eqx.tree_at(lambda m: m.model, lazy, jax.tree.map(lambda w: 1.1 * w, net))
    np.testing.assert_allclose(moved(x), 5 * (1.1**2 - 1) * net(x), rtol=1e-5)


def test_gradient_reaches_the_model_only_and_is_scaled(net):
    x = jnp.ones(3)
    lazy = LazyScale(net, jnp.array(3.0))
    grads = jax.grad(lambda m: m(x).sum())(lazy)
    plain = jax.grad(lambda m: m(x).sum())(net)
    for a, b in zip(jax.tree.leaves(grads.model), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, 3 * b, rtol=1e-6)
    assert all(float(jnp.abs(leaf).sum()) == 0 for leaf in jax.tree.leaves((grads.initial, grads.alpha)))


def test_masked_decay_leaves_the_start_alone(net):
    lazy = LazyScale(net, jnp.array(3.0))
    params = eqx.filter({"lazy": lazy, "free": jnp.ones(2)}, eqx.is_inexact_array)
    optimiser = optax.adamw(0.1, weight_decay=1.0, mask=trained_leaves)
    zero = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimiser.update(zero, optimiser.init(params), params)
    kept = jax.tree.leaves((updates["lazy"].initial, updates["lazy"].alpha))
    assert all(float(jnp.abs(leaf).sum()) == 0 for leaf in kept)
    decayed = [*jax.tree.leaves(updates["lazy"].model), updates["free"]]
    assert all(float(jnp.abs(leaf).sum()) > 0 for leaf in decayed)


def test_a_constructor_passes_scale_and_centring_on():
    build = lambda key: MLP(key, (3, 8, 2))  # noqa: E731
    x = jnp.ones(3)
    plain = LazyModel(build, 2.0, center=False)(jr.key(1))
    np.testing.assert_allclose(plain(x), 2 * build(jr.key(1))(x), rtol=1e-6)
    assert LazyModel(build, 2.0)(jr.key(1)).initial is not None
