"""Which part of a plane of states the data cover, on a grid."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

__all__ = ["Coverage", "covered_cells"]


class Coverage(NamedTuple):
    """Cells of a grid over the plane of states that hold data.

    Attributes:
        cells: shape `(rows, columns)`.
        low: lower corner of the grid.
        high: upper corner.
    """

    cells: Bool[Array, "rows columns"]
    low: Float[Array, "2"]
    high: Float[Array, "2"]

    def holds(self, states: Float[Array, "*batch 2"]) -> Bool[Array, "*batch"]:
        """Say whether states lie in covered cells; a state outside the grid belongs to the nearest cell."""
        places = _cells_of(states, self.low, self.high, self.cells.shape)
        return self.cells[places[..., 0], places[..., 1]]


def _cells_of(states, low, high, shape):
    counts = jnp.asarray(shape)
    places = jnp.floor((states - low) / (high - low) * counts).astype(int)
    return jnp.clip(places, 0, counts - 1)


def covered_cells(
    states: Float[Array, "states 2"],
    low: Float[Array, "2"],
    high: Float[Array, "2"],
    *,
    shape: tuple[int, int] = (121, 121),
    periodic: tuple[bool, bool] = (False, False),
    dilate: int = 0,
) -> Coverage:
    """Mark the cells that hold states, and their neighbours.

    Args:
        states: of the data.
        low: lower corner of the grid.
        high: upper corner.
        shape: cells along each axis.
        periodic: whether each axis closes on itself (an angle).
        dilate: cells by which the marked region grows in every direction, diagonals included.

    Returns:
        The covered cells.

    Examples:
        >>> import jax.numpy as jnp
        >>> found = covered_cells(jnp.zeros((1, 2)), -jnp.ones(2), jnp.ones(2), shape=(5, 5), dilate=1)
        >>> int(found.cells.sum()), bool(found.holds(jnp.array([0.5, 0.5]))), bool(found.holds(jnp.array([0.9, 0.0])))
        (9, True, False)
    """
    low, high = jnp.asarray(low), jnp.asarray(high)
    places = _cells_of(states, low, high, shape)
    cells = jnp.zeros(shape, bool).at[places[:, 0], places[:, 1]].set(True)
    for axis in range(2):
        padded = cells
        for _ in range(dilate):
            edge = [(1, 1) if a == axis else (0, 0) for a in range(2)]
            around = jnp.pad(padded, edge, mode="wrap" if periodic[axis] else "constant")
            size = shape[axis]
            parts = [jax.lax.slice_in_dim(around, i, i + size, axis=axis) for i in range(3)]
            padded = parts[0] | parts[1] | parts[2]
        cells = padded
    return Coverage(cells, low, high)
