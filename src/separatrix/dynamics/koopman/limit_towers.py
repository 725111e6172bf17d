"""Towers of limits: estimates over grids of parameters, as labelled arrays in which a wrong order of limits shows.

An estimate that depends on, say, the number of snapshots `M` and the size of the dictionary `N` may have both iterated
limits, and they may differ. A finite table has both: one in the corner where `M` is far beyond `N`, one in the other.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Tower", "iterated_limit"]


@dataclass(frozen=True)
class Tower:
    """An estimate with its parameters, outermost limit first.

    Attributes:
        estimate: called with one value a parameter, by name; returns a number or an array of fixed shape.
        axes: increasing values by parameter, in the order of the limits: the last one is taken first.
        name: of the estimate.
        attrs: units and the like.
    """

    estimate: Callable[..., Any]
    axes: Mapping[str, Sequence[float]]
    name: str = "estimate"
    attrs: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if not self.axes or any(len(v) < 1 or (np.diff(v) <= 0).any() for v in self.axes.values()):
            raise ValueError("`axes` must hold increasing values for at least one parameter.")

    def evaluate(self) -> "xr.DataArray":
        """Compute the table, the innermost parameter running fastest.

        Returns:
            Dimensions in the order of the axes, then `value_0, ...` for arrays; `attrs["limits"]` says the right order.

        Examples:
            >>> tower = Tower(lambda N, M: M / (M + N), {"N": [1, 2], "M": [1, 3]})
            >>> tower.evaluate().values.tolist()
            [[0.5, 0.75], [0.3333333333333333, 0.6]]
        """
        import xarray as xr

        names, sizes = list(self.axes), [len(v) for v in self.axes.values()]
        values = [
            np.asarray(self.estimate(**{n: self.axes[n][i] for n, i in zip(names, index, strict=True)}))
            for index in np.ndindex(*sizes)
        ]
        table = np.stack(values).reshape(*sizes, *values[0].shape)
        dims = [*names, *(f"value_{i}" for i in range(values[0].ndim))]
        order = " then ".join(f"{n} to infinity" for n in reversed(names))
        attrs = {**self.attrs, "limits": order}
        coords = {n: list(v) for n, v in self.axes.items()}
        return xr.DataArray(table, coords=coords, dims=dims, name=self.name, attrs=attrs)


def iterated_limit(table: "xr.DataArray", order: Sequence[str], reach: float = 10.0) -> float:
    """Value of a table under successive limits, read only where the inner parameter has outrun the outer ones.

    "First M, then N to infinity" means `M` far beyond `N`: the inner limit at an outer value counts only if the largest
    inner value is at least `reach` times the outer one. So the two orders read opposite corners of the table.

    Args:
        table: numbers over the parameters, by `Tower.evaluate`; parameters are counts on comparable scales.
        order: parameters in the order in which limits are taken, the innermost first; all dimensions of the table.
        reach: how far an inner parameter must be beyond an outer one.

    Returns:
        The value at the last outer parameters for which the inner ones go far enough, NaN if there are none.

    Raises:
        ValueError: if `order` does not name the dimensions.

    Examples:
        >>> counts = [1, 2, 4, 1000]
        >>> table = Tower(lambda N, M: M / (M + N), {"N": counts, "M": counts}).evaluate()
        >>> round(iterated_limit(table, ["M", "N"]), 3), round(iterated_limit(table, ["N", "M"]), 3)
        (0.996, 0.004)
    """
    if sorted(order) != sorted(map(str, table.dims)):
        raise ValueError(f"`order` must name the dimensions {tuple(map(str, table.dims))}; got {tuple(order)}.")
    for position, name in enumerate(order):
        at = table[name].where(table.notnull()).max(name)  # the last value that is known
        table = table.where(table[name] == at).sum(name, min_count=1)
        for outer in order[position + 1 :]:
            table = table.where(at >= reach * table[outer])
    return float(table)
