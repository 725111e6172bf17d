"""The results of one run on disk: a folder `<root>/<slug>/<settings hash>/` of cells that count once they are renamed.

    cells/<id>.npz      one committed cell; cells/damaged/ keeps what could not be trusted
    results.zarr        all cells as one Dataset, made from the cells; plain `xarray.open_zarr` opens it
    manifest.json       what the run is, and the state of its cells
    locks/<id>.json     who computes a cell now

A cell is one file because renaming one file is the only atomic step that needs no recovery: it is there or it is not,
whatever was killed and when. Everything else is a report (the manifest) or derived (`results.zarr` carries a
fingerprint of the cells it was made from and is ignored when they have changed), so no crash can make the store
disagree with itself.

A root may be a URL. Then all this is in a folder of this machine, and finished files are sent to the URL as they come.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from separatrix.study.codec import Cell, DamagedCell, checked, decode, encode
from separatrix.study.combine import combine
from separatrix.study.files import StoreError, storing, write_atomic
from separatrix.study.identity import plain
from separatrix.study.locks import CellLock
from separatrix.study.manifest import (
    SCHEMA,
    STATES,
    create_manifest,
    read_manifest,
    update_manifest,
)
from separatrix.study.remote import Remote, is_url
from separatrix.study.remote_runs import fetch_manifest, send_manifest
from separatrix.study.results import read_zarr, write_zarr

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Store", "open_run"]

_CELL_FILE = re.compile(r"([0-9a-f]{16})\.npz")
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LEFTOVER_SECONDS = 3_600.0  # a temporary file of this age has lost its writer


class Store:
    """One run folder; made by `open_run`.

    Reading needs no write access and takes no lock. Methods that write raise `StoreError` in one line if they cannot.

    Attributes:
        folder: the run folder.
        slug: of the study.
        settings_hash: name of the folder.
        provenance: goes into the header of each cell committed through this object.
        remote: where finished cells are sent, if the store is a URL.
    """

    def __init__(
        self,
        folder: Path,
        slug: str,
        settings_hash: str,
        provenance: Mapping[str, Any] | None = None,
        remote: Remote | None = None,
    ):
        self.folder = folder
        self.slug = slug
        self.settings_hash = settings_hash
        self.provenance = dict(provenance or {})
        self.remote = remote

    @property
    def place(self) -> str:
        """Where the run is, for people: its folder, or its URL."""
        return str(self.folder) if self.remote is None else f"{self.remote}/{self.slug}/{self.settings_hash}"

    @property
    def cells(self) -> Path:
        """The folder of the committed cells."""
        return self.folder / "cells"

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as it is on disk now."""
        return read_manifest(self.folder)

    def lock(self, cell_id: str) -> CellLock:
        """The lock to hold while computing a cell."""
        return CellLock(self.folder / "locks" / f"{cell_id}.json")

    def committed(self) -> set[str]:
        """Ids of the cells whose files are in place; their content is checked when it is read."""
        return set(self._stamps())

    def fingerprint(self) -> str:
        """What changes when a cell is committed, replaced or removed; costs a look at the folder."""
        return _digest(self._stamps().values())

    def _stamps(self) -> dict[str, str]:
        """For each committed cell what changes when its file does; a file moved away meanwhile is left out."""
        stamps = {}
        try:
            with os.scandir(self.cells) as entries:
                for entry in entries:
                    if _CELL_FILE.fullmatch(entry.name):
                        with contextlib.suppress(FileNotFoundError):
                            about = entry.stat()
                            stamps[entry.name[:16]] = f"{entry.name} {about.st_size} {about.st_mtime_ns}"
        except FileNotFoundError:
            pass  # nothing was committed yet
        except OSError as error:
            raise StoreError(f"{self.cells} could not be read: {error.strerror}") from error
        return dict(sorted(stamps.items()))

    def commit(
        self,
        cell_id: str,
        identity: Mapping[str, Any],
        dataset: xr.Dataset,
        layouts: Mapping[str, int] | None = None,
    ) -> None:
        """Store a finished cell for good; an older file of the same cell is replaced.

        Args:
            cell_id: 16 hexadecimal digits, from `identity.cell_id`.
            identity: all that determines the cell; `arm`, `seeds` and, for a static grid, `point` place it in the
                results.
            dataset: with a dimension `seed`, in the order of `identity["seeds"]`.
            layouts: block sizes of its populations, by label; rounding may depend on them.

        Raises:
            ValueError: if the id, the identity and the Dataset do not fit together.
            StoreError: if the disk is full or the store is not writable; no half of a file remains. Where only the URL
                is not, the cell is kept here and sent later.
        """
        if not _CELL_FILE.fullmatch(f"{cell_id}.npz"):
            raise ValueError(f"`cell_id` must be 16 hexadecimal digits; got {cell_id!r}.")
        header = {
            "schema": SCHEMA,
            "slug": self.slug,
            "settings_hash": self.settings_hash,
            "cell": cell_id,
            "identity": identity,
            "layouts": dict(layouts or {}),
            "provenance": self.provenance,
        }
        data = encode(header, checked(identity, dataset))
        with storing(self.cells):
            self.cells.mkdir(exist_ok=True)
        write_atomic(self.cells / f"{cell_id}.npz", data)
        self.set_state(cell_id, "done")
        if self.remote is not None:
            self.remote.write(f"{self.slug}/{self.settings_hash}/cells/{cell_id}.npz", data)

    def read_cell(self, cell_id: str) -> xr.Dataset:
        """The Dataset of one committed cell.

        Args:
            cell_id: its id.

        Returns:
            The Dataset as committed.

        Raises:
            StoreError: if there is no such cell, or it is damaged.
        """
        return self._decode(cell_id).to_dataset()

    def read_header(self, cell_id: str) -> dict[str, Any]:
        """The header of one committed cell: what `commit` was given, and `schema`, `slug`, `settings_hash`, `cell`."""
        return self._decode(cell_id).header

    def _decode(self, cell_id: str) -> Cell:
        path = self.cells / f"{cell_id}.npz"
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise StoreError(f"cell {cell_id} is not in {self.cells}") from error
        except OSError as error:
            raise StoreError(f"{path} could not be read: {error.strerror}") from error
        return self.check(cell_id, data)

    def check(self, cell_id: str, data: bytes) -> Cell:
        """Decode a cell's file if it is sound and a cell of this run.

        Args:
            cell_id: its id.
            data: the file's content.

        Returns:
            The cell.

        Raises:
            DamagedCell: if it is truncated, altered, of another run, or of a newer version.
        """
        try:
            cell = decode(data)
        except DamagedCell as error:
            raise DamagedCell(f"cell {cell_id} is {error}") from error
        schema = cell.header.get("schema")
        if not isinstance(schema, int) or not 0 <= schema <= SCHEMA:  # cells of schema 0 are the same as of schema 1
            raise DamagedCell(f"cell {cell_id} has the foreign schema {schema!r}; this version reads up to {SCHEMA}")
        belongs = (cell.header.get("slug"), cell.header.get("settings_hash"), cell.header.get("cell"))
        if belongs != (self.slug, self.settings_hash, cell_id):
            raise DamagedCell(f"cell {cell_id} belongs elsewhere: {'/'.join(map(str, belongs))}")
        if "arm" not in cell.identity or "seed" not in cell.coords:
            raise DamagedCell(f"cell {cell_id} names no arm or no seeds")
        return cell

    def damaged(self) -> list[str]:
        """Check every cell, and move those that cannot be trusted to `cells/damaged/`, so that they are computed again.

        Temporary files that killed writers left behind an hour ago or more are removed.

        Returns:
            One line per such cell: what is wrong with it, and where it is now.
        """
        for leftover in self.cells.glob(".*.tmp"):
            with contextlib.suppress(OSError):
                if time.time() - leftover.stat().st_mtime > _LEFTOVER_SECONDS:
                    leftover.unlink()
        return self._load()[2]

    def _load(self, move: bool = True) -> tuple[list[Cell], str, list[str]]:
        """All sound cells in the order of the plan, their fingerprint, and a line for each damaged one."""
        rank = {cell_id: i for i, cell_id in enumerate(self.manifest["cells"])}
        cells, stamps, messages = [], [], []
        for cell_id, stamp in self._stamps().items():
            try:
                cells.append(self._decode(cell_id))
                stamps.append(stamp)
            except DamagedCell as error:
                messages.append(f"{error}; {self._quarantine(cell_id) if move else 'ignored'}")
            except StoreError as error:
                if not isinstance(error.__cause__, FileNotFoundError):  # else moved away by another process meanwhile
                    raise
        cells.sort(key=lambda cell: (rank.get(cell.header["cell"], len(rank)), cell.identity["arm"]))
        return cells, _digest(stamps), messages

    def _quarantine(self, cell_id: str) -> str:
        folder = self.cells / "damaged"
        target = folder / f"{cell_id}-{secrets.token_hex(4)}.npz"
        try:
            folder.mkdir(exist_ok=True)
            os.replace(self.cells / f"{cell_id}.npz", target)
        except OSError as error:
            return f"ignored, as it could not be moved ({error.strerror})"
        return f"moved to {target.relative_to(self.folder)}, to be computed again"

    def results(self) -> xr.Dataset:
        """All committed cells as one Dataset in memory, from `results.zarr` if that is fresh, else from the cells.

        Returns:
            The Dataset of `combine.combine`. Damaged cells are left out and named in the attribute `damaged_cells`.

        Raises:
            StoreError: if the cells cannot be joined.
        """
        stored = read_zarr(self.folder / "results.zarr", self.fingerprint())
        if stored is not None:
            return stored
        cells, _, messages = self._load(move=False)
        dataset = combine(cells)
        if messages:
            dataset.attrs["damaged_cells"] = "\n".join(messages)
        return dataset

    def write_results(self) -> Path:
        """Make `results.zarr` from the cells, aside, and swap it in; damaged cells are moved away first.

        Returns:
            Its path.

        Raises:
            StoreError: if there are no cells, they cannot be joined, or the store cannot be written.
        """
        cells, fingerprint, _ = self._load()
        if not cells:
            raise StoreError(f"{self.folder} has no finished cells yet; run the study first")
        target = self.folder / "results.zarr"
        write_zarr(target, combine(cells), fingerprint)
        return target

    def set_state(self, cell_id: str, state: str, message: str = "") -> None:
        """Report the state of one cell in the manifest; see `set_states`."""
        self.set_states([cell_id], state, message)

    def set_states(self, cell_ids: Sequence[str], state: str, message: str = "") -> None:
        """Report the state of cells in the manifest; new ones are appended, in the order that the results will follow.

        Args:
            cell_ids: the cells, in the order of the plan.
            state: "waiting", "running", "done" or "failed".
            message: one line, for a failure.

        Raises:
            ValueError: if the state is unknown.
        """
        if state not in STATES:
            raise ValueError(f"`state` must be one of {', '.join(STATES)}; got {state!r}.")

        def change(manifest: dict[str, Any]) -> None:
            now = manifest["updated"]
            manifest["cells"] |= {cell_id: {"state": state, "message": message, "updated": now} for cell_id in cell_ids}

        update_manifest(self.folder, change)

    def states(self) -> dict[str, str]:
        """The state of every known cell, where "done" means that its file is in place."""
        done = self.committed()
        states = {cell_id: about.get("state", "waiting") for cell_id, about in self.manifest["cells"].items()}
        states = {cell_id: "waiting" if state == "done" else state for cell_id, state in states.items()}
        return states | dict.fromkeys(sorted(done), "done")

    def layout(self, name: str) -> int | None:
        """The block size that this run has settled on for a population, None if it has not."""
        return self.manifest["layouts"].get(name)

    def settle_layout(self, name: str, block: int) -> int:
        """Settle how a population is laid out, once for the run, under `layouts` in the manifest.

        Args:
            name: of the population, `<arm>/<label of the run>`.
            block: the proposed block size.

        Returns:
            The block size that holds: that of the first proposal, by whichever process.
        """
        if self.layout(name) == block:
            return block
        update_manifest(self.folder, lambda manifest: manifest["layouts"].setdefault(name, block))
        send_manifest(self)  # joined with the one elsewhere, whose layouts prevail
        return self.manifest["layouts"][name]


def _digest(stamps: Iterable[str]) -> str:
    return hashlib.sha256("\n".join([f"combined {SCHEMA}", *stamps]).encode()).hexdigest()


def open_run(
    root: str | Path,
    slug: str,
    settings_hash: str,
    *,
    create: bool = False,
    preset: str = "",
    settings: Mapping[str, Any] | None = None,
    provenance: Mapping[str, Any] | None = None,
    sweep: Mapping[str, Any] | None = None,
) -> Store:
    """Open the run folder of a study with given settings.

    Args:
        root: the folder of all runs, or a URL; then `pull` fetches the cells that are finished there.
        slug: of the study.
        settings_hash: from `identity.settings_hash`.
        create: make the folder if it is missing; a preset or sweep that differs from the recorded one is then recorded,
            and a larger number of seeds.
        preset: name of the preset that gave the settings.
        settings: the resolved settings, kept in the manifest.
        provenance: from `provenance.provenance`; kept in the manifest, and in the header of each cell committed from
            here.
        sweep: what is swept: `preset` whose settings it begins with, axes `over`, `arms`.

    Returns:
        The store.

    Raises:
        StoreError: if the run is missing (and not to be created), foreign, written by a newer version, or not writable.
    """
    for word in (slug, settings_hash):
        if not _SLUG.fullmatch(word):
            raise StoreError(f"{word!r} cannot name a folder; use letters, digits, dots and dashes")
    remote = Remote(str(root)) if is_url(root) else None
    if remote is not None:
        fetch_manifest(remote, slug, settings_hash)
    folder = (Path(root) if remote is None else remote.folder) / slug / settings_hash
    if create:
        manifest = create_manifest(
            folder,
            slug=slug,
            settings_hash=settings_hash,
            preset=preset,
            settings=settings or {},
            provenance=provenance or {},
            layouts={},
            **({"sweep": plain(sweep)} if sweep else {}),
        )
    elif folder.is_dir():
        manifest = read_manifest(folder)
    else:
        raise StoreError(
            f"there is no run of {slug} with these settings in {remote or root}; start it with: separatrix run {slug}"
        )
    if (manifest["slug"], manifest.get("settings_hash", settings_hash)) != (slug, settings_hash):
        raise StoreError(f"{folder} belongs to {manifest['slug']}; choose another with --store")
    if create:
        seeds = [known["seeds"] for known in (manifest["settings"], settings or {}) if "seeds" in known]
        news = {"preset": preset, "sweep": plain(sweep)}
        if seeds:
            news["settings"] = {**manifest["settings"], "seeds": max(seeds)}
        news = {key: value for key, value in news.items() if value and manifest.get(key) != value}
        if news:
            update_manifest(folder, lambda changed: changed.update(news))
    store = Store(folder, slug, settings_hash, provenance, remote)
    if create:
        send_manifest(store)  # a place that cannot be written is known before anything is computed
    return store
