"""A store behind a URL holds what a folder holds; what is broken there is not trusted, what cannot go there is kept."""

import dataclasses
import json
import os
import subprocess
import sys

import pytest
import xarray as xr

from separatrix import cli
from separatrix.study.computing import Job
from separatrix.study.execute import execute_on
from separatrix.study.files import StoreError
from separatrix.study.remote import Remote
from separatrix.study.remote_runs import pull
from separatrix.study.runs import copy_of, find_runs
from separatrix.study.settings import describe
from separatrix.study.stop_flag import StopFlag
from separatrix.study.store import open_run

from . import sample_study
from .test_workers import Silent, never

fsspec = pytest.importorskip("fsspec")
SAMPLE, URL = sample_study.__file__, "memory://bucket/runs"
WORDS = ["run", SAMPLE, "--set", "steps=40", "--seeds", "4", "--json", "--store"]
SHORT = dataclasses.replace(sample_study.Settings(), seeds=4, steps=40)


@pytest.fixture(autouse=True)
def objects(monkeypatch):
    """The objects behind `memory://`."""
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    yield files.store
    files.store.clear()


@pytest.fixture
def on_machine(monkeypatch, tmp_path):
    """Move to another machine, which has a cache folder of its own."""
    return lambda name: monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / name))


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The results of the same run in a folder."""
    folder = tmp_path_factory.mktemp("local")
    assert cli.main([*WORDS, str(folder)]) == 0
    return numbers(str(folder))


def numbers(root):
    (run,), skipped = find_runs(root)
    assert not skipped
    store = open_run(root, run.slug, run.settings_hash)
    assert not pull(store)
    return store.results().drop_attrs()


def ran(capsys, url=URL, code=0):
    """Run the sample study; return its document."""
    capsys.readouterr()
    assert cli.main([*WORDS, url]) == code
    (document,) = json.loads(capsys.readouterr().out)
    return document


def cells(objects):
    return sorted(name for name in objects if name.endswith(".npz"))


def test_a_url_holds_the_bits_of_a_folder_for_every_machine(objects, on_machine, local, capsys):
    on_machine("a")
    document = ran(capsys)
    assert (document["computed"], document["kept"], len(cells(objects))) == (3, 0, 3)
    assert document["store"].startswith(f"{URL}/sample/")
    with xr.open_zarr(f"{document['store']}/results.zarr") as opened:  # the results are there for other tools
        xr.testing.assert_identical(opened.load().drop_attrs().transpose(*local.dims), local.transpose(*local.dims))
    on_machine("b")
    xr.testing.assert_identical(numbers(URL), local)
    document = ran(capsys)
    assert (document["computed"], document["kept"]) == (0, 3)


def test_results_can_be_judged_reported_and_exported_on_a_machine_that_ran_nothing(on_machine, local, tmp_path, capsys):
    on_machine("a")
    ran(capsys)
    on_machine("b")
    assert cli.main(["verdicts", SAMPLE, "--store", URL, "--json"]) == 3  # four seeds decide nothing
    assert [row["seeds"] for row in json.loads(capsys.readouterr().out)] == [4, 4]
    page, table = tmp_path / "page.html", tmp_path / "csv"
    assert cli.main(["report", SAMPLE, "--store", URL, "-o", str(page)]) == 0
    assert cli.main(["export", SAMPLE, "--store", URL, "--to", "csv", "-o", str(table)]) == 0
    xr.testing.assert_identical(numbers(copy_of(URL)), local)  # what `view` shows
    assert page.stat().st_size > 10_000
    assert (table / "arm-seed-step.csv").exists()


def truncated(objects, name):
    return objects[name].getvalue()[:-100]


def of_another(objects, name):
    return objects[next(other for other in cells(objects) if other != name)].getvalue()


@pytest.mark.parametrize(("damage", "why"), [(truncated, "damaged or not a cell"), (of_another, "belongs elsewhere")])
def test_a_broken_object_is_refused_computed_again_and_replaced(objects, on_machine, local, capsys, damage, why):
    on_machine("a")
    ran(capsys)
    broken = cells(objects)[1]
    fsspec.filesystem("memory").pipe_file(broken, damage(objects, broken))
    on_machine("b")
    assert cli.main([*WORDS, URL]) == 0
    captured = capsys.readouterr()
    (document,) = json.loads(captured.out)
    assert why in captured.err
    assert "to be computed again" in captured.err
    assert (document["computed"], document["kept"]) == (1, 2)
    on_machine("c")
    xr.testing.assert_identical(numbers(URL), local)


def test_a_manifest_that_is_none_is_refused_in_one_line(objects, on_machine, capsys):
    on_machine("a")
    ran(capsys)
    (name,) = [name for name in objects if name.endswith("manifest.json")]
    on_machine("b")
    for content in (b"{", b"[]", b'{"slug": "sample", "schema": 99}', b'{"slug": "other", "schema": 0}'):
        fsspec.filesystem("memory").pipe_file(name, content)
        assert cli.main([*WORDS, URL]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
        assert len(find_runs(URL)[1]) == 1


def refusing(monkeypatch, names):
    """Let nothing be written whose name contains one of these words."""
    kind = type(fsspec.filesystem("memory"))
    write = kind.pipe_file

    def guarded(self, path, *more, **options):
        if any(word in path for word in names):
            raise PermissionError("Access Denied")
        return write(self, path, *more, **options)

    monkeypatch.setattr(kind, "pipe_file", guarded)


def test_a_place_that_cannot_be_written_is_one_line_before_anything_is_computed(
    objects, on_machine, monkeypatch, capsys
):
    on_machine("a")
    refusing(monkeypatch, ["manifest"])
    assert cli.main([*WORDS, URL]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{URL} could not be written: Access Denied" in line
    assert not objects


def test_what_cannot_be_sent_is_kept_and_sent_by_the_next_run(objects, on_machine, local, monkeypatch, capsys):
    on_machine("a")
    with monkeypatch.context() as patched:
        refusing(patched, ["cells/"])
        assert cli.main([*WORDS, URL]) == 2
        told = capsys.readouterr().err
        assert "finished cells are kept in" in told.splitlines()[-1], told
        assert not cells(objects)
    document = ran(capsys)
    assert (document["computed"], document["kept"], len(cells(objects))) == (2, 1, 3)
    on_machine("b")
    xr.testing.assert_identical(numbers(URL), local)


def test_workers_of_other_machines_hand_over_through_the_url(objects, on_machine, local):
    on_machine("a")
    store = open_run(URL, "sample", "abc", create=True, preset="default")
    job = Job(SAMPLE, (), (), describe(SHORT), URL, "sample", "abc", {}, f"{URL}/sample/abc/stop-1")

    class Elsewhere:
        """Computes a cell on machine b when its result is asked for."""

        def __init__(self):
            self.cells = {}

        def submit(self, job, cell):
            self.cells[cell.id] = cell
            return cell.id

        def finished(self, handles, seconds):
            return handles[:1]

        def result(self, handle):
            on_machine("b")
            try:
                return job.run(self.cells[handle])
            finally:
                on_machine("a")

        def close(self):
            pass

    outcome = execute_on(Elsewhere(), job, sample_study.STUDY, SHORT, "default", store, Silent(), never)
    assert (outcome.computed, outcome.kept, outcome.failed) == (3, 0, [])
    xr.testing.assert_identical(store.results().drop_attrs(), local)
    assert not [name for name in objects if "stop" in name]


def test_a_cell_that_did_not_arrive_is_a_failure_and_not_computed_for_ever(on_machine):
    on_machine("a")
    store = open_run(URL, "sample", "abc", create=True, preset="default")
    job = Job(SAMPLE, (), (), describe(SHORT), URL, "sample", "abc", {}, f"{URL}/sample/abc/stop-1")

    class Nowhere:
        def submit(self, job, cell):
            return cell.id

        def finished(self, handles, seconds):
            return handles

        def result(self, handle):
            return True

        def close(self):
            pass

    outcome = execute_on(Nowhere(), job, sample_study.STUDY, SHORT, "default", store, Silent(), never)
    assert outcome.computed == 0
    assert len(outcome.failed) == 3
    assert "does not hold it" in outcome.failed[0]


def test_the_layout_that_one_machine_settles_on_is_known_to_the_next(on_machine):
    on_machine("a")
    first = open_run(URL, "sample", "abc", create=True, preset="default")
    on_machine("b")
    second = open_run(URL, "sample", "abc", create=True, preset="default")
    assert first.settle_layout("sgd/run", 4) == second.settle_layout("sgd/run", 1) == 4


def test_a_stop_is_seen_on_every_machine(tmp_path):
    for place in (f"{URL}/stop-1", str(tmp_path / "stop-1")):
        asks = StopFlag(place)
        asks.clear()
        assert not StopFlag(place).is_set()
        asks.set()
        assert StopFlag(place).is_set()
        asks.clear()
        assert not StopFlag(place).is_set()


def test_folders_on_the_way_are_made_and_a_password_is_not_shown(tmp_path):
    remote = Remote(f"file://{tmp_path}/one/two")
    remote.write("three/cells/a", b"a")
    remote.write("three/cells/b", b"b")
    assert remote.names("three/cells") == {"a", "b"}
    assert dict(remote.read_all(["three/cells/a", "three/cells/c", "three/cells/b"])) == {
        "three/cells/a": b"a",
        "three/cells/b": b"b",
    }
    assert remote.names("four") == set()
    assert str(Remote("memory://me:secret@host/runs")) == "memory://host/runs"


@pytest.mark.parametrize(
    ("url", "missing", "line"),
    [
        (URL, "fsspec", "needs fsspec; install it with: pip install 'separatrix[remote]'"),
        ("dropbox://x/y", "dropboxdrivefs", "dropbox://x/y cannot be opened: "),
        ("nosuch://x/y", "nosuch", "nosuch://x/y cannot be opened: Protocol not known: nosuch"),
    ],
)
@pytest.mark.parametrize("command", ["run", "verdicts", "report", "export"])
def test_what_is_missing_is_one_line(monkeypatch, on_machine, capsys, url, missing, line, command):
    on_machine("a")
    monkeypatch.setitem(sys.modules, missing, None)
    words = {"run": ["--preset", "quick"], "verdicts": [], "report": [], "export": ["--to", "csv"]}[command]
    assert cli.main([command, SAMPLE, "--store", url, *words]) == 2
    (told,) = capsys.readouterr().err.splitlines()
    assert line in told


def test_commands_that_need_a_folder_say_so(on_machine, capsys):
    on_machine("a")
    assert cli.main(["map", SAMPLE, "--over", "scale=0:1", "--store", URL]) == 2
    assert cli.main(["run", SAMPLE, "--fresh", "--store", URL]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all("needs a folder" in line for line in lines)


def test_a_place_that_does_not_answer_is_one_line(on_machine, monkeypatch, capsys):
    on_machine("a")

    def silent(*words, **options):
        raise TimeoutError("timed out\nwith details")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", silent)
    assert cli.main(["verdicts", "--store", URL]) == 2
    assert capsys.readouterr().err == f"separatrix: {URL} could not be read: timed out\n"


def machine(url, home, *words, **environment):
    command = [sys.executable, "-m", "separatrix.cli", *WORDS, url, *words]
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), **environment}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(processes):
    documents = []
    for process in processes:
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, err
        documents += json.loads(out)
    return documents


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_two_machines_and_their_processes_may_work_on_one_url(local, on_machine, tmp_path):
    url = f"file://{tmp_path}/share/runs"
    pair = [machine(url, tmp_path / "a"), machine(url, tmp_path / "b", "--jobs", "2")]
    documents = finish(pair)
    assert sum(document["computed"] for document in documents) >= 3
    on_machine("c")
    xr.testing.assert_identical(numbers(url), local)


@pytest.fixture
def s3(monkeypatch):
    """A local S3 server with an empty bucket."""
    pytest.importorskip("s3fs", reason="the package s3fs is missing")
    server_of = pytest.importorskip("moto.server", reason="the package moto[server] is missing")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = server_of.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    fsspec.filesystem("s3", skip_instance_cache=True).mkdir("laboratory")
    yield "s3://laboratory/runs"
    server.stop()


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.filterwarnings("default")  # those of botocore are not ours
def test_an_s3_server_holds_the_bits_of_a_folder(s3, local, on_machine, tmp_path, capsys):
    finish([machine(s3, tmp_path / "a"), machine(s3, tmp_path / "b", "--jobs", "2")])
    on_machine("c")
    xr.testing.assert_identical(numbers(s3), local)
    files = fsspec.filesystem("s3")
    broken = sorted(files.find("laboratory/runs"))[0]
    assert broken.endswith(".npz")
    files.pipe_file(broken, files.cat_file(broken)[:-100])
    on_machine("d")
    document = ran(capsys, s3)
    assert (document["computed"], document["kept"]) == (1, 2)
    with xr.open_zarr(f"{document['store']}/results.zarr") as opened:
        assert dict(opened.sizes) == dict(local.sizes)
    with pytest.raises(StoreError, match="could not be written"):
        open_run("s3://no-such-bucket/runs", "sample", "abc", create=True)
    assert files.ls("") == ["laboratory"]  # a misspelt bucket is not made
