"""Kernel regression and the power of a task in a kernel's eigenbasis."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.kernel_fit import kernel_difficulty, kernel_regression, task_power


@pytest.fixture
def features(x64):
    return jr.normal(jr.key(0), (8, 20), jnp.float64), jr.normal(jr.key(1), (8, 2), jnp.float64)


def test_it_interpolates_with_a_full_rank_kernel(features):
    z, y = features
    np.testing.assert_allclose(kernel_regression(z @ z.T, y, z @ z.T), y, rtol=1e-10)


def test_ridge_regression_is_the_same_in_features_and_in_kernels(features):
    z, y = features
    new = jr.normal(jr.key(2), (3, 20), jnp.float64)
    weights = jnp.linalg.solve(z.T @ z + 0.7 * jnp.eye(20), z.T @ y)
    np.testing.assert_allclose(kernel_regression(z @ z.T, y, new @ z.T, ridge=0.7), new @ weights, rtol=1e-9)


def test_without_full_rank_it_is_least_squares(x64):
    z = jr.normal(jr.key(0), (12, 3), jnp.float64)
    y = jr.normal(jr.key(1), (12,), jnp.float64)
    weights = jnp.linalg.lstsq(z, y)[0]
    np.testing.assert_allclose(kernel_regression(z @ z.T, y, z @ z.T), z @ weights, rtol=1e-9)


def test_power_sums_to_one_and_finds_a_single_eigenvector(features):
    z, _ = features
    values, vectors = jnp.linalg.eigh(z @ z.T)
    power = task_power(z @ z.T, 3 * vectors[:, 5])
    np.testing.assert_allclose(power.eigenvalues, values[::-1], rtol=1e-10)
    np.testing.assert_allclose(power.power, np.eye(8)[2], atol=1e-12)
    assert float(power.cumulative[-1]) == pytest.approx(1)


def test_difficulty_is_the_quadratic_form_of_the_inverse(features):
    z, y = features
    kernel = z @ z.T
    expected = jnp.trace(y.T @ jnp.linalg.solve(kernel, y))
    assert float(kernel_difficulty(kernel, y)) == pytest.approx(float(expected), rel=1e-9)
    assert float(kernel_difficulty(kernel, y, ridge=1.0)) < float(expected)


def test_what_a_kernel_cannot_fit_is_infinitely_hard():
    kernel = jnp.diag(jnp.array([1.0, 0.0]))
    assert kernel_difficulty(kernel, jnp.array([0.0, 1.0])) == jnp.inf
    assert float(kernel_difficulty(kernel, jnp.array([1.0, 0.0]))) == pytest.approx(1)
