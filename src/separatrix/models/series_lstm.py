"""Stacked long short-term memory that forecasts, at every row of a window, the next one."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import uniform

__all__ = ["SeriesLSTM"]


class SeriesLSTM(eqx.Module):
    """Layers of LSTM over a window from a zero state; row `t` of the output continues rows `<= t`.

    Args:
        window: samples that are looked at (any number at run time).
        chunk: rows that the training lets the output be ahead of the input.
        dim: coordinates D.
        key: drives the weights, uniform within 1/sqrt(size).
        size: memory cells of a layer.
        layers: number of layers.

    Attributes:
        cells: weights and biases of the gates (input, forget, cell, output) of each layer.
        readout: weights and biases from the last layer to samples.
        chunk: as given.

    References:
        Hochreiter and Schmidhuber (1997), Neural Comput. 9, 1735-1780.

    Examples:
        >>> import jax.random as jr
        >>> SeriesLSTM(10, 1, 3, jr.key(0))(jnp.zeros((10, 3))).shape
        (10, 3)
    """

    cells: tuple[tuple[Float[Array, "gates wide"], Float[Array, " gates"]], ...]
    readout: tuple[Float[Array, "D size"], Float[Array, " D"]]
    chunk: int = eqx.field(static=True)

    def __init__(self, window: int, chunk: int, dim: int, key: Key[Array, ""], *, size: int = 25, layers: int = 2):
        del window
        cells = []
        for i in range(layers):
            wide = (dim if i == 0 else size) + size
            bias = jnp.zeros(4 * size).at[size : 2 * size].set(1.0)
            cells.append((uniform(named_key(key, f"cell {i}"), (4 * size, wide), fan=size), bias))
        self.cells = tuple(cells)
        self.readout = (uniform(named_key(key, "readout"), (dim, size)), jnp.zeros(dim))
        self.chunk = chunk

    def __call__(self, x: Float[Array, "window D"]) -> Float[Array, "window D"]:
        """Forecast, at every row of a window, the row that is `chunk` ahead."""
        size = len(self.cells[0][1]) // 4
        zero = jnp.zeros((len(self.cells), 2, size), x.dtype)

        def advance(states, row):
            new = []
            for (w, b), (hidden, memory) in zip(self.cells, states, strict=True):
                i, f, g, o = jnp.split(w @ jnp.concatenate([row, hidden]) + b, 4)
                memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
                row = jax.nn.sigmoid(o) * jnp.tanh(memory)
                new.append(jnp.stack([row, memory]))
            return jnp.stack(new), row

        _, hidden = jax.lax.scan(advance, zero, x)
        return hidden @ self.readout[0].T + self.readout[1]
