"""An encoder-decoder transformer from a window of a series to the samples that follow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key

__all__ = ["SeriesTransformer"]


class _Attention(eqx.Module):
    heads: eqx.nn.MultiheadAttention
    norm: eqx.nn.LayerNorm

    def __init__(self, size, count, key):
        self.heads = eqx.nn.MultiheadAttention(count, size, key=key)
        self.norm = eqx.nn.LayerNorm(size)

    def __call__(self, x, memory):
        return jax.vmap(self.norm)(x + self.heads(x, memory, memory))


class _Feed(eqx.Module):
    wide: eqx.nn.Linear
    narrow: eqx.nn.Linear
    norm: eqx.nn.LayerNorm

    def __init__(self, size, width, key):
        self.wide = eqx.nn.Linear(size, width, key=named_key(key, "wide"))
        self.narrow = eqx.nn.Linear(width, size, key=named_key(key, "narrow"))
        self.norm = eqx.nn.LayerNorm(size)

    def __call__(self, x):
        return jax.vmap(lambda r: self.norm(r + self.narrow(jax.nn.relu(self.wide(r)))))(x)


class SeriesTransformer(eqx.Module):
    """Attention over the window, and a decoder that starts from the window's last sample (post-norm, no dropout).

    Layers share one shape, so each half is one scan.

    Args:
        window: samples that are looked at; a position encoding is added to each.
        chunk: samples that follow.
        dim: coordinates D.
        key: drives the weights.
        size: width of a token.
        heads: attention heads.
        layers: layers of each half.
        feed: width of the feed-forward part.

    Attributes:
        embed: from a sample to a token.
        encoder: attention and feed-forward parts, stacked over layers.
        decoder: attention to itself, to the encoder, and feed-forward, stacked.
        readout: from the last token to `chunk` samples.
        chunk: as given.

    References:
        Vaswani et al. (2017), NeurIPS, arXiv:1706.03762.

    Examples:
        >>> SeriesTransformer(10, 2, 3, jr.key(0), size=8, heads=2, layers=1, feed=16)(jnp.zeros((10, 3))).shape
        (2, 3)
    """

    embed: eqx.nn.Linear
    encoder: tuple
    decoder: tuple
    readout: eqx.nn.Linear
    chunk: int = eqx.field(static=True)

    def __init__(
        self,
        window: int,
        chunk: int,
        dim: int,
        key: Key[Array, ""],
        *,
        size: int = 64,
        heads: int = 4,
        layers: int = 3,
        feed: int = 512,
    ):
        del window  # positions are sinusoids, of any length
        keys = lambda name: jr.split(named_key(key, name), layers)  # noqa: E731
        attention = eqx.filter_vmap(lambda k: _Attention(size, heads, k))
        feeds = eqx.filter_vmap(lambda k: _Feed(size, feed, k))
        self.embed = eqx.nn.Linear(dim, size, key=named_key(key, "embed"))
        self.encoder = (attention(keys("encoder")), feeds(keys("encoder feed")))
        self.decoder = (attention(keys("decoder")), attention(keys("cross")), feeds(keys("decoder feed")))
        self.readout = eqx.nn.Linear(size, chunk * dim, key=named_key(key, "readout"))
        self.chunk = chunk

    def __call__(self, x: Float[Array, "window D"]) -> Float[Array, "chunk D"]:
        """Forecast the samples that follow a window."""
        size = self.embed.out_features
        tokens = jax.vmap(self.embed)(x) * jnp.sqrt(jnp.asarray(size, x.dtype))
        tokens = tokens + _positions(len(x), int(size), x.dtype)

        def encode(h, layer):
            attention, feed = layer
            return feed(attention(h, h)), None

        memory = _scan(encode, tokens, self.encoder)

        def decode(h, layer):
            own, cross, feed = layer
            return feed(cross(own(h, h), memory)), None

        out = _scan(decode, tokens[-1:], self.decoder)
        return self.readout(out[-1]).reshape(self.chunk, -1)


def _scan(body, start, layers):
    arrays, static = eqx.partition(layers, eqx.is_array)
    return jax.lax.scan(lambda h, leaves: body(h, eqx.combine(leaves, static)), start, arrays)[0]


def _positions(count: int, size: int, dtype) -> Float[Array, "T size"]:
    angles = jnp.arange(count)[:, None] / 10_000 ** (jnp.arange(0, size, 2) / size)
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(count, -1)[:, :size].astype(dtype)
