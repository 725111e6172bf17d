"""Sweeps: the arms of a study over a grid of its settings.

A setting that the study declares as `traced` becomes an axis of the population: all its values run in one compiled
program. Any other setting becomes a static axis of the study's grid: a cell of its own for each value.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import UsageError, nearest
from .identity import settings_hash
from .plan import run_settings
from .settings import change, describe
from .study import Study

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Over", "along_points", "first_point", "parse_over", "run_name", "run_points", "sweep_of"]

POINT = "point"  # axis along which traced settings vary together


class Over(NamedTuple):
    """One axis of a sweep.

    Attributes:
        name: of the setting.
        values: in order.
        log: whether a logarithmic scale shows them best.
    """

    name: str
    values: tuple[Any, ...]
    log: bool = False


def parse_over(settings: Any, text: str) -> Over:
    """Read `name=low:high:count`, `name=low:high:log:count` or `name=a,b,c`.

    Args:
        settings: the study's settings, which give the type.
        text: as on the command line.

    Returns:
        The axis.

    Raises:
        UsageError: if the name is unknown, or the values do not fit.

    >>> from dataclasses import make_dataclass
    >>> settings = make_dataclass("Settings", [("rate", float), ("width", int)])(0.1, 8)
    >>> parse_over(settings, "rate=0.01:1:log:3").values
    (0.01, 0.1, 1.0)
    >>> parse_over(settings, "width=8,16").values
    (8, 16)
    """
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals or not values:
        raise UsageError(f"--over needs name=low:high:count, name=low:high:log:count or name=a,b,c; got {text!r}")
    if name not in describe(settings):
        raise UsageError(f"there is no setting {name!r}{nearest(name, list(describe(settings)))}")
    if name == "seeds":
        raise UsageError("the number of seeds is no axis; every point runs each of them, say how many with --seeds")
    words = [word.strip() for word in values.split(":")]
    log = len(words) == 4 and words[2] == "log"
    if len(words) == 1:
        texts = [word for word in words[0].split(",") if word.strip()]
    elif len(words) == 3 or log:
        texts = _spaced(text, words[0], words[1], words[-1], log, isinstance(getattr(settings, name), int))
    else:
        raise UsageError(f"--over needs name=low:high:count, name=low:high:log:count or name=a,b,c; got {text!r}")
    found = tuple(getattr(change(settings, name, word), name) for word in texts)
    if len(set(found)) != len(found):
        raise UsageError(f"the values of {name} must differ; got {text!r}")
    return Over(name, found, log)


def _spaced(text: str, low: str, high: str, count: str, log: bool, whole: bool) -> list[str]:
    try:
        first, last, number = float(low), float(high), int(count)
        if number < 2 or (log and first <= 0):
            raise ValueError
    except ValueError:
        raise UsageError(
            f"--over {text}: low and high must be numbers, positive if log, and count at least 2"
        ) from None
    values = np.geomspace(first, last, number) if log else np.linspace(first, last, number)
    return (
        [str(v) for v in np.unique(np.rint(values).astype(int)).tolist()] if whole else [repr(float(v)) for v in values]
    )


def run_name(study: Study, settings: Any, preset: str, over: Sequence[Over] = ()) -> str:
    """Return the name of a run's folder: a hash of all that determines its numbers but the seeds, which may grow.

    Args:
        study: the study, or the swept one.
        settings: its settings.
        preset: of the run, "sweep" for a sweep.
        over: the axes of a sweep.

    Returns:
        Twelve hexadecimal digits.
    """
    swept = {"over": [[axis.name, list(axis.values)] for axis in over], "arms": sorted(study.arms)} if over else {}
    return settings_hash({"preset": preset, **run_settings(study, settings), **swept})


def along_points(settings: Any) -> dict[str, dict[str, np.ndarray]]:
    """What an arm passes to `run(over=...)`: the settings that vary, those that hold an array.

    Args:
        settings: as an arm gets them. In a sweep the traced settings hold arrays of one length.

    Returns:
        Empty, or one axis `point` along which they vary together. The arm's `vary` then rebuilds what depends on them
        from `dataclasses.replace(settings, **values)`.
    """
    varied = {name: value for name, value in describe(settings).items() if isinstance(value, np.ndarray)}
    return {POINT: varied} if varied else {}


def first_point(settings: Any) -> Any:
    """Return the settings at the first of the points along which they vary, all of them plain numbers.

    Args:
        settings: as an arm gets them.

    Returns:
        A copy; the settings themselves where nothing varies.
    """
    varied = along_points(settings).get(POINT, {})
    return dataclasses.replace(settings, **{name: values[0].item() for name, values in varied.items()})


def run_points(
    arm: Callable[..., "xr.Dataset"], settings: Any, keys: Any, points: Mapping[str, np.ndarray]
) -> "xr.Dataset":
    """Run an arm at many points of its traced settings, all at once if they fit into memory.

    Args:
        arm: of a study that declares these settings as traced.
        settings: the others.
        keys: one a seed.
        points: values by name, each of shape `(n,)`.

    Returns:
        The arm's Dataset, with the dimension `point`; repeated along it if the arm does not depend on the settings.
    """
    import xarray as xr

    from separatrix._core.memory import TooLarge

    count = len(next(iter(points.values())))
    try:
        found = arm(dataclasses.replace(settings, **points), keys)
    except TooLarge:
        if count == 1:
            raise
        halves = [{k: v[part] for k, v in points.items()} for part in (slice(count // 2), slice(count // 2, None))]
        return xr.concat([run_points(arm, settings, keys, half) for half in halves], POINT)
    if POINT not in found.dims:
        return found.expand_dims({POINT: count})
    return found.drop_vars(POINT, errors="ignore")


def sweep_of(study: Study, settings: Any, over: Sequence[Over], arms: Sequence[str] = ()) -> tuple[Study, Any]:
    """Make a study whose arms run over a grid.

    Args:
        study: the study.
        settings: its settings.
        over: the axes.
        arms: which arms; all by default.

    Returns:
        The swept study, without findings, and its settings.

    Raises:
        UsageError: if an arm is unknown, or an axis is named twice.
    """
    names = [axis.name for axis in over]
    if len(set(names)) != len(names):
        raise UsageError(f"each setting can be swept once; got {', '.join(names)}")
    for arm in arms:
        if arm not in study.arms:
            raise UsageError(f"there is no arm {arm!r}{nearest(arm, list(study.arms))}")
    traced = {axis.name: axis.values for axis in over if axis.name in study.traced}
    static = {axis.name: axis.values for axis in over if axis.name not in study.traced}
    chosen = {name: study.arms[name] for name in arms or study.arms}
    if traced:
        chosen = {name: _over_grid(arm, tuple(traced)) for name, arm in chosen.items()}
    swept = dataclasses.replace(
        study,
        arms=chosen,
        findings=(),
        figures={},
        regimes={},
        grid=lambda s, arm: {**{k: v for k, v in study.grid(s, arm).items() if k not in names}, **static},
    )
    return swept, dataclasses.replace(settings, **traced)


def _over_grid(arm: Callable[..., "xr.Dataset"], names: tuple[str, ...]):
    def swept(settings: Any, keys: Any) -> "xr.Dataset":
        import pandas as pd

        axes = [getattr(settings, name) for name in names]
        mesh = np.meshgrid(*axes, indexing="ij")
        found = run_points(arm, settings, keys, {n: m.reshape(-1) for n, m in zip(names, mesh, strict=True)})
        index = pd.MultiIndex.from_product(axes, names=names)
        import xarray as xr

        return found.assign_coords(xr.Coordinates.from_pandas_multiindex(index, POINT)).unstack(POINT)

    swept.__doc__ = arm.__doc__
    return swept
