"""Every address of the view, over whole, half-done, damaged and foreign runs."""

import html
import json
import time

import numpy as np
import pytest

from separatrix.study.files import write_json
from separatrix.study.runs import find_runs
from separatrix.view.cell_states import CellStates

from .view_store import fill_damaged, fill_sample


@pytest.fixture(scope="module")
def names(filled):
    """Runs of the sample study: those that are whole, and the one that is not."""
    runs = find_runs(filled, "sample")[0]
    whole = [f"sample/{run.settings_hash}" for run in runs if (run.folder / "results.zarr").exists()]
    half = [f"sample/{run.settings_hash}" for run in runs if not (run.folder / "results.zarr").exists()]
    return whole, half[0]


def wait_for(look, wanted, seconds=20):
    for _ in range(int(seconds / 0.1)):
        found = look()
        if wanted(found):
            return found
        time.sleep(0.1)
    raise AssertionError(f"still {found}")


def test_the_first_page_lists_runs_maps_and_what_cannot_be_read(client, names):
    text = client.get("/").text
    for name in (*names[0], names[1], "a-grid/abcdefabcdef", "damaged/deaddeaddead"):
        assert f'href="/runs/{name}"' in text
    assert 'href="/maps/sample/0123456789ab"' in text
    assert "badbadbadbad" in text
    assert "is not valid JSON" in text
    assert "has no manifest.json" not in text  # the folder of maps is no broken run


def test_verdicts_are_counted_in_the_background(client, names):
    runs = wait_for(
        lambda: client.get("/api/runs").json()["runs"],
        lambda runs: not any("judging" in r["verdicts"] for r in runs.values()),
    )
    assert "1 not reproduced" in runs[names[0][0]]["verdicts"]
    assert "3 of 6 cells" in runs[names[1]]["states"]
    assert "sweep has no verdicts" in runs["a-grid/abcdefabcdef"]["verdicts"] or "not a study" in str(runs)


def test_a_run_shows_findings_against_threshold(client, names):
    answer = client.get(f"/api/runs/{names[0][0]}/verdicts").json()
    assert [(v["finding"], v["verdict"]) for v in answer["verdicts"]] == [
        ("S1", "reproduced"),
        ("S2", "not reproduced"),
    ]
    assert answer["html"].count('class="strip"') == 2
    assert "cells are not finished" in client.get(f"/api/runs/{names[1]}/verdicts").json()["html"]
    assert "Not what the thresholds were chosen for: " in answer["html"]
    assert answer["verdicts"][0]["changed"]
    page = client.get(f"/runs/{names[0][0]}").text
    assert "--set steps=400" in html.unescape(page)


def test_states_come_whole_once_and_then_only_what_changed(client, filled):
    store = fill_sample(filled / "elsewhere", keep=0.5, steps=1200)
    states = CellStates()
    first = states.changes(store)
    assert first["whole"]
    assert len(first["cells"]) == 6
    assert (first["counts"]["done"], first["counts"]["waiting"]) == (3, 3)
    again = states.changes(store, first["mark"])
    assert (again["whole"], again["cells"], again["mark"]) == (False, {}, first["mark"])
    cell = next(cell for cell, state in store.states().items() if state == "waiting")
    store.set_state(cell, "failed", "ValueError: no")
    third = states.changes(store, again["mark"])
    assert third["cells"] == {cell: {"state": "failed", "message": "ValueError: no"}}
    assert states.changes(store, "elsewhere-3")["whole"]  # a mark of another process


def test_a_running_cell_tells_its_curve_and_a_dead_one_is_interrupted(filled):
    store = fill_sample(filled / "elsewhere", keep=0.5, steps=1600)
    cell = next(cell for cell, state in store.states().items() if state == "waiting")
    store.set_state(cell, "running")
    folder = store.folder / "progress"
    folder.mkdir()
    lines = [{"label": "train", "step": s, "steps": 9000, "latest": {"loss": 1 / s}} for s in range(1, 2001)]
    (folder / f"{cell}.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"label": "tr')
    states = CellStates()
    assert states.changes(store)["cells"][cell]["state"] == "interrupted"  # nobody holds its lock
    with store.lock(cell) as mine:
        assert mine
        about = states.changes(store)["cells"][cell]
    assert (about["state"], about["step"], about["steps"]) == ("running", 2000, 9000)
    assert len(about["curves"]["loss"]) <= 202
    assert about["curves"]["loss"][-1] == [2000, 0.0005]


def test_the_table_of_cells_says_where_each_belongs(client, names):
    answer = client.get(f"/api/runs/{names[1]}/cells?state=waiting").json()
    assert (answer["all"], answer["pages"]) == (3, 1)
    assert {row["arm"] for row in answer["rows"]} == {"momentum", "adam"}
    assert client.get(f"/api/runs/{names[1]}/cells?page=99").json()["page"] == 1
    assert "whole number" in client.get(f"/api/runs/{names[1]}/cells?page=-1").json()["error"]
    grid = client.get("/api/runs/a-grid/abcdefabcdef/cells").json()["rows"]  # of no known study: from its file
    assert grid[0]["arm"] == "plain"


def test_curves_come_from_whole_and_half_runs(client, names):
    for name in (names[0][0], names[1]):
        variables = client.get(f"/api/runs/{name}/variables").json()["variables"]
        assert [v["name"] for v in variables] == ["loss"]
        answer = client.get(
            f"/api/runs/{name}/curves?variable=loss&seeds=1&columns=50&scale=log&from=100&to=200"
        ).json()
        x = answer["arms"][0]["mean"]["x"]
        assert (x[0], x[-1]) == (80, 220)
    assert "did you mean" in client.get(f"/api/runs/{names[0][0]}/curves?variable=lass").json()["error"]
    assert "must be a number" in client.get(f"/api/runs/{names[0][0]}/curves?variable=loss&from=a&to=2").json()["error"]


def test_results_that_grow_are_read_again(client, filled):
    store = fill_sample(filled, keep=0.5, steps=480)
    name = f"sample/{store.settings_hash}"
    before = client.get(f"/api/runs/{name}/curves?variable=loss").json()
    assert [arm["arm"] for arm in before["arms"]] == ["sgd", "momentum"]
    fill_sample(filled, steps=480)
    after = client.get(f"/api/runs/{name}/curves?variable=loss").json()
    assert [arm["arm"] for arm in after["arms"]] == ["sgd", "momentum", "adam"]


def test_phase_diagrams_and_maps(client):
    base = "/api/runs/a-grid/abcdefabcdef"
    assert client.get(f"{base}/variables").json()["variables"][0]["axes"] == ["alpha", "rate", "width"]
    plane = client.get(f"{base}/phase?variable=size&x=alpha&y=rate&at.width=2&at.step=0").json()
    assert np.shape(plane["z"]) == (10, 12)
    assert plane["at"] == {"arm": "plain", "seed": "mean", "width": "256.0", "step": "1"}
    assert "choose two" in client.get(f"{base}/phase?variable=size&x=alpha&y=alpha").json()["error"]
    found = client.get("/api/maps/sample/0123456789ab").json()
    assert [axis["name"] for axis in found["axes"]] == ["rate", "curvature"]
    assert found["runs"] < found["uniform_runs"]
    assert "&lt;script" not in client.get("/maps/sample/0123456789ab").text
    assert client.get("/maps/sample/none").status_code == 404


def test_two_runs_side_by_side(client, names):
    first, second = names[0][:2]
    text = client.get(f"/compare?run={first}&run={second}").text
    assert "<code>scale</code>" in text
    assert text.count("reproduced") >= 4
    for query in ("", f"?run={first}", f"?run={first}&run={first}", f"?run={first}&run=no/where"):
        answer = client.get(f"/compare{query}")
        assert answer.status_code == 200
        assert "<select" in answer.text
    assert "Choose two different runs" in answer.text


def test_a_broken_run_is_shown_with_its_reason(client):
    answer = client.get("/runs/sample/badbadbadbad")
    assert answer.status_code == 200
    assert "is not valid JSON" in answer.text
    damaged = "/api/runs/damaged/deaddeaddead"
    assert "damaged or not a cell" in client.get(f"{damaged}/variables").json()["damaged"][0]
    for part in ("state", "cells", "verdicts", "curves?variable=loss", "phase?variable=a&x=b&y=c"):
        assert client.get(f"{damaged}/{part}").status_code == 200
    assert client.get("/runs/sample/nothing").status_code == 404


def test_results_broken_on_disk_are_a_reason_and_no_failure(client, filled):
    store = fill_sample(filled, steps=560)
    name = f"sample/{store.settings_hash}"
    for chunk in (store.folder / "results.zarr" / "loss").rglob("*"):
        if chunk.is_file() and chunk.name != "zarr.json":
            chunk.write_bytes(b"broken")
    answer = client.get(f"/api/runs/{name}/curves?variable=loss").json()
    assert "cannot be read" in answer["error"]
    assert "could not be judged" in client.get(f"/api/runs/{name}/verdicts").json()["html"]
    manifest = store.manifest
    write_json(store.folder / "manifest.json", {**manifest, "schema": 99})
    assert "written by a newer Separatrix" in client.get(f"/runs/{name}").text


def test_text_from_a_store_is_escaped(client, filled):
    fill_damaged(filled)
    page = client.get("/runs/damaged/deaddeaddead").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<img src=x" not in page


def test_scripts_and_styles_come_from_us(client):
    page = client.get("/runs/a-grid/abcdefabcdef").text
    script = page.split('<meta name="plotly" content="')[1].split('"')[0]
    answer = client.get(script)
    assert len(answer.content) > 1_000_000
    assert "immutable" in answer.headers["cache-control"]
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "https://" not in page
    assert "style=" not in client.get("/start").text
    assert client.get("/static/nothing.js").status_code == 404
