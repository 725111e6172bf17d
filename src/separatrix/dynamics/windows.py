"""Random windows of consecutive measurements, from one series or several."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Key

__all__ = ["Window", "Windows", "windows_of"]


class Window(NamedTuple):
    """A batch of windows, time first.

    Attributes:
        x: measurements, shape `(T + 1, batch, N)`; zero where missing.
        observed: which of them were made, or None if all were.
        inputs: external inputs of the T steps, shape `(T, batch, P)`, or None.
        step: completed updates, the same number in every member of a population.
    """

    x: Float[Array, "T1 batch N"]
    observed: Bool[Array, "T1 batch N"] | None
    inputs: Float[Array, "T batch P"] | None
    step: Int[Array, ""]


class Windows(eqx.Module):
    """A stream of windows drawn independently, with replacement, from all that fit into the data.

    `windows_of` builds it. Every admissible start is equally likely, the last one included.

    Attributes:
        x: all measurements, one series after the other.
        observed: which were made, or None if all were.
        inputs: external inputs at the same times, or None.
        starts: first rows of the admissible windows.
        length: number of steps T; a window has `T + 1` measurements.
        batch_size: windows drawn at a step.
    """

    x: Float[Array, "total N"]
    observed: Bool[Array, "total N"] | None
    inputs: Float[Array, "total P"] | None
    starts: Int[Array, " windows"]
    length: int = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)

    def __call__(self, step: Int[Array, ""], key: Key[Array, ""]) -> Window:
        """Return the windows of this step; see `Stream`."""
        drawn = self.starts[jr.randint(jr.fold_in(key, step), (self.batch_size,), 0, len(self.starts))]
        rows = jnp.arange(self.length + 1)[:, None] + drawn
        take = lambda a, r: None if a is None else a[r]  # noqa: E731
        return Window(self.x[rows], take(self.observed, rows), take(self.inputs, rows[1:]), jnp.asarray(step))


def windows_of(
    series: Float[ArrayLike, "T N"] | Sequence[Float[ArrayLike, "T N"]],
    length: int = 200,
    batch_size: int = 16,
    inputs: Float[ArrayLike, "T P"] | Sequence[Float[ArrayLike, "T P"]] | None = None,
) -> Windows:
    """Build a stream of windows; none crosses from one series into the next.

    Missing measurements are NaN. They are neither forced nor counted in the loss; a window must begin with a complete
    measurement.

    Args:
        series: one array, or several of any lengths.
        length: number of steps T.
        batch_size: windows in a batch.
        inputs: external inputs, shaped like the series in time; `inputs[t]` acts on the step that leads to `series[t]`.

    Returns:
        The stream.

    Raises:
        ValueError: if shapes do not fit, a value is infinite, inputs are missing, or no window fits.

    Examples:
        >>> stream = windows_of(np.arange(20.0)[:, None], length=4, batch_size=2)
        >>> len(stream.starts), stream(jnp.int32(0), jr.key(0)).x.shape
        (16, (5, 2, 1))
    """
    parts = _as_list(series)
    parts = [part if np.issubdtype(part.dtype, np.floating) else part.astype(float) for part in parts]
    if not parts or any(part.ndim != 2 or part.shape[1] != parts[0].shape[1] for part in parts):
        raise ValueError(
            f"each series must have shape (times, variables) with equal variables; got {[p.shape for p in parts]}."
        )
    if length < 1 or batch_size < 1:
        raise ValueError(f"`length` and `batch_size` must be at least 1; got {length} and {batch_size}.")
    x = np.concatenate(parts)
    if np.isinf(x).any():
        raise ValueError("a measurement is infinite; write NaN where one is missing.")
    observed = np.isfinite(x)
    begins = np.cumsum([0, *(len(part) for part in parts)])
    starts = np.concatenate(
        [np.arange(b, max(b, b + len(part) - length)) for b, part in zip(begins[:-1], parts, strict=True)]
    )
    starts = starts[observed[starts].all(axis=1)] if starts.size else starts
    if not starts.size:
        raise ValueError(
            f"no window of {length + 1} measurements with a complete first one fits into series of lengths "
            f"{[len(part) for part in parts]}; choose a smaller `length`."
        )
    driven = None
    if inputs is not None:
        driven = np.concatenate(_as_list(inputs)).astype(x.dtype)
        if len(driven) != len(x) or not np.isfinite(driven).all():
            raise ValueError(f"`inputs` must be finite, one row for each measurement; got {len(driven)} for {len(x)}.")
    return Windows(
        jnp.asarray(np.where(observed, x, 0)),
        None if observed.all() else jnp.asarray(observed),
        None if driven is None else jnp.asarray(driven),
        jnp.asarray(starts, jnp.int32),
        length,
        batch_size,
    )


def _as_list(series: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in ([series] if getattr(series, "ndim", 0) == 2 else series)]
