"""The store keeps what was committed, through kills, full disks, foreign hands and other versions."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import xarray as xr

from separatrix._core import files
from separatrix.study.codec import encode
from separatrix.study.files import StoreError
from separatrix.study.identity import cell_id
from separatrix.study.runs import find_runs
from separatrix.study.store import open_run

HASH = "0123456789ab"


def identity(arm="plain", seeds=(0, 1), **point):
    return {"arm": arm, "seeds": list(seeds), "point": point}


def dataset(seeds=(0, 1), steps=5, offset=0.0):
    values = offset + np.add.outer(100.0 * np.array(seeds), np.arange(steps)).astype(np.float32)
    return xr.Dataset(
        {
            "loss": (("seed", "step"), values, {"units": "nat"}),
            "diverged_at": ("seed", np.full(len(seeds), -1), {"units": "step"}),
            "wall": ("seed", np.ones(len(seeds)), {"units": "seconds"}),
        },
        {"seed": list(seeds), "step": np.arange(steps)},
        {"study": "demo", "settings": {"rates": [0.1]}},
    )


def commit(run, arm="plain", seeds=(0, 1), **point):
    name = cell_id(identity(arm, seeds, **point))
    run.commit(name, identity(arm, seeds, **point), dataset(seeds))
    return name


@pytest.fixture
def run(tmp_path):
    return open_run(
        tmp_path, "demo", HASH, create=True, preset="quick", settings={"steps": 5}, provenance={"git": None}
    )


def test_a_cell_comes_back_with_its_header(run):
    name = commit(run)
    assert run.committed() == {name}
    xr.testing.assert_identical(run.read_cell(name), dataset())
    header = run.read_header(name)
    assert header["identity"] == identity()
    assert (header["schema"], header["slug"], header["settings_hash"], header["cell"]) == (1, "demo", HASH, name)
    assert header["provenance"] == {"git": None}
    assert run.manifest["cells"][name]["state"] == "done"
    with pytest.raises(StoreError, match="is not in"):
        run.read_cell("0" * 16)


@pytest.mark.parametrize(
    ("given", "data", "message"),
    [
        (identity(seeds=(0, 2)), dataset(), "coordinate `seed`"),
        (identity(seeds=(0,)), dataset(), "dimension `seed`"),
        (identity(step=3), dataset(), "'step'"),
        ({"seeds": [0, 1]}, dataset(), "string `arm`"),
    ],
)
def test_a_cell_that_does_not_fit_its_identity_is_refused(run, given, data, message):
    with pytest.raises(ValueError, match=message):
        run.commit("0" * 16, given, data)
    with pytest.raises(ValueError, match="hexadecimal"):
        run.commit("../evil", identity(), dataset())
    assert run.committed() == set()


def test_the_results_are_the_same_from_cells_from_zarr_and_for_plain_xarray(run):
    for arm in ("heavy ball", "plain"):
        for seeds in ((2, 3), (0, 1)):
            commit(run, arm, seeds)
    from_cells = run.results()
    assert from_cells["loss"].shape == (2, 4, 5)
    path = run.write_results()
    from_zarr = run.results()
    xr.testing.assert_identical(from_zarr, from_cells)
    assert {n: v.dtype for n, v in from_zarr.variables.items()} == {n: v.dtype for n, v in from_cells.variables.items()}
    with xr.open_zarr(path) as plain:
        xr.testing.assert_equal(plain, from_cells)
        assert plain["loss"].sel(arm="plain", seed=2, step=3) == 203
        assert plain["loss"].attrs == {"units": "nat"}
    assert not list(run.folder.glob(".results.zarr/*.zarr"))


def test_arms_follow_the_plan(run):
    plan = [cell_id(identity(arm, (0, 1))) for arm in ("z", "a", "m")]
    run.set_states(plan, "waiting")
    for arm in ("a", "m", "z"):
        commit(run, arm)
    assert run.results()["arm"].values.tolist() == ["z", "a", "m"]


def test_stale_results_are_not_used(run):
    commit(run)
    run.write_results()
    commit(run, seeds=(2, 3))
    assert run.results()["seed"].size == 4
    run.commit(cell_id(identity()), identity(), dataset(offset=7.0))
    assert run.results()["loss"].values.min() == 7.0
    run.write_results()
    assert run.results()["loss"].values.min() == 7.0


@pytest.mark.parametrize("break_it", ["truncate a chunk", "remove the metadata", "replace by a file"])
def test_broken_results_are_made_anew_from_the_cells(run, break_it):
    commit(run)
    path = run.write_results()
    if break_it == "truncate a chunk":
        chunk = next(file for file in (path / "loss" / "c").rglob("*") if file.is_file())
        chunk.write_bytes(chunk.read_bytes()[:5])
    elif break_it == "remove the metadata":
        (path / "zarr.json").unlink()
    else:
        shutil.rmtree(path)
        path.write_text("not a store")
    assert run.results()["loss"].sel(seed=1, step=4) == 104


def test_results_need_cells(run):
    assert run.results().sizes == {}
    with pytest.raises(StoreError, match="no finished cells"):
        run.write_results()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "another run", "another cell", "foreign schema"])
def test_a_damaged_cell_is_moved_away_reported_and_never_used(run, damage):
    good, bad = commit(run), commit(run, seeds=(2, 3))
    path = run.cells / f"{bad}.npz"
    data = path.read_bytes()
    if damage == "truncated":
        path.write_bytes(data[:-100])
    elif damage == "flipped":
        at = data.index(np.float32(203).tobytes())
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "another cell":
        shutil.copy(run.cells / f"{good}.npz", path)
    else:
        header = {**run.read_header(bad), **({"slug": "other"} if damage == "another run" else {"schema": 2})}
        path.write_bytes(encode(header, dataset((2, 3))))

    result = run.results()
    assert result["seed"].values.tolist() == [0, 1]
    assert bad in result.attrs["damaged_cells"]
    assert path.exists()  # reading changes nothing
    with pytest.raises(StoreError, match=bad):
        run.read_cell(bad)

    (message,) = run.damaged()
    assert bad in message
    assert "moved to" in message
    assert "\n" not in message
    assert run.committed() == {good}
    assert run.states() == {good: "done", bad: "waiting"}
    assert len(list((run.cells / "damaged").iterdir())) == 1
    assert run.damaged() == []


def test_a_cell_that_another_process_moves_while_we_read_is_left_out(run, monkeypatch):
    kept, moved = commit(run), commit(run, seeds=(2, 3))
    listed = run._stamps()
    (run.cells / f"{moved}.npz").unlink()
    monkeypatch.setattr(run, "_stamps", lambda: listed)
    assert run.results()["seed"].values.tolist() == [0, 1]
    assert run.damaged() == []
    monkeypatch.undo()
    assert run.committed() == {kept}


def test_leftovers_of_killed_writers_are_removed_once_they_are_old(run):
    commit(run)
    old, fresh = run.cells / ".a.npz.1-ab.tmp", run.cells / ".b.npz.1-ab.tmp"
    for leftover in (old, fresh):
        leftover.write_bytes(b"half")
    os.utime(old, (0, 0))
    run.damaged()
    assert (old.exists(), fresh.exists()) == (False, True)
    assert len(run.committed()) == 1


def test_done_is_what_the_files_say(run):
    done = commit(run)
    lost, failed = commit(run, seeds=(2, 3)), cell_id(identity("bad"))
    (run.cells / f"{lost}.npz").unlink()
    run.set_state(failed, "failed", "it broke")
    assert run.states() == {done: "done", lost: "waiting", failed: "failed"}
    assert run.manifest["cells"][failed]["message"] == "it broke"
    with pytest.raises(ValueError, match="waiting, running, done, failed"):
        run.set_state(failed, "lost")


def test_no_update_of_the_manifest_is_lost_between_threads(run):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: run.set_state(f"{i:016x}", "running"), range(40)))
    assert len(run.manifest["cells"]) == 40


def test_the_first_proposal_of_a_layout_holds_for_all(run):
    with ThreadPoolExecutor(4) as pool:
        settled = set(pool.map(lambda block: run.settle_layout("plain/run", block), [1, 2, 4, 8]))
    assert len(settled) == 1
    assert run.layout("plain/run") in settled
    assert run.layout("heavy/run") is None


def test_opening_again_keeps_everything_and_notes_the_preset(run, tmp_path):
    name = commit(run)
    again = open_run(tmp_path, "demo", HASH, create=True, preset="default", settings={"steps": 5})
    assert again.committed() == {name}
    assert again.manifest["preset"] == "default"
    assert again.manifest["provenance"] == {"git": None}
    assert open_run(tmp_path, "demo", HASH).manifest["preset"] == "default"


def test_missing_and_foreign_folders_are_refused(tmp_path, run):
    with pytest.raises(StoreError, match=r"no run of other .*separatrix run other"):
        open_run(tmp_path, "other", HASH)
    foreign = tmp_path / "demo" / "photos"
    foreign.mkdir()
    (foreign / "cat.jpg").write_bytes(b"")
    for create in (False, True):
        with pytest.raises(StoreError, match="choose another with --store"):
            open_run(tmp_path, "demo", "photos", create=create)
    shutil.copytree(run.folder, tmp_path / "other" / HASH)
    with pytest.raises(StoreError, match="belongs to demo"):
        open_run(tmp_path, "other", HASH)
    with pytest.raises(StoreError, match="cannot name a folder"):
        open_run(tmp_path, "../demo", HASH)
    assert os.listdir(foreign) == ["cat.jpg", ".mutex"] or os.listdir(foreign) == [".mutex", "cat.jpg"]


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"slug": "demo"}', '{"slug": "demo", "schema": "x"}'])
def test_a_manifest_that_is_none_is_refused(tmp_path, run, content):
    (run.folder / "manifest.json").write_text(content)
    with pytest.raises(StoreError):
        open_run(tmp_path, "demo", HASH)


def test_a_store_of_schema_0_is_read_and_migrated(tmp_path):
    folder = tmp_path / "demo" / HASH
    (folder / "cells").mkdir(parents=True)
    name = cell_id(identity())
    golden = {
        "schema": 0,
        "slug": "demo",
        "settings_hash": HASH,
        "preset": "default",
        "settings": {"steps": 5},
        "provenance": {},
        "created": "2026-01-01T00:00:00+00:00",
        "updated": "2026-01-01T00:00:00+00:00",
        "cells": {name: {"state": "done", "message": ""}},
    }
    header = {"schema": 0, "slug": "demo", "settings_hash": HASH, "cell": name, "identity": identity()}
    (folder / "manifest.json").write_text(json.dumps(golden))
    (folder / "cells" / f"{name}.npz").write_bytes(encode(header, dataset()))

    run = open_run(tmp_path, "demo", HASH)
    assert run.results()["loss"].shape == (1, 2, 5)
    assert json.loads((folder / "manifest.json").read_text()) == golden  # reading changes nothing
    commit(run, seeds=(2, 3))
    migrated = json.loads((folder / "manifest.json").read_text())
    assert (migrated["schema"], migrated["layouts"]) == (1, {})
    assert {key: migrated[key] for key in ("preset", "settings", "created")} == {
        key: golden[key] for key in ("preset", "settings", "created")
    }
    assert run.results()["seed"].size == 4
    assert run.damaged() == []


def test_a_store_of_a_newer_version_is_refused(tmp_path, run):
    manifest = {**run.manifest, "schema": 2}
    (run.folder / "manifest.json").write_text(json.dumps(manifest))
    for create in (False, True):
        with pytest.raises(StoreError, match="written by a newer Separatrix"):
            open_run(tmp_path, "demo", HASH, create=create)


def test_a_full_disk_keeps_finished_cells_and_leaves_no_half(run, monkeypatch):
    name = commit(run)

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    before = sorted(path for path in run.folder.rglob("*"))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(StoreError, match="the disk is full"):
            commit(run, seeds=(2, 3))
    assert sorted(path for path in run.folder.rglob("*")) == before
    assert run.committed() == {name}
    commit(run, seeds=(2, 3))
    assert run.results()["seed"].size == 4


def test_a_disk_that_really_is_full(tmp_path):
    if shutil.which("mount") is None or os.geteuid() != 0:
        pytest.skip("needs the right to mount a small file system")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount a small file system")
    try:
        run = open_run(tmp_path, "demo", HASH, create=True)
        first = commit(run)
        with pytest.raises(StoreError, match="the disk is full"):
            run.commit("f" * 16, identity("big"), dataset(steps=100_000))
        with pytest.raises(StoreError, match="the disk is full"):
            [commit(run, seeds=(2 * i + 2, 2 * i + 3)) for i in range(100)]
        assert first in run.committed()
        assert not list(run.cells.glob(".*"))
        assert run.damaged() == []
        with pytest.raises(StoreError):
            run.write_results()
        assert run.results().sizes["arm"] == 1
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


READ_ONLY = """
import sys, warnings
import xarray as xr
from separatrix.study.files import StoreError
from separatrix.study.runs import find_runs
from separatrix.study.store import open_run
run = open_run(sys.argv[1], "demo", sys.argv[2])
print(run.results().sizes["seed"], len(find_runs(sys.argv[1])[0]), len(run.damaged()))
data = xr.Dataset({"x": ("seed", [1.0])})
for write in (lambda: run.commit("0" * 16, {"arm": "a", "seeds": [9]}, data), run.write_results,
              lambda: run.lock("0" * 16).try_acquire(), lambda: open_run(sys.argv[1], "new", "1", create=True)):
    try:
        write()
    except StoreError as error:
        print(error)
"""


def test_a_read_only_store_is_read_and_refuses_to_be_written(tmp_path):
    root = tmp_path / "runs"
    try:
        run = open_run(root, "demo", HASH, create=True)
        commit(run)
        name = commit(run, seeds=(2, 3))
        (run.cells / f"{name}.npz").write_bytes(b"damaged")
        for path in (root, *root.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        command = [sys.executable, "-B", "-c", READ_ONLY, str(root), HASH]
        if os.geteuid() == 0:  # nothing is read-only to root unless it gives that privilege up
            if shutil.which("setpriv") is None:
                pytest.skip("needs an ordinary user, or setpriv")
            command = ["setpriv", "--bounding-set=-dac_override", *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        summary, *refusals = done.stdout.splitlines()
        assert summary == "2 1 1"
        assert len(refusals) == 4
        assert all("is not writable; choose another with --store" in line for line in refusals)
        assert run.committed() >= {name}  # the damaged cell could not be moved
    finally:
        for path in (root, *root.rglob("*")):
            path.chmod(0o755)


COMMITTING = """
import sys
import numpy as np, xarray as xr
from separatrix.study.identity import cell_id
from separatrix.study.store import open_run
run = open_run(sys.argv[1], "demo", sys.argv[2], create=True)
print("ready", flush=True)
for seed in range(100_000):
    identity = {"arm": "plain", "seeds": [seed], "point": {}}
    data = xr.Dataset({"loss": (("seed", "step"), np.full((1, 1_000), float(seed)))}, {"seed": [seed]})
    run.commit(cell_id(identity), identity, data)
"""


def test_whatever_moment_a_writer_is_killed_at_all_committed_cells_are_whole(tmp_path):
    generator = random.Random(0)
    for _ in range(4):
        command = [sys.executable, "-c", COMMITTING, str(tmp_path), HASH]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout.readline() == "ready\n"
        time.sleep(generator.uniform(0.05, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        run = open_run(tmp_path, "demo", HASH, create=True)
        assert run.damaged() == []
        result = run.results()
        if result.sizes:
            np.testing.assert_array_equal(result["loss"].sel(arm="plain").isel(step=0), result["seed"])
    assert run.committed()


def test_two_thousand_cells_open_in_under_three_seconds(run, monkeypatch):
    generator = np.random.default_rng(0)
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: None)
    monkeypatch.setattr(run, "set_state", lambda *arguments: None)
    for arm in range(20):
        for seed in range(100):
            data = xr.Dataset(
                {name: (("seed", "step"), generator.random((1, 1_000), dtype=np.float32)) for name in "abc"},
                {"seed": [seed], "step": np.arange(1_000)},
            )
            made = identity(f"arm {arm}", [seed])
            run.commit(cell_id(made), made, data)
    start = time.perf_counter()
    from_cells = run.results()
    assert time.perf_counter() - start < 3
    run.write_results()
    start = time.perf_counter()
    xr.testing.assert_identical(run.results(), from_cells)
    assert time.perf_counter() - start < 3
    files_written = [path for path in (run.folder / "results.zarr" / "a" / "c").rglob("*") if path.is_file()]
    assert len(files_written) <= 20


def test_runs_are_found_newest_first_and_foreign_folders_are_reported(tmp_path, run):
    assert find_runs(tmp_path / "nowhere") == ([], [])
    time.sleep(0.002)
    open_run(tmp_path, "other", "ffff", create=True, preset="full")
    (tmp_path / "demo" / "photos").mkdir()
    runs, skipped = find_runs(tmp_path)
    assert [(r.slug, r.settings_hash, r.preset) for r in runs] == [("other", "ffff", "full"), ("demo", HASH, "quick")]
    assert len(skipped) == 1
    assert "photos" in skipped[0]
    assert [r.slug for r in find_runs(tmp_path, "demo")[0]] == ["demo"]
    assert runs[1].folder == run.folder


def test_the_kernel_stays_quick_to_import():
    code = (
        "import sys\n"
        "from separatrix.study import finding, identity, locks, provenance, statistics, store\n"
        "print([name for name in ('jax', 'xarray', 'zarr', 'scipy.stats', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
