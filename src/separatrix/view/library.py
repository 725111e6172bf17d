"""The studies that the view knows: those of this version, and files that were named on its command line.

Nothing in a store is imported: the path of a study's file is taken from whoever starts the view and from nowhere else.
Importing all studies takes seconds, so it happens in the background and the first page does not wait for it.
"""

import threading
from collections.abc import Sequence

from separatrix.study.study import Study, all_studies, find_study

__all__ = ["Library"]


class Library:
    """Studies by slug, loaded in the background.

    Attributes:
        references: how the command line names each of the named studies, its slug or file.
        trouble: why studies could not be loaded, a line each.
    """

    def __init__(self, files: Sequence[str] = ()):
        self.references: dict[str, str] = {}
        self.trouble: list[str] = []
        self._named: dict[str, Study] = {}
        for file in files:
            study = find_study(file)
            self._named[study.slug] = study
            self.references[study.slug] = file
        self._all: dict[str, Study] = {}
        self._ready = threading.Event()

    def load(self) -> None:
        """Begin to import the studies of this version; returns at once."""
        threading.Thread(target=self._load, daemon=True, name="library").start()

    def _load(self) -> None:
        try:
            self._all = all_studies()
        except Exception as error:  # one broken module must not take the view down
            self.trouble.append(f"the studies could not be loaded: {type(error).__name__}: {error}")
        finally:
            self._ready.set()

    @property
    def ready(self) -> bool:
        """Whether all studies are loaded."""
        return self._ready.is_set()

    def studies(self, timeout: float = 0.0) -> dict[str, Study]:
        """The studies by slug.

        Args:
            timeout: how many seconds to wait for those of this version.

        Returns:
            What is loaded by then.
        """
        self._ready.wait(timeout)
        return {**self._all, **self._named}

    def find(self, slug: str, timeout: float = 60.0) -> Study | None:
        """The study of a slug, None if this view does not know it.

        Args:
            slug: of the study.
            timeout: how many seconds to wait for the studies of this version.
        """
        if slug in self._named:
            return self._named[slug]
        return self.studies(timeout).get(slug)

    def reference(self, slug: str) -> str:
        """How the command line names a study."""
        return self.references.get(slug, slug)
