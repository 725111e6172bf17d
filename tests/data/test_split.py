"""Splits are disjoint, uniform, and can be drawn for many seeds at once."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.split import num_train_examples, random_split


def test_parts_are_disjoint_and_keep_inputs_with_targets():
    split = random_split(jr.key(0), jnp.arange(20), jnp.arange(20) % 3, num_classes=3, num_train=12, num_test=5)
    both = [*split.train_inputs.tolist(), *split.test_inputs.tolist()]
    assert len(set(both)) == 17
    np.testing.assert_array_equal(split.train_inputs % 3, split.train_targets)
    np.testing.assert_array_equal(split.test_inputs % 3, split.test_targets)


def test_training_part_does_not_depend_on_the_test_part():
    parts = [random_split(jr.key(1), jnp.arange(20), jnp.arange(20), 20, 8, n).train_inputs for n in (None, 3, 12)]
    np.testing.assert_array_equal(parts[0], parts[1])
    np.testing.assert_array_equal(parts[0], parts[2])


def test_each_example_trains_equally_often():
    keys = jr.split(jr.key(2), 4000)
    chosen = jax.vmap(lambda k: random_split(k, jnp.arange(10), jnp.arange(10), 10, 3).train_inputs)(keys)
    frequency = np.bincount(np.asarray(chosen).ravel(), minlength=10) / 4000
    np.testing.assert_allclose(frequency, 0.3, atol=5 * np.sqrt(0.21 / 4000))


@pytest.mark.parametrize(("count", "fraction", "expected"), [(10, 0.3, 3), (100, 0.29, 29), (12769, 0.4, 5107)])
def test_number_of_training_examples_is_rounded_down(count, fraction, expected):
    assert num_train_examples(count, fraction) == expected


@pytest.mark.parametrize(("count", "fraction"), [(10, 0.0), (10, 1.0), (10, 0.05), (10, 1.5), (1, 0.5)])
def test_empty_parts_are_refused(count, fraction):
    with pytest.raises(ValueError, match="`train_fraction`"):
        num_train_examples(count, fraction)


@pytest.mark.parametrize(("num_train", "num_test"), [(0, 5), (5, 0), (8, 3), (10, None)])
def test_sizes_that_do_not_fit_are_refused(num_train, num_test):
    with pytest.raises(ValueError, match="add up to at most 10"):
        random_split(jr.key(0), jnp.arange(10), jnp.arange(10), 10, num_train, num_test)
