"""What the view started: each is a command of `separatrix` in a process group of its own, which outlives the view."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from separatrix.study.errors import UsageError

__all__ = ["Jobs", "Started"]

MOST_AT_ONCE = 8
TAIL_BYTES = 4_000
KEPT = 50


class Started(NamedTuple):
    """A run, sweep or map that was started here.

    Attributes:
        id: 16 hexadecimal digits.
        slug: of the study.
        name: of the folder that it fills.
        command: its words.
        process: the leader of its group.
        output: what it prints.
        began: when, in seconds of the epoch.
    """

    id: str
    slug: str
    name: str
    command: tuple[str, ...]
    process: "subprocess.Popen[bytes]"
    output: Path
    began: float


class Jobs:
    """Starts and stops runs; safe to use from several threads."""

    def __init__(self, root: Path):
        self.root = root
        self._folder = tempfile.TemporaryDirectory(prefix="separatrix-view-", ignore_cleanup_errors=True)
        self._started: dict[str, Started] = {}
        self._asked: dict[str, int] = {}
        self._lock = threading.Lock()

    def start(self, slug: str, name: str, words: Sequence[str]) -> Started:
        """Start a run, sweep or map.

        Args:
            slug: of the study.
            name: of the folder that it will fill.
            words: the command line, but for the program and the place of the store.

        Returns:
            What was started; what is under way, if it was started before.

        Raises:
            UsageError: if too many are under way.
        """
        with self._lock:
            alive = [job for job in self._started.values() if job.process.poll() is None]
            for job in alive:
                if (job.slug, job.name) == (slug, name):
                    return job
            if len(alive) >= MOST_AT_ONCE:
                raise UsageError(f"{MOST_AT_ONCE} runs are under way; stop one, or wait until one ends")
            job_id = secrets.token_hex(8)
            command = (sys.executable, "-m", "separatrix.cli", *words, "--store", str(self.root), "--json")
            output = Path(self._folder.name) / f"{job_id}.txt"
            with output.open("wb") as file:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=file,
                    start_new_session=True,
                    env={**os.environ, "COLUMNS": "160", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
                )
            self._started[job_id] = Started(job_id, slug, name, command, process, output, time.time())
            self._forget()
            return self._started[job_id]

    def _forget(self) -> None:
        ended = [job for job in self._started.values() if job.process.poll() is not None]
        for job in ended[: max(0, len(self._started) - KEPT)]:
            del self._started[job.id]
            job.output.unlink(missing_ok=True)

    def stop(self, name: str) -> bool:
        """Ask a run to stop at its next chunk; asked again, end its whole group at once.

        Args:
            name: id of the run.

        Returns:
            Whether it was under way.
        """
        with self._lock:
            job = self._started.get(name)
            if job is None or job.process.poll() is not None:  # not polled elsewhere, so its number is still its own
                return False
            self._asked[name] = self._asked.get(name, 0) + 1
            if self._asked[name] == 1:
                job.process.send_signal(signal.SIGTERM)
            else:
                os.killpg(job.process.pid, signal.SIGTERM)
            return True

    def of(self, slug: str, name: str) -> Started | None:
        """What was started last for a folder."""
        with self._lock:
            fitting = [j for j in self._started.values() if (j.slug, j.name) == (slug, name)]
        return fitting[-1] if fitting else None

    def active(self) -> list[Started]:
        """The runs under way."""
        with self._lock:
            return [job for job in self._started.values() if job.process.poll() is None]

    def describe(self, job: Started | None) -> dict[str, Any] | None:
        """Plain values on a run: `id`, `state`, `code`, `asked` (how often it was asked to stop), last `lines`."""
        if job is None:
            return None
        code = job.process.poll()
        state = "running" if code is None else "done" if code == 0 else "stopped" if code in (130, -15) else "failed"
        asked = self._asked.get(job.id, 0)
        return {"id": job.id, "state": state, "code": code, "asked": asked, "lines": _tail(job.output)}


def _tail(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()][-6:]
