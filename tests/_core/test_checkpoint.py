"""Checkpoints: exact, and refused when they are damaged or of another run."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix._core.checkpoint import CheckpointError, decode, encode, fingerprint, read_meta
from separatrix._core.files import write_atomic


def tree():
    return {
        "float": jnp.array([[1.5, -0.0], [jnp.nan, jnp.inf]], jnp.float32),
        "half": jnp.arange(5, dtype=jnp.bfloat16) / 3,
        "bool": jnp.array([True, False, True]),
        "whole": jnp.array(-(2**31), jnp.int32),
        "complex": jnp.array([1 + 2j], jnp.complex64),
        "key": jr.key(3),
        "keys": jr.split(jr.key(4, impl="rbg"), 3),
        "empty": jnp.zeros((2, 0, 3)),
        "host": np.array([1e-300, 2.0]),
        "host scalar": np.float64(0.1),
        "number": 0.25,
        "nothing": None,
    }


def _is_key(leaf):
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def raw(leaf):
    return np.asarray(jr.key_data(leaf) if _is_key(leaf) else leaf)


def test_round_trip_is_exact():
    original = tree()
    like = jax.tree.map(lambda a: jnp.zeros_like(a) if isinstance(a, jax.Array) and not _is_key(a) else a, original)
    copy = decode(encode(original, {"done": 7}), like)
    assert jax.tree.structure(copy) == jax.tree.structure(original)
    for a, b in zip(jax.tree.leaves(original), jax.tree.leaves(copy), strict=True):
        assert type(a) is type(b)
        assert raw(a).dtype == raw(b).dtype
        assert raw(a).shape == raw(b).shape
        assert raw(a).tobytes() == raw(b).tobytes()
    assert jr.key_impl(copy["keys"]) == jr.key_impl(original["keys"])
    assert np.array_equal(jr.bits(copy["key"]), jr.bits(original["key"]))


def test_decoded_arrays_can_be_written_to():
    copy = decode(encode({"a": np.zeros(3)}, {}), {"a": np.zeros(3)})
    copy["a"][1] = 5
    assert copy["a"].tolist() == [0, 5, 0]


def test_round_trip_of_float64(x64):
    value = {"a": jnp.array([1 / 3])}
    assert decode(encode(value, {}), value)["a"].tolist() == [1 / 3]


def test_meta_is_returned():
    assert read_meta(encode(tree(), {"done": 7, "block": None})) == {"done": 7, "block": None}


DATA = encode({"a": jnp.arange(4.0), "k": jr.key(0)}, {"done": 1})


# in the digest, the header's length, the header, the arrays, and one byte short
@pytest.mark.parametrize("length", [0, 1, 31, 32, 36, 39, 40, 41, 80, len(DATA) - 17, len(DATA) - 1])
def test_truncated_checkpoint_is_refused(length):
    for read in (read_meta, lambda d: decode(d, {"a": jnp.arange(4.0), "k": jr.key(0)})):
        with pytest.raises(CheckpointError, match="truncated or altered"):
            read(DATA[:length])


def test_any_altered_byte_is_noticed():
    for place in range(len(DATA)):
        damaged = bytearray(DATA)
        damaged[place] ^= 1
        with pytest.raises(CheckpointError, match="truncated or altered"):
            read_meta(bytes(damaged))
    with pytest.raises(CheckpointError, match="truncated or altered"):
        read_meta(DATA + b"\0")


@pytest.mark.parametrize(
    "like",
    [
        {"a": jnp.arange(5.0), "k": jr.key(0)},
        {"a": jnp.arange(4), "k": jr.key(0)},
        {"a": jnp.arange(4.0)},
        {"a": jnp.arange(4.0), "k": jr.key(0, impl="rbg")},
        {"a": jnp.arange(4.0), "k": jr.key(0), "z": jnp.zeros(())},
        {"a": jnp.arange(4.0).reshape(2, 2), "k": jr.key(0)},
    ],
)
def test_other_structure_is_refused(like):
    with pytest.raises(CheckpointError, match="belongs to a run of another structure"):
        decode(DATA, like)


def test_objects_are_refused():
    with pytest.raises(TypeError, match="a checkpoint holds arrays and numbers only; got <object"):
        encode({"a": object()}, {})


def test_fingerprint_tells_values_types_and_shapes_apart():
    trees = [
        jnp.arange(4.0),
        jnp.arange(4.0).at[2].set(2.5),
        jnp.arange(4),
        jnp.arange(4.0).reshape(2, 2),
        jr.key(0),
        jr.key(1),
        0.5,
        (0.5, 0.5),
    ]
    prints = [fingerprint(t) for t in trees]
    assert len(set(prints)) == len(trees)
    assert prints == [fingerprint(t) for t in trees]


def test_atomic_write_replaces_whole_files_and_leaves_nothing_behind(tmp_path):
    write_atomic(tmp_path / "a", b"one")
    write_atomic(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_atomic(tmp_path / "folder", b"three")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "folder"]
