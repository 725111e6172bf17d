"""Phase diagrams: a plane of one variable, the others fixed, and the boundaries that `separatrix map` traced."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from separatrix.study.errors import UsageError
from separatrix.study.files import StoreError

from .curve_data import X, at_positions, numbers, pick, variables_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["map_of", "phase_of"]

MAX_SIDE = 400


def phase_of(results: "xr.Dataset", name: str, x: str, y: str, at: Mapping[str, str]) -> dict[str, Any]:
    """Read a plane of a variable.

    Args:
        results: Dataset of the run, lazy or not.
        name: of the variable.
        x: dimension of the horizontal axis.
        y: of the vertical one.
        at: position by further dimension, "mean" for the average; by default the last measured step and mean seed.

    Returns:
        Plain values: labels `x` and `y`, rows `z` (null where nothing was measured), the scales of the axes, `label`,
        `units`, and the `shape` before thinning to 400 a side.

    Raises:
        UsageError: if there is no such plane.
    """
    variable = pick(results, name)
    about = next(v for v in variables_of(results) if v["name"] == name)
    if x == y or x not in about["axes"] or y not in about["axes"]:
        raise UsageError(f"{name} has the axes {', '.join(about['axes']) or 'none'}; choose two of them")
    chosen = {"seed": "mean", **({X: str(variable.sizes[X] - 1)} if X in variable.dims else {}), **at}
    thin = {dim: _thinned(variable.sizes[dim]) for dim in (x, y)}
    if X in variable.dims and X not in at:
        over_steps = at_positions(variable.isel(thin), chosen, (x, y, X))
        measured = np.flatnonzero(over_steps.notnull().any([x, y]).values)
        chosen[X] = str(measured[-1]) if len(measured) else chosen[X]
    plane = at_positions(variable.isel(thin), chosen, (x, y)).transpose(y, x)
    across, up = (results[dim].values[thin[dim]].astype(float) for dim in (x, y))
    columns, rows = np.argsort(across), np.argsort(up)
    values = plane.values.astype(float)[np.ix_(rows, columns)]
    units = str(variable.attrs.get("units", "1"))
    fixed = {str(d): chosen.get(str(d), "0") for d in variable.dims if d not in (x, y)}
    named = {d: str(results[d].values[int(at)]) for d, at in fixed.items() if at != "mean" and d in results.coords}
    return {
        "variable": name,
        "at": {**fixed, **named},
        "position": int(chosen[X]) if X in variable.dims else None,
        "label": about["label"],
        "units": "" if units == "1" else units,
        "x": numbers(across[columns]),
        "y": numbers(up[rows]),
        "x_label": x,
        "y_label": y,
        "x_scale": _scale(across[columns]),
        "y_scale": _scale(up[rows]),
        "z": [numbers(row) for row in values],
        "shape": [variable.sizes[y], variable.sizes[x]],
    }


def _thinned(size: int) -> np.ndarray:
    return np.unique(np.linspace(0, size - 1, min(size, MAX_SIDE)).round().astype(int))


def _scale(values: np.ndarray) -> str:
    """Logarithmic if the labels are positive and grow by factors rather than by steps."""
    if len(values) < 3 or values[0] <= 0:
        return "linear"
    steps, factors = np.diff(values), np.diff(np.log(values))
    return "log" if factors.std() / factors.mean() < steps.std() / steps.mean() else "linear"


def map_of(path: Path, at: int | None = None) -> dict[str, Any]:
    """Read a traced boundary.

    Args:
        path: of a `map.nc`.
        at: position along the third axis, the middle by default.

    Returns:
        Plain values: `claim`, `axes` (each `name`, `values`, `scale`), `inside` as rows of 1, 0 and null (the share of
        runs at the points of a map in one dimension), the outlines of the boundary's cells as `cells`, `runs` and
        `uniform_runs`.

    Raises:
        StoreError: if the file is not such a map.
        UsageError: for a position that does not exist.
    """
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="scipy") as lazy:
            found = lazy.load()
        names = [str(dim) for dim in found["inside"].dims]
        axes = [
            {"name": name, "values": numbers(found[name].values), "scale": _scale(found[name].values)} for name in names
        ]
        cells = {f"{n}_{end}": numbers(found[f"{n}_{end}"].values) for n in names for end in ("low", "high")}
        about = {key: found.attrs.get(key) for key in ("claim", "study", "regime", "runs", "uniform_runs", "level")}
        points = {"x": numbers(found[f"{names[0]}_at"].values), "fraction": numbers(found["fraction"].values)}
    except Exception as error:  # any kind of error, as the file may be anything
        raise StoreError(f"{path} is not a map that can be read ({type(error).__name__}); trace it again") from error
    inside, slice_at = found["inside"].values.astype(float), None
    if len(names) == 3:
        slice_at = len(found[names[2]]) // 2 if at is None else at
        if not 0 <= slice_at < len(found[names[2]]):
            raise UsageError(f"{names[2]} has positions 0 to {len(found[names[2]]) - 1}; got {slice_at}")
        inside = inside[..., slice_at]
    rows = [numbers(row) for row in inside.T] if inside.ndim == 2 else [numbers(inside)]
    plain = {key: getattr(value, "tolist", lambda value=value: value)() for key, value in about.items()}
    return {**plain, "axes": axes, "inside": rows, "cells": cells, "points": points, "at": slice_at}
