"""Where cells are computed: processes of this machine, or a Ray cluster. Both read and write one shared store."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any, Protocol

from .computing import CellFailed, Job
from .errors import UsageError
from .plan import Cell

__all__ = ["ProcessWorkers", "RayWorkers", "Workers"]

LIVES = 3  # attempts at a cell whose worker dies


class Workers(Protocol):
    """Accepts cells and tells when they are done."""

    def submit(self, job: Job, cell: Cell) -> Any:
        """Start a cell; return a handle."""
        ...

    def finished(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        """Wait for some to finish, so many seconds at most; return those that did."""
        ...

    def result(self, handle: Any) -> bool:
        """Return whether a finished cell was computed, or raise what it raised."""
        ...

    def close(self) -> None:
        """Let the workers go."""
        ...


class ProcessWorkers:
    """Processes of this machine, each with its share of the cores.

    Args:
        jobs: their number.
    """

    def __init__(self, jobs: int):
        self.jobs = jobs
        self.pool = self._start()
        self.attempts: dict[str, int] = {}
        self.cell_of: dict[Future, Cell] = {}

    def _start(self) -> ProcessPoolExecutor:
        context = get_context("spawn")  # a fork would inherit XLA's threads in an unknown state
        share = context.Value("i", 0)
        return ProcessPoolExecutor(self.jobs, context, _take_share, (share, self.jobs))

    def submit(self, job: Job, cell: Cell) -> Future:
        """Start a cell when a process is free."""
        self.attempts[cell.id] = self.attempts.get(cell.id, 0) + 1
        try:
            future = self.pool.submit(job.run, cell)
        except BrokenProcessPool:
            self.pool = self._start()
            future = self.pool.submit(job.run, cell)
        self.cell_of[future] = cell
        return future

    def finished(self, handles: Sequence[Future], seconds: float) -> list[Future]:
        """Wait for some to finish."""
        return list(wait(handles, seconds, FIRST_COMPLETED).done)

    def result(self, handle: Future) -> bool:
        """Return whether the cell was computed; a dead process is news about the machine, not about the cell."""
        cell = self.cell_of.pop(handle)
        try:
            return handle.result()
        except BrokenProcessPool:
            if self.attempts[cell.id] >= LIVES:
                raise CellFailed(
                    f"arm {cell.arm!r}, seeds {cell.seeds[0]}-{cell.seeds[-1]}: its process died {LIVES} times; "
                    "the machine may be short of memory"
                ) from None
            return False  # not committed, so it is submitted again

    def close(self) -> None:
        """Let the processes go."""
        self.pool.shutdown(wait=True, cancel_futures=True)


def _take_share(counter: Any, jobs: int) -> None:
    """Bind a new process to its share of the cores, so that the processes do not fight over them."""
    if not hasattr(os, "sched_setaffinity"):
        return
    with counter.get_lock():
        number, counter.value = counter.value, counter.value + 1
    cores = sorted(os.sched_getaffinity(0))
    mine = cores[number % jobs :: jobs] if len(cores) >= jobs else [cores[number % len(cores)]]
    os.sched_setaffinity(0, mine)


class RayWorkers:
    """Tasks of a Ray cluster whose machines share the store's folder. Tasks of a lost machine are run again.

    Args:
        address: `ray` for a cluster that is there or else a new one on this machine; `ray://HOST:PORT` for a client.

    Raises:
        UsageError: if Ray is missing or the cluster cannot be reached.
    """

    def __init__(self, address: str):
        try:
            import ray
        except ImportError:
            raise UsageError("--on ray needs the extra `ray`: pip install 'separatrix[ray]'") from None
        self.ray: Any = ray
        self.ours = not ray.is_initialized()
        if self.ours:
            try:
                place = os.environ.get("RAY_ADDRESS") if address == "ray" else address
                ray.init(place, log_to_driver=False, logging_level=logging.ERROR)
            except (ConnectionError, ValueError, RuntimeError) as error:
                line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                raise UsageError(f"the Ray cluster at {address} cannot be reached: {line}") from error
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= 1 else 0
        options: Any = {"num_cpus": 1, "num_gpus": gpus, "max_retries": -1, "retry_exceptions": False}
        self.task = ray.remote(**options)(_run_cell)

    def submit(self, job: Job, cell: Cell) -> Any:
        """Start a cell when a core, and a GPU where there are some, is free."""
        return self.task.remote(job, cell)

    def finished(self, handles: Sequence[Any], seconds: float) -> list[Any]:
        """Wait for some to finish."""
        return self.ray.wait(list(handles), num_returns=1, timeout=seconds)[0]

    def result(self, handle: Any) -> bool:
        """Return whether the cell was computed, or raise what it raised."""
        try:
            return self.ray.get(handle)
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            raise CellFailed(f"a task was lost: {str(error).strip().splitlines()[0]}") from error

    def close(self) -> None:
        """Leave the cluster, if it was entered here."""
        if self.ours:
            self.ray.shutdown()


def _run_cell(job: Job, cell: Cell) -> bool:
    return job.run(cell)
