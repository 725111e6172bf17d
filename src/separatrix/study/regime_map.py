"""Maps: the boundary of one of a study's regimes over two or three of its settings, traced by refinement.

Every evaluated point is appended to a file before the next batch starts, so a map that was killed goes on where it was.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UsageError, nearest
from .files import storing
from .identity import plain, settings_hash
from .idle_arms import reaching
from .plan import run_settings
from .settings import change, describe
from .study import Study
from .sweep import POINT, run_points

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

__all__ = ["POINTS", "count_runs", "draw_map", "map_folder", "map_regime", "parse_ranges"]

POINTS = "points.jsonl"
MOST_POINTS_SHOWN = 1_500  # in a picture; more of them hide the boundary


def parse_ranges(study: Study, settings: Any, text: str) -> dict[str, tuple[float, float, bool]]:
    """Read `a=low:high,b=low:high:log`.

    Args:
        study: the study.
        settings: its settings.
        text: as on the command line.

    Returns:
        `(low, high, log)` by setting.

    Raises:
        UsageError: for an unknown setting, one that is no number, or a range that is none.
    """
    ranges: dict[str, tuple[float, float, bool]] = {}
    for part in text.split(","):
        name, _, values = part.partition("=")
        name, words = name.strip(), [word.strip() for word in values.split(":")]
        log = len(words) == 3 and words[2] == "log"
        if not values or not (len(words) == 2 or log):
            raise UsageError(f"--over needs name=low:high or name=low:high:log, separated by commas; got {part!r}")
        known = describe(settings)
        if name not in known:
            raise UsageError(f"there is no setting {name!r}{nearest(name, list(known))}")
        if name == "seeds":
            raise UsageError("the number of seeds is no axis; say how many may be run at a point with --seeds")
        if isinstance(known[name], bool) or not isinstance(known[name], int | float):
            raise UsageError(f"a map needs settings that are numbers; {name!r} of {study.slug} is {known[name]!r}")
        try:
            low, high = float(words[0]), float(words[1])
        except ValueError:
            raise UsageError(f"--over {part}: low and high must be numbers") from None
        if not low < high or (log and low <= 0):
            raise UsageError(f"--over {part}: needs low < high, and low > 0 if logarithmic")
        if isinstance(known[name], int):
            change(settings, name, str(round(low)))  # what the least value may not be, the axis may not begin with
        ranges[name] = (low, high, log)
    return ranges


def map_folder(root: str | Path, study: Study, settings: Any, regime: str, options: Mapping[str, Any]) -> Path:
    """Return the folder of a map: named by all that determines it."""
    identity = {"regime": regime, "options": plain(dict(options)), **run_settings(study, settings)}
    return Path(root) / study.slug / "maps" / settings_hash(identity)


def count_runs(folder: Path) -> int:
    """Return the number of runs that a map has finished, perhaps while it is still being traced.

    Args:
        folder: of the map.
    """
    return len(_Known(folder / POINTS).results)


def map_regime(
    study: Study,
    settings: Any,
    name: str,
    ranges: Mapping[str, tuple[float, float, bool]],
    folder: Path,
    *,
    resolution: int = 64,
    coarse: int = 8,
    seeds: int = 1,
    confidence: float = 0.95,
    progress: Callable[[int, int], Any] | None = None,
) -> "xr.Dataset":
    """Trace the boundary of a regime over ranges of a study's settings.

    Traced settings run together in one program; each value of another setting is a compilation of its own.

    Args:
        study: the study.
        settings: the settings that are not varied.
        name: of the regime.
        ranges: `(low, high, log)` by setting.
        folder: where evaluated points are kept.
        resolution: cells a side.
        coarse: cells a side of the first grid.
        seeds: most runs at a point.
        confidence: with which a point is placed on a side, when there are several seeds.
        progress: called with the runs so far and those that a uniform grid would take.

    Returns:
        The Dataset of `separatrix.numerics.trace_boundary`.

    Raises:
        UsageError: for an unknown regime, options that do not fit, or a traced setting without effect on the regime.
    """
    import jax

    from separatrix.numerics.boundary import Axis, trace_boundary

    if name not in study.regimes:
        have = f"; it has {', '.join(study.regimes)}" if study.regimes else "; it declares none"
        raise UsageError(f"{study.slug} has no regime {name!r}{have}")
    regime, known = study.regimes[name], _Known(folder / POINTS)
    whole = {key for key in ranges if isinstance(getattr(settings, key), int)}
    ends = {key: [round(end) if key in whole else end for end in limits[:2]] for key, limits in ranges.items()}
    traced = {key: values for key, values in ends.items() if key in study.traced}
    if traced and not known.results and (idle := traced.keys() - reaching(study, regime.arm, traced)):
        names = " or ".join(sorted(idle))
        raise UsageError(f"no effect of {names} on {regime.arm}, the arm of {name}; map over other settings")

    all_keys = jax.vmap(jax.random.key)(np.arange(seeds, dtype=np.uint32))  # those of the study's own runs
    seed_of = {jax.random.key_data(key).tobytes(): seed for seed, key in enumerate(all_keys)}

    def inside(values: dict[str, np.ndarray], keys: Any) -> np.ndarray:
        columns = [[round(v) if name in whole else float(v) for v in column] for name, column in values.items()]
        points = list(zip(*columns, strict=True))
        numbers = [seed_of[jax.random.key_data(key).tobytes()] for key in keys]
        missing = list(dict.fromkeys(point for point in points if not known.has(point, numbers)))
        for group in _together(study, list(values), missing):
            known.add(group, numbers, _evaluate(study, settings, regime, list(values), group, keys))
        return np.array([known.of(point, numbers) for point in points])

    try:
        found = trace_boundary(
            inside,
            {key: Axis(*limits) for key, limits in ranges.items()},
            all_keys,
            resolution=resolution,
            coarse=coarse,
            confidence=confidence,
            progress=progress,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    found.attrs |= {"study": study.slug, "regime": name, "claim": regime.claim}
    return found


def _together(study: Study, names: list[str], points: list[tuple]) -> list[list[tuple]]:
    """Group points that one program can run: those that differ in traced settings only."""
    static = [i for i, name in enumerate(names) if name not in study.traced]
    groups: dict[tuple, list[tuple]] = {}
    for point in points:
        groups.setdefault(tuple(point[i] for i in static), []).append(point)
    return list(groups.values())


def _evaluate(study: Study, settings: Any, regime: Any, names: list[str], points: list[tuple], keys: Any) -> np.ndarray:
    columns = dict(zip(names, zip(*points, strict=True), strict=True))
    fixed = {name: column[0] for name, column in columns.items() if name not in study.traced}
    varied = {name: np.array(column) for name, column in columns.items() if name in study.traced}
    settings, arm = dataclasses.replace(settings, **fixed), study.arms[regime.arm]
    found = run_points(arm, settings, keys, varied) if varied else arm(settings, keys).expand_dims(POINT)
    return np.asarray(regime.inside(found).transpose(POINT, "seed").values, bool)


class _Known:
    """Results by point and seed, kept in a file of one line a batch; an incomplete last line is ignored."""

    def __init__(self, path: Path):
        self.path, self.results = path, {}
        for line in path.read_text().splitlines() if path.exists() else []:
            try:
                batch = json.loads(line)
                self._take([tuple(p) for p in batch["points"]], batch["seeds"], batch["inside"])
            except (ValueError, KeyError, TypeError):
                continue

    def _take(self, points, seeds, inside) -> None:
        for point, row in zip(points, inside, strict=True):
            for seed, value in zip(seeds, row, strict=True):
                self.results[point, seed] = bool(value)

    def has(self, point: tuple, seeds: list[int]) -> bool:
        return all((point, seed) in self.results for seed in seeds)

    def of(self, point: tuple, seeds: list[int]) -> list[bool]:
        return [self.results[point, seed] for seed in seeds]

    def add(self, points: list[tuple], seeds: list[int], inside: np.ndarray) -> None:
        line = json.dumps({"points": points, "seeds": seeds, "inside": inside.astype(int).tolist()})
        with storing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as file:
                file.write("\n" + line if self._torn() else line)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
        self._take(points, seeds, inside)

    def _torn(self) -> bool:
        """Whether a killed writer left a line without its end."""
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"


def draw_map(found: "xr.Dataset") -> "Figure":
    """Draw a map: the two regimes, the cells that the boundary crosses, and the points that were run.

    Args:
        found: from `map_regime` or `separatrix.numerics.trace_boundary`.

    Returns:
        A figure; in three dimensions, slices along the last axis.
    """
    from .figures import _figure

    names = [str(name) for name in found["inside"].dims]
    figure, axes = _figure()
    if len(names) == 1:
        axes.plot(found[f"{names[0]}_at"], found.fraction, "o", ms=4)
        for low, high in zip(found[f"{names[0]}_low"].values, found[f"{names[0]}_high"].values, strict=True):
            axes.axvspan(low, high, color="C1", alpha=0.5)
        axes.set(xlabel=names[0], ylabel="share of runs inside")
    elif len(names) == 2:
        _draw_plane(axes, found, names)
    else:
        figure.clear()
        slices = np.unique(np.linspace(0, found.sizes[names[2]] - 1, 6).round().astype(int))
        panels = figure.subplots(2, 3, sharex=True, sharey=True).ravel()
        for panel, i in zip(panels, slices, strict=False):
            plane = found["inside"].isel({names[2]: i})
            panel.pcolormesh(found[names[0]], found[names[1]], plane.values.T, cmap="coolwarm", vmin=-0.5, vmax=1.5)
            panel.set_title(f"{names[2]} = {float(found[names[2]][i]):.3g}", fontsize=9)
            _scale(panel, found, names[:2])
        figure.supxlabel(names[0])
        figure.supylabel(names[1])
    if len(names) < 3:
        _scale(axes, found, names)
    _say(figure, found, len(names) > 1)
    return figure


def _say(figure: "Figure", found: "xr.Dataset", coloured: bool) -> None:
    """Write what the colours are, and what the map cost, above the picture."""
    from matplotlib import colormaps
    from matplotlib.patches import Patch

    claim, cost = str(found.attrs.get("claim", "inside")), f"{found.attrs['runs']:,} runs"
    cost += f"; a uniform grid takes {found.attrs['uniform_runs']:,}"
    if not coloured:
        figure.suptitle(f"{claim}\n{cost}", fontsize=10)
        return
    sides = {claim: colormaps["coolwarm"](0.75), "not so": colormaps["coolwarm"](0.25)}
    patches = [Patch(color=colour, label=label) for label, colour in sides.items()]
    how: Any = {"loc": "outside upper center", "ncols": 2, "frameon": False, "fontsize": 9, "title_fontsize": 9}
    figure.legend(handles=patches, title=cost, **how)


def _draw_plane(axes: Any, found: "xr.Dataset", names: list[str]) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    x, y = names
    axes.pcolormesh(
        found[x], found[y], found["inside"].values.T, cmap="coolwarm", vmin=-0.5, vmax=1.5, shading="nearest"
    )
    sides = [found[f"{n}_{end}"].values for n in names for end in ("low", "high")]
    cells = [Rectangle((a, c), b - a, d - c) for a, b, c, d in zip(*sides, strict=True)]
    axes.add_collection(PatchCollection(cells, color="black", lw=0))
    if found.sizes["point"] < MOST_POINTS_SHOWN:
        axes.plot(found[f"{x}_at"], found[f"{y}_at"], ".", color="white", ms=1, alpha=0.6)
    axes.set(xlabel=x, ylabel=y)
    axes.grid(False)


def _scale(axes: Any, found: "xr.Dataset", names: list[str]) -> None:
    for name, set_scale in zip(names, (axes.set_xscale, axes.set_yscale), strict=False):
        values = found[name].values
        if values[0] > 0 and np.allclose(np.diff(np.log(values)), np.log(values[1] / values[0])):
            set_scale("log")
