"""Episodes: roll a policy out, and what it earns."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from .environment import AbstractEnv

__all__ = ["Episodes", "Policy", "evaluate", "roll_out"]

Policy = Callable[[Float[Array, " obs"], Key[Array, ""]], Float[Array, " act"]]


class Episodes(NamedTuple):
    """Transitions in the order of time; leading axes `(episodes, steps)` or `(steps,)`.

    Attributes:
        observation: before the action.
        action: in [-1, 1].
        reward: of the transition.
        next_observation: after it, in the same episode even where the next row starts another.
        terminal: whether no reward can follow.
        timeout: whether the time ran out, which is not terminal.
        valid: false after the end of an episode.
    """

    observation: Float[Array, "*batch obs"]
    action: Float[Array, "*batch act"]
    reward: Float[Array, "*batch"]
    next_observation: Float[Array, "*batch obs"]
    terminal: Bool[Array, "*batch"]
    timeout: Bool[Array, "*batch"]
    valid: Bool[Array, "*batch"]


def roll_out(env: AbstractEnv, policy: Policy, key: Key[Array, ""], episodes: int = 1) -> Episodes:
    """Roll a policy out from the environment's own starts until the time runs out.

    Args:
        env: the environment.
        policy: `(observation, key) -> action`, for one observation.
        key: random.
        episodes: their number; all run at once.

    Returns:
        Episodes of shape `(episodes, max_steps)`; rows after a terminal state are not `valid` and have reward 0.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import Pendulum
        >>> found = roll_out(Pendulum(), lambda observation, key: jnp.zeros(1), jr.key(0), 3)
        >>> found.observation.shape, bool(found.timeout[:, -1].all()), bool(found.terminal.any())
        ((3, 200, 3), True, False)
    """

    def one(key):
        start, rest = jr.split(key)

        def step(carry, index):
            state, alive = carry
            act, move = jr.split(jr.fold_in(rest, index))
            observation = env.observe(state)
            action = jnp.clip(policy(observation, act), -1, 1)
            after, reward, terminal = env.step(state, action, move)
            terminal = terminal & alive
            timeout = alive & ~terminal & (index == env.max_steps - 1)
            row = Episodes(
                observation, action, jnp.where(alive, reward, 0.0), env.observe(after), terminal, timeout, alive
            )
            kept = jax.tree.map(lambda new, old: jnp.where(alive, new, old), after, state)
            return (kept, alive & ~terminal), row

        return jax.lax.scan(step, (env.reset(start), jnp.array(True)), jnp.arange(env.max_steps))[1]

    return jax.vmap(one)(jr.split(key, episodes))


def evaluate(env: AbstractEnv, policy: Policy, key: Key[Array, ""], episodes: int = 10) -> Float[Array, " episodes"]:
    """Undiscounted returns of a policy from the environment's own starts.

    Args:
        env: the environment.
        policy: `(observation, key) -> action`.
        key: random.
        episodes: their number.

    Returns:
        Returns of shape `(episodes,)`.
    """
    return roll_out(env, policy, key, episodes).reward.sum(axis=1)
