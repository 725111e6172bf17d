"""Rounding agrees with NumPy's casts to the bit, under every transformation, and sums have one order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.numerics.rounding import pairwise_sum, resolve_float_dtype, round_to, rounded_exp, rounded_log


def cast_and_back(x, name):
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(jnp.dtype(name)).astype(x.dtype)


def random_bits(count=200_000):
    values = np.random.default_rng(0).integers(0, 2**32, count, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near_half = (np.random.default_rng(1).normal(size=count) * 10 ** np.linspace(-9, 6, count)).astype(np.float32)
    edges = np.array([0, -0.0, np.inf, -np.inf, np.nan, 65519, 65520, 2**-14, 2**-24, 2**-25, 3 * 2**-25], np.float32)
    return np.concatenate([values, near_half, edges])


def assert_same_bits(x, y):
    np.testing.assert_array_equal(x, y)
    numbers = ~np.isnan(y)
    np.testing.assert_array_equal(np.signbit(x)[numbers], np.signbit(y)[numbers])


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("transform", [jax.jit, jax.vmap])
def test_rounding_in_float32_equals_a_cast_and_back(name, transform):
    x = random_bits()
    assert_same_bits(np.asarray(transform(lambda v: round_to(v, name))(x)), cast_and_back(x, name))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_rounding_in_float64_equals_a_cast_and_back_subnormals_included(x64, name):
    rng = np.random.default_rng(2)
    bits = random_bits(10_000)
    x = np.concatenate([rng.normal(size=50_000) * 2.0 ** rng.integers(-160, 130, 50_000), bits[~np.isnan(bits)]])
    y = round_to(jnp.asarray(x), name)
    assert y.dtype == jnp.float64
    assert_same_bits(np.asarray(jax.jit(round_to, static_argnums=1)(x, name)), cast_and_back(x, name))
    assert_same_bits(np.asarray(y), cast_and_back(x, name))


def test_a_wider_format_changes_nothing():
    x = jnp.asarray([0.1, 1e-7, 3.0], jnp.float16)
    assert round_to(x, "float32").dtype == jnp.float16
    np.testing.assert_array_equal(round_to(x, "float32"), x)


def test_a_rounded_product_is_not_fused_into_the_next_operation():
    # A fused multiply-add returns the rounding error of the product here, not zero.
    x = jnp.asarray(np.random.default_rng(0).normal(size=113), jnp.float32)

    def residue(a):
        product = round_to(a * x, "float32")
        return jnp.max(product - jnp.max(product))

    for a in np.linspace(1, 2, 20, dtype=np.float32):
        assert jax.jit(residue)(a) == 0


def test_rounding_has_the_derivative_of_the_identity():
    assert jax.grad(round_to)(0.1, "float16") == 1.0
    assert jax.jvp(lambda x: round_to(x, "float16"), (0.1,), (3.0,))[1] == 3.0


@pytest.mark.parametrize(
    ("x", "dtype", "message"),
    [
        (jnp.arange(3), "float16", "float dtype"),
        (jnp.ones(2, jnp.float16), "bfloat16", "neither format"),
        (jnp.ones(2), "int8", "must be one of"),
        (jnp.ones(2), "half-ish", "must be one of"),
        (jnp.ones(2), "float64", "enable_x64"),
    ],
)
def test_unusable_formats_are_refused(x, dtype, message):
    with pytest.raises(ValueError, match=message):
        round_to(x, dtype)


def test_dtypes_resolve_by_name_and_by_type(x64):
    assert resolve_float_dtype(jnp.bfloat16) == resolve_float_dtype("bfloat16")
    assert resolve_float_dtype("float64") == np.float64


def tree_sum(x, dtype):
    """Slow twin in NumPy, whose half-precision additions round to half precision."""
    x = list(np.asarray(x).astype(dtype))
    while len(x) > 1:
        half = len(x) // 2
        x = [dtype(a + b) for a, b in zip(x[:half], x[half : 2 * half], strict=True)] + x[2 * half :]
    return x[0] if x else dtype(0)


@pytest.mark.parametrize("length", [0, 1, 7, 113])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_pairwise_sum_equals_its_slow_twin_to_the_bit(length, dtype):
    x = np.random.default_rng(length).lognormal(sigma=3, size=(5, length)).astype(np.float32)
    expected = [tree_sum(row, dtype) for row in x]
    for total in (
        pairwise_sum(x, dtype=dtype),
        jax.jit(lambda v: pairwise_sum(v, dtype=dtype))(x),
        jax.vmap(lambda v: pairwise_sum(v, dtype=dtype))(x),
        pairwise_sum(x.T, axis=0, dtype=dtype),
        jnp.stack([pairwise_sum(row, dtype=dtype) for row in x]),
    ):
        np.testing.assert_array_equal(total, np.asarray(expected, np.float32))


def test_pairwise_sum_loses_log_n_bits_where_a_running_sum_loses_n():
    # 4096 equal terms: the tree is exact, a running float16 sum stalls at 2048.
    assert pairwise_sum(jnp.ones(4096), dtype="float16") == 4096.0


def test_pairwise_sum_has_unit_gradient():
    np.testing.assert_array_equal(jax.grad(pairwise_sum)(jnp.arange(5.0)), jnp.ones(5))


@pytest.mark.parametrize(
    ("ours", "numpys", "low", "high"), [(rounded_exp, np.exp, -80, 20), (rounded_log, np.log, 0.1, 200)]
)
@pytest.mark.parametrize("shape", [(601,), (3,), ()])
def test_exp_and_log_are_rounded_correctly_in_every_shape(ours, numpys, low, high, shape):
    x = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
    expected = numpys(x.astype(np.float64)).astype(np.float32)
    np.testing.assert_array_equal(ours(x), expected)
    np.testing.assert_array_equal(jax.jit(ours)(x), expected)
    assert ours(x).dtype == jnp.float32


def test_exp_and_log_differentiate_under_every_transformation():
    x = jnp.asarray([0.5, 1.5, 2.5])
    np.testing.assert_array_equal(jax.vmap(jax.grad(jax.jit(rounded_exp)))(x), rounded_exp(x))
    np.testing.assert_array_equal(jax.jit(jax.vmap(jax.grad(jax.grad(rounded_exp))))(x), rounded_exp(x))
    np.testing.assert_allclose(jax.vmap(jax.grad(jax.grad(rounded_log)))(x), -1 / x**2, rtol=1e-6)
    np.testing.assert_array_equal(jax.lax.map(rounded_exp, x), rounded_exp(x))
