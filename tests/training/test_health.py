"""Probes of collapse count exactly the examples whose loss has stopped."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.health import collapse_mask, logit_scale, softmax_collapse, zero_loss_fraction


def batch(scale, seed=0, count=300, classes=10):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=(count, classes)) * scale, jnp.float32), jnp.asarray(rng.integers(0, 10, count))


@pytest.mark.parametrize(("name", "learns", "collapsed"), [("float32", 16, 18), ("float16", 7, 9), ("float64", 36, 38)])
def test_collapse_at_the_test_points(x64, name, learns, collapsed):
    logits = jnp.asarray([[learns, 0, 0], [collapsed, 0, 0], [0, collapsed, 0], [0, 0, 0]], jnp.float32)
    labels = jnp.zeros(4, int)
    assert collapse_mask(logits, labels, name).tolist() == [False, True, False, False]
    assert collapse_mask(logits, labels, name, require_correct=False).tolist() == [False, True, True, False]
    assert softmax_collapse(logits, labels, name) == 0.25
    assert zero_loss_fraction(logits, labels, name) == 0.25


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_collapsed_means_zero_loss_and_zero_gradient_of_the_correct_logit(name):
    logits, labels = batch(10.0)
    mask = collapse_mask(logits, labels, name)
    assert 0 < mask.sum() < mask.size
    loss, grad = jax.jit(jax.vmap(jax.value_and_grad(lambda z, y: softmax_cross_entropy(z, y, name))))(logits, labels)
    correct = jnp.take_along_axis(grad, labels[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(mask, loss == 0)
    assert np.all(np.asarray(correct)[np.asarray(mask)] == 0)
    assert softmax_collapse(logits, labels, name) == pytest.approx(float(np.mean(mask)))
    assert zero_loss_fraction(logits, labels, name) == pytest.approx(float(np.mean(loss == 0)))


def test_collapse_rises_with_the_scale_of_the_logits_and_falls_with_precision(x64):
    logits, _ = batch(1.0)
    labels = jnp.argmax(logits, axis=-1)
    table = np.array(
        [
            [softmax_collapse(scale * logits, labels, name) for scale in (1.0, 10.0, 30.0, 1000.0)]
            for name in ("bfloat16", "float16", "float32", "float64")
        ]
    )
    assert np.all(np.diff(table, axis=1) >= 0)
    assert np.all(np.diff(table, axis=0) <= 0)
    np.testing.assert_array_equal(table[:, 0], 0)
    assert np.all(np.diff(table[:, 2]) < 0)  # strictly, where the margins are about 30


def test_overflow_and_nan_do_not_count_as_collapse():
    logits = jnp.asarray([[7e4, 0.0], [jnp.nan, 0.0]])
    assert collapse_mask(logits, jnp.zeros(2, int), "float16").tolist() == [False, False]


def test_logit_scale_is_the_maximum_norm():
    logits, _ = batch(3.0)
    assert logit_scale(logits) == np.abs(logits).max()
    assert logit_scale(-2 * logits) == 2 * logit_scale(logits)


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="without its last axis"):
        softmax_collapse(jnp.zeros((4, 3)), jnp.zeros(3, int))
