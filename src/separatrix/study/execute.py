"""Run the missing cells of a study here, one at a time or in several processes, each resumable."""

import os
import socket
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from .computing import CellFailed, Job, Watcher, compute, read_progress
from .errors import UsageError
from .plan import Cell, plan
from .remote_runs import obtain, pull, push, send_manifest
from .stop_flag import StopFlag
from .store import Store
from .study import Study
from .workers import Workers

__all__ = ["CellFailed", "Outcome", "Reporter", "execute", "execute_on"]

SECONDS_BETWEEN_LOOKS = 0.5


class Reporter(Watcher, Protocol):
    """Shows the user what is going on."""

    def start_cell(self, cell: Cell, index: int, total: int) -> None:
        """Announce a cell."""
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
    """Compute every cell that the store lacks, in this process.

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
        UsageError: if an arm refuses its settings before any cell is finished; a later one counts as failed.
        StoreError: if the store cannot be written.
    """
    from separatrix._core.monitor import Cancelled

    began = time.monotonic()
    cells, pending = _pending(study, settings, preset, store, reporter)
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
                if obtain(store, cell.id):  # another process finished it meanwhile
                    kept += 1
                    continue
                reporter.start_cell(cell, len(cells) - len(pending), len(cells))
                try:
                    compute(study, settings, cell, store, reporter, cancelled)
                    computed += 1
                except CellFailed as error:
                    failed.append(str(error))
                    reporter.message(str(error))
                except UsageError as error:
                    if not computed and not kept:
                        raise
                    failed.append(_refused(cell, error))
                    reporter.message(failed[-1])
            finally:
                lock.release()
        if pending and not progressed:
            told = told or _tell_of_owner(store, pending[0], reporter)
            time.sleep(SECONDS_BETWEEN_LOOKS)
    _conclude(store, reporter)
    return Outcome(computed, kept, failed, time.monotonic() - began)


def execute_on(
    workers: Workers,
    job: Job,
    study: Study,
    settings: Any,
    preset: str,
    store: Store,
    reporter: Reporter,
    cancelled: Callable[[], bool],
) -> Outcome:
    """Compute every cell that the store lacks, in other processes that share its folder.

    Args:
        workers: where the cells go.
        job: tells the workers of the run.
        study: the study.
        settings: its settings.
        preset: which arms to run.
        store: of the run.
        reporter: shows the progress of the cell that moved last.
        cancelled: asked twice a second; the workers then stop at their next chunk.

    Returns:
        What was done; `results.zarr` has been rewritten.

    Raises:
        separatrix.Cancelled: on request; what was computed is kept.
        UsageError: if an arm refuses its settings before any cell is finished; a later one counts as failed.
    """
    from separatrix._core.monitor import Cancelled

    began, stop = time.monotonic(), StopFlag(job.stop)
    stop.clear()
    cells, pending = _pending(study, settings, preset, store, reporter)
    kept, computed, failed, told = len(cells) - len(pending), 0, [], False
    running, asked = {workers.submit(job, cell): cell for cell in pending}, False
    shown: tuple[str, int] | None = None
    try:
        while running:
            for handle in workers.finished(list(running), SECONDS_BETWEEN_LOOKS):
                cell = running.pop(handle)
                try:
                    done = workers.result(handle)
                except CellFailed as error:
                    failed.append(str(error))
                    reporter.message(str(error))
                    continue
                except UsageError as error:
                    if not computed and not kept:
                        raise
                    failed.append(_refused(cell, error))
                    reporter.message(failed[-1])
                    continue
                if obtain(store, cell.id):
                    computed, kept = computed + done, kept + (not done)
                elif done:
                    failed.append(
                        f"arm {cell.arm!r} was computed, but {store.place} does not hold it: do all reach it?"
                    )
                    reporter.message(failed[-1])
                else:  # another run holds it
                    told = told or _tell_of_owner(store, cell, reporter)
                    time.sleep(SECONDS_BETWEEN_LOOKS)
                    running[workers.submit(job, cell)] = cell
            if not asked and cancelled():
                stop.set()
                asked = True
            shown = _show(store, list(running.values()), len(cells), reporter, shown)
    except Cancelled:
        raise Cancelled(f"{study.slug} stopped.") from None
    finally:
        workers.close()
        stop.clear()
    _conclude(store, reporter)
    return Outcome(computed, kept, failed, time.monotonic() - began)


def _pending(study, settings, preset, store: Store, reporter: Reporter) -> tuple[list[Cell], list[Cell]]:
    for line in [*store.damaged(), *pull(store)]:
        reporter.message(line)
    committed = store.committed()
    cells = plan(study, settings, preset, committed)
    pending = [cell for cell in cells if cell.id not in committed]
    store.set_states([cell.id for cell in pending], "waiting")
    send_manifest(store)  # every machine then orders the results by this plan
    if store.remote is not None and pending:
        # machines that share a URL cannot lock cells for each other; they begin at different ones
        start = zlib.crc32(f"{socket.gethostname()} {os.getpid()}".encode()) % len(pending)
        pending = pending[start:] + pending[:start]
    return cells, pending


def _conclude(store: Store, reporter: Reporter) -> None:
    for line in pull(store):  # what other machines have finished meanwhile
        reporter.message(line)
    if store.committed():
        store.write_results()
    push(store)


def _refused(cell: Cell, error: UsageError) -> str:
    return f"arm {cell.arm!r} was refused: {error}"


def _tell_of_owner(store: Store, cell: Cell, reporter: Reporter) -> bool:
    owner = store.lock(cell.id).owner()
    if owner:
        reporter.message(f"waiting for process {owner.get('pid', '?')}, which computes the remaining cells")
    return bool(owner)


def _show(store: Store, running: list[Cell], total: int, reporter: Reporter, shown):
    """Report the cell that has told of itself last."""
    told = [(lines[-1], cell) for cell in running if (lines := read_progress(store.folder, cell.id))]
    if not told:
        return shown
    line, cell = max(told, key=lambda item: item[0]["step"] / max(1, item[0]["steps"]))
    if shown is None or shown[0] != cell.id:
        reporter.start_cell(cell, total - len(running) + 1, total)
        reporter.begin()
    if shown != (cell.id, line["step"]):
        reporter.advance(line["label"], line["step"], line["steps"], line["latest"])
    return cell.id, line["step"]
