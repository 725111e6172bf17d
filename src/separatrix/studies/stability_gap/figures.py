"""Figures of the study."""

from collections.abc import Sequence

from separatrix.study.figures import NoData, curves

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
