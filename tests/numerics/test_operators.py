"""Curvature operators against dense derivatives, and the conventions that their docstrings state."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.numerics.operators import empirical_fisher_operator, gauss_newton_operator, hessian_operator

from .curvature_cases import case, dense_hessian, dense_jacobian, loss, losses, output_losses, outputs

CHUNKS = pytest.mark.parametrize("chunk_size", [None, 3, 100])  # of 7 examples: all, with a rest, too large
close = lambda a, b, tol=1e-10: np.testing.assert_allclose(a, b, rtol=0, atol=tol)  # noqa: E731


@pytest.mark.parametrize(("fn", "chunk_size"), [(loss, None), (loss, 3), (loss, 100), (losses, None), (losses, 3)])
def test_hessian_is_the_dense_one(x64, fn, chunk_size):
    params, batch = case(jnp.float64)
    close(hessian_operator(fn, params, batch, chunk_size=chunk_size).to_dense(), dense_hessian(loss, params, batch))


@CHUNKS
def test_gauss_newton_is_the_mean_of_jacobians_around_the_output_hessian(x64, chunk_size):
    params, batch = case(jnp.float64)
    jacobian = dense_jacobian(outputs, params, batch)
    p = jax.nn.softmax(outputs(params, batch))
    curves = jax.vmap(jnp.diag)(p) - p[:, :, None] * p[:, None, :]
    expected = jnp.einsum("nkp,nkl,nlq->pq", jacobian, curves, jacobian) / len(p)
    found = gauss_newton_operator(outputs, output_losses, params, batch, chunk_size=chunk_size)
    close(found.to_dense(), expected)


@pytest.mark.parametrize(("fn", "chunk_size"), [(loss, None), (loss, 3), (losses, None), (losses, 3)])
def test_empirical_fisher_is_the_mean_outer_product_of_gradients(x64, fn, chunk_size):
    params, batch = case(jnp.float64)
    gradients = dense_jacobian(losses, params, batch)
    found = empirical_fisher_operator(fn, params, batch, chunk_size=chunk_size)
    close(found.to_dense(), gradients.T @ gradients / len(gradients))


def test_empirical_fisher_of_one_example(x64):
    params, batch = case(jnp.float64, count=1)
    gradient = dense_jacobian(losses, params, batch)
    for fn in (loss, losses):
        close(empirical_fisher_operator(fn, params, batch).to_dense(), gradient.T @ gradient)


def test_fisher_with_labels_from_the_model_is_gauss_newton(x64):
    params, (x, _) = case(jnp.float64)
    probabilities = jax.nn.softmax(outputs(params, (x, None)))
    total = 0.0
    for label in range(3):
        batch = (x, jnp.full(len(x), label))
        gradients = dense_jacobian(losses, params, batch)
        total += jnp.einsum("n,np,nq->pq", probabilities[:, label], gradients, gradients) / len(x)
    close(gauss_newton_operator(outputs, output_losses, params, (x, jnp.zeros(len(x), int))).to_dense(), total)


def test_gauss_newton_of_a_linear_model_is_the_hessian(x64):
    params, batch = case(jnp.float64)
    linear = lambda w, batch: batch[0] @ w["in"]  # noqa: E731
    own = {"in": params["in"]}
    fn = lambda w, batch: jnp.mean(output_losses(linear(w, batch), batch))  # noqa: E731
    close(
        gauss_newton_operator(linear, output_losses, own, batch).to_dense(), hessian_operator(fn, own, batch).to_dense()
    )


def test_factor_of_half_the_square():
    batch = (jnp.array([[1.0, 2.0], [0.0, 1.0]]), jnp.zeros(2))
    model = lambda w, batch: batch[0] @ w  # noqa: E731
    gram = batch[0].T @ batch[0] / 2
    for factor, square in ((1.0, lambda f, b: (f - b[1]) ** 2 / 2), (2.0, lambda f, b: (f - b[1]) ** 2)):
        close(gauss_newton_operator(model, square, jnp.zeros(2), batch).to_dense(), factor * gram, 1e-6)


@pytest.mark.parametrize("at_once", [None, 2])
def test_batched_products_are_single_products(x64, at_once):
    params, batch = case(jnp.float64)
    operator = hessian_operator(loss, params, batch)
    vectors = jr.normal(jr.key(0), (5, operator.dim))
    close(operator.matmat(vectors, at_once), jnp.stack([operator(v) for v in vectors]))
    assert operator.dim == 21


def test_pytree_and_flat_products_agree():
    params, batch = case()
    operator = hessian_operator(loss, params, batch)
    vector = operator.random_vector(jr.key(0))
    close(operator.view.ravel(operator.tree_matvec(operator.view.unravel(vector))), operator(vector), 1e-6)


def test_low_precision_model_has_float32_vectors():
    params, batch = case(jnp.bfloat16)
    operator = hessian_operator(loss, params, batch, chunk_size=2)
    product = operator(operator.random_vector(jr.key(0)))
    assert product.dtype == operator.dtype == jnp.float32
    exact = hessian_operator(loss, *jax.tree.map(_widened, (params, batch)))(operator.random_vector(jr.key(0)))
    assert float(jnp.linalg.norm(product - exact) / jnp.linalg.norm(exact)) < 0.1


def _widened(a):
    return a.astype(jnp.float32) if jnp.issubdtype(a.dtype, jnp.inexact) else a


def test_models_with_functions_and_integers_inside():
    model = eqx.nn.MLP(4, 3, 5, 1, key=jr.key(0))
    _, batch = case()
    fn = lambda m, b: jnp.mean(output_losses(jax.vmap(m)(b[0]), b))  # noqa: E731
    operator = hessian_operator(fn, model, batch)
    assert operator.dim == sum(a.size for a in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
    dense = operator.to_dense()
    close(dense, dense.T, 1e-6)


def test_one_compilation_for_two_sets_of_parameters():
    params, batch = case()
    traces = []

    def counted(params, batch):
        traces.append(0)
        return loss(params, batch)

    product = eqx.filter_jit(lambda operator, v: operator(v))
    for scale in (1.0, 2.0):
        operator = hessian_operator(counted, jax.tree.map(lambda a, s=scale: s * a, params), batch)
        product(operator, jnp.ones(operator.dim))
    assert len(traces) == 1


def test_refusals():
    params, batch = case()
    with pytest.raises(ValueError, match="at least 1; got 0"):
        hessian_operator(loss, params, batch, chunk_size=0)
    with pytest.raises(ValueError, match="share their leading axis"):
        hessian_operator(loss, params, (batch[0], batch[1][:3]), chunk_size=2)
    with pytest.raises(ValueError, match="at least one floating-point array"):
        hessian_operator(loss, {"n": jnp.arange(3)}, batch)
    with pytest.raises(ValueError, match="real parameters"):
        hessian_operator(loss, jnp.ones(2, complex), batch)
    with pytest.raises(ValueError, match=r"shape \(21,\)"):
        hessian_operator(loss, params, batch)(jnp.ones(3))
