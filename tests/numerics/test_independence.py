"""HSIC against its definition, and its random-feature estimate against it."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.independence import (
    gaussian_kernel,
    hsic,
    hsic_rff,
    median_bandwidth,
    random_fourier_features,
)

X = jnp.arange(5.0)


@pytest.fixture
def kernels(x64):
    x, y = jr.normal(jr.key(0), (7, 2), jnp.float64), jr.normal(jr.key(1), (7,), jnp.float64)
    return gaussian_kernel(x, 1.3), gaussian_kernel(y, 0.8)


def test_known_values():
    # computed by hand from tr(K H L H) / n^2 with unit bandwidth
    assert float(hsic(gaussian_kernel(X), gaussian_kernel(X**2))) == pytest.approx(0.12467973, rel=1e-5)
    flip = jnp.array([0.0, 1.0, 0.0, 1.0, 0.0])
    assert float(hsic(gaussian_kernel(X), gaussian_kernel(flip))) == pytest.approx(0.00657754, rel=1e-4)


def test_biased_estimate_is_the_centred_trace(kernels):
    k, m = kernels
    h = jnp.eye(7) - 1 / 7
    assert float(hsic(k, m)) == pytest.approx(float(jnp.trace(k @ h @ m @ h)) / 49, rel=1e-12)


def test_unbiased_estimate_is_the_average_over_distinct_quadruples(kernels):
    # the U-statistic: mean over distinct (i, j, q, r) of k_ij (m_ij + m_qr - 2 m_iq)
    k, m = (np.asarray(a) for a in kernels)
    terms = [k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in itertools.permutations(range(7), 4)]
    assert float(hsic(*kernels, unbiased=True)) == pytest.approx(np.mean(terms), rel=1e-10)


def test_constant_variable_has_no_dependence(kernels):
    assert float(hsic(kernels[0], jnp.ones((7, 7)))) == pytest.approx(0, abs=1e-15)


def test_uniform_weights_change_nothing_and_whole_weights_count_copies(kernels):
    k, m = kernels
    assert float(hsic(k, m, weights=jnp.full(7, 3.0))) == pytest.approx(float(hsic(k, m)), rel=1e-12)
    counts = jnp.array([2, 1, 1, 3, 1, 1, 1])
    rows = jnp.repeat(jnp.arange(7), counts, total_repeat_length=10)
    copied = hsic(k[jnp.ix_(rows, rows)], m[jnp.ix_(rows, rows)])
    assert float(hsic(k, m, weights=counts)) == pytest.approx(float(copied), rel=1e-12)


def test_features_of_linear_kernels_give_hsic_exactly(x64):
    x, y = jr.normal(jr.key(0), (9, 3), jnp.float64), jr.normal(jr.key(1), (9, 2), jnp.float64)
    for w in (None, jnp.arange(1.0, 10.0)):
        assert float(hsic_rff(x, y, w)) == pytest.approx(float(hsic(x @ x.T, y @ y.T, weights=w)), rel=1e-11)


def test_random_features_converge_to_hsic_at_the_monte_carlo_rate(x64):
    x = jr.normal(jr.key(0), (20, 1), jnp.float64)
    y = x**2 + 0.1 * jr.normal(jr.key(1), (20, 1), jnp.float64)
    exact = float(hsic(gaussian_kernel(x), gaussian_kernel(y)))

    def error(count):
        def estimate(key):
            first, second = (random_fourier_features(jr.fold_in(key, i), z, count) for i, z in enumerate((x, y)))
            return hsic_rff(first, second)

        values = jax.jit(jax.vmap(estimate))(jr.split(jr.key(2), 40))
        return float(jnp.sqrt(jnp.mean((values - exact) ** 2)))

    assert error(512) < error(32) / 2.5  # 4 in expectation
    assert error(512) < 0.2 * exact


def test_median_bandwidth_follows_the_scale():
    x = jr.normal(jr.key(0), (20, 3))
    assert float(median_bandwidth(5 * x + 1)) == pytest.approx(5 * float(median_bandwidth(x)), rel=1e-5)


def test_refusals(kernels):
    with pytest.raises(ValueError, match="at least 4 examples; got 3"):
        hsic(jnp.eye(3), jnp.eye(3), unbiased=True)
    with pytest.raises(ValueError, match="biased estimate only"):
        hsic(*kernels, unbiased=True, weights=jnp.ones(7))
