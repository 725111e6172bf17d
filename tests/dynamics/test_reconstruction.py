"""Training under teacher forcing: one program for a grid, missing data, penalties, probes, and what was published."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import run
from separatrix.dynamics import (
    AdaptiveAlpha,
    ConditionPenalty,
    LatentPenalty,
    ManifoldAttractorPenalty,
    Reconstruction,
    SparseForcing,
    decaying_radam,
    gtf,
    jacobian_products,
    training_log,
    windows_of,
)
from separatrix.models import PLRNN, AffineObservation, ClippedShallowPLRNN, IdentityObservation

ANGLE = 0.2 * np.arange(300)
CIRCLE = np.stack([np.sin(ANGLE), np.cos(ANGLE)], axis=1).astype(np.float32)
OPTIMISER = decaying_radam(40, first=1e-2)


@eqx.filter_jit
def step(process, state, window, key):
    return process.step(state, window, key)


def plrnn(key):
    return ClippedShallowPLRNN(2, 6, key)


def identity(key):
    return IdentityObservation(2)


def affine(key):
    return AffineObservation(2, 3, key)


def process(**how):
    stream = how.pop("stream", None) or windows_of(CIRCLE, length=10, batch_size=4)
    return Reconstruction(
        **{"model": plrnn, "observation": identity, "optimiser": OPTIMISER, "stream": stream, "alpha": 0.3, **how}
    )


def test_loss_is_the_mean_squared_error_of_predictions_before_forcing():
    p = process()
    state = p.init(jr.key(0))
    window = p.stream(jnp.int32(0), jr.key(1))
    model, observation = p.trained(state)
    expected = jnp.mean((gtf(model.step, observation, window.x, 0.3) - window.x[1:]) ** 2)
    _, info = step(p, state, window, jr.key(2))
    assert float(info["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert float(info["alpha"]) == pytest.approx(0.3)


def test_grid_over_strength_and_seeds_is_one_program_and_equals_single_runs():
    keys, alphas = jr.split(jr.key(0), 2), np.float32([0.0, 0.4, 1.0])
    together = run(process(), keys, 20, over={"alpha": alphas}, probes=[training_log(1)], block=3)
    assert together.records["loss"].shape == (3, 2, 20)
    alone = run(process(alpha=0.4), keys[1], 20, probes=[training_log(1)])
    np.testing.assert_allclose(together.records["loss"][1, 1], alone.records["loss"], rtol=1e-4)


def test_training_lowers_the_error_of_a_rotation():
    log = run(process(optimiser=optax.adam(1e-2)), jr.key(0), 300, probes=[training_log(1)]).records["loss"]
    assert log[-20:].mean() < 0.3 * log[:20].mean()


def test_missing_measurements_neither_force_nor_count():
    rng = np.random.default_rng(0)
    gaps = CIRCLE.copy()
    gaps[rng.random(gaps.shape) < 0.2] = np.nan
    p = process(stream=windows_of(gaps, length=10, batch_size=4))
    state, window = p.init(jr.key(0)), p.stream(jnp.int32(0), jr.key(1))
    assert not bool(window.observed.all())
    spoilt = window._replace(x=jnp.where(window.observed, window.x, 1e3))
    (_, info), (_, other) = (step(p, state, w, jr.key(2)) for w in (window, spoilt))
    assert float(info["loss"]) == pytest.approx(float(other["loss"]), rel=1e-5)
    assert float(info["gradient_norm"]) == pytest.approx(float(other["gradient_norm"]), rel=1e-4)


def test_affine_observation_is_forced_only_where_all_is_measured():
    observed = jnp.array([[True, True], [True, False]])
    assert AffineObservation(2, 3, jr.key(0)).determined(observed)[:, 0].tolist() == [True, False]
    gaps = CIRCLE.copy()
    gaps[5::7, 0] = np.nan
    p = process(model=_three, observation=affine, stream=windows_of(gaps, length=10, batch_size=4))
    _, info = step(p, p.init(jr.key(0)), p.stream(jnp.int32(0), jr.key(1)), jr.key(2))
    assert np.isfinite(float(info["gradient_norm"]))


def _three(key):
    return ClippedShallowPLRNN(3, 6, key)


def test_gradient_reaches_the_observation_through_its_pseudo_inverse():
    p = process(model=_three, observation=affine, alpha=1.0)
    state = p.init(jr.key(0))
    window = p.stream(jnp.int32(0), jr.key(1))
    free = jax.grad(lambda parts: p.objective(parts, window, window, jnp.array(1.0))[0])

    def frozen(parts):
        observation = eqx.tree_at(lambda o: o.B, parts[1], jax.lax.stop_gradient(parts[1].B))
        zhat = p.predictions(parts[0], observation, window, jnp.array(1.0))
        return jnp.mean((parts[1].observe(zhat) - window.x[1:]) ** 2)

    parts = p.trained(state)
    difference = free(parts)[1].B - jax.grad(frozen)(parts)[1].B
    assert float(jnp.abs(difference).max()) > 1e-4


def test_adaptive_strength_is_estimated_at_every_fifth_step():
    p = process(alpha=1.0, adapt=AdaptiveAlpha(gamma=0.5, every=5))
    alpha = run(p, jr.key(0), 20, probes=[training_log(1)]).records["alpha"]
    np.testing.assert_array_equal(alpha.reshape(4, 5), np.repeat(alpha[::5, None], 5, axis=1))
    assert alpha[0] < 1
    assert alpha[-1] < 0.5


def test_sparse_forcing_is_traced_in_its_interval():
    keys = jr.split(jr.key(0), 2)
    vary = lambda p, v: eqx.tree_at(lambda q: q.forcing.tau, p, v["tau"])  # noqa: E731
    out = run(process(forcing=SparseForcing(jnp.int32(2))), keys, 10, over={"tau": np.int32([2, 5])}, vary=vary)
    alone = run(process(forcing=SparseForcing(jnp.int32(5))), keys, 10)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-4, atol=1e-6), out.state.params, alone.state.params
    )


def test_noise_perturbs_what_forces_and_not_what_is_predicted():
    losses = [
        float(run(process(noise=sigma), jr.key(0), 1, probes=[training_log(1)]).records["loss"][0])
        for sigma in (0.0, 0.5)
    ]
    plain = float(run(process(), jr.key(0), 1, probes=[training_log(1)]).records["loss"][0])
    assert losses[0] == pytest.approx(plain, rel=1e-5)
    assert losses[1] > plain


def test_published_penalty_pulls_the_diagonal_to_one():
    model = ClippedShallowPLRNN(3, 5, jr.key(0))
    rest = sum(float(jnp.sum(w**2)) for w in (model.W1, model.W2, model.h1, model.h2))
    assert float(LatentPenalty(2.0)(model, None)) == pytest.approx(2 * (float(jnp.sum((1 - model.A) ** 2)) + rest))
    assert float(LatentPenalty(2.0, 0.0)(model, None)) == pytest.approx(2 * (float(jnp.sum(model.A**2)) + rest))


def test_manifold_attractor_penalty_is_zero_for_perfect_integrators():
    model = PLRNN(4, jr.key(0))
    memory = eqx.tree_at(lambda m: (m.A, m.W), model, (model.A.at[:2].set(1.0), model.W.at[:2].set(0.0)))
    assert float(ManifoldAttractorPenalty(1.0, 0.5)(memory, None)) == 0
    assert float(ManifoldAttractorPenalty(1.0, 0.5)(model, None)) > 0
    assert float(ManifoldAttractorPenalty(1.0, 0.5)(ClippedShallowPLRNN(4, 5, jr.key(0)), None)) > 0
    with pytest.raises(ValueError, match="must lie in"):
        ManifoldAttractorPenalty(1.0, 1.5)


def test_penalties_enter_the_gradient_and_not_the_recorded_loss():
    p, q = process(), process(penalties=(LatentPenalty(0.1), ConditionPenalty(0.1)))
    window = p.stream(jnp.int32(0), jr.key(1))
    (_, plain), (_, penalised) = (step(r, r.init(jr.key(0)), window, jr.key(2)) for r in (p, q))
    assert float(plain["loss"]) == pytest.approx(float(penalised["loss"]), rel=1e-6)
    assert float(plain["gradient_norm"]) != pytest.approx(float(penalised["gradient_norm"]), rel=1e-3)
    assert float(ConditionPenalty(1.0)(None, IdentityObservation(2))) == 0


def test_probe_of_jacobian_products_agrees_with_a_plain_product():
    p = process()
    state, records = run(p, jr.key(0), 4, probes=[jacobian_products((1, 3, 10), every=4)])
    window = p.stream(jnp.int32(3), _stream_key(jr.key(0)))
    model, _ = p.trained(state)
    jacobians = 0.7 * np.asarray(model.jacobian(window.x), float)
    for lag, value in zip((1, 3, 10), records["log_jacobian_product"][0], strict=True):
        norms = [np.linalg.norm(np.linalg.multi_dot([*jacobians[:lag, b][::-1], np.eye(2)]), 2) for b in range(4)]
        assert value == pytest.approx(np.log(max(norms)), abs=2e-3)
    with pytest.raises(ValueError, match="must be increasing"):
        jacobian_products((3, 1))


def _stream_key(key):
    from separatrix._core.program import run_keys

    return run_keys(key).stream


def test_radam_rate_falls_to_its_end():
    with pytest.raises(ValueError, match="must be positive"):
        decaying_radam(0)
    optimiser = decaying_radam(100, 1e-2, 1e-4)
    update = jax.jit(lambda state: optimiser.update(jnp.ones(()), state))
    state = optimiser.init(jnp.zeros(()))
    for _ in range(100):
        change, state = update(state)
    # a constant gradient is rescaled to one; what is left is the rate and the rectification at t = 100
    limit, power = 2 / 0.001 - 1, 0.999**100
    rho = limit - 200 * power / (1 - power)
    rectified = np.sqrt((rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho))
    assert -float(change) == pytest.approx(1e-2 * 0.01**0.99 * rectified, rel=1e-3)
