"""A causal dilated convolutional autoencoder of series, whose codes serve as features."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import uniform
from separatrix.models.temporal_convolution import causal_convolution

__all__ = ["ConvolutionalAutoencoder"]


class ConvolutionalAutoencoder(eqx.Module):
    """Two causal blocks, one to many channels and many to few with a stride; the decoder repeats rows and mirrors them.

    Args:
        key: drives the weights.
        wide: channels of the first block.
        narrow: channels of the code.
        kernel: taps of a convolution.
        stride: samples for one row of the code.

    Attributes:
        encoder: weights and biases of the two blocks; the second has dilation 2.
        decoder: the same back.
        stride: as given.

    References:
        Franceschi, Dieuleveut, Jaggi (2019), NeurIPS, arXiv:1901.10738, for causal dilated encoders. Gilpin (2021),
        arXiv:2110.05266, for the shape.

    Examples:
        >>> import jax.random as jr
        >>> model = ConvolutionalAutoencoder(jr.key(0))
        >>> model.encode(jnp.zeros(100)).shape, model(jnp.zeros(100)).shape
        ((34, 8), (100,))
    """

    encoder: tuple
    decoder: tuple
    stride: int = eqx.field(static=True)

    def __init__(self, key: Key[Array, ""], *, wide: int = 16, narrow: int = 8, kernel: int = 3, stride: int = 3):
        def layer(name, a, b):
            return uniform(named_key(key, name), (kernel, a, b), fan=a * kernel), jnp.zeros(b)

        self.encoder = (layer("in", 1, wide), layer("code", wide, narrow))
        self.decoder = (layer("back", narrow, wide), layer("out", wide, 1))
        self.stride = stride

    def encode(self, x: Float[Array, " T"]) -> Float[Array, "t narrow"]:
        """Return the code of a series of any length, one row for `stride` samples."""
        (w1, b1), (w2, b2) = self.encoder
        h = jax.nn.elu(causal_convolution(x[:, None], w1) + b1)
        return causal_convolution(h, w2, 2, self.stride) + b2

    def __call__(self, x: Float[Array, " T"]) -> Float[Array, " T"]:
        """Reconstruct a series from its code."""
        (w1, b1), (w2, b2) = self.decoder
        # row k of the code has seen samples up to `stride k`: the decoder places it there
        code = jax.nn.elu(jnp.repeat(self.encode(x), self.stride, axis=0)[: len(x)])
        h = jax.nn.elu(causal_convolution(code, w1, 2) + b1)
        return (causal_convolution(h, w2) + b2)[:, 0]
