"""Write a file so that a reader, or a crash, sees all of it or nothing."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

__all__ = ["write_atomic"]

_NO_DIRECTORY_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EACCES, errno.EPERM, errno.ENOSYS}


def write_atomic(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to a temporary neighbour, flush it to the disk and rename it over `path`.

    Then the folder is flushed, so the rename itself survives a loss of power.

    Args:
        path: the file; its folder must exist.
        data: its whole content.

    Raises:
        OSError: as the system reports it; an older `path` is untouched and nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no directories
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_DIRECTORY_SYNC:
            raise
    finally:
        os.close(descriptor)
