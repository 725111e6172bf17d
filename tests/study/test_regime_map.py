"""A study's map finds the boundary that a closed form gives, goes on where it was killed, and is drawn."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from separatrix import cli
from separatrix.study.errors import UsageError
from separatrix.study.regime_map import draw_map, map_folder, map_regime, parse_ranges
from separatrix.study.study import find_study

from . import quadratic_study
from .quadratic_study import STUDY, Settings

FILE = str(quadratic_study.__file__)


def test_map_of_traced_settings_is_the_closed_form(tmp_path):
    ranges = parse_ranges(STUDY, Settings(), "rate=0.25:3.75,momentum=0:0.8")
    found = map_regime(STUDY, Settings(), "diverges", ranges, tmp_path, resolution=32)
    # rate x curvature = 2 (1 + momentum), and every cell has a corner on either side
    assert (found.rate_low <= 2 * (1 + found.momentum_high)).all()
    assert (found.rate_high >= 2 * (1 + found.momentum_low)).all()
    assert found.sizes["cell"] >= 30


def test_map_of_settings_that_are_not_traced_runs_each_value(tmp_path):
    calls = []

    def counted(settings, keys):
        calls.append((settings.dim, settings.curvature))
        return STUDY.arms["descend"](settings, keys)

    study = dataclasses.replace(STUDY, arms={**STUDY.arms, "descend": counted}, traced=())
    ranges = parse_ranges(study, Settings(rate=1.0), "curvature=1.1:3.1")
    found = map_regime(study, Settings(rate=1.0), "diverges", ranges, tmp_path, resolution=16, coarse=2)
    assert found.curvature_low[0] <= 2 <= found.curvature_high[0]
    assert len(calls) == len(set(calls)) == found.attrs["runs"] == 3 + 3


def test_a_killed_map_goes_on_and_ends_alike(tmp_path):
    ranges = parse_ranges(STUDY, Settings(), "rate=0.25:3.75,momentum=0:0.8")
    whole = map_regime(STUDY, Settings(), "diverges", ranges, tmp_path / "a", resolution=16, seeds=3)
    text = (tmp_path / "a" / "points.jsonl").read_text()
    (tmp_path / "b").mkdir()
    lines = text.splitlines()
    assert len(lines) > 1
    (tmp_path / "b" / "points.jsonl").write_text(lines[0] + "\n" + lines[1][:40])  # killed while it wrote
    evaluated = []
    arm = STUDY.arms["descend"]
    study = dataclasses.replace(
        STUDY, arms={**STUDY.arms, "descend": lambda s, keys: evaluated.append(len(s.rate)) or arm(s, keys)}
    )
    resumed = map_regime(study, Settings(), "diverges", ranges, tmp_path / "b", resolution=16, seeds=3)
    xr.testing.assert_identical(resumed, whole)
    assert 81 not in evaluated  # the first grid was kept
    evaluated.clear()
    again = map_regime(study, Settings(), "diverges", ranges, tmp_path / "b", resolution=16, seeds=3)
    xr.testing.assert_identical(again, whole)
    assert not evaluated  # the line that the kill tore did not swallow the next


def test_folder_is_named_by_all_that_determines_the_numbers():
    name = lambda settings, regime="diverges", **options: map_folder("runs", STUDY, settings, regime, options).name  # noqa: E731
    assert name(Settings()) == name(Settings(seeds=9))
    assert len({name(Settings()), name(Settings(steps=7)), name(Settings(), "unlike"), name(Settings(), a=1)}) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate", "needs name=low:high"),
        ("rte=0:1", "there is no setting 'rte'"),
        ("name=0:1", "needs settings that are numbers"),
        ("rate=1:0", "needs low < high"),
        ("rate=0:1:log", "low > 0 if logarithmic"),
        ("rate=a:b", "must be numbers"),
        ("steps=0:10", "setting 'steps' must be at least 1; got '0'"),
        ("seeds=1:9", "the number of seeds is no axis"),
    ],
)
def test_bad_ranges_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_ranges(STUDY, Settings(), text)


def test_bad_maps_are_refused(tmp_path):
    ranges = {"rate": (0.1, 3.0, False)}
    with pytest.raises(UsageError, match="has no regime 'none'; it has diverges, unlike"):
        map_regime(STUDY, Settings(), "none", ranges, tmp_path)
    with pytest.raises(UsageError, match="no effect of rate on constant, the arm of unlike; map over other settings"):
        map_regime(STUDY, Settings(), "unlike", ranges, tmp_path)
    with pytest.raises(UsageError, match="`resolution` must be `coarse` times a power of two"):
        map_regime(STUDY, Settings(), "diverges", ranges, tmp_path / "new", resolution=33)
    assert not (tmp_path / "new").exists()  # a refused map leaves nothing behind


@pytest.mark.parametrize(
    "text", ["rate=1:3", "rate=0.25:3.75:log,momentum=0:0.8", "rate=1:3,momentum=0:0.8,curvature=1:1.5"]
)
def test_maps_are_drawn_in_one_two_and_three_dimensions(text, tmp_path):
    study = dataclasses.replace(STUDY, traced=("rate", "momentum", "curvature"))
    ranges = parse_ranges(study, Settings(), text)
    found = map_regime(study, Settings(), "diverges", ranges, tmp_path, resolution=8, coarse=4)
    figure = draw_map(found)
    assert len(figure.axes) == {1: 1, 2: 1, 3: 6}[len(ranges)]
    assert figure.axes[0].get_xscale() == ("log" if "log" in text else "linear")


def test_command_traces_and_draws(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    words = ["map", FILE, "--over", "rate=0.25:3.75,momentum=0:0.8", "--resolution", "16", "--store", str(tmp_path)]
    assert cli.main([*words, "--json"]) == 2
    assert "choose one with --regime: diverges, unlike" in capsys.readouterr().err
    assert cli.main([*words, "--regime", "diverges", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["claim"] == "diverges"
    assert document["runs"] < document["uniform_runs"] == 17**2
    with xr.open_dataset(f"{document['store']}/map.nc", engine="scipy") as saved:
        assert set(np.unique(saved["inside"])) == {0.0, 1.0}
    assert Path(document["store"], "map.png").read_bytes()[:4] == b"\x89PNG"
    assert cli.main(["verdicts", "--store", str(tmp_path)]) == 2  # a map is no run
    assert "there is no finished run" in capsys.readouterr().err


def test_a_map_without_a_boundary_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    words = ["map", FILE, "--regime", "unlike", "--over", "curvature=1:3", "--resolution", "1", "--coarse", "1"]
    assert cli.main([*words, "--store", str(tmp_path)]) == 0
    assert "all runs came out alike: no boundary here, or none that curvature decides" in capsys.readouterr().out
    assert cli.main([*words, "--seeds", "2", "--store", str(tmp_path)]) == 2
    assert "2 seeds cannot place a point with confidence 0.95, even if they agree; give at least 3" in (
        capsys.readouterr().err
    )


def labelled(**curves):
    """Curves of one point and seed each, by step 0, 1, ..."""
    values = {name: (("point", "seed", "step"), np.array(rows, float)[:, None]) for name, rows in curves.items()}
    return xr.Dataset(values, {"step": np.arange(len(next(iter(curves.values()))[0]))})


def test_a_run_that_diverges_has_forgotten():
    ds = labelled(old=[[0.1, 0.9, 0.5, 0.85], [0.1, 0.9, 0.9, 0.75], [0.1, 0.9, np.nan, np.nan]])
    ds = ds.rename(old="accuracy").expand_dims(task=2).assign(task_ends=(("seed", "task"), [[1.0, 3.0]]))
    assert find_study("stability-gap").regimes["forgets"].inside(ds).values.tolist() == [[False], [True], [True]]


def test_grokking_is_late_memorising_is_never():
    train = [[1, 0.01, 0.01, 0.01, 0.01]] * 2 + [[1, 1, 0.01, 0.01, 0.01], [1, np.nan, np.nan, np.nan, np.nan]]
    test = [[1, 1, 1, 0.01, 0.01], [1, 1, 1, 1, 1], [1, 1, 1, 0.01, 0.01], [1, np.nan, np.nan, np.nan, np.nan]]
    ds, regimes = labelled(train_mse=train, test_mse=test), find_study("grokking-lazy-to-rich").regimes
    assert regimes["groks"].inside(ds).values[:, 0].tolist() == [True, False, False, False]
    assert regimes["memorises"].inside(ds).values[:, 0].tolist() == [False, True, False, False]


def test_no_number_is_divergence():
    ds = labelled(train_loss=[[1, 3, 0.5], [1, 0.5, 1.5], [1, np.nan, np.nan]]).expand_dims(rate=1)
    inside = find_study("dynamical-stability-sgd").regimes["diverges"].inside(ds)
    assert inside.values.tolist() == [[False], [True], [True]]
