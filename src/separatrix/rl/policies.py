"""Policies on batches of observations: each samples actions with their log-density, and has a mode.

A policy is any module with `sample(observation, key) -> (action, log_prob)` and `mode(observation)`; those whose
density is known at a given action have `log_prob(observation, action)` too.
"""

import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from .networks import Network

__all__ = ["Acting", "BoundedGaussian", "Deterministic", "TanhGaussian", "greedy", "sampling", "squash_log_density"]

LOG_STD = (-5.0, 2.0)
INSIDE = 1 - 1e-6  # logged actions on the boundary have no finite density under a squashed Gaussian


def _log_normal(value, mean, log_std):
    return jnp.sum(-0.5 * ((value - mean) * jnp.exp(-log_std)) ** 2 - log_std - 0.5 * math.log(2 * math.pi), axis=-1)


def squash_log_density(raw: Float[Array, "*batch act"]) -> Float[Array, "*batch"]:
    """Return `log |d tanh(u) / du|` summed over the action's dimensions, without cancellation for large `u`.

    Args:
        raw: actions before the hyperbolic tangent.

    Returns:
        What has to be subtracted from the log-density of `raw`.

    Examples:
        >>> import jax.numpy as jnp
        >>> round(float(squash_log_density(jnp.array([0.5]))), 6) == round(float(jnp.log(1 - jnp.tanh(0.5) ** 2)), 6)
        True
    """
    return jnp.sum(2 * (math.log(2) - raw - jax.nn.softplus(-2 * raw)), axis=-1)


class TanhGaussian(eqx.Module):
    """A Gaussian with learned mean and spread, squashed into (-1, 1).

    Args:
        key: drives the weights.
        observation_size: length of an observation.
        action_size: length of an action.
        hidden: widths of the hidden layers.

    Attributes:
        network: observation to means and logarithms of standard deviations, clipped to [-5, 2].

    Examples:
        >>> policy = TanhGaussian(jr.key(0), 3, 2, (8,))
        >>> action, log_prob = policy.sample(jnp.ones((4, 3)), jr.key(1))
        >>> action.shape, bool(jnp.allclose(policy.log_prob(jnp.ones((4, 3)), action), log_prob, atol=1e-3))
        ((4, 2), True)
    """

    network: Network

    def __init__(
        self, key: Key[Array, ""], observation_size: int, action_size: int, hidden: Sequence[int] = (256, 256, 256)
    ):
        self.network = Network(key, (observation_size, *hidden, 2 * action_size), last=1e-3)

    def moments(
        self, observation: Float[Array, "batch obs"]
    ) -> tuple[Float[Array, "batch act"], Float[Array, "batch act"]]:
        """Return mean and log standard deviation before squashing."""
        mean, log_std = jnp.split(self.network(observation), 2, axis=-1)
        return mean, jnp.clip(log_std, *LOG_STD)

    def sample(
        self, observation: Float[Array, "batch obs"], key: Key[Array, ""]
    ) -> tuple[Float[Array, "batch act"], Float[Array, " batch"]]:
        """Draw actions; return them and their log-densities."""
        mean, log_std = self.moments(observation)
        raw = mean + jnp.exp(log_std) * jr.normal(key, mean.shape, mean.dtype)
        return jnp.tanh(raw), _log_normal(raw, mean, log_std) - squash_log_density(raw)

    def log_prob(
        self, observation: Float[Array, "batch obs"], action: Float[Array, "batch act"]
    ) -> Float[Array, " batch"]:
        """Return log-densities of given actions, which are moved inside the open interval first."""
        raw = jnp.arctanh(jnp.clip(action, -INSIDE, INSIDE))
        mean, log_std = self.moments(observation)
        return _log_normal(raw, mean, log_std) - squash_log_density(raw)

    def mode(self, observation: Float[Array, "batch obs"]) -> Float[Array, "batch act"]:
        """Return the squashed means."""
        return jnp.tanh(self.moments(observation)[0])


class BoundedGaussian(eqx.Module):
    """A Gaussian whose mean is bounded by a hyperbolic tangent and whose spread is the same at every state.

    Args:
        key: drives the weights.
        observation_size: length of an observation.
        action_size: length of an action.
        hidden: widths of the hidden layers.

    Attributes:
        network: observation to mean before squashing.
        log_std: shape `(act,)`, clipped to [-5, 2] when used.
    """

    network: Network
    log_std: Float[Array, " act"]

    def __init__(
        self, key: Key[Array, ""], observation_size: int, action_size: int, hidden: Sequence[int] = (256, 256)
    ):
        self.network = Network(key, (observation_size, *hidden, action_size), last=1e-3)
        self.log_std = jnp.zeros(action_size)

    def sample(
        self, observation: Float[Array, "batch obs"], key: Key[Array, ""]
    ) -> tuple[Float[Array, "batch act"], Float[Array, " batch"]]:
        """Draw actions, clipped to [-1, 1]; return them and the log-densities before clipping."""
        mean, log_std = self.mode(observation), jnp.clip(self.log_std, *LOG_STD)
        raw = mean + jnp.exp(log_std) * jr.normal(key, mean.shape, mean.dtype)
        return jnp.clip(raw, -1, 1), _log_normal(raw, mean, log_std)

    def log_prob(
        self, observation: Float[Array, "batch obs"], action: Float[Array, "batch act"]
    ) -> Float[Array, " batch"]:
        """Return log-densities of given actions."""
        return _log_normal(action, self.mode(observation), jnp.clip(self.log_std, *LOG_STD))

    def mode(self, observation: Float[Array, "batch obs"]) -> Float[Array, "batch act"]:
        """Return the means."""
        return jnp.tanh(self.network(observation))


class Deterministic(eqx.Module):
    """One action a state.

    Args:
        key: drives the weights.
        observation_size: length of an observation.
        action_size: length of an action.
        hidden: widths of the hidden layers.

    Attributes:
        network: observation to action before squashing.
    """

    network: Network

    def __init__(
        self, key: Key[Array, ""], observation_size: int, action_size: int, hidden: Sequence[int] = (256, 256)
    ):
        self.network = Network(key, (observation_size, *hidden, action_size))

    def sample(
        self, observation: Float[Array, "batch obs"], key: Key[Array, ""]
    ) -> tuple[Float[Array, "batch act"], Float[Array, " batch"]]:
        """Return the actions and zeros."""
        del key
        action = self.mode(observation)
        return action, jnp.zeros(action.shape[:-1], action.dtype)

    def mode(self, observation: Float[Array, "batch obs"]) -> Float[Array, "batch act"]:
        """Return the actions."""
        return jnp.tanh(self.network(observation))


class Acting(eqx.Module):
    """A policy on batches that acts on one observation at a time; see `greedy` and `sampling`.

    Attributes:
        policy: with `mode` and `sample`.
        noisy: whether to sample.
    """

    policy: Any
    noisy: bool = eqx.field(static=True)

    def __call__(self, observation: Float[Array, " obs"], key: Key[Array, ""]) -> Float[Array, " act"]:
        """Act on one observation."""
        if self.noisy:
            return self.policy.sample(observation[None], key)[0][0]
        return self.policy.mode(observation[None])[0]


def greedy(policy: Any) -> Acting:
    """Make a policy on batches act on one observation at a time by its mode, as `roll_out` and `evaluate` ask.

    Args:
        policy: with `mode`.

    Returns:
        `(observation, key) -> action`.
    """
    return Acting(policy, False)


def sampling(policy: Any) -> Acting:
    """Make a policy on batches act on one observation at a time by sampling.

    Args:
        policy: with `sample`.

    Returns:
        `(observation, key) -> action`.
    """
    return Acting(policy, True)
