"""Probes of values: what they say of critics whose values are known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run
from separatrix.envs import Pendulum, evaluate
from separatrix.rl import (
    EDGE,
    WITHIN,
    OracleModel,
    Transitions,
    covered_cells,
    edge_statistics,
    ensemble_spread,
    greedy,
    implicit_penalty,
    max_aleatoric,
    mbpo,
    penalty_correlation,
    q_vs_true,
    returns,
    value_map,
)

CORNER = jnp.array([jnp.pi, 8.0])


def test_spread_and_implicit_penalty_by_hand():
    values = jnp.array([[0.0], [2.0], [4.0]])
    assert float(ensemble_spread(values)[0]) == pytest.approx((8 / 3) ** 0.5)
    assert float(implicit_penalty(values)[0]) == 2.0
    pair = jr.normal(jr.key(0), (2, 9))
    np.testing.assert_allclose(ensemble_spread(pair), implicit_penalty(pair), rtol=1e-5)  # for two they are the same


@pytest.fixture(scope="module")
def measured():
    env = Pendulum()
    states = jax.vmap(env.reset)(jr.split(jr.key(0), 60))
    s = jax.vmap(env.observe)(states)
    data = Transitions(s, jnp.zeros((60, 1)), jnp.zeros(60), s, jnp.zeros(60, bool))
    process = mbpo(data, OracleModel(env), hidden=(8,), batch_size=8, rows=40, every=5)
    covered = covered_cells(states, -CORNER, CORNER, periodic=(True, False), dilate=2)
    probes = [
        q_vs_true(s, jnp.full(60, -3.0), every=6),
        edge_statistics(covered, env.state_of, rows=500, every=6),
        returns(env, 2, every=6),
        value_map(s.reshape(6, 10, 3), every=6),
        penalty_correlation(OracleModel(env), max_aleatoric, 50, every=6),
    ]
    state, records = run(process, jr.key(1), 6, probes=probes)
    return s, process, state, records


def test_values_against_the_truth(measured):
    s, _, state, records = measured
    values = state.agent.critic(s, state.agent.policy.mode(s)).mean(0)
    np.testing.assert_allclose(records["value"], values.mean(), rtol=1e-4)
    np.testing.assert_allclose(records["overestimation"], values.mean() + 3.0, rtol=1e-4)
    np.testing.assert_allclose(records["value_map"][0].ravel(), values, atol=1e-5)


def test_edge_and_within_make_up_the_whole(measured):
    _, process, state, records = measured
    share = float(records["edge_fraction"][0])
    assert 0 < share < 1
    made, _ = process.stream.draw(state.memory, 20_000, jr.key(9))
    spread = ensemble_spread(state.agent.critic(made.next_observation, state.agent.policy.mode(made.next_observation)))
    whole = share * records["spread_edge"][0] + (1 - share) * records["spread_within"][0]
    assert float(whole) == pytest.approx(float(spread.mean()), rel=0.1)


def test_returns_are_those_of_the_policys_mode(measured):
    _, _, state, records = measured
    alone = evaluate(Pendulum(), greedy(state.agent.policy), jr.key(0), 200)
    assert abs(float(records["return"][0]) - float(alone.mean())) < 4 * float(alone.std()) / 2**0.5


def test_a_penalty_that_is_always_zero_correlates_with_ranks_of_ties(measured):
    assert -1 <= float(measured[3]["penalty_correlation"][0]) <= 1


def test_disagreement_by_label_of_reach():
    values = jnp.array([[0.0, 0.0, 1.0, 5.0], [2.0, 4.0, 1.0, 9.0]])
    labels = jnp.array([WITHIN, EDGE, WITHIN, EDGE])
    np.testing.assert_allclose(ensemble_spread(values, by=labels), [0.5, 2.0, np.nan])
    np.testing.assert_allclose(implicit_penalty(values, by=labels), [0.5, 2.0, np.nan])
    assert ensemble_spread(values).tolist() == [1.0, 2.0, 0.0, 2.0]
