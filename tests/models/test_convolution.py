"""Convolution by patches against XLA's, in value and derivatives, and what the layer promises."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.convolution import Convolution, _by_patches, _by_xla, convolve


def case(rows=3, columns=2, leading=(2,)):
    x = jr.normal(jr.key(0), (*leading, 7, 6, 3), jnp.float64)
    return x, jr.normal(jr.key(1), (rows, columns, 3, 4), jnp.float64)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (1, 1), (2, 5)])
def test_patches_and_xla_agree_in_value_and_gradients(x64, padding, stride, rows, columns):
    x, kernel = case(rows, columns)

    def measure(fn):
        loss = lambda x, kernel: jnp.sum(jnp.sin(fn(x, kernel, stride, padding)))  # noqa: E731
        return fn(x, kernel, stride, padding), jax.grad(loss, (0, 1))(x, kernel)

    for ours, theirs in zip(jax.tree.leaves(measure(_by_patches)), jax.tree.leaves(measure(_by_xla)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


def test_hessian_products_agree_also_for_many_vectors_at_once(x64):
    x, kernel = case()
    vectors = jr.normal(jr.key(2), (3, *kernel.shape), jnp.float64)

    def products(fn):
        slope = jax.grad(lambda k: jnp.sum(jnp.tanh(fn(x, k, 1, "SAME")) ** 2))
        return jax.vmap(jax.linearize(slope, kernel)[1])(vectors)

    np.testing.assert_allclose(products(_by_patches), products(_by_xla), rtol=1e-9, atol=1e-9)


def test_leading_axes_and_vmap_are_the_same(x64):
    x, kernel = case(leading=(2, 3))
    whole = convolve(x, kernel)
    np.testing.assert_allclose(jax.vmap(jax.vmap(lambda one: convolve(one, kernel)))(x), whole, rtol=1e-12)
    np.testing.assert_allclose(convolve(x[1, 2], kernel), whole[1, 2], rtol=1e-12)


def test_on_a_cpu_no_convolution_reaches_the_compiler():
    # XLA's runs as a naive loop within compiled loops
    lowered = jax.jit(jax.grad(lambda k, x: jnp.sum(convolve(x, k)))).lower(jnp.ones((3, 3, 1, 2)), jnp.ones((4, 4, 1)))
    assert "convolution" not in lowered.as_text()


def test_a_kernel_of_one_entry_shifts_the_image():
    x = jnp.arange(9.0).reshape(3, 3, 1)
    shifted = convolve(x, jnp.zeros((3, 3, 1, 1)).at[1, 2].set(1.0))[..., 0]
    np.testing.assert_array_equal(shifted, [[1, 2, 0], [4, 5, 0], [7, 8, 0]])


def test_layer_has_unit_response_to_white_noise_and_its_bias():
    layer = Convolution(jr.key(0), 16, 64, padding="VALID")
    out = layer(jr.normal(jr.key(1), (8, 10, 10, 16)))
    assert out.shape == (8, 8, 8, 64)
    np.testing.assert_allclose(jnp.var(out), 1.0, rtol=0.05)
    assert Convolution(jr.key(0), 2, 3, use_bias=False, dtype=jnp.bfloat16)(
        jnp.ones((4, 4, 2), jnp.bfloat16)
    ).dtype == (jnp.bfloat16)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, 4, 2), {}, "inputs"),
        ((4, 4, 3), {"stride": 0}, "stride"),
        ((4, 4, 3), {"padding": "FULL"}, "padding"),
        ((2, 4, 3), {"padding": "VALID"}, "must fit"),
    ],
)
def test_what_does_not_fit_is_refused(shape, options, message):
    with pytest.raises(ValueError, match=message):
        convolve(jnp.ones(shape), jnp.ones((3, 3, 3, 1)), **options)


def test_layers_need_positive_sizes():
    with pytest.raises(ValueError, match="`outputs`"):
        Convolution(jr.key(0), 1, 0)
