"""Regression tasks: planted solutions, moments of the inputs, and independence of the test size."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.regression import relu_teacher, sparse_regression, sphere


def test_sparse_targets_are_the_planted_predictor_and_inputs_are_uniform():
    split = sparse_regression(jr.key(0), num_train=2_000, num_test=10, dim=20)
    planted = jnp.zeros(20).at[:3].set(1.0)
    np.testing.assert_allclose(split.train_inputs @ planted, split.train_targets, atol=1e-5)
    assert float(jnp.max(jnp.abs(split.train_inputs))) <= 1
    assert float(jnp.mean(split.train_inputs**2)) == pytest.approx(1 / 3, rel=0.02)


def test_teacher_inputs_are_isotropic_on_the_sphere_and_targets_half_square():
    # for a unit vector v, E relu(v.x)^2 = |x|^2 / (2 dim) = 1/2
    split = relu_teacher(jr.key(0), num_train=20_000, num_test=1, dim=10, num_units=1)
    np.testing.assert_allclose(jnp.linalg.norm(split.train_inputs, axis=1), 10**0.5, rtol=1e-5)
    covariance = np.cov(np.asarray(split.train_inputs).T)
    np.testing.assert_allclose(covariance, np.eye(10), atol=0.05)
    assert float(jnp.mean(split.train_targets**2)) == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("task", [sparse_regression, relu_teacher])
def test_training_examples_do_not_depend_on_the_test_size_and_keys_may_be_batched(task):
    few, many = (task(jr.key(1), 4, count, 6) for count in (2, 5))
    np.testing.assert_array_equal(few.train_inputs, many.train_inputs)
    np.testing.assert_array_equal(few.train_targets, many.train_targets)
    keys = jr.split(jr.key(2), 3)
    together = jax.vmap(lambda key: task(key, 4, 2, 6))(keys)
    np.testing.assert_allclose(together.train_targets[1], task(keys[1], 4, 2, 6).train_targets, rtol=1e-5)


def test_sphere_has_rows_of_length_one():
    np.testing.assert_allclose(jnp.linalg.norm(sphere(jr.key(0), 7, 4), axis=1), 1, rtol=1e-6)


def test_bad_sizes_are_explained():
    with pytest.raises(ValueError, match="`num_train` must be at least 1; got 0"):
        sparse_regression(jr.key(0), 0)
    with pytest.raises(ValueError, match="`num_relevant` must be at most dim=2"):
        sparse_regression(jr.key(0), 4, 4, 2)
    with pytest.raises(ValueError, match="`num_units` must be at least 1"):
        relu_teacher(jr.key(0), num_units=0)
