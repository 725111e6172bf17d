"""Every study: its quick preset runs each arm, its findings can be computed, its figures draw, its text is there."""

import dataclasses
import inspect
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from separatrix.study.explain import explain
from separatrix.study.plan import plan
from separatrix.study.store import open_run
from separatrix.study.study import all_studies, find_study
from separatrix.study.verdicts import latest_run

STUDIES = all_studies()
pytestmark = pytest.mark.timeout(900)  # an arm of a quick preset is compiled in seconds, a study has up to 30


@pytest.fixture(scope="module", params=STUDIES)
def finished(request, tmp_path_factory):
    """A study and the results of its quick preset, in the store of the environment if there is one."""
    study = STUDIES[request.param]
    folder = os.environ.get("SEPARATRIX_QUICK_RUNS") or str(tmp_path_factory.mktemp("runs"))
    command = [sys.executable, "-m", "separatrix.cli", "run", study.slug, "--preset", "quick", "--store", folder]
    # in a process of its own, since one process can hold only so many compiled programs
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "SEPARATRIX_CACHE": ""}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    run = latest_run(folder, study.slug, "quick")
    yield study, open_run(folder, study.slug, run.settings_hash).results()
    jax.clear_caches()


def test_every_arm_has_results_for_every_seed(finished):
    study, results = finished
    planned = plan(study, study.presets["quick"], "quick", frozenset())  # an arm without a grid point has no cell
    assert set(results["arm"].values) == {cell.arm for cell in planned}
    assert results.sizes["seed"] == study.presets["quick"].seeds
    for name, variable in results.data_vars.items():
        assert "seed" in variable.dims, name
        assert name == "diverged_at" or variable.attrs.get("long_name"), f"{name} has no long_name"


def test_every_finding_gives_one_effect_a_seed(finished):
    study, results = finished
    for finding in study.findings:
        if set(finding.arms) - set(results["arm"].values):
            continue  # an arm of `full` alone
        effect = np.asarray(finding.effect(results.sel(arm=list(finding.arms or study.arms))))
        assert effect.shape == (results.sizes["seed"],), finding.id


def test_every_figure_draws(finished):
    study, results = finished
    for draw in study.figures.values():
        assert isinstance(draw(results), Figure)


def test_arms_share_data_and_initialisation_so_effects_are_paired(finished):
    study, _ = finished
    settings = dataclasses.replace(study.presets["quick"], seeds=1)
    arm = next(iter(study.arms.values()))
    keys = jax.vmap(jax.random.key)(np.arange(1, dtype=np.uint32))
    first, second = arm(settings, keys), arm(settings, keys)
    for name in first.data_vars:
        np.testing.assert_array_equal(first[name].values, second[name].values)


@pytest.mark.parametrize("slug", STUDIES)
def test_it_explains_itself(slug):
    study = find_study(slug)
    text = explain(study)
    for finding in study.findings:
        assert finding.id in text
        assert str(finding.expect) in text
    assert all(inspect.getdoc(arm) for arm in study.arms.values())
    assert len({finding.id for finding in study.findings}) == len(study.findings)
    assert set(study.remarks) <= {finding.id for finding in study.findings}
    assert max(len(line) for line in text.splitlines()) <= 100
