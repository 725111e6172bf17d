"""Sharpness, trace and norm against dense Hessians; stability limits against the optimisers themselves."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from separatrix.numerics.sharpness_measures import (
    adam_preconditioner,
    frobenius_norm,
    hessian_trace,
    preconditioned_sharpness,
    sharpness,
    stability_limit,
)
from separatrix.numerics.trace_estimators import hutch_pp_trace, xtrace

from .curvature_cases import case, dense_hessian, loss

close = lambda a, b, tol: np.testing.assert_allclose(a, b, rtol=0, atol=tol)  # noqa: E731


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_sharpness_is_the_top_of_the_dense_spectrum(x64, chunk_size):
    params, batch = case(jnp.float64)
    matrix = dense_hessian(loss, params, batch)
    found = sharpness(loss, params, batch, chunk_size=chunk_size, tolerance=1e-8)
    close(found.value, jnp.linalg.eigvalsh(matrix)[-1], 1e-10)
    close(matrix @ found.vector, found.value * found.vector, 1e-7)
    assert bool(found.converged)


def test_of_a_loss_with_negative_curvature_it_is_the_largest_not_the_longest():
    found = sharpness(lambda w, b: jnp.sum(b * w**2) / 2, jnp.ones(3), jnp.array([-5.0, 1.0, 0.5]))
    assert float(found.value) == pytest.approx(1.0, rel=1e-5)


def test_warm_start_flat_or_structured_finds_the_same(x64):
    params, batch = case(jnp.float64)
    cold = sharpness(loss, params, batch, tolerance=1e-6)
    moved = jax.tree.map(lambda a: a * 1.001, params)
    _, unravel = ravel_pytree(params)
    fresh = sharpness(loss, moved, batch, tolerance=1e-6)
    for start in (cold.vector, unravel(cold.vector)):
        warm = sharpness(loss, moved, batch, start=start, tolerance=1e-6)
        close(warm.value, fresh.value, 1e-9)


def test_a_start_orthogonal_to_the_top_still_finds_it():
    # 40 dimensions, so that one basis does not span the space
    curvatures = jnp.linspace(0.1, 1.0, 40).at[0].set(3.0)
    start = jnp.zeros(40).at[5].set(1.0)
    found = sharpness(lambda w, b: jnp.sum(b * w**2) / 2, jnp.zeros(40), curvatures, start=start)
    assert float(found.value) == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize("estimator", [None, hutch_pp_trace, xtrace])
def test_trace(x64, estimator):
    params, batch = case(jnp.float64)
    options = {} if estimator is None else {"estimator": estimator}
    found = hessian_trace(loss, params, batch, jr.key(0), num_matvecs=100, **options)
    assert abs(found.value - jnp.trace(dense_hessian(loss, params, batch))) < 4 * found.standard_error + 1e-9


def test_frobenius_norm(x64):
    params, batch = case(jnp.float64)
    found = frobenius_norm(loss, params, batch, jr.key(0), num_matvecs=400, chunk_size=3)
    assert abs(found.value - jnp.linalg.norm(dense_hessian(loss, params, batch))) < 4 * found.standard_error
    assert float(found.standard_error / found.value) < 0.1


def test_preconditioned_sharpness_is_the_top_of_p_inverse_h(x64):
    params, batch = case(jnp.float64)
    scale = jax.tree.map(lambda a: 0.1 + jr.uniform(jr.key(a.size), a.shape), params)
    matrix = dense_hessian(loss, params, batch) / ravel_pytree(scale)[0][:, None]
    found = preconditioned_sharpness(loss, params, batch, scale, tolerance=1e-8)
    close(found.value, jnp.linalg.eigvals(matrix).real.max(), 1e-9)


def test_reparametrisation_leaves_preconditioned_sharpness_alone(x64):
    # w = D u changes H to D H D and P, if it holds squared scales, to D P D
    params, batch = case(jnp.float64)
    stretch = jax.tree.map(lambda a: 0.5 + jr.uniform(jr.key(a.size + 1), a.shape), params)
    other = lambda u, b: loss(jax.tree.map(jnp.multiply, stretch, u), b)  # noqa: E731
    here = preconditioned_sharpness(loss, params, batch, jax.tree.map(jnp.ones_like, params), tolerance=1e-8)
    shifted = jax.tree.map(jnp.divide, params, stretch)
    there = preconditioned_sharpness(other, shifted, batch, jax.tree.map(jnp.square, stretch), tolerance=1e-8)
    close(here.value, there.value, 1e-9)


def test_before_the_first_update_of_adam_it_is_nan():
    params, batch = case()
    state = optax.adam(1e-3).init(params)
    found = preconditioned_sharpness(loss, params, batch, adam_preconditioner(state))
    assert bool(jnp.isnan(found.value))


@pytest.mark.parametrize("optimiser", [optax.adam(1e-2), optax.adamw(1e-2, weight_decay=0.0)])
def test_preconditioner_is_what_adam_divides_by(x64, optimiser):
    params, batch = case(jnp.float64)
    state = optimiser.init(params)
    for _ in range(3):
        updates, state = optimiser.update(jax.grad(loss)(params, batch), state, params)
        params = optax.apply_updates(params, updates)
    mean = optax.tree_utils.tree_get(state, "mu")
    expected = jax.tree.map(lambda m, p: -1e-2 * m / p, mean, adam_preconditioner(state))
    jax.tree.map(lambda a, b: close(a, b, 1e-12), updates, expected)


def test_preconditioner_needs_one_adam():
    params, _ = case()
    with pytest.raises(ValueError, match="it holds 0"):
        adam_preconditioner(optax.sgd(0.1).init(params))


@pytest.mark.parametrize(("momentum", "dampening"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.9)])
@pytest.mark.parametrize("factor", [0.98, 1.02])
def test_stability_limit_is_where_the_iteration_starts_to_grow(x64, momentum, dampening, factor):
    rate = 0.1
    curvature = factor * float(stability_limit(rate, momentum, dampening))

    def step(state, _):
        w, v = state
        v = momentum * v + (1 - dampening) * curvature * w
        return (w - rate * v, v), None

    (w, _), _ = jax.lax.scan(step, (1.0, 0.0), None, 3_000)
    assert (abs(w) < 1) == (factor < 1)


def test_adam_at_its_edge(x64):
    # On a quadratic, Adam with a frozen preconditioner is damped heavy ball on P^-1 H: 38 / rate is the edge.
    curvature, scale, b1 = jnp.array([1.0, 3.0]), jnp.array([0.5, 0.1]), 0.9
    quadratic = lambda w, b: jnp.sum(b * w**2) / 2  # noqa: E731
    top = preconditioned_sharpness(quadratic, jnp.zeros(2), curvature, scale).value
    close(top, 30.0, 1e-9)
    for factor, grows in ((0.98, False), (1.02, True)):
        rate = factor * 38 / top

        def step(state, _, rate=rate):
            w, m = state
            m = b1 * m + (1 - b1) * curvature * w
            return (w - rate * m / scale, m), None

        (w, _), _ = jax.lax.scan(step, (jnp.ones(2), jnp.zeros(2)), None, 3_000)
        assert (float(jnp.linalg.norm(w)) > 1) == grows
