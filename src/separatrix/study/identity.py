"""Names made from content: the same settings or cell give the same short hash, on every machine and in every order.

A run folder is named by the hash of its settings, and a cell by the hash of all that determines it (never by an index),
so a study that grows keeps its old cells. Values are compared as JSON: `1` and `1.0` differ, as they may select a
different dtype.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any

__all__ = ["canonical_json", "cell_id", "plain", "settings_hash"]


def plain(value: Any) -> Any:
    """Turn settings into plain JSON values.

    Args:
        value: nested mappings with string keys, sequences, sets, dataclasses, paths, NumPy or JAX arrays and scalars.

    Returns:
        Nested dictionaries, lists, strings, finite numbers, booleans and None. NaN and the infinities become the
        strings "nan", "inf" and "-inf", since JSON has no number for them; sets are sorted.

    Raises:
        TypeError: if a value has no plain form; a function, for instance, must be named by a string.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"Keys must be strings to be stored as JSON; got {wrong[0]!r}.")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=canonical_json)
    if isinstance(value, PathLike):
        return fspath(value)
    to_list = getattr(value, "tolist", None)  # arrays and scalars of NumPy and JAX, without importing either
    if to_list is not None and not isinstance(value, type):
        return plain(to_list())
    raise TypeError(
        f"A value of type {type(value).__name__} cannot be stored as JSON; use numbers, strings or sequences."
    )


def canonical_json(value: Any) -> str:
    """The one spelling of a value: sorted keys, no spaces, ASCII.

    Args:
        value: anything that `plain` accepts.

    Returns:
        A JSON document on one line.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def settings_hash(settings: Mapping[str, Any]) -> str:
    """Name of a run folder.

    Args:
        settings: the resolved settings of a study.

    Returns:
        The first 12 hexadecimal digits of the SHA-256 of the canonical JSON.

    >>> settings_hash({"steps": 100, "rates": (0.1, 0.2)}) == settings_hash({"rates": [0.1, 0.2], "steps": 100})
    True
    """
    return _digest(settings, 12)


def cell_id(identity: Mapping[str, Any]) -> str:
    """Name of a cell.

    Args:
        identity: all that is known of the cell beforehand and determines it: its arm, its seeds, its grid point, the
            settings. The layout of its populations, on which rounding may depend, is settled once for a run while it
            goes on; the manifest and the cell's header keep it.

    Returns:
        The first 16 hexadecimal digits of the SHA-256 of the canonical JSON.

    >>> len(cell_id({"arm": "plain", "seeds": [0, 1, 2, 3], "point": {}}))
    16
    """
    return _digest(identity, 16)


def _digest(value: Mapping[str, Any], digits: int) -> str:
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()[:digits]
