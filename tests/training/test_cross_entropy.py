"""The loss rounds as stated, collapses where arithmetic says, and has the gradient of cross-entropy elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from separatrix.training.cross_entropy import (
    check_labels,
    log_softmax,
    mask_correct_class,
    softmax_cross_entropy,
    softmax_terms,
)


def examples(count, classes, scale, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, classes)) * scale).astype(np.float32), rng.integers(0, classes, count)


def slow_twin(z, label, dtype):
    """Loss and gradient of one example in NumPy scalars that round after each operation."""
    wide = np.float32 if np.dtype(dtype).itemsize == 2 else dtype

    def function(fn, x):
        return np.asarray(fn(np.asarray(x, np.float64))).astype(wide).astype(dtype)

    z = z.astype(dtype)
    shifted = (z - z.max()).astype(dtype)
    terms = list(function(np.exp, shifted))
    while len(terms) > 1:
        half = len(terms) // 2
        paired = [dtype(a + b) for a, b in zip(terms[:half], terms[half : 2 * half], strict=True)]
        terms = paired + terms[2 * half :]
    log_probabilities = (shifted - function(np.log, terms[0])).astype(dtype)
    onehot = (np.arange(len(z)) == label).astype(dtype)
    return -log_probabilities[label], (function(np.exp, log_probabilities) - onehot).astype(dtype)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(("classes", "scale"), [(3, 2), (59, 12)])
def test_loss_and_gradient_equal_the_slow_twin_to_the_bit(name, classes, scale):
    z, y = examples(40, classes, scale)
    dtype = jnp.dtype(name).type
    losses, grads = zip(*(slow_twin(row, label, dtype) for row, label in zip(z, y, strict=True)), strict=True)
    value, grad = jax.jit(jax.vmap(jax.value_and_grad(lambda a, b: softmax_cross_entropy(a, b, name))))(z, y)
    np.testing.assert_array_equal(value, np.asarray(losses, np.float32))
    np.testing.assert_array_equal(grad, np.asarray(grads, np.float32))


@pytest.mark.parametrize(("name", "learns", "collapsed"), [("float32", 16, 18), ("float16", 7, 9), ("float64", 36, 38)])
def test_collapse_thresholds_for_three_classes(x64, name, learns, collapsed):
    # Half the spacing above 1 is 2^-24, 2^-11, 2^-53; exp(-d) and 2 exp(-d) lie on the same side of it at these d.
    before, after = (jnp.asarray([d, 0, 0], jnp.float32) for d in (float(learns), float(collapsed)))
    loss = jax.jit(jax.value_and_grad(lambda z: softmax_cross_entropy(z, jnp.array(0), name)))
    value, grad = loss(before)
    assert value > 0
    assert grad[0] < 0
    value, grad = loss(after)
    assert value == 0
    assert not np.signbit(value)
    assert grad[0] == 0
    assert np.all(np.asarray(grad[1:]) > 0)


@pytest.mark.parametrize(("name", "classes"), [("float16", 10), ("float32", 3), ("float32", 59), ("float64", 10)])
def test_eager_compiled_batched_and_single_evaluation_agree_to_the_bit(x64, name, classes):
    z, y = map(jnp.asarray, examples(37, classes, 8))

    def both(a, b):
        return jax.value_and_grad(softmax_cross_entropy)(a, b, name)

    value, grad = jax.vmap(both)(z, y)
    variants = [jax.jit(jax.vmap(both))(z, y), jax.lax.map(lambda a: both(*a), (z, y))]
    for fn in (both, jax.jit(both)):
        variants.append(jax.tree.map(lambda *x: np.stack(x), *(fn(a, b) for a, b in zip(z, y, strict=True))))
    for other_value, other_grad in variants:
        np.testing.assert_array_equal(value, other_value)
        np.testing.assert_array_equal(grad, other_grad)
    np.testing.assert_array_equal(value, softmax_cross_entropy(z, y, name))


def test_a_product_before_the_loss_is_not_fused_into_it():
    # With a fused multiply-add the largest logit minus the maximum would be a rounding error instead of zero.
    z, y = examples(1, 113, 1)
    fused = jax.jit(lambda a: softmax_cross_entropy(a * z, y))
    for scale in np.linspace(30, 60, 15, dtype=np.float32):
        compiled = fused(scale)
        np.testing.assert_array_equal(compiled, softmax_cross_entropy(jnp.asarray(scale * z), y))


def test_gradient_equals_finite_differences_in_float64(x64):
    z, y = examples(5, 7, 2)
    z = z.astype(np.float64)

    @jax.jit
    def total(a):
        return jnp.sum(softmax_cross_entropy(a, y, "float64") * jnp.arange(1, 6))

    direction = np.random.default_rng(3).normal(size=z.shape)
    slope = (total(z + 1e-5 * direction) - total(z - 1e-5 * direction)) / 2e-5
    assert float(jnp.vdot(jax.grad(total)(z), direction)) == pytest.approx(float(slope), rel=1e-8)


def test_hessian_vector_product_is_that_of_the_softmax(x64):
    z = jnp.asarray([0.3, -1.0, 2.0, 0.5])
    v = jnp.asarray([1.0, 2.0, -1.0, 0.5])
    p = jax.nn.softmax(z)
    _, product = jax.jvp(jax.grad(lambda a: softmax_cross_entropy(a, jnp.array(2), "float64")), (z,), (v,))
    np.testing.assert_allclose(product, p * v - p * jnp.vdot(p, v), rtol=1e-10)


@pytest.mark.parametrize(("name", "tolerance"), [("float16", 5e-3), ("bfloat16", 4e-2), ("float32", 1e-6)])
def test_loss_is_the_cross_entropy_up_to_the_precision(name, tolerance):
    z, y = examples(50, 10, 1)
    expected = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(z), jnp.asarray(y))
    np.testing.assert_allclose(softmax_cross_entropy(z, y, name), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_shifting_all_logits_changes_nothing_where_the_shift_is_exact(x64, name):
    z, y = examples(20, 10, 1)
    z = np.round(z * 64) / 64
    value = softmax_cross_entropy(z, y, name)
    np.testing.assert_array_equal(value, softmax_cross_entropy(z + 4, y, name))
    np.testing.assert_array_equal(value, softmax_cross_entropy(z - 8, y, name))


def test_log_probabilities_and_loss_agree_and_axis_is_free():
    z, y = examples(6, 5, 2)
    values = log_softmax(z, "float16")
    np.testing.assert_array_equal(-values[np.arange(6), y], softmax_cross_entropy(z, y, "float16"))
    np.testing.assert_array_equal(log_softmax(z.T, "float16", axis=0).T, values)


def test_log_softmax_has_the_gradient_of_the_log_softmax():
    z, _ = examples(4, 6, 2)
    weights = np.random.default_rng(5).normal(size=z.shape).astype(np.float32)
    ours = jax.grad(lambda a: jnp.vdot(log_softmax(a), weights))(jnp.asarray(z))
    theirs = jax.grad(lambda a: jnp.vdot(jax.nn.log_softmax(a), weights))(jnp.asarray(z))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(
    ("logits_dtype", "name"),
    [
        ("float16", "bfloat16"),
        ("bfloat16", "float16"),
        ("float64", "float16"),
        ("float64", "float32"),
        ("float32", "float64"),
    ],
)
def test_dtypes_of_value_and_gradient(x64, logits_dtype, name):
    z = jnp.asarray([2.0, 1.0, 0.0], logits_dtype)
    value, grad = jax.jit(jax.value_and_grad(lambda a: softmax_cross_entropy(a, jnp.array(1), name)))(z)
    assert value.dtype == (jnp.float64 if name == "float64" else jnp.float32)
    assert grad.dtype == z.dtype
    assert float(value) == pytest.approx(1.4076, rel=0.02)


def test_the_sum_is_at_least_one_and_at_most_the_number_of_classes():
    z, _ = examples(100, 17, 1)
    shifted, total = softmax_terms(z, "float16")
    assert np.all((total >= 1) & (total <= 17))
    np.testing.assert_array_equal(jnp.max(shifted, axis=-1), 0)


def test_overflow_of_the_format_gives_nan_and_a_wrong_label_too():
    assert np.isnan(softmax_cross_entropy(jnp.array([7e4, 0.0]), jnp.array(0), "float16"))
    assert np.isnan(softmax_cross_entropy(jnp.zeros(3), jnp.array(3)))


def test_masked_loss_keeps_the_value_and_all_gradients_but_one():
    z, y = examples(8, 5, 3)
    total, masked = (
        lambda a, f=f: jnp.sum(f(a, y)) for f in (softmax_cross_entropy, mask_correct_class(softmax_cross_entropy))
    )
    value, grad = jax.value_and_grad(total)(z)
    masked_value, masked_grad = jax.value_and_grad(masked)(z)
    assert value == masked_value
    np.testing.assert_array_equal(masked_grad, np.where(np.arange(5) == y[:, None], 0, grad))


@pytest.mark.parametrize(
    ("labels", "precision", "message"),
    [
        (jnp.zeros(3), "float32", "integer classes"),
        (jnp.zeros((2, 3), int), "float32", "without its last axis"),
        (jnp.array(0), "float8", "must be one of"),
        (jnp.array(0), "float64", "enable_x64"),
    ],
)
def test_bad_arguments_are_explained(labels, precision, message):
    with pytest.raises(ValueError, match=message):
        softmax_cross_entropy(jnp.zeros(3), labels, precision)


def test_check_labels_returns_arrays():
    logits, labels = check_labels(np.zeros((2, 3), np.float32), np.array([0, 1]))
    assert logits.shape == (2, 3)
    assert labels.shape == (2,)
