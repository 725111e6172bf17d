"""A pytree of arrays as bytes and back, without pickling."""

import hashlib
import io
import json
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

__all__ = ["CheckpointError", "decode", "encode", "fingerprint", "read_meta"]


class CheckpointError(ValueError):
    """The bytes are not a checkpoint of this run: truncated, altered, or of another structure."""


def _is_key(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _describe(leaves: list[Any]) -> list[list[Any]]:
    return [[str(leaf.dtype), list(leaf.shape)] for leaf in leaves]


def _arrays(tree: Any) -> list[Any]:
    arrays = [leaf if _is_key(leaf) else np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    for array in arrays:
        if array.dtype == object:
            raise TypeError(f"a checkpoint holds arrays and numbers only; got {array.item()!r}.")
    return arrays


def _raw(leaf: Any) -> bytes:
    return np.ascontiguousarray(jr.key_data(leaf) if _is_key(leaf) else leaf).tobytes()


def fingerprint(tree: Any) -> str:
    """Return a digest of the structure, types and values of a pytree's arrays and numbers.

    Args:
        tree: pytree whose leaves are arrays, random keys included, or numbers.

    Returns:
        Hexadecimal digits, the same in every process.
    """
    leaves = _arrays(tree)
    digest = hashlib.sha256(json.dumps(_describe(leaves)).encode())
    for leaf in leaves:
        digest.update(_raw(leaf))
    return digest.hexdigest()


def encode(tree: Any, meta: dict[str, Any]) -> bytes:
    """Serialise the leaves of `tree` with a JSON header and a digest.

    Args:
        tree: pytree whose leaves are arrays, random keys included, or numbers.
        meta: anything JSON holds.

    Returns:
        Bytes that `decode` reads given a tree of the same structure.

    Raises:
        TypeError: if a leaf is neither an array nor a number.
    """
    leaves = _arrays(tree)
    header = json.dumps({"leaves": _describe(leaves), "meta": meta}).encode()
    body = io.BytesIO()
    for leaf in leaves:
        body.write(_raw(leaf))
    payload = len(header).to_bytes(8, "little") + header + body.getvalue()
    return hashlib.sha256(payload).digest() + payload


def read_meta(data: bytes) -> dict[str, Any]:
    """Check the digest and return the header's `meta`.

    Args:
        data: what `encode` returned.

    Returns:
        The dictionary given to `encode`.

    Raises:
        CheckpointError: if the bytes are damaged.
    """
    return _header(data)[0]["meta"]


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    if len(data) < 40 or hashlib.sha256(data[32:]).digest() != data[:32]:
        raise CheckpointError("the checkpoint is truncated or altered.")
    size = int.from_bytes(data[32:40], "little")
    return json.loads(data[40 : 40 + size]), 40 + size


def decode(data: bytes, like: Any) -> Any:
    """Rebuild the pytree from bytes.

    Args:
        data: what `encode` returned.
        like: a pytree of the wanted structure, dtypes and shapes (values are not read).

    Returns:
        The tree, with NumPy arrays and numbers where `like` has them and JAX arrays elsewhere.

    Raises:
        CheckpointError: if the bytes are damaged or have another structure.
    """
    header, offset = _header(data)
    originals, treedef = jax.tree.flatten(like)
    leaves = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for leaf in originals]
    if header["leaves"] != _describe(leaves):
        raise CheckpointError("the checkpoint belongs to a run of another structure.")
    out = []
    for leaf, original in zip(leaves, originals, strict=True):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            template = jax.eval_shape(jr.key_data, leaf)
            dtype, shape = np.dtype(template.dtype), template.shape
        else:
            dtype, shape = np.dtype(leaf.dtype), leaf.shape
        count = int(np.prod(shape))
        value: Any = np.frombuffer(data, dtype, count, offset).reshape(shape)
        offset += count * dtype.itemsize
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            value = jr.wrap_key_data(jnp.asarray(value), impl=jr.key_impl(leaf))
        elif isinstance(original, np.ndarray):
            value = value.copy()
        elif isinstance(original, np.generic):
            value = value[()]
        elif isinstance(original, int | float | complex):
            value = value.item()
        else:
            value = jnp.asarray(value)
        out.append(value)
    return jax.tree.unflatten(treedef, out)
