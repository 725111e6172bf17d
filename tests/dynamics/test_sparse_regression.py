"""Libraries and thresholded regression: counts, closed forms, parity with a plain loop, recovery of Lorenz's system."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import ControlAffineLibrary, PolynomialLibrary, fit_sparse_flow, generate, stlsq
from separatrix.systems import lorenz63


def loop(theta, y, alpha, threshold, iters):
    out = np.zeros((theta.shape[1], y.shape[1]))
    for j in range(y.shape[1]):
        kept = np.ones(theta.shape[1], bool)
        for _ in range(iters):
            a = theta[:, kept]
            coefficients = np.zeros(theta.shape[1])
            coefficients[kept] = np.linalg.solve(a.T @ a + alpha * np.eye(kept.sum()), a.T @ y[:, j])
            kept &= np.abs(coefficients) >= threshold
        out[:, j] = np.where(kept, coefficients, 0)
    return out


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [1.0, 0.0, 0.0]), (1.0, [0.5, 0.0, 0.0])])
def test_identity_keeps_what_is_large_and_ridge_shrinkage_remains(alpha, expected):
    y = jnp.array([[1.0], [0.05], [0.001]])
    np.testing.assert_allclose(stlsq(jnp.eye(3), y, alpha, 0.1)[:, 0], expected)


@pytest.mark.parametrize("iters", [1, 2, 20])
def test_masked_solves_equal_solves_on_the_columns_left(iters, x64):
    theta = jr.normal(jr.key(0), (60, 8))
    y = theta @ (jr.normal(jr.key(1), (8, 3)) * jr.bernoulli(jr.key(2), 0.5, (8, 3))) + 0.1 * jr.normal(
        jr.key(3), (60, 3)
    )
    ours = stlsq(theta, y, 0.3, 0.2, iters)
    np.testing.assert_allclose(ours, loop(np.asarray(theta), np.asarray(y), 0.3, 0.2, iters), atol=1e-12)
    assert 0 < np.count_nonzero(ours) < ours.size


def test_a_grid_of_thresholds_is_one_program(x64):
    theta, y = jr.normal(jr.key(0), (40, 5)), jr.normal(jr.key(1), (40, 2))
    thresholds = jnp.array([0.0, 0.1, 0.3])
    together = jax.jit(jax.vmap(lambda t: stlsq(theta, y, 0.0, t)))(thresholds)
    counts = [np.count_nonzero(c) for c in together]
    assert counts == sorted(counts, reverse=True)
    np.testing.assert_allclose(
        together[0], np.linalg.lstsq(np.asarray(theta), np.asarray(y), rcond=None)[0], atol=1e-10
    )


def test_impossible_regressions_are_refused():
    with pytest.raises(ValueError, match="`iters` must be at least 1; got 0"):
        stlsq(jnp.eye(3), jnp.eye(3), iters=0)
    with pytest.raises(ValueError, match="equally many rows"):
        stlsq(jnp.eye(3), jnp.eye(2))


@pytest.mark.parametrize(
    ("n", "degree", "interactions", "bias", "size"),
    [(3, 2, True, True, 10), (3, 2, False, False, 6), (5, 2, True, False, 20), (5, 3, True, False, 55)],
)
def test_number_of_monomials(n, degree, interactions, bias, size):
    library = PolynomialLibrary(n, degree, interactions, bias)
    assert library.size == len(library.names()) == len(set(library.names())) == size
    assert library.transform(jnp.ones((7, n))).shape == (7, size)


def test_names_say_what_is_computed():
    library = PolynomialLibrary(3, 3, bias=True)
    x = jr.normal(jr.key(0), (4, 3))
    values = dict(zip(library.names(), library.transform(x).T, strict=True))
    np.testing.assert_allclose(values["1"], 1)
    np.testing.assert_allclose(values["x0 x2^2"], x[:, 0] * x[:, 2] ** 2, rtol=1e-5)
    assert PolynomialLibrary(2, 1).names(["a", "b"]) == ("a", "b")
    with pytest.raises(ValueError, match="library is of 3 coordinates"):
        library.transform(jnp.ones((4, 2)))
    with pytest.raises(ValueError, match="must be at least 1"):
        PolynomialLibrary(3, 0)


def test_control_affine_library_is_affine_in_the_input():
    library = ControlAffineLibrary(3, 2, degree=2)
    assert library.size == 9 + 2 + 18 == len(library.names())
    x, u, v = jr.normal(jr.key(0), (3,)), jr.normal(jr.key(1), (2,)), jr.normal(jr.key(2), (2,))
    middle = library.transform(x, (u + v) / 2)
    np.testing.assert_allclose(middle, (library.transform(x, u) + library.transform(x, v)) / 2, atol=1e-6)
    assert ControlAffineLibrary(3, 2, tensor=False).size == 11
    with pytest.raises(ValueError, match="library is of 2 inputs"):
        library.transform(x, u[:1])
    with pytest.raises(ValueError, match="or use PolynomialLibrary"):
        ControlAffineLibrary(3, 0)


def test_lorenz_system_is_recovered_from_clean_measurements():
    with jax.enable_x64():
        flow = lorenz63(dt=jnp.asarray(0.005))
        x = np.asarray(generate(lambda z: flow.step(z, None, None)[0], jnp.array([1.0, 2.0, 20.0]), 4_000))
    model = fit_sparse_flow(x, 0.005, PolynomialLibrary(3, 2, bias=True), threshold=0.2, window=7)
    found = dict(zip(model.library.names(), np.asarray(model.coefficients), strict=True))
    assert np.count_nonzero(model.coefficients) == 7
    np.testing.assert_allclose(found["x0"], [-10, 28, 0], atol=0.02)
    np.testing.assert_allclose(found["x1"], [10, -1, 0], atol=0.02)
    np.testing.assert_allclose(found["x2"], [0, 0, -8 / 3], atol=0.02)
    np.testing.assert_allclose(found["x0 x1"], [0, 0, 1], atol=0.002)
    np.testing.assert_allclose(found["x0 x2"], [0, -1, 0], atol=0.002)
    assert "x0 x1" in model.equations()[2]


def test_gaps_and_windows_that_do_not_fit_are_refused():
    x = np.zeros((20, 1))
    with pytest.raises(ValueError, match="missing or infinite"):
        fit_sparse_flow(x * np.nan, 0.1, PolynomialLibrary(1))
    with pytest.raises(ValueError, match="`window` must be odd"):
        fit_sparse_flow(x, 0.1, PolynomialLibrary(1), window=6)
