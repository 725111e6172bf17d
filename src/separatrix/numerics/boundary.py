"""The separatrix itself: the boundary between two regimes, traced by refining a lattice only where they meet.

A uniform grid of `n` points a side spends `n^d` runs on a surface of dimension `d - 1`. Here a coarse grid is run
first; cells whose corners disagree are halved, again and again, and a cell beside them is taken up as soon as a new
point on its rim disagrees with it. The runs grow with the boundary, not with the space around it.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, ArrayLike, Bool, Float, Key
from scipy.special import betainc

from separatrix._core.probe import Probe
from separatrix._core.process import AbstractProcess
from separatrix._core.run import Run, run

__all__ = ["Axis", "Regime", "process_regime", "trace_boundary"]

Regime = Callable[[dict[str, Float[np.ndarray, " n"]], Key[Array, " m"]], Bool[np.ndarray, "n m"]]


class Axis(NamedTuple):
    """Range of one hyper-parameter.

    Attributes:
        low: lower end.
        high: upper end.
        log: whether the lattice is even in the logarithm.
    """

    low: float
    high: float
    log: bool = False

    def at(self, fraction: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
        """Return the values at fractions 0..1 of the range."""
        if self.log:
            return self.low * (self.high / self.low) ** fraction
        return self.low + (self.high - self.low) * fraction


def trace_boundary(
    regime: Regime,
    axes: Mapping[str, Axis],
    key: Key[Array, "*seeds"],
    *,
    resolution: int = 64,
    coarse: int = 8,
    level: float = 0.5,
    confidence: float = 0.95,
    progress: Callable[[int, int], Any] | None = None,
) -> xr.Dataset:
    """Trace the boundary between two regimes in one, two or three hyper-parameters.

    A part of the boundary that closes within one cell of the coarse grid cannot be seen; `coarse` is the promise.

    Args:
        regime: `(values, keys) -> inside`, for points `{name: (n,)}` and `m` keys: which of the runs, of shape
            `(n, m)`, are in the regime? `process_regime` makes one from a process.
        axes: the ranges, by name.
        key: one key, and a point is what its run is; or several, the most runs at a point, which is inside where the
            probability of the regime exceeds `level`: runs are added until that is known, or no key is left. They must
            be enough for runs that agree to settle it, three for the default confidence. All points share the keys,
            which makes the boundary smoother than its noise.
        resolution: cells a side, a multiple of `coarse` by a power of two.
        coarse: cells a side of the first grid.
        level: probability of the regime that defines the boundary.
        confidence: posterior probability (Jeffreys) with which a point is placed on a side.
        progress: called with the runs so far and those that a uniform grid would take.

    Returns:
        A Dataset. On the lattice (one dimension an axis): `inside`, 1 or 0, points not visited taking the value of the
        cell around them. Along `point`, those visited: the axes' values, `runs`, `fraction` of them in the regime, and
        whether the point is `decided`. Along `cell`, the cells of the finest lattice that the boundary crosses:
        `<axis>_low` and `<axis>_high`. Attributes `runs` and `uniform_runs`.

    Raises:
        ValueError: if an axis is empty, the resolution does not fit, or no point could be decided with so few keys.

    Examples:
        Gradient descent on a parabola of curvature c diverges where the learning rate exceeds 2 / c.

        >>> import jax.random as jr
        >>> diverges = lambda v, keys: abs(1 - v["rate"] * v["curvature"])[:, None] > 1
        >>> axes = {"rate": Axis(0.1, 10.0, log=True), "curvature": Axis(0.1, 10.0, log=True)}
        >>> found = trace_boundary(diverges, axes, jr.key(0), resolution=128)
        >>> inner = (found.rate_low * found.curvature_low < 2) & (found.rate_high * found.curvature_high > 2)
        >>> bool(inner.all()), found.attrs["uniform_runs"] // found.attrs["runs"]
        (True, 18)
    """
    keys = key.reshape(-1)
    _check(axes, resolution, coarse, level, confidence, len(keys))
    lattice = _Lattice(regime, dict(axes), keys, resolution, level, confidence, progress)
    size = resolution // coarse  # of a cell, in cells of the finest lattice
    side = np.arange(0, resolution + 1, size)
    lattice.visit(np.stack(np.meshgrid(*[side] * len(axes), indexing="ij"), axis=-1).reshape(-1, len(axes)))
    leaves = {size: _grid_of_cells(len(axes), resolution, size)}
    while (size := lattice.largest_mixed(leaves)) > 1:
        cells = leaves[size]
        split = lattice.mixed(cells, size)
        lattice.visit(_points_of_halves(cells[split], size))
        leaves[size] = cells[~split]
        halves = _halves(cells[split], size // 2)
        leaves[size // 2] = np.concatenate([leaves.get(size // 2, halves[:0]), halves])
    return lattice.result(leaves)


def process_regime(
    process: AbstractProcess,
    steps: int,
    predicate: Callable[[Run], Bool[ArrayLike, "n m"]],
    *,
    vary: Callable[[AbstractProcess, dict[str, Array]], AbstractProcess] | None = None,
    probes: Sequence[Probe] = (),
    block: int = 32,
) -> Regime:
    """Make a regime of a process: run it at many points at once, then ask the result.

    Args:
        process: any process.
        steps: number of steps of a run.
        predicate: what is asked of the run, whose states and records have the axes (point, seed) in front. To ask for
            divergence: `lambda run: run.records.diverged_at >= 0`.
        vary: `(process, values) -> process`, how a point changes the process; fields of these names by default.
        probes: what the predicate needs.
        block: members vmapped together, the same for all points, so that one program serves them.

    Returns:
        A regime for `trace_boundary`.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.systems import LogisticMap
        >>> extinct = process_regime(LogisticMap(1.0), 2_000, lambda run: run.state < 1e-3)
        >>> found = trace_boundary(extinct, {"rate": Axis(0.5, 1.5)}, jr.key(0), resolution=32)
        >>> float(found.rate_low[0]), float(found.rate_high[0])
        (1.0, 1.03125)
    """

    def regime(values, keys):
        dtype = jax.dtypes.canonicalize_dtype(float)
        points = {name: np.asarray(v, dtype) for name, v in values.items()}
        found = run(process, keys, steps, over={"point": points}, vary=vary, probes=probes, block=block)
        return np.asarray(predicate(found))

    return regime


class _Lattice:
    """Visited points of the finest lattice: integer coordinates 0..resolution along each axis."""

    def __init__(self, regime, axes: dict[str, Axis], keys, resolution, level, confidence, progress):
        self.regime, self.axes, self.keys, self.resolution, self.progress = regime, axes, keys, resolution, progress
        self.level, self.confidence = level, confidence
        shape = (resolution + 1,) * len(axes)
        self.hits, self.runs = np.zeros(shape, np.int32), np.zeros(shape, np.int32)

    def visit(self, points: np.ndarray) -> None:
        """Run what is new among the points, shape (n, axes), until each has its side or no seeds are left."""
        points = np.unique(points, axis=0)
        points = points[self.runs[tuple(points.T)] == 0]
        taken = 0
        while len(points) and taken < len(self.keys):
            more = min(len(self.keys), max(2 * taken, _fewest(self.level, self.confidence)))
            values = self._values(points)
            inside = np.asarray(self.regime(values, self.keys[taken:more]), bool)
            expected = (len(points), more - taken)
            if inside.shape != expected:
                raise ValueError(f"`regime` must return an array of shape {expected}; got {inside.shape}.")
            where = tuple(points.T)
            self.hits[where] += inside.sum(axis=1, dtype=np.int32)
            self.runs[where] += more - taken
            taken = more
            points = points[~self._decided()[where]]
            if self.progress:
                self.progress(int(self.runs.sum()), self._uniform())

    def _values(self, points: np.ndarray) -> dict[str, np.ndarray]:
        fractions = points / self.resolution
        return {name: axis.at(fractions[:, i]) for i, (name, axis) in enumerate(self.axes.items())}

    def _decided(self) -> np.ndarray:
        if len(self.keys) == 1:
            return self.runs > 0
        above = 1 - betainc(self.hits + 0.5, self.runs - self.hits + 0.5, self.level)
        return (self.runs > 0) & (np.maximum(above, 1 - above) >= self.confidence)

    def inside(self) -> np.ndarray:
        """Return 1 or 0 on the side of the regime or not, NaN where not visited."""
        with np.errstate(invalid="ignore"):
            share = self.hits / self.runs
        return np.where(self.runs > 0, np.where(share > self.level, 1.0, 0.0), np.nan)

    def mixed(self, cells: np.ndarray, size: int) -> np.ndarray:
        """Tell which cells, by their lower corners of shape (n, axes), hold visited points of both sides or unsure."""
        offsets = np.indices((size + 1,) * len(self.axes)).reshape(len(self.axes), -1).T
        where = tuple(np.moveaxis(cells[:, None] + offsets, -1, 0))
        inside, visited = self.inside()[where], self.runs[where] > 0
        both = (inside == 1).any(axis=1) & (inside == 0).any(axis=1)
        return both | (visited & ~self._decided()[where]).any(axis=1)

    def largest_mixed(self, leaves: dict[int, np.ndarray]) -> int:
        """Return the size of the largest cells to halve; 1 if none is left."""
        return next((size for size in sorted(leaves, reverse=True) if self.mixed(leaves[size], size).any()), 1)

    def _uniform(self) -> int:
        return (self.resolution + 1) ** len(self.axes) * len(self.keys)

    def result(self, leaves: dict[int, np.ndarray]) -> xr.Dataset:
        """Gather the lattice, the visited points and the crossed cells."""
        inside, decided = self.inside(), self._decided()
        crossed = leaves.get(1, np.zeros((0, len(self.axes)), int))
        crossed = crossed[self.mixed(crossed, 1)]
        filled = inside.copy()
        for size, cells in leaves.items():
            for cell in cells:
                part = tuple(slice(c, c + size + 1) for c in cell)
                filled[part] = np.where(np.isnan(inside[part]), inside[tuple(cell)], filled[part])
        names = list(self.axes)
        side = np.linspace(0, 1, self.resolution + 1)
        visited = np.argwhere(self.runs > 0)
        where = tuple(visited.T)
        low, high = self._values(crossed), self._values(crossed + 1)
        variables: dict[str, Any] = {
            "inside": (names, filled, {"long_name": "in the regime", "units": "1"}),
            "runs": ("point", self.runs[where], {"long_name": "runs", "units": "1"}),
            "fraction": ("point", self.hits[where] / self.runs[where], {"long_name": "share inside", "units": "1"}),
            "decided": ("point", decided[where], {"long_name": "side known", "units": "1"}),
        }
        for name, values in self._values(visited).items():
            variables[f"{name}_at"] = ("point", values)
            variables[f"{name}_low"], variables[f"{name}_high"] = ("cell", low[name]), ("cell", high[name])
        attrs = {
            "runs": int(self.runs.sum()),
            "uniform_runs": self._uniform(),
            "level": self.level,
            "confidence": self.confidence,
        }
        return xr.Dataset(variables, {name: axis.at(side) for name, axis in self.axes.items()}, attrs)


def _fewest(level: float, confidence: float) -> int:
    """Find the number of runs, all on one side, that places a point there."""
    for count in itertools.count(1):
        sure_in, sure_out = 1 - betainc(count + 0.5, 0.5, level), betainc(0.5, count + 0.5, level)
        if min(sure_in, sure_out) >= confidence:
            return count
    raise AssertionError  # both tend to 1


def _check(axes: Mapping[str, Axis], resolution: int, coarse: int, level: float, confidence: float, keys: int) -> None:
    if not 1 <= len(axes) <= 3:
        raise ValueError(f"`axes` must name one, two or three hyper-parameters; got {len(axes)}.")
    for name, axis in axes.items():
        if not axis.low < axis.high or (axis.log and axis.low <= 0):
            raise ValueError(f"axis {name!r} needs low < high, and low > 0 if logarithmic; got {axis}.")
    if coarse < 1 or resolution % coarse or not math.log2(resolution // coarse).is_integer():
        raise ValueError(f"`resolution` must be `coarse` times a power of two; got {resolution} and {coarse}.")
    if not 0 < level < 1 or not 0.5 < confidence < 1:
        raise ValueError(f"`level` must lie in (0, 1) and `confidence` in (0.5, 1); got {level} and {confidence}.")
    if 1 < keys < (fewest := _fewest(level, confidence)):  # every point would stay undecided and be refined
        raise ValueError(
            f"{keys} seeds cannot place a point with confidence {confidence:g}, even if they agree; give at least "
            f"{fewest}, or 1 to take each point for what its run is."
        )


def _grid_of_cells(dim: int, resolution: int, size: int) -> np.ndarray:
    return np.indices((resolution // size,) * dim).reshape(dim, -1).T * size


def _halves(cells: np.ndarray, size: int) -> np.ndarray:
    """Return the lower corners of the 2^d halves, of side `size`, of each cell."""
    offsets = np.indices((2,) * cells.shape[1]).reshape(cells.shape[1], -1).T * size
    return (cells[:, None] + offsets).reshape(-1, cells.shape[1])


def _points_of_halves(cells: np.ndarray, size: int) -> np.ndarray:
    """Return the corners of the halves of cells of side `size`."""
    offsets = np.indices((3,) * cells.shape[1]).reshape(cells.shape[1], -1).T * (size // 2)
    return (cells[:, None] + offsets).reshape(-1, cells.shape[1])
