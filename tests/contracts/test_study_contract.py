"""Every study: its quick preset runs each arm, its findings can be computed, its figures draw, its text is there."""

import contextlib
import dataclasses
import inspect
import itertools
import os
import subprocess
import sys

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from separatrix._core import run as run_module
from separatrix._core.keys import named_key
from separatrix._core.process import AbstractProcess
from separatrix.study.choosing import choose_run
from separatrix.study.explain import explain
from separatrix.study.plan import plan
from separatrix.study.store import open_run
from separatrix.study.study import all_studies, find_study

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
    run = choose_run(folder, study, "quick")
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


def test_compared_arms_share_data_and_initialisation_so_effects_are_paired(monkeypatch):
    """Where the arms of a finding have the same shapes, a seed gives them the same weights and the same first batch."""
    compared = 0
    for study in STUDIES.values():
        starts = {}
        planned = {cell.arm for cell in plan(study, study.presets["quick"], "quick", frozenset())}
        for finding in study.findings:
            arms = [arm for arm in finding.arms if arm in planned]
            for arm in arms if len(arms) > 1 else ():
                if arm not in starts:
                    starts[arm] = first_run(study, arm, monkeypatch)
            for one, other in itertools.pairwise(arms):
                for a, b in zip(starts[one], starts[other], strict=True):
                    if a is not None and b is not None and shapes(a) == shapes(b):
                        assert all(map(np.array_equal, a, b)), f"{study.slug}: {one} and {other}"
                        compared += 1
    assert compared > 50


class Started(Exception):
    """An arm has started its first run."""


def first_run(study, arm, monkeypatch):
    """Initial weights and first batch of the first run of an arm; None for what an arm without a run has not."""
    found = {}

    def caught(process, key, steps, *, stream=None, **more):
        del steps, more
        single = key[0] if key.ndim else key
        if not isinstance(process, AbstractProcess):
            process = process(named_key(single, "process")) if callable(process) else process[0]
        state = process.init(named_key(single, "init"))
        feed = stream if stream is not None else getattr(process, "stream", None)
        found["params"] = arrays(getattr(state, "params", state))
        found["batch"] = None if feed is None else arrays(feed(np.int32(0), named_key(single, "stream")))
        raise Started

    for module in list(sys.modules.values()):
        if vars(module).get("run") is run_module.run and module is not run_module:
            monkeypatch.setattr(module, "run", caught)
    settings = dataclasses.replace(study.presets["quick"], seeds=1)
    with contextlib.suppress(Started):
        study.arms[arm](settings, jax.vmap(jax.random.key)(np.arange(1, dtype=np.uint32)))
    monkeypatch.undo()
    return found.get("params"), found.get("batch")


def arrays(tree):
    return [np.asarray(a) for a in jax.tree.leaves(tree) if not jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key)]


def shapes(leaves):
    return [(a.shape, a.dtype) for a in leaves]


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
