"""StableMax: values by hand, the softmax identity, and gradients without NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.training.stable_softmax import log_stablemax, stablemax, stablemax_cross_entropy


def test_values_computed_by_hand(x64):
    np.testing.assert_allclose(stablemax(jnp.array([2, -1, 0.5])), [0.6, 0.1, 0.3], rtol=1e-15)
    logits, labels = jnp.array([[2, -1, 0.5], [0, 3, -4]]), jnp.array([0, 2])
    assert float(stablemax_cross_entropy(logits, labels).mean()) == pytest.approx(1.8844610808937365, rel=1e-14)
    np.testing.assert_allclose(stablemax_cross_entropy(logits, labels), -np.log([0.6, 0.2 / 5.2]), rtol=1e-14)


def test_it_is_the_softmax_of_a_signed_logarithm(x64):
    z = np.random.default_rng(0).normal(size=(20, 9)) * 50
    signed = np.sign(z) * np.log1p(np.abs(z))
    np.testing.assert_allclose(stablemax(z), jax.nn.softmax(signed), rtol=1e-12)
    np.testing.assert_allclose(log_stablemax(z), jax.nn.log_softmax(signed), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(stablemax, static_argnums=1)(z.T, 0).T, stablemax(z), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(log_stablemax, static_argnums=1)(z.T, 0).T, log_stablemax(z), rtol=1e-12)


def test_gradient_is_the_softmax_residual_over_one_plus_the_modulus(x64):
    z = np.random.default_rng(1).normal(size=8) * 20
    grad = jax.jit(jax.grad(lambda a: stablemax_cross_entropy(a, jnp.array(3))))(z)
    np.testing.assert_allclose(grad, (stablemax(z) - np.eye(8)[3]) / (1 + np.abs(z)), rtol=1e-10)


def test_gradient_equals_finite_differences_across_zero(x64):
    z, direction = np.array([1e-7, -1e-7, 0.0, 2.0]), np.array([1.0, -2.0, 0.5, 1.0])

    @jax.jit
    def loss(a):
        return stablemax_cross_entropy(a, jnp.array(0))

    slope = (loss(z + 1e-5 * direction) - loss(z - 1e-5 * direction)) / 2e-5
    assert float(jnp.vdot(jax.grad(loss)(z), direction)) == pytest.approx(float(slope), rel=1e-4)


@pytest.mark.parametrize("z", [1.0, -1.0, 0.0, 1e30, -1e30])
def test_neither_branch_gives_nan(z):
    # 1 / (1 - x) has a pole at 1 and log1p(x) at -1, on the side of the branch that is not taken.
    x = jnp.array([z, 0.5, -0.5])
    for fn in (stablemax, log_stablemax):
        assert np.all(np.isfinite(jax.jit(jax.jacobian(fn))(x)))
        assert np.all(np.isfinite(jax.jit(fn)(x)))


def test_slope_at_zero_is_one_from_both_sides():
    # For two logits (x, 0): p = s / (s + 1), so dp/dx = s' / 4 at 0.
    slopes = jax.jit(jax.vmap(jax.grad(lambda x: stablemax(jnp.stack([x, 0.0]))[0])))(jnp.array([-1e-6, 0.0, 1e-6]))
    np.testing.assert_allclose(slopes, 0.25, rtol=1e-5)


def test_it_does_not_collapse_where_the_softmax_does():
    loss, grad = jax.jit(jax.value_and_grad(stablemax_cross_entropy))(jnp.array([1000.0, 0.0, 0.0]), jnp.array(0))
    assert float(loss) == pytest.approx(np.log(1003 / 1001), rel=1e-3)
    assert grad[0] < 0


def test_dtype_of_value_and_gradient(x64):
    z = jnp.asarray([1.0, 2.0], jnp.float32)
    assert stablemax_cross_entropy(z, jnp.array(0)).dtype == jnp.float32
    value, grad = jax.jit(jax.value_and_grad(lambda a: stablemax_cross_entropy(a, jnp.array(0), jnp.float64)))(z)
    assert value.dtype == jnp.float64
    assert grad.dtype == jnp.float32
    assert float(value) == pytest.approx(np.log(5 / 2), rel=1e-14)


def test_compiled_and_batched_agree():
    z = jnp.asarray(np.random.default_rng(2).normal(size=(6, 5)), jnp.float32)
    y = jnp.arange(6) % 5
    np.testing.assert_allclose(
        jax.jit(jax.vmap(stablemax_cross_entropy))(z, y), stablemax_cross_entropy(z, y), rtol=1e-6
    )


def test_bad_arguments_are_explained():
    with pytest.raises(ValueError, match="enable_x64"):
        stablemax_cross_entropy(jnp.zeros(3), jnp.array(0), jnp.float64)
    with pytest.raises(ValueError, match="integer classes"):
        stablemax_cross_entropy(jnp.zeros(3), jnp.zeros(3))
