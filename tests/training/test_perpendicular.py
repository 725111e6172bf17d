"""Projected gradients: geometry, degenerate cases, and agreement with a dense projector."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from separatrix.training.alignment import nlm_alignment, weight_norm
from separatrix.training.perpendicular import perp_grad, with_state_dtype


def project(g, w, **options):
    transform = perp_grad(**options)
    return jax.jit(transform.update)(g, transform.init(w), w)[0]


def tree(seed, dtype=jnp.float32):
    rng = np.random.default_rng(seed)
    return {
        "first": jnp.asarray(rng.normal(size=(7, 5)), dtype),
        "second": (jnp.asarray(rng.normal(size=5), dtype), jnp.asarray(rng.normal(size=(2, 3, 4)), dtype)),
    }


def test_a_gradient_orthogonal_to_the_weights_is_kept():
    w, g = jnp.array([[1.0, 2.0], [-1.0, 0.5]]), jnp.array([[0.3, -0.2], [0.1, 0.4]])
    np.testing.assert_allclose(project(g, w), g, atol=1e-7)


@pytest.mark.parametrize("rescale", [True, False])
def test_each_leaf_equals_the_dense_projector(rescale):
    grads, params = tree(0), tree(1)
    for out, g, w in zip(*map(jax.tree.leaves, (project(grads, params, rescale=rescale), grads, params)), strict=True):
        v, u = np.asarray(w, np.float64).ravel(), np.asarray(g, np.float64).ravel()
        expected = (np.eye(v.size) - np.outer(v, v) / (v @ v)) @ u
        if rescale:
            expected *= np.linalg.norm(u) / np.linalg.norm(expected)
        np.testing.assert_allclose(out, expected.reshape(out.shape), atol=2e-6)


@pytest.mark.parametrize("per", ["leaf", "global", "neuron"])
def test_projection_is_idempotent(per):
    grads, params = tree(0), tree(1)
    once = project(grads, params, per=per)
    twice = project(once, params, per=per)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), once, twice)


def test_rescaling_keeps_the_norm_and_the_result_is_orthogonal():
    grads, params = tree(0), tree(1)
    out = project(grads, params)
    for o, g, cosine in zip(*map(jax.tree.leaves, (out, grads, nlm_alignment(params, out))), strict=True):
        assert float(jnp.linalg.norm(o)) == pytest.approx(float(jnp.linalg.norm(g)), rel=1e-6)
        assert abs(float(cosine)) < 1e-6


def test_the_result_stays_orthogonal_when_the_gradient_is_almost_parallel():
    # |g_perp| is 1e-5 |g|: after one projection, rounding leaves a component of relative size 1e-2.
    rng = np.random.default_rng(0)
    w = rng.normal(size=10_000)
    g = w + 1e-5 * rng.normal(size=10_000)
    w, g = jnp.asarray(w, jnp.float32), jnp.asarray(g, jnp.float32)
    assert abs(float(nlm_alignment(w, project(g, w)))) < 1e-5


def test_descent_and_exact_growth_of_the_norm_under_gradient_descent(x64):
    grads, params = tree(0, jnp.float64), tree(1, jnp.float64)
    out = project(grads, params, rescale=False)
    slope = sum(jnp.vdot(a, b) for a, b in zip(*map(jax.tree.leaves, (out, grads)), strict=True))
    assert float(slope) == pytest.approx(float(weight_norm(out)) ** 2, rel=1e-12)
    stepped = jax.tree.map(lambda w, o: w - 0.1 * o, params, out)
    growth = float(weight_norm(stepped)) ** 2 - float(weight_norm(params)) ** 2
    assert growth == pytest.approx(0.01 * float(weight_norm(out)) ** 2, rel=1e-9)


def test_global_projects_the_concatenated_vector():
    grads, params = tree(0), tree(1)
    flat_g, flat_w = (jnp.concatenate([x.ravel() for x in jax.tree.leaves(t)]) for t in (grads, params))
    out = jnp.concatenate([x.ravel() for x in jax.tree.leaves(project(grads, params, per="global"))])
    np.testing.assert_allclose(out, project(flat_g, flat_w), atol=1e-6)
    leafwise = jnp.concatenate([x.ravel() for x in jax.tree.leaves(project(grads, params))])
    assert float(jnp.max(jnp.abs(out - leafwise))) > 1e-2


def test_neuron_projects_the_weights_into_each_output_unit():
    grads, params = tree(0), tree(1)
    out = project(grads, params, per="neuron")
    for unit in range(5):
        column = project(grads["first"][:, unit], params["first"][:, unit])
        np.testing.assert_allclose(out["first"][:, unit], column, atol=1e-6)
    np.testing.assert_allclose(out["second"][0], project(grads["second"][0], params["second"][0]), atol=1e-6)
    for unit in range(4):
        block = project(grads["second"][1][..., unit], params["second"][1][..., unit])
        np.testing.assert_allclose(out["second"][1][..., unit], block, atol=1e-6)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("per", ["leaf", "global", "neuron"])
def test_a_zero_gradient_stays_zero_and_zero_weights_remove_nothing(rescale, per):
    g, zero = jnp.array([[0.3, -0.2, 4.0], [1.0, 2.0, 3.0]]), jnp.zeros((2, 3))
    np.testing.assert_array_equal(project(zero, g, rescale=rescale, per=per), zero)
    np.testing.assert_array_equal(project(zero, zero, rescale=rescale, per=per), zero)
    np.testing.assert_allclose(project(g, zero, rescale=rescale, per=per), g, rtol=1e-6)


@pytest.mark.parametrize("rescale", [True, False])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_weight_has_no_orthogonal_direction(rescale, shape):
    # many one-element leaves, to meet many roundings
    grads, params = np.random.default_rng(0).normal(size=(2, 50, *shape)).astype(np.float32)
    for out in project([*grads], [*params], rescale=rescale):
        np.testing.assert_array_equal(out, np.zeros(shape))


@pytest.mark.parametrize("size", [2, 100, 40_000])
def test_rounding_residue_of_a_parallel_gradient_is_not_blown_up(size):
    w = jnp.asarray(np.random.default_rng(size).normal(size=size), jnp.float32)
    for factor in (0.3, -1.7, 1e-8):
        np.testing.assert_array_equal(project(factor * w, w), 0)


@pytest.mark.parametrize("exponent", [-100, -70, -30, 40])
def test_gradients_whose_squares_leave_float32_are_projected_alike(exponent):
    grads, params = tree(0), tree(1)
    small = jax.tree.map(lambda g: g * 2.0**exponent, grads)
    expected = jax.tree.map(lambda g: g * 2.0**exponent, project(grads, params))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6 * 2.0**exponent),
        project(small, params),
        expected,
    )


def test_dtypes_are_kept_per_leaf():
    grads = {"half": jnp.array([3.0, 4.0], jnp.bfloat16), "single": jnp.array([3.0, 4.0])}
    params = {"half": jnp.array([1.0, 0.0], jnp.bfloat16), "single": jnp.array([1.0, 0.0])}
    for per in ("leaf", "global", "neuron"):
        out = project(grads, params, per=per)
        assert jax.tree.map(lambda x: x.dtype.name, out) == {"half": "bfloat16", "single": "float32"}
    np.testing.assert_array_equal(out["half"], [0.0, 5.0])


def test_norms_of_half_precision_leaves_are_accumulated_in_float32():
    w = jnp.full(4096, 0.01, jnp.bfloat16).at[0].set(-1.0)
    out = project(jnp.ones(4096, jnp.bfloat16), w, rescale=False)
    assert abs(float(nlm_alignment(w, out))) < 1e-2


def test_it_chains_with_an_optimiser_under_jit():
    params = tree(1)
    optimiser = optax.chain(perp_grad(), optax.adam(1e-2))
    state = optimiser.init(params)
    updates, _ = jax.jit(optimiser.update)(tree(0), state, params)
    eager, _ = optimiser.update(tree(0), state, params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), updates, eager)


@pytest.mark.parametrize(("options", "message"), [({"per": "row"}, "`per`"), ({"eps": 0.0}, "`eps`")])
def test_bad_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        perp_grad(**options)


def test_update_asks_for_the_parameters():
    transform = perp_grad()
    with pytest.raises(ValueError, match=r"update\(grads, state, params\)"):
        transform.update(jnp.ones(2), transform.init(jnp.ones(2)))


def test_a_float64_state_keeps_the_squares_of_small_gradients(x64):
    # Adam's first step is -rate g / (|g| + eps); in float32 the square of 1e-25 is zero.
    params, grads = jnp.ones(3, jnp.float32), jnp.asarray([1e-25, -1e-25, 2e-25], jnp.float32)
    adam = optax.adam(0.01, eps=1e-35)
    wide = with_state_dtype(adam, "float64")
    updates, state = wide.update(grads, wide.init(params), params)
    assert updates.dtype == jnp.float32
    assert {x.dtype.name for x in jax.tree.leaves(state)} == {"float64", "int32"}
    np.testing.assert_allclose(updates, [-0.01, 0.01, -0.01], rtol=1e-6)
    lost, _ = adam.update(grads, adam.init(params), params)
    assert not np.allclose(lost, updates)


def test_with_state_dtype_equals_running_in_that_dtype(x64):
    params, grads = tree(1), tree(0)
    adam = optax.adamw(0.01)
    wide = with_state_dtype(adam, jnp.float64)
    updates, _ = wide.update(grads, wide.init(params), params)
    cast = jax.tree.map(lambda x: x.astype(jnp.float64), (grads, params))
    expected, _ = adam.update(cast[0], adam.init(cast[1]), cast[1])
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b.astype(jnp.float32)), updates, expected)


def test_with_state_dtype_needs_64_bit_types_for_float64():
    with pytest.raises(ValueError, match="enable_x64"):
        with_state_dtype(optax.adam(0.01), "float64").init(jnp.ones(2))
