"""Agents of a curriculum with linear models: an actor-critic, and one for contextual bandits."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from separatrix.continual.curriculum import Step

__all__ = ["LinearActorCritic", "LinearBanditAgent"]


class LinearActorCritic:
    """Actor and critic on fixed random features, learning after each episode from its returns.

    Args:
        rng: drives features and actions.
        dim: of the observation.
        actions: their number.
        scale: of each entry of an observation.
        features: number of random features; 0 takes the observation itself and a constant.
        actor_rate: learning rate of the policy.
        critic_rate: learning rate of the value.
        discount: of rewards.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        dim: int = 4,
        actions: int = 2,
        *,
        scale: Sequence[float] = (2.4, 3.0, 0.2, 3.0),
        features: int = 0,
        actor_rate: float = 0.1,
        critic_rate: float = 0.1,
        discount: float = 0.98,
    ):
        self.rng, self.scale, self.discount = rng, np.asarray(scale), discount
        self.actor_rate, self.critic_rate = actor_rate, critic_rate
        self.mixing = rng.normal(size=(dim, features)) if features else None
        size = features if features else dim + 1
        self.policy, self.value = np.zeros((size, actions)), np.zeros(size)
        self.learning = True
        self.episodes: dict[int, list[Step]] = {}

    def block_start(self, is_learning_allowed: bool) -> None:
        """Note whether this block is for learning; forget unfinished episodes."""
        self.learning = is_learning_allowed
        self.episodes = {}

    def block_end(self, is_learning_allowed: bool) -> None:
        """Do nothing."""

    def task_start(self, label: str) -> None:
        """Do nothing: the agent is not told the task."""

    def task_end(self, label: str) -> None:
        """Do nothing."""

    def task_variant_start(self, label: str, variant: str) -> None:
        """Do nothing."""

    def task_variant_end(self, label: str, variant: str) -> None:
        """Forget unfinished episodes."""
        self.episodes = {}

    def _features(self, observation: np.ndarray) -> np.ndarray:
        x = observation / self.scale
        return np.append(x, 1.0) if self.mixing is None else np.tanh(x @ self.mixing)

    def _probabilities(self, x: np.ndarray) -> np.ndarray:
        logits = x @ self.policy
        weights = np.exp(logits - logits.max())
        return weights / weights.sum()

    def choose_actions(self, observations: Sequence[Any]) -> list[int | None]:
        """Draw while learning, take the most probable action while evaluated."""
        actions: list[int | None] = []
        for observation in observations:
            if observation is None:
                actions.append(None)
                continue
            p = self._probabilities(self._features(observation))
            actions.append(int(self.rng.random() > p[0]) if self.learning and len(p) == 2 else int(p.argmax()))
        return actions

    def receive_transitions(self, transitions: Sequence[Step | None]) -> None:
        """Collect an episode and learn when it ends."""
        if not self.learning:
            return
        for i, step in enumerate(transitions):
            if step is None:
                continue
            self.episodes.setdefault(i, []).append(step)
            if step.done:
                self._learn(self.episodes.pop(i))

    def _learn(self, episode: list[Step]) -> None:
        x = np.stack([self._features(s.observation) for s in episode])
        follow = 0.0 if episode[-1].terminated else float(self._features(episode[-1].next_observation) @ self.value)
        returns = np.zeros(len(episode))
        for i in range(len(episode) - 1, -1, -1):
            follow = float(episode[i].reward or 0.0) + self.discount * follow
            returns[i] = follow
        advantage = returns - x @ self.value
        self.value += self.critic_rate * (advantage @ x) / len(episode)
        size = np.abs(advantage).max() + 1e-8
        actions = np.array([s.action for s in episode])
        slope = -np.stack([self._probabilities(row) for row in x])
        slope[np.arange(len(actions)), actions] += 1.0
        self.policy += self.actor_rate * x.T @ (slope * (advantage / size)[:, None])


class LinearBanditAgent(LinearActorCritic):
    """Epsilon-greedy on one linear model for each arm, learning by stochastic gradient.

    Args:
        rng: drives exploration.
        arms: their number.
        rate: learning rate.
        epsilon: share of random pulls while learning.
    """

    def __init__(self, rng: np.random.Generator, arms: int = 3, *, rate: float = 0.02, epsilon: float = 0.1):
        super().__init__(rng, 2, arms, scale=(1.0, 1.0))
        self.rate, self.epsilon, self.models = rate, epsilon, np.zeros((2, arms))

    def choose_actions(self, observations: Sequence[Any]) -> list[int | None]:
        """Take the best arm, or while learning sometimes a random one."""
        actions: list[int | None] = []
        for x in observations:
            if x is None:
                actions.append(None)
            elif self.learning and self.rng.random() < self.epsilon:
                actions.append(int(self.rng.integers(self.models.shape[1])))
            else:
                actions.append(int(np.argmax(x @ self.models)))
        return actions

    def receive_transitions(self, transitions: Sequence[Step | None]) -> None:
        """Move the pulled arm's model towards the reward."""
        for step in transitions:
            if step is not None and step.reward is not None:
                error = 20 * step.reward - step.observation @ self.models[:, step.action]
                self.models[:, step.action] += self.rate * error * step.observation
