"""Stochastic Lanczos quadrature against known spectra."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.lanczos_quadrature import spectral_density, spectral_function_trace, spectral_nodes
from separatrix.numerics.operators import hessian_operator

from .curvature_cases import case, loss, symmetric

close = lambda a, b, tol: np.testing.assert_allclose(a, b, rtol=0, atol=tol)  # noqa: E731


def multiply(matrix):
    return lambda v: matrix @ v


def test_quadrature_is_exact_up_to_its_degree(x64):
    # m nodes integrate polynomials of degree 2m - 1 against the measure of the starting vector.
    matrix = symmetric(np.linspace(-1.0, 2.0, 50))
    nodes, weights = spectral_nodes(multiply(matrix), jr.key(0), num_probes=1, num_steps=4, dim=50)
    key = jr.fold_in(jr.fold_in(jr.key(0), 0), 0)
    z = jr.rademacher(key, (50,), jnp.float64)
    for degree in range(8):
        exact = z @ jnp.linalg.matrix_power(matrix, degree) @ z / 50
        close(jnp.sum(weights * nodes**degree), exact, 1e-10)
    power = z @ jnp.linalg.matrix_power(matrix, 8) @ z / 50
    assert abs(float(jnp.sum(weights * nodes**8) - power)) > 1e-6


def test_weights_sum_to_one_where_the_space_is_exhausted():
    nodes, weights = spectral_nodes(lambda v: 2 * v, jr.key(0), num_probes=3, num_steps=10, dim=30)
    close(weights.sum(1), 1, 1e-5)
    close(nodes, 2, 1e-5)


def test_density_integrates_to_one_and_counts_outliers(x64):
    eigenvalues = np.r_[np.linspace(-0.1, 0.1, 95), 3.0, 4.0, 5.0, 6.0, 7.0]
    found = spectral_density(
        multiply(symmetric(eigenvalues)), jr.key(0), dim=100, num_probes=50, num_steps=30, width=0.05, num_points=2_000
    )
    integral = lambda inside: jnp.trapezoid(jnp.where(inside, found.density, 0), found.grid)  # noqa: E731
    close(integral(found.grid > -9), 1, 1e-6)
    close(integral(found.grid > 2), 0.05, 0.01)
    peak = float(found.grid[jnp.argmax(jnp.where(found.grid > 6.5, found.density, 0))])
    assert peak == pytest.approx(7.0, abs=0.01)
    assert float(found.standard_error.max()) > 0


def test_semicircle(x64):
    # Eigenvalues of a large symmetric Gaussian matrix have density sqrt(4 - x^2) / (2 pi). Some 40 of them lie under
    # one bump, so one random vector is off by a fifth or so, and 40 vectors by a thirtieth.
    noise = jr.normal(jr.key(1), (600, 600))
    matrix = (noise + noise.T) / (2 * 600) ** 0.5
    found = spectral_density(
        multiply(matrix), jr.key(0), dim=600, num_probes=40, num_steps=40, width=0.1, bounds=(-1.5, 1.5), num_points=61
    )
    close(found.density, jnp.sqrt(4 - found.grid**2) / (2 * jnp.pi), 0.03)


@pytest.mark.parametrize("fn", [jnp.exp, jnp.abs, lambda x: x**2])
def test_trace_of_a_function(x64, fn):
    eigenvalues = np.linspace(-1.0, 1.0, 40)
    found = spectral_function_trace(
        fn, multiply(symmetric(eigenvalues)), jr.key(0), dim=40, num_probes=100, num_steps=40
    )
    assert abs(float(found.value) - float(fn(jnp.asarray(eigenvalues)).sum())) < 4 * float(found.standard_error) + 1e-9


def test_of_a_network_has_its_mean_eigenvalue():
    params, batch = case()
    operator = hessian_operator(loss, params, batch)
    found = spectral_density(operator, jr.key(0), num_probes=200, num_steps=21)
    mean = float(jnp.mean(jnp.sum(found.nodes * found.weights, axis=1)))
    assert mean == pytest.approx(float(jnp.trace(operator.to_dense())) / 21, abs=0.02)


def test_refusals():
    with pytest.raises(ValueError, match="at least 1; got 0"):
        spectral_nodes(multiply(jnp.eye(3)), jr.key(0), num_probes=0, dim=3)
    with pytest.raises(ValueError, match="`width` positive"):
        spectral_density(multiply(jnp.eye(3)), jr.key(0), width=-1.0, dim=3)
