"""Environments that cannot be compiled: gymnasium's, on the host, with the same conventions."""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["HostEnv", "evaluate_on_host"]


class HostEnv:
    """A gymnasium environment with actions in [-1, 1], whose state can be set where it has a MuJoCo state.

    Args:
        env: a gymnasium environment or its id; the extra `rl` is needed for an id.
        **options: passed to `gymnasium.make` with an id.

    Raises:
        ImportError: if gymnasium is missing.
        ValueError: if the spaces are not boxes of one dimension with finite actions.

    Attributes:
        env: the gymnasium environment.
        observation_size: length of an observation.
        action_size: length of an action.
        max_steps: time allowed, or None.
    """

    def __init__(self, env: Any, **options: Any):
        if isinstance(env, str):
            try:
                import gymnasium
            except ImportError:
                raise ImportError("gymnasium is missing; install the extra: pip install 'separatrix[rl]'") from None
            try:
                env = gymnasium.make(env, **options)
            except gymnasium.error.DependencyNotInstalled:
                raise ImportError(f"{env} needs MuJoCo; install the extra: pip install 'separatrix[rl]'") from None
        self.env = env
        low, high = (np.asarray(getattr(env.action_space, end, np.nan), float) for end in ("low", "high"))
        shape = env.observation_space.shape
        if low.ndim != 1 or shape is None or len(shape) != 1 or not np.isfinite(high - low).all():
            raise ValueError("the environment needs observations and finite actions that are boxes of one dimension.")
        self.middle, self.half = (high + low) / 2, (high - low) / 2
        self.observation_size, self.action_size = shape[0], len(low)
        self.max_steps = getattr(env.spec, "max_episode_steps", None)

    def reset(self, seed: int | None = None) -> Float[np.ndarray, " obs"]:
        """Start an episode and return its first observation."""
        return np.asarray(self.env.reset(seed=seed)[0], np.float32)

    def step(self, action: Float[np.ndarray, " act"]) -> tuple[Float[np.ndarray, " obs"], float, bool, bool]:
        """Return the next observation, the reward, whether it is terminal, and whether the time ran out."""
        scaled = self.middle + self.half * np.clip(np.asarray(action, float), -1, 1)
        observation, reward, terminal, timeout, _ = self.env.step(scaled.astype(self.env.action_space.dtype))
        return np.asarray(observation, np.float32), float(reward), bool(terminal), bool(timeout and not terminal)

    def set_state(self, observation: Float[np.ndarray, " obs"]) -> None:
        """Put the environment into the state that an observation shows: the true dynamics, one transition at a time.

        Raises:
            ValueError: if the state of this environment cannot be set from an observation.
        """
        self.set_physics(self.physics_of(observation))

    def physics_of(self, observation: Float[np.ndarray, " obs"]) -> Float[np.ndarray, " physics"]:
        """Return the simulator's state that an observation shows.

        Known for classic control with a `state` attribute equal to the observation or to the pendulum's, and for MuJoCo
        environments that leave out the first positions, which are then zero. Velocities that such an observation clips
        (Hopper's and Walker2d's, at 10) stay clipped.

        Raises:
            ValueError: if it cannot be known.
        """
        inner, observation = self.env.unwrapped, np.asarray(observation, float)
        if _is_mujoco(inner):
            missing = inner.model.nq + inner.model.nv - len(observation)
            if not 0 <= missing <= 2:
                raise ValueError(f"an observation of length {len(observation)} does not show the state of {self.env}.")
            return np.concatenate([np.zeros(missing), observation])
        if hasattr(inner, "max_torque") and len(observation) == 3:  # the pendulum
            return np.array([np.arctan2(observation[1], observation[0]), observation[2]])
        if np.shape(getattr(inner, "state", ())) == observation.shape:
            return observation
        raise ValueError(f"the state of {self.env} cannot be set from an observation.")

    def physics(self) -> Float[np.ndarray, " physics"]:
        """Return the simulator's state: positions and velocities, or the attribute `state` of classic control."""
        inner = self.env.unwrapped
        return np.concatenate([inner.data.qpos, inner.data.qvel]) if _is_mujoco(inner) else np.array(inner.state, float)

    def set_physics(self, physics: Float[np.ndarray, " physics"]) -> None:
        """Put the simulator into a state; what follows depends on it alone and not on what was simulated before."""
        inner, physics = self.env.unwrapped, np.array(physics, float)
        if _is_mujoco(inner):
            import mujoco

            # without it the solver would start from the accelerations of the last step
            mujoco.mj_resetData(inner.model, inner.data)  # pyright: ignore[reportAttributeAccessIssue]
            inner.set_state(physics[: inner.model.nq], physics[inner.model.nq :])
        else:
            inner.state = physics


def _is_mujoco(inner: Any) -> bool:
    return hasattr(inner, "set_state") and hasattr(inner, "model")


def evaluate_on_host(
    env: HostEnv, policy: Callable[[Float[np.ndarray, " obs"]], Float[np.ndarray, " act"]], episodes: int, seed: int = 0
) -> Float[np.ndarray, " episodes"]:
    """Undiscounted returns of a policy.

    Args:
        env: the environment.
        policy: `observation -> action`.
        episodes: their number.
        seed: of the first episode; each has the next.

    Returns:
        Returns of shape `(episodes,)`.
    """
    returns = np.zeros(episodes)
    for episode in range(episodes):
        observation, over = env.reset(seed + episode), False
        while not over:
            observation, reward, terminal, timeout = env.step(policy(observation))
            returns[episode] += reward
            over = terminal or timeout
    return returns
