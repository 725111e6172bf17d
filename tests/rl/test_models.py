"""Models: the loss by hand, bounds that never lose their gradient, elites, early stopping, and what they learn."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.rl import (
    GaussianEnsemble,
    Transitions,
    fit_ensemble,
    hopper_terminal,
    layer_decays,
    model_loss,
    soft_clamp,
    walker2d_terminal,
)

NOISE = 0.1


def linear_data(rows=600):
    """Next states are a linear function, with noise of standard deviation 0.1."""
    s, a = jr.normal(jr.key(0), (rows, 2)), jr.uniform(jr.key(1), (rows, 1), minval=-1.0)
    after = s + 0.5 * a + NOISE * jr.normal(jr.key(2), (rows, 2))
    return Transitions(s, a, s[:, 0], after, jnp.zeros(rows, bool))


@pytest.fixture(scope="module")
def fitted():
    settings = {"hidden": (24,), "members": 4, "elites": 2, "batch_size": 32, "rate": 5e-3, "max_epochs": 60}
    return fit_ensemble(linear_data(), jr.key(3), **settings)


def test_the_soft_clamp_has_the_limits_of_a_clamp_and_keeps_its_gradient():
    value = jnp.array([-1e3, -11.0, -5.0, 0.0, 1.0, 1e3])
    found = soft_clamp(value, jnp.array(-10.0), jnp.array(0.5))
    assert float(found[0]) == pytest.approx(-10.0, abs=1e-3)
    assert float(found[-1]) == pytest.approx(0.5, abs=1e-3)
    assert float(found[2]) == pytest.approx(-5.0, abs=0.02)
    assert bool((jnp.diff(found) >= 0).all())
    slope = jax.vmap(jax.grad(lambda v: soft_clamp(v, jnp.array(-10.0), jnp.array(0.5))))(value[1:5])
    assert bool((slope > 0).all())


def test_the_loss_by_hand():
    model = GaussianEnsemble(jr.key(0), 1, 1, hidden=(3,), members=2)
    batch = Transitions(jnp.ones((2, 4, 1)), jnp.zeros((2, 4, 1)), jnp.ones((2, 4)), 2 * jnp.ones((2, 4, 1)), None)
    mean, log_variance = model.moments(batch.observation, batch.action)
    fit = sum(float(np.mean((m - 1) ** 2 * np.exp(-v) + v)) for m, v in zip(mean, log_variance, strict=True))
    bounds = 0.01 * (2 * 0.5 + 2 * 10.0)
    weights = [float((w**2).sum()) for w in model.network.weights]
    expected = fit + bounds + 0.5 * (0.1 * weights[0] + 0.2 * weights[1])
    assert float(model_loss(model, batch, (0.1, 0.2))) == pytest.approx(expected, rel=1e-5)


def test_initial_weights_have_the_spread_of_their_inputs():
    weights = GaussianEnsemble(jr.key(0), 30, 10, hidden=(200,), members=7).network.weights
    truncated = 0.8796  # standard deviation of a unit Gaussian cut at two
    assert float(weights[0].std()) == pytest.approx(truncated / (2 * 40**0.5), rel=0.02)
    assert float(jnp.abs(weights[1]).max()) <= 2 / (2 * 200**0.5) + 1e-6


@pytest.mark.parametrize(("layers", "count"), [(1, 1), (2, 2), (3, 3), (5, 5), (6, 6)])
def test_every_layer_has_its_decay(layers, count):
    assert len(layer_decays(layers)) == count
    assert layer_decays(layers)[-1] == 1e-4


def test_it_learns_the_function_and_the_noise(fitted):
    s, a = jnp.array([0.3, -0.7]), jnp.array([0.6])
    mean, log_variance = fitted.model.predict(s, a)
    assert mean.shape == (2, 3)  # the elites alone
    np.testing.assert_allclose(mean.mean(0), [0.3, 0.3, 0.3], atol=0.08)
    np.testing.assert_allclose(jnp.exp(log_variance / 2)[:, :2].mean(), NOISE, rtol=0.4)


def test_a_step_draws_from_the_elites(fitted):
    s, a = jnp.array([0.3, -0.7]), jnp.array([0.6])
    steps = jax.vmap(lambda k: fitted.model(s, a, k))(jr.split(jr.key(0), 4_000))
    mean, log_variance = fitted.model.predict(s, a)
    total = np.sqrt((np.exp(log_variance) + np.asarray(mean) ** 2).mean(0) - np.asarray(mean).mean(0) ** 2)
    drawn = np.concatenate([np.asarray(steps.observation - s), np.asarray(steps.reward)[:, None]], 1)
    np.testing.assert_allclose(drawn.mean(0), mean.mean(0), atol=4 * float(total.max()) / 60)
    np.testing.assert_allclose(drawn.std(0), total, rtol=0.1)
    assert not bool(steps.terminal.any())


def test_elites_are_the_members_with_the_least_error_at_their_best(fitted):
    history = np.asarray(fitted.held_out)[: int(fitted.epochs)]
    assert np.isnan(np.asarray(fitted.held_out)[int(fitted.epochs) :]).all()
    kept = []
    for member in range(4):
        best = np.inf
        for value in history[:, member]:
            if not np.isfinite(best) or best - value > 0.01 * best:
                best = value
        kept.append(best)
    assert fitted.model.elites.tolist() == np.argsort(kept)[:2].tolist()


@pytest.mark.parametrize(
    ("rules", "epochs"),
    [({}, 4), ({"min_epochs": 9}, 9), ({"drops": 2}, 10), ({"max_epochs": 2}, 2)],  # the first counts, three do not
)
def test_it_stops_when_nothing_improves(rules, epochs):
    data = linear_data(60)._replace(next_observation=jr.normal(jr.key(5), (60, 2)))
    still = {"hidden": (8,), "members": 2, "elites": 1, "batch_size": 16, "patience": 3, "min_epochs": 0, "rate": 0.0}
    assert int(fit_ensemble(data, jr.key(0), **{**still, **rules}).epochs) == epochs


def test_the_rule_of_terminal_states_is_used():
    high = lambda s, a, after: after[0] > 0.0  # noqa: E731
    model = GaussianEnsemble(jr.key(0), 1, 1, hidden=(4,), members=2, terminal=high)
    steps = jax.vmap(lambda k: model(jnp.zeros(1), jnp.zeros(1), k))(jr.split(jr.key(1), 50))
    assert bool((steps.terminal == (steps.observation[:, 0] > 0)).all())
    assert 0 < int(steps.terminal.sum()) < 50


def test_drawn_states_stay_within_25_standard_deviations_and_the_rule_sees_them_before():
    gone = lambda s, a, after: jnp.abs(after[0]) > 1e3  # noqa: E731
    centre, scale = jnp.array([1.0, -2.0, 0.0]), jnp.array([0.1, 4.0, 1.0])
    model = GaussianEnsemble(jr.key(0), 2, 1, hidden=(4,), members=2, centre=centre, scale=scale, terminal=gone)
    far = model(jnp.array([1e4, -1e4]), jnp.zeros(1), jr.key(1))
    np.testing.assert_allclose(far.observation, [1 + 2.5, -2 - 100.0], rtol=1e-6)
    assert bool(far.terminal)
    near = jnp.array([1.0, -2.0])
    assert bool((jnp.abs(model(near, jnp.zeros(1), jr.key(1)).observation - near) > 0).all())


def test_impossible_fits_are_refused():
    data = linear_data(20)
    with pytest.raises(ValueError, match="elites"):
        fit_ensemble(data, jr.key(0), members=2, elites=3)
    with pytest.raises(ValueError, match="two transitions"):
        fit_ensemble(linear_data(1), jr.key(0))
    with pytest.raises(ValueError, match="decays"):
        fit_ensemble(data, jr.key(0), decays=(1.0,))


def test_rules_of_terminal_states():
    upright = jnp.zeros(11).at[0].set(1.25)
    assert not bool(hopper_terminal(upright, upright, upright))
    for place, value in ((0, 0.7), (1, -0.2), (5, -100.0), (5, 100.0), (0, jnp.nan), (7, jnp.inf)):
        assert bool(hopper_terminal(upright, upright, upright.at[place].set(value)))
    for place, value in ((0, 0.8), (0, 2.0), (1, 1.0), (1, -1.0), (1, jnp.nan)):
        assert bool(walker2d_terminal(upright, upright, upright.at[place].set(value)))
    assert not bool(walker2d_terminal(upright, upright, upright.at[5].set(1e3)))
