"""Probes of values: what they say of critics whose values are known."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats

from separatrix import run
from separatrix.envs import Pendulum, evaluate
from separatrix.rl import (
    EDGE,
    WITHIN,
    OracleModel,
    Transitions,
    covered_cells,
    edge_statistics,
    edge_targets,
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
        edge_targets(covered, env.state_of, rows=500, every=6),
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
    spread = state.agent.critic(s, state.agent.policy.mode(s)).std(0)
    np.testing.assert_allclose(records["spread_map"][0].ravel(), spread, atol=1e-5)


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


def test_where_targets_lie_says_which_are_at_the_edge(measured):
    records = measured[3]
    states, edge = records["target_state"][0], records["target_edge"][0]
    assert states.shape == (500, 2)
    assert float(edge.mean()) == pytest.approx(float(records["edge_fraction"][0]), abs=0.1)
    assert float(jnp.abs(states[:, 1]).max()) <= 8.0


def test_a_penalty_that_ranks_as_the_minimum_does_correlates_perfectly_with_it():
    rows = jr.uniform(jr.key(0), (200, 2))
    drawn = Transitions(rows, rows, rows[:, 0], rows, jnp.zeros(200, bool))
    agent = SimpleNamespace(
        critic=lambda s, a: jnp.stack([jnp.zeros(len(s)), s[:, 0], 2 * s[:, 1]]),
        policy=SimpleNamespace(mode=lambda s: s),
    )
    model = SimpleNamespace(predict=lambda s, a: (s, a))
    stream = SimpleNamespace(draw=lambda memory, count, key: (drawn, None))
    transition = SimpleNamespace(
        process=SimpleNamespace(stream=stream), after=SimpleNamespace(agent=agent, memory=None)
    )
    implied = lambda mean, log_variance, outcome, key: (mean[0] + 2 * mean[1]) / 3  # noqa: E731
    found = penalty_correlation(model, implied, prefix="known").fn(transition, jr.key(1))
    values = agent.critic(rows, rows)
    expected = scipy.stats.spearmanr(implicit_penalty(values), ensemble_spread(values)).statistic
    assert float(found["known_correlation"]) == pytest.approx(1.0, abs=1e-5)
    assert float(found["known_spread_correlation"]) == pytest.approx(expected, abs=1e-4)
    assert expected < 0.99


def test_disagreement_by_label_of_reach():
    values = jnp.array([[0.0, 0.0, 1.0, 5.0], [2.0, 4.0, 1.0, 9.0]])
    labels = jnp.array([WITHIN, EDGE, WITHIN, EDGE])
    np.testing.assert_allclose(ensemble_spread(values, by=labels), [0.5, 2.0, np.nan])
    np.testing.assert_allclose(implicit_penalty(values, by=labels), [0.5, 2.0, np.nan])
    assert ensemble_spread(values).tolist() == [1.0, 2.0, 0.0, 2.0]
