"""What arms are made of: a cadence, random numbers for NumPy, and a Dataset from numbers that no run recorded."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import Array, Key

from separatrix._core.keys import named_key

__all__ = ["cadence", "generator", "labelled"]


def cadence(steps: int, records: int) -> int:
    """Return the least cadence that divides `steps` and gives at most so many records.

    Args:
        steps: of the run.
        records: wanted at most.

    Returns:
        A divisor of `steps`.

    Examples:
        >>> cadence(1_000, 300), cadence(7, 3)
        (4, 7)
    """
    return next(every for every in range(max(1, -(-steps // records)), steps + 1) if steps % every == 0)


def generator(key: Key[Array, ""], name: str) -> np.random.Generator:
    """Return NumPy's generator that belongs to a key and a name.

    Args:
        key: of a seed.
        name: of what is drawn, so that other draws do not change it.

    Returns:
        The same generator at every call.

    Examples:
        >>> float(generator(jr.key(0), "a").normal()) == float(generator(jr.key(0), "b").normal())
        False
    """
    return np.random.default_rng(np.asarray(jr.key_data(named_key(key, name))))


def labelled(variables: Mapping[Hashable, tuple[Sequence[str], Any, str]], **coordinates: Any) -> xr.Dataset:
    """Make a Dataset of dimensionless variables whose first dimension is `seed`.

    Args:
        variables: by name, the dimensions after `seed`, the values by seed, and what they mean.
        **coordinates: by dimension.

    Returns:
        Dataset with seeds 0, 1, ...

    Examples:
        >>> dict(labelled({"gap": (["size"], [[0.1, 0.2]] * 3, "gap of the law")}, size=[5, 10]).sizes)
        {'seed': 3, 'size': 2}
    """
    data = {
        name: (("seed", *dims), np.asarray(values), {"units": "1", "long_name": text})
        for name, (dims, values, text) in variables.items()
    }
    count = len(next(iter(data.values()))[1])
    return xr.Dataset(data, coords={"seed": np.arange(count), **coordinates})
