"""Closed dynamics of two moments against the network that they describe."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, run
from separatrix.data.teachers import single_index_data
from separatrix.models.committee import CommitteeQuadratic
from separatrix.models.lazy_scale import LazyModel
from separatrix.models.mlp import lazy_learning_rate
from separatrix.training.committee_dynamics import CommitteeDynamics, committee_tangent, loss_terms
from separatrix.training.committee_theory import committee_statistics
from separatrix.training.supervised import Batch, Supervised

DIM, WIDTH, RATE, EPS = 8, 11, 0.1, 0.3


def half_squared(outputs, targets):
    return (outputs - targets) ** 2 / 2


def closed(data, alpha, **changes):
    how = {"rate": RATE, "alpha": alpha, "eps": EPS, "width": WIDTH, **changes}
    return CommitteeDynamics(data.train_inputs, data.train_targets, data.directions[0], **how)


@pytest.fixture
def data(x64):
    return single_index_data(jr.key(0), 30, DIM, num_test=3_000, dtype=jnp.float64)


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("alpha", [0.2, 3.0])
def test_moments_are_those_of_the_network_after_200_steps(data, alpha, center):
    net = Supervised(
        model=LazyModel(lambda key: CommitteeQuadratic(key, DIM, WIDTH, EPS, dtype=jnp.float64), alpha, center),
        loss=half_squared,
        optimiser=optax.sgd(lazy_learning_rate(RATE * WIDTH, alpha)),
        stream=FullBatch(Batch(data.train_inputs, data.train_targets)),
    )
    start = run(net, jr.key(1), 0).state.params.model.weights
    weights = run(net, jr.key(1), 200).state.params.model.weights
    state, records = run(closed(data, alpha, center=center), jr.key(1), 200, probes=[loss_terms(50)])
    for found, expected in zip(state.now, committee_statistics(weights), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    assert float(jnp.max(jnp.abs(weights - start))) > 0.05  # it has moved
    assert records["train_mse"][-1] < records["train_mse"][0]


def test_moment_stays_positive_semi_definite_and_covers_the_mean(data):
    state = run(closed(data, 0.2), jr.key(1), 300).state.now
    spread = state.moment - jnp.outer(state.mean, state.mean)
    assert float(jnp.linalg.eigvalsh(spread)[0]) > -1e-10
    np.testing.assert_array_equal(state.moment, state.moment.T)


def test_infinite_width_is_the_limit_of_finite_widths(data):
    ends = [run(closed(data, 0.5, width=w), jr.key(1), 100).state.now.moment for w in (None, 10_000, 1_000_000)]
    errors = [float(jnp.max(jnp.abs(end - ends[0]))) for end in ends[1:]]
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 4  # N^(-1/2) would be a tenth


def test_outputs_move_as_fast_at_any_scale(data):
    # lazy and centred: after few steps the losses at two large scales agree, with an error of order 1/alpha
    lazier, laziest = (run(closed(data, a), jr.key(1), 20, probes=[loss_terms(20)]).records for a in (1e3, 1e4))
    np.testing.assert_allclose(lazier["train_mse"], laziest["train_mse"], rtol=1e-2)


def test_rich_training_turns_the_kernel_to_the_targets_and_lazy_training_does_not(data):
    over = {"alpha": np.array([0.2, 100.0])}
    _, records = run(closed(data, 1.0), jr.key(1), 500, probes=[committee_tangent(500)], over=over)
    (rich, lazy), (rich_turn, lazy_turn) = (records[name][:, -1] for name in ("kernel_alignment", "ntk_distance"))
    assert rich > 1.2 * lazy
    assert rich_turn > 100 * lazy_turn


def test_exact_test_loss_is_that_of_a_sample(data):
    process = closed(data, 0.5, held_out=(data.test_inputs, data.test_targets))
    _, records = run(process, jr.key(1), 100, probes=[loss_terms(50)])
    np.testing.assert_allclose(records["test_sample_mse"], records["test_mse"], rtol=0.15)
    total = records["variance"] + records["misalignment"] + records["linear_power"]
    np.testing.assert_allclose(total, records["test_mse"], rtol=1e-12)


def test_a_grid_of_traced_fields_equals_single_runs(data):
    over = {"alpha": np.array([0.3, 1.0]), "eps": np.array([0.1, 0.6])}
    together = run(closed(data, 1.0), jr.key(1), 50, probes=[loss_terms(50)], over=over).records["test_mse"]
    for i, alpha in enumerate(over["alpha"]):
        for j, eps in enumerate(over["eps"]):
            single = run(closed(data, alpha, eps=eps), jr.key(1), 50, probes=[loss_terms(50)]).records["test_mse"]
            np.testing.assert_allclose(together[i, j], single, rtol=1e-10)


def test_dtype_follows_the_inputs():
    data = single_index_data(jr.key(0), 6, 3)
    state = eqx.filter_eval_shape(closed(data, 0.5).init, jr.key(0))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(state))
