"""How far the cells of a run are, and what has changed since a page last asked.

A page gets everything once, with a mark, and then only the cells that changed after its mark.
"""

import json
import secrets
import threading
import time
from pathlib import Path
from typing import Any

from separatrix.study.computing import read_progress
from separatrix.study.files import StoreError
from separatrix.study.plan import plan
from separatrix.study.settings import describe
from separatrix.study.store import Store
from separatrix.study.study import Study

__all__ = ["STATES", "CellStates", "planned_places", "stored_place"]

STATES = ("waiting", "running", "interrupted", "done", "failed")
SILENT_SECONDS = 60.0  # a lock whose owner has been silent this long is nobody's
CURVE_POINTS = 200


class CellStates:
    """Remembers the cells of each run as they were last seen; safe to use from several threads."""

    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._runs: dict[Path, tuple[int, dict[str, tuple[int, str, dict[str, Any]]]]] = {}
        self._progress: dict[Path, tuple[tuple[int, int], dict[str, Any]]] = {}
        self._lock = threading.Lock()

    def changes(self, store: Store, mark: str = "") -> dict[str, Any]:
        """Look at a run's cells.

        Args:
            store: the run.
            mark: what the page got last time; anything else means that it has nothing.

        Returns:
            A new `mark`, `counts` by state, the changed `cells` by id, and `whole`: whether these are all.

        Raises:
            StoreError: if the manifest cannot be read.
        """
        manifest = store.manifest
        now = {cell: self._look(store, cell, s, manifest) for cell, s in store.states().items()}
        with self._lock:
            version, known = self._runs.get(store.folder, (0, {}))
            fresh = {}
            for cell, about in now.items():
                text = json.dumps(about, sort_keys=True)
                before = known.get(cell)
                fresh[cell] = before if before is not None and before[1] == text else (version + 1, text, about)
            if fresh.keys() != known.keys() or any(entry[0] > version for entry in fresh.values()):
                version += 1
            self._runs[store.folder] = version, fresh
        since = self._since(mark)
        counts = dict.fromkeys(STATES, 0)
        for about in now.values():
            counts[about["state"]] += 1
        return {
            "mark": f"{self._epoch}-{version}",
            "whole": since < 0,
            "counts": counts,
            "cells": {cell: about for cell, (at, _, about) in fresh.items() if at > since},
        }

    def _since(self, mark: str) -> int:
        epoch, _, number = mark.partition("-")
        return int(number) if epoch == self._epoch and number.isdigit() else -1

    def _look(self, store: Store, cell: str, state: str, manifest: dict[str, Any]) -> dict[str, Any]:
        message = str(manifest["cells"].get(cell, {}).get("message", ""))
        if state == "running" and not _held(store, cell):
            state = "interrupted"
        about: dict[str, Any] = {"state": state if state in STATES else "waiting"}
        if message and state != "done":
            about["message"] = message
        if state in ("running", "interrupted"):
            about |= self._told(store, cell)
        return about

    def _told(self, store: Store, cell: str) -> dict[str, Any]:
        """What a running cell has told of itself: how far it is, and the curves of its scalars."""
        path = store.folder / "progress" / f"{cell}.jsonl"
        try:
            about = path.stat()
        except OSError:
            return {}
        stamp = (about.st_mtime_ns, about.st_size)
        known = self._progress.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        told = _curves(read_progress(store.folder, cell))
        if len(self._progress) > 1_000:
            self._progress.clear()
        self._progress[path] = stamp, told
        return told


def _held(store: Store, cell: str) -> bool:
    """Whether somebody holds a cell's lock and has given a sign of life."""
    path = store.folder / "locks" / f"{cell}.json"
    try:
        return time.time() - path.stat().st_mtime < SILENT_SECONDS
    except OSError:
        return False


def _curves(lines: list[dict[str, Any]]) -> dict[str, Any]:
    lines = [line for line in lines if isinstance(line, dict) and {"label", "step", "steps", "latest"} <= line.keys()]
    if not lines:
        return {}
    last = lines[-1]
    lines = [line for line in lines if line["label"] == last["label"]]
    stride = -(-len(lines) // CURVE_POINTS)
    lines = [*lines[:-1:stride], lines[-1]]
    curves = {}
    for name in list(last["latest"])[:8]:
        points = [(line["step"], line["latest"][name]) for line in lines if name in line["latest"]]
        curves[name] = [[float(f"{s:.6g}"), float(f"{v:.6g}")] for s, v in points]
    return {"label": str(last["label"]), "step": last["step"], "steps": last["steps"], "curves": curves}


def planned_places(study: Study | None, store: Store, preset: str) -> dict[str, dict[str, Any]]:
    """Arm, seeds and grid point of the cells that a study plans.

    Args:
        study: the study, if it is known.
        store: the run.
        preset: of the run.

    Returns:
        `arm`, `seeds` and `point` by cell id; empty for a sweep, or if the study has changed since.
    """
    if study is None or preset not in study.presets:
        return {}
    try:
        known = describe(study.presets[preset])
        given = {k: _as_before(v, known[k]) for k, v in store.manifest["settings"].items() if k in known}
        cells = plan(study, type(study.presets[preset])(**{**known, **given}), preset, store.committed())
    except Exception:  # the study has changed since
        return {}
    return {c.id: {"arm": c.arm, "seeds": _span(c.seeds), "point": c.point} for c in cells}


def stored_place(store: Store, cell: str) -> dict[str, Any]:
    """Arm, seeds and grid point of a finished cell, as its file says; empty if it has none.

    Args:
        store: the run.
        cell: its id.
    """
    try:
        identity = store.read_header(cell)["identity"]
    except StoreError:
        return {}
    return {
        "arm": str(identity.get("arm", "")),
        "seeds": _span(identity.get("seeds", [])),
        "point": identity.get("point", {}),
    }


def _as_before(value: Any, usual: Any) -> Any:
    """A setting as the study's dataclass has it: JSON knows no tuples, and writes infinities as words."""
    if isinstance(usual, tuple) and isinstance(value, list):
        inner = usual[0] if usual else None
        return tuple(_as_before(item, inner) for item in value)
    if isinstance(usual, float) and isinstance(value, str):
        return float(value)
    return value


def _span(seeds: Any) -> str:
    seeds = list(seeds)
    if not seeds:
        return ""
    return f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]}-{seeds[-1]}"
