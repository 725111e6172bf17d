"""Roll a policy out in a model: learned, true, between the two, or penalised for what it does not know."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from separatrix.envs.environment import AbstractEnv, Dynamics, Step

from .transitions import Transitions

__all__ = ["Imagined", "Interpolated", "OracleModel", "Penalised", "interpolate", "rollout"]


class Imagined(NamedTuple):
    """Transitions in a model, `(horizon, starts)` in front.

    Attributes:
        transitions: what the policy met.
        time: steps since the start, 0 for the first transition: what a state can be told by to be at the edge.
        valid: false after a terminal state.
    """

    transitions: Transitions
    time: Int[Array, "*batch"]
    valid: Bool[Array, "*batch"]


def rollout(
    dynamics: Dynamics, policy: PyTree, starts: Float[Array, "starts obs"], horizon: int, key: Key[Array, ""]
) -> Imagined:
    """Roll a policy out in a model from given observations.

    Args:
        dynamics: `(observation, action, key) -> Step` for one transition: a model, or `OracleModel(env)`.
        policy: with `sample(observations, key) -> (actions, log_probs)`.
        starts: observations.
        horizon: number of steps.
        key: random.

    Returns:
        Transitions of shape `(horizon, starts)`.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix.envs import BoxWorld
        >>> from separatrix.rl import Deterministic, OracleModel
        >>> policy = Deterministic(jr.key(0), 2, 2, (8,))
        >>> found = rollout(OracleModel(BoxWorld()), policy, jnp.zeros((4, 2)), 3, jr.key(1))
        >>> found.transitions.next_observation.shape, found.time[:, 0].tolist()
        ((3, 4, 2), [0, 1, 2])
    """
    count = starts.shape[0]

    def step(carry, time):
        observation, alive = carry
        act, move = jr.split(jr.fold_in(key, time))
        action, _ = policy.sample(observation, act)
        after = jax.vmap(dynamics)(observation, action, jr.split(move, count))
        row = Transitions(observation, action, after.reward, after.observation, after.terminal)
        found = Imagined(row, jnp.full(count, time, jnp.int32), alive)
        return (after.observation, alive & ~after.terminal), found

    return jax.lax.scan(step, (starts, jnp.ones(count, bool)), jnp.arange(horizon))[1]


class OracleModel(eqx.Module):
    """The environment itself where a learned model could stand: an ensemble of one member that is certain and right.

    Attributes:
        env: the environment.
    """

    env: AbstractEnv

    def __call__(self, observation: Float[Array, " obs"], action: Float[Array, " act"], key: Key[Array, ""]) -> Step:
        """Return what the environment does."""
        state, reward, terminal = self.env.step(self.env.state_of(observation), action, key)
        return Step(self.env.observe(state), reward, terminal)

    def predict(
        self, observation: Float[Array, " obs"], action: Float[Array, " act"]
    ) -> tuple[Float[Array, "1 outputs"], Float[Array, "1 outputs"]]:
        """Return change of the observation and reward, and log-variances of minus infinity."""
        after = self(observation, action, jr.key(0))
        mean = jnp.append(after.observation - observation, after.reward)[None]
        return mean, jnp.full_like(mean, -jnp.inf)


class Interpolated(eqx.Module):
    """Between two models; see `interpolate`."""

    first: Dynamics
    second: Dynamics
    alpha: float | Float[Array, ""]

    def __call__(self, observation: Float[Array, " obs"], action: Float[Array, " act"], key: Key[Array, ""]) -> Step:
        """Return the weighted mean of both next observations and rewards; the nearer model says what is terminal."""
        one, two = self.first(observation, action, key), self.second(observation, action, key)
        mix = lambda a, b: (1 - self.alpha) * a + self.alpha * b  # noqa: E731
        terminal = jnp.where(jnp.asarray(self.alpha) < 0.5, one.terminal, two.terminal)
        return Step(mix(one.observation, two.observation), mix(one.reward, two.reward), terminal)


def interpolate(model_a: Dynamics, model_b: Dynamics, alpha: float | Float[Array, ""]) -> Interpolated:
    """Go from one model to another: the share of the second in what comes next.

    Args:
        model_a: used alone at `alpha = 0`.
        model_b: used alone at `alpha = 1`.
        alpha: share of `model_b`, in [0, 1]; traced.

    Returns:
        A model. Both are given the same key, so equal models give themselves.
    """
    return Interpolated(model_a, model_b, alpha)


class Penalised(eqx.Module):
    """A model whose rewards are lowered by `weight` times a measure of what it does not know.

    Attributes:
        model: with `predict`, such as `GaussianEnsemble` or `OracleModel`.
        penalty: `(mean, log_variance, outcome, key) -> scalar`; see `separatrix.rl.penalties`.
        weight: of the penalty, lambda; traced.
    """

    model: Any
    penalty: Callable[[Array, Array, Array, Key[Array, ""]], Float[Array, ""]]
    weight: float | Float[Array, ""] = 1.0

    def __call__(self, observation: Float[Array, " obs"], action: Float[Array, " act"], key: Key[Array, ""]) -> Step:
        """Return the model's step with the penalised reward."""
        after = self.model(observation, action, key)
        mean, log_variance = self.model.predict(observation, action)
        outcome = jnp.append(after.observation - observation, after.reward)
        lowered = after.reward - self.weight * self.penalty(mean, log_variance, outcome, jr.fold_in(key, 1))
        return after._replace(reward=lowered)
