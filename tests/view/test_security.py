"""Who is refused: other sites, other hosts, forms of another session, visitors without the token, paths."""

import pytest
from starlette.testclient import TestClient

from separatrix.study.errors import UsageError
from separatrix.view.application import create_app
from separatrix.view.security import Access, is_loopback

from .view_store import SAMPLE

TOKEN = "a long enough secret"


def csrf_of(client):
    return client.app.state.view.access.csrf


@pytest.fixture(scope="module")
def guarded(filled):
    app = create_app(filled, Access.of("0.0.0.0", 80, TOKEN), [SAMPLE])
    app.state.view.library._ready.set()
    return TestClient(app, base_url="http://example.org", follow_redirects=False)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "127.0.0.1:81", "", "[::1"]
)
def test_a_foreign_host_gets_nothing(client, host):
    answer = client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "Runs" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:80", "[::1]:80"])
def test_the_loopback_names_are_ours(client, host):
    assert client.get("/static/view.css", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers", [{"origin": "http://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}]
)
@pytest.mark.parametrize("address", ["/start/sample", "/jobs/0123/stop"])
def test_other_sites_change_nothing_even_with_the_secret(client, headers, address):
    answer = client.post(address, data={"csrf": csrf_of(client)}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("form", [{}, {"csrf": ""}, {"csrf": "guess"}, {"csrf": "gu\u00e9ss"}])
def test_a_change_needs_the_secret_of_this_process(client, form):
    assert client.post("/start/sample", data={**form, "preset": "quick"}).status_code == 403
    assert client.post("/jobs/0123/stop", data=form).status_code == 403
    assert client.app.state.view.jobs.active() == []


def test_other_sites_read_no_data(client):
    assert client.get("/api/runs", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.get("/api/runs", headers={"origin": "http://evil.example"}).status_code == 403


def test_a_form_of_any_size_or_kind_is_answered(client):
    assert client.post("/start/sample", content=b"csrf=" + b"x" * 100_000).status_code == 413
    assert client.post("/start/sample", content=b"\xff\xfe").status_code == 413
    assert client.put("/").status_code == 405


def test_pages_may_run_and_load_nothing_but_ours(client):
    for address in ("/", "/start/sample", "/nothing", "/static/view.js", "/api/runs"):
        headers = client.get(address).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "address",
    [
        "/runs/../sample",
        "/runs/%2e%2e/sample",
        "/runs/sample/..%2f..%2f..%2fetc",
        "/runs/*/*",
        "/maps/sample/..",
        "/static/..%2fserver.py",
        "/static/server.py",
        "/api/runs/..%2f..%2fetc/passwd/state",
        "/start/..%2fsample",
    ],
)
def test_no_path_is_made_from_an_address(client, address):
    answer = client.get(address)
    assert answer.status_code == 404 or "no run of this name" in answer.text


def test_links_out_of_the_store_are_not_followed(filled, client, tmp_path):
    from . import view_store

    outside = view_store.fill_sample(tmp_path, steps=400, scale=9.0).folder
    link = filled / "sample" / outside.name
    link.symlink_to(outside)
    try:
        assert f"sample/{outside.name}" not in client.get("/api/runs").json()["runs"]
        assert client.get(f"/runs/sample/{outside.name}").status_code == 404
    finally:
        link.unlink()


def test_beyond_the_loopback_interface_a_token_is_needed():
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        assert not is_loopback(host)
        with pytest.raises(UsageError, match="--token"):
            Access.of(host, 80, None)
    with pytest.raises(UsageError, match="at least 12"):
        Access.of("0.0.0.0", 80, "short")


def test_without_the_token_there_is_only_a_form(guarded):
    for address in ("/", "/start/sample", "/runs/a/b"):
        answer = guarded.get(address)
        assert answer.status_code == 401
        assert "csrf" not in answer.text
    assert guarded.get("/api/runs").status_code == 401
    assert guarded.post("/start/sample", data={"csrf": csrf_of(guarded)}).status_code == 401
    assert guarded.post("/login", data={"token": TOKEN + "x"}).status_code == 401


def test_the_token_opens_by_header_or_form(guarded):
    assert guarded.get("/api/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    answer = guarded.post("/login", data={"token": TOKEN})
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert guarded.get("/api/runs").status_code == 200
    guarded.cookies.clear()
    assert guarded.get("/api/runs", headers={"cookie": "separatrix_view=guess"}).status_code == 401
