"""Figures of the study."""

import numpy as np
import xarray as xr

from separatrix.study.figures import PALETTE, NoData

SHOWN = {
    "no-forcing": "no forcing",
    "gtf-0.1": "strength 0.1",
    "gtf-0.3": "strength 0.3",
    "full-forcing": "full forcing",
    "adaptive": "adaptive",
}


def shown(ds, variable: str) -> dict[str, xr.DataArray]:
    """The first seed of the arms that were run, by caption; the test series, where there is one, first."""
    found = {}
    for arm, caption in SHOWN.items():
        if variable in ds and arm in ds.arm.values:
            if f"true_{variable}" in ds and not found:
                found["test series"] = ds[f"true_{variable}"].sel(arm=arm).isel(seed=0)
            found[caption] = ds[variable].sel(arm=arm).isel(seed=0)
    found = {caption: values for caption, values in found.items() if bool(values.notnull().any())}
    if not found:
        raise NoData(f"{variable} was not measured")
    return found


def attractors(ds):
    """Draw the true attractor beside generated ones."""
    from matplotlib.figure import Figure

    panels = shown(ds, "attractor")
    figure = Figure(figsize=(2.1 * len(panels), 2.3), layout="constrained")
    for i, (caption, values) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), i + 1)
        x = values.transpose("point", "coordinate").values
        axes.plot(x[:, 0], x[:, 2], color=PALETTE[i % len(PALETTE)], linewidth=0.5)
        axes.set(xlim=(-3, 3), ylim=(-3, 3), title=caption, xticks=[], yticks=[])
    return figure


def spectra(ds):
    """Draw power spectra of the first variable."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for colour, (caption, values) in zip(PALETTE, shown(ds, "spectrum").items(), strict=False):
        axes.plot(np.linspace(0, 0.1, values.size), values.values, color=colour, label=caption)
    axes.set(yscale="log", xlabel="frequency (cycles per sample)", ylabel="share of the power")
    axes.legend(frameon=False, fontsize="small")
    return figure
