"""Where a result came from: versions, machine, command, and the exact state of the source code.

Nothing here may stop a run: what cannot be found out is None.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["provenance"]

_PACKAGES = (
    "separatrix", "jax", "jaxlib", "equinox", "optax", "diffrax", "numpy", "scipy", "scikit-learn", "xarray", "zarr",
)  # fmt: skip
_MAX_DIFF = 100_000
_PACKAGE = Path(__file__).resolve().parents[1]


def provenance() -> dict[str, Any]:
    """Describe the software, the machine and the command of this process.

    Returns:
        Plain values: `time` (UTC, ISO 8601), `versions` (by package; None where it is not installed), `python`,
        `platform`, `machine`, `cpu`, `cpus`, `host`, `argv`, and `git`: None unless the package lies in a checkout,
        else `commit` and, of the package alone, `dirty`, `diff` (against the commit, the first 100 kB), `diff_sha256`
        (of all of it) and `untracked` (files).
    """
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": _attempt(platform.platform),
        "machine": _attempt(platform.machine),
        "host": _attempt(platform.node),
        "cpu": _attempt(_cpu),
        "cpus": os.cpu_count(),
        "argv": [str(word) for word in getattr(sys, "argv", [])],
        "git": _attempt(lambda: _git_state(_PACKAGE)),
    }


def _attempt(call: Any) -> Any:
    try:
        return call()
    except Exception:  # a broken platform or git must not cost a result
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except Exception:  # absent, or installed without readable metadata
        return None


def _cpu() -> str | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _git_state(package: Path) -> dict[str, Any] | None:
    """State of the checkout that `package` is the source of; None if it is merely installed inside some other one."""
    top = _git(package, "rev-parse", "--show-toplevel")
    if top is None:
        return None
    root = Path(os.fsdecode(top.rstrip(b"\n")))
    if (root / "src" / package.name).resolve() != package.resolve():
        return None
    commit = _git(root, "rev-parse", "--verify", "HEAD")
    # what lies elsewhere in the checkout, such as pages and benchmarks, changes no number
    only, plain = ("--", str(package)), ("--no-color", "--no-ext-diff", "--no-textconv")
    difference = b"" if commit is None else _git(root, "diff", "HEAD", *plain, *only)
    untracked = _git(root, "ls-files", "--others", "--exclude-standard", *only)
    files = [] if untracked is None else untracked.decode(errors="replace").splitlines()
    return {
        "commit": None if commit is None else commit.decode().strip(),
        "dirty": bool(difference or files),
        "diff": None if difference is None else difference[:_MAX_DIFF].decode(errors="replace"),
        "diff_sha256": None if difference is None else hashlib.sha256(difference).hexdigest(),
        "untracked": files[:1_000],
    }


def _git(folder: Path, *words: str) -> bytes | None:
    """Output of a git command that changes nothing, or None if it failed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            check=False,
            timeout=10,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
