"""The manifest of a run folder: what the run is, and how far its cells are.

Schema 1 has the keys `schema`, `slug`, `settings_hash`, `preset`, `settings`, `provenance`, `layouts`, `created`,
`updated` and `cells`, and `sweep` where it is one. `cells` maps the id of a cell, in the order of the plan, to
`{"state", "message", "updated"}`. States are a report for people. Whether a cell is done is decided by its file
alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from separatrix.study.files import StoreError, read_json, storing, write_json
from separatrix.study.locks import mutex

__all__ = [
    "MANIFEST",
    "SCHEMA",
    "STATES",
    "checked_manifest",
    "create_manifest",
    "join_manifest",
    "migrate",
    "read_manifest",
    "update_manifest",
]

MANIFEST = "manifest.json"
SCHEMA = 1
STATES = ("waiting", "running", "done", "failed")


def _add_layouts(manifest: dict[str, Any]) -> dict[str, Any]:
    """Schema 0 did not record the layout of each population."""
    return {"layouts": {}, **manifest}


_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {0: _add_layouts}


def migrate(manifest: dict[str, Any], path: Path | str) -> dict[str, Any]:
    """Bring a manifest to the present schema, step by step.

    Args:
        manifest: as read from the file.
        path: the file, for messages.

    Returns:
        The manifest in schema `SCHEMA`; the file is left as it is until the next update.

    Raises:
        StoreError: if a newer version wrote it, or it has no known schema.
    """
    schema = manifest.get("schema")
    if not isinstance(schema, int) or schema < 0:
        raise StoreError(f"{path} names no known schema ({schema!r}); it is not a Separatrix run")
    if schema > SCHEMA:
        raise StoreError(
            f"{path} was written by a newer Separatrix (schema {schema}, here {SCHEMA}); upgrade to read it"
        )
    for version in range(schema, SCHEMA):
        manifest = {**_MIGRATIONS[version](manifest), "schema": version + 1}
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read and migrate the manifest of a run folder.

    Args:
        folder: the run folder.

    Returns:
        The manifest.

    Raises:
        StoreError: if there is none, or it is not a manifest that this version can read.
    """
    path = folder / MANIFEST
    if not os.path.exists(path):  # unlike Path.exists, false where access is denied
        raise StoreError(f"{folder} has no {MANIFEST}; it is not a Separatrix run, choose another with --store")
    return checked_manifest(read_json(path), path)


def checked_manifest(manifest: Any, path: Path | str) -> dict[str, Any]:
    """Check and migrate what a manifest's file holds.

    Args:
        manifest: the JSON value.
        path: where it comes from, for messages.

    Returns:
        The manifest in schema `SCHEMA`.

    Raises:
        StoreError: if it is not a manifest that this version can read.
    """
    if not isinstance(manifest, dict) or not isinstance(manifest.get("slug"), str):
        raise StoreError(f"{path} is not the manifest of a Separatrix run; choose another with --store")
    manifest = migrate(manifest, path)
    if not isinstance(manifest.get("cells"), dict) or not isinstance(manifest.get("settings"), dict):
        raise StoreError(f"{path} lacks its cells or settings; move it away and run again")
    return manifest


def create_manifest(folder: Path, **fields: Any) -> dict[str, Any]:
    """Make a run folder with its manifest, unless another process was quicker.

    Args:
        folder: the run folder; anything but hidden files in it without a manifest makes it foreign.
        **fields: `slug`, `settings_hash`, `preset`, `settings`, `provenance`, `layouts`.

    Returns:
        The manifest that is now in the folder.

    Raises:
        StoreError: if the folder belongs to something else or cannot be written.
    """
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with mutex(folder):
        if not (folder / MANIFEST).exists():
            if any(not entry.name.startswith(".") for entry in folder.iterdir()):
                raise StoreError(f"{folder} holds files but no {MANIFEST}; choose another with --store")
            now = _now()
            write_json(folder / MANIFEST, {"schema": SCHEMA, **fields, "created": now, "updated": now, "cells": {}})
        return read_manifest(folder)


def update_manifest(folder: Path, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Read, change and replace the manifest, alone among all processes.

    Args:
        folder: the run folder.
        change: edits the manifest in place; `updated` is already the present time.

    Returns:
        The manifest as written.
    """
    with mutex(folder):
        manifest = read_manifest(folder)
        manifest["updated"] = _now()
        change(manifest)
        write_json(folder / MANIFEST, manifest)
        return manifest


def join_manifest(folder: Path, other: dict[str, Any]) -> dict[str, Any]:
    """Take over what another copy of the run's manifest knows; unlike an update it is not dated now.

    Args:
        folder: the run folder; it is made, with the other manifest, if it is missing.
        other: the other copy, checked. Its order of cells and its layouts prevail, as they were there first.

    Returns:
        The manifest that is now in the folder.

    Raises:
        StoreError: if the folder cannot be written.
    """
    with storing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with mutex(folder):
        if not (folder / MANIFEST).exists():
            write_json(folder / MANIFEST, other)
            return other
        ours = read_manifest(folder)
        joined = {
            **ours,
            "layouts": {**ours["layouts"], **other["layouts"]},
            "cells": {**other["cells"], **ours["cells"]},
            "updated": max(ours["updated"], other["updated"]),
        }
        if joined != ours or list(joined["cells"]) != list(ours["cells"]):
            write_json(folder / MANIFEST, joined)
        return joined


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
