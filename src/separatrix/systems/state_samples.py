"""Where trajectories start: on the attractor, or near the stored initial state; and jittered parameters."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key
from separatrix.systems.delay_flow import DelayFlow
from separatrix.systems.flow import Flow
from separatrix.systems.maps import Map
from separatrix.systems.trajectories import attractor_states

__all__ = ["jitter_initial", "jitter_parameters", "sample_initial_conditions"]


def sample_initial_conditions(
    system: Flow | DelayFlow | Map, n: int, key: Key[Array, ""], *, points: int = 4_096, transient: int = 500
) -> Float[np.ndarray, "n dim"]:
    """Draw states from the attractor: random points of one long reference trajectory.

    The trajectory has 10 points in a period, so that its points spread over the attractor.

    Args:
        system: any system; a delay flow gives values of constant histories.
        n: number of states.
        key: drives the choice.
        points: length of the reference trajectory.
        transient: its points that are left out at the beginning, `0 <= transient < points`.

    Returns:
        States (not the reported coordinates), in float64; without repetition while `n <= points - transient`.

    Raises:
        ValueError: if `transient` leaves nothing, or the reference trajectory stops before its end.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.systems import get
        >>> sample_initial_conditions(get("Lorenz"), 3, jr.key(0), points=60, transient=20).shape
        (3, 3)
    """
    if not 0 <= transient < points:
        raise ValueError(f"`transient` must lie in 0..{points - 1}; got {transient}.")
    states = attractor_states(system, points)[transient:]
    if not np.isfinite(states).all():
        raise ValueError("the reference trajectory stops before its end; sample with `jitter_initial` instead.")
    chosen = jr.choice(named_key(key, "initial conditions"), len(states), (n,), replace=n > len(states))
    return states[np.asarray(chosen)]


def jitter_initial(
    system: Flow | DelayFlow | Map, n: int, key: Key[Array, ""], *, scale: float = 1e-4
) -> Float[np.ndarray, "n dim"]:
    """Draw states near the stored initial state.

    Args:
        system: any system.
        n: number of states.
        key: drives the draw.
        scale: standard deviation of each coordinate as a fraction of its size.

    Returns:
        States in float64.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.systems import get
        >>> jitter_initial(get("Lorenz"), 2, jr.key(0)).shape
        (2, 3)
    """
    start = np.asarray(system.initial, float)
    with jax.enable_x64():
        draw = np.asarray(jr.normal(named_key(key, "jitter"), (n, len(start)), jnp.float64))
    return start + scale * np.abs(start) * draw


def jitter_parameters(system: Any, key: Key[Array, ""], *, scale: float = 0.01) -> Any:
    """Move every parameter of a system by a Gaussian fraction of itself.

    Args:
        system: any system.
        key: drives the draw.
        scale: standard deviation as a fraction of each parameter.

    Returns:
        The changed system; its stored invariants are dropped, for they belong to the old parameters.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.systems import get
        >>> jitter_parameters(get("Lorenz"), jr.key(0)).parameters["rho"] == 28.0
        False
    """
    leaves, structure = jax.tree.flatten(system.parameters)
    moved = []
    with jax.enable_x64():
        for i, leaf in enumerate(leaves):
            draw = np.asarray(jr.normal(jr.fold_in(named_key(key, "parameters"), i), np.shape(leaf), jnp.float64))
            new = np.asarray(leaf, float) * (1 + scale * draw)
            moved.append(new if np.ndim(leaf) else float(new))
    facts = system.facts and system.facts._replace(published=(), moments=None, name=f"{system.facts.name} (jittered)")
    return dataclasses.replace(system, parameters=jax.tree.unflatten(structure, moved), facts=facts)
