"""A plane in which every action moves by at most one: reach from a box of starts is known exactly."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .environment import AbstractEnv

__all__ = ["BoxWorld"]


class BoxWorld(AbstractEnv):
    """`s' = s + stride a` in the plane, starts uniform in `[-1, 1]^2`, reward `1 - |s'| / scale`.

    After `t` steps exactly the box of half-width `1 + t stride` can have been reached.

    Attributes:
        stride: length of an action of size 1.
        scale: distance from the origin at which the reward vanishes.

    References:
        Sims, Lu, Foerster, Teh (2024), The Edge-of-Reach Problem in Offline Model-Based Reinforcement Learning,
        NeurIPS.
    """

    observation_size: ClassVar[int] = 2
    action_size: ClassVar[int] = 2
    max_steps: ClassVar[int] = 50

    stride: float | Array = 1.0
    scale: float | Array = 10.0

    def reset(self, key):
        """Draw a point of the box of starts."""
        return jr.uniform(key, (2,), minval=-1.0)

    def step(self, state, action, key):
        """Move."""
        del key
        state = state + self.stride * jnp.clip(action, -1, 1)
        return state, 1 - jnp.linalg.norm(state) / self.scale, jnp.array(False)

    def observe(self, state):
        """Return the state."""
        return state

    def state_of(self, observation):
        """Return the observation."""
        return observation
