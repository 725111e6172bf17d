"""Alignment of kernels with kernels and with labels."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.independence import centre_kernel
from separatrix.numerics.kernel_similarity import centered_kernel_alignment, kernel_alignment, kernel_cosine


@pytest.fixture
def features(x64):
    return jr.normal(jr.key(0), (12, 5), jnp.float64), jr.normal(jr.key(1), (12, 4), jnp.float64)


def linear(z):
    return z @ z.T


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_ignores_rotation_scale_and_shift_of_features(features, unbiased):
    x, y = features
    rotation = jnp.linalg.qr(jr.normal(jr.key(2), (5, 5), jnp.float64))[0]
    plain = centered_kernel_alignment(linear(x), linear(y), unbiased)
    moved = centered_kernel_alignment(linear(3 * x @ rotation + 7), linear(y), unbiased)
    assert float(moved) == pytest.approx(float(plain), rel=1e-9)
    assert float(centered_kernel_alignment(linear(x), linear(x), unbiased)) == pytest.approx(1)


def test_cka_of_linear_kernels_is_the_cross_covariance_formula(features):
    # |X^T Y|^2 / (|X^T X| |Y^T Y|) of centred features
    x, y = (z - z.mean(0) for z in features)
    norm = jnp.linalg.norm
    expected = norm(x.T @ y) ** 2 / (norm(x.T @ x) * norm(y.T @ y))
    assert float(centered_kernel_alignment(linear(features[0]), linear(features[1]))) == pytest.approx(float(expected))


def test_unbiased_cka_of_independent_wide_features_is_near_zero(x64):
    # 400 features of 30 examples: the biased value is close to 1, the unbiased one has mean 0
    x, y = jr.normal(jr.key(3), (30, 400), jnp.float64), jr.normal(jr.key(4), (30, 400), jnp.float64)
    assert float(centered_kernel_alignment(linear(x), linear(y))) > 0.8
    assert abs(float(centered_kernel_alignment(linear(x), linear(y), unbiased=True))) < 0.1


def test_alignment_with_labels_is_the_normalised_quadratic_form(features):
    kernel, y = linear(features[0]), features[1][:, 0]
    expected = y @ kernel @ y / (y @ y * jnp.linalg.norm(kernel))
    assert float(kernel_alignment(kernel, y)) == pytest.approx(float(expected))
    assert float(kernel_alignment(linear(features[1]), features[1])) == pytest.approx(1)


def test_centred_alignment_with_labels_is_cka_with_their_kernel(features):
    kernel, y = linear(features[0]), features[1]
    expected = centered_kernel_alignment(kernel, linear(y))
    assert float(kernel_alignment(kernel, y, centred=True)) == pytest.approx(float(expected))


def test_cosine_does_not_overflow():
    big = 1e30 * jnp.eye(3)
    assert float(kernel_cosine(big, big)) == pytest.approx(1)


def test_centring_takes_the_mean_feature_out(features):
    x = features[0]
    np.testing.assert_allclose(centre_kernel(linear(x)), linear(x - x.mean(0)), atol=1e-12)
    w = jnp.arange(1.0, 13.0)
    shifted = x - w @ x / w.sum()
    np.testing.assert_allclose(centre_kernel(linear(x), w), linear(shifted), atol=1e-12)
