"""Random keys by name: a new consumer of randomness never changes the numbers of the others."""

import hashlib

import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

__all__ = ["check_keys", "named_key"]


def named_key(key: Key[Array, ""], name: str) -> Key[Array, ""]:
    """Derive the key that belongs to `name`.

    Splitting hands keys out in order, so a new consumer shifts all that follow it; folding in a hash of a stable name
    does not.

    Args:
        key: the parent key, scalar.
        name: a stable name, unique among the children of `key`.

    Returns:
        A scalar key, the same for the same pair on every machine.

    Examples:
        >>> import jax.random as jr
        >>> bool((named_key(jr.key(0), "init") == named_key(jr.key(0), "init")).all())
        True
    """
    digest = hashlib.sha256(name.encode()).digest()
    return jr.fold_in(key, int.from_bytes(digest[:4], "little"))


def check_keys(key: Key[Array, "*seeds"]) -> None:
    """Refuse what does not name one member or a vector of members.

    Args:
        key: one typed key, or a non-empty vector of them.

    Raises:
        ValueError: if it is anything else, such as a key made by `jax.random.PRNGKey`.
    """
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        raise ValueError(f"`key` must come from `jax.random.key`; got an array of {key.dtype}.")
    if key.ndim > 1 or not key.size:
        raise ValueError(f"`key` must be one key or a non-empty vector of keys; got shape {key.shape}.")
