"""A temporal convolutional network: causal dilated convolutions in residual blocks."""

import itertools
import math
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import uniform

__all__ = ["TemporalConvolution", "causal_convolution"]


def causal_convolution(
    x: Float[Array, "T channels"], w: Float[Array, "kernel channels out"], dilation: int = 1, stride: int = 1
) -> Float[Array, "t out"]:
    """Convolution over time in which a row sees itself and earlier rows only.

    Args:
        x: series of channels.
        w: weights, the last of the kernel being the present.
        dilation: rows between the taps.
        stride: rows between the outputs.

    Returns:
        `ceil(T / stride)` rows.

    Examples:
        >>> causal_convolution(jnp.arange(4.0)[:, None], jnp.ones((2, 1, 1))).ravel().tolist()
        [0.0, 1.0, 3.0, 5.0]
    """
    before = (len(w) - 1) * dilation
    out = jax.lax.conv_general_dilated(
        x[None],
        w,
        (stride,),
        [(before, 0)],
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )
    return out[0]


class TemporalConvolution(eqx.Module):
    """Residual blocks of two causal convolutions with doubling dilations; row `t` of the output continues rows `<= t`.

    Args:
        window: samples that are looked at; sets the number of blocks, so that the last row sees the first.
        chunk: rows that the training lets the output be ahead of the input.
        dim: coordinates D.
        key: drives the weights.
        kernel: taps of a convolution.
        filters: channels inside.

    Attributes:
        blocks: weights and biases of the two convolutions of each block, and of its skip where channels change.
        chunk: as given.

    References:
        Bai, Kolter, Koltun (2018), arXiv:1803.01271.

    Examples:
        >>> import jax.random as jr
        >>> TemporalConvolution(16, 1, 2, jr.key(0))(jnp.zeros((16, 2))).shape
        (16, 2)
    """

    blocks: Sequence[tuple]
    chunk: int = eqx.field(static=True)

    def __init__(self, window: int, chunk: int, dim: int, key: Key[Array, ""], *, kernel: int = 3, filters: int = 3):
        # a pair of convolutions in block i reaches 2 (kernel - 1) 2^i rows back
        count = max(1, math.ceil(math.log2((window - 1) / (2 * (kernel - 1)) + 1)))
        widths = [dim, *[filters] * (count - 1), dim]
        blocks = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            draw = lambda name, shape, fan, i=i: uniform(named_key(key, f"{name} {i}"), shape, fan=fan)  # noqa: E731
            first = draw("first", (kernel, a, filters), a * kernel), jnp.zeros(filters)
            second = draw("second", (kernel, filters, b), filters * kernel), jnp.zeros(b)
            blocks.append((first, second, draw("skip", (1, a, b), a) if a != b else None))
        self.blocks = tuple(blocks)
        self.chunk = chunk

    def __call__(self, x: Float[Array, "window D"]) -> Float[Array, "window D"]:
        """Forecast, at every row of a window, the row that is `chunk` ahead."""
        last = len(self.blocks) - 1
        for i, ((w1, b1), (w2, b2), skip) in enumerate(self.blocks):
            h = jax.nn.relu(causal_convolution(x, w1, 2**i) + b1)
            h = causal_convolution(h, w2, 2**i) + b2
            h = h if i == last else jax.nn.relu(h)  # the output takes any sign
            x = h + (x if skip is None else causal_convolution(x, skip))
        return x
