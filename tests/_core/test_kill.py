"""A run that is killed again and again, and restarted, ends with the bits of one that was left alone."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("killed.py")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def start(kind, steps, folder, out, cache):
    environment = {**os.environ, "KILLED_CACHE": str(cache)}
    command = [sys.executable, str(SCRIPT), kind, str(steps), str(folder), str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)


def finish(process):
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    assert errors == b""  # no warning about a checkpoint


def change(folder, before, process):
    """Wait until the checkpoints differ from `before`, or the process has ended; return them."""
    while True:
        now = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.ckpt")}
        if now != before or process.poll() is not None:
            return now
        time.sleep(0.005)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("kind", "steps", "kills"),
    [
        ("plain", 40_000, 5),
        ("blocks", 40_000, 4),
        ("measured", 40_000, 4),
        ("host", 4_000, 4),
        ("reconstruction", 20_000, 4),
        ("actor-critic", 20_000, 4),
    ],
)
def test_killed_run_ends_with_the_same_bits(tmp_path, cache, kind, steps, kills):
    folder, rng = tmp_path / "killed", np.random.default_rng(len(kind))
    killed = saved = 0
    for _ in range(kills):
        process = start(kind, steps, folder, tmp_path / "result.npz", cache)
        seen = {p.name: p.stat().st_mtime_ns for p in folder.glob("*.ckpt")}
        after = change(folder, seen, process)  # so that each life gets somewhere
        saved += after != seen
        time.sleep(rng.uniform(0.0, 0.15))  # before, during or after the next one
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stderr.close()
        killed += process.returncode == -signal.SIGKILL
    assert killed == saved == kills  # it was alive each time, and had saved something new
    finish(start(kind, steps, folder, tmp_path / "result.npz", cache))
    undisturbed = tmp_path / "undisturbed"
    undisturbed.mkdir()
    for settled in folder.glob("*.block"):  # left to itself, it might find another layout quicker
        shutil.copy(settled, undisturbed)
    finish(start(kind, steps, undisturbed, tmp_path / "expected.npz", cache))
    with np.load(tmp_path / "expected.npz") as expected, np.load(tmp_path / "result.npz") as result:
        assert set(result.files) == set(expected.files)
        assert len(result.files) > 6
        for name in expected.files:
            assert result[name].dtype == expected[name].dtype
            assert result[name].tobytes() == expected[name].tobytes(), name
            assert np.isfinite(expected[name]).all()
