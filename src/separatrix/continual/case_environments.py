"""Two small environments on the host, in gymnasium's terms: a pole to balance, and a bandit whose arms drift."""

from typing import Any

import numpy as np

__all__ = ["CartPole", "DriftingBandit"]


class CartPole:
    """A pole on a cart, pushed left or right; a reward of 1 for each step that it stays up.

    State `(position, velocity, angle, angular velocity)`; the equations of Barto, Sutton and Anderson with explicit
    Euler steps of 20 ms. Terminal beyond 2.4 m or 12 degrees, truncated after `limit` steps. It takes the steps of
    gymnasium's CartPole-v1, whose `length` is half of the pole's; it is written out here because the variants are other
    gravities and lengths, which `gymnasium.make` does not set, and because the case studies need no extra.

    Args:
        gravity: m/s^2.
        length: of the pole, m; its centre of mass is half way.
        limit: most steps of an episode.

    References:
        Barto, Sutton, Anderson (1983), IEEE Trans. Syst. Man Cybern. 13(5), 834-846.
    """

    def __init__(self, gravity: float = 9.8, length: float = 1.0, limit: int = 200):
        self.gravity, self.length, self.limit = gravity, length, limit

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode near rest."""
        self.state = np.random.default_rng(seed).uniform(-0.05, 0.05, 4)
        self.steps = 0
        return self.state.copy(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Push with 10 N to the left (0) or to the right (1)."""
        cart, pole, half = 1.0, 0.1, self.length / 2
        _, speed, angle, turning = self.state
        force = 10.0 if action else -10.0
        sin, cos = np.sin(angle), np.cos(angle)
        pushed = (force + pole * half * turning**2 * sin) / (cart + pole)
        spin = (self.gravity * sin - cos * pushed) / (half * (4 / 3 - pole * cos**2 / (cart + pole)))
        thrust = pushed - pole * half * spin * cos / (cart + pole)
        self.state = self.state + 0.02 * np.array([speed, thrust, turning, spin])
        self.steps += 1
        fallen = bool(abs(self.state[0]) > 2.4 or abs(self.state[2]) > np.deg2rad(12))
        return self.state.copy(), 1.0, fallen, self.steps >= self.limit, {}


class DriftingBandit:
    """A contextual bandit: an episode of `rounds` contexts, linear rewards whose weights drift between variants.

    Args:
        angle: by how much the arms' weights are turned, in degrees.
        rounds: contexts of an episode.
        arms: number of arms.
        noise: standard deviation of the reward.
    """

    def __init__(self, angle: float = 0.0, rounds: int = 20, arms: int = 3, noise: float = 0.1):
        turned = np.deg2rad(angle) + 2 * np.pi * np.arange(arms) / arms
        self.weights, self.rounds, self.noise = np.stack([np.cos(turned), np.sin(turned)]), rounds, noise

    def _context(self) -> np.ndarray:
        direction = self.rng.uniform(0, 2 * np.pi)
        return np.array([np.cos(direction), np.sin(direction)])

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode."""
        self.rng, self.left = np.random.default_rng(seed), self.rounds
        self.context = self._context()
        return self.context, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Pull an arm; the reward is the mean over rounds when summed over an episode."""
        reward = self.context @ self.weights[:, action] + self.noise * self.rng.normal()
        self.left -= 1
        self.context = self._context()
        return self.context, float(reward) / self.rounds, self.left == 0, False, {}
