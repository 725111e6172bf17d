"""Figures of a swept hyper-parameter: the last value of a variable along a dimension, with reference lines."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .figures import PALETTE, NoData, Scale, _figure, _label, _present

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["along"]


def along(
    variable: str | Sequence[str],
    dim: str,
    *,
    arms: Sequence[str] | None = None,
    x: Scale = "log",
    y: Scale = "log",
    reference: Mapping[str, Callable[[np.ndarray], np.ndarray]] | None = None,
) -> "Callable[[xr.Dataset], Figure]":
    """Draw the last measured value of a variable against the labels of a dimension: every seed, and their mean.

    Args:
        variable: its name, or several names to compare; dimensions other than `dim`, `seed` and `step` are averaged.
        dim: the dimension, a swept setting with numbers as labels.
        arms: which arms, in the order of their colours; all by default. Arms without data are left out.
        x: scale of the labels.
        y: scale of the variable.
        reference: dashed lines by caption, each a function of the labels.

    Returns:
        A function for `Study.figures`; it raises `NoData` if nothing of this was measured.

    Example:
        >>> import xarray as xr
        >>> labels = {"arm": ["sgd"], "rate": [0.1, 1.0]}
        >>> ds = xr.Dataset({"loss": (("arm", "rate", "seed"), np.ones((1, 2, 3)))}, labels)
        >>> figure = along("loss", "rate", reference={"1 / rate": lambda rate: 1 / rate})(ds)
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['sgd', '1 / rate']
    """
    names = [variable] if isinstance(variable, str) else list(variable)

    def draw(ds: "xr.Dataset") -> "Figure":
        figure, axes = _figure()
        drawn: list[np.ndarray] = []
        for name in names:
            present = _present(ds, name)
            for arm in present if arms is None else arms:
                if arm not in present:
                    continue
                labels, values = _last(ds[name].sel(arm=arm), dim)
                colour = PALETTE[len(drawn) % len(PALETTE)]
                label = arm if len(names) == 1 else f"{_label(ds, name)} ({arm})"
                axes.plot(labels, values.T, ".", color=colour, alpha=0.35, markersize=5)
                axes.plot(labels, values.mean(axis=0), "-o", color=colour, linewidth=2, markersize=4, label=label)
                drawn.append(labels)
        if not drawn:
            raise NoData(f"{', '.join(names)} was not measured in {', '.join(arms) if arms else 'any arm'}")
        span = np.unique(np.concatenate(drawn))
        for caption, line in (reference or {}).items():
            axes.plot(span, line(span), "--", color=PALETTE[-1], linewidth=1.5, label=caption)
        title = _label(ds, dim) if dim in ds and ds[dim].attrs else dim.replace("_", " ")
        axes.set(xscale=x, yscale=y, xlabel=title, ylabel=_label(ds, names[0]) if len(names) == 1 else "")
        axes.legend(frameon=False, fontsize="small")
        return figure

    return draw


def _last(curve: "xr.DataArray", dim: str) -> tuple[np.ndarray, np.ndarray]:
    """Labels of a dimension and the last values there, shape `(seeds, labels)`."""
    if "step" in curve.dims:
        curve = curve.dropna("step", how="all").isel(step=-1)
    curve = curve.mean([d for d in curve.dims if d not in ("seed", dim)]).dropna(dim, how="all")
    return curve[dim].values, curve.transpose("seed", dim).values
