"""What the forms order is what the command line computes, under the name that the form foretells."""

import html
import time

import pytest

from separatrix import cli
from separatrix.study.study import find_study
from separatrix.view.orders import read_order

from .view_store import QUADRATIC

SWEEP = {"preset": "quick", "s-steps": "20", "s-seeds": "3", "arm": "descend", "x1": "rate", "x1-values": "0.5:3:3"}
SWEEP |= {"x2": "curvature", "x2-values": "1,2", "x3": ""}
MAP = {"preset": "quick", "regime": "diverges", "resolution": "16", "coarse": "4", "confidence": "0.9"}
MAP |= {"x1": "rate", "x1-low": "0.25", "x1-high": "3.75", "x1-log": "1", "most-seeds": "2", "s-steps": "20"}
RUN = {"preset": "quick", "s-steps": "20"}


@pytest.fixture
def study():
    return find_study(QUADRATIC)


@pytest.mark.parametrize(("kind", "form"), [("run", RUN), ("sweep", SWEEP), ("map", MAP)])
def test_the_command_fills_the_folder_that_the_form_foretold(study, tmp_path, monkeypatch, capsys, kind, form):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    order = read_order(study, QUADRATIC, kind, tmp_path, form)
    assert order.errors == {}
    assert cli.main([*order.words, "--store", str(tmp_path), "--json"]) == 0, capsys.readouterr().err
    folder = tmp_path / "quadratic" / ("maps" if kind == "map" else "")
    assert [path.name for path in folder.iterdir()] == [order.name]


@pytest.mark.parametrize(
    ("kind", "change", "field", "message"),
    [
        ("sweep", {"x1-values": "1:2"}, "x1-values", "name=low:high:count"),
        ("sweep", {"x1": "rte"}, "x1-values", "did you mean 'rate'"),
        ("sweep", {"x2": "rate"}, "", "can be swept once"),
        ("sweep", {"x1": "", "x2": ""}, "", "at least one setting"),
        ("sweep", {"arm": "descent"}, "", "did you mean 'descend'"),
        ("map", {"x1-low": "4"}, "x1-values", "needs low < high"),
        ("map", {"x1-low": "0.1,name=0"}, "x1-values", "can be mapped once"),
        ("map", {"x1": "name"}, "x1-values", "that are numbers"),
        ("map", {"x1": ""}, "", "at least one setting"),
        ("map", {"regime": "none"}, "", "choose a regime"),
        ("map", {"resolution": "17"}, "", "choose a regime"),
        ("map", {"most-seeds": "0"}, "most-seeds", "at least 1"),
        ("run", {"s-steps": "many"}, "steps", "must be int"),
        ("map", {"s-steps": "many"}, "steps", "must be int"),
        ("run", {"preset": "huge"}, "", "no preset"),
    ],
)
def test_a_mistake_is_an_error_at_its_field(study, tmp_path, kind, change, field, message):
    form = {"run": RUN, "sweep": SWEEP, "map": MAP}[kind] | change
    order = read_order(study, QUADRATIC, kind, tmp_path, form)
    assert message in order.errors[field]
    assert order.words == ()


def test_forms_offer_what_the_study_declares(client):
    text = html.unescape(client.get("/start/quadratic/map").text)
    together = text[text.index("together, in one program") : text.index("a compilation for each value")]
    assert [name for name in ("rate", "momentum", "curvature", "steps") if f">{name}<" in together] == [
        "rate",
        "momentum",
    ]
    assert ">name<" not in text[: text.index("Settings that stay fixed")]  # a map needs numbers
    assert "diverges: diverges" in text
    assert 'data-low="0.05" data-high="5"' in text
    assert "declares no regimes" in client.get("/start/sample/map").text
    assert ">scale<" in client.get("/start/sample/sweep").text
    assert client.get("/start/quadratic/else").status_code == 404


def test_a_refused_form_keeps_what_was_typed(client):
    csrf = client.app.state.view.access.csrf
    answer = client.post("/start/quadratic/map", data={"csrf": csrf, **MAP, "x1-high": "low"})
    assert answer.status_code == 422
    assert 'value="low"' in answer.text
    assert 'aria-describedby="e-x1-values"' in answer.text
    assert "must be numbers" in answer.text
    assert client.app.state.view.jobs.active() == []


def test_a_map_is_started_followed_and_shown(client, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    csrf = client.app.state.view.access.csrf
    answer = client.post("/start/quadratic/map", data={"csrf": csrf, **MAP})
    address = answer.headers["location"]
    assert "data-tracing" in client.get(address).text  # also before its folder is there
    for _ in range(300):
        state = client.get(f"/api{address}/state").json()
        if state["stamp"] != "0":
            break
        time.sleep(0.2)
    assert state["runs"] == client.get(f"/api{address}").json()["runs"]
    assert "data-map=" in client.get(address).text


def test_a_map_that_is_not_finished_is_listed_without_a_picture(client, filled):
    folder = filled / "sample" / "maps" / "0123456789ac"
    folder.mkdir()
    (folder / "points.jsonl").write_text('{"points": [[1.0], [2.0]], "seeds": [0, 1], "inside": [[0, 0], [1, 1]]}\n')
    assert "(not finished)" in client.get("/").text
    address = "/maps/sample/0123456789ac"
    assert "data-map=" not in client.get(address).text
    assert client.get(f"/api{address}/state").json() == {"stamp": "0", "runs": 4, "job": None}
    assert "no map of this name" in client.get(f"/api{address}").json()["error"]


def test_figures_have_no_styles_and_say_what_is_missing(client, filled):
    runs = client.app.state.view.catalogue.runs()[0]
    names = [f"{run.slug}/{run.settings_hash}" for run in runs if (run.folder / "results.zarr").exists()]
    whole = next(name for name in names if name.startswith("sample/"))
    answer = client.get(f"/api/runs/{whole}/figures/0").json()
    assert answer["caption"] == "Loss"
    assert "style=" not in answer["svg"]
    assert 'stroke="currentColor"' in answer["svg"]
    assert "no such figure" in client.get(f"/api/runs/{whole}/figures/9").json()["error"]
    assert "no such figure" in client.get("/api/runs/a-grid/abcdefabcdef/figures/0").json()["error"]
    assert 'data-figure="0"' in client.get(f"/runs/{whole}").text
    assert "data-figures" not in client.get("/runs/a-grid/abcdefabcdef").text
