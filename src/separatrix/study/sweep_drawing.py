"""Pictures of a sweep: one variable of each arm over one or two of the axes."""

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UsageError, nearest
from .figures import NoData, _figure, save
from .heat_maps import heat_map
from .study import Study
from .sweep import Over

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["draw_sweep", "figures_of_sweep"]


def figures_of_sweep(
    study: Study, results: "xr.Dataset", over: Sequence[Over], variable: str | None = None
) -> "dict[tuple[str, str], Callable[[xr.Dataset], Figure]]":
    """Make a figure for each arm of a sweep: one variable at its last step over one or two of the axes.

    Args:
        study: the study, for its regimes: the boundary of the first one of an arm is drawn as a line.
        results: of the swept study.
        over: the axes; the first one or two of them are drawn, others averaged.
        variable: its name; by default the first that has the axes.

    Returns:
        `results -> Figure` by arm and variable.

    Raises:
        UsageError: if the variable was not measured over the axes.
    """
    names = [axis.name for axis in over]
    fitting = [str(name) for name, array in results.data_vars.items() if set(names) <= set(array.dims)]
    if variable is None and fitting:
        variable = next((name for name in fitting if name != "diverged_at"), fitting[0])
    if variable not in fitting:
        raise UsageError(f"there is no variable {variable!r} over {', '.join(names)}{nearest(variable or '', fitting)}")
    return {
        (str(arm), variable): functools.partial(_draw, study, arm=str(arm), variable=variable, over=over)
        for arm in results.arm.values
    }


def draw_sweep(study: Study, results: "xr.Dataset", over: Sequence[Over], variable: str | None, folder: Path):
    """Draw the figures of a sweep, a file an arm.

    Args:
        study: the study.
        results: of the swept study.
        over: the axes.
        variable: what to draw, as in `figures_of_sweep`.
        folder: where the files go.

    Returns:
        Paths of the pictures.

    Raises:
        UsageError: if the variable was not measured over the axes.
    """
    drawn = []
    for (arm, shown), draw in figures_of_sweep(study, results, over, variable).items():
        with contextlib.suppress(NoData):
            figure = draw(results)
            drawn.append(folder / f"{arm}-{shown}.png")
            save(figure, drawn[-1])
    return drawn


def _draw(study: Study, results: "xr.Dataset", arm: str, variable: str, over: Sequence[Over]) -> "Figure":
    one = results.sel(arm=arm)
    last = one[variable].dropna("step", how="all").isel(step=-1) if "step" in one[variable].dims else one[variable]
    if not last.notnull().any():
        raise NoData("not measured in this arm")
    label = str(one[variable].attrs.get("long_name", variable))
    regime = next((regime for regime in study.regimes.values() if regime.arm == arm), None)
    try:
        share = regime.inside(one).mean("seed") if regime else None
    except (KeyError, AttributeError):
        share = None
    if len(over) > 1 and all(isinstance(value, int | float) for axis in over[:2] for value in axis.values):
        scale = "log" if all(axis.log for axis in over[:2]) else "linear"
        boundary = (
            None if share is None else share.median([d for d in share.dims if d not in (over[0].name, over[1].name)])
        )
        return heat_map(lambda ds: last, over[0].name, over[1].name, scale=scale, label=label, line=boundary)(one)
    figure, axes = _figure()
    across = over[0]
    values = last.mean([d for d in last.dims if d not in (across.name, "seed")]).transpose(across.name, "seed")
    at = range(len(across.values)) if isinstance(across.values[0], str) else across.values
    axes.plot(at, values, "o", ms=3, alpha=0.5, color="C0")
    axes.plot(at, values.mean("seed"), color="C0")
    axes.set(xlabel=across.name, ylabel=label, xscale="log" if across.log else "linear")
    if isinstance(across.values[0], str):
        axes.set_xticks(list(at), across.values)
    return figure
