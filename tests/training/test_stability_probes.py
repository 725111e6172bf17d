"""Probes of sharpness and norms against the functions they call, and the escape experiment against its closed form."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, MiniBatches, run
from separatrix.models.diagonal_linear import DiagonalLinear
from separatrix.models.mlp import MLP
from separatrix.models.norm_equivalence import balance_score, path_norm
from separatrix.numerics.gauss_newton import example_jacobian, sharpness_summary
from separatrix.training.escape import escape_time
from separatrix.training.regression_loss import half_squared_error, regression_errors
from separatrix.training.stability_bounds import non_uniformity
from separatrix.training.stability_probes import (
    curvature_noise,
    gauss_newton_estimates,
    gauss_newton_sharpness,
    noise_trace,
    path_norms,
)
from separatrix.training.supervised import Batch, Supervised

INPUTS = jr.normal(jr.key(5), (6, 4))


def call(params, x):
    return params(x)


def train(model, targets, probes, stream=FullBatch):
    data = Batch(INPUTS, targets)
    process = Supervised(model, half_squared_error, optax.sgd(0.01), stream(data), held_out=data)
    return run(process, jr.key(0), 3, probes=probes)


@pytest.mark.parametrize("batches", [FullBatch, lambda data: MiniBatches(data, 2)])
def test_probes_of_a_scalar_network_measure_all_of_the_data_after_the_update(batches):
    probes = [gauss_newton_sharpness(every=3), noise_trace(every=3), path_norms(3), regression_errors(3)]
    targets = jnp.arange(6.0) - 2.5
    state, records = train(lambda key: DiagonalLinear(key, 4), targets, probes, batches)
    net = state.params
    summary = sharpness_summary(call, net, INPUTS)
    for name, value in zip(("gn_trace", "gn_frobenius", "gn_lambda_max"), summary, strict=False):
        np.testing.assert_allclose(records[name][-1], value, rtol=1e-4)
    np.testing.assert_allclose(records["path_norm"][-1], path_norm(net), rtol=1e-5)
    np.testing.assert_allclose(records["balance"][-1], balance_score(net), rtol=1e-5)
    outputs = jax.vmap(net)(INPUTS)
    np.testing.assert_allclose(records["train_loss"][-1], jnp.mean((outputs - targets) ** 2) / 2, rtol=1e-5)
    np.testing.assert_allclose(records["test_loss"], records["train_loss"])
    np.testing.assert_allclose(records["sign_error"][-1], np.mean(np.sign(outputs) != np.sign(targets)))
    each = example_jacobian(call, net, INPUTS) * (outputs - targets)[:, None]
    covariance = jnp.trace(jnp.cov(each.T, ddof=0))
    np.testing.assert_allclose(records["noise_trace"][-1], covariance / jnp.mean((outputs - targets) ** 2), rtol=1e-4)


def test_probes_of_a_vector_network_and_of_data_given_by_hand():
    few = Batch(INPUTS[:3], jnp.ones((3, 2)))
    probes = [
        gauss_newton_sharpness(few, chunk=2, every=3),
        curvature_noise(few, chunk=2, every=3),
        noise_trace(few, every=3),
    ]
    state, records = train(lambda key: MLP(key, (4, 5, 2)), jnp.ones((6, 2)), probes)
    np.testing.assert_allclose(
        records["gn_trace"][-1], sharpness_summary(call, state.params, few.inputs).trace, rtol=1e-4
    )
    exact = non_uniformity(example_jacobian(call, state.params, few.inputs))
    np.testing.assert_allclose(records["non_uniformity"][-1], exact, rtol=1e-3)
    assert np.isfinite(records["noise_trace"]).all()


def test_chunked_noise_trace_equals_the_plain_one_and_estimates_come_near():
    plain, chunked = (
        train(lambda key: MLP(key, (4, 5, 2)), jnp.ones((6, 2)), [probe]).records
        for probe in (noise_trace(), noise_trace(chunk=4))
    )
    np.testing.assert_allclose(plain["noise_trace"], chunked["noise_trace"], rtol=1e-4)
    state, records = train(lambda key: MLP(key, (4, 5, 2)), jnp.ones((6, 2)), [gauss_newton_estimates(num_samples=256)])
    exact = sharpness_summary(call, state.params, INPUTS)
    np.testing.assert_allclose(records["gn_trace"][-1], exact.trace, rtol=0.35)
    np.testing.assert_allclose(records["gn_lambda_max"][-1], exact.lambda_max, rtol=1e-3)


def test_noise_trace_equals_the_trace_for_residuals_of_one_size():
    # at equal |r_i| that cancel in the mean gradient the weights are equal: inputs in pairs, residuals of both signs
    inputs = jnp.concatenate([INPUTS, INPUTS])
    targets = jnp.repeat(jnp.array([1.0, -1.0]), 6)
    process = Supervised(
        lambda key: {"w": jnp.zeros(4)},
        half_squared_error,
        optax.sgd(0.0),
        FullBatch(Batch(inputs, targets)),
        forward=lambda m, x, key: x @ m["w"],
    )
    _, records = run(process, jr.key(0), 1, probes=[noise_trace(), gauss_newton_sharpness()])
    np.testing.assert_allclose(records["noise_trace"], records["gn_trace"], rtol=1e-5)


@pytest.mark.parametrize(("rate", "factor"), [(3.0, 2.0), (2.5, 1.5)])
def test_escape_from_a_parabola_takes_the_logarithm_of_the_radius(rate, factor):
    # |1 - rate| = factor, so kick * factor^t > radius
    line = lambda w, x: w @ x  # noqa: E731
    expected = int(np.ceil(np.log(0.5 / 1e-3) / np.log(factor)))
    times = escape_time(line, jnp.zeros(1), jnp.ones((4, 1)), jnp.zeros(4), rate, 2, jr.split(jr.key(0), 2), 0.5)
    assert times.tolist() == [expected] * 2


def test_sgd_escapes_where_gradient_descent_stays():
    # one of two orthogonal gradients is sharp: SGD's limit is 2 / 4, that of gradient descent 2 / 2
    line, inputs = (lambda w, x: w @ x), jnp.array([[0.1, 0.0], [0.0, 2.0]])

    def escape(size, replace):
        times = escape_time(line, jnp.zeros(2), inputs, jnp.zeros(2), 0.8, size, jr.key(0), replace=replace)
        return int(times)

    assert escape(1, True) > 0
    assert escape(2, False) == -1


def test_a_diverged_run_has_escaped():
    times = escape_time(
        lambda w, x: w @ x, jnp.zeros(1), jnp.ones((1, 1)), jnp.zeros(1), 1e30, 1, jr.key(0), radius=1e36
    )
    assert int(times) == 2


def test_bad_arguments_are_explained():
    with pytest.raises(ValueError, match="`radius` must exceed `kick`"):
        escape_time(lambda w, x: w @ x, jnp.zeros(1), jnp.ones((1, 1)), jnp.zeros(1), 0.1, 1, jr.key(0), radius=1e-4)
    with pytest.raises(ValueError, match=r"`targets` must have the shape \(2, 1\)"):
        half_squared_error(jnp.ones((2, 1)), jnp.ones(2))
