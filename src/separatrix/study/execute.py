"""Run the missing cells of a study, one at a time, each resumable."""

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from .errors import UsageError
from .files import StoreError, storing
from .plan import Cell, plan
from .store import Store
from .study import Study

__all__ = ["CellFailed", "Outcome", "Reporter", "execute"]

SECONDS_BETWEEN_CHECKPOINTS = 10.0
SECONDS_BETWEEN_LOOKS_AT_LOCKS = 0.5


class CellFailed(Exception):
    """A cell raised an exception; the others were run all the same."""


class Reporter(Protocol):
    """Shows the user what is going on."""

    def start_cell(self, cell: Cell, index: int, total: int) -> None:
        """Announce a cell."""
        ...

    def advance(self, label: str, step: int, steps: int, latest: Mapping[str, float]) -> None:
        """Show completed steps of the current run and the latest scalars."""
        ...

    def message(self, text: str) -> None:
        """Show one line."""
        ...


class Outcome(NamedTuple):
    """What a run did.

    Attributes:
        computed: number of cells computed now.
        kept: number of cells that were finished before.
        failed: messages of failed cells.
        seconds: wall time.
    """

    computed: int
    kept: int
    failed: list[str]
    seconds: float


def execute(
    study: Study, settings: Any, preset: str, store: Store, reporter: Reporter, cancelled: Callable[[], bool]
) -> Outcome:
    """Compute every cell that the store lacks.

    Cells that another process holds are left to it, and waited for; a dead process's cells are taken over.

    Args:
        study: the study.
        settings: its settings, `seeds` included.
        preset: which arms to run.
        store: where the cells go.
        reporter: shows progress.
        cancelled: asked between chunks and cells.

    Returns:
        What was done; `results.zarr` has been rewritten.

    Raises:
        separatrix.Cancelled: on request; what was computed is kept.
        UsageError: if an arm refuses its settings before its first step.
        StoreError: if the store cannot be written.
    """
    from separatrix._core.monitor import Cancelled

    began = time.monotonic()
    for line in store.damaged():
        reporter.message(line)
    committed = store.committed()
    cells = plan(study, settings, preset, committed)
    pending = [cell for cell in cells if cell.id not in committed]
    store.set_states([cell.id for cell in pending], "waiting")
    kept, computed, failed, told = len(cells) - len(pending), 0, [], False
    while pending:
        progressed = False
        for cell in list(pending):
            if cancelled():
                raise Cancelled(f"{study.slug} stopped.")
            lock = store.lock(cell.id)
            if not lock.try_acquire():
                continue
            try:
                progressed = True
                pending.remove(cell)
                if cell.id in store.committed():  # another process finished it meanwhile
                    kept += 1
                    continue
                reporter.start_cell(cell, len(cells) - len(pending), len(cells))
                try:
                    _compute(study, settings, cell, store, reporter, cancelled)
                    computed += 1
                except CellFailed as error:
                    failed.append(str(error))
                    reporter.message(str(error))
            finally:
                lock.release()
        if pending and not progressed:
            if not told:
                owner = store.lock(pending[0].id).owner() or {}
                reporter.message(f"waiting for process {owner.get('pid', '?')}, which computes the remaining cells")
                told = True
            time.sleep(SECONDS_BETWEEN_LOOKS_AT_LOCKS)
    if store.committed():
        store.write_results()
    return Outcome(computed, kept, failed, time.monotonic() - began)


def _compute(study: Study, settings: Any, cell: Cell, store: Store, reporter: Reporter, cancelled) -> None:
    import jax
    import numpy as np

    from separatrix._core.monitor import Cancelled, monitored

    store.set_state(cell.id, "running")
    monitor = _cell_monitor(cell, store, reporter, cancelled)
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
    store.commit(cell.id, cell.identity, dataset)
    with contextlib.suppress(OSError):
        shutil.rmtree(store.folder / "checkpoints" / cell.id)


def _cell_monitor(cell: Cell, store: Store, reporter: Reporter, cancelled):
    from separatrix._core.monitor import FolderMonitor, Monitor

    files = FolderMonitor(store.folder / "checkpoints" / cell.id, SECONDS_BETWEEN_CHECKPOINTS)
    layouts = store.manifest.get("layouts", {})

    class CellMonitor(Monitor):
        """Checkpoints into the cell's folder, layouts into the manifest, progress to the reporter."""

        stepped = False

        def begin(self, label, steps, members):
            files.begin(label, steps, members)
            self.steps = steps

        def advance(self, label, step, latest):
            self.stepped = True
            reporter.advance(label, step, self.steps, latest)

        def load(self, label):
            return files.load(label)

        def wants_checkpoint(self, label):
            return files.wants_checkpoint(label)

        def save(self, label, data):
            with storing(files.folder):
                files.save(label, data)

        def warn(self, message):
            reporter.message(message)

        def cancelled(self):
            return cancelled()

        def layout(self, label):
            return layouts.get(f"{cell.arm}/{label}")

        def settled(self, label, block):
            name = f"{cell.arm}/{label}"
            if layouts.get(name) != block:
                layouts[name] = block
                store.set_layout(name, block)

    return CellMonitor()
