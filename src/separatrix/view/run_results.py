"""Results of runs, opened without reading them: a page that shows one variable reads that one alone.

If `results.zarr` was made from the present cells it is opened lazily. Otherwise, while a run goes on for instance, the
cells are joined in memory, and not again before a multiple of the time that took has passed. What was derived from
results (verdicts, decimated curves) is kept until the cells change.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from separatrix.study.files import StoreError, read_json
from separatrix.study.results import FINGERPRINT, open_zarr
from separatrix.study.store import Store

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Opened", "RunResults"]

OPEN_RUNS = 6
KEPT_ANSWERS = 256
PATIENCE = 5.0  # times the seconds that joining the cells took

T = TypeVar("T")


class Opened(NamedTuple):
    """Results as they were when their cells had this fingerprint.

    Attributes:
        stamp: fingerprint of the cells.
        dataset: lazy if `results.zarr` is fresh.
        lazy: whether it is.
    """

    stamp: str
    dataset: "xr.Dataset"
    lazy: bool


class RunResults:
    """Opens results and remembers what was computed from them; safe to use from several threads."""

    def __init__(self) -> None:
        self._locks: dict[Path, threading.Lock] = {}
        self._guard = threading.Lock()
        self._opened: OrderedDict[Path, tuple[Opened, float, float]] = OrderedDict()
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    def open(self, store: Store) -> Opened:
        """Open the results of a run.

        Args:
            store: the run.

        Returns:
            The present results; those of a moment ago, if joining the cells again so soon would cost too much.

        Raises:
            StoreError: if the cells cannot be joined.
        """
        with self._guard:
            lock = self._locks.setdefault(store.folder, threading.Lock())
        with lock:
            stamp = store.fingerprint()
            known = self._opened.get(store.folder)
            now = time.monotonic()
            if known is not None:
                opened, made, cost = known
                if opened.stamp == stamp and (opened.lazy or not _has_zarr(store, stamp)):
                    return opened
                if not opened.lazy and now - made < PATIENCE * cost and not _has_zarr(store, stamp):
                    return opened
            lazy = open_zarr(store.folder / "results.zarr", stamp)
            opened = Opened(stamp, store.results() if lazy is None else lazy, lazy is not None)
            with self._guard:
                self._opened[store.folder] = opened, time.monotonic(), time.monotonic() - now
                self._opened.move_to_end(store.folder)
                while len(self._opened) > OPEN_RUNS:
                    self._opened.popitem(last=False)
            return opened

    def derive(self, store: Store, key: Hashable, compute: Callable[["xr.Dataset"], T]) -> T:
        """Compute something from a run's results, once for each state of its cells.

        Args:
            store: the run.
            key: names what is computed.
            compute: the computation; an exception is passed on and not remembered.

        Returns:
            What it returned, now or before.

        Raises:
            StoreError: if the results cannot be read, or change faster than they are read.
        """
        return self.derive_stamped(store, key, compute)[0]

    def derive_stamped(self, store: Store, key: Hashable, compute: Callable[["xr.Dataset"], T]) -> tuple[T, str]:
        """As `derive`; also the fingerprint of the cells that the answer rests on, which may be those of a moment ago.

        Args:
            store: the run.
            key: names what is computed.
            compute: the computation.
        """
        for _ in range(3):
            opened = self.open(store)
            name = (store.folder, opened.stamp, key)
            with self._guard:
                if name in self._answers:
                    self._answers.move_to_end(name)
                    return self._answers[name], opened.stamp
            try:
                answer = compute(opened.dataset)
            except Exception:
                if opened.lazy and store.fingerprint() != opened.stamp:
                    continue  # the store was replaced while it was read
                raise
            if opened.lazy and store.fingerprint() != opened.stamp:
                continue
            with self._guard:
                self._answers[name] = answer
                while len(self._answers) > KEPT_ANSWERS:
                    self._answers.popitem(last=False)
            return answer, opened.stamp
        raise StoreError(f"the results of {store.slug} are changing; try again in a moment")


def _has_zarr(store: Store, stamp: str) -> bool:
    """Whether `results.zarr` says that it was made from the present cells."""
    try:
        return read_json(store.folder / "results.zarr" / "zarr.json")["attributes"][FINGERPRINT] == stamp
    except (StoreError, KeyError, TypeError):
        return False
