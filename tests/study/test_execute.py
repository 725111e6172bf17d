"""Whatever happens to the processes that compute it, a run ends with the same bits, each cell computed once."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from separatrix.study.runs import find_runs
from separatrix.study.store import open_run

SAMPLE = Path(__file__).with_name("sample_study.py")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Share compiled programs between the processes of this module."""
    return tmp_path_factory.mktemp("compiled")


def start(store, cache, *words, marks=None):
    command = [sys.executable, "-m", "separatrix.cli", "run", str(SAMPLE), "--store", str(store), *words]
    environment = {**os.environ, "SEPARATRIX_CACHE": str(cache)}
    if marks:
        environment["SAMPLE_MARKS"] = str(marks)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process, code=0):
    out, err = process.communicate(timeout=240)
    assert process.returncode == code, err
    return out, err


def results(store) -> xr.Dataset:
    (run,), skipped = find_runs(store)
    assert not skipped
    return open_run(store, run.slug, run.settings_hash).results()


def assert_same_bits(a: xr.Dataset, b: xr.Dataset):
    assert set(a.variables) == set(b.variables)
    for name in a.variables:
        assert a[name].dims == b[name].dims
        np.testing.assert_array_equal(a[name].values, b[name].values, err_msg=str(name))
        assert a[name].dtype == b[name].dtype


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """An uninterrupted run of 3 arms and 8 seeds."""
    store = tmp_path_factory.mktemp("whole")
    finish(start(store, cache))
    return results(store)


def test_twenty_kills_at_random_moments_change_nothing(whole, cache, tmp_path):
    choose = random.Random(20)
    kills = 0
    while kills < 20:
        process = start(tmp_path, cache)
        time.sleep(choose.uniform(1.2, 3.5))
        if process.poll() is not None:  # finished before its time came: begin another run, the kills go on
            finish(process)
            assert_same_bits(results(tmp_path), whole)
            (tmp_path / "sample").rename(tmp_path / f".done-{kills}")
            continue
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
    finish(start(tmp_path, cache))
    assert_same_bits(results(tmp_path), whole)


def test_two_processes_share_the_cells_and_compute_each_once(whole, cache, tmp_path):
    marks = tmp_path / "marks"
    pair = [start(tmp_path / "runs", cache, marks=marks) for _ in range(2)]
    for process in pair:
        finish(process)
    assert len(marks.read_text().splitlines()) == 6
    assert_same_bits(results(tmp_path / "runs"), whole)


def test_an_interrupted_run_says_so_and_goes_on(whole, cache, tmp_path):
    process = start(tmp_path, cache)
    while not list(tmp_path.glob("sample/*/locks/*.json")):
        time.sleep(0.05)
        assert process.poll() is None
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, err = finish(process, code=130)
    assert "the same command goes on where this one was" in err
    assert "Traceback" not in err
    finish(start(tmp_path, cache))
    assert_same_bits(results(tmp_path), whole)


def test_more_seeds_leave_the_old_numbers_as_they_are(whole, cache, tmp_path):
    finish(start(tmp_path, cache, "--seeds", "5"))
    out, _ = finish(start(tmp_path, cache, "--seeds", "8"))
    assert "3 cells computed, 6 kept" in out
    assert_same_bits(results(tmp_path), whole)


def test_a_broken_cell_is_moved_aside_and_computed_again(whole, cache, tmp_path):
    finish(start(tmp_path, cache))
    cell = sorted(tmp_path.glob("sample/*/cells/*.npz"))[0]
    cell.write_bytes(cell.read_bytes()[:-100])
    out, err = finish(start(tmp_path, cache))
    assert "moved to cells/damaged" in err
    assert "1 cells computed, 5 kept" in out
    assert_same_bits(results(tmp_path), whole)


def test_a_failing_arm_is_reported_and_the_rest_is_run(cache, tmp_path):
    out, err = finish(start(tmp_path, cache, "--set", "name=broken"), code=1)
    assert "arm 'sgd', seeds 0-3: RuntimeError: this arm was asked to fail" in err
    assert "Traceback" not in err
    assert "0 cells computed" in out
