"""What a policy, or a state value, is improved for; each is `(agent, slow, batch, key) -> scalar`."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .actor_critic import Agent
from .bootstraps import Reduction, minimum
from .transitions import Transitions

__all__ = ["AdvantageWeighted", "BehaviourRegularised", "Expectile", "SoftActor", "likelihood", "squared_distance"]


class SoftActor(eqx.Module):
    """Temperature times log-density, minus the value of the sampled action.

    Attributes:
        reduce: over the critic's members; all of them by `minimum`, as in SAC-N.

    References:
        Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, arXiv 1812.05905.
    """

    reduce: Reduction = minimum

    def __call__(self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
        """Return the mean over the batch."""
        del slow
        action, log_prob = agent.policy.sample(batch.observation, key)
        return jnp.mean(agent.temperature * log_prob - self.reduce(agent.critic(batch.observation, action)))


class BehaviourRegularised(eqx.Module):
    """Value by the first critic, scaled by its own mean size, against the squared distance from the logged action.

    Attributes:
        alpha: weight of the value.

    References:
        Fujimoto, Gu (2021), A Minimalist Approach to Offline Reinforcement Learning, NeurIPS.
    """

    alpha: float | Float[Array, ""] = 2.5

    def __call__(self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
        """Return the mean over batch and action dimensions."""
        action = agent.policy.mode(batch.observation)
        value = agent.critic(batch.observation, action)[0]
        scale = self.alpha / jax.lax.stop_gradient(jnp.mean(jnp.abs(value)))
        return squared_distance(agent, slow, batch, key) - scale * jnp.mean(value)


class AdvantageWeighted(eqx.Module):
    """Likelihood of logged actions, weighted by the exponential of their advantage.

    Attributes:
        beta: inverse temperature.
        limit: largest weight.

    References:
        Kostrikov, Nair, Levine (2022), Offline Reinforcement Learning with Implicit Q-Learning, ICLR.
    """

    beta: float | Float[Array, ""] = 3.0
    limit: float | Float[Array, ""] = 100.0

    def __call__(self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
        """Return the mean over the batch."""
        del key
        value = jnp.min(slow.critic(batch.observation, batch.action), axis=0)
        weight = jnp.minimum(jnp.exp(self.beta * (value - agent.value(batch.observation))), self.limit)
        return -jnp.mean(jax.lax.stop_gradient(weight) * agent.policy.log_prob(batch.observation, batch.action))


class Expectile(eqx.Module):
    """Expectile regression of a state value on the least averaged critic at logged actions.

    Attributes:
        level: the expectile, in (0, 1); 0.5 is the mean, 1 would be the largest value.

    References:
        Kostrikov, Nair, Levine (2022), Offline Reinforcement Learning with Implicit Q-Learning, ICLR.
    """

    level: float | Float[Array, ""] = 0.7

    def __call__(self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
        """Return the mean over the batch."""
        del key
        target = jax.lax.stop_gradient(jnp.min(slow.critic(batch.observation, batch.action), axis=0))
        excess = target - agent.value(batch.observation)
        return jnp.mean(jnp.where(excess < 0, 1 - self.level, self.level) * excess**2)


def likelihood(agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
    """Behaviour cloning: minus the mean log-density of the logged actions.

    Args:
        agent: whose policy has a density.
        slow: not used.
        batch: of transitions.
        key: not used.

    Returns:
        Scalar in nats.
    """
    del slow, key
    return -jnp.mean(agent.policy.log_prob(batch.observation, batch.action))


def squared_distance(agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
    """Behaviour cloning: squared distance of the policy's mode from the logged action.

    Args:
        agent: with a policy.
        slow: not used.
        batch: of transitions.
        key: not used.

    Returns:
        Scalar, the mean over batch and action dimensions.
    """
    del slow, key
    return jnp.mean((agent.policy.mode(batch.observation) - batch.action) ** 2)
