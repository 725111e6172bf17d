"""The pendulum to be swung up, with gymnasium's equations."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from .environment import AbstractEnv

__all__ = ["Pendulum"]


class Pendulum(AbstractEnv):
    """A torque-limited pendulum; observation `(cos angle, sin angle, angular velocity)`, angle 0 upright.

    The state is `(angle, velocity)`. The reward is `-(angle^2 + 0.1 velocity^2 + 0.001 torque^2)`, the angle within
    plus or minus pi; it is never positive, so an estimate of a positive value is wrong. No state is terminal.

    Attributes:
        gravity: in m/s^2.
        mass: in kg.
        length: in m.
        dt: time step, in s.
        max_torque: torque of the action 1, in N m.
        max_speed: bound of the velocity, in rad/s.
        action_noise: standard deviation of the Gaussian added to the torque, in N m.

    References:
        gymnasium's Pendulum-v1.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> state, reward, terminal = Pendulum().step(jnp.array([jnp.pi, 0.0]), jnp.array([1.0]), jr.key(0))
        >>> round(float(reward), 4), round(float(state[1]), 4)
        (-9.8736, 0.3)
    """

    observation_size: ClassVar[int] = 3
    action_size: ClassVar[int] = 1
    max_steps: ClassVar[int] = 200

    gravity: float | Array = 10.0
    mass: float | Array = 1.0
    length: float | Array = 1.0
    dt: float | Array = 0.05
    max_torque: float | Array = 2.0
    max_speed: float | Array = 8.0
    action_noise: float | Array = 0.0

    def reset(self, key):
        """Draw the angle from [-pi, pi] and the velocity from [-1, 1]."""
        return jr.uniform(key, (2,), minval=-1.0) * jnp.array([jnp.pi, 1.0])

    def step(self, state, action, key):
        """Advance by `dt`: velocity first, then the angle with the new velocity."""
        angle, velocity = state
        torque = jnp.clip(action[0], -1, 1) * self.max_torque + self.action_noise * jr.normal(key, dtype=state.dtype)
        torque = jnp.clip(torque, -self.max_torque, self.max_torque)
        cost = wrapped(angle) ** 2 + 0.1 * velocity**2 + 0.001 * torque**2
        pull = 3 * self.gravity / (2 * self.length) * jnp.sin(angle)
        velocity = velocity + (pull + 3 / (self.mass * self.length**2) * torque) * self.dt
        velocity = jnp.clip(velocity, -self.max_speed, self.max_speed)
        return jnp.stack([angle + velocity * self.dt, velocity]), -cost, jnp.array(False)

    def observe(self, state):
        """Return cosine and sine of the angle, and the velocity."""
        return jnp.stack([jnp.cos(state[0]), jnp.sin(state[0]), state[1]])

    def state_of(self, observation):
        """Return angle, within plus or minus pi, and velocity; the bounds of the velocity hold."""
        velocity = jnp.clip(observation[2], -self.max_speed, self.max_speed)
        return jnp.stack([jnp.arctan2(observation[1], observation[0]), velocity])


def wrapped(angle: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return the same angle within [-pi, pi)."""
    return (angle + jnp.pi) % (2 * jnp.pi) - jnp.pi
