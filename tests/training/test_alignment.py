"""Cosines between gradients and weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.models.mlp import MLP
from separatrix.training.alignment import nlm_alignment, weight_norm


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.5, 3.0])
def test_cosine_of_a_known_angle(angle):
    w, g = jnp.array([2.0, 0.0]), -5 * jnp.array([np.cos(angle), np.sin(angle)])
    assert float(nlm_alignment(w, g)) == pytest.approx(np.cos(angle), abs=1e-6)


@pytest.mark.parametrize("exponent", [-120, -60, 60])
def test_it_does_not_depend_on_the_size_of_the_gradient(exponent):
    w, g = jnp.array([1.0, 2.0, 3.0]), jnp.array([-0.5, 0.1, -0.7])
    assert nlm_alignment(w, g) == nlm_alignment(w, g * 2.0**exponent)


def test_undefined_cosines_are_nan_and_structure_is_kept():
    params = {"a": jnp.ones(2), "b": (jnp.zeros(2), None), "c": jnp.zeros((0, 3))}
    grads = {"a": jnp.zeros(2), "b": (jnp.ones(2), None), "c": jnp.zeros((0, 3))}
    out = nlm_alignment(params, grads)
    assert jax.tree.structure(out) == jax.tree.structure(params)
    assert all(np.isnan(x) for x in jax.tree.leaves(out))


def test_half_precision_gives_float32():
    assert nlm_alignment(jnp.ones(3, jnp.bfloat16), jnp.ones(3, jnp.bfloat16)) == -1
    assert nlm_alignment(jnp.ones(3, jnp.bfloat16), jnp.ones(3, jnp.bfloat16)).dtype == jnp.float32


def test_lowering_a_homogeneous_output_is_anti_aligned_in_every_layer(x64):
    # Euler: <w_l, df/dw_l> = f for each layer of a bias-free ReLU network, so the cosine of -grad f has the sign of -f.
    net = MLP(jax.random.key(0), (5, 8, 8, 1), dtype=jnp.float64)
    x = jnp.arange(1.0, 6.0)
    value, grads = jax.jit(jax.value_and_grad(lambda m: m(x)[0]))(net)
    for w, g, cosine in zip(net.weights, grads.weights, jax.jit(nlm_alignment)(net, grads).weights, strict=True):
        expected = -value / (np.linalg.norm(w) * np.linalg.norm(g))
        assert float(cosine) == pytest.approx(float(expected), rel=1e-10)


def test_weight_norm_is_that_of_the_flattened_vector():
    params = {"a": jnp.arange(6.0).reshape(2, 3), "b": jnp.array(2.0, jnp.bfloat16)}
    assert float(weight_norm(params)) == pytest.approx(np.sqrt(55 + 4), rel=1e-6)
    assert weight_norm({}) == 0
