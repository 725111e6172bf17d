"""Compute one cell, in whichever process: look up the study, run the arm, commit what it returns."""

import contextlib
import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from .errors import UsageError
from .files import StoreError, storing
from .plan import Cell
from .remote_runs import obtain
from .stop_flag import StopFlag
from .store import Store, open_run
from .study import Study, find_study

__all__ = ["CellFailed", "Job", "Watcher", "compute", "read_progress"]

SECONDS_BETWEEN_CHECKPOINTS = 10.0
SECONDS_BETWEEN_PROGRESS_LINES = 1.0


class CellFailed(Exception):
    """A cell raised an exception; the others are run all the same."""


class Watcher(Protocol):
    """Is told of a cell's steps."""

    def begin(self) -> None:
        """Take note that the cell's settings were accepted and its first step is next."""
        ...

    def advance(self, label: str, step: int, steps: int, latest: Mapping[str, float]) -> None:
        """Take completed steps of the current run and the latest scalars."""
        ...

    def message(self, text: str) -> None:
        """Take one line for the user."""
        ...


class Job(NamedTuple):
    """What another process needs to compute cells of a run.

    Attributes:
        reference: the study's slug, or the path of the file that defines it.
        over: axes of a sweep; none for a plain run.
        arms: arms of a sweep.
        settings: fields of the study's settings.
        root: folder of all runs, which all processes share, or a URL that all reach.
        slug: of the study.
        settings_hash: of the run.
        provenance: for the headers of the cells.
        stop: the place of the `StopFlag` that asks the processes to stop.
    """

    reference: str
    over: Sequence[Any]
    arms: Sequence[str]
    settings: Mapping[str, Any]
    root: str
    slug: str
    settings_hash: str
    provenance: Mapping[str, Any]
    stop: str

    def run(self, cell: Cell) -> bool:
        """Compute a cell unless it is finished; return whether it was computed.

        Args:
            cell: the cell.

        Returns:
            False if it was finished before, or another process holds it.

        Raises:
            CellFailed: if the arm raised an exception.
            separatrix.Cancelled: if the flag was set.
        """
        study = self.study()
        store = open_run(self.root, self.slug, self.settings_hash, provenance=self.provenance)
        settings = dataclasses.replace(study.presets["default"], **self.settings)
        lock = store.lock(cell.id)
        if not lock.try_acquire():
            return False
        try:
            if obtain(store, cell.id):
                return False
            compute(study, settings, cell, store, None, StopFlag(self.stop).is_set)
            return True
        finally:
            lock.release()

    def study(self) -> Study:
        """Return the study, swept if this is a sweep."""
        study = find_study(self.reference)
        if not self.over:
            return study
        from .sweep import sweep_of

        return sweep_of(study, study.presets["default"], self.over, self.arms)[0]


def compute(
    study: Study,
    settings: Any,
    cell: Cell,
    store: Store,
    watcher: Watcher | None,
    cancelled: Callable[[], bool],
) -> None:
    """Run a cell's arm and commit its Dataset. The caller holds the cell's lock.

    Args:
        study: the study.
        settings: of the run; the cell's grid point replaces some.
        cell: the cell.
        store: of the run.
        watcher: is told of the steps.
        cancelled: asked between chunks.

    Raises:
        separatrix.Cancelled: on request; a checkpoint is kept.
        UsageError: if the arm refuses its settings before its first step.
        CellFailed: if it raises another exception.
    """
    import jax
    import numpy as np

    from separatrix._core.monitor import Cancelled, monitored

    store.set_state(cell.id, "running")
    monitor = _cell_monitor(cell, store, watcher, cancelled)
    keys = jax.vmap(jax.random.key)(np.asarray(cell.seeds, np.uint32))
    began = time.monotonic()
    try:
        with monitored(monitor):
            dataset = study.arms[cell.arm](dataclasses.replace(settings, **cell.point), keys)
    except Cancelled:
        store.set_state(cell.id, "waiting", "stopped; a checkpoint is kept")
        raise
    except (StoreError, UsageError, KeyboardInterrupt):
        store.set_state(cell.id, "waiting")
        raise
    except Exception as error:
        if isinstance(error, ValueError) and not monitor.stepped:
            store.set_state(cell.id, "failed", str(error))
            raise UsageError(str(error)) from error  # the settings were refused before the first step
        line = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        store.set_state(cell.id, "failed", line)
        raise CellFailed(f"arm {cell.arm!r}, seeds {cell.seeds[0]}-{cell.seeds[-1]}: {line}") from error
    dataset = dataset.assign_coords(seed=list(cell.seeds))
    dataset.attrs["device"] = jax.devices()[0].device_kind
    dataset.attrs["wall_seconds"] = round(time.monotonic() - began, 3)
    store.commit(cell.id, cell.identity, dataset, monitor.layouts)
    with contextlib.suppress(OSError):
        shutil.rmtree(store.folder / "checkpoints" / cell.id)
        _progress_file(store.folder, cell.id).unlink()


def read_progress(folder: Path, cell_id: str) -> list[dict[str, Any]]:
    """Read what a running cell has told of itself.

    Args:
        folder: of the run.
        cell_id: of the cell.

    Returns:
        `label`, `step`, `steps` and `latest` scalars, the newest last; empty if it is not running.
    """
    try:
        lines = _progress_file(folder, cell_id).read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):  # a line that is being written
            found.append(json.loads(line))
    return found


def _progress_file(folder: Path, cell_id: str) -> Path:
    return folder / "progress" / f"{cell_id}.jsonl"


def _cell_monitor(cell: Cell, store: Store, watcher: Watcher | None, cancelled: Callable[[], bool]):
    from separatrix._core.monitor import FolderMonitor, Monitor

    files = FolderMonitor(store.folder / "checkpoints" / cell.id, SECONDS_BETWEEN_CHECKPOINTS)
    progress = _progress_file(store.folder, cell.id)

    class CellMonitor(Monitor):
        """Checkpoints into the cell's folder, layouts into the manifest, progress to a file and the watcher."""

        def __init__(self):
            self.stepped = False
            self.spoke = -SECONDS_BETWEEN_PROGRESS_LINES
            self.layouts: dict[str, int] = {}

        def begin(self, label, steps, members):
            files.begin(label, steps, members)
            self.steps = steps
            if watcher is not None:
                watcher.begin()

        def advance(self, label, step, latest):
            self.stepped = True
            if watcher is not None:
                watcher.advance(label, step, self.steps, latest)
            now = time.monotonic()
            if now - self.spoke >= SECONDS_BETWEEN_PROGRESS_LINES or step == self.steps:
                self.spoke = now
                finite = {k: v for k, v in latest.items() if abs(v) < float("inf")}
                line = json.dumps({"label": label, "step": step, "steps": self.steps, "latest": finite})
                with storing(progress):
                    progress.parent.mkdir(exist_ok=True)
                    with progress.open("a") as file:
                        file.write(line + "\n")

        def load(self, label):
            return files.load(label)

        def wants_checkpoint(self, label):
            return files.wants_checkpoint(label)

        def save(self, label, data):
            with storing(files.folder):
                files.save(label, data)

        def warn(self, message):
            if watcher is not None:
                watcher.message(message)

        def cancelled(self):
            return cancelled()

        def layout(self, label):
            return store.layout(f"{cell.arm}/{label}")

        def settle(self, label, block):
            self.layouts[label] = store.settle_layout(f"{cell.arm}/{label}", block)
            return self.layouts[label]

    return CellMonitor()
