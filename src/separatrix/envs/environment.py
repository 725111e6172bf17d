"""What an environment is, and what a model of it is.

An environment's parameters (gravity, mass, noise) are fields and traced leaves, so a grid over them is a vmap. Its
state can be set from an observation: the true dynamics can then stand wherever a learned model can.
"""

import abc
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import equinox as eqx
from jaxtyping import Array, Bool, Float, Key, PyTree

__all__ = ["AbstractEnv", "Dynamics", "Step", "true_dynamics"]


class Step(NamedTuple):
    """What one action brings about.

    Attributes:
        observation: of the next state, shape `(obs,)`.
        reward: scalar.
        terminal: whether no reward follows. The end of the time allowed is never terminal.
    """

    observation: Float[Array, " obs"]
    reward: Float[Array, ""]
    terminal: Bool[Array, ""]


Dynamics = Callable[[Float[Array, " obs"], Float[Array, " act"], Key[Array, ""]], Step]
"""`(observation, action, key) -> Step`, for one transition: the environment itself, or a model of it."""


class AbstractEnv(eqx.Module):
    """A Markov decision process. Actions lie in [-1, 1] in every environment.

    Attributes:
        observation_size: length of an observation.
        action_size: length of an action.
        max_steps: time allowed for an episode; running out of it is no terminal state.
    """

    observation_size: ClassVar[int]
    action_size: ClassVar[int]
    max_steps: ClassVar[int]

    @abc.abstractmethod
    def reset(self, key: Key[Array, ""]) -> PyTree:
        """Draw a state to start from."""

    @abc.abstractmethod
    def step(
        self, state: PyTree, action: Float[Array, " act"], key: Key[Array, ""]
    ) -> tuple[PyTree, Float[Array, ""], Bool[Array, ""]]:
        """Return the next state, the reward, and whether it is terminal."""

    @abc.abstractmethod
    def observe(self, state: PyTree) -> Float[Array, " obs"]:
        """Return what the agent sees of a state."""

    @abc.abstractmethod
    def state_of(self, observation: Float[Array, " obs"]) -> PyTree:
        """Return the state that an observation shows: the inverse of `observe`."""


def true_dynamics(env: AbstractEnv) -> Dynamics:
    """Make a model without error: the environment, put into the state that an observation shows.

    Args:
        env: the environment.

    Returns:
        A function that can stand wherever a learned model can.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import Pendulum
        >>> step = true_dynamics(Pendulum())(jnp.array([1.0, 0.0, 0.0]), jnp.zeros(1), jr.key(0))
        >>> step.observation.tolist(), float(step.reward)
        ([1.0, 0.0, 0.0], -0.0)
    """

    def step(observation, action, key):
        state, reward, terminal = env.step(env.state_of(observation), action, key)
        return Step(env.observe(state), reward, terminal)

    return step
