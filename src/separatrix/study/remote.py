"""Files behind a URL that fsspec knows (object storage, a server, a share), and the folder here that mirrors them.

Object storage has no locks and no renames, so work is done in the folder, and finished files are sent. Nothing that is
fetched is trusted: whoever asks for it checks it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import UsageError
from .files import StoreError

__all__ = ["Remote", "is_url"]

_AT_ONCE = 32  # objects fetched side by side


def is_url(place: str | os.PathLike) -> bool:
    """Say whether a store is a URL and not a folder."""
    return "://" in os.fspath(place)


class Remote:
    """A place that fsspec reaches; names are relative to it, with slashes.

    Args:
        url: `protocol://...`; credentials and options come from where the protocol's package looks for them, such as
            the variables `AWS_...` and `FSSPEC_S3_...`.

    Attributes:
        url: without a slash at its end.
        folder: of this machine, in the user's cache; the same for every process that names the same URL.

    Raises:
        UsageError: if fsspec or the protocol's package is missing, or the protocol is unknown.
        StoreError: if the place refuses the connection.
    """

    def __init__(self, url: str):
        self.url = url.rstrip("/")
        self.folder = _copy_of(str(self))
        try:
            import fsspec
        except ImportError:
            raise UsageError(f"{self} needs fsspec; install it with: pip install 'separatrix[remote]'") from None
        try:
            self._files, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:  # "Install s3fs to access S3"; "Protocol not known: ..."
            raise UsageError(f"{self} cannot be opened: {_line(error)}") from error
        except Exception as error:  # each protocol has errors of its own, with no common base
            raise StoreError(f"{self} cannot be reached: {_line(error)}") from error

    def __str__(self) -> str:
        """Return the URL as people may see it, without a password."""
        return re.sub(r"//[^/@]*@", "//", self.url)

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}".rstrip("/")

    def names(self, folder: str = "") -> set[str]:
        """Return the names within a folder; none if it is not there.

        Args:
            folder: relative to the URL.

        Returns:
            Names without their folder.

        Raises:
            StoreError: if the place cannot be read.
        """
        with _one_line(f"{self} could not be read"):
            self._files.invalidate_cache()
            try:
                return {
                    path.rstrip("/").rpartition("/")[2] for path in self._files.ls(self._path(folder), detail=False)
                }
            except FileNotFoundError:
                return set()

    def read(self, name: str) -> bytes | None:
        """Return one file.

        Args:
            name: relative to the URL.

        Returns:
            Its content; None if it is not there.

        Raises:
            StoreError: if it cannot be read.
        """
        return dict(self.read_all([name])).get(name)

    def read_all(self, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Fetch files, some at a time; what is not there is left out.

        Args:
            names: relative to the URL.

        Yields:
            Name and content.

        Raises:
            StoreError: if one cannot be read.
        """
        names = list(names)
        for start in range(0, len(names), _AT_ONCE):
            paths = {self._path(name): name for name in names[start : start + _AT_ONCE]}
            with _one_line(f"{self} could not be read"):
                found = self._files.cat(list(paths), on_error="return")
                for content in found.values():
                    if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                        raise content
            for path, name in paths.items():
                if isinstance(content := found.get(path), bytes):
                    yield name, content

    def write(self, name: str, data: bytes) -> None:
        """Send one file.

        Args:
            name: relative to the URL; folders on the way are made.
            data: its content.

        Raises:
            StoreError: if the place is not writable or cannot be reached.
        """
        with self._writing():
            self._send(self._path(name), data)

    def _writing(self):
        return _one_line(
            f"{self} could not be written", f"; finished cells are kept in {self.folder} and sent by the next run"
        )

    def _send(self, path: str, data: bytes) -> None:
        try:
            self._files.pipe_file(path, data)
        except FileNotFoundError:  # not an object store: folders must be there first
            parts = path.split("/")
            for depth in range(2, len(parts)):  # never the first part, a bucket: a misspelt one must not be made
                folder = "/".join(parts[:depth])
                if not self._files.isdir(folder):
                    self._files.mkdir(folder, create_parents=False)
            self._files.pipe_file(path, data)

    def write_folder(self, name: str, source: Path, last: str) -> None:
        """Replace a folder by a copy of one of this machine.

        Args:
            name: relative to the URL.
            source: the folder here.
            last: the file that makes the copy readable, sent when all others are there.

        Raises:
            StoreError: if the place is not writable or cannot be reached.
        """
        files = [path for path in sorted(source.rglob("*")) if path.is_file()]
        files.sort(key=lambda path: path == source / last)
        with self._writing():
            with contextlib.suppress(FileNotFoundError):
                self._files.rm(self._path(name), recursive=True)
            for path in files:
                self._send(self._path(f"{name}/{path.relative_to(source).as_posix()}"), path.read_bytes())

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens if it is not there."""
        with self._writing(), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))


def _copy_of(url: str) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "separatrix" / "stores"
    readable = re.sub(r"[^A-Za-z0-9]+", "-", url).strip("-")[-60:]
    return base / f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


@contextlib.contextmanager
def _one_line(what: str, then: str = "") -> Iterator[None]:
    """Turn whatever a protocol raises into one line."""
    try:
        yield
    except Exception as error:  # botocore, aiohttp, paramiko and others share no base class
        raise StoreError(f"{what}: {_line(error)}{then}") from error


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
