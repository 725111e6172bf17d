"""A study that grows computes only what it lacks."""

import dataclasses
import itertools

import pytest

from separatrix.study.plan import plan, run_settings
from separatrix.study.study import Study

from . import sample_study

STUDY = sample_study.STUDY


def settings(seeds, **changes):
    return dataclasses.replace(STUDY.presets["default"], seeds=seeds, **changes)


def seeds_by_arm(cells):
    return {arm: [c.seeds for c in group] for arm, group in itertools.groupby(cells, key=lambda c: c.arm)}


def test_seeds_are_divided_into_blocks():
    cells = plan(STUDY, settings(6), "default", set())
    assert seeds_by_arm(cells) == {arm: [(0, 1, 2, 3), (4, 5)] for arm in STUDY.arms}


def test_growing_from_5_to_8_seeds_keeps_the_cells_and_adds_three_seeds():
    old = plan(STUDY, settings(5), "default", set())
    new = plan(STUDY, settings(8), "default", {c.id for c in old})
    assert {c.id for c in old} < {c.id for c in new}
    added = [c for c in new if c.id not in {c.id for c in old}]
    assert [c.seeds for c in added] == [(5, 6, 7)] * 3


def test_a_gap_in_the_middle_is_filled():
    every = plan(STUDY, settings(12), "default", set())
    kept = {c.id for c in every if c.seeds[0] != 4}
    missing = [c for c in plan(STUDY, settings(12), "default", kept) if c.id not in kept]
    assert [c.seeds for c in missing] == [(4, 5, 6, 7)] * 3


@pytest.mark.parametrize("seeds", [1, 3, 4, 9])
def test_each_seed_of_each_arm_is_covered_once(seeds):
    done: set[str] = set()
    for step in range(1, seeds + 1):
        cells = plan(STUDY, settings(step), "default", done)
        done |= {c.id for c in cells}
    for blocks in seeds_by_arm(plan(STUDY, settings(seeds), "default", done)).values():
        assert sorted(itertools.chain(*blocks)) == list(range(seeds))


def test_ids_depend_on_all_that_determines_the_numbers_and_not_on_the_number_of_seeds():
    first = plan(STUDY, settings(4), "default", set())[0]
    assert plan(STUDY, settings(8), "default", set())[0].id == first.id
    assert plan(STUDY, settings(4, steps=10), "default", set())[0].id != first.id
    revised = dataclasses.replace(STUDY, revision=2)
    assert plan(revised, settings(4), "default", set())[0].id != first.id
    assert "seeds" not in run_settings(STUDY, settings(4))


def test_the_static_grid_makes_a_cell_of_each_point():
    study = dataclasses.replace(STUDY, grid=lambda s, arm: {"scale": (1.0, 2.0), "steps": (20, 40)})
    cells = [c for c in plan(study, settings(2), "default", set()) if c.arm == "sgd"]
    assert [c.point for c in cells] == [{"scale": a, "steps": b} for a, b in itertools.product((1.0, 2.0), (20, 40))]
    assert len({c.id for c in cells}) == 4


def test_presets_run_the_arms_that_their_findings_need():
    late = [dataclasses.replace(STUDY.findings[0], since="thorough"), STUDY.findings[1]]
    study = dataclasses.replace(STUDY, findings=late)
    assert study.active_arms("default") == ["momentum", "adam"]
    assert study.active_arms("thorough") == study.active_arms("quick") == ["sgd", "momentum", "adam"]


def test_a_study_with_a_mistake_is_refused():
    with pytest.raises(ValueError, match="names no known arm: 'sdg'"):
        dataclasses.replace(STUDY, findings=[dataclasses.replace(STUDY.findings[0], arms=("sdg",))])
    with pytest.raises(ValueError, match="must have the presets quick, default, thorough, full"):
        dataclasses.replace(STUDY, presets={"quick": STUDY.presets["quick"]})
    assert isinstance(STUDY, Study)
