"""Which runs there are below a root, a folder or a URL."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from separatrix.study.files import StoreError
from separatrix.study.manifest import MANIFEST, read_manifest
from separatrix.study.remote import Remote, is_url
from separatrix.study.remote_runs import fetch_manifests, pull
from separatrix.study.store import Store

__all__ = ["Run", "copy_of", "find_runs"]


class Run(NamedTuple):
    """Summary of a run folder."""

    slug: str
    settings_hash: str
    preset: str
    updated: str
    folder: Path


def find_runs(root: str | Path, slug: str | None = None) -> tuple[list[Run], list[str]]:
    """List the run folders below a root.

    Args:
        root: the folder of all runs, which may be missing, or a URL.
        slug: only the runs of this study.

    Returns:
        The runs, the one updated last first; and a line for each folder that was skipped, saying why.
    """
    runs, skipped = [], []
    if is_url(root):
        remote = Remote(str(root))
        skipped, root = fetch_manifests(remote, slug), remote.folder
    for folder in sorted(Path(root).glob(f"{slug or '*'}/*/")):
        if folder.name.startswith(".") or folder.parent.name.startswith("."):
            continue
        try:
            manifest = read_manifest(folder)
            if manifest["slug"] != folder.parent.name:
                raise StoreError(f"{folder / MANIFEST} belongs to {manifest['slug']}, not to {folder.parent.name}")
        except StoreError as error:
            skipped.append(str(error))
            continue
        preset, updated = str(manifest.get("preset", "")), str(manifest.get("updated", ""))
        runs.append(Run(manifest["slug"], folder.name, preset, updated, folder))
    return sorted(runs, key=lambda run: run.updated, reverse=True), skipped


def copy_of(root: str | Path) -> str:
    """Bring the folder here that mirrors a URL up to date, for what reads files as they change.

    Args:
        root: the folder of all runs, or a URL.

    Returns:
        The folder: `root` itself, or that of this machine.

    Raises:
        StoreError: if the place elsewhere cannot be read.
    """
    if not is_url(root):
        return str(root)
    remote = Remote(str(root))
    for run in find_runs(root)[0]:
        pull(Store(run.folder, run.slug, run.settings_hash, remote=remote))
    return str(remote.folder)
