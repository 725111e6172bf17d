"""The transformer without normalisation against explicit sums, and its scaling with the width."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.plain_transformer import PlainAttention, PlainTransformer, normal_weights


def slow_transformer(model, tokens):
    """Token by token and head by head, in float64."""
    f = lambda w: np.asarray(w, np.float64)  # noqa: E731
    x = f(model.token_embedding)[np.asarray(tokens)] + f(model.position_embedding)[: len(tokens)]
    all_logits = []
    for block in model.blocks:
        width, heads = x.shape[1], block.attention.num_heads
        depth = width // heads
        query, key, value = np.split(x @ f(block.attention.project_in), 3, axis=1)
        attended, head_logits = np.zeros_like(x), []
        for h in range(heads):
            part = slice(h * depth, (h + 1) * depth)
            logits = np.array([[query[i, part] @ key[j, part] / depth for j in range(len(x))] for i in range(len(x))])
            weights = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            attended[:, part] = weights @ value[:, part]
            head_logits.append(logits)
        x = x + attended @ f(block.attention.project_out)
        x = x + np.maximum(x @ f(block.expand), 0) @ f(block.contract)
        all_logits.append(head_logits)
    return x[-1] @ f(model.readout) / x.shape[1], np.array(all_logits), x


@pytest.mark.parametrize("num_layers", [1, 2])
def test_output_equals_explicit_sums(num_layers):
    model = PlainTransformer(jr.key(0), 7, 5, sequence_length=3, width=8, num_heads=2, num_layers=num_layers)
    tokens = jnp.array([3, 0, 6])
    expected, logits, last = slow_transformer(model, tokens)
    outputs, auxiliary = model.with_auxiliary(tokens)
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model(tokens), outputs, atol=1e-6)
    np.testing.assert_allclose(auxiliary.attention_logits, logits, rtol=1e-4, atol=1e-5)
    assert auxiliary.residual_rms.shape == (num_layers + 1,)
    assert float(auxiliary.residual_rms[-1]) == pytest.approx(np.sqrt(np.mean(last**2)), rel=1e-5)


def test_every_linear_layer_has_variance_one_over_fan_in():
    model = PlainTransformer(jr.key(1), 97, 97)
    block = model.blocks[0]
    layers = [block.attention.project_in, block.attention.project_out, block.expand, block.contract, model.readout]
    assert [w.shape for w in layers] == [(128, 384), (128, 128), (128, 512), (512, 128), (128, 97)]
    for w in layers:
        assert float(w.var()) == pytest.approx(1 / w.shape[0], rel=0.05)
    assert float(model.token_embedding.var()) == pytest.approx(1, rel=0.05)


def test_initial_logits_shrink_with_the_width():
    # a sum of d terms of variance 1 / d each, divided by d
    spread = []
    for width in (16, 256):
        model = PlainTransformer(jr.key(2), 30, 50, width=width)
        spread.append(float(eqx.filter_jit(eqx.filter_vmap(model))(jr.randint(jr.key(3), (40, 2), 0, 30)).std()))
    assert spread[0] / spread[1] == pytest.approx(16, rel=0.3)


def test_powers_change_the_scales():
    x = jr.normal(jr.key(4), (3, 16))
    mup, standard = (PlainAttention(jr.key(5), 16, 2, scale_power=power)(x)[1] for power in (1.0, 0.5))
    np.testing.assert_allclose(standard, mup * np.sqrt(8), rtol=1e-4)
    np.testing.assert_array_equal(PlainAttention(jr.key(5), 16, 2)(x)[1], mup)


def test_positions_break_the_symmetry_of_the_tokens():
    model = PlainTransformer(jr.key(6), 7, 7, width=16)
    assert not np.allclose(model(jnp.array([1, 2])), model(jnp.array([2, 1])))


def test_bad_shapes_are_explained():
    with pytest.raises(ValueError, match="`num_heads`"):
        PlainTransformer(jr.key(0), 5, 5, width=10, num_heads=4)
    with pytest.raises(ValueError, match="`num_layers`"):
        PlainTransformer(jr.key(0), 5, 5, num_layers=0)
    with pytest.raises(ValueError, match="at most 2 tokens"):
        PlainTransformer(jr.key(0), 5, 5, width=8)(jnp.array([1, 2, 3]))


def test_weights_take_the_dtype_asked_for(x64):
    assert normal_weights(jr.key(0), (3, 4), jnp.float64).dtype == jnp.float64
    model = PlainTransformer(jr.key(0), 5, 5, width=8)
    assert all(w.dtype == jnp.float32 for w in jax.tree.leaves(model))
