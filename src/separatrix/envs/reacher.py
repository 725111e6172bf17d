"""A planar arm with two joints that reaches for a target: the smallest task here with a two-dimensional action."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .environment import AbstractEnv

__all__ = ["Reacher"]


class Reacher(AbstractEnv):
    """Two links in a horizontal plane, torques at both joints; reward `-|tip - target| - 0.1 |action|^2 / 2`.

    The state is `(two angles, two angular velocities, target)`; the observation has cosines and sines of the angles,
    the velocities, and the target. Equations of two uniform rods with joint friction, advanced by semi-implicit Euler.
    No state is terminal, and no reward is positive.

    Attributes:
        mass: of a link, in kg.
        length: of a link, in m.
        friction: of a joint, in N m s.
        max_torque: torque of the action 1, in N m.
        dt: time between actions, in s.
        max_speed: bound of the angular velocities, in rad/s.

    References:
        Spong, Hutchinson, Vidyasagar (2005), Robot Modeling and Control, section 7.4.
    """

    observation_size: ClassVar[int] = 8
    action_size: ClassVar[int] = 2
    max_steps: ClassVar[int] = 100
    substeps: ClassVar[int] = 2

    mass: float | Array = 1.0
    length: float | Array = 0.5
    friction: float | Array = 0.3
    max_torque: float | Array = 1.0
    dt: float | Array = 0.05
    max_speed: float | Array = 10.0

    def reset(self, key):
        """Draw an arm at rest and a target within reach."""
        angles, radius, direction = jnp.split(jr.uniform(key, (4,)), [2, 3])
        radius, direction = 2 * self.length * jnp.sqrt(radius), 2 * jnp.pi * direction
        target = jnp.concatenate([radius * jnp.cos(direction), radius * jnp.sin(direction)])
        return jnp.concatenate([(2 * angles - 1) * jnp.pi, jnp.zeros(2), target])

    def step(self, state, action, key):
        """Advance by `dt`."""
        del key
        action = jnp.clip(action, -1, 1)
        angles, velocities, target = state[:2], state[2:4], state[4:]
        for _ in range(self.substeps):
            velocities = velocities + self._acceleration(angles, velocities, action) * self.dt / self.substeps
            velocities = jnp.clip(velocities, -self.max_speed, self.max_speed)
            angles = angles + velocities * self.dt / self.substeps
        distance = jnp.linalg.norm(self.tip(angles) - target)
        reward = -distance - 0.05 * jnp.sum(action**2)
        return jnp.concatenate([angles, velocities, target]), reward, jnp.array(False)

    def _acceleration(self, angles, velocities, action):
        unit = self.mass * self.length**2
        cosine, sine = jnp.cos(angles[1]), jnp.sin(angles[1])
        first, mixed, second = unit * (5 / 3 + cosine), unit * (1 / 3 + cosine / 2), unit / 3
        coupling = unit * sine / 2
        one, two = velocities
        coriolis = jnp.stack([-coupling * (2 * one * two + two**2), coupling * one**2])
        force = self.max_torque * action - self.friction * velocities - coriolis
        determinant = first * second - mixed**2
        return jnp.stack([second * force[0] - mixed * force[1], first * force[1] - mixed * force[0]]) / determinant

    def tip(self, angles):
        """Return the position of the arm's tip, in m, shape `(2,)`."""
        one, both = angles[0], angles[0] + angles[1]
        return self.length * jnp.stack([jnp.cos(one) + jnp.cos(both), jnp.sin(one) + jnp.sin(both)])

    def observe(self, state):
        """Return cosines, sines, velocities and target."""
        return jnp.concatenate([jnp.cos(state[:2]), jnp.sin(state[:2]), state[2:]])

    def state_of(self, observation):
        """Return angles within plus or minus pi, velocities and target."""
        return jnp.concatenate([jnp.arctan2(observation[2:4], observation[:2]), observation[4:]])
