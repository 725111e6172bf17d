"""Tangent kernels and distances in parameter space."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.committee import CommitteeQuadratic
from separatrix.models.mlp import MLP
from separatrix.numerics.kernels import empirical_ntk, ntk_distance, parameter_displacement


@pytest.fixture
def net(x64):
    return MLP(jr.key(0), (4, 7, 3), activation=jnp.tanh, dtype=jnp.float64)


def apply(model, x):
    return model(x)


def dense(f, params, inputs, others):
    """Flatten everything into two Jacobian matrices and multiply them."""
    leaves, build = jax.flatten_util.ravel_pytree(params)
    rows = lambda z: jax.vmap(jax.jacfwd(lambda p, x: jnp.ravel(f(build(p), x))), (None, 0))(leaves, z)  # noqa: E731
    return jnp.einsum("iap,jbp->ijab", rows(inputs), rows(others))


@pytest.mark.parametrize("block", [None, 1, 2, 5, 100])
def test_blocks_of_any_size_give_the_dense_kernel(net, block):
    x, z = jr.normal(jr.key(1), (5, 4), jnp.float64), jr.normal(jr.key(2), (3, 4), jnp.float64)
    params = eqx.filter(net, eqx.is_inexact_array)
    f = lambda p, one: eqx.combine(p, net)(one)  # noqa: E731
    for others in (x, z):
        expected = dense(f, params, x, others)
        found = empirical_ntk(apply, net, x, others, block=block)
        np.testing.assert_allclose(found, expected, rtol=1e-12)
        np.testing.assert_allclose(
            empirical_ntk(apply, net, x, others, block=block, trace=True),
            jnp.einsum("ijaa->ij", expected),
            rtol=1e-12,
        )


def test_kernel_of_a_linear_model_is_that_of_its_inputs(x64):
    x = jr.normal(jr.key(0), (6, 3), jnp.float64)
    kernel = empirical_ntk(lambda p, z: p["w"] @ z + p["b"], {"w": jnp.ones(3), "b": jnp.zeros(())}, x)
    np.testing.assert_allclose(kernel, x @ x.T + 1, rtol=1e-13)


def test_outputs_keep_their_shape_and_inputs_may_be_any_pytree():
    f = lambda p, x: jnp.outer(p * x["a"], x["b"])  # noqa: E731
    inputs = {"a": jnp.ones((4, 2)), "b": jnp.ones((4, 3))}
    kernel = empirical_ntk(f, jnp.ones(2), inputs, block=3)
    assert kernel.shape == (4, 4, 2, 3, 2, 3)
    np.testing.assert_allclose(jnp.einsum("ijabab->ij", kernel), 6)


def test_layers_add_up_to_the_whole_kernel(net):
    x = jr.normal(jr.key(1), (5, 4), jnp.float64)
    total = empirical_ntk(apply, net, x)
    none = jax.tree.map(lambda _: False, net)
    parts = [
        empirical_ntk(apply, net, x, filter_spec=eqx.tree_at(lambda n, i=i: n.weights[i], none, True)) for i in (0, 1)
    ]
    np.testing.assert_allclose(parts[0] + parts[1], total, rtol=1e-12)


def test_kernel_of_the_wide_committee_at_the_start(x64):
    # N K -> (x . x') + eps^2 (x . x')^2 as N grows, with an error of order N^(-1/2)
    x = jr.normal(jr.key(3), (5, 6), jnp.float64) / 6**0.5
    gram, eps = x @ x.T, 0.7
    errors = []
    for width in (1_000, 100_000):
        model = CommitteeQuadratic(jr.key(4), 6, width, eps, dtype=jnp.float64)
        kernel = width * empirical_ntk(apply, model, x)
        errors.append(float(jnp.max(jnp.abs(kernel - gram - eps**2 * gram**2))))
    assert errors[1] < 0.02
    assert errors[1] < errors[0] / 3


def test_half_precision_parameters_give_a_float32_kernel():
    kernel = empirical_ntk(lambda p, x: jnp.sum(p * x), jnp.ones(2, jnp.bfloat16), jnp.ones((3, 2), jnp.bfloat16))
    assert kernel.dtype == jnp.float32


def test_what_cannot_be_is_refused(net):
    with pytest.raises(ValueError, match="selects no parameter"):
        empirical_ntk(apply, net, jnp.ones((2, 4)), filter_spec=jax.tree.map(lambda _: False, net))
    with pytest.raises(ValueError, match="`block` must be at least 1; got 0"):
        empirical_ntk(apply, net, jnp.ones((2, 4)), block=0)


def test_distance_ignores_scale_and_sees_rotation():
    kernel = jnp.diag(jnp.array([1.0, 2.0]))
    assert float(ntk_distance(5 * kernel, kernel)) == pytest.approx(0, abs=1e-6)
    assert float(ntk_distance(jnp.diag(jnp.array([1.0, 0])), jnp.diag(jnp.array([0, 1.0])))) == pytest.approx(1)


def test_displacement_is_the_distance_of_the_flattened_vectors():
    start = {"a": jnp.array([3.0, 0.0]), "b": jnp.array(4.0, jnp.bfloat16), "n": jnp.array(3)}
    now = {"a": jnp.array([3.0, 5.0]), "b": jnp.array(16.0, jnp.bfloat16), "n": jnp.array(9)}
    assert float(parameter_displacement(now, start, relative=False)) == pytest.approx(13)
    assert float(parameter_displacement(now, start)) == pytest.approx(13 / 5)
