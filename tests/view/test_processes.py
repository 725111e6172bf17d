"""Runs started from the form: real processes, stopped softly, and their words shown."""

import time

import pytest

from separatrix.study.runs import find_runs


def start(client, **settings):
    csrf = client.app.state.view.access.csrf
    fields = {f"s-{name}": value for name, value in settings.items()}
    return client.post("/start/sample", data={"csrf": csrf, "preset": "quick", **fields})


def wait_until_it_ends(client, address, seconds=60):
    state = f"/api{address}/state"
    for _ in range(int(seconds / 0.2)):
        answer = client.get(state).json()
        if answer["job"]["state"] != "running":
            return answer
        time.sleep(0.2)
    raise AssertionError(answer)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")


def test_a_bad_form_starts_nothing_and_keeps_what_was_typed(client):
    answer = start(client, steps="many", seeds="0", scale="3.5")
    assert answer.status_code == 422
    assert 'id="e-steps"' in answer.text
    assert 'id="e-seeds"' in answer.text
    assert 'value="many"' in answer.text
    assert 'value="3.5"' in answer.text
    assert client.app.state.view.jobs.active() == []


def test_a_run_is_started_followed_and_stopped(client, filled):
    answer = start(client, steps="20000000", seeds="1")
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert client.get(address).status_code == 200  # also before its folder is there
    assert start(client, steps="20000000", seeds="1").headers["location"] == address  # not twice
    jobs = client.app.state.view.jobs
    assert len(jobs.active()) == 1
    job = jobs.active()[0].id
    for _ in range(300):
        state = client.get(f"/api{address}/state").json()
        if any(about.get("step") for about in state.get("cells", {}).values()):
            break
        time.sleep(0.2)
    assert state["counts"]["running"] == 1
    csrf = client.app.state.view.access.csrf
    assert client.post(f"/jobs/{job}/stop", data={"csrf": csrf}).json() == {"stopped": True}
    ended = wait_until_it_ends(client, address)
    assert (ended["job"]["state"], ended["job"]["code"]) == ("stopped", 130)
    assert any("stopped" in line for line in ended["job"]["lines"])
    run = next(run for run in find_runs(filled, "sample")[0] if address.endswith(run.settings_hash))
    assert list((run.folder / "checkpoints").rglob("*"))  # its progress is kept
    assert client.post(f"/jobs/{job}/stop", data={"csrf": csrf}).json() == {"stopped": False}


def test_a_run_that_fails_says_why(client):
    address = start(client, steps="40", seeds="1", name="broken").headers["location"]
    ended = wait_until_it_ends(client, address)
    assert ended["job"]["state"] == "failed"
    assert ended["counts"]["failed"] == 3
    assert "asked to fail" in next(iter(ended["cells"].values()))["message"]
