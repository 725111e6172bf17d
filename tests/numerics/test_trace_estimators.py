"""Trace estimators: exact where theory says so, unbiased with honest errors elsewhere."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.operators import hessian_operator
from separatrix.numerics.trace_estimators import hutch_pp_trace, hutchinson_diagonal, hutchinson_trace, xtrace

from .curvature_cases import case, loss, symmetric

ESTIMATORS = pytest.mark.parametrize("estimator", [hutchinson_trace, hutch_pp_trace, xtrace])
DECAYING = 1.0 / (1.0 + np.arange(100)) ** 2
close = lambda a, b, tol: np.testing.assert_allclose(a, b, rtol=0, atol=tol)  # noqa: E731


def multiply(matrix):
    return lambda v: matrix @ v


def sampled(estimator, matrix, count, num_matvecs):
    one = lambda k: estimator(multiply(matrix), k, num_matvecs=num_matvecs, dim=matrix.shape[0])  # noqa: E731
    found = jax.jit(jax.vmap(one))(jr.split(jr.key(9), count))
    return np.asarray(found.value), np.asarray(found.standard_error)


@ESTIMATORS
def test_unbiased_and_standard_errors_are_honest(x64, estimator):
    matrix = symmetric(DECAYING - 0.02)  # indefinite
    values, errors = sampled(estimator, matrix, 300, 12)
    spread = values.std(ddof=1)
    assert abs(values.mean() - np.trace(matrix)) < 4 * spread / 300**0.5
    assert 0.7 < np.sqrt((errors**2).mean()) / spread < 1.4


def test_low_rank_methods_beat_hutchinson_on_a_decaying_spectrum(x64):
    matrix = symmetric(DECAYING)
    spreads = [sampled(e, matrix, 60, 30)[0].std() for e in (hutchinson_trace, hutch_pp_trace, xtrace)]
    assert spreads[0] > 5 * spreads[1] > 5 * spreads[2]


def test_hutchinson_variance_is_twice_the_off_diagonal_square(x64):
    matrix = symmetric(DECAYING)
    values, _ = sampled(hutchinson_trace, matrix, 4_000, 1)
    expected = 2 * (jnp.sum(matrix**2) - jnp.sum(jnp.diag(matrix) ** 2))
    assert values.var() == pytest.approx(float(expected), rel=0.15)


def test_error_halves_with_four_times_the_products(x64):
    matrix = symmetric(np.linspace(1.0, 2.0, 100))
    spread = [sampled(hutchinson_trace, matrix, 400, n)[0].std() for n in (5, 20)]
    assert spread[0] / spread[1] == pytest.approx(2.0, rel=0.2)


@pytest.mark.parametrize("estimator", [hutch_pp_trace, xtrace])
@pytest.mark.parametrize(("rank", "dtype"), [(0, jnp.float32), (1, jnp.float64), (3, jnp.float32)])
def test_exact_below_full_rank(x64, estimator, rank, dtype):
    # Here the inverse that XTrace needs does not exist.
    matrix = jnp.asarray(symmetric(np.r_[np.arange(1.0, rank + 1), np.zeros(40 - rank)]), dtype)
    found = estimator(multiply(matrix), jr.key(0), num_matvecs=15, dim=40)
    close(found.value, rank * (rank + 1) / 2, 2_000 * float(jnp.finfo(dtype).eps))
    assert float(found.standard_error) < 1e-4


def test_xtrace_is_exact_for_a_multiple_of_the_identity(x64):
    # The rest of each test vector is rescaled to its expected length, so its quadratic form has no scatter.
    found = xtrace(lambda v: 3.0 * v, jr.key(0), num_matvecs=12, dim=50)
    close(found.value, 150.0, 1e-10)
    assert float(found.standard_error) < 1e-10


def test_xtrace_is_exact_when_it_can_afford_all_columns(x64):
    matrix = symmetric(np.linspace(-1.0, 1.5, 9))
    found = xtrace(multiply(matrix), jr.key(0), num_matvecs=10, dim=9)
    close(found.value, np.trace(matrix), 1e-12)
    assert float(found.standard_error) == 0
    assert int(found.num_matvecs) == 9


def test_diagonal(x64):
    matrix = symmetric(DECAYING)
    found = hutchinson_diagonal(multiply(matrix), jr.key(0), num_matvecs=400, dim=100)
    z = (found.value - jnp.diag(matrix)) / found.standard_error
    assert 0.7 < float(jnp.std(z)) < 1.3
    exact = jnp.sqrt((jnp.sum(matrix**2, axis=1) - jnp.diag(matrix) ** 2) / 400)
    np.testing.assert_allclose(found.standard_error, exact, rtol=0.3)


@ESTIMATORS
def test_products_taken_together_change_nothing(x64, estimator):
    matrix = symmetric(DECAYING)
    pair = [estimator(multiply(matrix), jr.key(0), num_matvecs=12, dim=100, at_once=n).value for n in (1, 5)]
    close(pair[0], pair[1], 1e-12)


@ESTIMATORS
def test_of_a_network(estimator):
    params, batch = case()
    operator = hessian_operator(loss, params, batch)
    exact = float(jnp.trace(operator.to_dense()))
    found = estimator(operator, jr.key(0), num_matvecs=60)
    assert abs(float(found.value) - exact) < max(4 * float(found.standard_error), 1e-3)


def test_one_sample_has_no_standard_error():
    assert bool(jnp.isnan(hutchinson_trace(multiply(jnp.eye(3)), jr.key(0), num_matvecs=1, dim=3).standard_error))


def test_refusals():
    with pytest.raises(ValueError, match="`dim` must be given"):
        hutchinson_trace(multiply(jnp.eye(3)), jr.key(0))
    for estimator, least in ((hutchinson_trace, 1), (hutch_pp_trace, 3), (xtrace, 4), (hutchinson_diagonal, 1)):
        with pytest.raises(ValueError, match=f"at least {least}"):
            estimator(multiply(jnp.eye(30)), jr.key(0), num_matvecs=least - 1, dim=30)


@pytest.mark.parametrize(("at_once", "present", "absent"), [(1, "f32[5]", "f32[1,5]"), (4, "f32[4,5]", "f32[1,5]")])
def test_products_are_taken_together_as_asked_and_single_ones_are_no_batch(at_once, present, absent):
    matrix = jnp.arange(25.0).reshape(5, 5)
    trace = lambda key: hutchinson_trace(lambda v: matrix @ v, key, num_matvecs=8, dim=5, at_once=at_once).value  # noqa: E731
    program = str(jax.make_jaxpr(trace)(jr.key(0)))
    assert present in program
    assert absent not in program
