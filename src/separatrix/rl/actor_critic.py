"""The one process behind every learner of this package: networks, losses and the source of transitions are its seams.

All losses, and the value of the next state, have one form: `(agent, slow, batch, key) -> array`, where `slow` holds the
exponential averages of the tracked networks. The process replaces the part of `agent` that a loss is for by the one
that it differentiates.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Key, PyTree

from separatrix._core.process import AbstractProcess

from .draws import named_keys
from .sources import Feed
from .transitions import Transitions

__all__ = ["ActorCritic", "ActorCriticState", "Agent", "Loss", "squared_error"]


class Agent(NamedTuple):
    """What is learnt; parts that a method has no use for are None.

    Attributes:
        policy: see `separatrix.rl.TanhGaussian`.
        critic: `(observation, action) -> values` of shape `(members, batch)`.
        value: `observation -> values` of shape `(batch,)`.
        log_temperature: logarithm of the weight of the entropy.
    """

    policy: Any = None
    critic: Any = None
    value: Any = None
    log_temperature: Any = None

    @property
    def temperature(self) -> Float[Array, ""]:
        """Weight of the entropy, held fixed where it is used; 0 for a method without one."""
        if self.log_temperature is None:
            return jnp.zeros(())
        return jnp.exp(jax.lax.stop_gradient(self.log_temperature))


Loss = Callable[[Agent, Agent, Transitions, Key[Array, ""]], Array]
"""`(agent, slow, batch, key) -> array`."""


class ActorCriticState(NamedTuple):
    """State of `ActorCritic`.

    Attributes:
        agent: what is learnt.
        slow: exponential averages of the tracked parts.
        moments: the optimiser's state of each part.
        memory: of the source of transitions.
    """

    agent: Agent
    slow: Agent
    moments: dict[str, PyTree]
    memory: PyTree


def squared_error(
    values: Float[Array, "members batch"], target: Float[Array, "*members batch"], batch: Transitions
) -> Float[Array, ""]:
    """Squared error of every member, mean over the batch, summed over members.

    Args:
        values: of the critic.
        target: shared by the members, or one for each.
        batch: not used; another error may weigh its rows.

    Returns:
        Scalar.
    """
    del batch
    return jnp.sum(jnp.mean((values - target) ** 2, axis=-1))


class ActorCritic(AbstractProcess):
    """Policy, critic and temperature, updated once a step on a batch from `stream`.

    The order within a step is: temperature, state value, policy, critic, averages; each part is updated with those
    before it already new, so the critic's target, `reward + discount (1 - terminal) next_value`, takes the next action
    from the policy that this step has improved. Rates and other numbers are traced, so a grid over them is one
    compiled population.

    Attributes:
        stream: where transitions come from; see `separatrix.rl.Logged`, `ModelBuffer` and `EnvBuffer`.
        networks: `key -> Agent`.
        actor_loss: of the policy.
        next_value: bootstrapped value, `(batch,)` or `(members, batch)`; None without a critic.
        critic_error: `(values, target, batch) -> scalar`.
        critic_term: added to the critic's loss, or None.
        value_loss: of the state value, or None.
        policy_rate: learning rate of the policy.
        critic_rate: of the critic.
        value_rate: of the state value.
        temperature_rate: of the logarithm of the temperature; 0 fixes it.
        target_entropy: that the temperature aims at, in nats.
        discount: of the next value.
        mixing: share of the new parameters that enters the averages at each step.
        tracked: names of the parts of the agent that are averaged.
        policy_delay: policy and averages change at each multiple of this many steps.
        optimiser: any optax transform that turns gradients into directions of descent of rate 1.
    """

    stream: Any
    networks: Callable[[Key[Array, ""]], Agent]
    actor_loss: Loss
    next_value: Loss | None = None
    critic_error: Callable[[Array, Array, Transitions], Float[Array, ""]] = squared_error
    critic_term: Loss | None = None
    value_loss: Loss | None = None
    policy_rate: float | Float[Array, ""] = 3e-4
    critic_rate: float | Float[Array, ""] = 3e-4
    value_rate: float | Float[Array, ""] = 3e-4
    temperature_rate: float | Float[Array, ""] = 3e-4
    target_entropy: float | Float[Array, ""] = -1.0
    discount: float | Float[Array, ""] = 0.99
    mixing: float | Float[Array, ""] = 5e-3
    tracked: tuple[str, ...] = eqx.field(static=True, default=("critic",))
    policy_delay: int = eqx.field(static=True, default=1)
    optimiser: optax.GradientTransformation = optax.scale_by_adam()

    def __check_init__(self):
        """Refuse a delay or a tracked part that does not exist."""
        if self.policy_delay < 1:
            raise ValueError(f"`policy_delay` must be at least 1; got {self.policy_delay}.")
        if set(self.tracked) - set(Agent._fields):
            raise ValueError(f"`tracked` may name {', '.join(Agent._fields)}; got {', '.join(self.tracked)}.")

    def init(self, key):
        """Make the networks, and fill the source's memory."""
        making, source = named_keys(key, "networks", "source")
        agent = self.networks(making)
        slow = Agent(**{name: getattr(agent, name) for name in self.tracked})
        moments = {n: self.optimiser.init(p) for n, p in agent._asdict().items() if p is not None}
        return ActorCriticState(agent, slow, moments, self.stream.start(agent.policy, source))

    def step(self, state, x: Feed, key):
        """Draw a batch and update every part once."""
        source, acting, valuing, targeting, criticising = named_keys(
            key, "source", "actor", "value", "target", "critic"
        )
        memory, batch = self.stream.advance(state.memory, state.agent.policy, x, source)
        agent, slow, moments = state.agent, state.slow, dict(state.moments)
        info = {}
        if agent.log_temperature is not None:  # the same actions as the policy's loss, which are computed once
            log_prob = agent.policy.sample(batch.observation, acting)[1]
            entropy = -jnp.mean(log_prob)
            excess = jax.lax.stop_gradient(entropy - self.target_entropy)
            pull = lambda a: a.log_temperature * excess  # noqa: E731
            agent, _ = self._descend("log_temperature", pull, agent, moments, self.temperature_rate)
            info |= {"entropy": entropy, "temperature": agent.temperature}
        value_loss = self.value_loss
        if value_loss is not None:
            loss = lambda a: value_loss(a, slow, batch, valuing)  # noqa: E731
            agent, info["value_loss"] = self._descend("value", loss, agent, moments, self.value_rate)
        due = None if self.policy_delay == 1 else x.step % self.policy_delay == 0
        agent, info["actor_loss"] = self._improve(agent, slow, batch, acting, moments, due)
        if self.next_value is not None:
            bootstrapped = self.next_value(agent, slow, batch, targeting)
            target = batch.reward + self.discount * jnp.where(batch.terminal, 0.0, bootstrapped)
            loss = self._critic_loss(slow, batch, jax.lax.stop_gradient(target), criticising)
            agent, found = self._descend("critic", loss, agent, moments, self.critic_rate, has_aux=True)
            info |= dict(zip(("critic_loss", "q"), found, strict=True))
        slow = self._average(slow, agent, due)
        return ActorCriticState(agent, slow, moments, memory), info

    def _critic_loss(self, slow, batch, target, key):
        def loss(agent):
            values = agent.critic(batch.observation, batch.action)
            total = self.critic_error(values, target, batch)
            if self.critic_term is not None:
                total = total + self.critic_term(agent, slow, batch, key)
            return total, jnp.mean(values)

        return loss

    def _improve(self, agent, slow, batch, key, moments, due):
        def improve(policy, moment):
            held = {"policy": moment}
            loss = lambda a: self.actor_loss(a, slow, batch, key)  # noqa: E731
            after, value = self._descend("policy", loss, agent._replace(policy=policy), held, self.policy_rate)
            return after.policy, held["policy"], value

        if due is None:
            policy, moments["policy"], value = improve(agent.policy, moments["policy"])
        else:
            keep = lambda policy, moment: (policy, moment, jnp.full((), jnp.nan))  # noqa: E731
            policy, moments["policy"], value = jax.lax.cond(due, improve, keep, agent.policy, moments["policy"])
        return agent._replace(policy=policy), value

    def _descend(self, name, loss, agent, moments, rate, has_aux=False):
        """Change one part of the agent, and its moments in place; return the agent and the loss, or loss and extra."""
        part = getattr(agent, name)
        value, gradient = jax.value_and_grad(lambda p: loss(agent._replace(**{name: p})), has_aux=has_aux)(part)
        updates, moments[name] = self.optimiser.update(gradient, moments[name], part)
        part = jax.tree.map(lambda p, u: p - rate * u, part, updates)
        return agent._replace(**{name: part}), value

    def _average(self, slow, agent, due):
        share = self.mixing if due is None else jnp.where(due, self.mixing, 0.0)
        mix = lambda old, new: old + share * (new - old)  # noqa: E731
        return Agent(**{n: jax.tree.map(mix, getattr(slow, n), getattr(agent, n)) for n in self.tracked})
