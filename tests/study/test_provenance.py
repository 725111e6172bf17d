"""Provenance says what ran, and never stops a run."""

import hashlib
import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version

import pytest

from separatrix.study import provenance as module
from separatrix.study.provenance import provenance


def git(folder, *words):
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    package = tmp_path / "src" / "separatrix"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    return package


def test_it_is_plain_and_names_versions_machine_and_command():
    result = provenance()
    assert json.loads(json.dumps(result)) == result
    assert result["python"] == platform.python_version()
    assert result["versions"]["numpy"] == version("numpy")
    assert {"separatrix", "jax", "jaxlib", "equinox", "xarray", "zarr"} <= set(result["versions"])
    assert result["argv"] == sys.argv
    assert abs((datetime.now(UTC) - datetime.fromisoformat(result["time"])).total_seconds()) < 60


def test_a_clean_checkout_gives_its_commit(checkout):
    root = checkout.parents[1]
    git(root, "add", ".")
    git(root, "commit", "-qm", "First")
    (root / "page.md").write_text("outside the package, where it changes no number\n")
    head = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    state = module._git_state(checkout)
    assert state["commit"] == head.stdout.strip()
    assert (state["dirty"], state["diff"], state["untracked"]) == (False, "", [])


def test_a_dirty_checkout_gives_its_difference(checkout, monkeypatch):
    root = checkout.parents[1]
    git(root, "add", ".")
    git(root, "commit", "-qm", "First")
    (checkout / "__init__.py").write_text("x = 2\n")
    (checkout / "new.py").write_text("")
    whole = module._git_state(checkout)
    assert whole["dirty"]
    assert "+x = 2" in whole["diff"]
    assert whole["untracked"] == ["src/separatrix/new.py"]
    assert whole["diff_sha256"] == hashlib.sha256(whole["diff"].encode()).hexdigest()
    monkeypatch.setattr(module, "_MAX_DIFF", 20)
    cut = module._git_state(checkout)
    assert len(cut["diff"]) == 20
    assert cut["diff_sha256"] == whole["diff_sha256"]


def test_a_checkout_without_commits_and_a_mere_installation(checkout):
    assert module._git_state(checkout)["commit"] is None
    installed = checkout.parents[1] / "venv" / "site-packages" / "separatrix"
    installed.mkdir(parents=True)
    assert module._git_state(installed) is None  # this repository is not the one of the package


def test_outside_any_repository_or_without_git_there_is_no_state(tmp_path, monkeypatch):
    assert module._git_state(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert module._git_state(tmp_path) is None
    assert provenance()["git"] is None


def test_nothing_that_breaks_breaks_it(monkeypatch):
    def broken(*arguments, **keywords):
        raise RuntimeError("broken")

    for name in ("_cpu", "_git"):
        monkeypatch.setattr(module, name, broken)
    monkeypatch.setattr(platform, "platform", broken)
    monkeypatch.setattr(module.importlib.metadata, "version", broken)
    result = provenance()
    assert result["git"] is result["platform"] is result["cpu"] is None
    assert set(result["versions"].values()) == {None}
