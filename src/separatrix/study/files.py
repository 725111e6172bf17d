"""Files that are either wholly there or not at all, and errors of the disk in one clear line."""

from __future__ import annotations

import contextlib
import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from separatrix._core import files
from separatrix.study.identity import plain

__all__ = ["StoreError", "read_json", "storing", "write_atomic", "write_json"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


class StoreError(Exception):
    """A store that cannot be read or written; the message is one line and says what to do."""


@contextlib.contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn an `OSError` while writing into a `StoreError` that says what to do.

    Args:
        path: what is being written, for the message.

    Yields:
        Nothing.

    Raises:
        StoreError: if the disk is full, the place is not writable, or another error of the system occurs.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            message = f"the disk is full: {path} was not written; free space and run again; finished cells are kept"
        elif error.errno in _READ_ONLY:
            message = f"{path} is not writable; choose another with --store"
        else:
            message = f"{path} could not be written: {error.strerror or error}"
        raise StoreError(message) from error


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that no reader, and no crash, ever sees half of.

    Args:
        path: the file; its folder must exist.
        data: its whole content.

    Raises:
        StoreError: if it cannot be written; an older `path` is untouched and nothing is left behind.
    """
    with storing(path):
        files.write_atomic(path, data)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Args:
        path: the file.

    Returns:
        Its value.

    Raises:
        StoreError: if it is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist") from error
    except OSError as error:
        raise StoreError(f"{path} could not be read: {error.strerror or error}") from error
    except ValueError as error:
        raise StoreError(f"{path} is not valid JSON; move it away and run again") from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as strict, indented JSON, atomically.

    Args:
        path: the file.
        value: anything that `plain` accepts; non-finite numbers become strings.
    """
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(path, (text + "\n").encode())
