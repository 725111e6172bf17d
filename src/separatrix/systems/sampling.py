"""Series of any length and granularity from a flow, a delay flow or a map."""

import dataclasses
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import Array, Key

from separatrix._core.keys import named_key
from separatrix.systems.computed import is_as_catalogued
from separatrix.systems.delay_flow import DelayFlow
from separatrix.systems.flow import Flow, reported_names
from separatrix.systems.maps import Map
from separatrix.systems.solvers import Solver
from separatrix.systems.trajectories import default_solver, iterate_map, solve_delay, solve_flow, solve_noisy

__all__ = ["simulate", "system_name", "time_unit"]

System = Flow | DelayFlow | Map
_NOISE_STEPS = 5_000  # Euler-Maruyama steps in one period: the step of the published noisy series


def simulate(
    system: System,
    n: int,
    *,
    pts_per_period: float = 100,
    timescale: Literal["fourier", "lyapunov"] | None = "fourier",
    initial: Any = None,
    key: Key[Array, ""] | None = None,
    noise: float = 0.0,
    measurement_noise: float = 0.0,
    standardize: Literal["stored", "series"] | None = None,
    transient: float | Sequence[float] = 0.0,
    solver: Solver | None = None,
) -> xr.Dataset:
    """Sample trajectories of a system.

    The grid is `linspace(0, T, n)` with `T = n / pts_per_period` periods, so that the spacing is marginally coarser
    than a period over `pts_per_period`. A map gives `n` iterates, the first being `F(initial)`. A delay flow is solved
    over `T + tau` and reported in delay coordinates `x(t - s)`, `s` in `linspace(0, tau, embedding)`, from `t = tau`
    on. The work is done in float64, whatever the session's precision; two solvers agree for about ten Lyapunov times.

    Args:
        system: from `get`, `system_from_text`, or made of a function of one's own.
        n: number of points.
        pts_per_period: points in one unit of time scale; ignored for maps.
        timescale: the unit: "fourier" for the dominant period, "lyapunov" for one over the largest exponent (ours where
            the audit has it, else the published; the attribute `exponent_source` says which), None for the system's own
            step: `T = (n - 1) dt`.
        initial: state at the start, `(dim,)` for one trajectory or `(trajectories, dim)`; the system's own by default.
            For a delay flow: values of constant histories, or a function of time on `[-tau, 0]`, or a list of them.
        key: drives the noise; needed when there is any.
        noise: size of the process noise: Ito, `dX = f dt + noise |x0| dW` for each coordinate, by Euler-Maruyama with
            5000 steps a period. (The published series were Fourier-resampled from such a path, which rings at the ends;
            ours are read off it.)
        measurement_noise: standard deviation of Gaussian noise added to each coordinate, in its standard deviations.
        standardize: subtract mean and divide by standard deviation of each reported coordinate: those of the catalogue
            ("stored") or of each series ("series").
        transient: time units (iterations for maps) run before the first point; one number for each trajectory makes
            as many trajectories of a single initial state.
        solver: how a flow is integrated; by default as the catalogue says for the row, `Adaptive()` for others.

    Returns:
        Variable `x` with dimensions `(time, [trajectory,] coord)`, the reported coordinates; `final_state`, the state
        at the last point (its present value for a delay flow); and `complete`, whether the integration reached the
        end. An incomplete trajectory is NaN from where it stopped, and a warning counts them.

    Raises:
        ValueError: if arguments do not fit the system.

    Examples:
        >>> from separatrix.systems import get
        >>> data = simulate(get("Lorenz"), 200, pts_per_period=50)
        >>> data.x.dims, data.x.shape, round(float(data.time[-1]), 4)
        (('time', 'coord'), (200, 3), 6.0032)
    """
    if n < 2:
        raise ValueError(f"`n` must be at least 2; got {n}.")
    if not pts_per_period > 0:
        raise ValueError(f"`pts_per_period` must be positive; got {pts_per_period}.")
    if (np.asarray(transient) < 0).any():
        raise ValueError(f"`transient` must not be negative; got {transient}.")
    if (noise or measurement_noise) and key is None:
        raise ValueError("noise needs a `key`, for example jax.random.key(0).")
    if noise and not isinstance(system, Flow):
        raise ValueError("process noise is defined for flows; for others use `measurement_noise`.")
    if standardize == "stored" and (system.facts is None or system.facts.moments is None):
        raise ValueError('the system has no stored moments; use standardize="series".')
    attrs: dict[str, Any] = {
        "system": system_name(system),
        "n": n,
        "transient": np.asarray(transient).tolist(),
        "noise": noise,
    }
    lead = np.asarray(transient, float)
    with jax.enable_x64():
        if isinstance(system, Map):
            starts, single = _starts(system, initial)
            starts, lead, single = _pair(starts, lead, single)
            skipped = lead.astype(int)
            orbits = iterate_map(system, starts, int(skipped.max()) + n)
            states = np.stack([orbit[s : s + n] for orbit, s in zip(orbits, skipped, strict=True)])
            times = np.arange(1, n + 1)
            attrs["solver"] = "iteration"
        else:
            unit, source = time_unit(system, timescale)
            total = float(system.dt) * (n - 1) if timescale is None else unit * n / pts_per_period
            times = np.linspace(0.0, total, n)
            attrs |= {"timescale": str(timescale), "unit": unit, "pts_per_period": pts_per_period, **source}
            if isinstance(system, DelayFlow):
                pasts, single = _histories(system, initial)
                pasts, lead, single = _pair(pasts, lead * unit, single)
                states = solve_delay(system, pasts, times, lead)
                attrs["solver"] = f"method of steps, RK4, {system.intervals} steps per delay"
            else:
                starts, single = _starts(system, initial)
                starts, lead, single = _pair(starts, lead * unit, single)
                count = math.ceil(lead.max() / unit - 1e-9)
                before = np.broadcast_to(lead[:, None] / max(count, 1), (len(lead), count))
                gaps = np.concatenate([before, np.broadcast_to(np.diff(times), (len(lead), n - 1))], axis=1)
                if noise and key is not None:
                    keys = jr.split(named_key(key, "process noise"), len(starts))
                    states = solve_noisy(system, starts, gaps, noise, keys, unit / _NOISE_STEPS)
                    attrs["solver"] = f"Euler-Maruyama, {_NOISE_STEPS} steps per unit"
                else:
                    solver = default_solver(system) if solver is None else solver
                    states = solve_flow(solver, system, starts, gaps)
                    attrs["solver"] = str(solver)
                states = np.concatenate([starts[:, None], states], axis=1)[:, count:]
        shown = np.asarray(system.observe(states)) if not isinstance(system, DelayFlow) else states
    return _dataset(system, times, states, shown, single, standardize, measurement_noise, key, attrs)


def system_name(system: Any) -> str:
    """Name of a system in records: the catalogue's, or that of its class."""
    return type(system).__name__ if system.facts is None else system.facts.name


def time_unit(system: Flow | DelayFlow, timescale: str | None) -> tuple[float, dict[str, Any]]:
    """The unit of time of a granularity.

    Args:
        system: a flow or delay flow.
        timescale: "fourier", "lyapunov" or None.

    Returns:
        The unit, and where it comes from, as attributes.

    Raises:
        ValueError: if the time scale is unknown, or the system has none.
    """
    if timescale == "fourier" or timescale is None:
        if system.period is None and timescale:
            raise ValueError("the system has no `period`; give it one (see `dominant_period`) or use timescale=None.")
        return system.period or float(system.dt), {}
    if timescale != "lyapunov":
        raise ValueError(f'`timescale` must be "fourier", "lyapunov" or None; got {timescale!r}.')
    exponent, source = _known_exponent(system)
    if not exponent > 0:
        raise ValueError(f"{system_name(system)} has no positive exponent ({exponent:.3g}), so no Lyapunov time.")
    return 1 / exponent, {"exponent": exponent, "exponent_source": source}


def _known_exponent(system) -> tuple[float, str]:
    if "exponent" in system.invariants:
        return float(system.invariants["exponent"]), "computed"
    published = dict(system.facts.published) if is_as_catalogued(system) else {}
    if "lle" in published:
        return float(published["lle"]), "published lle"
    raise ValueError('no exponent is stored for this system and these parameters; use timescale="fourier".')


def _starts(system: Flow | Map, initial: Any) -> tuple[np.ndarray, bool]:
    start = np.asarray(system.initial if initial is None else initial, float)
    dim = np.shape(system.initial)[0]
    if start.ndim not in (1, 2) or start.shape[-1] != dim:
        raise ValueError(f"`initial` must have shape ({dim},) or (trajectories, {dim}); got {start.shape}.")
    return np.atleast_2d(start), start.ndim == 1


def _pair(starts: Any, lead: np.ndarray, single: bool) -> tuple[Any, np.ndarray, bool]:
    """One transient for each trajectory."""
    if lead.ndim == 0:
        return starts, np.full(len(starts), float(lead)), single
    if len(starts) == 1:
        starts = np.repeat(np.asarray(starts), len(lead), axis=0)
    if lead.shape != (len(starts),) or not len(lead):
        raise ValueError(f"`transient` must be a number or hold one for each of {len(starts)} trajectories.")
    return starts, lead, False


def _histories(system: DelayFlow, initial: Any) -> tuple[Array, bool]:
    if callable(initial):
        return _with_history(system, initial).past()[None], True
    if isinstance(initial, Sequence) and initial and callable(initial[0]):
        return jnp.stack([_with_history(system, h).past() for h in initial]), False
    if initial is None:
        return system.past()[None], True
    starts, single = _starts(system, initial)  # pyright: ignore[reportArgumentType]
    return jnp.stack([system.past(jnp.asarray(s)) for s in starts]), single


def _with_history(system: DelayFlow, history: Callable) -> DelayFlow:

    return dataclasses.replace(system, history=history)


def _dataset(system, times, states, shown, single, standardize, measurement_noise, key, attrs) -> xr.Dataset:
    complete = np.isfinite(states).all(axis=(1, 2))
    if not complete.all():
        warnings.warn(
            f"{attrs['system']}: {np.sum(~complete)} of {len(complete)} integrations stopped early; they are NaN from "
            "there on, and `complete` marks them.",
            RuntimeWarning,
            stacklevel=3,
        )
    if standardize == "stored":
        mean, std = (np.asarray(m) for m in system.facts.moments)
        shown = (shown - mean) / std
    elif standardize == "series":
        shown = (shown - shown.mean(axis=1, keepdims=True)) / shown.std(axis=1, keepdims=True)
    elif standardize is not None:
        raise ValueError(f'`standardize` must be "stored", "series" or None; got {standardize!r}.')
    if measurement_noise:
        with jax.enable_x64():
            draw = np.asarray(jr.normal(named_key(key, "measurement noise"), shown.shape))
        shown = shown + measurement_noise * np.nanstd(shown, axis=1, keepdims=True) * draw
    names = _coordinate_names(system, shown.shape[-1])
    axes = ("time", "coord") if single else ("time", "trajectory", "coord")
    rows = ("trajectory",)[: not single]
    pick = (lambda a: a[0]) if single else (lambda a: a)
    unit = "1" if isinstance(system, Map) else "system time"
    attrs |= {
        "standardize": str(standardize),
        "measurement_noise": measurement_noise,
        "incomplete": int(np.sum(~complete)),
    }
    if system.facts is not None:
        attrs["citation"] = system.facts.citation
    values = shown[0] if single else np.swapaxes(shown, 0, 1)
    if isinstance(system, DelayFlow):  # the first delay coordinates are the present
        states = states[..., : np.shape(system.initial)[-1]]
    dataset = xr.Dataset(
        {
            "x": (axes, values, {"long_name": "reported coordinates"}),
            "final_state": ((*rows, "state"), pick(states[:, -1]), {"long_name": "state at the last point"}),
            "complete": (rows, pick(complete), {"long_name": "whether the integration reached the end"}),
        },
        coords={"time": ("time", times, {"units": unit}), "coord": list(names)},
        attrs=attrs,
    )
    return dataset if single else dataset.assign_coords(trajectory=np.arange(len(states)))


def _coordinate_names(system, count: int) -> tuple[str, ...]:
    names = reported_names(system)
    if isinstance(system, DelayFlow) and system.embedding > 1:
        return tuple(f"{name}(t - {j}/{system.embedding - 1} tau)" for j in range(system.embedding) for name in names)
    return names if len(names) == count else tuple(f"y{i}" for i in range(count))
