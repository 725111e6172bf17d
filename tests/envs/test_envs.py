"""Environments obey their equations, and the compiled and the host's drivers agree."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.envs import (
    AbstractEnv,
    BoxWorld,
    CartPoleSwingUp,
    HostEnv,
    Pendulum,
    Reacher,
    evaluate,
    evaluate_on_host,
    optimal_values,
    roll_out,
    true_dynamics,
)
from separatrix.envs.environment import Step

ENVS = {"pendulum": Pendulum(), "box": BoxWorld(), "cart-pole": CartPoleSwingUp(), "reacher": Reacher()}


class Line(AbstractEnv):
    """Ends with reward 5 where the state passes 2."""

    observation_size = 1
    action_size = 1
    max_steps = 10

    def reset(self, key):
        return jnp.zeros(1)

    def step(self, state, action, key):
        state = state + action
        return state, jnp.where(state[0] >= 2, 5.0, -1.0), state[0] >= 2

    def observe(self, state):
        return state

    def state_of(self, observation):
        return observation


@pytest.mark.parametrize("name", ENVS)
def test_state_of_inverts_observe(name):
    env = ENVS[name]
    state = env.reset(jr.key(1))
    again = env.state_of(env.observe(state))
    np.testing.assert_allclose(env.observe(again), env.observe(state), atol=1e-6)  # angles may differ by a turn
    turns = (again - state) / (2 * jnp.pi)
    np.testing.assert_allclose(turns, jnp.round(turns), atol=1e-6)
    assert env.observe(state).shape == (env.observation_size,)


@pytest.mark.parametrize("name", ENVS)
def test_true_dynamics_are_the_steps_of_an_episode(name):
    env = ENVS[name]
    policy = lambda observation, key: jr.uniform(key, (env.action_size,), minval=-1)  # noqa: E731
    rows = jax.jit(lambda key: roll_out(env, policy, key, 2))(jr.key(0))
    keys = jr.split(jr.key(5), rows.observation.shape[:2])
    step = jax.jit(jax.vmap(jax.vmap(true_dynamics(env))))(rows.observation, rows.action, keys)
    np.testing.assert_allclose(step.observation, rows.next_observation, atol=2e-4)
    np.testing.assert_allclose(step.reward, rows.reward, atol=2e-4)
    np.testing.assert_allclose(rows.next_observation[:, :-1], rows.observation[:, 1:], atol=1e-6)
    assert rows.timeout.sum() == 2
    assert rows.timeout[:, -1].all()
    assert not rows.terminal.any()


@pytest.mark.parametrize("name", ENVS)
def test_a_grid_over_parameters_is_a_vmap(name):
    env = ENVS[name]
    field = {"pendulum": "gravity", "box": "stride", "cart-pole": "gravity", "reacher": "mass"}[name]
    values = jnp.array([0.5, 2.0])
    state, action = env.reset(jr.key(0)), jnp.full(env.action_size, 0.3)
    change = lambda value: type(env)(**{field: value})  # noqa: E731
    together = jax.vmap(lambda value: change(value).step(state, action, jr.key(0))[0])(values)
    for value, found in zip(values, together, strict=True):
        np.testing.assert_allclose(found, change(value).step(state, action, jr.key(0))[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(together[0], together[1])


def test_pendulum_is_gymnasiums():
    pytest.importorskip("gymnasium")
    host, env = HostEnv("Pendulum-v1"), Pendulum()
    observation = host.reset(seed=0)
    state = env.state_of(jnp.asarray(observation))
    rng = np.random.default_rng(0)
    for _ in range(200):
        action = rng.uniform(-1, 1, 1).astype(np.float32)
        observation, reward, terminal, timeout = host.step(action)
        state, ours, _ = env.step(state, jnp.asarray(action), jr.key(0))
        np.testing.assert_allclose(env.observe(state), observation, atol=2e-3)
        assert abs(float(ours) - reward) < 2e-2
        # the two would drift apart by rounding in a chaotic swing, so each step starts from the same state
        state = env.state_of(jnp.asarray(observation))
    assert timeout
    assert not terminal


def test_host_state_can_be_set_and_is_then_the_true_dynamics():
    pytest.importorskip("gymnasium")
    host, step = HostEnv("Pendulum-v1"), true_dynamics(Pendulum())
    host.reset(seed=0)
    for key in jr.split(jr.key(0), 5):
        observation = Pendulum().observe(Pendulum().reset(key))
        host.set_state(np.asarray(observation))
        after, reward, _, _ = host.step(np.array([0.7]))
        expected = step(observation, jnp.array([0.7]), key)
        np.testing.assert_allclose(after, expected.observation, atol=1e-4)
        assert abs(reward - float(expected.reward)) < 1e-3


def test_scan_and_host_drivers_earn_the_same():
    pytest.importorskip("gymnasium")
    gain = np.array([[0.0, -2.0, -0.5]], np.float32)  # a weak controller, from rest near the top it holds
    host = evaluate_on_host(HostEnv("Pendulum-v1"), lambda o: gain @ o, 30)
    scan = evaluate(Pendulum(), lambda o, key: jnp.asarray(gain) @ o, jr.key(0), 300)
    spread = np.hypot(host.std() / 30**0.5, np.asarray(scan).std() / 300**0.5)
    assert abs(host.mean() - np.asarray(scan).mean()) < 4 * spread


def test_pendulum_swings_without_torque_as_a_rod_does():
    with jax.enable_x64():
        env = Pendulum(dt=1e-4, max_speed=100.0)
        start = jnp.array([jnp.pi - 0.1, 0.0])
        step = lambda state, _: (env.step(state, jnp.zeros(1), jr.key(0))[0], state[0])  # noqa: E731
        _, angles = jax.lax.scan(step, start, None, length=40_000)
        period = 2 * np.pi * np.sqrt(2 * 1.0 / (3 * 10.0)) * (1 + 0.1**2 / 16)
        crossings = np.flatnonzero(np.diff(np.sign(np.asarray(angles) - np.pi)))
        measured = 2 * np.mean(np.diff(crossings)) * 1e-4
    assert measured == pytest.approx(period, rel=1e-3)


def test_cart_pole_keeps_its_energy_without_force():
    with jax.enable_x64():
        env = CartPoleSwingUp(dt=1e-4, track=1e9)

        def energy(state):
            _, angle, speed, rotation = state
            m, total, half = env.pole_mass, env.cart_mass + env.pole_mass, env.half_length
            kinetic = (
                total * speed**2 / 2 + m * half * speed * rotation * jnp.cos(angle) + 2 / 3 * m * (half * rotation) ** 2
            )
            return kinetic + m * env.gravity * half * jnp.cos(angle)

        state = jnp.array([0.0, 1.0, 0.3, 0.0], jnp.float64)
        step = lambda state, _: (env.step(state, jnp.zeros(1), jr.key(0))[0], energy(state))  # noqa: E731
        _, energies = jax.lax.scan(step, state, None, length=20_000)
    assert np.ptp(energies) < 1e-3 * (1 + abs(float(energies[0])))


def test_reacher_keeps_its_kinetic_energy_without_friction_or_torque():
    with jax.enable_x64():
        env = Reacher(friction=0.0, dt=1e-4, max_speed=100.0)

        def energy(state):
            unit, cosine = env.mass * env.length**2, jnp.cos(state[1])
            one, two = state[2], state[3]
            inertia = unit * jnp.array([[5 / 3 + cosine, 1 / 3 + cosine / 2], [1 / 3 + cosine / 2, 1 / 3]])
            speed = jnp.array([one, two])
            return speed @ inertia @ speed / 2

        state = jnp.array([0.3, 1.0, 1.0, -2.0, 0.0, 0.0], jnp.float64)
        step = lambda state, _: (env.step(state, jnp.zeros(2), jr.key(0))[0], energy(state))  # noqa: E731
        _, energies = jax.lax.scan(step, state, None, length=20_000)
    assert np.ptp(energies) < 2e-3 * float(energies[0])


def test_box_world_reaches_exactly_its_box():
    env = BoxWorld(stride=0.5)
    rows = roll_out(env, lambda o, key: jr.uniform(key, (2,), minval=-1), jr.key(0), 100)
    largest = np.abs(rows.next_observation).max(axis=(0, 2))
    assert (largest <= 1 + 0.5 * np.arange(1, 51) + 1e-5).all()
    corner = roll_out(env, lambda o, key: jnp.ones(2), jr.key(0), 100)
    np.testing.assert_allclose(corner.next_observation.max(axis=(0, 2)), 1 + 0.5 * np.arange(1, 51), atol=0.1)


def test_nothing_is_earned_after_the_end():
    rows = roll_out(Line(), lambda o, key: jnp.ones(1), jr.key(0), 1)
    np.testing.assert_array_equal(rows.terminal[0], np.arange(10) == 1)
    np.testing.assert_array_equal(rows.valid[0], np.arange(10) < 2)
    assert float(rows.reward.sum()) == -1 + 5
    assert not rows.timeout.any()
    slow = roll_out(Line(), lambda o, key: 0.1 * jnp.ones(1), jr.key(0), 1)
    assert slow.timeout[0].tolist() == [False] * 9 + [True]


def test_actions_are_clipped_to_their_range():
    far = evaluate(BoxWorld(), lambda o, key: 100 * jnp.ones(2), jr.key(0), 2)
    one = evaluate(BoxWorld(), lambda o, key: jnp.ones(2), jr.key(0), 2)
    np.testing.assert_array_equal(far, one)


def test_value_grid_is_exact_where_the_answer_is_known():
    # in a box world with stride 1 the best plan walks straight to the origin and stays there: reward 1 for ever
    grid = optimal_values(
        BoxWorld(), jnp.array([-4.0, -4.0]), jnp.array([4.0, 4.0]), shape=(33, 33), actions=9, discount=0.9
    )
    assert float(grid.at(jnp.zeros(2))) == pytest.approx(10.0, rel=1e-3)
    # from (2, 0): rewards 1 - 1/10, then 1 for ever
    assert float(grid.at(jnp.array([2.0, 0.0]))) == pytest.approx(0.9 + 0.9 * 10.0, rel=1e-3)
    assert float(grid.at(jnp.array([9.0, 0.0]))) == float(grid.at(jnp.array([4.0, 0.0])))


def test_value_grid_interpolates_and_closes_on_itself():
    from separatrix.envs import ValueGrid

    values = jnp.arange(12.0).reshape(4, 3)
    grid = ValueGrid(values, jnp.array([0.0, 0.0]), jnp.array([4.0, 2.0]), (True, False))
    assert float(grid.at(jnp.array([1.0, 2.0]))) == 5.0
    assert float(grid.at(jnp.array([0.5, 0.5]))) == pytest.approx(np.mean([0, 1, 3, 4]))
    assert float(grid.at(jnp.array([3.5, 0.0]))) == pytest.approx((9 + 0) / 2)  # between the last row and the first
    for beyond, within in ((4.0, 0.0), (5.25, 1.25), (-0.5, 3.5)):
        assert float(grid.at(jnp.array([beyond, 1.0]))) == float(grid.at(jnp.array([within, 1.0])))


def test_bad_environments_are_refused():
    with pytest.raises(ValueError, match="an array of two numbers"):
        optimal_values(Reacher(), jnp.zeros(2), jnp.ones(2))
    pytest.importorskip("gymnasium")
    with pytest.raises(ValueError, match="boxes of one dimension"):
        HostEnv("CartPole-v1")  # its actions are discrete


def test_a_step_is_a_named_tuple():
    step = true_dynamics(BoxWorld())(jnp.zeros(2), jnp.ones(2), jr.key(0))
    assert isinstance(step, Step)
    assert step.observation.tolist() == [1.0, 1.0]
    assert not bool(step.terminal)
