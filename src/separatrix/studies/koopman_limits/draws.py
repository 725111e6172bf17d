"""Random numbers for data that NumPy makes: a key as a value that functions can be remembered by."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np

from separatrix.study.arms import generator

Mark = tuple[int, ...]


def mark(key) -> Mark:
    """A key as a value, from which numbers are drawn and by which fits are remembered."""
    return tuple(np.asarray(jr.key_data(key)).tolist())


def draws(which: Mark, name: str):
    """Random numbers that belong to a name."""
    return generator(jr.wrap_key_data(jnp.array(which, jnp.uint32)), name)
