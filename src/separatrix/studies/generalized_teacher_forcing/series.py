"""Series: one trajectory of the system for each seed, from its own initial condition."""

import dataclasses
import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from separatrix._core.keys import named_key
from separatrix.dynamics.generation import generate
from separatrix.systems.database import get
from separatrix.systems.flow import Flow, lorenz63

from .settings import Settings


def lorenz96(x, p):
    """Field of Lorenz's system of 1996 on a ring."""
    return (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x + p["f"]


def flow_named(s: Settings, system: str) -> tuple[Flow, int]:
    """The system with the step of its integrator, and steps between two samples."""
    if system == "lorenz":
        return lorenz63(dt=s.dt, dtype="float64"), 1
    if system == "lorenz96":
        start = jnp.full(s.high_dim, 8.0).at[0].add(0.5)
        return Flow(lorenz96, {"f": 8.0}, start, s.dt, 1e-3), 4  # 0.04 between samples
    flow: Any = get("MultiChua")
    return dataclasses.replace(flow, dt=flow.period / 75 / 40, spread=1e-3), 40  # 75 samples a period, as for Lorenz


@eqx.filter_jit
def sampled(flow: Flow, start, count: int, every: int):
    """Orbit after a transient of a tenth of its length and 1,000 samples."""
    unused = jr.key(0)  # a flow is deterministic
    advance = lambda z: jax.lax.fori_loop(0, every, lambda _, y: flow.step(y, None, unused)[0], z)  # noqa: E731
    start = jax.lax.fori_loop(0, 1_000 + count // 10, lambda _, z: advance(z), start)
    return generate(advance, start, count)


@functools.lru_cache(maxsize=64)
def _series(s: Settings, system: str, seed: bytes):
    data = jr.wrap_key_data(jnp.asarray(np.frombuffer(seed, np.uint32)))
    with jax.enable_x64():
        flow, every = flow_named(s, system)
        orbit = np.asarray(sampled(flow, flow.init(data), 2 * s.points, every))
    orbit = (orbit - orbit.mean(axis=0)) / orbit.std(axis=0)
    noise = np.asarray(jr.normal(named_key(data, "noise"), (s.points, orbit.shape[1])))
    return (orbit[: s.points] + s.noise * noise).astype(np.float32), orbit[s.points :].astype(np.float32)


def series(s: Settings, key, system: str = "lorenz"):
    """Noisy training series and clean test series of a seed, standardised."""
    return _series(s, system, np.asarray(jr.key_data(named_key(key, "data"))).tobytes())
