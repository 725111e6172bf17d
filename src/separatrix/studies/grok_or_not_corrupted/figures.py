"""Figures of the study."""

import numpy as np
import xarray as xr

from separatrix.study.figures import PALETTE, measured, panels
from separatrix.training.phases import PHASES

REGULARISED = ["plain", "decay-5", "decay-15", "decay-20", "dropout", "batch-norm"]
DIAGRAMS = ["diagram-plain", "diagram-decay", "diagram-dropout", "diagram-batch-norm"]


def ipr_histogram(ds):
    """Distribution of the inverse participation ratio over the neurons of all seeds."""
    figure, (axes,) = panels(height=3.6)
    arms = measured(ds, "neuron_ipr", ["plain", "decay-5", "decay-15", "dropout", "batch-norm"])
    for colour, arm in zip(PALETTE, arms, strict=False):
        values = ds.neuron_ipr.sel(arm=arm).values.ravel()
        values = values[np.isfinite(values)]
        weights = np.full(len(values), 1 / max(1, len(values)))
        axes.hist(
            values, np.linspace(0, 1, 41), weights=weights, histtype="step", linewidth=1.8, color=colour, label=arm
        )
    axes.set(xlabel="inverse participation ratio of a neuron", ylabel="share of the neurons")
    axes.legend(frameon=False, fontsize="small")
    return figure


def pruning_curves(ds):
    """Accuracies over the pruned fraction, least periodic neurons first and most periodic first."""
    measured(ds, "pruned_test_accuracy", ["plain"])
    figure, row = panels(2, height=3.6, sharey=True)
    for axes, order in zip(row, ds.order.values, strict=True):
        for colour, part in zip(PALETTE, ("test", "train", "clean", "corrupted"), strict=False):
            curve = ds[f"pruned_{part}_accuracy"].sel(arm="plain", order=order).transpose("seed", "pruned")
            axes.plot(curve.pruned, curve.values.T, color=colour, alpha=0.25, linewidth=0.7)
            axes.plot(curve.pruned, curve.mean("seed"), color=colour, linewidth=2, label=part)
        axes.set(xlabel="pruned fraction of the neurons", title=str(order))
    row[0].set(ylabel="accuracy")
    row[1].legend(frameon=False, fontsize="small")
    return figure


def phase_map(ds):
    """Most frequent phase over the seeds, by training fraction and corruption."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    arms = measured(ds, "diagram_test_accuracy", DIAGRAMS)
    figure, row = panels(len(arms), height=3.6, sharey=True)
    colours = PALETTE[: len(PHASES)]
    for axes, arm in zip(row, arms, strict=True):
        found = ds.diagram_phase.sel(arm=arm)
        votes = xr.concat([(found == i).sum("seed") for i in range(len(PHASES))], "phase")
        found = votes.argmax("phase").transpose("train_fraction", "corruption")
        axes.pcolormesh(
            found.corruption,
            found.train_fraction,
            found.values,
            cmap=ListedColormap(colours),
            vmin=-0.5,
            vmax=len(PHASES) - 0.5,
            shading="nearest",
        )
        axes.set(xlabel="corrupted fraction", title=arm.removeprefix("diagram-"))
    row[0].set(ylabel="training fraction")
    handles = [Patch(color=colour, label=phase) for colour, phase in zip(colours, PHASES, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure
