"""An ensemble of Gaussian networks that predict the change of the observation and the reward."""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Bool, Float, Int, Key

from separatrix.envs.environment import Step

from .networks import Network

__all__ = ["GaussianEnsemble", "never", "soft_clamp"]

CLIP = 10.0  # standardised inputs beyond it are clipped
FARTHEST = 25.0  # standard deviations from the mean at which drawn observations are held

Terminal = Callable[[Float[Array, " obs"], Float[Array, " act"], Float[Array, " obs"]], Bool[Array, ""]]


def never(
    observation: Float[Array, " obs"], action: Float[Array, " act"], next_observation: Float[Array, " obs"]
) -> Bool[Array, ""]:
    """Rule of an environment without terminal states.

    Args:
        observation: before the action.
        action: taken.
        next_observation: after it.

    Returns:
        False.
    """
    del observation, action, next_observation
    return jnp.array(False)


def soft_clamp(
    value: Float[Array, "*shape"], low: Float[Array, "*shape"], high: Float[Array, "*shape"]
) -> Float[Array, "*shape"]:
    """Keep values below `high` and above `low` without ever losing their gradient.

    Args:
        value: any.
        low: lower bound, approached from above where `high - low` is large.
        high: upper bound, approached from below.

    Returns:
        `value` far from both bounds.

    Examples:
        >>> import jax.numpy as jnp
        >>> clamped = soft_clamp(jnp.array([-100.0, -4.0, 100.0]), jnp.array(-10.0), jnp.array(0.5))
        >>> [round(float(v), 2) for v in clamped]
        [-10.0, -4.01, 0.5]
    """
    value = high - jax.nn.softplus(high - value)
    return low + jax.nn.softplus(value - low)


class GaussianEnsemble(eqx.Module):
    """Members that predict mean and log-variance of the change of the observation and of the reward.

    A step draws one of the elites uniformly, then its Gaussian. Log-variances are held between two trained bounds, and
    drawn observations within 25 standard deviations of the mean of the data, so that no rollout runs away; the rule of
    terminal states sees them before that.

    Args:
        key: drives the weights.
        observation_size: length of an observation.
        action_size: length of an action.
        hidden: widths of the hidden layers.
        members: number of networks.
        centre: mean of the inputs `(observation, action)`; 0 by default.
        scale: their standard deviation; 1 by default.
        terminal: `(observation, action, next_observation) -> bool`, the known rule.

    Attributes:
        network: of all members, inputs to means and log-variances.
        low: lower bound of the log-variances, shape `(outputs,)`.
        high: upper bound.
        centre: mean of the inputs.
        scale: their standard deviation.
        elites: indices of the members that are used.
        terminal: as above.

    References:
        Chua, Calandra, McAllister, Levine (2018), Deep Reinforcement Learning in a Handful of Trials using
        Probabilistic Dynamics Models, NeurIPS.
    """

    network: Network
    low: Float[Array, " outputs"]
    high: Float[Array, " outputs"]
    centre: Float[Array, " inputs"]
    scale: Float[Array, " inputs"]
    elites: Int[Array, " elites"]
    terminal: Terminal = eqx.field(static=True)

    def __init__(
        self,
        key: Key[Array, ""],
        observation_size: int,
        action_size: int,
        *,
        hidden: Sequence[int] = (200, 200, 200, 200),
        members: int = 7,
        centre: Float[Array, " inputs"] | None = None,
        scale: Float[Array, " inputs"] | None = None,
        terminal: Terminal = never,
    ):
        inputs, outputs = observation_size + action_size, observation_size + 1
        network = Network(key, (inputs, *hidden, 2 * outputs), members=members, activation=jax.nn.silu)
        flat, unravel = ravel_pytree(network.weights)  # one draw for all layers
        drawn = unravel(jr.truncated_normal(key, -2.0, 2.0, flat.shape, flat.dtype))
        weights = tuple(w / (2 * w.shape[-2] ** 0.5) for w in drawn)
        biases = tuple(jnp.zeros_like(b) for b in network.biases)
        self.network = eqx.tree_at(lambda n: (n.weights, n.biases), network, (weights, biases))
        self.low, self.high = jnp.full(outputs, -10.0), jnp.full(outputs, 0.5)
        self.centre = jnp.zeros(inputs) if centre is None else centre
        self.scale = jnp.ones(inputs) if scale is None else scale
        self.elites = jnp.arange(members)
        self.terminal = terminal

    @property
    def members(self) -> int:
        """Number of networks."""
        return self.network.weights[0].shape[0]

    def moments(
        self, observation: Float[Array, "*members batch obs"], action: Float[Array, "*members batch act"]
    ) -> tuple[Float[Array, "members batch outputs"], Float[Array, "members batch outputs"]]:
        """Return mean and log-variance of every member on a batch, shared or one for each member."""
        inputs = (jnp.concatenate([observation, action], axis=-1) - self.centre) / self.scale
        mean, log_variance = jnp.split(self.network(jnp.clip(inputs, -CLIP, CLIP)), 2, axis=-1)
        return mean, soft_clamp(log_variance, self.low, self.high)

    def predict(
        self, observation: Float[Array, " obs"], action: Float[Array, " act"]
    ) -> tuple[Float[Array, "elites outputs"], Float[Array, "elites outputs"]]:
        """Return mean and log-variance of the elites for one state and action: what the penalties read."""
        mean, log_variance = self.moments(observation[None], action[None])
        return mean[self.elites, 0], log_variance[self.elites, 0]

    def __call__(self, observation: Float[Array, " obs"], action: Float[Array, " act"], key: Key[Array, ""]) -> Step:
        """Draw the next observation and the reward."""
        choose, draw = jr.split(key)
        mean, log_variance = self.predict(observation, action)
        member = jr.randint(choose, (), 0, mean.shape[0])
        mean, log_variance = mean[member], log_variance[member]
        outcome = mean + jnp.exp(0.5 * log_variance) * jr.normal(draw, mean.shape, mean.dtype)
        after = observation + outcome[:-1]
        centre, scale = self.centre[: len(after)], self.scale[: len(after)]
        held = jnp.clip(after, centre - FARTHEST * scale, centre + FARTHEST * scale)
        return Step(held, outcome[-1], self.terminal(observation, action, after))
