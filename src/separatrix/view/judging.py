"""Verdicts of runs, computed once for each state of their cells, at once or in the background."""

import threading
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor

from separatrix.study.files import StoreError
from separatrix.study.finding import Verdict
from separatrix.study.runs import Run
from separatrix.study.store import Store
from separatrix.study.verdicts import verdicts_of

from .library import Library
from .run_results import RunResults

__all__ = ["Judging"]

MOST_KEPT = 2_000


class Judging:
    """Judges runs; safe to use from several threads."""

    def __init__(self, library: Library, results: RunResults):
        self._library, self._results = library, results
        self._known: dict[Hashable, list[Verdict] | str] = {}
        self._asked: set[Hashable] = set()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="judging")

    def soon(self, run: Run, store: Store) -> list[Verdict] | str | None:
        """What `now` would return, if that is known; otherwise it will be computed in the background.

        Args:
            run: the run.
            store: of it.

        Returns:
            Verdicts, or why there are none, or None while they are being computed.
        """
        try:
            key = (run.folder, run.preset, store.fingerprint())
        except StoreError as error:
            return str(error)
        with self._lock:
            if key in self._known:
                return self._known[key]
            if key not in self._asked:
                self._asked.add(key)
                self._worker.submit(self._ask, key, run, store)
        return None

    def _ask(self, key: Hashable, run: Run, store: Store) -> None:
        try:
            found, stamp = self.now(run, store)
            with self._lock:
                if len(self._known) > MOST_KEPT:
                    self._known.clear()
                self._known[run.folder, run.preset, stamp] = found
        finally:
            with self._lock:
                self._asked.discard(key)

    def now(self, run: Run, store: Store) -> tuple[list[Verdict] | str, str]:
        """Judge the findings of a run.

        Args:
            run: the run.
            store: of it.

        Returns:
            Verdicts, or in one line why there are none; and the fingerprint of the cells that they rest on. A finding
            that fails to compute costs a line and nothing else.
        """
        stamp = ""
        try:
            stamp = store.fingerprint()
            study = self._library.find(run.slug)
            if study is None:
                return "not a study of this version", stamp
            if run.preset not in study.presets:
                return f"a {run.preset} has no verdicts" if run.preset else "no preset, so no verdicts", stamp
            if not store.committed():
                return "no results yet", stamp
            key = ("verdicts", run.preset)
            return self._results.derive_stamped(store, key, lambda ds: verdicts_of(study, run.preset, ds))
        except Exception as error:  # of the study's own code as well; one run must not take the view down
            line = next(iter(str(error).splitlines()), "")
            return f"could not be judged: {line or type(error).__name__}", stamp

    def close(self) -> None:
        """Stop judging in the background."""
        self._worker.shutdown(wait=False, cancel_futures=True)
