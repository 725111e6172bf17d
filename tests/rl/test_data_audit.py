"""An audit finds where data end, and estimates values where they are known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.offline_logs import write_table
from separatrix.data.transitions import LoggedEpisodes
from separatrix.envs import BoxWorld, roll_out
from separatrix.rl import ActorCriticState, Agent, Deterministic, from_episodes, greedy, sampling
from separatrix.rl.data_audit import audit


def logged(policy, episodes=40, env=None, steps=50):
    env = env or BoxWorld(stride=0.2)
    rows = jax.jit(lambda key: roll_out(env, policy, key, episodes))(jr.key(0))
    cut = jax.tree.map(lambda a: np.asarray(a)[:, :steps], rows)
    flat = [a.reshape(-1, *a.shape[2:]) for a in cut[:6]]
    flat[5] = np.tile(np.arange(steps) == steps - 1, episodes)
    return LoggedEpisodes(*flat)


def wander(observation, key):
    return jr.uniform(key, (2,), minval=-1)


def outwards(observations):
    return np.sign(observations + 1e-9)


def inwards(observations):
    return np.clip(-observations / 0.2, -1, 1)


def constant_reward_log():
    log = logged(wander)
    return log._replace(reward=np.ones(len(log.reward)))


def test_value_of_a_constant_reward_is_its_geometric_sum():
    found = audit(constant_reward_log(), discount=0.9, resamples=5)
    assert found.value["estimate"] == pytest.approx(10.0, rel=1e-3)
    assert found.value["pessimistic"] == pytest.approx(10.0, rel=1e-3)  # all that is possible
    assert found.trust == "high"


def test_the_policy_that_made_the_log_is_supported_by_it():
    found = audit(logged(wander, 100), discount=0.9, resamples=2)
    assert found.unsupported < 0.01
    assert found.rows == 5_000
    assert found.episodes == 100


def test_value_of_a_policy_within_the_data_is_that_of_its_own_rollouts():
    log = logged(wander, 100)
    found = audit(log, inwards, discount=0.9, resamples=20)
    rows = roll_out(BoxWorld(stride=0.2), lambda o, key: jnp.clip(-o / 0.2, -1, 1), jr.key(1), 300)
    truth = float(np.mean(np.sum(np.asarray(rows.reward) * 0.9 ** np.arange(50), axis=1)))
    truth += 0.9**50 / 0.1  # it stays at the origin
    assert found.value["estimate"] == pytest.approx(truth, rel=0.02)
    assert found.value["low"] - 0.2 < truth < found.value["high"] + 0.2


def test_states_that_are_only_ever_reached_last_are_found():
    # one step from the box of starts: half of the next states lie outside it, and were never acted from
    env = BoxWorld(stride=1.0)
    edge = audit(logged(wander, 800, env, steps=1), outwards, discount=0.95, resamples=0, margin=1.0)
    whole = audit(logged(wander, 60, env, steps=20), wander_batch, discount=0.95, resamples=0, margin=1.0)
    assert edge.unsupported > 0.2
    assert whole.unsupported < 0.15

    def room(found):  # share of all that is possible which unsupported pairs leave open
        v = found.value
        return (v["optimistic"] - v["pessimistic"]) / (v["greatest_possible"] - v["least_possible"])

    assert room(edge) > room(whole) + 0.2
    assert edge.trust == "none"
    assert edge.extent["policy outside"].iloc[:2].min() > 0.2
    assert edge.first_unsupported == 0 or np.isnan(edge.first_unsupported)


def test_values_that_nothing_supports_are_one_reward_and_the_bound():
    log = logged(wander, 100)
    coin = np.random.default_rng(3).integers(0, 2, len(log.reward)).astype(float)
    found = audit(log._replace(reward=coin), wander_batch, discount=0.9, margin=1e-9, resamples=0, features=20)
    assert found.unsupported == 1
    assert found.value["pessimistic"] == pytest.approx(0.5 + 0.9 * 0.0, abs=0.1)
    assert found.value["optimistic"] == pytest.approx(0.5 + 0.9 * 10.0, abs=0.1)


def wander_batch(observations):
    return np.random.default_rng(1).uniform(-1, 1, observations.shape)


def survival_log(episodes=60, hazard=0.05):
    """A reward of 1 a step until an end that strikes at random: the value is that of its geometric lifetime."""
    rng = np.random.default_rng(5)
    lengths = rng.geometric(hazard, episodes)
    terminal = np.zeros(lengths.sum(), bool)
    terminal[np.cumsum(lengths) - 1] = True
    rows = rng.normal(size=(len(terminal) + 1, 1))
    action = rng.uniform(-1, 1, (len(terminal), 1))
    return LoggedEpisodes(rows[:-1], action, np.ones(len(terminal)), rows[1:], terminal, np.zeros_like(terminal))


def test_where_episodes_terminate_a_return_may_be_anything_from_zero():
    log = survival_log()
    found = audit(log, resamples=20)
    survives = 1 - log.terminal.mean()
    assert found.value["estimate"] == pytest.approx(1 / (1 - 0.99 * survives), rel=0.02)
    assert found.value["least_possible"] == 0.0
    assert found.value["greatest_possible"] == pytest.approx(100.0)
    assert found.trust == "high"
    costs = audit(log._replace(reward=-log.reward), resamples=0)
    assert (costs.value["least_possible"], costs.value["greatest_possible"]) == (pytest.approx(-100.0), 0.0)
    assert costs.value["estimate"] == pytest.approx(-found.value["estimate"], rel=1e-3)


def test_unsupported_pairs_may_end_at_once_where_episodes_terminate():
    found = audit(survival_log(), lambda o: np.zeros((len(o), 1)), margin=1e-9, resamples=0, discount=0.9)
    assert found.unsupported == 1
    assert found.value["pessimistic"] == pytest.approx(1.0, rel=0.05)  # one reward, then the end
    assert found.value["optimistic"] == pytest.approx(1 + 0.9 * 0.95 * 10, rel=0.05)  # or rewards for ever


def test_sampling_error_takes_trust_away():
    log = logged(wander, 40)
    noise = np.random.default_rng(0).normal(size=40)
    each = log._replace(reward=np.repeat(noise, 50))  # every episode has a reward of its own
    found = audit(each, discount=0.5, features=5)
    v = found.value
    assert found.unsupported < 0.01
    assert 0.1 < (v["high"] - v["low"]) / (v["greatest_possible"] - v["least_possible"]) < 0.5
    assert found.trust == "limited"
    few = audit(logged(wander, 5)._replace(reward=np.zeros(250)), resamples=2)
    assert few.trust == "high"  # nothing else is possible
    assert "5 episodes are too few" in few.text()
    assert audit(logged(wander, 5), discount=0.5, resamples=2).trust == "limited"


def test_more_margin_never_finds_more_that_is_far():
    log = logged(wander, 300, BoxWorld(stride=1.0), steps=1)
    shares = [audit(log, outwards, margin=m, resamples=0, features=50).unsupported for m in (0.5, 1.0, 2.0, 4.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > shares[-1]


def test_units_of_the_observations_do_not_matter():
    log = logged(wander, 20)
    scaled = log._replace(observation=log.observation * 1e4, next_observation=log.next_observation * 1e4)
    one, two = (audit(rows, resamples=0) for rows in (log, scaled))
    assert two.unsupported == one.unsupported
    assert two.value["estimate"] == pytest.approx(one.value["estimate"], rel=1e-3)


def test_every_kind_of_policy_is_taken():
    log, policy = logged(wander, 10), Deterministic(jr.key(0), 2, 2, (4,))
    agent = Agent(policy=policy)
    state = ActorCriticState(agent, Agent(), {}, None)
    plain = lambda o: np.asarray(policy.mode(jnp.asarray(o)))  # noqa: E731
    policies = (plain, policy, policy.mode, agent, state, greedy(policy), sampling(policy))
    found = [audit(log, each, resamples=0, features=20) for each in policies]
    for one in found[1:]:
        np.testing.assert_allclose(one.distances, found[0].distances, atol=1e-5)
    with pytest.raises(TypeError, match="a policy with `mode`, or a learner's agent or state; got int"):
        audit(log, 3)


def test_whole_episodes_are_audited_as_they_are():
    rows = roll_out(BoxWorld(), wander, jr.key(0), 5)
    assert audit(rows, resamples=0, features=20).rows == 250
    with pytest.raises(TypeError, match="transitions have no order"):
        audit(from_episodes(rows))


def test_a_file_is_audited_and_reported(tmp_path):
    write_table(logged(wander, 10), tmp_path / "log.csv")
    found = audit(tmp_path / "log.csv", lambda o: np.zeros((len(o), 2)), resamples=5)
    page = found.report(tmp_path / "audit.html").read_text()
    assert page.count("<svg") == 1
    assert "trust in the estimate" in page
    assert "src=" not in page  # self-contained
    assert str(tmp_path / "log.csv") in found.text()


def test_bad_input_is_refused():
    log = logged(wander, 3)
    with pytest.raises(ValueError, match=r"the policy must return actions of shape \(150, 2\)"):
        audit(log, lambda o: np.zeros(len(o)))
    with pytest.raises(ValueError, match="not finite"):
        audit(log, lambda o: np.full((len(o), 2), np.nan))
    with pytest.raises(ValueError, match="at least two episodes; got 1"):
        audit(logged(wander, 1))
    with pytest.raises(ValueError, match="1 of 150 rewards are not finite, the first in row 7"):
        audit(log._replace(reward=np.where(np.arange(150) == 7, np.nan, 0.0)))
    with pytest.raises(ValueError, match="`discount` must lie"):
        audit(log, discount=1.0)
