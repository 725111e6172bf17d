"""Look-ups equal products, the teacher solves addition, and dropout acts before the square."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.modular import operation_table
from separatrix.models.quadratic_mlp import PreactivationDropout, QuadraticMLP, modular_addition_teacher

A, B, SUM = (jnp.asarray(x) for x in operation_table(97, "add"))
PAIRS = jnp.stack([A, B], axis=1)


def test_look_ups_equal_the_product_with_onehots():
    model = QuadraticMLP(jr.key(0), p=7, width=12)
    pairs = jnp.stack(jnp.meshgrid(jnp.arange(7), jnp.arange(7)), axis=-1).reshape(-1, 2)
    onehots = jax.nn.one_hot(pairs, 7).reshape(-1, 14)
    weights = jnp.concatenate([model.first, model.second])

    def dense(first, readout):
        return (onehots @ first) ** 2 @ readout

    np.testing.assert_allclose(jax.vmap(model)(pairs), dense(weights, model.readout), atol=1e-6)
    ours = jax.grad(lambda m: jnp.sum(jnp.sin(jax.vmap(m)(pairs))))(model)
    first, readout = jax.grad(lambda f, r: jnp.sum(jnp.sin(dense(f, r))), argnums=(0, 1))(weights, model.readout)
    np.testing.assert_allclose(jnp.concatenate([ours.first, ours.second]), first, atol=1e-5)
    np.testing.assert_allclose(ours.readout, readout, atol=1e-5)


def test_initial_weights_have_the_published_scale():
    model = QuadraticMLP(jr.key(1))
    assert [w.shape for w in jax.tree.leaves(model)] == [(97, 500), (97, 500), (500, 97)]
    for w in jax.tree.leaves(model):
        assert float(w.std()) == pytest.approx(0.05, rel=0.02)  # 0.5 (2 N)^(-1/3)


def test_network_is_homogeneous_of_degree_three(x64):
    model = QuadraticMLP(jr.key(2), p=5, width=9, dtype=jnp.float64)
    pair = jnp.array([3, 1])
    np.testing.assert_allclose(jax.tree.map(lambda w: 3 * w, model)(pair), 27 * model(pair), rtol=1e-12)


@pytest.mark.parametrize(("width", "low", "high"), [(48, 0.7, 0.97), (96, 0.99, 1.0), (192, 1.0, 1.0)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_teacher_solves_addition_once_it_is_wide(width, low, high, seed):
    # one neuron a frequency gives 0.79 to 0.90 (measured over three seeds); four make it exact
    teacher = modular_addition_teacher(jr.key(seed), 97, width)
    accuracy = float(jnp.mean(jnp.argmax(jax.vmap(teacher)(PAIRS), axis=-1) == SUM))
    assert low <= accuracy <= high


def test_output_of_the_teacher_tends_to_a_delta(x64):
    # the mean over neurons of 2 cos cos cos is p / (2 (p - 1)) (delta - 1/p); phases average out as 1 / sqrt(N)
    p, widths = 7, (600, 9_600)
    pairs = jnp.stack(jnp.meshgrid(jnp.arange(p), jnp.arange(p)), axis=-1).reshape(-1, 2)
    target = jax.nn.one_hot(pairs.sum(axis=1) % p, p, dtype=jnp.float64) - 1 / p

    @functools.partial(jax.jit, static_argnums=1)
    def root_mean_square(keys, width):
        def one(key):
            teacher = modular_addition_teacher(key, p, width, jnp.float64)
            return jnp.mean((jax.vmap(teacher)(pairs) / width * 2 * (p - 1) / p - target) ** 2)

        return jnp.sqrt(jnp.mean(jax.vmap(one)(keys)))

    errors = [float(root_mean_square(jr.split(jr.key(0), 30), width)) for width in widths]
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] < 0.05


def test_even_moduli_have_no_teacher():
    with pytest.raises(ValueError, match="`p` must be odd"):
        modular_addition_teacher(jr.key(0), p=10)


def test_masking_zeroes_rows_and_columns_and_leaves_the_others():
    model = QuadraticMLP(jr.key(3), p=5, width=4)
    keep = jnp.array([True, False, True, False])
    masked = model.mask_neurons(keep)
    for weights in (masked.first.T, masked.second.T, masked.readout):
        np.testing.assert_array_equal(weights[~keep], 0)
    for ours, theirs in zip(jax.tree.leaves(masked), jax.tree.leaves(model), strict=True):
        axis = 0 if ours.shape[0] == 4 else 1
        np.testing.assert_array_equal(jnp.compress(keep, ours, axis), jnp.compress(keep, theirs, axis))
    expected = (model.first[1] + model.second[2])[keep] ** 2 @ model.readout[keep]
    np.testing.assert_allclose(masked(jnp.array([1, 2])), expected, atol=1e-7)


def test_dropout_acts_before_the_square_and_keeps_the_mean_of_the_preactivation():
    model = QuadraticMLP(jr.key(4), p=5, width=6)
    pairs, rate = jnp.array([[1, 2], [3, 4]]), 0.6
    keys = jr.split(jr.key(5), 20_000)
    outputs = jax.vmap(lambda key: PreactivationDropout(rate)(model, pairs, key))(keys)
    # E[(h b / q)^2] = h^2 / q with keep probability q: squaring after the division, so the mean of the output is f / q
    expected = jax.vmap(model)(pairs) / (1 - rate)
    sigma = outputs.std(axis=0) / np.sqrt(len(keys))
    assert bool(jnp.all(jnp.abs(outputs.mean(axis=0) - expected) < 5 * sigma))


def test_without_a_key_or_at_rate_zero_nothing_is_dropped():
    model, pairs = QuadraticMLP(jr.key(6), p=5, width=6), jnp.array([[1, 2], [3, 4]])
    plain = jax.vmap(model)(pairs)
    np.testing.assert_array_equal(PreactivationDropout(0.9)(model, pairs, None), plain)
    np.testing.assert_allclose(PreactivationDropout(0.0)(model, pairs, jr.key(0)), plain, rtol=1e-6)


def test_bad_sizes_are_explained():
    with pytest.raises(ValueError, match="`p` and `width`"):
        QuadraticMLP(jr.key(0), p=5, width=0)
