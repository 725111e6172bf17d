"""Forecast by an echo state network in closed loop."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix.dynamics.forecasting.forecaster import Scaling, scaling
from separatrix.models.reservoir import EchoState, fit_echo_state

__all__ = ["EchoStateFit", "EchoStateForecast"]


class EchoStateFit(NamedTuple):
    """A reservoir with its readout, and the data's scaling."""

    reservoir: EchoState
    units: Scaling


class EchoStateForecast(eqx.Module):
    """A reservoir driven by the series, its readout fitted by ridge regression, then run on its own output.

    Attributes:
        size: units.
        leak: leak rate in (0, 1]; above 1 the state may blow up.
        ridge: penalty on the readout.
        spectral_radius: of the recurrent weights.

    References:
        Jaeger (2001), GMD report 148. Defaults of Gilpin (2023), Phys. Rev. Research 5, 043252.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.dynamics.forecasting import forecast
        >>> wave = jnp.sin(0.2 * jnp.arange(300.0))
        >>> error = forecast(EchoStateForecast(60), wave[:280], 20, jr.key(0))[:, 0] - wave[280:]
        >>> bool(abs(error).max() < 0.3)
        True
    """

    size: int = eqx.field(static=True, default=500)
    leak: ArrayLike = 1.0
    ridge: ArrayLike = 1e-4
    spectral_radius: ArrayLike = 0.99

    def fit(self, y: Float[Array, "T D"], key: Key[Array, ""]) -> EchoStateFit:
        """Draw a reservoir and fit its readout."""
        units = scaling(y)
        reservoir = EchoState(
            y.shape[1], self.size, key, spectral_radius=self.spectral_radius, leak=jnp.asarray(self.leak)
        )
        return EchoStateFit(fit_echo_state(reservoir, units.forward(y), self.ridge), units)

    def predict(self, state: EchoStateFit, context: Float[Array, "W D"], steps: int) -> Float[Array, "steps D"]:
        """Drive the reservoir with the context and let it run."""
        reservoir, units = state
        z = units.forward(context)
        r, _ = jax.lax.scan(lambda r, x: (reservoir.drive(r, x), None), jnp.zeros(self.size, z.dtype), z[:-1])

        def advance(carry, _):
            carry = jnp.clip(reservoir.step(carry), -1e3, 1e3)
            return carry, carry[: z.shape[1]]

        _, path = jax.lax.scan(advance, jnp.concatenate([z[-1], r]), length=steps)
        return units.back(path)
