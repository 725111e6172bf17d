"""Exact values of an environment with two state dimensions: value iteration on a grid, for use as an oracle."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float

from .environment import AbstractEnv

__all__ = ["ValueGrid", "optimal_values"]


class ValueGrid(NamedTuple):
    """Values at the points of a grid, bilinear between them.

    Attributes:
        values: shape `(rows, columns)`.
        low: lower corner, shape `(2,)`.
        high: upper corner.
        periodic: whether each axis closes on itself.
    """

    values: Float[Array, "rows columns"]
    low: Float[Array, "2"]
    high: Float[Array, "2"]
    periodic: tuple[bool, bool]

    def at(self, state: Float[Array, "2"]) -> Float[Array, ""]:
        """Return the value at a state; outside the grid, that of the nearest point of its edge."""
        corners, weights = _corners(state, self.values.shape, self.low, self.high, self.periodic)
        return jnp.sum(weights * self.values[corners[:, 0], corners[:, 1]])


def optimal_values(
    env: AbstractEnv,
    low: Float[Array, "2"],
    high: Float[Array, "2"],
    *,
    shape: tuple[int, int] = (121, 121),
    periodic: tuple[bool, bool] = (False, False),
    actions: int = 21,
    discount: float = 0.99,
    tolerance: float = 1e-3,
    max_sweeps: int = 5_000,
) -> ValueGrid:
    """Compute the optimal discounted values of a deterministic environment whose state is two numbers.

    Args:
        env: the environment; `state_of` is not needed, states are set directly. One action dimension, or two.
        low: lower corner of the grid.
        high: upper corner.
        shape: points along each axis.
        periodic: whether each axis closes on itself (an angle).
        actions: values tried along each action dimension.
        discount: of the next value.
        tolerance: largest change of a sweep at which to stop.
        max_sweeps: most sweeps.

    Returns:
        The values.

    Raises:
        ValueError: if the environment's state is not two numbers.

    Examples:
        Values of the pendulum, hanging and upright:

        >>> import jax.numpy as jnp
        >>> from separatrix.envs import Pendulum
        >>> edge = jnp.array([jnp.pi, 8.0])
        >>> grid = optimal_values(Pendulum(), -edge, edge, shape=(61, 61), periodic=(True, False), tolerance=0.1)
        >>> bool(grid.at(jnp.array([jnp.pi, 0.0])) < -200), bool(grid.at(jnp.zeros(2)) > -1)
        (True, True)
    """
    state = jax.eval_shape(env.reset, jr.key(0))
    if getattr(state, "shape", None) != (2,):
        raise ValueError("`optimal_values` needs an environment whose state is an array of two numbers.")
    low, high = jnp.asarray(low), jnp.asarray(high)
    axis = jnp.linspace(-1.0, 1.0, actions)
    choices = jnp.stack(jnp.meshgrid(*[axis] * env.action_size, indexing="ij"), axis=-1).reshape(-1, env.action_size)
    sides = [jnp.linspace(a, b, n, endpoint=not p) for a, b, n, p in zip(low, high, shape, periodic, strict=True)]
    states = jnp.stack(jnp.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    values = _iterate(env, states, choices, low, high, shape, periodic, discount, tolerance, max_sweeps)
    return ValueGrid(values, low, high, periodic)


def _iterate(env, states, choices, low, high, shape, periodic, discount, tolerance, max_sweeps):
    @jax.jit
    def solve(env, states, choices, low, high):
        def reach(state, action):
            after, reward, terminal = env.step(state, action, jr.key(0))
            corners, weights = _corners(after, shape, low, high, periodic)
            return corners[:, 0] * shape[1] + corners[:, 1], weights * ~terminal, reward

        places, weights, rewards = jax.vmap(jax.vmap(reach, (None, 0)), (0, None))(states, choices)

        def sweep(carry):
            values, _, done = carry
            after = jnp.sum(weights * values[places], axis=-1)
            new = jnp.max(rewards + discount * after, axis=1)
            return new, jnp.max(jnp.abs(new - values)), done + 1

        going = lambda carry: (carry[1] > tolerance) & (carry[2] < max_sweeps)  # noqa: E731
        start = (jnp.zeros(len(states), rewards.dtype), jnp.array(jnp.inf, rewards.dtype), 0)
        return jax.lax.while_loop(going, sweep, start)[0].reshape(shape)

    return solve(env, states, choices, low, high)


def _corners(state, shape, low, high, periodic):
    """The four grid points around a state, `(4, 2)`, and their bilinear weights, `(4,)`."""
    lower, upper, share = [], [], []
    for i in range(2):
        count = shape[i]
        cells = count if periodic[i] else count - 1
        place = (state[i] - low[i]) / (high[i] - low[i]) * cells
        place = place % cells if periodic[i] else jnp.clip(place, 0, cells)
        first = jnp.clip(jnp.floor(place).astype(int), 0, cells - 1)
        lower.append(first)
        upper.append((first + 1) % count)
        share.append(place - first)
    corners = jnp.stack([jnp.stack([a, b]) for a in (lower[0], upper[0]) for b in (lower[1], upper[1])])
    weights = jnp.stack([a * b for a in (1 - share[0], share[0]) for b in (1 - share[1], share[1])])
    return corners, weights
