"""Terms that make a critic pessimistic where the data say nothing; each is `(agent, slow, batch, key) -> scalar`."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .actor_critic import Agent
from .transitions import Transitions

__all__ = ["Conservative", "Diversity", "diversity_loss"]


def diversity_loss(
    critic: Callable[[Array, Array], Float[Array, "members batch"]],
    observation: Float[Array, "batch obs"],
    action: Float[Array, "batch act"],
) -> Float[Array, ""]:
    """Alignment of the members' gradients with respect to the action.

    With unit gradients `g_i` it is the mean over the batch of `sum_(i != j) g_i . g_j / (N - 1)`, which equals
    `(|sum_i g_i|^2 - sum_i |g_i|^2) / (N - 1)`. One backward pass through the sum of all members gives every gradient,
    because each member has its own copy of the actions. With one action dimension unit gradients are plus or minus one
    and the term only sorts members by sign.

    Args:
        critic: `(observation, action) -> values`; accepts actions that differ by member, and has two members or more.
        observation: batch.
        action: batch.

    Returns:
        Scalar in [-N / (N - 1), N].

    References:
        An, Moon, Kim, Song (2021), Uncertainty-Based Offline Reinforcement Learning with Diversified Q-Ensemble,
        NeurIPS.

    Examples:
        Members with gradients (1, 0) and (0, 1) are as diverse as two can be without opposing each other:

        >>> import jax.numpy as jnp
        >>> slopes = jnp.eye(2)
        >>> critic = lambda observation, action: jnp.einsum("mba,ma->mb", jnp.broadcast_to(action, (2, 1, 2)), slopes)
        >>> float(diversity_loss(critic, jnp.zeros((1, 3)), jnp.zeros((1, 2))))
        0.0
    """
    members = jax.eval_shape(critic, observation, action).shape[0]
    copies = jnp.broadcast_to(action, (members, *action.shape))
    gradient = jax.grad(lambda a: jnp.sum(critic(observation, a)))(copies)
    length = jnp.sqrt(jnp.sum(gradient**2, axis=-1, keepdims=True) + 1e-30)  # a gradient of zero has a derivative too
    unit = gradient / (length + 1e-10)
    aligned = jnp.sum(jnp.sum(unit, axis=0) ** 2, axis=-1) - jnp.sum(unit**2, axis=(0, 2))
    return jnp.mean(aligned) / (members - 1)


class Diversity(eqx.Module):
    """`diversity_loss` at logged actions.

    Attributes:
        weight: eta.
    """

    weight: float | Float[Array, ""] = 1.0

    def __call__(self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
        """Return the weighted term."""
        del slow, key
        return self.weight * diversity_loss(agent.critic, batch.observation, batch.action)


class Conservative(eqx.Module):
    """Soft maximum of the values over actions, minus the values of logged actions.

    The soft maximum is the logarithm of a sum over actions drawn uniformly, from the policy at the state, and from the
    policy at the next state, each divided by the density it was drawn from. No gradient reaches the policy.

    Attributes:
        weight: of the term.
        temperature: of the soft maximum.
        samples: actions of each of the three kinds.

    References:
        Kumar, Zhou, Tucker, Levine (2020), Conservative Q-Learning for Offline Reinforcement Learning, NeurIPS.
    """

    weight: float | Float[Array, ""] = 5.0
    temperature: float | Float[Array, ""] = 1.0
    samples: int = eqx.field(static=True, default=10)

    def __call__(self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]) -> Float[Array, ""]:
        """Return the weighted term, summed over members."""
        del slow
        count, (rows, size) = self.samples, batch.action.shape
        uniform = jr.uniform(jr.fold_in(key, 0), (count * rows, size), batch.action.dtype, minval=-1.0)
        repeat = lambda a: jnp.tile(a, (count, 1))  # noqa: E731
        here, here_density = agent.policy.sample(repeat(batch.observation), jr.fold_in(key, 1))
        there, there_density = agent.policy.sample(repeat(batch.next_observation), jr.fold_in(key, 2))
        action = jax.lax.stop_gradient(jnp.concatenate([uniform, here, there]))
        flat = jnp.full(count * rows, -size * math.log(2.0), batch.action.dtype)
        density = jax.lax.stop_gradient(jnp.concatenate([flat, here_density, there_density]))
        values = agent.critic(jnp.tile(batch.observation, (3 * count, 1)), action)
        sampled = (values / self.temperature - density).reshape(values.shape[0], 3 * count, rows)
        soft = self.temperature * jax.nn.logsumexp(sampled, axis=1)
        gap = jnp.mean(soft - agent.critic(batch.observation, batch.action), axis=-1)
        return self.weight * jnp.sum(gap)
