"""Figures of the study."""

import numpy as np

from separatrix.rl.reach import EDGE, WITHIN
from separatrix.study.effects import curve
from separatrix.study.figures import NoData, measured, panels

from .findings import last
from .grid import GRID, LEVELS, MODELS, POINTS, SHARES, cell

__all__ = ["box_plane", "grid_table", "mixture", "value_plane"]

IMPOSSIBLE, AT_EDGE, INSIDE = "#D55E00", "#CC79A7", "#FFFFFF"


def scatter_targets(axes, ds, arm: str):
    """Draw where the model transitions of the first seed end, those at the edge of reach large."""
    states = curve(ds, arm, "target_state").isel(step=-1, seed=0).transpose("target", "coordinate").values
    edge = curve(ds, arm, "target_edge").isel(step=-1, seed=0).values > 0
    axes.plot(*states[~edge].T, ".", ms=1, color=INSIDE, alpha=0.5, label="target within reach")
    axes.plot(*states[edge].T, "o", ms=3, color=AT_EDGE, mec="black", mew=0.3, label="target at the edge")


def value_plane(arms: tuple[str, ...]):
    """Draw optimal and learned values over the plane of states, the border of the data, and where rollouts end."""

    def draw(ds):
        import matplotlib as mpl

        here = measured(ds, "value_map", arms)
        pick = {"arm": here[0], "seed": ds.seed[0]}
        maps = {"optimal": ds.true_map.sel(pick)}
        maps |= {arm: curve(ds, arm, "value_map").isel(step=-1, seed=0) for arm in here}
        covered = ds.covered_map.sel(pick).transpose("velocity", "angle").values
        colours = mpl.colormaps["viridis"].with_extremes(over=IMPOSSIBLE)
        figure, places = panels(len(maps), width=2.7 * len(maps) + 1.0, height=3.6, sharey=True)
        image = None
        for axes, (name, values) in zip(places, maps.items(), strict=True):
            shown, low = values.transpose("velocity", "angle").values, float(maps["optimal"].min())
            image = axes.pcolormesh(ds.angle, ds.velocity, shown, vmin=low, vmax=0, cmap=colours, rasterized=True)
            if 0 < covered.mean() < 1:
                axes.contour(ds.angle, ds.velocity, covered, levels=[0.5], colors="black", linewidths=0.8)
            if name in here:
                scatter_targets(axes, ds, name)
            axes.set(title=name, xlabel="angle [rad]")
        places[0].set_ylabel("angular velocity [rad/s]")
        assert image is not None
        figure.colorbar(image, ax=list(places), label="value; above 0 it is impossible", extend="max")
        figure.legend(
            *places[-1].get_legend_handles_labels(),
            loc="outside lower center",
            ncols=2,
            markerscale=2,
            facecolor="#BBBBBB",
        )
        return figure

    return draw


def box_plane(ds):
    """Draw values and disagreement in the box world, the boxes that bound reach, and where rollouts end."""
    measured(ds, "box_value", ["box"])
    shown = {"value": curve(ds, "box", "box_value"), "spread of the critics": curve(ds, "box", "box_spread")}
    reach = ds.box_reach.sel(arm="box").isel(seed=0).transpose("y", "x").values
    figure, places = panels(2, width=8.4, height=4.0, sharey=True)
    for axes, (name, values) in zip(places, shown.items(), strict=True):
        plane = values.isel(step=-1, seed=0).transpose("y", "x").values
        image = axes.pcolormesh(ds.x, ds.y, plane, cmap="viridis", rasterized=True)
        axes.contour(ds.x, ds.y, reach, levels=[WITHIN + 0.5, EDGE + 0.5], colors=[INSIDE, AT_EDGE], linewidths=1.2)
        scatter_targets(axes, ds, "box")
        axes.set(title=name, xlabel="x", aspect="equal")
        figure.colorbar(image, ax=axes, label="reward")
    places[0].set_ylabel("y")
    figure.legend(
        *places[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, markerscale=2, facecolor="#BBBBBB"
    )
    return figure


def grid_table(ds):
    """Draw the mean score at every point of the grid that was measured."""
    here = {point: arm for point, arm in GRID.items() if "score" in ds and arm in ds.arm}
    scores = {point: float(last(ds, arm, "score").mean()) for point, arm in here.items()}
    if not any(np.isfinite(list(scores.values()))):
        raise NoData("no point of the grid was measured")
    rows = [(level, model) for level in LEVELS for model in MODELS]
    table = np.array([[scores.get((*row, *point), np.nan) for point in POINTS] for row in rows])
    figure, (axes,) = panels(width=7.0, height=3.4)
    image = axes.imshow(table, vmin=0, vmax=100, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(table):
        text = f"{value:.0f}" if np.isfinite(value) else "not run"
        axes.text(j, i, text, ha="center", va="center", color="white" if value < 60 else "black")
    axes.set_xticks(range(len(POINTS)), [f"k = {k}\nN = {n}" for k, n in POINTS])
    axes.set_yticks(range(len(rows)), [f"{level} data,\n{model} dynamics" for level, model in rows])
    figure.colorbar(image, label="score [%]")
    return figure


def mixture(ds):
    """Draw the final score, k = 5, by how far the model is on the way from a random one to the truth."""
    arms = {share: f"mix-{round(100 * share)}" for share in SHARES}
    arms = dict(sorted((arms | {0.5: cell("expert", "learned", 5, 2), 1.0: "k5-n2"}).items()))
    measured(ds, "score", [f"mix-{round(100 * share)}" for share in SHARES])
    scores = {share: last(ds, arm, "score").values for share, arm in arms.items() if arm in ds.arm}
    figure, (axes,) = panels(width=6.4, height=3.6)
    for share, values in scores.items():
        axes.plot(np.full(len(values), share), values, "o", ms=5, mew=0, alpha=0.5, color="#0072B2")
    axes.plot(list(scores), [np.nanmean(values) for values in scores.values()], color="#0072B2", lw=2, label="mean")
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["random\nmodel", "1/4", "learned\nmodel", "3/4", "true\ndynamics"])
    axes.set_ylabel("score [%], a dot a seed")
    axes.legend(frameon=False)
    return figure
