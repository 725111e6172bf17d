"""Snapshot pairs: from trajectories of a process, and from a user's arrays, with an honest split."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from separatrix._core.process import AbstractProcess
from separatrix.dynamics.koopman.dictionaries import delay
from separatrix.systems.flow import Flow

__all__ = ["SnapshotPairs", "duffing", "pairs_from", "rossler", "simulate_snapshots"]


class SnapshotPairs(NamedTuple):
    """States and their images one step later, row by row.

    Attributes:
        x: shape `(pairs, dim)`.
        y: shape `(pairs, dim)`.
    """

    x: Float[np.ndarray, "pairs dim"]
    y: Float[np.ndarray, "pairs dim"]


def simulate_snapshots(
    process: AbstractProcess, starts: Float[np.ndarray, "starts dim"], count: int, every: int = 1, discard: int = 0
) -> Float[np.ndarray, "starts times dim"]:
    """Trajectories of a deterministic process from many states at once, in float64 and in one compiled program.

    Args:
        process: its state is an array of shape `(dim,)` and its step needs no input and no key.
        starts: states to start from.
        count: snapshots after the start.
        every: steps between two snapshots.
        discard: steps before the first snapshot.

    Returns:
        Shape `(starts, count + 1, dim)`.

    Examples:
        >>> import numpy as np
        >>> paths = simulate_snapshots(duffing(), np.array([[1.0, 0.0]]), 3, every=10)
        >>> paths[0].round(6).tolist()  # a fixed point
        [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
    """
    with jax.enable_x64():
        return np.asarray(_trajectories(process, jnp.asarray(starts, float), count, every, discard))


@eqx.filter_jit
def _trajectories(process, starts, count: int, every: int, discard: int):
    key = jax.random.key(0)

    def advance(state, steps):
        return jax.lax.fori_loop(0, steps, lambda _, s: process.step(s, None, key)[0], state)

    def one(start):
        start = advance(start, discard)
        _, path = jax.lax.scan(lambda s, _: (advance(s, every),) * 2, start, length=count)
        return jnp.concatenate([start[None], path])

    return jax.vmap(one)(starts)


def _duffing(state, p):
    x, v = state
    return jnp.stack([v, x - x**3 - p["damping"] * v])


def duffing(damping: float = 0.0, dt: float = 0.01) -> Flow:
    """Duffing's oscillator in two wells, `x'' = x - x^3 - damping x'`; undamped it preserves area.

    Args:
        damping: of the velocity.
        dt: time step; thirty of them make the snapshots of the published experiments, 0.3 apart.

    Returns:
        A flow.
    """
    return Flow(_duffing, {"damping": damping}, np.array([0.5, 0.0]), dt, 1e-3, states=("x", "v"))


def _rossler(state, p):
    x, y, z = state
    return jnp.stack([-y - z, x + p["a"] * y, p["b"] + z * (x - p["c"])])


def rossler(a: float = 0.1, b: float = 0.1, c: float = 14.0, dt: float = 0.01) -> Flow:
    """Rossler's system with the parameters of the published experiments.

    Args:
        a: of the published system.
        b: of the published system.
        c: of the published system.
        dt: time step.

    Returns:
        A flow that starts near the attractor.
    """
    return Flow(_rossler, {"a": a, "b": b, "c": c}, np.array([1.0, 1.0, 0.0]), dt, 1e-3, states=("x", "y", "z"))


def pairs_from(X: Any, Y: Any = None, delays: int = 1, stride: int = 1) -> list[SnapshotPairs]:
    """Snapshot pairs from what a user has, one entry for each trajectory.

    Args:
        X: a trajectory `(times, dim)` or `(times,)`; several trajectories, as a list or `(count, times, dim)`; or
            states, if `Y` is given.
        Y: images of the rows of `X`, or of each member of a list.
        delays: delay coordinates that make a state of the measurements; only for trajectories.
        stride: time steps between delays.

    Returns:
        Pairs by trajectory, in time order.

    Raises:
        ValueError: if a value is not finite, shapes do not fit, or a trajectory is too short.

    Examples:
        >>> import numpy as np
        >>> pairs_from(np.arange(4.0))[0].y[:, 0].tolist()
        [1.0, 2.0, 3.0]
    """
    many = _members(X)
    for one in many:
        if not np.isfinite(one).all():
            raise ValueError("`X` holds NaN or infinite values; drop or fill those times, or cut the trajectory there.")
        if one.shape[1] != many[0].shape[1]:
            raise ValueError(f"all trajectories must have {many[0].shape[1]} columns; got one with {one.shape[1]}.")
    if Y is None:
        embedded = [delay(one, delays, stride) for one in many]
        if any(len(one) < 2 for one in embedded):
            raise ValueError(f"each trajectory needs at least {stride * (delays - 1) + 2} times.")
        return [SnapshotPairs(one[:-1], one[1:]) for one in embedded]
    if delays != 1:
        raise ValueError("`delays` need trajectories; with `Y` give states that are already embedded (see `delay`).")
    images = _members(Y)
    if [one.shape for one in many] != [one.shape for one in images]:
        raise ValueError("`X` and `Y` must have equal shapes, row by row.")
    if not all(np.isfinite(one).all() for one in images):
        raise ValueError("`Y` holds NaN or infinite values; drop those rows of `X` and `Y`.")
    return [SnapshotPairs(*pair) for pair in zip(many, images, strict=True)]


def _members(X: Any) -> list[np.ndarray]:
    if isinstance(X, Sequence) and len(X) and np.ndim(X[0]) >= 1 and not np.isscalar(X[0]):
        parts = [np.asarray(one, float) for one in X]
    else:
        whole = np.asarray(X, float)
        parts = list(whole) if whole.ndim == 3 else [whole]
    parts = [one[:, None] if one.ndim == 1 else one for one in parts]
    if not parts or any(one.ndim != 2 or not one.size for one in parts):
        raise ValueError("`X` must be a trajectory (times, dim), a list of them, or states (samples, dim), not empty.")
    return parts
