"""Curves of one arm, told apart by variable and by the labels of a swept hyper-parameter."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import PALETTE, NoData, Scale, _figure, _label

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["grid_curves"]

_STYLES = ("-", "--", ":", "-.")


def grid_curves(
    *variables: str,
    arm: str,
    dim: str | None = None,
    where: "Mapping[str, Callable[[list[Any]], Any]] | None" = None,
    x: Scale = "log",
    y: Scale = "linear",
) -> "Callable[[xr.Dataset], Figure]":
    """Draw variables of one arm over steps, the median over seeds with its range.

    Args:
        variables: names; each has a line style (and without `dim`, or at one label of it, a colour).
        arm: which arm.
        dim: swept dimension; each label at which the arm has values gets a colour.
        where: reduces the labels of a dimension, those at which the arm has values, to the one that is drawn: `min`,
            say. Dimensions in neither are averaged.
        x: scale of the steps.
        y: scale of the values.

    Returns:
        A function for `Study.figures`; it raises `NoData` if nothing of this was measured.

    Example:
        >>> import xarray as xr
        >>> axes = {"arm": ["sgd"], "alpha": [0.1, 1.0], "seed": [0], "step": [1, 2, 4]}
        >>> loss = xr.DataArray(np.ones((1, 2, 1, 3)), axes, ("arm", "alpha", "seed", "step"))
        >>> figure = grid_curves("train", "test", arm="sgd", dim="alpha")(xr.Dataset({"train": loss, "test": loss / 2}))
        >>> len(figure.axes[0].get_legend().get_texts())
        4
    """

    def draw(ds: "xr.Dataset") -> "Figure":
        figure, axes = _figure()
        drawn = 0
        for i, name in enumerate(variables):
            if name not in ds or arm not in ds["arm"].values:
                continue
            array = ds[name].sel(arm=arm).dropna("step", how="all")
            for other, choose in (where or {}).items():
                if other in array.dims:
                    array = array.sel({other: choose(_measured(array, other))})
            labels = _measured(array, dim) if dim is not None and dim in array.dims else [None]
            for j, label in enumerate(labels):
                one = array if label is None else array.sel({dim: label})
                one = one.mean([d for d in one.dims if d not in ("seed", "step")]).transpose("seed", "step")
                if not np.isfinite(one.values).any():
                    continue
                colour = PALETTE[(j if len(labels) > 1 else i) % len(PALETTE)]
                text = _label(ds, name) + ("" if label is None else f", {dim} = {label:g}")
                middle = one.median("seed")
                axes.plot(one["step"], middle, _STYLES[i % len(_STYLES)], color=colour, linewidth=2, label=text)
                if one.sizes["seed"] > 1:
                    axes.fill_between(one["step"], one.min("seed"), one.max("seed"), color=colour, alpha=0.12, lw=0)
                drawn += 1
        if not drawn:
            raise NoData(f"{', '.join(variables)} was not measured in {arm}")
        axes.set(xscale=x, yscale=y, xlabel="step")
        axes.legend(frameon=False, fontsize="small")
        return figure

    return draw


def _measured(array: "xr.DataArray", dim: str) -> list[Any]:
    """Labels of a dimension at which there is a value."""
    return array[dim].values[array.notnull().any([d for d in array.dims if d != dim]).values].tolist()
