"""Put the true value in the place of the bootstrapped one where the data do not reach."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from separatrix.envs.value_grid import ValueGrid

from .actor_critic import ActorCritic, Agent, Loss
from .transitions import Transitions

__all__ = ["PatchedValue", "patch_with_oracle", "patched_target"]


class PatchedValue(eqx.Module):
    """Another bootstrapped value, replaced by the truth at states that the data do not reach.

    Attributes:
        next_value: what is patched.
        values: true values over the plane of states.
        reached: `states -> booleans`, such as `Coverage.holds`; a module with its arrays.
        state_of: `observation -> state`, such as `Pendulum().state_of`.
    """

    next_value: Loss
    values: ValueGrid
    reached: Any
    state_of: Callable[[Float[Array, " obs"]], Float[Array, "2"]]

    def __call__(
        self, agent: Agent, slow: Agent, batch: Transitions, key: Key[Array, ""]
    ) -> Float[Array, "*members batch"]:
        """Return the values of the next states."""
        bootstrapped = self.next_value(agent, slow, batch, key)
        states = jax.vmap(self.state_of)(batch.next_observation)
        return patched_target(bootstrapped, jax.vmap(self.values.at)(states), ~self.reached.holds(states))


def patched_target(
    bootstrapped: Float[Array, "*members batch"], truth: Float[Array, " batch"], edge: Bool[Array, " batch"]
) -> Float[Array, "*members batch"]:
    """Return the bootstrapped values with the true ones in their place at the edge.

    Args:
        bootstrapped: next values, shared by the members or one for each.
        truth: true next values.
        edge: where to use them.

    Returns:
        Next values.
    """
    return jnp.where(edge, truth, bootstrapped)


def patch_with_oracle(
    values: ValueGrid, reached: Any, state_of: Callable[[Float[Array, " obs"]], Float[Array, "2"]]
) -> Callable[[ActorCritic], ActorCritic]:
    """Patch a learner's targets with true values where the data do not reach: an intervention.

    Args:
        values: true values, as by `separatrix.envs.optimal_values`.
        reached: a module with `holds(states)`, such as `Coverage`.
        state_of: `observation -> state`; a bound method of the environment.

    Returns:
        A function from an `ActorCritic` to the patched one; it raises ValueError if that has no critic.
    """

    def apply(process: ActorCritic) -> ActorCritic:
        if process.next_value is None:
            raise ValueError("there is no critic, so there are no targets to patch.")
        patched = PatchedValue(process.next_value, values, reached, state_of)
        return eqx.tree_at(lambda p: p.next_value, process, patched)

    return apply
