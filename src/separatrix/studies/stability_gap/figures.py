"""Figures of the study."""

from collections.abc import Sequence

import numpy as np

from separatrix.continual.accuracy_trace import stability_gap
from separatrix.study.figures import PALETTE, NoData, curves, measured, panels

from .findings import trace
from .settings import OLD


def around_switch(arms: Sequence[str], before: int = 20, after: int = 80):
    """Draw the first task's accuracy around the first switch."""
    draw = curves("accuracy", arms=arms, select={"task": OLD})

    def window(ds):
        measured = [arm for arm in arms if "task_ends" in ds and arm in ds.arm]
        if not measured:
            raise NoData("none of these arms was measured")
        switch = int(ds.task_ends.sel(arm=measured[0]).isel(seed=0, task=OLD))
        return draw(ds.sel(arm=measured, step=slice(switch - before, switch + after)))

    return window


def seen_minimum(arm: str, periods: Sequence[int] = (1, 10, 50, 100)):
    """Draw min-ACC as it is found at several periods of evaluation, with its mean in figures."""

    def draw(ds):
        measured(ds, "accuracy", [arm])
        found = trace(ds, arm)
        minima = np.stack([found.thin(every).min_acc() for every in periods])
        figure, (axes,) = panels()
        axes.plot(minima, "o-", color=PALETTE[0], alpha=0.25, linewidth=0.7, markersize=3)
        axes.plot(minima.mean(1), "o-", color=PALETTE[0], linewidth=2)
        for i, mean in enumerate(minima.mean(1)):
            axes.annotate(f"{mean:.3f}", (i, mean), xytext=(0, -16), textcoords="offset points", ha="center")
        axes.set_xticks(range(len(periods)), [str(every) for every in periods])
        axes.set(xlabel="updates from one evaluation to the next", ylabel=f"min-ACC of {arm}", ylim=(-0.05, 1.05))
        return figure

    return draw


def depth_and_recovery(arms: Sequence[str]):
    """Draw how much of the gap at the first switch is made good against its depth, a dot a seed."""

    def draw(ds):
        here = measured(ds, "accuracy", arms)
        figure, (axes,) = panels()
        for arm in here:
            found = trace(ds, arm)
            gap = stability_gap(found, OLD, found.boundaries[1])
            label = f"{arm}: depth {gap.depth.mean():.2f}, recovery {gap.recovery.mean():.2f}"
            axes.plot(gap.depth, gap.recovery, "o", color=PALETTE[arms.index(arm)], label=label)
        axes.axline((0, 0), slope=1, color="0.7", linewidth=0.8)  # all made good
        axes.set(xlabel="depth of the gap", ylabel="final minus least accuracy")
        axes.legend(frameon=False, fontsize="small")
        return figure

    return draw
