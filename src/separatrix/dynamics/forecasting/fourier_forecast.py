"""Forecast by the strongest harmonics of the series, repeated."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["FourierForecast"]


class FourierForecast(eqx.Module):
    """A polynomial trend and the strongest Fourier components of the rest, continued with the length of the series.

    Attributes:
        components: number of frequencies kept, the mean not counted.
        trend: degree of the trend; 0 is the mean.

    Examples:
        >>> model = FourierForecast(components=1)
        >>> y = jnp.sin(2 * jnp.pi * jnp.arange(40.0) / 8)[:, None]
        >>> bool(jnp.allclose(model.predict(model.fit(y, None), y, 8), y[:8], atol=1e-4))
        True
    """

    components: int = eqx.field(static=True, default=10)
    trend: int = eqx.field(static=True, default=0)

    def fit(self, y: Float[Array, "T D"], key) -> tuple[Array, Array]:
        """Return coefficients of the trend and one cycle of the harmonics."""
        del key
        powers = self._powers(len(y), len(y), y.dtype)
        coefficients = jnp.linalg.lstsq(powers, y)[0]
        spectrum = jnp.fft.rfft(y - powers @ coefficients, axis=0)
        size = jnp.abs(spectrum).at[0].set(0.0)
        least = jnp.sort(size, axis=0)[-min(self.components, len(size) - 1)]
        return coefficients, jnp.fft.irfft(jnp.where(size >= least, spectrum, 0.0), len(y), axis=0)

    def predict(self, state: tuple[Array, Array], context, steps: int) -> Float[Array, "steps D"]:
        """Continue trend and cycle from the end of the fitted series."""
        del context
        coefficients, cycle = state
        count = len(cycle)
        trend = self._powers(count + steps, count, cycle.dtype)[count:] @ coefficients
        return trend + cycle[jnp.arange(count, count + steps) % count]

    def _powers(self, count: int, unit: int, dtype) -> Float[Array, "T k"]:
        t = jnp.arange(count, dtype=dtype) / unit
        return jnp.stack([t**k for k in range(self.trend + 1)], axis=1)
