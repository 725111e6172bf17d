"""Teacher forcing: parity with the plain loop, limits, and the bounds of the theory."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import forced_rollout, full, gtf, sparse, sparse_weights, unforced
from separatrix.models import (
    AffineObservation,
    ClippedShallowPLRNN,
    GRUStep,
    IdentityObservation,
    LSTMStep,
    NeuralODEStep,
)

T, BATCH = 6, 4


def plain(step, start, zbar, weights, inputs=None):
    """The loop as one would write it."""
    k = zbar.shape[-1]

    def body(z, x):
        target, weight, s = x
        zhat = step(z) if s is None else step(z, s)
        head = (1 - weight) * zhat[..., :k] + weight * target
        return jnp.concatenate([head, zhat[..., k:]], axis=-1), zhat

    return jax.lax.scan(body, start, (zbar, weights, inputs))[1]


MODELS = {
    "plrnn": lambda key: (ClippedShallowPLRNN(3, 8, key), IdentityObservation(3)),
    "plrnn, hidden units": lambda key: (ClippedShallowPLRNN(5, 8, key), IdentityObservation(3, 5, key)),
    "affine": lambda key: (ClippedShallowPLRNN(2, 8, key), AffineObservation(3, 2, key)),
    "lstm": lambda key: (LSTMStep(3, 4, key), IdentityObservation(3, 11, key)),
    "gru": lambda key: (GRUStep(3, 4, key), IdentityObservation(3, 7, key)),
    "neural ode": lambda key: (NeuralODEStep(3, 6, key), IdentityObservation(3)),
}


def assert_close(a, b, rtol=2e-4):
    scale = max(float(jnp.abs(x).max()) for x in jax.tree.leaves(a))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * scale), a, b)


@pytest.mark.parametrize("name", MODELS)
def test_value_and_gradient_equal_those_of_the_plain_loop(name):
    parts = MODELS[name](jr.key(0))
    x, target = jr.normal(jr.key(1), (T + 1, BATCH, 3)), jr.normal(jr.key(2), (T, BATCH, 3))
    weights = jr.uniform(jr.key(3), (T,))

    def loss(arguments, rollout):
        (model, observation), x, weights = arguments
        zhat = rollout(model.step, observation.start(x[0]), observation.infer(x[1:]), weights)
        return jnp.sum((observation.observe(zhat) - target) ** 2)

    arguments = (parts, x, weights)
    ours, theirs = (
        eqx.filter_jit(eqx.filter_value_and_grad(lambda a, r=r: loss(a, r)))(arguments) for r in (forced_rollout, plain)
    )
    assert_close(theirs, ours)


@pytest.mark.parametrize("shape", [(), (T,), (T, BATCH), (T, BATCH, 3)])
def test_given_jacobian_gives_the_same_gradient_for_weights_of_every_shape(shape):
    model = ClippedShallowPLRNN(3, 8, jr.key(0))
    x, weights = jr.normal(jr.key(1), (T + 1, BATCH, 3)), jr.uniform(jr.key(2), shape)

    def loss(model, weights, jacobian):
        zhat = forced_rollout(model.step, x[0], x[1:], weights, jacobian=model.jacobian if jacobian else None)
        return jnp.sum((zhat - x[1:]) ** 2)

    with_it, without = (
        jax.jit(jax.grad(loss, (0, 1)), static_argnums=2)(model, weights, flag) for flag in (True, False)
    )
    assert_close(with_it, without)
    assert with_it[1].shape == shape


def test_external_inputs_receive_gradients():
    model = ClippedShallowPLRNN(3, 8, jr.key(0), num_inputs=2)
    x, s = jr.normal(jr.key(1), (T + 1, BATCH, 3)), jr.normal(jr.key(2), (T, BATCH, 2))

    def loss(model, s, rollout):
        return jnp.sum(rollout(model.step, x[0], x[1:], jnp.full(T, 0.3), s) ** 2)

    slopes = jax.jit(jax.grad(loss, (0, 1)), static_argnums=2)
    assert_close(slopes(model, s, plain), slopes(model, s, forced_rollout))


def test_a_lambda_that_closes_over_its_parameters_receives_gradients():
    x = jr.normal(jr.key(1), (T + 1, BATCH, 3))

    def loss(matrix, rollout):
        return jnp.sum(rollout(lambda z: jnp.tanh(z @ matrix), x[0], x[1:], jnp.full(T, 0.3)) ** 2)

    matrix = jr.normal(jr.key(0), (3, 3))
    slope = jax.jit(jax.grad(loss), static_argnums=1)
    assert_close(slope(matrix, plain), slope(matrix, forced_rollout))


def test_population_equals_single_rollouts():
    models = eqx.filter_vmap(lambda key: ClippedShallowPLRNN(3, 8, key))(jr.split(jr.key(0), 3))
    x, alphas = jr.normal(jr.key(1), (T + 1, BATCH, 3)), jnp.array([0.0, 0.3, 1.0])

    @jax.jit
    def gradient(model, alpha):
        return jax.grad(lambda m: jnp.sum(gtf(m.step, IdentityObservation(3), x, alpha) ** 2))(model)

    together = jax.vmap(gradient)(models, alphas)
    for i in range(3):
        assert_close(
            gradient(jax.tree.map(lambda a, i=i: a[i], models), alphas[i]), jax.tree.map(lambda a, i=i: a[i], together)
        )


def test_full_forcing_predicts_one_step_from_data_and_none_runs_free():
    model, observation = MODELS["plrnn"](jr.key(0))
    x = jr.normal(jr.key(1), (T + 1, BATCH, 3))
    np.testing.assert_allclose(full(model.step, observation, x), model.step(x[:-1]), atol=1e-6)
    z, orbit = x[0], []
    for _ in range(T):
        z = model.step(z)
        orbit.append(z)
    np.testing.assert_allclose(unforced(model.step, observation, x), jnp.stack(orbit), atol=1e-5)
    np.testing.assert_array_equal(full(model.step, observation, x), gtf(model.step, observation, x, 1.0))


def test_sparse_forcing_replaces_at_multiples_of_tau():
    assert sparse_weights(7, 3).tolist() == [0, 0, 1, 0, 0, 1, 0]
    model, observation = MODELS["plrnn"](jr.key(0))
    x = jr.normal(jr.key(1), (T + 1, BATCH, 3))
    zhat = sparse(model.step, observation, x, 4)
    np.testing.assert_allclose(zhat[4], model.step(x[4]), atol=1e-6)
    np.testing.assert_allclose(zhat[5], model.step(zhat[4]), atol=1e-6)
    np.testing.assert_allclose(sparse(model.step, observation, x, 1), full(model.step, observation, x), atol=1e-6)


def test_hidden_units_are_never_forced():
    model, observation = MODELS["plrnn, hidden units"](jr.key(0))
    x = jr.normal(jr.key(1), (3, BATCH, 3))
    first = model.step(observation.start(x[0]))
    second = full(model.step, observation, x)[1]
    np.testing.assert_allclose(second, model.step(jnp.concatenate([x[1], first[:, 3:]], axis=-1)), atol=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.6])
def test_gradient_of_a_linear_system_decays_as_the_forced_multiplier(alpha, x64):
    # d zhat_T / d z_0 = a ((1 - alpha) a)^(T - 1) for z' = a z
    a, length = 1.3, 20
    zbar = jnp.zeros((length, 1))
    slope = jax.grad(lambda z: forced_rollout(lambda z: a * z, z, zbar, alpha)[-1, 0])(jnp.ones(1))
    assert float(slope[0]) == pytest.approx(a * ((1 - alpha) * a) ** (length - 1), rel=1e-12)


def test_more_units_than_the_state_are_refused():
    with pytest.raises(ValueError, match="`zbar` has 3 units and the state only 2"):
        forced_rollout(lambda z: z, jnp.zeros(2), jnp.zeros((4, 3)), 0.5)
