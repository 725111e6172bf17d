"""Runs whose store is a URL: what the folder here and the place elsewhere lack of each other.

Cells are named for all that determines them and never change, so fetching and sending the missing ones in any order, by
any number of machines, can do no harm; at worst two of them compute the same cell. The manifest is a report and is
joined. `results.zarr` is sent for other tools: Separatrix makes its own from the cells.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .files import StoreError, storing, write_atomic
from .manifest import MANIFEST, checked_manifest, join_manifest
from .remote import Remote

if TYPE_CHECKING:
    from .store import Store

__all__ = ["fetch_manifest", "fetch_manifests", "obtain", "pull", "push", "send_manifest"]

_CELL = re.compile(r"([0-9a-f]{16})\.npz")
_WORD = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9_.-]*"
)  # of a slug or hash; the names come from elsewhere and make paths here


def pull(store: Store) -> list[str]:
    """Fetch the manifest and the finished cells that this machine lacks; nothing happens for a store in a folder.

    Args:
        store: from `open_run`.

    Returns:
        A line for each cell that cannot be trusted: it is left where it is, and counts as missing.

    Raises:
        StoreError: if the place elsewhere cannot be read, or the folder here not written.
    """
    if store.remote is None:
        return []
    fetch_manifest(store.remote, store.slug, store.settings_hash)
    return _fetch(store, _elsewhere(store) - store.committed())


def push(store: Store) -> None:
    """Send the cells that are missing elsewhere, the results and the manifest; nothing for a store in a folder.

    Args:
        store: from `open_run`.

    Raises:
        StoreError: if the place elsewhere cannot be written; nothing is lost here.
    """
    if store.remote is None:
        return
    for cell_id in sorted(store.committed() - _elsewhere(store)):
        data = (store.cells / f"{cell_id}.npz").read_bytes()
        store.check(cell_id, data)
        store.remote.write(f"{_place(store)}/cells/{cell_id}.npz", data)
    if (store.folder / "results.zarr").exists():
        store.remote.write_folder(f"{_place(store)}/results.zarr", store.folder / "results.zarr", last="zarr.json")
    send_manifest(store)


def obtain(store: Store, cell_id: str) -> bool:
    """Say whether a cell is finished, here or elsewhere; one that is finished elsewhere is fetched.

    Args:
        store: from `open_run`.
        cell_id: of the cell.

    Returns:
        Whether it is in the folder here now.

    Raises:
        StoreError: if the place elsewhere cannot be read.
    """
    if cell_id in store.committed():
        return True
    if store.remote is None:
        return False
    fetch_manifest(store.remote, store.slug, store.settings_hash)  # layouts that others have settled on
    _fetch(store, {cell_id})
    return cell_id in store.committed()


def fetch_manifest(remote: Remote, slug: str, settings_hash: str) -> None:
    """Join the manifest of a run elsewhere, if there is one, into the folder here.

    Args:
        remote: the place elsewhere.
        slug: of the study.
        settings_hash: of the run.

    Raises:
        StoreError: if it is not the manifest of this run, or a newer version wrote it.
    """
    name = f"{slug}/{settings_hash}/{MANIFEST}"
    data = remote.read(name)
    if data is not None:
        _join(remote, slug, settings_hash, data)


def fetch_manifests(remote: Remote, slug: str | None = None) -> list[str]:
    """Join the manifests of all runs elsewhere into the folder here.

    Args:
        remote: the place elsewhere.
        slug: only runs of this study.

    Returns:
        A line for each that cannot be used.

    Raises:
        StoreError: if the place elsewhere cannot be read.
    """
    slugs = [slug] if slug else sorted(remote.names())
    runs = [(s, h) for s in slugs if _WORD.fullmatch(s) for h in sorted(remote.names(s)) if _WORD.fullmatch(h)]
    names = {f"{s}/{h}/{MANIFEST}": (s, h) for s, h in runs}
    skipped = []
    for name, data in remote.read_all(names):
        try:
            _join(remote, *names[name], data)
        except StoreError as error:
            skipped.append(str(error))
    return skipped


def _join(remote: Remote, slug: str, settings_hash: str, data: bytes) -> None:
    place = f"{remote}/{slug}/{settings_hash}/{MANIFEST}"
    try:
        theirs: Any = json.loads(data)
    except ValueError as error:
        raise StoreError(f"{place} is not valid JSON; move it away and run again") from error
    theirs = checked_manifest(theirs, place)
    if not isinstance(theirs.get("layouts"), dict) or not isinstance(theirs.get("updated"), str):
        raise StoreError(f"{place} lacks its layouts or its date; move it away and run again")
    if (theirs["slug"], theirs.get("settings_hash", settings_hash)) != (slug, settings_hash):
        raise StoreError(f"{place} belongs to {theirs['slug']}; choose another with --store")
    join_manifest(remote.folder / slug / settings_hash, theirs)


def send_manifest(store: Store) -> None:
    """Join the manifests on both sides; nothing happens for a store in a folder.

    Args:
        store: from `open_run`.

    Raises:
        StoreError: if the place elsewhere cannot be written.
    """
    if store.remote is not None:
        fetch_manifest(store.remote, store.slug, store.settings_hash)
        store.remote.write(f"{_place(store)}/{MANIFEST}", (store.folder / MANIFEST).read_bytes())


def _place(store: Store) -> str:
    return f"{store.slug}/{store.settings_hash}"


def _elsewhere(store: Store) -> set[str]:
    assert store.remote is not None
    found = (_CELL.fullmatch(name) for name in store.remote.names(f"{_place(store)}/cells"))
    return {match[1] for match in found if match}


def _fetch(store: Store, cell_ids: set[str]) -> list[str]:
    from .codec import DamagedCell

    assert store.remote is not None
    names = {f"{_place(store)}/cells/{cell_id}.npz": cell_id for cell_id in sorted(cell_ids)}
    refused = []
    for name, data in store.remote.read_all(names):
        try:
            store.check(names[name], data)
        except DamagedCell as error:
            refused.append(f"{error}; ignored in {store.remote}, to be computed again")
            continue
        with storing(store.cells):
            store.cells.mkdir(exist_ok=True)
        write_atomic(store.cells / f"{names[name]}.npz", data)
    return refused
