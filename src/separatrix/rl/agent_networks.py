"""Factories of agents' networks: values that compare equal, so that equal learners compile once."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Key

from .actor_critic import Agent
from .draws import named_keys
from .networks import QEnsemble, StateValue

__all__ = ["MakeAgent"]


class MakeAgent(NamedTuple):
    """`key -> Agent`.

    Attributes:
        policy: `(key, observation_size, action_size, hidden) -> policy`.
        observation_size: length of an observation.
        action_size: length of an action.
        hidden: widths of the hidden layers of every network.
        members: of the critic; 0 for none.
        with_value: whether there is a state value.
        temperature: initial weight of the entropy; None for none.
    """

    policy: Any
    observation_size: int
    action_size: int
    hidden: tuple[int, ...]
    members: int = 2
    with_value: bool = False
    temperature: float | None = None

    def __call__(self, key: Key[Array, ""]) -> Agent:
        """Make the networks; each has a key of its own."""
        sizes = self.observation_size, self.action_size
        policy, critic, value = named_keys(key, "policy", "critic", "value")
        return Agent(
            policy=self.policy(policy, *sizes, self.hidden),
            critic=QEnsemble(critic, *sizes, self.hidden, self.members) if self.members else None,
            value=StateValue(value, sizes[0], self.hidden) if self.with_value else None,
            log_temperature=None if self.temperature is None else jnp.log(jnp.asarray(self.temperature)),
        )
