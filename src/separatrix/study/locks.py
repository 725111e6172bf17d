"""One worker per cell: locks that a killed owner cannot keep.

A lock is a small JSON file that names its owner: host, boot, process namespace, pid, start time of the process. Whether
the owner lives is decided, in this order, by:

1. the same host after a reboot: dead;
2. the same host, boot and process namespace: dead if no such process runs (a zombie does not) or the pid was given to
   another process, which starts at another time; alive otherwise, even if it is stopped;
3. anything else (another machine, another container, a system without `/proc`): dead once the heartbeat, the file's
   modification time, is older than 60 seconds. A thread of the owner refreshes it every five.

All changes happen under a short `flock` on one file of the folder, so two processes cannot both take over a dead
owner's lock. Where `fcntl` is missing (Windows) that mutex covers only the threads of one process: run one worker at a
time there.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from separatrix.study.files import StoreError, storing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

__all__ = ["CellLock", "mutex"]

HEARTBEAT_SECONDS = 5.0
STALE_SECONDS = 60.0

_threads = threading.Lock()


@contextlib.contextmanager
def mutex(folder: Path) -> Iterator[Path]:
    """Exclude every other process and thread that asks for the mutex of the same folder; not re-entrant.

    Args:
        folder: an existing folder; the file `.mutex` in it is made if missing and never removed.

    Yields:
        The path of that file.
    """
    path = folder / ".mutex"
    with storing(folder):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if fcntl is None:
            with _threads:
                yield path
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield path
    finally:
        os.close(descriptor)  # which gives the flock back


class CellLock:
    """The right to compute one cell.

    `with CellLock(path) as mine:` acquires without waiting; `mine` is False if a living owner holds it.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._token = ""
        self._stop = threading.Event()

    def try_acquire(self) -> bool:
        """Take the lock if it is free or its owner is dead.

        Returns:
            Whether this object holds the lock now; False if somebody alive holds it, this object included.

        Raises:
            StoreError: if the folder is not writable or the disk is full.
        """
        with storing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with mutex(self.path.parent) as clock:
            owner = self.owner()
            if owner is not None and not _abandoned(owner, _age(self.path, clock)):
                return False
            token = secrets.token_hex(8)
            _replace(self.path, {**_here(), "pid": os.getpid(), "started": _started(os.getpid()), "token": token})
        self._token = token
        self._stop = threading.Event()
        threading.Thread(target=_beat, args=(self.path, token, self._stop), daemon=True, name="cell lock").start()
        return True

    def release(self) -> None:
        """Give the lock back; does nothing if it is not held, was taken over, or belongs to the parent of a fork."""
        self._stop.set()
        if not self._token:
            return
        with mutex(self.path.parent):
            owner = self.owner()
            if owner is not None and owner.get("token") == self._token and owner.get("pid") == os.getpid():
                with storing(self.path):
                    self.path.unlink(missing_ok=True)
        self._token = ""

    def owner(self) -> dict[str, Any] | None:
        """Who holds the lock, dead or alive.

        Returns:
            The record (`pid`, `host`, `boot`, `namespace`, `started`, `token`); None if nobody holds it; an empty
            record if the file cannot be read, as after a loss of power.
        """
        return _read(self.path)

    def __enter__(self) -> bool:
        return self.try_acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _replace(path: Path, record: dict[str, Any]) -> None:
    """As `write_atomic`, but not flushed: a lock means nothing after a loss of power."""
    temporary = path.with_name(f".{path.name}.{record['token']}.tmp")
    with storing(path):
        try:
            temporary.write_text(json.dumps(record), encoding="utf-8")
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def _beat(path: Path, token: str, stop: threading.Event) -> None:
    while not stop.wait(HEARTBEAT_SECONDS):
        if (_read(path) or {}).get("token") != token:
            return  # released, or taken over while this machine slept
        with contextlib.suppress(OSError):
            os.utime(path)


def _age(path: Path, clock: Path) -> float:
    """Seconds since the last heartbeat, both times set by the file system, whose clock may differ from ours."""
    with storing(clock):
        os.utime(clock)
    try:
        return clock.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError as error:
        raise StoreError(f"{path} vanished while its folder was locked; do not remove locks by hand") from error


def _abandoned(owner: dict[str, Any], age: float) -> bool:
    here = _here()
    if owner.get("host") == here["host"] and owner.get("boot") and here["boot"]:
        if owner["boot"] != here["boot"]:
            return True
        if owner.get("namespace") == here["namespace"] and owner.get("started"):
            return _started(owner.get("pid", 0)) != owner["started"]
    return age > STALE_SECONDS


@functools.cache
def _here() -> dict[str, str]:
    """Where this process runs; an empty string is unknown."""
    boot = namespace = ""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = os.readlink("/proc/self/ns/pid")
    return {"host": socket.gethostname(), "boot": boot, "namespace": namespace}


def _started(pid: int) -> str:
    """Start time of a running process in ticks since boot; empty if it does not run, is a zombie, or is unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    return "" if fields[0] in "ZXx" else fields[19]
