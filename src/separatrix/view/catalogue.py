"""What a store holds: its runs and maps, found by listing folders. No path is ever made from a request.

A request names a run by two words; they are compared with the names that were found. Manifests are read again only when
they have changed.
"""

import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

from separatrix.study.files import StoreError
from separatrix.study.manifest import MANIFEST
from separatrix.study.regime_map import POINTS
from separatrix.study.runs import Run, find_runs
from separatrix.study.store import Store

__all__ = ["Catalogue", "StoredMap"]

MAPS = "maps"


class StoredMap(NamedTuple):
    """A traced boundary, or one that is being traced.

    Attributes:
        slug: of the study.
        name: of its folder, `<slug>/maps/<name>`.
        path: of the file `map.nc` in it.
        stamp: changes with that file; 0 if it is not there yet.
    """

    slug: str
    name: str
    path: Path
    stamp: int

    @property
    def finished(self) -> bool:
        """Whether there is a boundary to show."""
        return self.stamp > 0


class Catalogue:
    """Runs and maps below one root.

    Attributes:
        root: the folder of all runs; it may be missing.
    """

    def __init__(self, root: Path):
        self.root = root.resolve()
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[Any, ...], list[Run], list[str]]] = {}

    def runs(self) -> tuple[list[Run], list[str]]:
        """All runs, the one updated last first, and a line for each folder that cannot be read, saying why."""
        with self._lock:
            seen = {}
            for folder in self._folders(self.root):
                stamp = tuple(sorted(_stamp(run) for run in self._folders(folder) if run.name != MAPS))
                before = self._known.get(folder.name)
                if before is not None and before[0] == stamp:
                    seen[folder.name] = before
                else:
                    runs, skipped = find_runs(self.root, _literal(folder.name))
                    inside = [run for run in runs if self._inside(run.folder)]
                    skipped = [line for line in skipped if not line.startswith(f"{folder / MAPS} ")]
                    seen[folder.name] = (stamp, inside, skipped)
            self._known = seen
        runs = [run for _, found, _ in seen.values() for run in found]
        return sorted(runs, key=lambda run: run.updated, reverse=True), [line for *_, s in seen.values() for line in s]

    def find(self, slug: str, name: str) -> tuple[Run, Store] | None:
        """The run that a request names, None if the store has none of this name.

        Args:
            slug: of the study.
            name: of the run folder, its settings hash.
        """
        for run in self.runs()[0]:
            if (run.slug, run.settings_hash) == (slug, name):
                return run, Store(run.folder, run.slug, run.settings_hash)
        return None

    def broken(self, slug: str, name: str) -> str | None:
        """Why a folder of this name is not a run that can be read, None if there is no such folder."""
        for folder in self._folders(self.root):
            for run in self._folders(folder):
                if (folder.name, run.name) == (slug, name):
                    return next((line for line in self.runs()[1] if str(run) in line), None)
        return None

    def maps(self, slug: str | None = None) -> list[StoredMap]:
        """The maps in the store, or those of one study, with those that are being traced."""
        return [
            StoredMap(folder.name, found.name, found / "map.nc", _modified(found / "map.nc"))
            for folder in self._folders(self.root)
            if slug is None or folder.name == slug
            for found in self._folders(folder / MAPS)
            if self._inside(found / "map.nc") and any((found / name).is_file() for name in ("map.nc", POINTS))
        ]

    def find_map(self, slug: str, name: str) -> StoredMap | None:
        """The map that a request names, None if the store has none of this name.

        Args:
            slug: of the study.
            name: of its folder.
        """
        return next((found for found in self.maps(slug) if found.name == name), None)

    def _folders(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                return sorted(Path(e.path) for e in entries if e.is_dir() and not e.name.startswith("."))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"{folder} could not be read: {error.strerror}; choose another with --store") from error

    def _inside(self, path: Path) -> bool:
        """Whether a path stays in the store when links are followed."""
        return path.resolve().is_relative_to(self.root)


def _modified(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _literal(name: str) -> str:
    """A folder's name as a pattern that matches it alone."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _stamp(folder: Path) -> tuple[str, int, int]:
    try:
        about = (folder / MANIFEST).stat()
    except OSError:
        return folder.name, 0, 0
    return folder.name, about.st_mtime_ns, about.st_size
