"""Estimates of the strength of forcing: closed forms, their order, and the bounds that they promise."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import (
    AdaptiveAlpha,
    arithmetic_mean,
    batch_maximum,
    estimate_alpha,
    explog,
    jacobian_upper_bound,
    optimal_alpha,
    product_upper_bound,
    spectral_norms,
)
from separatrix.models import PLRNN, ClippedShallowPLRNN

ESTIMATORS = [arithmetic_mean, explog, product_upper_bound, batch_maximum, jacobian_upper_bound]


class Scheduled(eqx.Module):
    """A model whose Jacobians are given, whatever the states."""

    matrices: jnp.ndarray

    def jacobian(self, z):
        return self.matrices

    def norm_bound(self):
        return spectral_norms(self.matrices).max()


@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_spectral_norms_are_those_of_the_singular_value_decomposition(size):
    matrices = jr.normal(jr.key(size), (500, size, size))
    exact = np.linalg.norm(np.asarray(matrices), 2, axis=(1, 2))
    np.testing.assert_allclose(spectral_norms(matrices), exact, rtol=1e-3)
    assert float(spectral_norms(jnp.zeros((3, 3)))) == 0
    np.testing.assert_allclose(spectral_norms(1e6 * matrices), 1e6 * exact, rtol=1e-3)
    assert np.all(np.asarray(spectral_norms(matrices)) <= exact * (1 + 1e-5))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_all_estimators_agree_on_a_scaled_rotation(estimator):
    turn = 1.7 * jnp.array([[jnp.cos(0.3), -jnp.sin(0.3)], [jnp.sin(0.3), jnp.cos(0.3)]])
    model = Scheduled(jnp.broadcast_to(turn, (9, 2, 2, 2)))
    assert float(estimator(model, jnp.zeros((9, 2, 2)))) == pytest.approx(1.7, rel=1e-3)


def test_scalar_jacobians_give_means_and_maxima():
    factors = jnp.array([[1.0, 2.0], [4.0, 2.0]])[..., None, None]  # time, sequence
    model, zbar = Scheduled(factors), jnp.zeros((2, 2, 1))
    values = [float(e(model, zbar)) for e in ESTIMATORS]
    np.testing.assert_allclose(values, [2.5, 2.0, 2.0, 4.0, 4.0], rtol=1e-4)


def test_estimators_are_ordered():
    model = ClippedShallowPLRNN(3, 30, jr.key(0))
    zbar = jr.normal(jr.key(1), (40, 5, 3))
    mean, _, product, largest, bound = (float(e(model, zbar)) for e in ESTIMATORS)
    assert product <= largest * (1 + 1e-3) <= bound * (1 + 2e-3)
    assert mean <= largest * (1 + 1e-3)


def test_optimal_alpha_puts_the_norm_at_one():
    sigma = jnp.array([0.3, 1.0, 1.5, 10.0])
    alpha = optimal_alpha(sigma)
    np.testing.assert_allclose((1 - alpha) * sigma, [0.3, 1.0, 1.0, 1.0], rtol=1e-6)
    model = PLRNN(2, jr.key(0))
    assert float(estimate_alpha(model, jnp.ones((3, 1, 2)))) == pytest.approx(
        float(optimal_alpha(product_upper_bound(model, jnp.ones((3, 1, 2)))))
    )


def test_products_of_forced_jacobians_stay_below_one_for_a_thousand_steps(x64):
    # bound (i) of the card, for random models on random data; an exact norm here
    for seed in range(3):
        model = ClippedShallowPLRNN(3, 50, jr.key(seed))
        model = eqx.tree_at(lambda m: m.W1, model, 4 * model.W1)
        jacobians = np.asarray(model.jacobian(jr.normal(jr.key(100 + seed), (1_000, 3))))
        alpha = 1 - 1 / np.linalg.norm(jacobians, 2, axis=(1, 2)).max()
        product = np.eye(3)
        for factor in (1 - alpha) * jacobians:
            product = factor @ product
            assert np.linalg.norm(product, 2) <= 1 + 1e-12


def test_strong_forcing_kills_gradients_at_least_as_fast_as_its_power(x64):
    # bound (iii): |prod (1 - alpha) J| <= ((1 - alpha) sigma_max)^n and its smallest singular value is above
    # ((1 - alpha) sigma_min)^n
    model = ClippedShallowPLRNN(3, 50, jr.key(0))
    jacobians = np.asarray(model.jacobian(jr.normal(jr.key(1), (30, 3))))
    values = np.linalg.svd(jacobians, compute_uv=False)
    product = np.linalg.multi_dot([0.2 * j for j in jacobians])
    got = np.linalg.svd(product, compute_uv=False)
    assert got[0] <= (0.2 * values.max()) ** 30
    assert got[-1] >= (0.2 * values.min()) ** 30 - 1e-30


def test_adaptive_strength_jumps_up_and_decays():
    rule = AdaptiveAlpha(gamma=0.9, every=5)
    up, down = rule.update(jnp.array(0.2), jnp.array(0.6)), rule.update(jnp.array(0.6), jnp.array(0.1))
    assert float(up) == pytest.approx(0.6)
    assert float(down) == pytest.approx(0.9 * 0.6 + 0.1 * 0.1)
    model = Scheduled(jnp.full((4, 1, 1, 1), 2.0))
    zbar = jnp.zeros((4, 1, 1))
    assert float(rule(jnp.array(0.3), jnp.int32(10), model, zbar)) == pytest.approx(0.5, abs=1e-4)
    assert float(rule(jnp.array(0.3), jnp.int32(11), model, zbar)) == pytest.approx(0.3)
