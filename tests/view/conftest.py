"""A client of the view over a store of every kind of run."""

import importlib.util

import pytest

from . import view_store

NEEDED = ("starlette", "uvicorn", "plotly", "httpx2")  # of the extras `view` and `dev`
collect_ignore_glob = [] if all(importlib.util.find_spec(name) for name in NEEDED) else ["test_*.py"]


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    view_store.fill_sample(root, steps=400)
    view_store.fill_sample(root, steps=400, scale=2.0)
    view_store.fill_sample(root, keep=0.5, steps=800)
    view_store.fill_grid(root)
    view_store.fill_map(root)
    view_store.break_manifest(root)
    view_store.fill_damaged(root)
    return root


@pytest.fixture(scope="session")
def client(filled):
    from starlette.testclient import TestClient

    from separatrix.view.application import create_app
    from separatrix.view.security import Access

    app = create_app(filled, Access.of("127.0.0.1", 80, None), [view_store.SAMPLE, view_store.QUADRATIC])
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as open_client:
        yield open_client
