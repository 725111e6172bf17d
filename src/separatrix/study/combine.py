"""All cells of a run as one labelled Dataset.

Every data variable of the result has the dimensions `(arm, *grid, seed, *its own)`: cells of an arm are placed along
`seed` and the static grid, arms along `arm`, and the labels of other dimensions (`step`, `layer`, ...) are united. What
no cell measured is NaN; integers and booleans become float64 where, and only where, something is missing, because -1
and False mean something else in many variables; missing strings are empty. A variable without `seed` in its cell is
repeated for the cell's seeds, and an arm without one of the grid's keys does not depend on it and is repeated along it.

The joins are written in NumPy, since `xarray.concat` needs minutes for thousands of cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from separatrix.study.codec import Array, Cell
from separatrix.study.files import StoreError
from separatrix.study.identity import canonical_json

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["VARIES", "combine"]

VARIES = "varies between cells"

Index = slice | np.ndarray


class _Place(NamedTuple):
    """Where a cell goes: its slot along arm and grid, its seeds in the result, and which of its own seeds these are."""

    slot: tuple[int | slice, ...]
    seeds: Index
    kept: Index


def combine(cells: Sequence[Cell]) -> xr.Dataset:
    """Join cells.

    Args:
        cells: cells of one run. Arms and unsortable labels keep the order of their first appearance; seeds and numeric
            labels are sorted. Where two cells hold the same seed of the same arm and grid point, the first one counts,
            and the attribute `overlapping_cells` names the other.

    Returns:
        The Dataset, on arrays of its own. An attribute that differs between cells reads "varies between cells".

    Raises:
        StoreError: if the labels or dtypes of the cells cannot be joined.
    """
    import xarray as xr

    if not cells:
        return xr.Dataset()
    grid = _grid(cells)
    seeds = np.unique(np.concatenate([cell.coords["seed"].values for cell in cells]))
    outer = {"arm": np.array(list(dict.fromkeys(cell.identity["arm"] for cell in cells)), dtype=np.str_), **grid}
    places, overlapping = _places(cells, outer, seeds)
    inner, labelled = _inner_labels(cells)
    at = {dim: [_positions(_labels(cell, dim), labels) for cell in cells] for dim, labels in inner.items()}

    join = _Join(cells, places, at, {dim: len(labels) for dim, labels in {**outer, "seed": seeds, **inner}.items()})
    variables = {name: join.variable(name, _column(cells, name)) for name in _names(cell.variables for cell in cells)}
    coords: dict[str, Any] = {dim: (dim, labels, join.attrs(dim)) for dim, labels in outer.items()}
    coords["seed"] = ("seed", seeds, join.attrs("seed"))
    coords |= {dim: (dim, inner[dim], join.attrs(dim)) for dim in inner if dim in labelled}
    for name in _names(cell.coords for cell in cells):
        if name not in coords:
            column = _column(cells, name)
            coords[name] = column[0] if _shared(column, inner) else join.variable(name, column)
    attrs = _common_attrs([cell.attrs for cell in cells])
    if overlapping:
        attrs["overlapping_cells"] = ", ".join(overlapping)
    return xr.Dataset(variables, coords, attrs)


def _names(groups: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(name for group in groups for name in group))


def _column(cells: Sequence[Cell], name: str) -> list[Array | None]:
    """One variable or coordinate across all cells; None where a cell lacks it."""
    return [cell.variables.get(name) or cell.coords.get(name) for cell in cells]


def _grid(cells: Sequence[Cell]) -> dict[str, np.ndarray]:
    """Labels of the static grid: sorted if they are numbers, else in order of appearance."""
    grid = {}
    for key in _names(cell.identity.get("point", {}) for cell in cells):
        values = [cell.identity["point"][key] for cell in cells if key in cell.identity.get("point", {})]
        grid[key] = _unite([np.array([_label(value) for value in values])])
    return grid


def _label(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | float) else canonical_json(value)


def _places(
    cells: Sequence[Cell], outer: dict[str, np.ndarray], seeds: np.ndarray
) -> tuple[list[_Place | None], list[str]]:
    """The place of each cell, None if all of it is taken; and the ids of the cells that meet an occupied place."""
    find = {dim: {label: i for i, label in enumerate(labels.tolist())} for dim, labels in outer.items()}
    texts = {dim for dim, labels in outer.items() if labels.dtype.kind == "U"}
    taken = np.zeros((*(len(labels) for labels in outer.values()), len(seeds)), dtype=bool)
    places, overlapping = [], []
    for cell in cells:
        where = {**cell.identity.get("point", {}), "arm": cell.identity["arm"]}
        slot = tuple(
            find[dim][str(_label(where[dim])) if dim in texts else where[dim]] if dim in where else slice(None)
            for dim in outer
        )
        target = np.searchsorted(seeds, cell.coords["seed"].values)
        row = taken[slot]
        occupied = row[..., target].reshape(-1, len(target)).any(0)
        row[..., target] = True
        if occupied.any():
            overlapping.append(str(cell.header.get("cell", cell.identity["arm"])))
        kept = np.flatnonzero(~occupied)
        places.append(_Place(slot, _as_slice(target[kept]), _as_slice(kept)) if len(kept) else None)
    return places, overlapping


def _inner_labels(cells: Sequence[Cell]) -> tuple[dict[str, np.ndarray], set[str]]:
    """United labels of every dimension within the cells but `seed`, and the dimensions whose labels are stored."""
    gathered: dict[str, list[np.ndarray]] = {}
    labelled = set()
    for cell in cells:
        sizes = {
            dim: size
            for array in (*cell.variables.values(), *cell.coords.values())
            for dim, size in zip(array.dims, array.values.shape, strict=True)
            if dim != "seed"
        }
        for dim in sizes:
            if dim in cell.coords:
                labelled.add(dim)
            labels = cell.coords[dim].values if dim in cell.coords else np.arange(sizes[dim])
            known = gathered.setdefault(dim, [])
            if not known or not np.array_equal(known[-1], labels):
                known.append(labels)
    inner = {}
    for dim, known in gathered.items():
        if len(known) > 1 and any(len(np.unique(labels)) < len(labels) for labels in known):
            raise StoreError(f"the labels of {dim} repeat within a cell and differ between cells; make them unique")
        inner[dim] = known[0] if len(known) == 1 else _unite(known)
    return inner, labelled


def _labels(cell: Cell, dim: str) -> np.ndarray | None:
    """Labels of one dimension in one cell, a count if it has none; None if the cell lacks the dimension."""
    if dim in cell.coords:
        return cell.coords[dim].values
    for array in (*cell.variables.values(), *cell.coords.values()):
        if dim in array.dims:
            return np.arange(array.values.shape[array.dims.index(dim)])
    return None


def _unite(known: Sequence[np.ndarray]) -> np.ndarray:
    everything = np.concatenate([labels.astype(np.str_) if _mixed(known) else labels for labels in known])
    if everything.dtype.kind in "US":
        return np.array(list(dict.fromkeys(everything.tolist())))
    return np.unique(everything)


def _mixed(known: Sequence[np.ndarray]) -> bool:
    return len({labels.dtype.kind in "US" for labels in known}) > 1


def _positions(labels: np.ndarray | None, united: np.ndarray) -> Index | None:
    if labels is None:
        return None
    if len(labels) == len(united) and (labels is united or np.array_equal(labels, united)):
        return slice(0, len(united))
    if united.dtype.kind in "US":
        find = {label: i for i, label in enumerate(united.tolist())}
        return _as_slice(np.array([find[label] for label in labels.astype(united.dtype.kind).tolist()], dtype=np.int64))
    return _as_slice(np.searchsorted(united, labels))


def _as_slice(index: np.ndarray) -> Index:
    """A run of consecutive positions as a slice, which NumPy copies far quicker."""
    if len(index) and index[-1] - index[0] == len(index) - 1 and (np.diff(index) == 1).all():
        return slice(int(index[0]), int(index[-1]) + 1)
    return index


def _length(index: Index) -> int:
    return index.stop - index.start if isinstance(index, slice) else len(index)


def _shared(column: Sequence[Array | None], inner: dict[str, np.ndarray]) -> bool:
    """Whether a coordinate is one and the same in every cell and fits the united labels."""
    first = column[0]
    if first is None or "seed" in first.dims:
        return False
    if first.values.shape != tuple(len(inner[dim]) for dim in first.dims):
        return False
    return all(
        other is not None and other.dims == first.dims and np.array_equal(other.values, first.values)
        for other in column
    )


def _common_attrs(groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
    common = {}
    for name in _names(groups):
        values = [group[name] for group in groups if name in group]
        common[name] = values[0] if all(value == values[0] for value in values) else VARIES
    return common


class _Join:
    """Places one variable after another; the positions are worked out once and serve all."""

    def __init__(
        self,
        cells: Sequence[Cell],
        places: Sequence[_Place | None],
        at: dict[str, list[Index | None]],
        sizes: dict[str, int],
    ):
        self.cells, self.places, self.at, self.sizes = cells, places, at, sizes
        self.outer = tuple(dim for dim in sizes if dim not in at and dim != "seed")

    def attrs(self, name: str) -> dict[str, Any]:
        """Attributes of a variable, from the first cell that has it."""
        return next((array.attrs for array in _column(self.cells, name) if array is not None), {})

    def variable(self, name: str, column: Sequence[Array | None]) -> tuple[tuple[str, ...], np.ndarray, dict[str, Any]]:
        """Allocate the joined array of a variable and copy every cell's part into it."""
        rest = [dim for dim in _names(array.dims for array in column if array is not None) if dim != "seed"]
        dims = (*self.outer, "seed", *rest)
        parts = []
        for i, (array, place) in enumerate(zip(column, self.places, strict=True)):
            if array is not None and place is not None:
                index = [self.at[dim][i] if dim in array.dims else slice(0, self.sizes[dim]) for dim in rest]
                parts.append((array, place, [place.seeds, *(slice(0, 0) if it is None else it for it in index)]))
        out = self._allocate(name, dims, [array.values.dtype for array, _, _ in parts], self._count(parts))
        for array, place, index in parts:
            target = out[place.slot]
            if not all(isinstance(it, slice) for it in index):
                spans = [np.arange(it.start, it.stop) if isinstance(it, slice) else it for it in index]
                index = np.ix_(*spans)
            target[(Ellipsis, *index)] = _aligned(array, rest, place.kept)
        return dims, out, self.attrs(name)

    def _count(self, parts: Sequence[tuple[Array, _Place, list[Index]]]) -> int:
        """Number of elements that the cells fill; places do not overlap."""
        filled = 0
        for _, place, index in parts:
            repeats = [self.sizes[dim] for dim, it in zip(self.outer, place.slot, strict=True) if isinstance(it, slice)]
            filled += int(np.prod([*repeats, *map(_length, index)], dtype=np.int64))
        return filled

    def _allocate(self, name: str, dims: tuple[str, ...], dtypes: list[np.dtype], filled: int) -> np.ndarray:
        shape = tuple(self.sizes[dim] for dim in dims)
        if len({dtype.kind in "US" for dtype in dtypes}) > 1:
            raise StoreError(f"variable {name} is text in one cell and a number in another; name them differently")
        try:
            dtype = np.result_type(*set(dtypes)) if dtypes else np.dtype(np.float64)
        except TypeError as error:
            raise StoreError(f"variable {name} has dtypes that do not join: {sorted(map(str, set(dtypes)))}") from error
        if filled == int(np.prod(shape, dtype=np.int64)):
            return np.empty(shape, dtype)
        if dtype.kind in "US":
            return np.zeros(shape, dtype)
        if dtype.kind in "mM":
            return np.full(shape, np.array("NaT", dtype))
        return np.full(shape, np.nan, np.float64 if dtype.kind in "biu" else dtype)


def _aligned(array: Array, rest: Sequence[str], kept: Index) -> np.ndarray:
    """Values with axes `(seed, *rest)`, of length 1 where the array lacks one."""
    values = array.values
    order = [array.dims.index(dim) for dim in ("seed", *rest) if dim in array.dims]
    if order != sorted(order):
        values = values.transpose(order)
    shape = iter(values.shape)
    values = values.reshape([next(shape) if dim in array.dims else 1 for dim in ("seed", *rest)])
    return values[kept] if "seed" in array.dims else values
