"""Compiled integration of many trajectories at once: one program a system, whatever the parameters and the lengths."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key
from scipy.interpolate import CubicSpline

from separatrix._core.program import Frozen, freeze, merge
from separatrix.systems.delay_flow import DelayFlow
from separatrix.systems.flow import Flow
from separatrix.systems.maps import Map
from separatrix.systems.solvers import Adaptive, FixedSteps, Implicit, Solver

__all__ = [
    "attractor_states",
    "default_solver",
    "flow_program",
    "iterate_map",
    "solve_delay",
    "solve_flow",
    "solve_noisy",
]

_MUCH = 100_000  # points beyond which a better program repays its compilation
_FIXED_STEPS = 10_000  # Runge-Kutta steps in one period, for rows whose method is "fixed"


def default_solver(system: Flow) -> Solver:
    """How `simulate` integrates a flow unless told otherwise.

    Args:
        system: a flow.

    Returns:
        The solver that the catalogue's column `method` names, `Adaptive()` for systems that are not of the catalogue.
    """
    method = "explicit" if system.facts is None else system.facts.method
    if method == "fixed":
        return FixedSteps((system.period or float(system.dt) * 1_000) / _FIXED_STEPS)
    return {"explicit": Adaptive(), "stiff": Implicit()}[method]


def _solve_one_by_one(solver: Solver, frozen: Frozen, leaves, starts, gaps):
    field, parameters = merge(leaves, frozen)
    return lax.map(lambda row: solver(field, parameters, *row), (starts, gaps))


def _solve_together(solver: Solver, frozen: Frozen, leaves, starts, gaps):
    field, parameters = merge(leaves, frozen)
    return jax.vmap(lambda x, g: solver(field, parameters, x, g))(starts, gaps)


@functools.cache
def flow_program(much: bool):
    """The jitted program that integrates a flow: compiled well for much work, quickly for little.

    A catalogue is mostly compilation: for Lorenz and ten trajectories of 1,200 points, 0.5 s of processor time as XLA
    compiles by default, 0.13 s without its optimisations and with one trajectory after another, where running takes
    0.02 and 0.04 s.

    Args:
        much: whether there are more than 100,000 points to compute.

    Returns:
        A jitted `(solver, frozen, leaves, starts, gaps) -> states`.
    """
    if much or jax.default_backend() != "cpu":
        return jax.jit(_solve_together, static_argnums=(0, 1))
    options = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
    try:
        jax.jit(lambda x: x + 1, compiler_options=options)(0.0)
    except Exception:  # XLA's options come and go
        options = None
    return jax.jit(_solve_one_by_one, static_argnums=(0, 1), compiler_options=options)


def solve_flow(
    solver: Solver, system: Flow, starts: Float[np.ndarray, "b dim"], gaps: Float[np.ndarray, "b gaps"]
) -> Float[np.ndarray, "b gaps dim"]:
    """Integrate trajectories of a flow over consecutive gaps of time; return the state after each."""
    leaves, frozen = freeze((system.field, system.parameters))
    program = flow_program(gaps.size > _MUCH)
    return np.asarray(program(solver, frozen, leaves, starts, np.asarray(gaps)))


@functools.partial(jax.jit, static_argnums=0)
def _solve_all_noisy(frozen: Frozen, leaves, starts, gaps, noise, keys, longest):
    field, parameters = merge(leaves, frozen)

    def one(start, gaps, key):
        size = noise * jnp.abs(start)

        def cross(x, gap_index):
            gap, index = gap_index
            count = jnp.maximum(jnp.ceil(gap / longest), 1.0)
            h = gap / count
            here = jr.fold_in(key, index)

            def body(i, x):
                kick = jr.normal(jr.fold_in(here, i), x.shape, x.dtype)
                return x + h * field(x, parameters) + size * jnp.sqrt(h) * kick

            x = lax.fori_loop(0, count.astype(jnp.int32), body, x)
            return x, x

        return lax.scan(cross, start, (gaps, jnp.arange(gaps.shape[0])))[1]

    return jax.vmap(one)(starts, gaps, keys)


def solve_noisy(
    system: Flow,
    starts: Float[np.ndarray, "b dim"],
    gaps: Float[np.ndarray, "b gaps"],
    noise: float,
    keys: Key[Array, " b"],
    longest: float,
) -> Float[np.ndarray, "b gaps dim"]:
    """Integrate `dX = f dt + noise |x0| dW` by Euler-Maruyama with steps no longer than `longest`."""
    leaves, frozen = freeze((system.field, system.parameters))
    return np.asarray(_solve_all_noisy(frozen, leaves, starts, gaps, noise, keys, longest))


@functools.partial(jax.jit, static_argnums=(0, 3))
def _iterate_all(frozen: Frozen, leaves, starts, steps: int):
    field, parameters = merge(leaves, frozen)

    def one(x, _):
        after = jax.vmap(lambda y: field(y, parameters))(x)
        return after, after

    return jnp.swapaxes(lax.scan(one, starts, None, length=steps)[1], 0, 1)


def iterate_map(system: Map, starts: Float[np.ndarray, "b dim"], steps: int) -> Float[np.ndarray, "b steps dim"]:
    """Iterate a map from several states; the first row is `F(start)`."""
    leaves, frozen = freeze((system.field, system.parameters))
    return np.asarray(_iterate_all(frozen, leaves, starts, steps))


@functools.partial(jax.jit, static_argnums=(0, 3))
def _solve_all_delays(frozen: Frozen, leaves, pasts, steps: int):
    system = merge(leaves, frozen)
    return jax.vmap(lambda past: system.solve(past, steps))(pasts)


def solve_delay(
    system: DelayFlow,
    pasts: Float[Array, "b rows dim"],
    times: Float[np.ndarray, " n"],
    lead: Float[np.ndarray, " b"],
) -> Float[np.ndarray, "b n reported"]:
    """Values at `lead + tau + times - s` for each lag `s`, in delay coordinates when the system has an embedding."""
    tau, step = float(system.delay), float(system.dt)
    embedded = system.embedding > 1
    lags = np.linspace(0.0, tau, system.embedding) if embedded else np.zeros(1)
    wanted = (tau if embedded else 0.0) + times[:, None] - lags
    steps = math.ceil((wanted.max() + lead.max()) / step) + 2
    leaves, frozen = freeze(system)
    after = np.asarray(_solve_all_delays(frozen, leaves, pasts, steps))
    values = np.concatenate([np.asarray(pasts)[:, -1:], after], axis=1)  # from 0 on: a history may end in a kink
    grid = step * np.arange(steps + 1)
    series = []
    for row, shift in zip(values, lead, strict=True):
        good = np.isfinite(row).all(axis=1)
        known = len(good) if good.all() else int(good.argmin())
        at = wanted + shift
        smooth = CubicSpline(grid[:known], row[:known])(np.minimum(at, grid[known - 1]))
        series.append(np.where((at <= grid[known - 1])[..., None], smooth, np.nan).reshape(len(times), -1))
    return np.stack(series)


def attractor_states(system: Flow | DelayFlow | Map, points: int) -> Float[np.ndarray, "points dim"]:
    """States along one trajectory from the stored initial state, ten in a period (one an iteration for a map).

    Args:
        system: any system.
        points: how many.

    Returns:
        States, not the reported coordinates.
    """
    start = np.asarray(system.initial, float)[None]
    with jax.enable_x64():
        if isinstance(system, Map):
            return iterate_map(system, start, points)[0]
        gap = (system.period or 1_000 * float(system.dt)) / 10
        if isinstance(system, DelayFlow):
            plain = dataclasses.replace(system, embedding=1)
            return solve_delay(plain, system.past()[None], gap * np.arange(points), np.zeros(1))[0]
        return solve_flow(default_solver(system), system, start, np.full((1, points), gap))[0]
