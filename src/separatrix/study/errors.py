"""Mistakes in what was asked for: one line that says what to do, exit code 2."""

import difflib
from collections.abc import Iterable

__all__ = ["UsageError", "nearest"]


class UsageError(Exception):
    """The request cannot be carried out as it stands; the message is one line for the user."""


def nearest(word: str, known: Iterable[str]) -> str:
    """Suggest the most similar known words, as the tail of an error message.

    Args:
        word: what was given.
        known: what there is.

    Returns:
        "; did you mean ...?" or, where nothing is similar, "; known: ...".

    Examples:
        >>> nearest("stepz", ["steps", "seeds"])
        "; did you mean 'steps'?"
    """
    known = sorted(known)
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if known else ""
