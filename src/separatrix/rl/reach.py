"""Which states rollouts of a given length can enter: within reach, only at the very end (the edge), or never.

A state at the edge of reach is a target of learning but never an input: its value is bootstrapped from nothing.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from separatrix.envs.environment import Dynamics

from .model_rollouts import rollout

__all__ = ["EDGE", "OUT", "WITHIN", "chain_errors", "density_labels", "reach_density", "reach_labels", "td_growth"]

WITHIN = 0
EDGE = 1
OUT = 2


def reach_labels(
    states: Float[Array, "*batch dims"], horizon: int, *, stride: float = 1.0, start: float = 1.0
) -> Int[Array, "*batch"]:
    """Label states of a box world, exactly.

    Rollouts start in the box of half-width `start`; after t steps any point of the box of half-width
    `start + t stride` can have been reached, and no other.

    Args:
        states: any points.
        horizon: steps of a rollout, k.
        stride: largest change of each coordinate in a step.
        start: half-width of the box of starts.

    Returns:
        `WITHIN` (0) if some step before the last can enter the state, `EDGE` (1) if only the last can, `OUT` (2).

    Raises:
        ValueError: if `horizon` is below 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> reach_labels(jnp.array([[0.0, 0.0], [2.5, 0.0], [0.0, -3.5]]), 2).tolist()
        [0, 1, 2]
    """
    if horizon < 1:
        raise ValueError(f"`horizon` must be at least 1; got {horizon}.")
    distance = jnp.max(jnp.abs(states), axis=-1)
    within, reached = distance <= start + (horizon - 1) * stride, distance <= start + horizon * stride
    return jnp.where(within, WITHIN, jnp.where(reached, EDGE, OUT))


def reach_density(
    states: Float[Array, "states obs"],
    starts: Float[Array, "starts obs"],
    dynamics: Dynamics,
    policy: PyTree,
    horizon: int,
    key: Key[Array, ""],
    *,
    bandwidth: float | Float[Array, " obs"],
) -> Float[Array, "times states"]:
    """Density of rollouts at given states after 0, 1, ..., `horizon` steps, from samples and a Gaussian kernel.

    Args:
        states: where the density is wanted.
        starts: of the rollouts.
        dynamics: the model.
        policy: with `sample`.
        horizon: steps of a rollout, k.
        key: random.
        bandwidth: standard deviation of the kernel, one or one for each dimension.

    Returns:
        Densities of shape `(horizon + 1, states)`.
    """
    found = rollout(dynamics, policy, starts, horizon, key)
    samples = jnp.concatenate([starts[None], found.transitions.next_observation])
    valid = jnp.concatenate([jnp.ones((1, len(starts)), bool), found.valid])
    width = jnp.broadcast_to(jnp.asarray(bandwidth, states.dtype), states.shape[-1:])
    constant = jnp.prod(width) * (2 * jnp.pi) ** (len(width) / 2)

    def at(samples_and_valid):
        points, alive = samples_and_valid
        squares = jnp.sum(((states[:, None] - points[None]) / width) ** 2, axis=-1)
        return jnp.sum(jnp.where(alive, jnp.exp(-0.5 * squares), 0.0), axis=-1) / (len(points) * constant)

    return jax.lax.map(at, (samples, valid))


def density_labels(density: Float[Array, "times states"], threshold: float) -> Int[Array, " states"]:
    """Label states by the densities of rollouts at each step: nearly at the edge counts as the edge.

    Args:
        density: of shape `(horizon + 1, states)`, as by `reach_density`.
        threshold: density below which a state counts as not reached.

    Returns:
        `WITHIN`, `EDGE` or `OUT`.
    """
    within = jnp.any(density[:-1] > threshold, axis=0)
    return jnp.where(within, WITHIN, jnp.where(density[-1] > threshold, EDGE, OUT))


def chain_errors(horizon: int, error: float, discount: float) -> Float[Array, " states"]:
    """Errors of the values along a path of `horizon` steps to a state at the edge, after exact backups.

    Every backup of the path's states is exact; only the last state's value, never updated, is wrong by `error`.

    Args:
        horizon: number of steps, k.
        error: of the value at the edge.
        discount: gamma.

    Returns:
        Errors of the k + 1 states, the start first: `discount^(k - t) error`.

    Examples:
        >>> [round(float(e), 2) for e in chain_errors(3, 10.0, 0.9)]
        [7.29, 8.1, 9.0, 10.0]
    """
    values = jnp.zeros(horizon + 1).at[-1].set(error)  # the true values are zero, as are all rewards
    backup = lambda _, v: v.at[:-1].set(discount * v[1:])  # noqa: E731
    return jax.lax.fori_loop(0, horizon, backup, values)


def td_growth(
    rate: float, discount: float, feature: float, steps: int, weight: float = 1.0
) -> Float[Array, " steps_and_one"]:
    """Temporal-difference learning of one weight from transitions that all end outside: `V = w` inside, `c w` outside.

    Args:
        rate: step size alpha.
        discount: gamma.
        feature: c, of the state outside, whose value is a target but never updated by itself.
        steps: number of updates.
        weight: at the start.

    Returns:
        Weights of shape `(steps + 1,)`; they grow by the factor `1 + rate (discount feature - 1)`.

    Examples:
        >>> [round(float(w), 3) for w in td_growth(0.5, 0.9, 2.0, 2)]  # 1 + 0.5 (1.8 - 1) = 1.4
        [1.0, 1.4, 1.96]
    """

    def update(weight, _):
        error = 0.0 + discount * feature * weight - weight
        return weight + rate * error, weight + rate * error

    start = jnp.asarray(weight, jnp.result_type(float))
    return jnp.concatenate([start[None], jax.lax.scan(update, start, None, length=steps)[1]])
