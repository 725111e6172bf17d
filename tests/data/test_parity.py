"""Sparse parity: distinct vectors, right labels, balanced classes."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.parity import sparse_parity


@pytest.mark.parametrize(("n", "k", "count"), [(43, 3, 2000), (6, 2, 64), (21, 21, 5000), (5, 1, 20)])
def test_vectors_are_distinct_bits_and_labels_their_parity(n, k, count):
    split = sparse_parity(jr.key(0), n, k, count)
    inputs = np.concatenate([split.train_inputs, split.test_inputs])
    targets = np.concatenate([split.train_targets, split.test_targets])
    assert inputs.shape == (count, n)
    assert len(np.unique(inputs, axis=0)) == count
    assert set(np.unique(inputs)) == {0.0, 1.0}
    # the product of +-1 spins is the parity
    np.testing.assert_array_equal(np.prod(1 - 2 * inputs[:, :k], axis=1), 1 - 2 * targets)


def test_the_whole_cube_is_balanced():
    split = sparse_parity(jr.key(1), 8, 3, 256)
    assert int(split.train_targets.sum() + split.test_targets.sum()) == 128


def test_each_bit_is_fair():
    split = sparse_parity(jr.key(2), 40, 3, 2000)
    np.testing.assert_allclose(np.asarray(split.train_inputs).mean(axis=0), 0.5, atol=5 * 0.5 / np.sqrt(1000))


def test_the_key_decides():
    first, again, other = (sparse_parity(jr.key(k), 30, 3, 100) for k in (0, 0, 1))
    np.testing.assert_array_equal(first.train_inputs, again.train_inputs)
    assert not np.array_equal(first.train_inputs, other.train_inputs)


def test_dtypes_and_sizes(x64):
    split = sparse_parity(jr.key(0), 30, 4, 100, train_fraction=0.7)
    assert split.train_inputs.dtype == jnp.float32
    assert split.train_targets.dtype == jnp.int32
    assert len(split.train_targets) == 70
    assert split.num_classes == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [({"k": 0}, "`k`"), ({"k": 6}, "`k`"), ({"num_samples": 33}, "num_samples"), ({"train_fraction": 0.0}, "fraction")],
)
def test_bad_arguments_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        sparse_parity(jr.key(0), **{"n": 5, "k": 2, "num_samples": 20, **options})
