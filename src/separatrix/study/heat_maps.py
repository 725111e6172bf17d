"""Phase diagrams: a quantity over a grid of two hyper-parameters, with the boundary between regimes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .figures import NoData, Scale, _figure

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["heat_map"]


def heat_map(
    quantity: "Callable[[xr.Dataset], xr.DataArray]",
    x: str,
    y: str,
    *,
    boundary: float | None = None,
    colours: Scale = "linear",
    scale: Scale = "log",
    label: str = "",
    line: "xr.DataArray | None" = None,
) -> "Callable[[xr.Dataset], Figure]":
    """Draw the median over seeds of a quantity on a grid, and the line at which it takes a value.

    Cells without a finite value (a run that diverged, say) are left empty.

    Args:
        quantity: from a study's Dataset to an array with the dimensions `x`, `y` and perhaps `seed`; it may raise
            `KeyError` if what it needs was not measured.
        x: dimension of the horizontal axis, its labels numbers.
        y: dimension of the vertical axis.
        boundary: level of the line.
        colours: scale of the colours.
        scale: scale of both axes.
        label: of the colour bar.
        line: another quantity on the same grid, whose level 1/2 is drawn: the share of runs in a regime, say.

    Returns:
        A function for `Study.figures`; it raises `NoData` if there is no finite value.

    Example:
        >>> import xarray as xr
        >>> grid = {"alpha": [0.1, 1.0, 10.0], "rate": [0.5, 1.0]}
        >>> ds = xr.Dataset({"ratio": (("alpha", "rate"), np.array([[1.0, 1], [2, 2], [9, 9]]))}, grid)
        >>> figure = heat_map(lambda ds: ds.ratio, "alpha", "rate", boundary=3.0)(ds)
        >>> figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()
        ('alpha', 'rate')
    """

    def draw(ds: "xr.Dataset") -> "Figure":
        from matplotlib.colors import LogNorm, Normalize

        try:
            array = quantity(ds)
        except KeyError as error:
            raise NoData(f"not measured: {error.args[0] if error.args else error}") from None
        values = array.where(np.isfinite(array)).median([d for d in array.dims if d not in (x, y)], skipna=True)
        values = values.dropna(x, how="all").dropna(y, how="all").transpose(y, x)
        if not values.size:
            raise NoData("the quantity has no finite value")
        figure, axes = _figure()
        low, high = float(values.min()), float(values.max())
        norm = LogNorm if colours == "log" and low > 0 else Normalize
        across, up = (values[name].values.astype(float) for name in (x, y))
        edges = [_edges(labels, scale) for labels in (across, up)]
        mesh = axes.pcolormesh(*edges, values.values, cmap="viridis", norm=norm(low, high if high > low else low + 1))
        figure.colorbar(mesh, ax=axes, label=label)
        if boundary is not None and min(values.shape) > 1 and low < boundary < high:
            filled = np.ma.masked_invalid(values.values)
            axes.contour(across, up, filled, levels=[boundary], colors="white", linewidths=2)
        if line is not None and min(line.shape) > 1 and float(line.min()) < 0.5 < float(line.max()):
            axes.contour(line[x], line[y], line.transpose(y, x), levels=[0.5], colors="white", linewidths=2)
        axes.set(xscale=scale, yscale=scale, xlabel=x, ylabel=y)
        axes.grid(False)
        return figure

    return draw


def _edges(labels: np.ndarray, scale: Scale) -> np.ndarray:
    """Borders of the cells around labels: halfway between them on the axis's scale."""
    at = np.log(labels) if scale == "log" else labels
    if len(at) == 1:
        at = np.array([at[0] - 0.5, at[0] + 0.5])
    else:
        middle = (at[1:] + at[:-1]) / 2
        at = np.concatenate([[2 * at[0] - middle[0]], middle, [2 * at[-1] - middle[-1]]])
    return np.exp(at) if scale == "log" else at
