"""Forecasters that learn a network from windows of a series: one training program for any network."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.keys import named_key
from separatrix.dynamics.forecasting.forecaster import Scaling, scaling
from separatrix.models.nbeats import NBeats
from separatrix.models.series_lstm import SeriesLSTM
from separatrix.models.series_transformer import SeriesTransformer
from separatrix.models.temporal_convolution import TemporalConvolution

__all__ = ["WindowFit", "WindowForecaster", "lstm", "nbeats", "tcn", "transformer"]

Build = Callable[[int, int, int, Key[Array, ""]], Any]


class WindowFit(NamedTuple):
    """Arrays of the trained network, the data's scaling, and the training loss of each step."""

    arrays: Any
    units: Scaling
    losses: Float[Array, " steps"]


class WindowForecaster(eqx.Module):
    """A network from windows to what follows, trained by Adam on the mean squared error in standard units.

    A network maps a window `(window, D)` to `n` rows, which are compared with the last `n` rows of the window moved
    `chunk` ahead: `n = chunk` for one that gives the future only, `n = window` for one that forecasts at every row. A
    step draws `batch` windows at random; there are as many steps as `epochs` passes over the series would take. The
    forecast feeds its own output back, `chunk` rows at a time.

    Attributes:
        build: `(window, chunk, D, key) -> network`.
        window: samples that the network looks at.
        chunk: samples that it adds at once.
        epochs: passes over the windows of the series.
        batch: windows in a step.
        rate: Adam's step size.
        steps: number of gradient steps, in place of `epochs`, if positive.

    Examples:
        >>> wave = jnp.sin(0.3 * jnp.arange(120.0))[:, None]
        >>> model = nbeats(12, blocks=2, width=16, steps=20)
        >>> model.predict(model.fit(wave, jr.key(0)), wave, 5).shape
        (5, 1)
    """

    build: Build = eqx.field(static=True)
    window: int = eqx.field(static=True)
    chunk: int = eqx.field(static=True, default=1)
    epochs: int = eqx.field(static=True, default=100)
    batch: int = eqx.field(static=True, default=32)
    rate: ArrayLike = 1e-3
    steps: int = eqx.field(static=True, default=0)

    def num_steps(self, length: int) -> int:
        """Gradient steps on a series of this length.

        Args:
            length: its number of samples.

        Returns:
            `steps` if given, else those that make `epochs` passes.

        Raises:
            ValueError: if not one window fits.
        """
        count = length - self.window - self.chunk + 1
        if count < 1:
            raise ValueError(f"{length} samples are too few for a window of {self.window}; use a shorter window.")
        return self.steps or math.ceil(self.epochs * count / self.batch)

    def fit(self, y: Float[Array, "T D"], key: Key[Array, ""]) -> WindowFit:
        """Train the network."""
        steps, units = self.num_steps(len(y)), scaling(y)
        rate: Any = self.rate
        z = units.forward(y)
        network = self.build(self.window, self.chunk, y.shape[1], named_key(key, "network"))
        arrays, static = eqx.partition(network, eqx.is_inexact_array)
        optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(rate))
        batches = named_key(key, "batches")
        span = self.window + self.chunk

        def loss(arrays, rows):
            out = jax.vmap(eqx.combine(arrays, static))(rows[:, : self.window])
            return jnp.mean((out - rows[:, span - out.shape[1] :]) ** 2)

        def train(carry, i):
            arrays, memory = carry
            first = jr.randint(jr.fold_in(batches, i), (self.batch,), 0, len(z) - span + 1)
            value, slope = jax.value_and_grad(loss)(arrays, z[first[:, None] + jnp.arange(span)])
            updates, memory = optimiser.update(slope, memory, arrays)
            return (optax.apply_updates(arrays, updates), memory), value

        (arrays, _), losses = jax.lax.scan(train, (arrays, optimiser.init(arrays)), jnp.arange(steps))
        return WindowFit(arrays, units, losses)

    def network(self, state: WindowFit) -> Any:
        """Return the trained network, which works in standard units."""
        dim = len(state.units.mean)
        shape = eqx.filter_eval_shape(self.build, self.window, self.chunk, dim, jr.key(0))
        return eqx.combine(state.arrays, eqx.partition(shape, _is_inexact)[1])

    def predict(self, state: WindowFit, context: Float[Array, "W D"], steps: int) -> Float[Array, "steps D"]:
        """Continue a context."""
        if len(context) < self.window:
            raise ValueError(f"the context must have {self.window} samples at least; got {len(context)}.")
        network = self.network(state)

        def advance(window, _):
            new = jnp.clip(network(window)[-self.chunk :], -1e3, 1e3)
            return jnp.concatenate([window, new])[-self.window :], new

        start = state.units.forward(context[-self.window :])
        _, parts = jax.lax.scan(advance, start, length=-(-steps // self.chunk))
        return state.units.back(parts.reshape(-1, context.shape[1])[:steps])


def _is_inexact(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct) and jnp.issubdtype(leaf.dtype, jnp.inexact)


def nbeats(window: int, chunk: int = 1, *, blocks: int = 30, width: int = 256, **options: Any) -> WindowForecaster:
    """N-BEATS on windows.

    Args:
        window: samples that it looks at.
        chunk: samples that it adds at once.
        blocks: residual blocks.
        width: units of a layer.
        **options: of `WindowForecaster`.

    Returns:
        The forecaster.

    Examples:
        >>> nbeats(10, epochs=5).num_steps(42)
        5
    """
    return WindowForecaster(_build(NBeats, blocks=blocks, width=width), window, chunk, **options)


def lstm(window: int, *, size: int = 25, layers: int = 2, epochs: int = 200, **options: Any) -> WindowForecaster:
    """LSTM on windows, trained to forecast one sample ahead at every row.

    Args:
        window: samples that it looks at.
        size: memory cells of a layer.
        layers: number of layers.
        epochs: passes over the series.
        **options: of `WindowForecaster`.

    Returns:
        The forecaster.

    Examples:
        >>> lstm(10).chunk
        1
    """
    return WindowForecaster(_build(SeriesLSTM, size=size, layers=layers), window, 1, epochs, **options)


def tcn(window: int, chunk: int = 1, *, kernel: int = 3, filters: int = 3, **options: Any) -> WindowForecaster:
    """Temporal convolution on windows.

    Args:
        window: samples that it looks at.
        chunk: samples that it adds at once.
        kernel: taps of a convolution.
        filters: channels inside.
        **options: of `WindowForecaster`.

    Returns:
        The forecaster.

    Examples:
        >>> tcn(10).window
        10
    """
    return WindowForecaster(_build(TemporalConvolution, kernel=kernel, filters=filters), window, chunk, **options)


def transformer(
    window: int, chunk: int = 1, *, size: int = 64, heads: int = 4, layers: int = 3, feed: int = 512, **options: Any
) -> WindowForecaster:
    """Encoder-decoder transformer on windows.

    Args:
        window: samples that it looks at.
        chunk: samples that it adds at once.
        size: width of a token.
        heads: attention heads.
        layers: layers of each half.
        feed: width of the feed-forward part.
        **options: of `WindowForecaster`.

    Returns:
        The forecaster.

    Examples:
        >>> transformer(10).batch
        32
    """
    build = _build(SeriesTransformer, size=size, heads=heads, layers=layers, feed=feed)
    return WindowForecaster(build, window, chunk, **options)


class _build(partial):
    """A partial that compares by value, so that two equal forecasters share one compiled program."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _build) and (self.func, self.keywords) == (other.func, other.keywords)

    def __hash__(self) -> int:
        return hash((self.func, tuple(sorted(self.keywords.items()))))
