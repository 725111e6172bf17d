"""The estimator for a user's measurements, recordings on disk, orbits and exponents of trained maps."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import (
    AttractorReconstructor,
    free_orbits,
    generate,
    load_recording,
    lyapunov_of_map,
    orbit_scores,
    short_errors,
    standardised,
    warm_up,
)
from separatrix.models import ClippedShallowPLRNN, IdentityObservation, LSTMStep, NeuralODEStep, ShallowPLRNN

ANGLE = 0.2 * np.arange(400)
CIRCLE = np.stack([5 + 2 * np.sin(ANGLE), 100 * np.cos(ANGLE)], axis=1)


@pytest.fixture(scope="module")
def fitted():
    gap = CIRCLE.copy()
    gap[50] = np.nan
    return AttractorReconstructor(hidden=20, length=20, steps=800, rates=(1e-2, 1e-4)).fit([gap[:200], gap[230:]])


def test_forecast_is_in_the_units_of_the_data_and_follows_them(fitted):
    forecast = fitted.forecast(CIRCLE[:100], 10)
    error = np.sqrt(np.mean(((forecast - CIRCLE[100:110]) / CIRCLE.std(axis=0)) ** 2))
    assert error < 0.3
    np.testing.assert_allclose(fitted.mean_, [5, 0], atol=8)
    assert set(fitted.log_) == {"loss", "gradient_norm", "alpha"}
    assert len(fitted.log_["loss"]) == 800


def test_generation_continues_itself(fitted):
    whole = fitted.generate(30, start=CIRCLE[0])
    np.testing.assert_allclose(fitted.generate(20, start=CIRCLE[0], discard=10), whole[10:], rtol=1e-4, atol=1e-2)
    assert fitted.generate(5).shape == (5, 2)


def test_map_can_be_analysed(fitted):
    assert np.isfinite(fitted.lyapunov(n=400, discard=100).exponents).all()
    for point in fitted.cycles(1, num_starts=32).points[:, 0]:
        np.testing.assert_allclose(fitted.model_.step(jnp.asarray(point, jnp.float32)), point, atol=1e-3)


def test_incomplete_context_and_divergence_are_refused(fitted):
    with pytest.raises(ValueError, match="`context` must be complete"):
        fitted.forecast(np.full((3, 2), np.nan), 2)
    with pytest.raises(ValueError, match="raise `alpha`, shorten `length`"):
        AttractorReconstructor(model=_explosive, length=100, steps=3, alpha=0.0).fit(CIRCLE)


def test_what_cannot_be_fitted_is_refused_in_one_line():
    for bad in (CIRCLE[:, 0], CIRCLE[:, 0].tolist(), []):
        with pytest.raises(ValueError, match=r"shape \(times, variables\)"):
            AttractorReconstructor().fit(bad)
    with pytest.raises(ValueError, match=r"`alpha` must lie in \[0, 1\]; got 3.0"):
        AttractorReconstructor(alpha=3.0).fit(CIRCLE)
    new = AttractorReconstructor()
    for use in (lambda: new.forecast(CIRCLE, 2), lambda: new.generate(2), new.lyapunov, new.cycles):
        with pytest.raises(ValueError, match="not fitted yet; call `fit` first"):
            use()


def _explosive(key):
    model = ShallowPLRNN(2, 5, key)
    return eqx.tree_at(lambda m: m.A, model, jnp.array([9.0, 9.0]))


def test_own_models_with_memory_read_their_context():
    reconstructor = AttractorReconstructor(
        model=_lstm, observation=_partial, length=10, steps=5, batch_size=2, alpha=1.0
    ).fit(CIRCLE)
    assert reconstructor.forecast(CIRCLE[:50], 4).shape == (4, 2)
    with pytest.raises(ValueError, match="LSTMStep is not piecewise linear"):
        reconstructor.cycles()


def _lstm(key):
    return LSTMStep(2, 4, key)


def _partial(key):
    return IdentityObservation(2, 10, key)


def test_warm_up_ends_at_the_last_measurement():
    model, observation = _lstm(jr.key(0)), _partial(jr.key(1))
    x = jr.normal(jr.key(2), (7, 2))
    z = observation.start(x[0])
    for t in range(1, 7):
        z = jnp.concatenate([x[t], model.step(z)[2:]])
    np.testing.assert_allclose(warm_up(model.step, observation, x), z, atol=1e-6)
    np.testing.assert_array_equal(warm_up(model.step, observation, x[:1]), observation.start(x[0]))


def test_exponents_of_a_piecewise_linear_map_are_those_of_the_tent():
    new = (jnp.array([1.9]), jnp.array([[-3.8]]), jnp.array([[1.0]]), jnp.array([-0.5]))
    model = eqx.tree_at(lambda m: (m.A, m.W1, m.W2, m.h2), ShallowPLRNN(1, 1, jr.key(0)), new)
    found = lyapunov_of_map(model, [0.3], n=400, discard=20, dt=0.1)
    np.testing.assert_allclose(found.exponents, [np.log(1.9) / 0.1], rtol=1e-6)


def test_exponents_of_a_neural_ode_are_taken_too():
    assert np.isfinite(lyapunov_of_map(NeuralODEStep(2, 4, jr.key(0)), [0.1, 0.2], n=40, discard=0).exponents).all()


def test_population_of_orbits_equals_single_ones():
    models = eqx.filter_vmap(lambda key: ClippedShallowPLRNN(3, 8, key))(jr.split(jr.key(0), 2))
    starts = jr.normal(jr.key(1), (2, 3))
    orbits = free_orbits(models, starts, 20, discard=5)
    for i in range(2):
        model = ClippedShallowPLRNN(3, 8, jr.split(jr.key(0), 2)[i])
        np.testing.assert_allclose(orbits[i], generate(model.step, starts[i], 25)[5:], atol=1e-5)
    states = jr.normal(jr.key(2), (2, 30, 3))
    errors = short_errors(models, states, np.asarray(states), n=1)
    model = ClippedShallowPLRNN(3, 8, jr.split(jr.key(0), 2)[1])
    assert errors[1] == pytest.approx(float(jnp.mean((model.step(states[1, :-1]) - states[1, 1:]) ** 2)), rel=1e-4)


def test_scores_of_diverged_and_of_wide_orbits():
    x = np.random.default_rng(0).normal(size=(300, 7))
    assert orbit_scores(x, x) == {"d_stsp": 0.0, "d_hellinger": 0.0}
    assert np.isnan(list(orbit_scores(x[:, :2], x[:, :2] * np.nan).values())).all()


def test_recordings_are_loaded_from_files_and_folders(tmp_path):
    np.save(tmp_path / "ecg.npy", np.zeros((9, 2), np.float32))
    np.save(tmp_path / "eeg.npy", np.arange(12))
    found = load_recording(tmp_path)
    assert {name: (a.shape, a.dtype.kind) for name, a in found.items()} == {"ecg": ((9, 2), "f"), "eeg": ((12, 1), "f")}
    assert list(load_recording(tmp_path / "ecg.npy")) == ["ecg"]
    with pytest.raises(ValueError, match=r"there is no .npy file"):
        load_recording(tmp_path / "nothing")
    np.save(tmp_path / "wide.npy", np.zeros((2, 9)))
    with pytest.raises(ValueError, match="transpose it"):
        load_recording(tmp_path / "wide.npy")
    (tmp_path / "wide.npy").write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"no readable .npy file"):
        load_recording(tmp_path / "wide.npy")


def test_standardising_ignores_gaps_and_refuses_constants():
    x = np.array([[1.0, 0.0], [np.nan, 1.0], [3.0, 2.0]])
    done = standardised(x)
    np.testing.assert_allclose(done.series[[0, 2], 0], [-1, 1])
    assert done.scale.tolist() == pytest.approx([1.0, np.sqrt(2 / 3)])
    assert len(standardised([x, x]).series) == 2
    with pytest.raises(ValueError, match="variable 1 is constant"):
        standardised(np.array([[1.0, 5.0], [2.0, 5.0]]))
    with pytest.raises(ValueError, match="variable 0 was never measured"):
        standardised(np.array([[np.nan, 5.0], [np.nan, 6.0]]))
