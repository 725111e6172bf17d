"""A transformer without layer normalisation or biases, scaled so that its width hardly matters.

Attention logits are divided by the depth of a head and the output by the width (muP), positions are learned and there
is no mask. What goes on inside is returned on request, so that probes need no second model.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["Auxiliary", "PlainAttention", "PlainTransformer", "normal_weights"]


def normal_weights(key: PRNGKeyArray, shape: tuple[int, int], dtype: DTypeLike = jnp.float32) -> Float[Array, "in out"]:
    """Normal weights of variance 1 / fan-in (Kaiming initialisation with the gain of a linear layer).

    Args:
        key: random key.
        shape: inputs and outputs of the layer.
        dtype: float dtype of the result.

    Returns:
        The matrix, applied as `x @ w`.

    Example:
        >>> round(float(normal_weights(jr.key(0), (400, 100)).std()), 2)
        0.05
    """
    return jr.normal(key, shape, resolve_float_dtype(dtype)) / math.sqrt(shape[0])


class Auxiliary(NamedTuple):
    """What a transformer computed on the way.

    Attributes:
        attention_logits: inputs of the softmax, `(layers, heads, seq, seq)`, from each token (third axis) to each.
        residual_rms: root mean square of the residual stream before the first layer and after each, `(layers + 1,)`.
    """

    attention_logits: Float[Array, "layers heads seq seq"]
    residual_rms: Float[Array, " states"]


class PlainAttention(eqx.Module):
    """Multi-head self-attention without biases and without a mask.

    Args:
        key: drives the initial weights, see `normal_weights`.
        width: length of each vector.
        num_heads: number of heads, a divisor of `width`.
        scale_power: logits are divided by `depth**scale_power`, with `depth = width / num_heads`; 1/2 is standard,
            1 is muP.
        dtype: float dtype of the parameters.

    Attributes:
        project_in: `(width, 3 width)`, to queries, keys and values.
        project_out: `(width, width)`.

    Raises:
        ValueError: if `num_heads` does not divide `width`.

    Example:
        >>> attention = PlainAttention(jr.key(0), width=8, num_heads=2)
        >>> out, logits = attention(jnp.ones((3, 8)))
        >>> out.shape, logits.shape
        ((3, 8), (2, 3, 3))
    """

    project_in: Float[Array, "width three_width"]
    project_out: Float[Array, "width width"]
    num_heads: int = eqx.field(static=True)
    scale_power: float = eqx.field(static=True)

    def __init__(
        self, key: PRNGKeyArray, width: int, num_heads: int, scale_power: float = 1.0, dtype: DTypeLike = jnp.float32
    ):
        if num_heads < 1 or width % num_heads:
            raise ValueError(f"`num_heads` must divide `width`; got {num_heads} heads and a width of {width}.")
        self.project_in = normal_weights(jr.fold_in(key, 0), (width, 3 * width), dtype)
        self.project_out = normal_weights(jr.fold_in(key, 1), (width, width), dtype)
        self.num_heads, self.scale_power = num_heads, scale_power

    def __call__(self, x: Float[Array, "seq width"]) -> tuple[Float[Array, "seq width"], Float[Array, "heads seq seq"]]:
        """Attended values of each token, and the logits of the attention."""
        projected = (x @ self.project_in).reshape(x.shape[0], 3, self.num_heads, -1)
        query, key, value = jnp.moveaxis(projected, 1, 0)
        logits = jnp.einsum("qhd,khd->hqk", query, key) / query.shape[-1] ** self.scale_power
        attended = jnp.einsum("hqk,khd->qhd", jax.nn.softmax(logits, axis=-1), value)
        return attended.reshape(x.shape) @ self.project_out, logits


class _Block(eqx.Module):
    attention: PlainAttention
    expand: Float[Array, "width hidden"]
    contract: Float[Array, "hidden width"]

    def __call__(self, x: Array) -> tuple[Array, Array]:
        attended, logits = self.attention(x)
        x = x + attended
        return x + jax.nn.relu(x @ self.expand) @ self.contract, logits


class PlainTransformer(eqx.Module):
    """Logits from a short sequence of tokens: embedding, residual blocks, read-out of the last token.

    Args:
        key: drives the initial weights: embeddings are standard normal, linear layers as `normal_weights`.
        num_tokens: size of the vocabulary.
        num_classes: number of outputs.
        sequence_length: longest sequence.
        width: length d of the embedding.
        num_heads: number of attention heads, a divisor of `width`.
        num_layers: number of blocks.
        expansion: hidden width of the feed-forward part, which has a ReLU, over `width`.
        attention_power: attention logits are divided by the depth of a head to this power.
        output_power: logits are divided by `width` to this power; 1 is muP, 1/2 the neural-tangent parametrisation.
        dtype: float dtype of the parameters.

    Raises:
        ValueError: if `num_heads` does not divide `width`, or there is no layer; by a call, if a sequence is too long.

    References:
        Doshi, Das, He, Gromov (2024), ICLR, arXiv 2310.13061; its sizes are the defaults.

    Example:
        >>> model = PlainTransformer(jr.key(0), num_tokens=7, num_classes=7, width=32)
        >>> logits, auxiliary = model.with_auxiliary(jnp.array([3, 5]))
        >>> logits.shape, auxiliary.attention_logits.shape, auxiliary.residual_rms.shape
        ((7,), (1, 4, 2, 2), (2,))
    """

    token_embedding: Float[Array, "tokens width"]
    position_embedding: Float[Array, "positions width"]
    blocks: tuple[_Block, ...]
    readout: Float[Array, "width classes"]
    output_power: float = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        num_tokens: int,
        num_classes: int,
        *,
        sequence_length: int = 2,
        width: int = 128,
        num_heads: int = 4,
        num_layers: int = 1,
        expansion: int = 4,
        attention_power: float = 1.0,
        output_power: float = 1.0,
        dtype: DTypeLike = jnp.float32,
    ):
        if num_layers < 1:
            raise ValueError(f"`num_layers` must be at least 1; got {num_layers}.")
        dtype = resolve_float_dtype(dtype)
        self.token_embedding = jr.normal(jr.fold_in(key, 0), (num_tokens, width), dtype)
        self.position_embedding = jr.normal(jr.fold_in(key, 1), (sequence_length, width), dtype)
        self.readout = normal_weights(jr.fold_in(key, 2), (width, num_classes), dtype)
        self.output_power = output_power
        blocks = []
        for layer in range(num_layers):
            own = jr.fold_in(key, 3 + layer)
            attention = PlainAttention(jr.fold_in(own, 0), width, num_heads, attention_power, dtype)
            expand = normal_weights(jr.fold_in(own, 1), (width, expansion * width), dtype)
            contract = normal_weights(jr.fold_in(own, 2), (expansion * width, width), dtype)
            blocks.append(_Block(attention, expand, contract))
        self.blocks = tuple(blocks)

    def __call__(self, tokens: Int[Array, " seq"]) -> Float[Array, " classes"]:
        """Logits for one sequence."""
        return self.with_auxiliary(tokens)[0]

    def with_auxiliary(self, tokens: Int[Array, " seq"]) -> tuple[Float[Array, " classes"], Auxiliary]:
        """Logits for one sequence, and what was computed on the way.

        Args:
            tokens: integers in [0, num_tokens).

        Returns:
            One logit per class, and the rest.

        Raises:
            ValueError: if the sequence is longer than the learned positions.
        """
        if len(tokens) > len(self.position_embedding):
            raise ValueError(
                f"A sequence may have at most {len(self.position_embedding)} tokens, the `sequence_length` of the "
                f"model; got {len(tokens)}."
            )
        x = self.token_embedding[tokens] + self.position_embedding[: len(tokens)]
        states, attention_logits = [x], []
        for block in self.blocks:
            x, logits = block(x)
            states.append(x)
            attention_logits.append(logits)
        width = x.shape[-1]
        rms = jnp.sqrt(jnp.mean(jnp.stack(states) ** 2, axis=(1, 2)))
        return x[-1] @ self.readout / width**self.output_power, Auxiliary(jnp.stack(attention_logits), rms)
