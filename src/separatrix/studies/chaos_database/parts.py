"""Random numbers for data that NumPy makes, and systems compiled side by side."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax.random as jr
import numpy as np

from separatrix._core.keys import named_key


def draws(key, name: str) -> np.random.Generator:
    """Random numbers that belong to a name."""
    return np.random.default_rng(np.asarray(jr.key_data(named_key(key, name))))


def side_by_side(work: Callable[[str], Any], names) -> dict[str, Any]:
    """Do the work for every system; they are compiled in parallel."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))
