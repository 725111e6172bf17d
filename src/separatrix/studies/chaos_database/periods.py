"""Arms on dominant periods, and the series of all systems."""

import functools
import warnings

import numpy as np

from separatrix.study.arms import generator, labelled
from separatrix.systems import dominant_period, get, simulate

from .settings import CYCLES, DENSE, STRETCH, Settings
from .side_by_side import side_by_side


@functools.lru_cache(maxsize=512)
def _series(name: str, transients: tuple[float, ...], length: int):
    """Reported coordinates `(seed, time, coord)` of a system, 60 points a period, from points on the attractor."""
    system = get(name)
    data = simulate(system, DENSE * length, pts_per_period=DENSE, transient=[_settled(system) + t for t in transients])
    return np.moveaxis(data.x.values, 1, 0), data.time.values


def _settled(system) -> float:
    return system.facts.transient if system.facts else 30.0


def all_series(s: Settings, keys, names) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Series of several systems, different for each seed."""
    leads = {n: tuple(float(generator(k, f"transient of {n}").uniform(0, 50)) for k in keys) for n in names}
    return side_by_side(lambda n: _series(n, leads[n], s.length), names)


def _stretches(s: Settings, keys, name: str):
    """Stretches of 32 stored periods `(seed, stretch, time, coord)`, each from its own initial state, and their step.

    A seed draws the initial states around the stored one, and how long each runs before its stretch begins.
    """
    system = get(name)
    start = np.asarray(system.initial, float)
    rows, leads = [], []
    for key in keys:
        rng = generator(key, f"stretches of {name}")
        rows.append(start * (1 + 1e-3 * rng.normal(size=(s.stretches, len(start)))))
        leads.append(_settled(system) + rng.uniform(0, 50, s.stretches))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # some orbits of Sakarya escape; they count as missing
        data = simulate(
            system,
            DENSE * STRETCH,
            pts_per_period=DENSE,
            initial=np.concatenate(rows),
            transient=np.concatenate(leads).tolist(),
        )
    x = np.moveaxis(data.x.values, 1, 0)
    return x.reshape(len(keys), s.stretches, *x.shape[1:]), float(data.time[1] - data.time[0])


def periods(s: Settings, keys):
    """Dominant periods from stretches of 32 stored periods, as published, and the cycles in twelve of them."""
    found = side_by_side(lambda n: _stretches(s, keys, n), s.timed)
    ratio, cycles, shown = [], [], []
    for name in s.timed:
        x, step = found[name]
        kept = [[part for part in row if np.isfinite(part).all()] for row in x]
        estimates = [[dominant_period(part, step, n_surrogates=1).period for part in row] for row in kept]
        ratio.append([_median(row) / get(name).period for row in estimates])  # pyright: ignore
        cycles.append([_median([_cycles(part[: CYCLES * DENSE]) for part in row]) for row in kept])
        shown.append(x[:, 0, :: max(1, DENSE // 30), :3][:, :600])
    widest = [np.pad(a, ((0, 0), (0, 0), (0, 3 - a.shape[2])), constant_values=np.nan) for a in shown]
    return labelled(
        {
            "period_ratio": (["timed"], np.transpose(ratio), "recomputed over stored period"),
            "cycles": (["timed"], np.transpose(cycles), "cycles in twelve stored periods"),
            "orbit": (["timed", "time", "coord"], np.stack(widest, axis=1), "coordinates"),
        },
        timed=list(s.timed),
        coord=[0, 1, 2],
    )


def _median(values: list[float]) -> float:
    return float(np.median(values)) if values else np.nan


def _cycles(x: np.ndarray) -> float:
    """Cycles of the strongest line, median over coordinates."""
    window = np.hanning(len(x))[:, None]
    power = np.abs(np.fft.rfft(window * (x - x.mean(axis=0)), n=8 * len(x), axis=0)) ** 2
    return float(np.median(power[8:].argmax(axis=0) + 8) / 8)
