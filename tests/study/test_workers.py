"""Cells computed in other processes, whose deaths leave no trace in the numbers."""

import dataclasses
import os
import signal

import pytest
import xarray as xr

from separatrix import Cancelled
from separatrix.study.computing import CellFailed, Job, read_progress
from separatrix.study.errors import UsageError
from separatrix.study.execute import execute, execute_on
from separatrix.study.settings import describe
from separatrix.study.store import open_run
from separatrix.study.workers import ProcessWorkers, RayWorkers

from . import sample_study

STUDY, SETTINGS = sample_study.STUDY, dataclasses.replace(sample_study.Settings(), seeds=4, steps=20_000)


class Silent:
    """A reporter that keeps what it is told."""

    def __init__(self):
        self.lines, self.cells, self.steps = [], [], []

    def start_cell(self, cell, index, total):
        self.cells.append((cell.arm, index, total))

    def begin(self):
        pass

    def advance(self, label, step, steps, latest):
        self.steps.append((label, step, steps))

    def message(self, text):
        self.lines.append(text)


def never():
    return False


def prepared(folder, settings=SETTINGS):
    store = open_run(str(folder), STUDY.slug, "abc", create=True, preset="default")
    job = Job(
        sample_study.__file__, (), (), describe(settings), str(folder), STUDY.slug, "abc", {}, str(folder / "stop")
    )
    return store, job


def run_on(workers, folder, settings=SETTINGS, asked=never):
    store, job = prepared(folder, settings)
    reporter = Silent()
    return execute_on(workers, job, STUDY, settings, "default", store, reporter, asked), store, reporter


def numbers(store):
    return store.results().drop_attrs()


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The results of this process alone."""
    store, _ = prepared(tmp_path_factory.mktemp("local"))
    execute(STUDY, SETTINGS, "default", store, Silent(), never)
    return numbers(store)


def kill_first_owner(folder, signal_number=signal.SIGKILL):
    """Return a function, called in mid-run, that kills the process of the first cell that has moved."""
    killed = []

    def strike():
        store = open_run(str(folder), STUDY.slug, "abc")
        for cell_id in store.states():
            if not killed and read_progress(store.folder, cell_id) and (owner := store.lock(cell_id).owner()):
                os.kill(owner["pid"], signal_number)
                killed.append(owner["pid"])
        return False

    return strike, killed


@pytest.mark.timeout(240)
def test_an_arm_that_refuses_its_settings_costs_the_others_nothing(tmp_path):
    def fine(settings, keys):
        return xr.Dataset({"x": ("seed", [0.0] * len(keys))})

    def fussy(settings, keys):
        raise ValueError("`steps` must be odd")

    study = dataclasses.replace(STUDY, arms={"fine": fine, "fussy": fussy}, findings=(), figures={})
    store = open_run(str(tmp_path), STUDY.slug, "abc", create=True, preset="default")
    outcome = execute(study, SETTINGS, "default", store, Silent(), never)
    assert (outcome.computed, outcome.failed) == (1, ["arm 'fussy' was refused: `steps` must be odd"])
    assert store.results().sizes["seed"] == 4
    fresh = open_run(str(tmp_path), STUDY.slug, "def", create=True, preset="default")
    with pytest.raises(UsageError, match="`steps` must be odd"):
        execute(
            dataclasses.replace(study, arms={"fussy": fussy, "fine": fine}), SETTINGS, "default", fresh, Silent(), never
        )


def test_processes_give_the_bits_of_one_even_if_one_is_killed(tmp_path, local):
    strike, killed = kill_first_owner(tmp_path)
    outcome, store, reporter = run_on(ProcessWorkers(2), tmp_path, asked=strike)
    assert killed
    assert not outcome.failed
    xr.testing.assert_identical(numbers(store), local)
    assert reporter.steps
    assert not list((store.folder / "progress").glob("*"))
    for cell_id in store.committed():
        header = store.read_header(cell_id)
        assert header["layouts"] == {"run": store.layout(f"{header['identity']['arm']}/run")} == {"run": 1}


def test_a_cell_whose_process_always_dies_is_given_up(tmp_path):
    workers = ProcessWorkers(1)

    class Doomed:
        run = staticmethod(_die)

    cell = next(iter(_cells()))
    for attempt in range(3):
        handle = workers.submit(Doomed(), cell)
        while not workers.finished([handle], 5.0):
            pass
        if attempt < 2:
            assert workers.result(handle) is False
    with pytest.raises(CellFailed, match="its process died 3 times; the machine may be short of memory"):
        workers.result(handle)
    workers.close()


def _die(cell):
    os.kill(os.getpid(), signal.SIGKILL)


def _cells():
    from separatrix.study.plan import plan

    return plan(STUDY, SETTINGS, "default", set())


def test_a_failed_arm_is_told_and_a_stop_is_obeyed(tmp_path):
    broken = dataclasses.replace(SETTINGS, name="broken")
    outcome, _, reporter = run_on(ProcessWorkers(1), tmp_path / "a", broken)
    assert len(outcome.failed) == 3
    assert "RuntimeError: this arm was asked to fail" in reporter.lines[0]
    asked = []
    long = dataclasses.replace(SETTINGS, steps=10_000_000)
    with pytest.raises(Cancelled):
        run_on(ProcessWorkers(1), tmp_path / "b", long, asked=lambda: asked.append(1) or len(asked) > 4)
    assert not (tmp_path / "b" / "stop").exists()


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_cluster_that_loses_a_worker_and_a_machine_gives_the_same_bits(tmp_path, local):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    kill, killed = kill_first_owner(tmp_path)
    removed, looks = [], []

    def strike():
        kill()
        looks.append(1)
        if killed and not removed and len(looks) > 6:
            cluster.remove_node(second, allow_graceful=False)
            removed.append(second)
        return False

    try:
        outcome, store, _ = run_on(RayWorkers("ray"), tmp_path, asked=strike)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert killed
    assert removed
    assert not outcome.failed
    xr.testing.assert_identical(numbers(store), local)
