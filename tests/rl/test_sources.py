"""Rollouts are the environment's own steps; the buffers keep what they should, and MOPO under the truth is MBPO."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run
from separatrix.data import read_log
from separatrix.envs import AbstractEnv, BoxWorld, Pendulum, roll_out
from separatrix.envs.environment import Step
from separatrix.rl import (
    LEVELS,
    Deterministic,
    EnvBuffer,
    Feed,
    Logged,
    ModelBuffer,
    OracleModel,
    Penalised,
    TanhGaussian,
    Transitions,
    collect,
    concatenated,
    greedy,
    interpolate,
    ll_var,
    loo_kl,
    max_aleatoric,
    max_pairwise,
    mbpo,
    mopo,
    patch_with_oracle,
    ravl,
    rollout,
    to_minari,
)
from separatrix.rl.penalties import ensemble_std


@functools.cache
def pendulum_data(rows=50):
    states = jax.vmap(Pendulum().reset)(jr.split(jr.key(0), rows))
    s, a = jax.vmap(Pendulum().observe)(states), jr.uniform(jr.key(1), (rows, 1), minval=-1.0)
    after = jax.vmap(OracleModel(Pendulum()))(s, a, jr.split(jr.key(2), rows))
    return Transitions(s, a, after.reward, after.observation, after.terminal)


def test_a_rollout_in_the_truth_is_the_environments_own_episode():
    policy = Deterministic(jr.key(0), 3, 1, (8,))
    episodes = roll_out(Pendulum(), greedy(policy), jr.key(1), 3)
    found = rollout(OracleModel(Pendulum()), policy, episodes.observation[:, 0], 20, jr.key(2)).transitions
    for name in Transitions._fields:
        np.testing.assert_allclose(
            getattr(found, name), np.swapaxes(getattr(episodes, name), 0, 1)[:20], atol=1e-4, err_msg=name
        )


class Countdown(AbstractEnv):
    """Counts down to a terminal state."""

    observation_size = 1
    action_size = 1
    max_steps = 7

    def reset(self, key):
        return jnp.array([3.0])

    def step(self, state, action, key):
        return state - 1, jnp.array(1.0), state[0] <= 1

    def observe(self, state):
        return state

    def state_of(self, observation):
        return observation


def first_generation(source, policy):
    """The memory after one step."""

    @jax.jit
    def advance(policy):
        feed = source(jnp.int32(0), jr.key(2))
        return source.advance(source.start(policy, jr.key(1)), policy, feed, jr.key(3))[0]

    return advance(policy)


def countdown_data():
    s = jnp.array([[1.0], [2.0], [9.0]])
    return Transitions(s, jnp.zeros((3, 1)), jnp.ones(3), s - 1, s[:, 0] <= 1)


def test_rows_after_a_terminal_state_are_never_drawn():
    source = ModelBuffer(countdown_data(), OracleModel(Countdown()), batch_size=64, real_rows=0, horizon=4, rows=80)
    policy = Deterministic(jr.key(0), 1, 1, (4,))
    memory = first_generation(source, policy)
    made, time = source.draw(memory, 4_000, jr.key(4))
    assert float(made.observation.min()) == 1.0  # zero would come after the end
    assert int(memory.counts[0]) < 80
    assert bool((made.terminal == (made.observation[:, 0] == 1)).all())
    start_of = made.observation[:, 0] + time
    assert set(np.unique(start_of).tolist()) == {1.0, 2.0, 9.0}
    counts = np.unique(np.asarray(memory.rows.observation[0, : int(memory.counts[0]), 0]), return_counts=True)[1]
    drawn = np.unique(np.asarray(made.observation), return_counts=True)[1]
    np.testing.assert_allclose(drawn / 4_000, counts / counts.sum(), atol=0.04)  # each valid row is equally likely


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_every_horizon_makes_the_same_number_of_transitions(horizon):
    source = ModelBuffer(pendulum_data(), OracleModel(Pendulum()), 8, 2, horizon=horizon, rows=40)
    policy = TanhGaussian(jr.key(0), 3, 1, (4,))
    memory = first_generation(source, policy)
    assert int(memory.counts[0]) == 40
    assert np.bincount(np.asarray(memory.time[0])).tolist() == [40 // horizon] * horizon


def test_the_ring_replaces_the_oldest_generation_and_no_blank_row_is_drawn():
    source = ModelBuffer(countdown_data(), OracleModel(Countdown()), 8, 2, horizon=1, rows=6, every=3, generations=2)
    policy = Deterministic(jr.key(0), 1, 1, (4,))
    memory = source.start(policy, jr.key(1))
    advance = jax.jit(lambda m, i: source.advance(m, policy, source(i, jr.key(2)), jr.fold_in(jr.key(3), i)))
    counts, held = [], []
    for step in range(8):
        memory, batch = advance(memory, jnp.int32(step))
        counts.append(memory.counts.tolist())
        held.append(memory.rows.observation[0])
        assert float(batch.observation.min()) > 0
    assert counts == [[6, 0]] * 3 + [[6, 6]] * 5
    assert bool((held[0] == held[5]).all())
    assert not bool((held[5] == held[6]).all())


def test_sizes_that_do_not_fit_are_refused():
    for wrong in ({"real_rows": 8}, {"rows": 7, "horizon": 2}, {"every": 0}):
        with pytest.raises(ValueError, match="must"):
            ModelBuffer(pendulum_data(), OracleModel(Pendulum()), **{"batch_size": 8, "real_rows": 2, **wrong})
    with pytest.raises(ValueError, match="warmup"):
        EnvBuffer(Pendulum(), capacity=5, warmup=6)


def test_an_online_buffer_holds_the_episodes_in_order_and_resets_at_terminal_states_and_time_outs():
    source = EnvBuffer(Countdown(), capacity=20, batch_size=4, warmup=9)
    policy = Deterministic(jr.key(0), 1, 1, (4,))
    memory = source.start(policy, jr.key(1))
    advance, batch = jax.jit(source.advance), memory.rows
    for step in range(11):
        memory, batch = advance(memory, policy, Feed(jnp.int32(step), None), jr.key(step))
    assert memory.rows.observation[:, 0].tolist() == [3.0, 2.0, 1.0] * 6 + [3.0, 2.0]
    assert memory.rows.terminal.tolist() == [False, False, True] * 6 + [False, False]
    assert not bool(memory.timeout.any())  # a terminal state is no time-out, even in the last step allowed
    assert batch.observation.shape == (4, 1)


class Short(Pendulum):
    """A pendulum for seven steps."""

    max_steps = 7


def test_time_outs_reset_and_are_kept_but_are_not_terminal():
    memory = EnvBuffer(Short(), capacity=15, warmup=15).start(None, jr.key(0))
    rows, same = memory.rows, []
    for i in range(14):
        same.append(bool(jnp.allclose(rows.next_observation[i], rows.observation[i + 1])))
    assert same == [i % 7 != 6 for i in range(14)]
    assert memory.timeout.tolist() == [i % 7 == 6 for i in range(15)]
    assert not bool(rows.terminal.any())


def test_a_log_gives_rows_of_the_data():
    data = pendulum_data()
    feed = Logged(data, 1_000)(jnp.int32(3), jr.key(0))
    known = {tuple(row) for row in np.asarray(data.observation).tolist()}
    assert {tuple(row) for row in np.asarray(feed.batch.observation).tolist()} == known


@pytest.mark.parametrize("penalty", [max_aleatoric, max_pairwise, ensemble_std, loo_kl, ll_var])
def test_no_penalty_of_the_truth(penalty):
    model = Penalised(OracleModel(Pendulum()), penalty, 1e9)
    s, a = jnp.array([0.6, 0.8, 1.3]), jnp.array([0.7])
    assert float(model(s, a, jr.key(0)).reward) == float(OracleModel(Pendulum())(s, a, jr.key(0)).reward)


def test_mopo_under_true_dynamics_is_the_base_learner_bit_for_bit():
    settings = {"hidden": (8,), "batch_size": 8, "rows": 20, "every": 3, "horizon": 2}
    data, truth = pendulum_data(), OracleModel(Pendulum())
    plain, _ = run(mbpo(data, truth, **settings), jr.key(0), 10)
    for weight in (0.0, 7.3, 1e6):
        lowered, _ = run(mopo(data, truth, penalty=ensemble_std, weight=weight, **settings), jr.key(0), 10)
        for a, b in zip(jax.tree.leaves(plain), jax.tree.leaves(lowered), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_model_buffer_under_vmap_is_that_of_single_runs():
    settings = {"hidden": (8,), "batch_size": 8, "rows": 20, "every": 3, "horizon": 2}
    process, keys = mbpo(pendulum_data(), OracleModel(Pendulum()), **settings), jr.split(jr.key(0), 2)
    together, _ = run(process, keys, 7, block=2)
    for member in range(2):
        alone, _ = run(process, keys[member], 7)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[member], b, rtol=2e-3, atol=2e-4)


def test_diversity_enters_where_actions_have_two_dimensions():
    s = jr.uniform(jr.key(0), (20, 2), minval=-1.0)
    data = Transitions(s, s, jnp.zeros(20), s + s, jnp.zeros(20, bool))
    settings = {"hidden": (8,), "batch_size": 8, "rows": 20, "every": 5, "members": 3}
    states = [run(ravl(data, OracleModel(BoxWorld()), eta=eta, **settings), jr.key(0), 3).state for eta in (0, 1.0)]
    first, second = (s.agent.critic.network.weights[0] for s in states)
    assert float(jnp.abs(first - second).max()) > 1e-5


def test_between_two_models():
    one = lambda s, a, key: Step(s, jnp.array(1.0), jnp.array(False))  # noqa: E731
    two = lambda s, a, key: Step(s + 0.3, jnp.array(2.0), jnp.array(True))  # noqa: E731
    s, a = jnp.array([1 / 3]), jnp.zeros(1)
    for alpha, alone in ((0.0, one), (1.0, two)):
        found, expected = interpolate(one, two, alpha)(s, a, KEY), alone(s, a, KEY)
        assert all(bool((x == y).all()) for x, y in zip(found, expected, strict=True))
    half = interpolate(one, two, 0.5)(s, a, KEY)
    np.testing.assert_allclose(half.observation, s + 0.15, rtol=1e-6)
    assert float(half.reward) == 1.5


KEY = jr.key(0)


def test_a_patch_gives_the_truth_to_the_targets():
    class Nowhere:
        def holds(self, states):
            return jnp.zeros(states.shape[:-1], bool)

    class Truth:
        def at(self, state):
            return jnp.array(-42.0)

    process = mbpo(pendulum_data(), OracleModel(Pendulum()), hidden=(8,), batch_size=8, rows=20)
    patched = patch_with_oracle(Truth(), Nowhere(), Pendulum().state_of)(process)
    batch = pendulum_data(8)

    @jax.jit
    def targets(key):
        state = process.init(key)
        return patched.next_value(state.agent, state.slow, batch, key)

    np.testing.assert_array_equal(targets(KEY), -42.0)


@pytest.fixture(scope="module")
def collected():
    """Five levels of a pendulum whose time runs out after seven steps."""
    sizes = {"steps": 24, "every": 8, "warmup": 8, "episodes": 2, "evaluations": 2}
    return collect(Short(), jr.key(0), hidden=(8,), batch_size=8, **sizes)


def test_collection_makes_five_levels(collected):
    assert tuple(collected.levels) == tuple(collected.logs) == LEVELS
    rows = {level: data.num_rows for level, data in collected.levels.items()}
    assert rows == {"random": 14, "medium": 14, "medium-replay": 16, "medium-expert": 14, "expert": 14}
    assert collected.steps.tolist() == [16, 24]
    assert collected.medium_step == 16
    assert not any(bool(data.terminal.any()) for data in collected.levels.values())
    assert collected.random_return == pytest.approx(collected.logs["random"].returns().mean())
    with pytest.raises(ValueError, match="two snapshots"):
        collect(Pendulum(), jr.key(0), steps=10, every=8, warmup=0, episodes=2)


def test_logs_of_all_levels_keep_the_ends_of_episodes(collected):
    starts = {level: log.starts.tolist() for level, log in collected.logs.items()}
    assert starts.pop("medium-replay") == [0, 7, 14]  # the third episode was under way
    assert all(found == [0, 7] for found in starts.values())
    for level, log in collected.logs.items():
        goes_on = ~log.timeout[:-1]
        np.testing.assert_allclose(log.next_observation[:-1][goes_on], log.observation[1:][goes_on], atol=1e-5)
        np.testing.assert_array_equal(log.reward, collected.levels[level].reward)
    halves = [collected.logs[level].observation[:7] for level in ("medium", "expert")]
    np.testing.assert_array_equal(collected.logs["medium-expert"].observation, np.concatenate(halves))


def test_all_levels_come_back_from_minari(collected, tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    names = to_minari(collected, "short-pendulum", action_range=([-2.0], [2.0]))
    assert names == [f"short-pendulum/{level}-v0" for level in LEVELS]
    for name, log in zip(names, collected.logs.values(), strict=True):
        found = read_log(name)
        for field in ("observation", "action", "reward", "next_observation", "terminal", "timeout"):
            np.testing.assert_allclose(getattr(found, field), getattr(log, field), atol=1e-5, err_msg=f"{name} {field}")
    returns = np.array([collected.random_return, collected.expert_return])
    np.testing.assert_allclose(minari.get_normalized_score(minari.load_dataset(names[0]), returns), [0, 1], atol=1e-6)


def test_parts_join_only_if_they_fit():
    data = pendulum_data()
    assert concatenated(data, data).num_rows == 100
    with pytest.raises(ValueError, match="same sizes"):
        concatenated(data, countdown_data())
    with pytest.raises(ValueError, match="at least one"):
        concatenated()
