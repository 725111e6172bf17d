"""A transformer with one layer, small enough to read, for tasks on short token sequences.

Layer normalisation follows each residual sum (post-LN), there is no mask, and the last token is read out. Without
positions, which is the default, the output does not depend on the order of the tokens before the last.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from separatrix.models.mlp import uniform_weights
from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["OneLayerTransformer", "SelfAttention"]


class SelfAttention(eqx.Module):
    """Multi-head self-attention over a sequence of vectors, with biases and without a mask.

    Args:
        key: drives the initial weights: Glorot-uniform for queries, keys and values as one matrix of `3 width`
            outputs, `uniform_weights` for the output, zero biases.
        width: length of each vector.
        num_heads: number of heads, a divisor of `width`.
        dtype: float dtype of the parameters.

    Attributes:
        project_in: `(width, 3 width)`, to queries, keys and values.
        bias_in: `(3 width,)`.
        project_out: `(width, width)`.
        bias_out: `(width,)`.

    Raises:
        ValueError: if `num_heads` does not divide `width`.

    References:
        Vaswani et al. (2017), NeurIPS, arXiv 1706.03762.

    Example:
        >>> attention = SelfAttention(jr.key(0), width=8, num_heads=2)
        >>> attention(jnp.ones((3, 8))).shape, bool(jnp.allclose(attention.weights(jnp.ones((3, 8))), 1 / 3))
        ((3, 8), True)
    """

    project_in: Float[Array, "width three_width"]
    bias_in: Float[Array, " three_width"]
    project_out: Float[Array, "width width"]
    bias_out: Float[Array, " width"]
    num_heads: int = eqx.field(static=True)

    def __init__(self, key: PRNGKeyArray, width: int, num_heads: int, dtype: DTypeLike = jnp.float32):
        if num_heads < 1 or width % num_heads:
            raise ValueError(f"`num_heads` must divide `width`; got {num_heads} heads and a width of {width}.")
        dtype = resolve_float_dtype(dtype)
        bound = math.sqrt(6 / (width + 3 * width))
        self.project_in = jr.uniform(jr.fold_in(key, 0), (width, 3 * width), dtype, minval=-bound, maxval=bound)
        self.bias_in = jnp.zeros(3 * width, dtype)
        self.project_out = uniform_weights(jr.fold_in(key, 1), (width, width), width, dtype)
        self.bias_out = jnp.zeros(width, dtype)
        self.num_heads = num_heads

    def weights(self, x: Float[Array, "seq width"]) -> Float[Array, "heads seq seq"]:
        """How much each token (second axis) attends to each other (last axis); sums to 1 over the last axis."""
        query, key, _ = self._heads(x)
        return jax.nn.softmax(jnp.einsum("qhd,khd->hqk", query, key) / math.sqrt(query.shape[-1]), axis=-1)

    def __call__(
        self, x: Float[Array, "seq width"], dropout: float = 0.0, key: PRNGKeyArray | None = None
    ) -> Float[Array, "seq width"]:
        """Attended values of each token; with a key, attention weights are dropped at rate `dropout`."""
        weights = _drop(self.weights(x), dropout, key)
        attended = jnp.einsum("hqk,khd->qhd", weights, self._heads(x)[2])
        return attended.reshape(x.shape) @ self.project_out + self.bias_out

    def _heads(self, x: Float[Array, "seq width"]) -> Float[Array, "3 seq heads depth"]:
        projected = (x @ self.project_in + self.bias_in).reshape(x.shape[0], 3, self.num_heads, -1)
        return jnp.moveaxis(projected, 1, 0)


def _drop(x: Array, rate: float, key: PRNGKeyArray | None) -> Array:
    if key is None or rate == 0:
        return x
    return jnp.where(jr.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


class OneLayerTransformer(eqx.Module):
    """Logits from a short sequence of tokens: embedding, attention, feed-forward, read-out of the last token.

    Args:
        key: drives the initial weights. Embeddings are standard normal, linear layers as `uniform_weights`.
        num_tokens: size of the vocabulary.
        num_classes: number of outputs.
        width: length of the embedding.
        num_heads: number of attention heads, a divisor of `width`.
        feed_forward: width of the hidden layer of the feed-forward part, which has a ReLU.
        dropout: rate in [0, 1) on attention weights, feed-forward activations and both residual branches. Active
            only when the model is called with a key.
        positional: whether to add a learned position embedding.
        sequence_length: longest sequence; used only with `positional`.
        dtype: float dtype of the parameters.

    Raises:
        ValueError: if `num_heads` does not divide `width`, or `dropout` is out of range.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 2; its sizes are the defaults.

    Example:
        >>> model = OneLayerTransformer(jr.key(0), num_tokens=7, num_classes=5, feed_forward=64)
        >>> out = model(jnp.array([3, 5, 2, 6]))
        >>> out.shape, bool(jnp.allclose(out, model(jnp.array([2, 3, 5, 6])), atol=1e-5))
        ((5,), True)
    """

    token_embedding: Float[Array, "tokens width"]
    position_embedding: Float[Array, "positions width"] | None
    attention: SelfAttention
    norm_attention: eqx.nn.LayerNorm
    expand: Float[Array, "width hidden"]
    bias_expand: Float[Array, " hidden"]
    contract: Float[Array, "hidden width"]
    bias_contract: Float[Array, " width"]
    norm_feed_forward: eqx.nn.LayerNorm
    readout: Float[Array, "width classes"]
    bias_readout: Float[Array, " classes"]
    dropout: float = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        num_tokens: int,
        num_classes: int,
        *,
        width: int = 128,
        num_heads: int = 4,
        feed_forward: int = 2048,
        dropout: float = 0.1,
        positional: bool = False,
        sequence_length: int = 4,
        dtype: DTypeLike = jnp.float32,
    ):
        if not 0 <= dropout < 1:
            raise ValueError(f"`dropout` must be in [0, 1); got {dropout}.")
        dtype = resolve_float_dtype(dtype)

        def linear(index: int, into: int, out: int) -> tuple[Array, Array]:
            weight_key, bias_key = jr.fold_in(key, 2 * index), jr.fold_in(key, 2 * index + 1)
            return uniform_weights(weight_key, (into, out), into, dtype), uniform_weights(bias_key, (out,), into, dtype)

        self.token_embedding = jr.normal(jr.fold_in(key, 0), (num_tokens, width), dtype)
        self.position_embedding = jr.normal(jr.fold_in(key, 1), (sequence_length, width), dtype) if positional else None
        self.attention = SelfAttention(jr.fold_in(key, 2), width, num_heads, dtype)
        self.norm_attention = eqx.nn.LayerNorm(width, dtype=dtype)
        self.expand, self.bias_expand = linear(2, width, feed_forward)
        self.contract, self.bias_contract = linear(3, feed_forward, width)
        self.norm_feed_forward = eqx.nn.LayerNorm(width, dtype=dtype)
        self.readout, self.bias_readout = linear(4, width, num_classes)
        self.dropout = dropout

    def __call__(self, tokens: Int[Array, " seq"], key: PRNGKeyArray | None = None) -> Float[Array, " classes"]:
        """Logits for one sequence; with a key, dropout is active.

        Args:
            tokens: integers in [0, num_tokens); others give NaN.
            key: drives the dropout, which is off without it.

        Returns:
            One logit per class.
        """

        def drop(x: Array, index: int) -> Array:
            return _drop(x, self.dropout, None if key is None else jr.fold_in(key, index))

        x = self.embed(tokens)
        attended = self.attention(x, self.dropout, None if key is None else jr.fold_in(key, 0))
        x = jax.vmap(self.norm_attention)(x + drop(attended, 1))
        hidden = drop(jax.nn.relu(x @ self.expand + self.bias_expand), 2)
        x = jax.vmap(self.norm_feed_forward)(x + drop(hidden @ self.contract + self.bias_contract, 3))
        return x[-1] @ self.readout + self.bias_readout

    def embed(self, tokens: Int[Array, " seq"]) -> Float[Array, "seq width"]:
        """Vectors that enter the attention.

        Args:
            tokens: integers in [0, num_tokens).

        Returns:
            Token embeddings, plus those of the positions if the model has them.

        Raises:
            ValueError: if the model has positions and the sequence is longer than them.
        """
        x = self.token_embedding.at[tokens].get(mode="fill", fill_value=jnp.nan)
        if self.position_embedding is None:
            return x
        if len(tokens) > len(self.position_embedding):
            raise ValueError(
                f"A sequence may have at most {len(self.position_embedding)} tokens, the `sequence_length` of the "
                f"model; got {len(tokens)}."
            )
        return x + self.position_embedding[: len(tokens)]

    def attention_weights(self, tokens: Int[Array, " seq"]) -> Float[Array, "heads seq seq"]:
        """Attention from each token (second axis) to each token (last axis), without dropout."""
        return self.attention.weights(self.embed(tokens))
