"""The committee as a function of two moments, and the exact split of its test loss."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.committee import CommitteeQuadratic
from separatrix.models.mlp import scaled
from separatrix.numerics.kernels import empirical_ntk
from separatrix.training.committee_theory import (
    CommitteeStatistics,
    committee_kernel,
    committee_loss_terms,
    committee_output,
    committee_statistics,
)

ALPHA, EPS, DIM = 0.7, 0.4, 5


@pytest.fixture
def model(x64):
    return CommitteeQuadratic(jr.key(0), DIM, 9, EPS, dtype=jnp.float64)


def test_output_from_the_moments_is_the_forward_pass(model):
    x = jr.normal(jr.key(1), (20, DIM), jnp.float64)
    found = committee_output(committee_statistics(model.weights), x, ALPHA, EPS)
    np.testing.assert_allclose(found, jax.vmap(scaled(model, ALPHA))(x), rtol=1e-12)


def test_kernel_from_the_moments_is_the_tangent_kernel_times_the_width(model):
    x, z = jr.normal(jr.key(1), (6, DIM), jnp.float64), jr.normal(jr.key(2), (4, DIM), jnp.float64)
    found = committee_kernel(committee_statistics(model.weights), x, z, ALPHA, EPS)
    marks = jax.tree.map(lambda leaf: leaf is model.weights, scaled(model, ALPHA))
    ntk = empirical_ntk(lambda m, one: m(one), scaled(model, ALPHA), x, z, filter_spec=marks)
    np.testing.assert_allclose(found, 9 * ntk, rtol=1e-12)


def test_terms_add_up_to_the_test_loss(model):
    # Monte Carlo over Gaussian inputs; the sum of a million squares has a relative error of about 0.3 %
    beta = jr.normal(jr.key(3), (DIM,), jnp.float64) * 1.4
    statistics = committee_statistics(model.weights)
    terms = committee_loss_terms(statistics, beta, ALPHA, EPS)
    x = jr.normal(jr.key(4), (1_000_000, DIM), jnp.float64) / DIM**0.5
    squares = ((x @ beta) ** 2 / 2 - committee_output(statistics, x, ALPHA, EPS)) ** 2
    error = float(jnp.std(squares)) / 1_000
    assert float(terms.total) == pytest.approx(float(squares.mean()), abs=4 * error)
    assert error < 0.01 * float(terms.total)
    assert all(float(term) > 0.01 * float(terms.total) for term in terms)


@pytest.mark.parametrize("width", [1, 2, 7])
def test_expected_loss_at_the_start(x64, width):
    # 3/4 - alpha eps/2 + alpha^2 [(1 + eps^2/2)/K + eps^2/4] on average over initial weights as D grows
    alpha, eps, dim = 1.0, 0.5, 400
    beta = jnp.full(dim, 1.0)
    losses = [
        float(
            committee_loss_terms(
                committee_statistics(jr.normal(jr.key(i), (width, dim), jnp.float64)), beta, alpha, eps
            ).total
        )
        for i in range(20)
    ]
    expected = 0.75 - alpha * eps / 2 + alpha**2 * ((1 + eps**2 / 2) / width + eps**2 / 4)
    assert np.mean(losses) == pytest.approx(expected, rel=0.02)
    if width == 2:
        assert expected == 1.125


def test_loss_of_the_infinite_committee_at_the_start(x64):
    # mean 0, second moment 1: A = (1 - alpha eps)^2 / 4, B = (D^2 - 2 alpha eps D + alpha^2 eps^2 D) / (2 D^2)
    start = CommitteeStatistics(jnp.zeros(DIM), jnp.eye(DIM))
    terms = committee_loss_terms(start, jnp.sqrt(jnp.ones(DIM)), ALPHA, EPS)
    size = ALPHA * EPS
    assert float(terms.variance) == pytest.approx((1 - size) ** 2 / 4)
    assert float(terms.misalignment) == pytest.approx((DIM - 2 * size + size**2) / (2 * DIM))
    assert float(terms.linear_power) == 0
