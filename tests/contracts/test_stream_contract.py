"""What every stream must satisfy: its value is a function of the step and the key."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import FullBatch, MiniBatches
from separatrix._core.stream import shuffled

from .cases import STREAMS, examples

EVERY = pytest.mark.parametrize("name", STREAMS)


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@EVERY
def test_access_is_random(name):
    stream, again = STREAMS[name](), STREAMS[name]()
    forwards = [stream(jnp.int32(step), jr.key(0)) for step in range(9)]
    backwards = [again(jnp.int32(step), jr.key(0)) for step in reversed(range(9))]
    for a, b in zip(forwards, reversed(backwards), strict=True):
        assert_same_bits(a, b)


@EVERY
def test_compiled_equals_eager(name):
    stream = STREAMS[name]()
    for step in (0, 5, 1_000_003):
        assert_same_bits(stream(jnp.int32(step), jr.key(1)), eqx.filter_jit(stream)(jnp.int32(step), jr.key(1)))


@EVERY
def test_rows_stay_whole_and_types_are_kept(name):
    stream, data = STREAMS[name](), examples(16, jnp.float32)
    batch = stream(jnp.int32(3), jr.key(2))
    assert jax.tree.map(lambda a: a.dtype, batch) == jax.tree.map(lambda a: a.dtype, data)
    rows = [np.flatnonzero((np.asarray(data.inputs) == row).all(axis=1)).item() for row in np.asarray(batch.inputs)]
    np.testing.assert_array_equal(batch.targets, np.asarray(data.targets)[rows])


def epoch(stream, number, key):
    per_epoch = stream.num_examples // stream.batch_size
    return np.concatenate([stream(jnp.int32(number * per_epoch + i), key) for i in range(per_epoch)])


@pytest.mark.parametrize("count", [12, 256, 257, 1_000])  # below and above where the permutation is sorted out
def test_epoch_covers_each_example_once(count):
    stream = MiniBatches(jnp.arange(count), batch_size=count // 4)
    drawn = epoch(stream, 5, jr.key(0))
    assert len(np.unique(drawn)) == len(drawn) == count // 4 * 4
    assert not np.array_equal(drawn, epoch(stream, 6, jr.key(0)))
    assert not np.array_equal(drawn, epoch(stream, 5, jr.key(1)))


@pytest.mark.parametrize("n", [1, 2, 100, 257, 1_000, 4_097])
def test_shuffling_is_a_permutation(n):
    assert np.sort(shuffled(jr.key(3), jnp.arange(n), n)).tolist() == list(range(n))


@pytest.mark.parametrize("n", [40, 500])
def test_shuffling_is_uniform(n):
    # where example 0 lands over many keys: chi-square over 10 cells, 4 sigma above its mean of 9
    draws = 4_000
    places = jax.vmap(lambda key: shuffled(key, jnp.zeros(1, jnp.int32), n)[0])(jr.split(jr.key(4), draws))
    counts = np.bincount(np.asarray(places) * 10 // n, minlength=10)
    assert ((counts - draws / 10) ** 2 / (draws / 10)).sum() < 9 + 4 * np.sqrt(18)


def test_short_last_batch_is_dropped():
    drawn = epoch(MiniBatches(jnp.arange(16), batch_size=5), 0, jr.key(0))
    assert drawn.size == len(np.unique(drawn)) == 15


def test_with_replacement_repeats_examples():
    drawn = epoch(MiniBatches(jnp.arange(1_000), batch_size=1_000, replace=True), 0, jr.key(0))
    # the share of distinct examples is 1 - 1/e, with a standard deviation of 0.01
    assert len(np.unique(drawn)) / 1_000 == pytest.approx(1 - np.exp(-1), abs=0.04)


def test_full_batch_hands_on_the_data():
    data = examples(16, jnp.float32)
    assert FullBatch(data)(jnp.int32(7), jr.key(0)) is data


@pytest.mark.parametrize("size", [0, 17])
def test_impossible_batch_size_is_refused(size):
    with pytest.raises(ValueError, match=rf"`batch_size` must lie in 1..16; got {size}."):
        MiniBatches(jnp.arange(16), size)
