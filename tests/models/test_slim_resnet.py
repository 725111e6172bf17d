"""The slim residual network: its size in closed form, and statistics that only training moves."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models import SlimResNet18


def expected_size(maps, classes, channels, features):
    """Weights of all convolutions, two numbers a map for each normalisation, and the last layer."""
    total = 9 * channels * maps + 2 * maps
    inputs = maps
    for outputs in (maps, 2 * maps, 4 * maps, 8 * maps):
        total += 9 * inputs * outputs + 3 * 9 * outputs * outputs + 4 * 2 * outputs
        total += 0 if inputs == outputs else inputs * outputs + 2 * outputs
        inputs = outputs
    return total + features * classes + classes


@pytest.mark.parametrize(
    ("options", "features"), [({}, 160), ({"maps": 3, "channels": 1}, 24), ({"pool": 4, "side": 84}, 640)]
)
def test_size_in_closed_form(options, features):
    model = jax.eval_shape(lambda key: SlimResNet18(key, 10, **options), jr.key(0))
    found = sum(leaf.size for leaf in jax.tree.leaves(model))
    assert found == expected_size(options.get("maps", 20), 10, options.get("channels", 3), features)


@pytest.fixture(scope="module")
def case():
    model = jax.jit(lambda key: SlimResNet18(key, 5, maps=2))(jr.key(0))
    images = jr.uniform(jr.key(1), (6, 8, 8, 3))
    return model, images, jax.jit(SlimResNet18.__call__)(model, images, model.statistics())


@pytest.mark.slow
def test_compiled_equals_eager(case):
    model, images, (logits, moved) = case
    plain, statistics = model(images, model.statistics())
    assert logits.shape == (6, 5)
    np.testing.assert_allclose(logits, plain, rtol=1e-3, atol=1e-4)
    for one, two in zip(jax.tree.leaves(moved), jax.tree.leaves(statistics), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_training_moves_the_statistics_and_does_not_read_them(case):
    model, images, (logits, moved) = case
    assert len(moved) == 20  # a stem, sixteen in the blocks, three around them
    assert all(float(jnp.abs(new.mean).max()) > 0 for new in moved)
    other, _ = jax.jit(SlimResNet18.__call__)(model, images, moved)
    np.testing.assert_array_equal(logits, other)


def test_evaluation_of_an_image_depends_on_the_statistics_and_on_no_other_image(case):
    model, images, (_, moved) = case
    evaluate = jax.jit(SlimResNet18.evaluate)
    together, apart = evaluate(model, images, moved), evaluate(model, images.at[3:].set(0.0), moved)
    np.testing.assert_allclose(together[:3], apart[:3], rtol=1e-4, atol=1e-5)
    assert not np.allclose(together[3:], apart[3:], atol=1e-3)
    assert not np.allclose(together, evaluate(model, images, model.statistics()), atol=1e-3)


@pytest.mark.slow
def test_a_window_as_large_as_the_last_image_is_the_mean_over_it():
    whole, window = (SlimResNet18(jr.key(0), 5, maps=1, pool=pool, side=32) for pool in (None, 4))
    images = jr.uniform(jr.key(1), (3, 32, 32, 3))
    one, two = (jax.jit(SlimResNet18.evaluate)(m, images, m.statistics()) for m in (whole, window))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_a_window_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="`pool` 4 needs images"):
        SlimResNet18(jr.key(0), 5, pool=4, side=16)
