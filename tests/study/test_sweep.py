"""A sweep is the grid of its arms, whichever settings are traced."""

import dataclasses
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from separatrix import cli, run
from separatrix._core import memory
from separatrix.study.errors import UsageError
from separatrix.study.idle_arms import leave_out_idle, reaching
from separatrix.study.sweep import Over, along_points, parse_over, run_points, sweep_of

from . import quadratic_study
from .quadratic_study import STUDY, Descent, Settings

FILE = str(quadratic_study.__file__)
KEYS = jax.vmap(jax.random.key)(np.arange(2, dtype=np.uint32))


@pytest.mark.parametrize(
    ("text", "values", "log"),
    [
        ("rate=0.1,1", (0.1, 1.0), False),
        ("rate=0:1:3", (0.0, 0.5, 1.0), False),
        ("rate=1e-2:1:log:3", (0.01, 0.1, 1.0), True),
        ("dim=1:16:log:5", (1, 2, 4, 8, 16), True),
        ("name=a,b", ("a", "b"), False),
    ],
)
def test_axes_are_read(text, values, log):
    found = parse_over(Settings(), text)
    assert found.log is log
    assert found.values == pytest.approx(values) if isinstance(values[0], float) else found.values == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate", "needs name=low:high:count"),
        ("rate=", "needs name=low:high:count"),
        ("rte=1,2", "there is no setting 'rte'.*rate"),
        ("rate=1:2", "needs name=low:high:count"),
        ("rate=0:1:log:3", "positive if log"),
        ("rate=0:1:1", "count at least 2"),
        ("rate=a,b", "setting 'rate' must be float"),
        ("dim=0.5,1", "setting 'dim' must be int"),
        ("rate=1,1", "must differ"),
        ("steps=0:10:3", "setting 'steps' must be at least 1; got '0'"),
        ("seeds=1,2", "the number of seeds is no axis"),
    ],
)
def test_bad_axes_are_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_over(Settings(), text)


def test_traced_settings_run_in_one_program_and_equal_single_runs():
    over = [Over("rate", (0.5, 1.5)), Over("momentum", (0.0, 0.5, 0.9))]
    swept, settings = sweep_of(STUDY, Settings(), over, ["descend"])
    assert swept.grid(settings, "descend") == {}
    before = len(quadratic_study.TRACES)
    found = swept.arms["descend"](settings, KEYS)
    traced = len(quadratic_study.TRACES) - before
    assert found["size"].dims[:2] != ()
    for rate in (0.5, 1.5):
        for momentum in (0.0, 0.5, 0.9):
            single = STUDY.arms["descend"](Settings(rate=rate, momentum=momentum), KEYS)
            here = found["size"].sel(rate=rate, momentum=momentum).transpose(*single["size"].dims)
            np.testing.assert_allclose(here, single["size"], rtol=1e-4)
    before = len(quadratic_study.TRACES)
    STUDY.arms["descend"](Settings(), KEYS)
    assert traced <= 2 * (len(quadratic_study.TRACES) - before)  # six points trace no oftener than two runs would


def test_other_settings_become_cells():
    swept, settings = sweep_of(STUDY, Settings(), [Over("curvature", (1.0, 3.0)), Over("rate", (0.1, 0.2))])
    assert swept.grid(settings, "descend") == {"curvature": (1.0, 3.0)}
    assert settings.rate == (0.1, 0.2)


def test_a_population_too_large_for_memory_is_run_in_parts(monkeypatch):
    points = {"rate": np.linspace(0.1, 1.5, 8), "momentum": np.zeros(8)}
    few = Settings(steps=4)  # so that no two points end alike
    whole = run_points(STUDY.arms["descend"], few, KEYS, points)
    asked = []

    def scarce(needed, members):
        asked.append(members)
        if members > 4:
            raise memory.TooLarge("too large")

    monkeypatch.setattr("separatrix._core.run.check_fits", scarce)
    parts = run_points(STUDY.arms["descend"], few, KEYS, points)
    assert sorted(asked) == [4, 4, 4, 4, 8, 8, 16]
    xr.testing.assert_allclose(parts, whole)


def test_an_arm_that_does_not_depend_is_repeated():
    found = run_points(STUDY.arms["constant"], Settings(), KEYS, {"rate": np.ones(3)})
    assert found.sizes["point"] == 3


def test_what_reaches_an_arm_is_known_before_its_first_step():
    def blind(s, keys):
        """Run along the points and use nothing of them but the rate."""
        vary = lambda process, values: dataclasses.replace(process, rate=values["rate"] * 2)  # noqa: E731
        return run(
            Descent(jnp.float32(0.1), jnp.float32(0.0), 1.0, 1), keys, 10**12, over=along_points(s), vary=vary
        ).records.to_dataset()

    def own_grid(s, keys):
        """Run along rates of its own."""
        process = Descent(jnp.float32(0.1), jnp.float32(0.0), 1.0, 1)
        return run(process, keys, 10**12, over={"rate": [0.1, 0.2]}).records.to_dataset()

    def refusing(s, keys):
        raise ValueError("not so")

    plain = lambda s, keys: xr.Dataset({"x": ("seed", [0.0])})  # noqa: E731
    arms = {"blind": blind, "own": own_grid, "loud": lambda s, keys: 1 / 0, "plain": plain, "refusing": refusing}
    study = dataclasses.replace(STUDY, arms={**STUDY.arms, **arms})
    values = {"rate": (0.1, 1.0, 2.0), "momentum": (0.0, 0.5)}
    reached = {name: set(reaching(study, name, values)) for name in study.arms if name != "refusing"}
    both = {"rate", "momentum"}
    assert reached == {
        "descend": both,
        "constant": set(),
        "blind": {"rate"},
        "own": set(),
        "loud": both,
        "plain": set(),
    }
    over = [Over(*item) for item in values.items()]
    _, why = leave_out_idle(study, sweep_of(study, Settings(), over)[0], over)
    idle = dict.fromkeys(("constant", "own", "plain"), "no effect of rate or momentum")
    assert why == {**idle, "refusing": "not so"}


def test_bad_sweeps_are_refused():
    with pytest.raises(UsageError, match=r"there is no arm 'descent'.*descend"):
        sweep_of(STUDY, Settings(), [Over("rate", (1.0, 2.0))], ["descent"])
    with pytest.raises(UsageError, match="swept once"):
        sweep_of(STUDY, Settings(), [Over("rate", (1.0, 2.0)), Over("rate", (3.0, 4.0))])


def test_studies_name_settings_and_arms_that_exist():
    with pytest.raises(ValueError, match="names no setting: 'rte'"):
        dataclasses.replace(STUDY, traced=("rte",))
    regime = STUDY.regimes["diverges"]._replace(arm="none")
    with pytest.raises(ValueError, match="regime 'r' of 'quadratic' names no known arm: 'none'"):
        dataclasses.replace(STUDY, regimes={"r": regime})


def test_without_a_sweep_nothing_varies():
    assert along_points(Settings()) == {}


def read_page(path):
    return re.sub(r"<[^>]*>", "", Path(path).read_text())


def test_command_computes_once_draws_and_hands_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    words = ["sweep", FILE, "--over", "rate=0.1:3:log:4", "--over", "curvature=0.5,1,2"]
    words += ["--store", str(tmp_path), "--json", "--show", "size"]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert err.startswith("separatrix: left out: constant (no effect of rate)\n")
    document = json.loads(out)
    assert document["computed"] == 3
    assert document["left_out"] == ["constant"]
    ds = xr.open_zarr(f"{document['store']}/results.zarr")
    size = ds["size"].sel(arm="descend").isel(step=-1).max("seed")
    assert dict(size.sizes) == {"curvature": 3, "rate": 4}
    product = ds.rate * ds.curvature
    np.testing.assert_array_equal((size < 1).transpose("rate", "curvature"), product < 2)
    assert [Path(path).name for path in document["figures"]] == ["descend-size.png"]
    assert Path(document["figures"][0]).read_bytes()[:4] == b"\x89PNG"
    assert cli.main(words) == 0
    assert json.loads(capsys.readouterr().out)["computed"] == 0
    assert cli.main(["verdicts", FILE, "--store", str(tmp_path)]) == 2  # a sweep is no run to be judged
    assert "has only quick runs or sweeps" in capsys.readouterr().err
    name = Path(document["store"]).name
    assert cli.main(["verdicts", FILE, "--store", str(tmp_path), "--run", name[:4]]) == 2
    assert "a sweep reaches no verdict; show it with: separatrix report" in capsys.readouterr().err
    page, table = tmp_path / "page.html", tmp_path / "table"
    assert cli.main(["report", FILE, "--store", str(tmp_path), "--preset", "sweep", "-o", str(page)]) == 0
    text = read_page(page)
    assert "sweep of rate, curvature from preset default" in text
    assert "descend: size" in text
    assert "<svg" in page.read_text()
    again = "separatrix sweep quadratic --preset default --over rate=0.1,0.3107"
    assert again in text
    assert "--over curvature=0.5,1.0,2.0" in text
    export = ["export", FILE, "--store", str(tmp_path), "--to", "csv", "-o", str(table)]
    assert cli.main([*export, "--run", name]) == 0
    headers = [set(file.read_text().splitlines()[0].split(",")) for file in table.glob("*.csv")]
    assert {"arm", "rate", "curvature", "seed", "step", "size"} in headers


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--over", "rate=0.1,1", "--arm", "constant"],
            "there is no arm to sweep: constant (no effect of rate)",
        ),
        (["--over", "rate=0.1,1", "--arm", "descend", "--show", "sise"], "there is no variable 'sise'; did you mean"),
        (["--over", "curvature=1,2", "--show", "sise"], "there is no variable 'sise'; did you mean 'size'?"),
    ],
)
def test_a_sweep_without_effect_or_picture_is_refused_before_it_is_computed(words, message, tmp_path, capsys):
    assert cli.main(["sweep", FILE, *words, "--store", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())
