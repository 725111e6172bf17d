"""Figures of the study."""

import numpy as np

from separatrix.study.effects import curve
from separatrix.study.figures import NoData, panels

from .findings import last
from .grid import GRID, LEVELS, MODELS, POINTS

__all__ = ["grid_table", "value_plane"]


def value_plane(arms: tuple[str, ...]):
    """Draw optimal and learned values over the plane of states, with the border of what the data cover."""

    def draw(ds):
        measured = [
            a for a in arms if "value_map" in ds and a in ds.arm and bool(ds.value_map.sel(arm=a).notnull().any())
        ]
        if not measured:
            raise NoData("no map of values was measured")
        pick = {"arm": measured[0], "seed": ds.seed[0]}
        maps = {"optimal": ds.true_map.sel(pick)}
        maps |= {arm: curve(ds, arm, "value_map").isel(step=-1, seed=0) for arm in measured}
        covered = ds.covered_map.sel(pick).transpose("velocity", "angle").values
        low = float(maps["optimal"].min())
        high = max(1.0, *(float(m.max()) for m in maps.values()))
        figure, places = panels(len(maps), width=3.0 * len(maps) + 0.8, height=3.2, sharey=True)
        image = None
        for axes, (name, values) in zip(places, maps.items(), strict=True):
            shown = values.transpose("velocity", "angle").values
            image = axes.pcolormesh(ds.angle, ds.velocity, shown, vmin=low, vmax=high, cmap="viridis")
            if 0 < covered.mean() < 1:
                axes.contour(ds.angle, ds.velocity, covered, levels=[0.5], colors="white", linewidths=0.8)
            axes.set(title=name, xlabel="angle [rad]")
        places[0].set_ylabel("angular velocity [rad/s]")
        assert image is not None
        figure.colorbar(image, ax=list(places), label="value")
        return figure

    return draw


def grid_table(ds):
    """Draw the mean score at every point of the grid that was measured."""
    here = {point: arm for point, arm in GRID.items() if "score" in ds and arm in ds.arm}
    scores = {point: float(last(ds, arm, "score").mean()) for point, arm in here.items()}
    if not any(np.isfinite(list(scores.values()))):
        raise NoData("no point of the grid was measured")
    rows = [(level, model) for level in LEVELS for model in MODELS]
    table = np.array([[scores.get((*row, *point), np.nan) for point in POINTS] for row in rows])
    figure, (axes,) = panels(width=6.0, height=3.0)
    image = axes.imshow(table, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        if np.isfinite(value):
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", color="white" if value < 60 else "black")
    axes.set_xticks(range(len(POINTS)), [f"k = {k}, N = {n}" for k, n in POINTS])
    axes.set_yticks(range(len(rows)), [f"{level} data, {model}" for level, model in rows])
    figure.colorbar(image, label="score [%]")
    return figure
