"""Gauss-Newton matrices: closed forms, parity with dense Hessians, and estimates that converge."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics import curvature_noise, gauss_newton
from separatrix.numerics.gauss_newton import lanczos_ritz_values
from separatrix.training.stability_bounds import non_uniformity

example_jacobian = jax.jit(gauss_newton.example_jacobian, static_argnames=("f", "chunk"))
gauss_newton_kernel = jax.jit(gauss_newton.gauss_newton_kernel, static_argnames=("f", "chunk"))
sharpness_summary = jax.jit(gauss_newton.sharpness_summary, static_argnames=("f", "loss", "chunk"))
estimate_sharpness = jax.jit(gauss_newton.estimate_sharpness, static_argnames=("f", "num_samples", "num_iterations"))
estimate_non_uniformity = jax.jit(
    curvature_noise.estimate_non_uniformity, static_argnames=("f", "num_iterations", "chunk")
)


def network(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


def case(outputs=(2,), n=5, dtype=jnp.float64):
    keys = jr.split(jr.key(0), 4)
    params = {"in": jr.normal(keys[0], (3, 4), dtype), "out": jr.normal(keys[1], (4, *outputs), dtype)}
    return params, jr.normal(keys[2], (n, 3), dtype), jr.normal(keys[3], (n, *outputs), dtype)


@pytest.mark.parametrize("outputs", [(), (2,)])
def test_at_an_interpolating_minimum_it_is_the_hessian_of_half_the_squared_error(x64, outputs):
    params, inputs, _ = case(outputs)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    predict = lambda v: jax.vmap(network, (None, 0))(unravel(v), inputs)  # noqa: E731
    targets = predict(flat)
    loss = lambda v: jnp.sum((predict(v) - targets) ** 2) / (2 * len(inputs))  # noqa: E731
    hessian = jax.jit(jax.hessian(loss))(flat)
    eigenvalues = np.linalg.eigvalsh(hessian)[::-1]
    summary = sharpness_summary(network, params, inputs)
    np.testing.assert_allclose(summary.spectrum, eigenvalues[: len(summary.spectrum)], atol=1e-10)
    np.testing.assert_allclose(summary.trace, np.trace(hessian), rtol=1e-10)
    np.testing.assert_allclose(summary.frobenius, np.linalg.norm(hessian), rtol=1e-10)
    np.testing.assert_allclose(summary.lambda_max, eigenvalues[0], rtol=1e-10)


def test_a_mean_of_squares_without_the_half_has_twice_the_matrix(x64):
    params, inputs, targets = case()
    plain = sharpness_summary(network, params, inputs)
    doubled = sharpness_summary(network, params, inputs, loss=lambda o, y: jnp.sum((o - y) ** 2), targets=targets)
    np.testing.assert_allclose(doubled.spectrum, 2 * plain.spectrum, atol=1e-10)


def test_softmax_loss_agrees_with_the_dense_formula(x64):
    params, inputs, _ = case((3,))
    labels = jnp.array([0, 1, 2, 0, 1])
    loss = lambda o, y: jax.nn.logsumexp(o) - o[y]  # noqa: E731
    jacobian = example_jacobian(network, params, inputs)
    softmax = jax.nn.softmax(jax.vmap(network, (None, 0))(params, inputs))
    outer = jax.vmap(lambda s: jnp.diag(s) - jnp.outer(s, s))(softmax)
    dense = jnp.einsum("iap,iab,ibq->pq", jacobian, outer, jacobian) / len(inputs)
    summary = sharpness_summary(network, params, inputs, loss=loss, targets=labels)
    expected = np.linalg.eigvalsh(dense)[::-1][: len(summary.spectrum)]
    np.testing.assert_allclose(summary.spectrum, expected, atol=1e-10)


@pytest.mark.parametrize(("n", "smaller"), [(3, "kernel"), (40, "matrix")])
def test_kernel_and_matrix_have_one_non_zero_spectrum(x64, n, smaller):
    params, inputs, _ = case(n=n)
    jacobian = example_jacobian(network, params, inputs).reshape(2 * n, -1)
    kernel = gauss_newton_kernel(network, params, inputs)
    spectrum = sharpness_summary(network, params, inputs).spectrum
    assert len(spectrum) == min(kernel.shape[0], jacobian.shape[1])
    np.testing.assert_allclose(np.linalg.eigvalsh(kernel)[::-1][: len(spectrum)], spectrum, atol=1e-10)
    assert (kernel.shape[0] < jacobian.shape[1]) == (smaller == "kernel")


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_chunks_change_nothing(x64, chunk):
    params, inputs, _ = case()
    np.testing.assert_allclose(
        gauss_newton_kernel(network, params, inputs, chunk=chunk),
        gauss_newton_kernel(network, params, inputs),
        rtol=1e-12,
    )


def test_hutchinson_converges_at_its_rate_and_lanczos_to_the_eigenvalue(x64):
    params, inputs, _ = case(n=30)
    exact = sharpness_summary(network, params, inputs)
    for samples in (16, 1024):
        estimate = estimate_sharpness(network, params, inputs, jr.key(1), num_samples=samples, num_iterations=40)
        allowed = 4 * np.sqrt(2 / samples)  # four standard deviations
        assert abs(estimate.trace / exact.trace - 1) < allowed
        assert abs(estimate.frobenius**2 / exact.frobenius**2 - 1) < allowed
        np.testing.assert_allclose(estimate.lambda_max, exact.lambda_max, rtol=1e-8)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_ritz_values_lie_inside_the_spectrum_and_grow(x64, steps):
    values = jnp.array([1.0, 2.0, 3.0, 10.0])
    few, more = (lanczos_ritz_values(lambda v: values * v, jnp.ones(4), s) for s in (steps, steps + 1))
    assert float(few[-1]) <= float(more[-1]) <= 10 + 1e-12
    assert float(few[0]) >= 1 - 1e-12


def test_lanczos_stops_at_an_invariant_subspace(x64):
    ritz = lanczos_ritz_values(lambda v: jnp.array([2.0, 2.0, 5.0]) * v, jnp.ones(3), 3)
    np.testing.assert_allclose(ritz, [0, 2, 5], atol=1e-12)


@pytest.mark.parametrize(("outputs", "chunk"), [((), None), ((2,), None), ((2,), 2)])
def test_non_uniformity_estimate_equals_the_dense_one(x64, outputs, chunk):
    params, inputs, _ = case(outputs)
    exact = non_uniformity(example_jacobian(network, params, inputs))
    estimate = estimate_non_uniformity(network, params, inputs, jr.key(0), chunk=chunk)
    np.testing.assert_allclose(estimate, exact, rtol=1e-8)


def test_bad_arguments_are_explained():
    with pytest.raises(ValueError, match="a scalar or a vector"):
        example_jacobian(lambda w, x: w[:, None] * x, jnp.ones(2), jnp.ones((3, 2)))
    with pytest.raises(ValueError, match="`num_samples` and `num_iterations`"):
        estimate_sharpness(lambda w, x: w @ x, jnp.ones(2), jnp.ones((3, 2)), jr.key(0), num_samples=0)
    with pytest.raises(ValueError, match="`num_iterations`"):
        estimate_non_uniformity(lambda w, x: w @ x, jnp.ones(2), jnp.ones((3, 2)), jr.key(0), num_iterations=0)
