"""A known part of the labels is redrawn, uniformly, and nothing else."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.corruption import clean_floor, corrupt_labels

CLASSES = 97


def true_labels(n):
    return jnp.arange(n, dtype=jnp.int32) % CLASSES


@pytest.mark.parametrize(("n", "fraction", "count"), [(4704, 0.35, 1646), (100, 0.29, 29), (10, 0.0, 0), (10, 1.0, 10)])
@pytest.mark.parametrize("is_traced", [False, True])
def test_the_corrupted_count_is_the_floor_of_the_fraction(n, fraction, count, is_traced):
    corrupt = lambda f: corrupt_labels(jr.key(0), true_labels(n), CLASSES, f)  # noqa: E731
    labels, mask = jax.jit(corrupt)(fraction) if is_traced else corrupt(fraction)
    assert int(mask.sum()) == count
    assert labels.dtype == jnp.int32
    np.testing.assert_array_equal(labels[~mask], true_labels(n)[~mask])


def test_labels_right_by_accident_are_one_in_the_number_of_classes():
    n = 200_000
    labels, mask = corrupt_labels(jr.key(1), true_labels(n), CLASSES, 0.5)
    right = np.asarray(labels == true_labels(n))[np.asarray(mask)]
    sigma = np.sqrt(1 / CLASSES / right.size)
    assert right.mean() == pytest.approx(1 / CLASSES, abs=4 * sigma)


def test_the_floor_of_the_training_accuracy_counts_them():
    # 1 - 0.35 + 0.35 / 97 = 0.6536; the published notebook has 0.6537
    n = 400_000
    labels, _ = corrupt_labels(jr.key(2), true_labels(n), CLASSES, 0.35)
    assert float(jnp.mean(labels == true_labels(n))) == pytest.approx(clean_floor(0.35, CLASSES), abs=4e-4)
    assert clean_floor(0.35, CLASSES) == pytest.approx(0.6536, abs=1e-4)
    assert clean_floor(0.35, CLASSES, exclude_true=True) == pytest.approx(0.65)


@pytest.mark.parametrize("exclude_true", [False, True])
def test_new_labels_are_uniform_over_the_allowed_classes(exclude_true):
    n, classes = 60_000, 5
    labels, _ = corrupt_labels(jr.key(3), jnp.full(n, 2, jnp.int32), classes, 1.0, exclude_true=exclude_true)
    counts = np.bincount(np.asarray(labels), minlength=classes)
    allowed = [0, 1, 3, 4] if exclude_true else [0, 1, 2, 3, 4]
    expected = n / len(allowed)
    np.testing.assert_allclose(counts[allowed], expected, atol=5 * np.sqrt(expected))
    assert counts.sum() == counts[allowed].sum()


def test_larger_fractions_contain_the_smaller_with_the_same_labels():
    few, many = (corrupt_labels(jr.key(4), true_labels(500), CLASSES, f) for f in (0.2, 0.6))
    assert bool(jnp.all(many[1] | ~few[1]))
    np.testing.assert_array_equal(few[0][few[1]], many[0][few[1]])


def test_examples_are_chosen_at_random_not_by_position():
    _, mask = corrupt_labels(jr.key(5), true_labels(10_000), CLASSES, 0.5)
    halves = np.asarray(mask).reshape(2, -1).mean(axis=1)
    np.testing.assert_allclose(halves, 0.5, atol=0.03)


def test_only_the_allowed_are_corrupted_and_the_fraction_is_theirs():
    among = jnp.arange(1_000) < 300
    _, mask = jax.jit(lambda f: corrupt_labels(jr.key(6), true_labels(1_000), CLASSES, f, among=among))(0.35)
    assert int(mask.sum()) == 105
    assert not bool(jnp.any(mask & ~among))


def test_seeds_are_a_vmap():
    keys = jr.split(jr.key(7), 3)
    corrupt = lambda key: corrupt_labels(key, true_labels(50), CLASSES, 0.4)  # noqa: E731
    corrupt = jax.jit(corrupt)
    batched = jax.jit(jax.vmap(corrupt))(keys)
    for i, key in enumerate(keys):
        for many, one in zip(batched, corrupt(key), strict=True):
            np.testing.assert_array_equal(many[i], one)


def test_integers_of_numpy_are_taken():
    np.testing.assert_array_equal(*(corrupt_labels(jr.key(0), f(9), 3, 0.5)[0] for f in (np.arange, jnp.arange)))


def test_bad_arguments_are_explained():
    with pytest.raises(ValueError, match=r"`fraction` must be in \[0, 1\]; got 1.5"):
        corrupt_labels(jr.key(0), true_labels(5), CLASSES, 1.5)
    with pytest.raises(ValueError, match="`num_classes`"):
        corrupt_labels(jr.key(0), true_labels(5), 1, 0.5)
