"""What a page needs to draw curves: the variables of a run, and one variable decimated to the width of the screen."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from separatrix.study.errors import UsageError, nearest

from .decimation import column_starts, column_summary, kept_points

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["CurveRequest", "curves_of", "numbers", "sliders", "variables_of"]

X = "step"
ACROSS = ("arm", "seed")
MAX_COLUMNS = 2_000
MAX_LABELS = 2_000
MEAN = "mean"


class CurveRequest(NamedTuple):
    """Which curves, and how finely.

    Attributes:
        variable: its name.
        arms: which arms; empty means all.
        at: position along each further dimension, "mean" for the average; the first by default.
        columns: pixel columns of the plot.
        scale: of the horizontal axis.
        window: the part of the horizontal axis that is seen.
        seeds: whether single seeds are wanted.
    """

    variable: str
    arms: tuple[str, ...] = ()
    at: tuple[tuple[str, str], ...] = ()
    columns: int = 600
    scale: Literal["linear", "log"] = "linear"
    window: tuple[float, float] | None = None
    seeds: bool = False


def variables_of(results: "xr.Dataset") -> list[dict[str, Any]]:
    """Describe the numeric variables of a run, without reading their values.

    Args:
        results: Dataset of the run.

    Returns:
        For each its `name`, `label`, `units`, `dims` with their labels, whether it has `curves`, and as `axes` the
        dimensions that a phase diagram can have: those with two or more numbers as labels.
    """
    found = []
    for name, variable in results.data_vars.items():
        if variable.dtype.kind not in "fiub":
            continue
        units = str(variable.attrs.get("units", "1"))
        axes = [
            str(dim)
            for dim in variable.dims
            if dim not in ("arm", "seed", X) and variable.sizes[dim] > 1 and _numeric(results, str(dim))
        ]
        axes.sort(key=lambda dim: results[dim].dtype.kind != "f")  # hyper-parameters before tasks and layers
        found.append(
            {
                "name": str(name),
                "label": str(variable.attrs.get("long_name", name)),
                "units": "" if units == "1" else units,
                "curves": X in variable.dims and variable.sizes[X] > 1,
                "axes": axes,
                "dims": sliders(results, variable),
                "arms": [str(arm) for arm in results["arm"].values] if "arm" in variable.dims else [],
            }
        )
    return found


def sliders(results: "xr.Dataset", variable: "xr.DataArray") -> list[dict[str, Any]]:
    """The dimensions of a variable with their labels; long ones have a number of labels only."""
    dims = []
    for dim in variable.dims:
        size = variable.sizes[dim]
        labels = results[dim].values.tolist() if dim in results.coords else list(range(size))
        short = size <= MAX_LABELS and dim != X
        dims.append({"name": str(dim), "size": size, "labels": [_label(v) for v in labels] if short else None})
    return dims


def _label(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _numeric(results: "xr.Dataset", dim: str) -> bool:
    return dim in results.coords and results[dim].dtype.kind in "fiu" and bool(np.isfinite(results[dim].values).all())


def pick(results: "xr.Dataset", name: str) -> "xr.DataArray":
    """Return a numeric variable.

    Args:
        results: Dataset of the run.
        name: of the variable.

    Raises:
        UsageError: if there is none of this name.
    """
    if name not in results.data_vars or results[name].dtype.kind not in "fiub":
        raise UsageError(f"there is no variable {name!r}{nearest(name, map(str, results.data_vars))}")
    return results[name]


def at_positions(array: "xr.DataArray", at: Mapping[str, str], keep: Sequence[str]) -> "xr.DataArray":
    """Fix the dimensions that are not drawn.

    Args:
        array: a variable.
        at: position by dimension, or "mean".
        keep: dimensions that stay.

    Returns:
        The variable with the dimensions `keep` only.

    Raises:
        UsageError: for a position that does not exist.
    """
    averaged = [dim for dim in array.dims if dim not in keep and at.get(str(dim)) == MEAN]
    fixed = {}
    for dim in array.dims:
        if dim in keep or dim in averaged:
            continue
        text = at.get(str(dim), "0")
        if not text.isascii() or not text.isdigit() or int(text) >= array.sizes[dim]:
            raise UsageError(f"{dim} has positions 0 to {array.sizes[dim] - 1}; got {text!r}")
        fixed[dim] = int(text)
    array = array.isel(fixed)
    return array.mean(averaged) if averaged else array


def curves_of(results: "xr.Dataset", request: CurveRequest) -> dict[str, Any]:
    """Read one variable, arm by arm, and decimate it.

    Args:
        results: Dataset of the run, lazy or not.
        request: what is wanted.

    Returns:
        Plain values: `label`, `units`, `points` (in the window, before decimation), `range` of all steps, and for each
        arm `mean` (`x`, `y`), `band` (`x`, `low`, `high`), `seeds` (each `seed`, `x`, `y`) and a `summary`.

    Raises:
        UsageError: if the variable, an arm or a position does not exist, or it has no steps.
    """
    variable = pick(results, request.variable)
    if X not in variable.dims:
        raise UsageError(f"{request.variable} has no dimension {X!r}, so there is no curve of it")
    columns = min(max(request.columns, 10), MAX_COLUMNS)
    steps = results[X].values if X in results.coords else np.arange(variable.sizes[X])
    part = _part(steps, request.window)
    x = steps[part].astype(float)
    starts = column_starts(x, columns, request.scale)
    names = [str(arm) for arm in results["arm"].values] if "arm" in variable.dims else [""]
    unknown = set(request.arms) - set(names)
    if unknown:
        raise UsageError(f"there is no arm {sorted(unknown)[0]!r}{nearest(sorted(unknown)[0], names)}")
    arms = []
    for position, name in enumerate(names):
        if request.arms and name not in request.arms:
            continue
        one = variable.isel(arm=position) if name else variable
        one = at_positions(one.isel({X: part}), dict(request.at), ("seed", X))
        if "seed" not in one.dims:
            one = one.expand_dims("seed")
        values = one.transpose("seed", X).values.astype(np.float64, copy=False)
        arm = _arm(values, x, starts, request.seeds, one)
        if arm is not None:
            arms.append({"arm": name or request.variable, **arm})
    units = str(variable.attrs.get("units", "1"))
    return {
        "variable": request.variable,
        "label": str(variable.attrs.get("long_name", request.variable)),
        "units": "" if units == "1" else units,
        "points": len(x),
        "range": numbers(steps[[0, -1]]) if len(steps) else [],
        "arms": arms,
    }


def _part(steps: np.ndarray, window: tuple[float, float] | None) -> slice:
    """The seen part of the steps with a point beyond each rim, so that lines run to the rim."""
    if window is None or not len(steps):
        return slice(0, len(steps))
    first, last = np.searchsorted(steps, window[0], "left"), np.searchsorted(steps, window[1], "right")
    first, last = max(0, int(first) - 1), min(len(steps), int(last) + 1)
    return slice(first, last) if last > first else slice(0, len(steps))


def _arm(values: np.ndarray, x: np.ndarray, starts: np.ndarray, with_seeds: bool, one: "xr.DataArray") -> Any:
    values = values.copy() if np.isinf(values).any() else values
    values[np.isinf(values)] = np.nan  # an overflow cannot be drawn; its step is left out
    count = (~np.isnan(values)).sum(axis=0)
    if not count.any():
        return None
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, np.nansum(values, axis=0) / np.maximum(count, 1), np.nan)
    low, high = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    kept = kept_points(mean, starts)
    found: dict[str, Any] = {"mean": {"x": numbers(x[kept]), "y": numbers(mean[kept])}}
    measured = values[~np.isnan(values).all(axis=1)]
    if len(measured) > 1:
        rims = column_summary(low, high, starts)
        solid = ~np.isnan(rims[0])
        found["band"] = {
            "x": numbers(x[starts][solid]),
            "low": numbers(rims[0][solid]),
            "high": numbers(rims[1][solid]),
        }
    if with_seeds:
        labels = np.atleast_1d(one["seed"].values) if "seed" in one.coords else np.arange(len(values))
        found["seeds"] = []
        for label, row in zip(labels.tolist(), values, strict=True):
            drawn = kept_points(row, starts)
            if len(drawn):
                found["seeds"].append({"seed": label, "x": numbers(x[drawn]), "y": numbers(row[drawn])})
    ends = mean[~np.isnan(mean)]
    found["summary"] = {
        "seeds": len(measured),
        "first": numbers(ends[:1])[0],
        "last": numbers(ends[-1:])[0],
        "least": numbers([np.nanmin(low)])[0],
        "most": numbers([np.nanmax(high)])[0],
    }
    return found


def numbers(values: Any) -> list[float | None]:
    """Six significant digits for JSON; what is not finite becomes null."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in np.asarray(values, float).tolist()]
