"""Figures of the study."""

import numpy as np
from matplotlib.figure import Figure

from separatrix.study.figures import PALETTE, NoData

from .findings import medians, of


def gallery(ds) -> Figure:
    """Attractors of the systems."""
    if "orbit" not in ds:
        raise NoData("no orbits were sampled")
    orbit = of(ds, "periods", "orbit").isel(seed=0).dropna("timed", how="all")
    columns = min(4, orbit.sizes["timed"])
    rows = -(-orbit.sizes["timed"] // columns)
    figure = Figure(figsize=(2.2 * columns, 2.2 * rows), layout="constrained")
    for i, name in enumerate(orbit.timed.values):
        axes = figure.add_subplot(rows, columns, i + 1)
        x = orbit.sel(timed=name).values
        axes.plot(x[:, 0], x[:, 2] if np.isfinite(x[:, 2]).any() else x[:, 1], color=PALETTE[i % 8], linewidth=0.5)
        axes.set_title(str(name), fontsize="small")
        axes.set_axis_off()
    return figure


def error_against_chaos(ds) -> Figure:
    """Best error of each system over its exponent times period."""
    if "smape" not in ds:
        raise NoData("nothing was forecast")
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    best = of(ds, "forecasts", "smape").min("model").dropna("system", how="all")
    chaos = of(ds, "forecasts", "chaos").mean("seed").sel(system=best.system)
    low, middle, high = (best.quantile(q, "seed") for q in (0.0, 0.5, 1.0))
    axes.errorbar(
        chaos, middle, yerr=[middle - low, high - middle], fmt="o", color=PALETTE[0], markersize=4, linewidth=1
    )
    for name in best.system.values:
        axes.annotate(str(name), (float(chaos.sel(system=name)), float(middle.sel(system=name))), fontsize="x-small")
    axes.set(xlabel="largest exponent times period", ylabel="sMAPE of the best method")
    return figure


def bands(ds) -> Figure:
    """Errors of forecasts by method, over systems and seeds, and forecasts of one system."""
    if "smape" not in ds:
        raise NoData("nothing was forecast")
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    truth = of(ds, "forecasts", "truth").isel(seed=0, system=0)
    left.plot(truth.values, color=PALETTE[7], linewidth=2.5, label="what came")
    table = medians(ds).dropna("model", how="all")
    order = [str(m) for m in table.mean("seed").sortby(table.mean("seed")).model.values]
    guess = of(ds, "forecasts", "forecast").isel(seed=0, system=0)
    for i, name in enumerate(order[:3]):
        left.plot(guess.sel(model=name).values, color=PALETTE[i], label=name)
    left.set(xlabel="samples ahead", title=str(truth.system.values))
    left.legend(frameon=False, fontsize="small")
    spread = of(ds, "forecasts", "smape").stack(run=("seed", "system")).dropna("run")
    right.boxplot([spread.sel(model=m).values for m in order], orientation="horizontal", tick_labels=order)
    right.set(xlabel="sMAPE over systems and seeds")
    right.invert_yaxis()
    return figure


def published_ratio(ds) -> Figure:
    """How far published exponents are from ours."""
    if "log_ratio" not in ds:
        raise NoData("nothing was audited")
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes = figure.subplots()
    values = np.sort(of(ds, "audit", "log_ratio").mean("seed").dropna("audited").values)
    axes.plot(np.exp(values), np.arange(1, len(values) + 1) / len(values), color=PALETTE[0])
    axes.axvline(2, color=PALETTE[7], linestyle=":")
    axes.set(xscale="log", xlabel="factor between published and recomputed exponent", ylabel="share of systems")
    return figure
