"""What arms are made of: a cadence, random numbers for NumPy, and a Dataset from numbers that no run recorded."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.random as jr
import numpy as np
import xarray as xr
from jaxtyping import Array, Key

from separatrix._core.keys import named_key

__all__ = ["cadence", "generator", "labelled"]


class _Evenly(NamedTuple):  # a value, not a closure: equal cadences compare equal, so nothing is compiled twice
    every: int

    def __call__(self, steps: int) -> list[int]:
        return [*range(self.every, steps, self.every), steps]


def cadence(steps: int, records: int) -> int | Callable[[int], Sequence[int]]:
    """Return a cadence for a probe that gives at most so many records, evenly spaced, the last step included.

    Args:
        steps: of the run, at least 1.
        records: wanted at most, at least 1; there are at least a third as many, or one a step.

    Returns:
        The least divisor of `steps` that is long enough; where that is more than twice as long, a function that spaces
        the records evenly but for the last, which comes sooner.

    Raises:
        ValueError: if a number is below 1.

    Examples:
        >>> cadence(1_000, 300)
        4
        >>> cadence(2_999, 4)(2_999)
        [750, 1500, 2250, 2999]
    """
    if steps < 1 or records < 1:
        raise ValueError(f"`steps` and `records` must be at least 1; got {steps} and {records}.")
    least = -(-steps // records)
    fitting = (every for every in range(least, min(2 * least, steps) + 1) if steps % every == 0)
    return next(fitting, _Evenly(least))


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
