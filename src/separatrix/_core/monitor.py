"""Who watches a run between its chunks: progress, checkpoints, cancellation.

The watcher is ambient (a context variable) because a run may lie deep inside a user's function, which should not have
to hand it down.
"""

import contextlib
import contextvars
import os
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path

from .files import write_atomic

__all__ = ["Cancelled", "FolderMonitor", "Monitor", "checkpointing", "current_monitor", "monitored"]


class Cancelled(Exception):
    """The run was stopped on request; a checkpoint was saved if the monitor keeps them."""


class Monitor:
    """Receives what happens between chunks; this one ignores it all.

    A run calls each method from the thread that started it. `label` names the run within its context and is unique
    there, so that a function with several runs resumes each of them.
    """

    def begin(self, label: str, steps: int, members: int) -> None:
        """Announce a run of `steps` steps of a population of `members`, whose inputs were found to be in order."""

    def varies(self, label: str, grid: Mapping[str, Sequence[str]], effective: Callable[[], Set[str]]) -> None:
        """Announce, before `begin`, the axes of a run's grid and their names; `effective()` finds which matter."""

    def advance(self, label: str, step: int, latest: Mapping[str, float]) -> None:
        """Report completed steps and the population mean of the last recorded scalars."""

    def timed(self, compile_seconds: float = 0.0, run_seconds: float = 0.0) -> None:
        """Add to the time spent."""

    def load(self, label: str) -> bytes | None:
        """Return the last checkpoint, or None."""
        return None

    def wants_checkpoint(self, label: str) -> bool:
        """Say whether a checkpoint is due now."""
        return False

    def save(self, label: str, data: bytes) -> None:
        """Keep a checkpoint."""

    def warn(self, message: str) -> None:
        """Pass on one line that the user should see."""

    def cancelled(self) -> bool:
        """Say whether the run should stop after this chunk."""
        return False

    def layout(self, label: str) -> int | None:
        """Return the block size that an earlier run of the same work settled on, or None."""
        return None

    def settle(self, label: str, block: int) -> int:
        """Take a proposed block size; return the one that holds, which is the first that was ever proposed."""
        return block


class FolderMonitor(Monitor):
    """Keeps checkpoints and layouts as files in a folder.

    Attributes:
        folder: created when it is missing.
        every_seconds: least time between two checkpoints of a run.
    """

    def __init__(self, folder: str | os.PathLike, every_seconds: float = 10.0):
        self.folder = Path(folder)
        self.every_seconds = every_seconds
        self._last: dict[str, float] = {}

    def _path(self, label: str, kind: str = "ckpt") -> Path:
        return self.folder / (re.sub(r"[^A-Za-z0-9._-]", "-", label) + f".{kind}")

    def begin(self, label: str, steps: int, members: int) -> None:
        """Start the clock of this run."""
        self._last[label] = time.monotonic()

    def load(self, label: str) -> bytes | None:
        """Read the last checkpoint."""
        path = self._path(label)
        return path.read_bytes() if path.exists() else None

    def wants_checkpoint(self, label: str) -> bool:
        """Return True when `every_seconds` have passed."""
        return time.monotonic() - self._last[label] >= self.every_seconds

    def save(self, label: str, data: bytes) -> None:
        """Replace the checkpoint."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self._path(label), data)
        self._last[label] = time.monotonic()

    def warn(self, message: str) -> None:
        """Issue a warning."""
        warnings.warn(message, stacklevel=2)

    def layout(self, label: str) -> int | None:
        """Read the block size that was settled on."""
        try:
            return int(self._path(label, "block").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def settle(self, label: str, block: int) -> int:
        """Keep the block size, unless there is one already."""
        known = self.layout(label)
        if known is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(self._path(label, "block"), str(block).encode())
        return known or block


_current: contextvars.ContextVar[Monitor] = contextvars.ContextVar("separatrix_monitor", default=Monitor())  # noqa: B039


def current_monitor() -> Monitor:
    """Return the monitor in force."""
    return _current.get()


@contextlib.contextmanager
def monitored(monitor: Monitor) -> Iterator[Monitor]:
    """Put `monitor` in force within the block.

    Args:
        monitor: receives what the runs inside report.

    Yields:
        The monitor.
    """
    token = _current.set(monitor)
    try:
        yield monitor
    finally:
        _current.reset(token)


@contextlib.contextmanager
def checkpointing(folder: str | os.PathLike, every_seconds: float = 10.0) -> Iterator[None]:
    """Make the runs inside the block resumable: killed at any moment, they end with the same numbers.

    Args:
        folder: where the checkpoints live; use one folder for one script with unchanged settings.
        every_seconds: least time between two checkpoints.

    Yields:
        Nothing.

    Examples:
        >>> with checkpointing("checkpoints"):  # doctest: +SKIP
        ...     state, records = run(process, key, 100_000)
    """
    with monitored(FolderMonitor(folder, every_seconds)):
        yield
