"""A pole on a cart that begins hanging down: swing it up and balance it, with smooth bounded rewards."""

from typing import ClassVar

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from .environment import AbstractEnv
from .pendulum import wrapped

__all__ = ["CartPoleSwingUp"]


class CartPoleSwingUp(AbstractEnv):
    """Cart and pole; observation `(position, cos angle, sin angle, speed, angular velocity)`, angle 0 upright.

    The state is `(position, angle, speed, angular velocity)`, advanced by semi-implicit Euler in `substeps` parts. The
    reward is the product of four terms in [0, 1]: upright, near the middle, little force, slow rotation. No state is
    terminal; the track ends in walls that stop the cart.

    Attributes:
        gravity: in m/s^2.
        cart_mass: in kg.
        pole_mass: in kg.
        half_length: from the joint to the pole's centre of mass, in m.
        max_force: force of the action 1, in N.
        dt: time between actions, in s.
        track: half the length of the track, in m.

    References:
        Barto, Sutton, Anderson (1983) for the equations; Tassa et al. (2018), DeepMind Control Suite, for the task and
        the form of the reward.
    """

    observation_size: ClassVar[int] = 5
    action_size: ClassVar[int] = 1
    max_steps: ClassVar[int] = 500
    substeps: ClassVar[int] = 2

    gravity: float | Array = 9.81
    cart_mass: float | Array = 1.0
    pole_mass: float | Array = 0.1
    half_length: float | Array = 0.5
    max_force: float | Array = 10.0
    dt: float | Array = 0.02
    track: float | Array = 1.8

    def reset(self, key):
        """Draw a state near the cart at rest in the middle with its pole hanging."""
        return jnp.array([0.0, jnp.pi, 0.0, 0.0]) + 0.01 * jr.normal(key, (4,))

    def step(self, state, action, key):
        """Advance by `dt`."""
        del key
        force = jnp.clip(action[0], -1, 1) * self.max_force
        for _ in range(self.substeps):
            state = self._advance(state, force, self.dt / self.substeps)
        return state, self._reward(state, action[0]), jnp.array(False)

    def _advance(self, state, force, dt):
        position, angle, speed, rotation = state
        total, moment = self.cart_mass + self.pole_mass, self.pole_mass * self.half_length
        push = (force + moment * rotation**2 * jnp.sin(angle)) / total
        inertia = self.half_length * (4 / 3 - self.pole_mass * jnp.cos(angle) ** 2 / total)
        turning = (self.gravity * jnp.sin(angle) - jnp.cos(angle) * push) / inertia
        acceleration = push - moment * turning * jnp.cos(angle) / total
        speed, rotation = speed + acceleration * dt, rotation + turning * dt
        position = position + speed * dt
        at_wall = jnp.abs(position) > self.track
        position = jnp.clip(position, -self.track, self.track)
        return jnp.stack([position, angle + rotation * dt, jnp.where(at_wall, 0.0, speed), rotation])

    def _reward(self, state, action):
        position, angle, _, rotation = state
        upright = (1 + jnp.cos(angle)) / 2
        middle = (1 + _bump(position, 2.0)) / 2
        effort = (4 + jnp.maximum(1 - action**2, 0.0)) / 5
        calm = (1 + _bump(rotation, 5.0)) / 2
        return upright * middle * effort * calm

    def observe(self, state):
        """Return position, cosine and sine of the angle, and both velocities."""
        position, angle, speed, rotation = state
        return jnp.stack([position, jnp.cos(angle), jnp.sin(angle), speed, rotation])

    def state_of(self, observation):
        """Return the state, the angle within plus or minus pi."""
        position, cosine, sine, speed, rotation = observation
        return jnp.stack([position, wrapped(jnp.arctan2(sine, cosine)), speed, rotation])


def _bump(value, margin):
    """Return 1 at zero and 0.1 at the margin."""
    return jnp.exp(-jnp.log(10.0) * (value / margin) ** 2)
