"""N-BEATS: doubly residual stacks of fully connected blocks that explain a window away and add up a forecast."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import uniform

__all__ = ["NBeats"]


class NBeats(eqx.Module):
    """Generic N-BEATS from a window `(window, D)` to the next `(chunk, D)`; several coordinates are flattened.

    The blocks share one shape, so they are one scan and compile in the time of a single block.

    Args:
        window: samples that are looked at.
        chunk: samples that follow.
        dim: coordinates D.
        key: drives the weights.
        blocks: number of blocks.
        width: units of each of the four layers.
        expansion: length of the codes of back- and forecast.

    Attributes:
        layers: weights and biases of the four layers, each stacked over blocks.
        codes: weights to the two codes, shape `(blocks, 2 expansion, width)`.
        bases: weights from the codes to back- and forecast.
        chunk: as given.

    References:
        Oreshkin, Carpov, Chapados, Bengio (2020), ICLR, arXiv:1905.10437.

    Examples:
        >>> import jax.random as jr
        >>> NBeats(10, 2, 3, jr.key(0), blocks=2, width=8)(jnp.zeros((10, 3))).shape
        (2, 3)
    """

    layers: tuple[tuple[Float[Array, "blocks out in"], Float[Array, "blocks out"]], ...]
    codes: Float[Array, "blocks codes width"]
    bases: tuple[Float[Array, "blocks WD expansion"], Float[Array, "blocks CD expansion"]]
    chunk: int = eqx.field(static=True)

    def __init__(
        self,
        window: int,
        chunk: int,
        dim: int,
        key: Key[Array, ""],
        *,
        blocks: int = 30,
        width: int = 256,
        expansion: int = 5,
    ):
        sizes = [window * dim, width, width, width, width]
        self.layers = tuple(
            (
                uniform(named_key(key, f"layer {i}"), (blocks, b, a), fan=a),
                uniform(named_key(key, f"bias {i}"), (blocks, b), fan=a),
            )
            for i, (a, b) in enumerate(itertools.pairwise(sizes))
        )
        self.codes = uniform(named_key(key, "codes"), (blocks, 2 * expansion, width), fan=width)
        self.bases = (
            uniform(named_key(key, "backcast"), (blocks, window * dim, expansion), fan=expansion),
            uniform(named_key(key, "forecast"), (blocks, chunk * dim, expansion), fan=expansion),
        )
        self.chunk = chunk

    def __call__(self, x: Float[Array, "window D"]) -> Float[Array, "chunk D"]:
        """Forecast the samples that follow a window."""

        def block(residual, weights):
            layers, codes, (backcast, forecast) = weights
            h = residual
            for w, b in layers:
                h = jax.nn.relu(w @ h + b)
            behind, ahead = jnp.split(codes @ h, 2)
            return residual - backcast @ behind, forecast @ ahead

        _, parts = jax.lax.scan(block, x.reshape(-1), (self.layers, self.codes, self.bases))
        return parts.sum(axis=0).reshape(self.chunk, -1)
