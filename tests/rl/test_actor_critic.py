"""The process: losses by hand, fixed points in closed form, and members of a population that are runs of their own."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import run
from separatrix.rl import (
    ActorCritic,
    AdvantageWeighted,
    Agent,
    BehaviourRegularised,
    Expectile,
    Feed,
    MeanMinusStd,
    PolicyValue,
    SmoothedValue,
    SoftActor,
    SoftValue,
    Transitions,
    behaviour_cloning,
    cql,
    each_member,
    iql,
    minimum,
    named_keys,
    sac_n,
    squared_error,
    td3_bc,
)

pytestmark = pytest.mark.slow

SMALL = {"hidden": (8,), "batch_size": 8}


def logged(rows=16, actions=2, key=0):
    """Random transitions."""
    k = [jr.fold_in(jr.key(key), i) for i in range(4)]
    s, after = jr.normal(k[0], (rows, 3)), jr.normal(k[1], (rows, 3))
    a = jr.uniform(k[2], (rows, actions), minval=-1.0)
    return Transitions(s, a, jr.normal(k[3], (rows,)), after, jnp.arange(rows) % 4 == 0)


class Fixed:
    """A policy of one action and a given log-density."""

    def __init__(self, action, density=0.0):
        self.action, self.density = jnp.asarray(action), density

    def sample(self, observation, key):
        return self.mode(observation), jnp.full(len(observation), self.density)

    def mode(self, observation):
        return jnp.broadcast_to(self.action, (len(observation), *self.action.shape))

    def log_prob(self, observation, action):
        return -jnp.sum((action - self.action) ** 2, axis=-1)


def two(observation, action):
    """Critics whose values are the action and three times it."""
    return jnp.stack([action[:, 0], 3 * action[:, 0]])


BATCH = Transitions(
    jnp.zeros((2, 1)), jnp.array([[0.5], [-0.5]]), jnp.array([1.0, 2.0]), jnp.ones((2, 1)), jnp.array([False, True])
)
KEY = jr.key(0)


def test_expectile_regression_by_hand():
    agent = Agent(value=lambda s: jnp.zeros(len(s)))
    # least values are 0.5 and -1.5: 0.7 * 0.25 and 0.3 * 2.25
    loss = Expectile(0.7)(agent, Agent(critic=two), BATCH, KEY)
    assert float(loss) == pytest.approx((0.7 * 0.25 + 0.3 * 2.25) / 2)


def test_advantage_weights_by_hand():
    agent = Agent(policy=Fixed([0.0]), value=lambda s: jnp.zeros(len(s)))
    loss = AdvantageWeighted(beta=2.0, limit=2.0)(agent, Agent(critic=two), BATCH, KEY)
    weights = [2.0, np.exp(-3.0)]  # exp(2 * 0.5) is cut at 2
    assert float(loss) == pytest.approx(sum(w * 0.25 for w in weights) / 2, rel=1e-6)


def test_behaviour_regularisation_by_hand():
    agent = Agent(policy=Fixed([0.25]), critic=two)
    loss = BehaviourRegularised(2.5)(agent, Agent(), BATCH, KEY)
    assert float(loss) == pytest.approx((0.25**2 + 0.75**2) / 2 - 2.5, rel=1e-6)  # the value over its own size is 1


def test_soft_losses_by_hand():
    agent = Agent(policy=Fixed([0.5], density=-1.0), critic=two, log_temperature=jnp.log(0.1))
    slow = Agent(critic=two)
    assert float(SoftActor()(agent, slow, BATCH, KEY)) == pytest.approx(-0.1 - 0.5)
    np.testing.assert_allclose(SoftValue()(agent, slow, BATCH, KEY), 0.6, rtol=1e-6)
    np.testing.assert_allclose(PolicyValue()(agent, slow, BATCH, KEY), 0.5, rtol=1e-6)


def test_smoothing_noise_is_clipped():
    slow = Agent(policy=Fixed([0.0]), critic=lambda s, a: a.T)
    batch = BATCH._replace(next_observation=jnp.ones((2_000, 1)))
    values = SmoothedValue(noise=10.0, clip=0.5)(Agent(), slow, batch, KEY)
    assert float(jnp.abs(values).max()) == pytest.approx(0.5)


def test_reductions():
    values = jnp.array([[0.0, 1.0], [2.0, 1.0]])
    assert minimum(values).tolist() == [0.0, 1.0]
    assert MeanMinusStd(0.5)(values).tolist() == [0.5, 1.0]
    assert each_member(values).shape == (2, 2)


def test_errors_are_summed_over_members():
    assert float(squared_error(jnp.array([[0.0, 1.0], [2.0, 3.0]]), jnp.array([0.0, 1.0]), BATCH)) == 4.0


def one_state(discount, **fields):
    data = Transitions(jnp.ones((4, 1)), jnp.zeros((4, 1)), jnp.ones(4), jnp.ones((4, 1)), jnp.zeros(4, bool))
    return iql(data, level=0.5, discount=discount, mixing=0.1, rate=0.01, **SMALL, **fields)


def test_a_state_that_returns_to_itself_is_worth_the_geometric_sum():
    state, _ = run(one_state(0.5), jr.key(0), 1_500)
    assert float(state.agent.value(jnp.ones((1, 1)))[0]) == pytest.approx(2.0, abs=0.02)  # 1 / (1 - 0.5)


def test_time_outs_are_bootstrapped_and_terminal_states_are_not():
    process = one_state(0.5)
    ended = process.stream.data._replace(terminal=jnp.ones(4, bool))
    process = dataclasses.replace(process, stream=dataclasses.replace(process.stream, data=ended))
    state, _ = run(process, jr.key(0), 1_500)
    value = state.agent.critic(jnp.ones((1, 1)), jnp.zeros((1, 1)))
    np.testing.assert_allclose(value, 1.0, atol=0.02)


def test_cloning_learns_the_logged_actions():
    data = logged(64)._replace(action=jnp.full((64, 2), 0.4))
    state, _ = run(behaviour_cloning(data, rate=0.01, **SMALL), jr.key(0), 300)
    np.testing.assert_allclose(state.agent.policy.mode(data.observation), 0.4, atol=0.05)


def test_the_temperature_falls_while_there_is_more_entropy_than_wanted():
    wanted = {"target_entropy": np.array([-50.0, 50.0])}
    state, _ = run(cql(logged(), samples=2, **SMALL), jr.key(0), 5, over=wanted)
    falling, rising = np.exp(state.agent.log_temperature)
    assert falling < 1 < rising


@pytest.mark.parametrize("make", [sac_n, td3_bc])
def test_members_of_a_vmapped_population_are_single_runs(make):
    process, keys = make(logged(), **SMALL), jr.split(jr.key(0), 2)
    together, _ = run(process, keys, 6, block=2)
    for member in range(2):
        alone, _ = run(process, keys[member], 6)
        for a, b in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(a[member], b, rtol=2e-4, atol=2e-5)


def test_a_grid_of_rates_is_one_population():
    process = sac_n(logged(), members=2, **SMALL)
    state, _ = run(process, jr.key(0), 4, over={"critic_rate": np.array([0.0, 0.01])})
    first = run(dataclasses.replace(process, critic_rate=0.0), jr.key(0), 4).state
    np.testing.assert_allclose(state.agent.critic.network.weights[0][0], first.agent.critic.network.weights[0])
    moved = state.agent.critic.network.weights[0]
    assert float(jnp.abs(moved[1] - moved[0]).max()) > 1e-3


def test_a_delayed_policy_stays_between_its_updates():
    process = td3_bc(logged(), **SMALL)
    states = [eqx.filter_jit(process.init)(jr.key(0))]
    step = jax.jit(lambda s, i: process.step(s, process.stream(i, jr.key(1)), jr.fold_in(jr.key(2), i))[0])
    for i in range(3):
        states.append(step(states[-1], jnp.int32(i)))

    def same(a, b, part):
        pairs = zip(jax.tree.leaves(part(a)), jax.tree.leaves(part(b)), strict=True)
        return all(bool((x == y).all()) for x, y in pairs)

    for part in (lambda s: s.agent.policy, lambda s: s.slow):
        assert [same(a, b, part) for a, b in itertools.pairwise(states)] == [False, True, False]
    assert not same(states[1], states[2], lambda s: s.agent.critic)


def test_averages_move_by_their_share():
    process = sac_n(logged(), members=2, mixing=0.25, **SMALL)
    before = eqx.filter_jit(process.init)(jr.key(0))
    after, _ = eqx.filter_jit(process.step)(before, Feed(jnp.int32(0), logged(8)), jr.key(1))
    old, new, slow = (x.critic.network.weights[0] for x in (before.slow, after.agent, after.slow))
    np.testing.assert_allclose(slow, 0.75 * old + 0.25 * new, atol=1e-7)


def test_a_step_of_gradient_descent_on_the_critic_is_the_gradient_of_its_loss():
    process = dataclasses.replace(
        iql(logged(), **SMALL), optimiser=optax.identity(), critic_rate=0.1, value_rate=0.0, policy_rate=0.0
    )
    before, batch = eqx.filter_jit(process.init)(jr.key(0)), logged(8, key=1)
    after, _ = eqx.filter_jit(process.step)(before, Feed(jnp.int32(0), batch), jr.key(1))
    target = batch.reward + 0.99 * jnp.where(batch.terminal, 0.0, before.agent.value(batch.next_observation))
    loss = lambda critic: squared_error(critic(batch.observation, batch.action), target, batch)  # noqa: E731
    slope = jax.grad(loss)(before.agent.critic)
    for old, new, g in zip(*map(jax.tree.leaves, (before.agent.critic, after.agent.critic, slope)), strict=True):
        np.testing.assert_allclose(new, old - 0.1 * g, atol=1e-6)


def test_temperature_policy_critic_and_averages_are_updated_in_this_order_each_seeing_what_is_new():
    process = dataclasses.replace(sac_n(logged(), members=2, rate=0.1, **SMALL), optimiser=optax.identity(), mixing=0.5)
    before, batch = eqx.filter_jit(process.init)(jr.key(0)), logged(8, key=1)
    after, _ = eqx.filter_jit(process.step)(before, Feed(jnp.int32(0), batch), jr.key(1))
    acting, targeting = named_keys(jr.key(1), "actor", "target")

    @jax.jit
    def by_hand(agent, slow):
        entropy = -agent.policy.sample(batch.observation, acting)[1].mean()
        agent = agent._replace(log_temperature=agent.log_temperature - 0.1 * (entropy - process.target_entropy))
        move = lambda part, slope: jax.tree.map(lambda p, g: p - 0.1 * g, part, slope)  # noqa: E731
        policy_loss = lambda policy: SoftActor()(agent._replace(policy=policy), slow, batch, acting)  # noqa: E731
        agent = agent._replace(policy=move(agent.policy, jax.grad(policy_loss)(agent.policy)))
        bootstrapped = SoftValue()(agent, slow, batch, targeting)  # of the new policy, at the new temperature
        target = batch.reward + 0.99 * jnp.where(batch.terminal, 0.0, bootstrapped)
        loss = lambda critic: squared_error(critic(batch.observation, batch.action), target, batch)  # noqa: E731
        agent = agent._replace(critic=move(agent.critic, jax.grad(loss)(agent.critic)))
        return agent, jax.tree.map(lambda old, new: (old + new) / 2, slow.critic, agent.critic)

    expected = by_hand(before.agent, before.slow)
    found = after.agent, after.slow.critic
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_malformed_data_are_refused_in_one_line():
    data = logged()
    with pytest.raises(ValueError, match="no transitions"):
        sac_n(jax.tree.map(lambda a: a[:0], data))
    with pytest.raises(ValueError, match=r"need shapes \(rows, obs\)"):
        iql(data._replace(reward=data.reward[:, None]))
    with pytest.raises(ValueError, match="need shapes"):
        iql(data._replace(terminal=data.terminal[:3]))
    with pytest.raises(ValueError, match="reward is not finite in 1 of 16 transitions, the first in row 4"):
        td3_bc(data._replace(reward=data.reward.at[4].set(jnp.nan)))
    with pytest.raises(ValueError, match=r"actions must lie in \[-1, 1\]; they reach 5"):
        cql(data._replace(action=data.action.at[0, 0].set(5.0)))
    with pytest.raises(ValueError, match="transitions need arrays of numbers; reward is list"):
        sac_n(data._replace(reward=[0.0] * 16))


def test_unknown_parts_and_delays_are_refused():
    with pytest.raises(ValueError, match="policy_delay"):
        td3_bc(logged(), policy_delay=0)
    with pytest.raises(ValueError, match="`tracked` may name"):
        ActorCritic(None, None, None, tracked=("actor",))
