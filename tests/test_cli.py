"""The command line's contract: documents, exit codes, and one line for every mistake."""

import dataclasses
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from separatrix import cli
from separatrix.study.study import find_study

SAMPLE = str(Path(__file__).with_name("study") / "sample_study.py")
SLUG = "grokking-numerical-stability"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A finished run of the sample study."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["run", SAMPLE, "--store", str(folder), "--set", "steps=40", "--seeds", "5", "--json"]
    assert cli.main(words) == 0
    return str(folder)


@pytest.fixture(autouse=True)
def no_shared_cache(monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")


def test_help_answers_in_under_half_a_second():
    command = [sys.executable, "-m", "separatrix.cli", "--help"]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds.append(time.perf_counter() - began)
    for command in ("list", "explain", "run", "sweep", "map", "verdicts", "report", "export"):
        assert command in done.stdout
    loaded = subprocess.run(
        [sys.executable, "-c", "import separatrix.cli, sys; print('jax' in sys.modules, 'numpy' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.split() == ["False", "False"]  # the fact behind the speed, whatever the machine's load


def test_list_as_json(capsys):
    assert cli.main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"slug": SLUG, "seed": 34, "domain": "training"}.items() <= next(r for r in rows if r["seed"] == 34).items()
    assert set(rows[0]) == {"slug", "seed", "domain", "question", "cost"}


def test_explain_names_claims_thresholds_and_citation(capsys):
    assert cli.main(["explain", SLUG]) == 0
    out = capsys.readouterr().out
    for part in ("F2a", "≥ 0.95", "@inproceedings{prieto2025grokking", "stablemax", "quick"):
        assert part in out


def test_run_prints_one_document(tmp_path, capsys):
    words = ["run", SAMPLE, "--store", str(tmp_path), "--set", "steps=40", "--seeds", "2", "--preset", "quick"]
    assert cli.main([*words, "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert document["computed"] == 3
    assert document["failed"] == document["verdicts"] == []
    assert cli.main([*words, "--json"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["computed"], document["kept"]) == (0, 3)
    assert cli.main([*words, "--json", "--fresh"]) == 0
    (document,) = json.loads(capsys.readouterr().out)
    assert (document["computed"], document["kept"]) == (3, 0)


def test_verdicts_as_json_and_their_exit_code(store, capsys):
    assert cli.main(["verdicts", SAMPLE, "--store", store, "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    keys = {"study", "finding", "claim", "effect", "low", "high", "expect", "published", "seeds", "verdict"}
    assert keys <= set(first)
    assert (first["finding"], first["verdict"], first["seeds"]) == ("S1", "reproduced", 5)
    assert (second["finding"], second["verdict"]) == ("S2", "not reproduced")
    assert first["low"] <= first["effect"] <= first["high"]


def test_too_few_seeds_are_called_what_they_are(tmp_path, capsys):
    words = [SAMPLE, "--store", str(tmp_path)]
    assert cli.main(["run", *words, "--set", "steps=40", "--seeds", "3"]) == 0
    capsys.readouterr()
    assert cli.main(["verdicts", *words, "--json"]) == 3
    for verdict in json.loads(capsys.readouterr().out):
        assert (verdict["verdict"], verdict["note"]) == ("inconclusive", "too few seeds (n < 5)")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run", "groking-numerical-stability"], f"did you mean '{SLUG}'?"),
        (["explain", "nothing-like-it"], "there is no study 'nothing-like-it'"),
        (["run", SLUG, "--set", "stepz=3"], "there is no setting 'stepz'; did you mean 'steps'?"),
        (["run", SLUG, "--set", "steps=many"], "setting 'steps' must be int; got 'many'"),
        (["run", SLUG, "--set", "steps"], "--set needs key=value; got 'steps'"),
        (["run", SLUG, "--set", "steps=-5"], "setting 'steps' must be at least 1; got '-5'"),
        (["run", SLUG, "--seeds", "-3"], "the number of seeds must be at least 1; got -3"),
        (["run", SLUG, "--seeds", "two"], "argument --seeds: invalid int value: 'two'"),
        (["run", SLUG, "--preset", "huge"], "argument --preset: invalid choice: 'huge'"),
        (["run", SLUG, "--on", "mars"], "--on mars: cells run on local, ray or ray://HOST:PORT"),
        (["run", "missing.py"], "there is no file missing.py"),
        (
            ["verdicts", SLUG, "--store", "nowhere"],
            f"there is no run of {SLUG} in nowhere; start it with: separatrix run",
        ),
        (["verdicts", "--store", "nowhere"], "there is no finished run in nowhere"),
        (["verdicts", "--preset", "thorough", "--store", "nowhere"], "separatrix run SLUG --preset thorough"),
        (["verdicts", "--run", "0123"], "--run and --set name a run of one study; give its SLUG alone"),
        (["report", SLUG, "--store", "nowhere"], "there is no run of"),
        (["report", SLUG, "--store", "nowhere", "--run", "0123"], "no runs of"),
        (["report", SLUG, "--run", "0123", "--set", "steps=3"], "name a run each; give one of them"),
        (["export", SLUG, "--to", "excel"], "argument --to: invalid choice: 'excel'"),
        (["flee"], "invalid choice: 'flee'"),
    ],
)
def test_a_mistake_gets_one_line_and_exit_code_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(words)
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())  # nothing half-written


def verdicts_of(store, capsys, *words):
    code = cli.main(["verdicts", SAMPLE, "--store", str(store), "--json", *words])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else err


def test_a_refused_run_is_one_line_and_hides_nothing(store, tmp_path, capsys):
    _, before = verdicts_of(store, capsys)
    for place in (store, str(tmp_path / "new")):
        folders = sorted(Path(place).glob("sample/*"))
        assert cli.main(["run", SAMPLE, "--store", place, "--set", "steps=41", "--seeds", "5"]) == 2
        out, err = capsys.readouterr()
        assert err == (
            "separatrix: `steps` must be a multiple of 20, the cadence of probe 'info:loss'; got 41. Try steps=60.\n"
        )
        assert out == ""
        assert sorted(Path(place).glob("sample/*")) == folders
    assert verdicts_of(store, capsys)[1] == before


def test_the_run_with_the_presets_own_settings_is_judged_and_others_are_named(tmp_path, capsys, monkeypatch):
    study = find_study(SAMPLE)
    usual = dataclasses.replace(study.presets["default"], steps=20, seeds=5)
    study = dataclasses.replace(study, presets={**study.presets, "default": usual})
    monkeypatch.setattr("separatrix.study.study.find_study", lambda slug: study)
    run = ["run", SAMPLE, "--store", str(tmp_path)]
    assert cli.main([*run, "--set", "steps=40"]) == 0
    assert "sample (default; steps = 40)" in capsys.readouterr().out
    assert verdicts_of(tmp_path, capsys)[1][0]["changed"] == {"steps": 40}  # there is no other
    assert cli.main(run) == 0
    assert "sample (default)" in capsys.readouterr().out
    assert cli.main([*run, "--set", "steps=60", "--seeds", "2"]) == 0
    capsys.readouterr()
    code, (first, _) = verdicts_of(tmp_path, capsys)
    assert (code, first["changed"], first["seeds"]) == (1, {}, 5)
    code, (named, _) = verdicts_of(tmp_path, capsys, "--set", "steps=60")
    assert (code, named["changed"], named["seeds"]) == (3, {"steps": 60}, 2)
    assert named["run"] != first["run"]
    assert verdicts_of(tmp_path, capsys, "--run", named["run"][:6])[1][0] == named
    assert "there is no run of sample --set steps=80 in" in verdicts_of(tmp_path, capsys, "--set", "steps=80")[1]
    page = tmp_path / "page.html"
    assert cli.main(["report", SAMPLE, "--store", str(tmp_path), "--set", "steps=60", "-o", str(page)]) == 0
    assert "The settings differ from the preset, for which the thresholds were chosen: steps = 60." in page.read_text()
    out = tmp_path / "csv"
    export = ["export", SAMPLE, "--store", str(tmp_path), "--to", "csv", "-o", str(out)]
    assert cli.main([*export, "--run", named["run"]]) == 0
    assert (out / "arm-seed-step.csv").read_text().splitlines()[-1].split(",")[2] == "60"
    assert cli.main(["verdicts", "--store", str(tmp_path), "--preset", "thorough"]) == 2


def test_a_study_of_an_earlier_revision_is_said_to_be_one(store, capsys, monkeypatch):
    study = dataclasses.replace(find_study(SAMPLE), revision=2)
    settings = dataclasses.replace(study.presets["default"], steps=40)
    study = dataclasses.replace(study, presets={**study.presets, "default": settings})
    monkeypatch.setattr("separatrix.study.study.find_study", lambda slug: study)
    assert cli.main(["verdicts", SAMPLE, "--store", store]) == 1
    assert "sample (default; of an earlier revision of the study)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef broken(:\n    pass\n", "{file}:2: SyntaxError: invalid syntax"),
        ("\nimport torch_of_tomorrow\n", "{file}:2: ModuleNotFoundError: No module named 'torch_of_tomorrow'"),
        ("import json\n\njson.loads('{')\n", "{file}:3: JSONDecodeError: Expecting property name"),
        ("x = 1\n", "{file} must define STUDY"),
    ],
)
def test_an_error_in_a_study_s_file_is_one_line_that_names_it(text, message, tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(text)
    for command in (["run", str(file)], ["view", str(file), "--store", str(tmp_path)]):
        assert cli.main(command) == 2
        err = capsys.readouterr().err
        assert message.format(file=file) in err
        assert len(err.splitlines()) == 1
    assert "mine" not in sys.modules or text == "x = 1\n"


def test_a_store_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["run", SAMPLE, "--store", str(tmp_path / "file"), "--set", "steps=40"]) == 2
    err = capsys.readouterr().err
    assert str(tmp_path / "file") in err
    assert len(err.splitlines()) == 1


def test_a_foreign_store_is_refused(tmp_path, store, capsys):
    run = next(Path(store).glob("sample/*"))
    folder = tmp_path / "sample" / run.name
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("precious")
    assert cli.main(["run", SAMPLE, "--store", str(tmp_path), "--set", "steps=40", "--seeds", "5"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert (folder / "thesis.txt").read_text() == "precious"


def test_debug_shows_the_traceback(capsys):
    assert cli.main(["explain", "nothing", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_report_is_one_file(store, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert cli.main(["report", SAMPLE, "--store", store, "-o", str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert "<svg" in page.read_text()


def test_export_needs_its_package(store, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    words = ["export", SAMPLE, "--store", store, "--to", "tensorboard", "-o", str(tmp_path / "events")]
    assert cli.main(words) == 2
    assert capsys.readouterr().err == (
        "separatrix: this needs tensorboardX; install it with: pip install 'separatrix[tensorboard]'\n"
    )
    assert not (tmp_path / "events").exists()


@pytest.mark.skipif(os.name == "nt", reason="permissions of another kind")
def test_help_and_version_need_no_home(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    done = subprocess.run(
        [sys.executable, "-m", "separatrix.cli", "--version"],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "0.1.0"
