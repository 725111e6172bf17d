"""What a critic is taught to expect after the next state, and how an ensemble of opinions becomes one.

Bootstrapped values have the form of every seam of `ActorCritic`: `(agent, slow, batch, key) -> values`.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .actor_critic import Agent
from .transitions import Transitions

__all__ = [
    "MeanMinusStd",
    "PolicyValue",
    "Reduction",
    "SmoothedValue",
    "SoftValue",
    "each_member",
    "minimum",
    "state_value",
]

Reduction = Callable[[Float[Array, "members batch"]], Float[Array, "*members batch"]]


def minimum(values: Float[Array, "members batch"]) -> Float[Array, " batch"]:
    """Return the least value over members: pessimism that grows with their number and their disagreement.

    Its gradient goes to the first of the least members. That of `jnp.min` compares values for equality and divides by
    the number of equal ones, which is none where a compiler computes them twice and rounds differently: 0 / 0.
    """
    least = jnp.arange(len(values))[:, None] == jnp.argmin(values, axis=0)
    return jnp.sum(jnp.where(least, values, 0.0), axis=0)


def each_member(values: Float[Array, "members batch"]) -> Float[Array, "members batch"]:
    """Return the values as they are: every member learns from its own average alone."""
    return values


class MeanMinusStd(eqx.Module):
    """Mean over members minus a multiple of their standard deviation.

    Attributes:
        weight: of the standard deviation.

    Examples:
        >>> import jax.numpy as jnp
        >>> MeanMinusStd(2.0)(jnp.array([[0.0], [2.0]])).tolist()
        [-1.0]
    """

    weight: float | Float[Array, ""] = 1.0

    def __call__(self, values: Float[Array, "members batch"]) -> Float[Array, " batch"]:
        """Reduce."""
        return jnp.mean(values, axis=0) - self.weight * jnp.std(values, axis=0)


class SoftValue(eqx.Module):
    """Value of the policy's action by the averaged critics, plus the entropy that the temperature pays for.

    Attributes:
        reduce: over members.
    """

    reduce: Reduction = minimum

    def __call__(
        self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]
    ) -> Float[Array, "*members batch"]:
        """Return the values of the next states."""
        action, log_prob = agent.policy.sample(batch.next_observation, key)
        return self.reduce(slow.critic(batch.next_observation, action)) - agent.temperature * log_prob


class PolicyValue(eqx.Module):
    """Value of the policy's action by the averaged critics, without entropy.

    Attributes:
        reduce: over members.
    """

    reduce: Reduction = minimum

    def __call__(
        self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]
    ) -> Float[Array, "*members batch"]:
        """Return the values of the next states."""
        action, _ = agent.policy.sample(batch.next_observation, key)
        return self.reduce(slow.critic(batch.next_observation, action))


class SmoothedValue(eqx.Module):
    """Value of the averaged policy's action with clipped noise, by the averaged critics.

    Attributes:
        noise: standard deviation of the noise.
        clip: its bound.
        reduce: over members.

    References:
        Fujimoto, van Hoof, Meger (2018), Addressing Function Approximation Error in Actor-Critic Methods, ICML.
    """

    noise: float | Float[Array, ""] = 0.2
    clip: float | Float[Array, ""] = 0.5
    reduce: Reduction = minimum

    def __call__(
        self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]
    ) -> Float[Array, "*members batch"]:
        """Return the values of the next states."""
        del agent
        action = slow.policy.mode(batch.next_observation)
        noise = jnp.clip(self.noise * jr.normal(key, action.shape, action.dtype), -self.clip, self.clip)
        return self.reduce(slow.critic(batch.next_observation, jnp.clip(action + noise, -1, 1)))


def state_value(agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, " batch"]:
    """Return the learned values of the next states, which need no action.

    Args:
        agent: with a state value.
        slow: not used.
        batch: of transitions.
        key: not used.

    Returns:
        Values.
    """
    del slow, key
    return agent.value(batch.next_observation)
