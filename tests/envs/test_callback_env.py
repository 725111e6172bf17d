"""A simulator on the host behaves as the compiled environment, whatever the batch, and as a pure function."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run
from separatrix.envs import CallbackEnv, HostEnv, Pendulum, callback_env, evaluate, evaluate_on_host, roll_out
from separatrix.rl import (
    OracleModel,
    TanhGaussian,
    Transitions,
    greedy,
    hopper_terminal,
    mbpo,
    rollout,
    walker2d_terminal,
)

gymnasium = pytest.importorskip("gymnasium")


@pytest.fixture(scope="module")
def host():
    return CallbackEnv("Pendulum-v1")


@eqx.filter_jit
def rolled(env, policy, starts, horizon, key):
    return rollout(OracleModel(env), policy, starts, horizon, key).transitions


def starts(count):
    return jax.vmap(lambda key: Pendulum().observe(Pendulum().reset(key)))(jr.split(jr.key(3), count))


def test_rollouts_on_the_host_are_those_of_the_compiled_pendulum(host):
    policy = TanhGaussian(jr.key(0), 3, 1, (8,))
    theirs, ours = (rolled(env, policy, starts(51), 4, jr.key(1)) for env in (host, Pendulum()))
    for name in Transitions._fields:
        np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), atol=2e-5, err_msg=name)


def test_rows_do_not_depend_on_the_batch_they_are_in(host, monkeypatch):
    s, a = starts(7), jr.uniform(jr.key(0), (7, 1), minval=-1.0)
    step = lambda s, a: OracleModel(host)(s, a, jr.key(0)).observation  # noqa: E731
    together = jax.jit(jax.vmap(step))(s, a)
    pairs = jax.jit(jax.vmap(jax.vmap(step)))(s[:6].reshape(2, 3, 3), a[:6].reshape(2, 3, 1))
    monkeypatch.setattr(callback_env, "BYTES_PER_CALL", 40)  # three rows in a call
    pieces = jax.jit(lambda s, a: jax.vmap(step)(s, a))(s, a)
    alone = jnp.stack([jax.jit(step)(*row) for row in zip(s, a, strict=True)])
    for other in (pieces, alone):
        np.testing.assert_array_equal(together, other)
    np.testing.assert_array_equal(together[:6], pairs.reshape(6, 3))


def test_an_episode_starts_by_its_key(host):
    first, again, other = (host.reset(jr.key(seed)).observation for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_compiled_and_host_loops_earn_the_same(host):
    gain = np.array([[0.0, -2.0, -0.5]], np.float32)
    loop = evaluate_on_host(HostEnv("Pendulum-v1"), lambda o: gain @ o, 30)
    compiled = np.asarray(jax.jit(lambda key: evaluate(host, lambda o, key: jnp.asarray(gain) @ o, key, 30))(jr.key(0)))
    assert abs(loop.mean() - compiled.mean()) < 4 * np.hypot(loop.std(), compiled.std()) / 30**0.5


@pytest.mark.slow
def test_a_learner_goes_on_where_it_stopped_to_the_bit(host):
    s, a = starts(20), jr.uniform(jr.key(1), (20, 1), minval=-1.0)
    after = jax.jit(jax.vmap(OracleModel(host), (0, 0, None)))(s, a, jr.key(0))
    data = Transitions(s, a, after.reward, after.observation, after.terminal)
    process = mbpo(data, OracleModel(host), hidden=(8,), batch_size=8, rows=20, every=3, horizon=2)
    whole = run(process, jr.key(0), 7).state
    half = run(process, jr.key(0), 4).state
    rest = run(process, jr.key(0), 3, state=half, start=4).state
    for one, two in zip(jax.tree.leaves(whole), jax.tree.leaves(rest), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_is_missing_is_named(monkeypatch):
    def missing(env, **options):
        raise gymnasium.error.DependencyNotInstalled("no mujoco")

    monkeypatch.setattr(gymnasium, "make", missing)
    with pytest.raises(ImportError, match=r"Hopper-v5 needs MuJoCo; install the extra: pip install 'separatrix\[rl\]'"):
        CallbackEnv("Hopper-v5")


def test_a_state_that_cannot_be_set_is_refused():
    with pytest.raises(ValueError, match="cannot be set"):
        HostEnv("MountainCarContinuous-v0").physics_of(np.zeros(5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "rule"), [("Hopper-v5", hopper_terminal), ("Walker2d-v5", walker2d_terminal), ("HalfCheetah-v5", None)]
)
def test_mujoco_goes_on_from_any_state_that_is_set(name, rule, tmp_path, monkeypatch):
    pytest.importorskip("mujoco")
    monkeypatch.chdir(tmp_path)  # MuJoCo writes a log there
    env = CallbackEnv(name)
    policy = TanhGaussian(jr.key(0), env.observation_size, env.action_size, (8,))
    rows = jax.jit(lambda key: roll_out(env, greedy(policy), key, 2))(jr.key(0))
    kept = (
        np.asarray(rows.valid) & (np.abs(rows.next_observation).max(-1) < 10) & (np.abs(rows.observation).max(-1) < 10)
    )
    step = jax.jit(jax.vmap(OracleModel(env), (0, 0, None)))
    s, a = (x[kept][:50] for x in (np.asarray(rows.observation), np.asarray(rows.action)))
    found, again = step(s, a, jr.key(0)), step(s[::-1], a[::-1], jr.key(0))
    np.testing.assert_allclose(found.observation, np.asarray(rows.next_observation)[kept][:50], atol=1e-2)
    np.testing.assert_allclose(found.reward, np.asarray(rows.reward)[kept][:50], atol=1e-2)
    np.testing.assert_array_equal(found.observation, again.observation[::-1])  # whatever was simulated before
    if rule is not None:
        ends = jax.vmap(rule)(s, a, found.observation)
        np.testing.assert_array_equal(found.terminal, ends)
        assert rows.terminal.any()
