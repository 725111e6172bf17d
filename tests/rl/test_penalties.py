"""Penalties by hand: two members with means 0 and 2 and unit variance, and the limits that fix each of them."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.rl import (
    ensemble_std,
    ensemble_var,
    ll_var,
    loo_kl,
    max_aleatoric,
    max_aleatoric_frobenius,
    max_pairwise,
)

ALL = (max_aleatoric, max_aleatoric_frobenius, max_pairwise, ensemble_var, ensemble_std, loo_kl, ll_var)
MEAN, LOG_VARIANCE = jnp.array([[0.0], [2.0]]), jnp.zeros((2, 1))


@pytest.mark.parametrize(
    ("penalty", "value"),
    [(ensemble_var, 2.0), (ensemble_std, 2**0.5), (max_pairwise, 2.0), (max_aleatoric, 1.0), (loo_kl, 2.0)],
)
def test_two_members(penalty, value):
    # mixture variance 1 + 1; KL between unit Gaussians two apart: (1 + 4 - 1) / 2
    assert float(penalty(MEAN, LOG_VARIANCE, jnp.zeros(1), jr.key(0))) == pytest.approx(value, rel=1e-6)


def test_variance_of_the_log_density():
    # log densities of 0: -0/2 and -4/2, up to a constant: variance 1
    assert float(ll_var(MEAN, LOG_VARIANCE, jnp.zeros(1))) == pytest.approx(1.0)


def test_standard_deviations_or_variances():
    log_variance = jnp.log(jnp.array([[4.0, 9.0], [1.0, 1.0]]))
    assert float(max_aleatoric(jnp.zeros((2, 2)), log_variance)) == pytest.approx(13**0.5)
    assert float(max_aleatoric_frobenius(jnp.zeros((2, 2)), log_variance)) == pytest.approx(97**0.5)


def test_members_that_agree_have_only_noise():
    mean, log_variance = jnp.ones((3, 1)), jnp.log(jnp.array([[1.0], [2.0], [3.0]]))
    assert float(max_pairwise(mean, log_variance)) == 0
    assert float(ensemble_std(mean, log_variance)) ** 2 == pytest.approx(2.0)


@pytest.mark.parametrize("penalty", ALL)
def test_a_certain_single_member_has_no_uncertainty_at_all(penalty):
    mean = jnp.array([[0.1, -3.7e5, 1 / 3]])
    assert float(penalty(mean, jnp.full_like(mean, -jnp.inf), jnp.zeros(3), jr.key(0))) == 0.0


def test_leave_one_out_without_a_key_is_the_mean_over_members():
    mean, log_variance = jr.normal(jr.key(0), (5, 3)), jr.normal(jr.key(1), (5, 3))
    found = {round(float(loo_kl(mean, log_variance, None, jr.key(i))), 5) for i in range(100)}
    assert len(found) == 5
    assert float(loo_kl(mean, log_variance)) == pytest.approx(np.mean(list(found)), rel=1e-4)


def test_leave_one_out_is_the_divergence_of_gaussians():
    mean, log_variance = jr.normal(jr.key(0), (4, 2)), jr.normal(jr.key(1), (4, 2))
    m, v = np.asarray(mean, float), np.exp(np.asarray(log_variance, float))
    by_hand = []
    for i in range(4):
        rest = [j for j in range(4) if j != i]
        centre = m[rest].mean(0)
        spread = (v[rest] + m[rest] ** 2).mean(0) - centre**2
        by_hand.append(0.5 * np.sum(v[i] / spread + (m[i] - centre) ** 2 / spread - 1 + np.log(spread / v[i])))
    assert float(loo_kl(mean, log_variance)) == pytest.approx(np.mean(by_hand), rel=1e-4)


def test_the_variance_of_densities_needs_an_outcome():
    with pytest.raises(ValueError, match="outcome"):
        ll_var(MEAN, LOG_VARIANCE)
