"""Cells: the units that are executed, stored and resumed, and what determines them."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from .identity import cell_id, plain
from .settings import describe
from .study import Study

__all__ = ["Cell", "plan", "run_settings"]


class Cell(NamedTuple):
    """One arm, one range of seeds, one point of the static grid.

    Attributes:
        id: hash of `identity`.
        arm: name of the arm.
        seeds: consecutive seeds.
        point: settings that this grid point replaces.
        identity: all that determines the numbers.
    """

    id: str
    arm: str
    seeds: tuple[int, ...]
    point: dict[str, Any]
    identity: dict[str, Any]


def run_settings(study: Study, settings: Any) -> dict[str, Any]:
    """Return what names the run folder: settings without the number of seeds, which may grow, and the revision."""
    return {"revision": study.revision, **{k: plain(v) for k, v in describe(settings).items() if k != "seeds"}}


def plan(study: Study, settings: Any, preset: str, committed: Set[str]) -> list[Cell]:
    """List the cells of a run, finished ones included.

    Finished cells keep the seed ranges they were computed with; the seeds that are missing are divided into blocks. So
    a study that grows from 5 to 8 seeds computes three.

    Args:
        study: the study.
        settings: its settings.
        preset: which arms to run.
        committed: ids of finished cells.

    Returns:
        Cells by arm, grid point and seed.
    """
    return [
        cell
        for arm in study.active_arms(preset)
        for point in _points(study.grid(settings, arm))
        for cell in _cover(study, settings, arm, point, committed)
    ]


def _points(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def _cover(study: Study, settings: Any, arm: str, point: dict[str, Any], committed: Set[str]) -> Iterator[Cell]:
    total, block, first = settings.seeds, study.seed_block, 0
    missing: list[int] = []
    while first < total:
        lengths = range(block, 0, -1)
        found = next(
            (c for n in lengths if (c := _cell(study, settings, arm, range(first, first + n), point)).id in committed),
            None,
        )
        if found is None:
            missing.append(first)
            first += 1
        else:
            yield from _blocks(study, settings, arm, missing, point)
            missing = []
            yield found
            first += len(found.seeds)
    yield from _blocks(study, settings, arm, missing, point)


def _blocks(study: Study, settings: Any, arm: str, seeds: list[int], point: dict[str, Any]) -> Iterator[Cell]:
    for start in range(0, len(seeds), study.seed_block):
        yield _cell(study, settings, arm, seeds[start : start + study.seed_block], point)


def _cell(study: Study, settings: Any, arm: str, seeds, point: dict[str, Any]) -> Cell:
    if point:
        settings = dataclasses.replace(settings, **point)
    identity = {
        "slug": study.slug,
        "arm": arm,
        "seeds": list(seeds),
        "point": plain(point),
        "settings": run_settings(study, settings),
    }
    return Cell(cell_id(identity), arm, tuple(seeds), point, identity)
