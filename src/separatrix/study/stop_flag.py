"""A request to stop that every process of a run sees, on whichever machine."""

from __future__ import annotations

import time
from pathlib import Path

from .remote import Remote, is_url

__all__ = ["StopFlag"]

_SECONDS_BETWEEN_LOOKS = 2.0  # at a place elsewhere; a look at a file costs nothing


class StopFlag:
    """Set while its file exists.

    Args:
        place: path, or URL, of the file.
    """

    def __init__(self, place: str):
        self._file = self._remote = None
        if is_url(place):
            url, _, self._name = place.rpartition("/")
            self._remote = Remote(url)
        else:
            self._file = Path(place)
        self._looked, self._seen = -_SECONDS_BETWEEN_LOOKS, False

    def set(self) -> None:
        """Ask every process to stop."""
        if self._file is not None:
            self._file.touch()
        if self._remote is not None:
            self._remote.write(self._name, b"stop")

    def clear(self) -> None:
        """Take the request back; nothing happens if there is none."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)
        if self._remote is not None:
            self._remote.remove(self._name)

    def is_set(self) -> bool:
        """Say whether a stop is asked for; of a place elsewhere the answer may be two seconds old."""
        if self._file is not None:
            return self._file.exists()
        now = time.monotonic()
        if self._remote is not None and now - self._looked >= _SECONDS_BETWEEN_LOOKS:
            self._looked, self._seen = now, self._remote.read(self._name) is not None
        return self._seen
