"""Arms on dominant periods, and the series of all systems."""

import functools

import numpy as np

from separatrix.study.arms import generator, labelled
from separatrix.systems import dominant_period, get, simulate

from .settings import CYCLES, DENSE, STRETCH, Settings
from .side_by_side import side_by_side


@functools.lru_cache(maxsize=512)
def _series(name: str, transients: tuple[float, ...], length: int):
    """Reported coordinates `(seed, time, coord)` of a system, 60 points a period, from points on the attractor."""
    system = get(name)
    settle = system.facts.transient if system.facts else 30.0
    data = simulate(system, DENSE * length, pts_per_period=DENSE, transient=[settle + t for t in transients])
    return np.moveaxis(data.x.values, 1, 0), data.time.values


def all_series(s: Settings, keys, names) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Series of several systems, different for each seed."""
    leads = {n: tuple(float(generator(k, f"transient of {n}").uniform(0, 50)) for k in keys) for n in names}
    return side_by_side(lambda n: _series(n, leads[n], s.length), names)


def periods(s: Settings, keys):
    """Dominant periods from stretches of 32 stored periods, as published, and the cycles in twelve of them."""
    found = all_series(s, keys, s.systems)
    ratio, cycles, shown = [], [], []
    for name in s.systems:
        x, t = found[name]
        step, stretch = t[1] - t[0], min(STRETCH, s.length) * DENSE
        parts = [[row[i : i + stretch] for i in range(0, len(row) - stretch + 1, stretch)] for row in x]
        estimates = [[dominant_period(part, step, n_surrogates=1).period for part in row] for row in parts]
        ratio.append([np.median(row) / get(name).period for row in estimates])  # pyright: ignore
        cycles.append([_cycles(row[: CYCLES * DENSE]) for row in x])
        shown.append(np.stack([row[:: max(1, DENSE // 30), :3] for row in x])[:, :600])
    widest = [np.pad(a, ((0, 0), (0, 0), (0, 3 - a.shape[2])), constant_values=np.nan) for a in shown]
    return labelled(
        {
            "period_ratio": (["system"], np.transpose(ratio), "recomputed over stored period"),
            "cycles": (["system"], np.transpose(cycles), "cycles in twelve stored periods"),
            "orbit": (["system", "time", "coord"], np.stack(widest, axis=1), "coordinates"),
        },
        system=list(s.systems),
        coord=[0, 1, 2],
    )


def _cycles(x: np.ndarray) -> float:
    """Cycles of the strongest line, median over coordinates."""
    window = np.hanning(len(x))[:, None]
    power = np.abs(np.fft.rfft(window * (x - x.mean(axis=0)), n=8 * len(x), axis=0)) ** 2
    return float(np.median(power[8:].argmax(axis=0) + 8) / 8)
