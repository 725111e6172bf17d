"""The transformer agrees with loops written from its definition."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.transformer import OneLayerTransformer, SelfAttention

TOKENS = jnp.array([3, 5, 2, 6])


@jax.jit
def call(model, tokens, key=None):
    return model(tokens, key)


def small(**options):
    sizes = {"width": 12, "num_heads": 3, "feed_forward": 20} | options
    return OneLayerTransformer(jr.key(0), num_tokens=7, num_classes=5, **sizes)


def normalise(x):
    return (x - x.mean()) / math.sqrt(x.var() + 1e-5)


def slow_twin(model, tokens):
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), model)
    width, heads = p.token_embedding.shape[1], model.attention.num_heads
    depth = width // heads
    x = np.stack([p.token_embedding[t] for t in np.asarray(tokens)])
    if p.position_embedding is not None:
        x = x + p.position_embedding[: len(x)]
    projected = x @ p.attention.project_in + p.attention.bias_in
    query, key, value = projected[:, :width], projected[:, width : 2 * width], projected[:, 2 * width :]
    attended = np.zeros_like(x)
    for head in range(heads):
        part = slice(head * depth, (head + 1) * depth)
        for i in range(len(x)):
            scores = np.array([query[i, part] @ key[j, part] / math.sqrt(depth) for j in range(len(x))])
            weights = np.exp(scores) / np.exp(scores).sum()
            attended[i, part] = sum(w * value[j, part] for j, w in enumerate(weights))
    x = x + attended @ p.attention.project_out + p.attention.bias_out
    last = normalise(x[-1])
    hidden = np.maximum(last @ p.expand + p.bias_expand, 0)
    last = normalise(last + hidden @ p.contract + p.bias_contract)
    return last @ p.readout + p.bias_readout


@pytest.mark.parametrize("positional", [True, False])
def test_output_equals_the_slow_twin(positional):
    model = small(positional=positional)
    np.testing.assert_allclose(call(model, TOKENS), slow_twin(model, TOKENS), atol=2e-5)


def test_earlier_tokens_may_be_permuted_without_positions_only():
    permuted = TOKENS[jnp.array([2, 0, 1, 3])]
    swapped_last = TOKENS[jnp.array([0, 1, 3, 2])]
    without, positions = small(), small(positional=True)
    np.testing.assert_allclose(call(without, TOKENS), call(without, permuted), atol=1e-5)
    assert not np.allclose(call(positions, TOKENS), call(positions, permuted), atol=1e-2)
    assert not np.allclose(call(without, TOKENS), call(without, swapped_last), atol=1e-2)


def test_dropout_is_off_without_a_key_and_random_with_one():
    model, never = small(dropout=0.5), small(dropout=0.0)
    np.testing.assert_array_equal(call(model, TOKENS), call(never, TOKENS))
    np.testing.assert_array_equal(call(never, TOKENS, jr.key(1)), call(never, TOKENS))
    first, again, other = (call(model, TOKENS, jr.key(k)) for k in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert not np.allclose(first, call(model, TOKENS))


def test_attention_weights_are_probabilities():
    weights = small().attention_weights(TOKENS)
    assert weights.shape == (3, 4, 4)
    assert np.all(np.asarray(weights) > 0)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)


def test_attention_without_queries_is_a_mean():
    attention = SelfAttention(jr.key(0), width=4, num_heads=2)
    still = attention.project_in.at[:, :4].set(0)
    attention = eqx.tree_at(lambda a: a.project_in, attention, still)
    x = jr.normal(jr.key(1), (5, 4))
    expected = jnp.mean(x @ attention.project_in[:, 8:], axis=0) @ attention.project_out
    np.testing.assert_allclose(attention(x), np.tile(expected, (5, 1)), atol=1e-5)


def test_default_shapes_are_those_of_the_paper():
    model = jax.eval_shape(lambda k: OneLayerTransformer(k, num_tokens=115, num_classes=113), jr.key(0))
    assert model.token_embedding.shape == (115, 128)
    assert model.expand.shape == (128, 2048)
    assert model.readout.shape == (128, 113)
    assert model.position_embedding is None


def test_everything_is_float32_with_64_bit_types(x64):
    model = jax.eval_shape(lambda: small(positional=True))
    assert {x.dtype.name for x in jax.tree.leaves(model)} == {"float32"}
    assert jax.eval_shape(call, model, TOKENS).dtype == jnp.float32
    assert jax.eval_shape(call, model, TOKENS, jr.key(0)).dtype == jnp.float32


def test_unknown_tokens_give_nan():
    assert np.all(np.isnan(call(small(), jnp.array([0, 7, 1, 2]))))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"num_heads": 5}, "`num_heads`"), ({"dropout": 1.0}, "`dropout`"), ({"dropout": -0.1}, "`dropout`")],
)
def test_bad_options_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_a_sequence_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="at most 4 tokens"):
        small(positional=True)(jnp.zeros(5, int))
