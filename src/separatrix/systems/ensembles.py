"""Many systems at once, and train/test sets of them."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from separatrix.systems.database import get
from separatrix.systems.sampling import simulate

__all__ = ["ensemble", "make_split"]


def ensemble(names: Iterable[str], n: int, *, workers: int | None = None, **options: Any) -> dict[str, xr.Dataset]:
    """Sample several systems of the catalogue.

    Systems are compiled side by side, which is where the time goes.

    Args:
        names: as in `catalogue`.
        n: number of points of each.
        workers: threads; as many as there are cores by default.
        **options: as for `simulate`.

    Returns:
        One Dataset a system. Incomplete integrations are marked in `complete` and counted in the attribute
        `incomplete`.

    Examples:
        >>> sorted(ensemble(["Lorenz", "Henon"], 20))
        ['Henon', 'Lorenz']
    """
    names = list(names)
    systems = [get(name) for name in names]  # unknown names fail before anything is computed
    workers = workers or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(workers) as pool:
        results = pool.map(lambda system: simulate(system, n, **options), systems)
        return dict(zip(names, results, strict=True))


def make_split(
    names: Sequence[str],
    pts_per_period: int = 15,
    periods: float = 12,
    seed: int = 0,
    *,
    apart: float = 20,
    spread: float = 50,
    **options: Any,
) -> xr.Dataset:
    """Train and test trajectories of several systems, from two initial states on each attractor.

    The initial states are two points of the trajectory from the stored initial state: the first after the system's
    transient and a random time of up to `spread` periods, the second at least `apart` periods after the end of the
    first series. The published sets have 12 periods at 15 or 100 points in a period; take the first coordinate for the
    univariate ones. `catalogue()`'s column `family` says which systems share their equations, for splits by system.

    Args:
        names: as in `catalogue`.
        pts_per_period: points in a dominant period.
        periods: length in dominant periods.
        seed: of the initial states.
        apart: periods between the two series at least.
        spread: periods over which the initial states scatter.
        **options: as for `simulate`, e.g. `noise` with `key`, `standardize`.

    Returns:
        `x (part, system, time, coord)`, filled up with NaN where a system has fewer coordinates than the largest; `t
        (system, time)` in the system's time; `dimension (system)`, the number of its coordinates; `complete (part,
        system)`.

    Examples:
        >>> split = make_split(["Lorenz", "HyperRossler"], periods=2)
        >>> dict(split.sizes) == {"part": 2, "system": 2, "time": 30, "coord": 4}
        True
    """
    n = round(pts_per_period * periods)
    generator = np.random.default_rng(seed)
    draws = {name: generator.uniform(0, spread, 2) for name in sorted(names)}

    def one(name: str) -> xr.Dataset:
        system = get(name)
        settle = system.facts.transient if system.facts else 30.0
        length = n if system.facts and system.facts.kind == "map" else periods
        first = settle + draws[name][0]
        second = first + length + apart + draws[name][1]
        return simulate(system, n, pts_per_period=pts_per_period, transient=[first, second], **options)

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        parts = list(pool.map(one, names))
    widest = max(part.sizes["coord"] for part in parts)
    x = np.full((2, len(names), n, widest), np.nan)
    for i, part in enumerate(parts):
        x[:, i, :, : part.sizes["coord"]] = np.moveaxis(part.x.values, 1, 0)
    attrs = {"pts_per_period": pts_per_period, "periods": periods, "seed": seed}
    attrs |= {"incomplete": int(sum(part.attrs["incomplete"] for part in parts))}
    attrs |= {name: str(value) for name, value in options.items()}
    return xr.Dataset(
        {
            "x": (("part", "system", "time", "coord"), x, {"long_name": "reported coordinates"}),
            "t": (("system", "time"), np.stack([p.time.values for p in parts]), {"units": "system time"}),
            "dimension": ("system", [part.sizes["coord"] for part in parts]),
            "complete": (("part", "system"), np.stack([part.complete.values for part in parts], axis=1)),
        },
        coords={"part": ["train", "test"], "system": list(names)},
        attrs=attrs,
    )
