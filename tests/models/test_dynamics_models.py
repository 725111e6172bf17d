"""Observation models, gated and continuous models as maps, reservoirs."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import generate, warm_up
from separatrix.models import (
    AffineObservation,
    EchoState,
    GRUStep,
    IdentityObservation,
    LSTMStep,
    NeuralODEStep,
    fit_echo_state,
    runge_kutta,
)


def test_affine_observation_infers_the_state_of_least_squares_and_differentiates_through_it():
    observation = AffineObservation(5, 3, jr.key(0), bias=True)
    x = jr.normal(jr.key(1), (7, 5))
    solution = np.linalg.lstsq(np.asarray(observation.B), np.asarray(x).T, rcond=None)[0].T
    np.testing.assert_allclose(observation.infer(x), solution, atol=1e-5)
    gradient = jax.grad(lambda o: jnp.sum(o.infer(x) ** 2))(observation)
    assert float(jnp.abs(gradient.B).max()) > 0


def test_condition_penalty_is_zero_for_orthonormal_columns():
    observation = AffineObservation(4, 2, jr.key(0))
    orthonormal = jnp.linalg.qr(observation.B)[0]
    other = jax.tree.map(lambda a: orthonormal, observation)
    assert float(other.condition_penalty()) == pytest.approx(0, abs=1e-6)
    assert float(observation.condition_penalty()) > 0


def test_identity_observation_starts_hidden_units_at_a_linear_map_of_data():
    observation = IdentityObservation(2, 5, jr.key(0))
    x = jr.normal(jr.key(1), (3, 2))
    start = observation.start(x)
    np.testing.assert_allclose(start[:, :2], x)
    np.testing.assert_allclose(start[:, 2:], x @ observation.L.T, rtol=1e-6)
    np.testing.assert_array_equal(observation.observe(start), x)
    with pytest.raises(ValueError, match="pass `key`"):
        IdentityObservation(2, 3)
    with pytest.raises(ValueError, match="at least `N`"):
        IdentityObservation(3, 2)


@pytest.mark.parametrize("kind", [LSTMStep, GRUStep])
def test_gated_step_is_batched_and_bounded(kind):
    model = kind(3, 8, jr.key(0))
    z = jr.normal(jr.key(1), (5, model.dim))
    together = model.step(z)
    np.testing.assert_allclose(together, jnp.stack([model.step(row) for row in z]), atol=1e-6)
    memory = generate(model.step, z, 50)[-1, :, 3:11]
    assert float(jnp.abs(memory).max()) <= 1 + 1e-6 if kind is LSTMStep else 10


def test_lstm_agrees_with_the_textbook_cell():
    model = LSTMStep(2, 3, jr.key(2))
    x, h, c = (jr.normal(jr.key(i), (n,)) for i, n in enumerate((2, 3, 3)))
    gates = np.asarray(model.weights) @ np.concatenate([x, h]) + np.asarray(model.bias)
    i, f, g, o = np.split(gates, 4)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))  # noqa: E731
    c = sigmoid(f) * np.asarray(c) + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    expected = np.concatenate([np.asarray(model.readout) @ h, h, c])
    np.testing.assert_allclose(
        model.step(jnp.concatenate([x, jr.normal(jr.key(1), (3,)), jr.normal(jr.key(2), (3,))])), expected, atol=1e-5
    )


def test_runge_kutta_is_of_fourth_order(x64):
    def error(n):
        z = jnp.array([1.0, 0.0])
        for _ in range(n):
            z = runge_kutta(lambda z: jnp.stack([-z[1], z[0]]), z, 1.0 / n)
        return float(jnp.linalg.norm(z - jnp.array([np.cos(1.0), np.sin(1.0)])))

    assert np.log2(error(10) / error(20)) == pytest.approx(4, abs=0.1)


def test_neural_ode_converges_to_its_field():
    model = NeuralODEStep(3, 10, jr.key(0), dt=1e-3)
    z = jr.normal(jr.key(1), (4, 3))
    np.testing.assert_allclose((model.step(z) - z) / 1e-3, model.field(z), atol=2e-3)


def test_reservoir_has_the_spectral_radius_that_was_asked_for():
    w = np.asarray(EchoState(2, 120, jr.key(0), spectral_radius=0.7).W)
    assert np.abs(np.linalg.eigvals(w)).max() == pytest.approx(0.7, rel=5e-3)


def test_echo_state_network_continues_a_sine(x64):
    t = jnp.arange(900) * 0.2
    x = jnp.stack([jnp.sin(t), jnp.cos(t)], axis=1)
    model = fit_echo_state(EchoState(2, 100, jr.key(0), leak=0.8), x[:600], ridge=1e-6)
    observation = IdentityObservation(2, model.dim, jr.key(1))
    forecast = generate(model.step, warm_up(model.step, observation, x[:600]), 100)[:, :2]
    np.testing.assert_allclose(forecast, x[600:700], atol=0.1)
    with pytest.raises(ValueError, match="too few for a washout"):
        fit_echo_state(model, x[:20], washout=30)
