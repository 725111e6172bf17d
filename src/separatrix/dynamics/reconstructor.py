"""Reconstruct the dynamics behind a user's own measurements: fit, then generate, forecast and analyse."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.run import run
from separatrix.dynamics.forcing_strength import AdaptiveAlpha
from separatrix.dynamics.generation import generate, lyapunov_of_map, warm_up
from separatrix.dynamics.piecewise_cycles import Cycles, cycles
from separatrix.dynamics.reconstruction import Reconstruction, decaying_radam, training_log
from separatrix.dynamics.recordings import standardised
from separatrix.dynamics.windows import windows_of
from separatrix.models.observation_models import AffineObservation, IdentityObservation
from separatrix.models.shallow_plrnn import ClippedShallowPLRNN
from separatrix.numerics.lyapunov import LyapunovSpectrum

__all__ = ["AttractorReconstructor"]


@dataclass
class AttractorReconstructor:
    """A clipped shallow PLRNN, or a model of your own, trained by generalised teacher forcing.

    Measurements are standardised inside; what comes out is in their units. Several series may differ in length. Missing
    measurements are NaN; they are neither forced nor counted.

    Attributes:
        hidden: rectifiers of the default model.
        latent: number of units M; the number of variables by default. With another number the observation is affine.
        model: `key -> model` with `step(z)` for M units, in place of the default one.
        observation: `key -> observation model`, in place of the default one.
        length: steps in a training window.
        batch_size: windows in a batch.
        steps: training steps.
        alpha: strength of forcing in [0, 1], or how it adapts (the default).
        penalties: functions `(model, observation) -> number`, added to the loss.
        rates: learning rate at the start and at the end.

    Fitted attributes: `model_`, `observation_`, `log_` (loss, gradient norm and alpha at each step), `mean_`, `scale_`.

    References:
        Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406.

    Examples:
        >>> angle = 0.1 * np.arange(600)
        >>> circle = np.stack([3 + np.sin(angle), np.cos(angle)], axis=1)
        >>> reconstructor = AttractorReconstructor(hidden=10, length=20, steps=60).fit(circle)
        >>> reconstructor.forecast(circle[:50], 7).shape, sorted(reconstructor.log_)
        ((7, 2), ['alpha', 'gradient_norm', 'loss'])
    """

    hidden: int = 50
    latent: int | None = None
    model: Callable[[Key[Array, ""]], Any] | None = None
    observation: Callable[[Key[Array, ""]], Any] | None = None
    length: int = 200
    batch_size: int = 16
    steps: int = 12_000
    alpha: float | AdaptiveAlpha = dataclasses.field(default_factory=AdaptiveAlpha)
    penalties: tuple[Callable[[Any, Any], Float[Array, ""]], ...] = ()
    rates: tuple[float, float] = (1e-3, 1e-6)

    def fit(
        self, x: Float[ArrayLike, "T N"] | Sequence[Float[ArrayLike, "T N"]], key: Key[Array, ""] | None = None
    ) -> "AttractorReconstructor":
        """Train on one series or several.

        Args:
            x: measurements at equal intervals, one array or a list of arrays; NaN where one is missing.
            key: drives initial weights and windows; `jr.key(0)` by default.

        Returns:
            Itself.

        Raises:
            ValueError: if the data do not fit, or training diverged; the message says what to change.
        """
        if not isinstance(self.alpha, AdaptiveAlpha) and not 0 <= self.alpha <= 1:
            raise ValueError(f"`alpha` must lie in [0, 1]; got {self.alpha}.")
        data = standardised(x)  # pyright: ignore[reportArgumentType]
        N = len(data.mean)
        process = self._process(N, data.series)
        state, records = run(
            process, jr.key(0) if key is None else key, self.steps, probes=[training_log(1)], label="reconstruction"
        )
        diverged = int(records.diverged_at)
        if diverged >= 0:
            raise ValueError(
                f"training diverged at step {diverged}: raise `alpha`, shorten `length` or lower the first of `rates`."
            )
        self.mean_, self.scale_ = data.mean, data.scale
        self.model_, self.observation_ = process.trained(state)
        self.log_ = {name: records[name] for name in ("loss", "gradient_norm", "alpha")}
        return self

    def _process(self, N: int, series: Any) -> Reconstruction:
        M = N if self.latent is None else self.latent
        model = self.model or _DefaultModel(M, self.hidden)
        observation = self.observation or _DefaultObservation(N, M)
        adapt = self.alpha if isinstance(self.alpha, AdaptiveAlpha) else None
        parts = [series] if isinstance(series, np.ndarray) else series
        dtype = jax.dtypes.canonicalize_dtype(float)
        return Reconstruction(
            model=model,
            observation=observation,
            optimiser=decaying_radam(self.steps, *self.rates),
            stream=windows_of([part.astype(dtype) for part in parts], self.length, self.batch_size),
            alpha=1.0 if isinstance(self.alpha, AdaptiveAlpha) else self.alpha,
            adapt=adapt,
            penalties=self.penalties,
        )

    def _check_fitted(self):
        if not hasattr(self, "model_"):
            raise ValueError("this AttractorReconstructor is not fitted yet; call `fit` first.")

    def _start(self, context: Float[ArrayLike, "T N"]) -> Float[Array, " M"]:
        context = (np.asarray(context, float) - self.mean_) / self.scale_
        if context.ndim != 2 or not np.isfinite(context).all():
            raise ValueError(f"`context` must be complete, of shape (times, variables); got shape {context.shape}.")
        return warm_up(self.model_.step, self.observation_, jnp.asarray(context))

    def _measured(self, z: Float[Array, "n M"]) -> Float[np.ndarray, "n N"]:
        return np.asarray(self.observation_.observe(z)) * self.scale_ + self.mean_

    def forecast(self, context: Float[ArrayLike, "T N"], n: int) -> Float[np.ndarray, "n N"]:
        """Forecast the `n` measurements after a stretch of them.

        Args:
            context: complete measurements up to now, the last one being where the forecast starts; models with memory
                read all of it.
            n: number of measurements.

        Returns:
            The forecast.

        Raises:
            ValueError: if the context is incomplete, or nothing is fitted yet.
        """
        self._check_fitted()
        return self._measured(_orbit(self.model_, self._start(context), n))

    def generate(
        self, n: int, start: Float[ArrayLike, " N"] | None = None, *, discard: int = 0
    ) -> Float[np.ndarray, "n N"]:
        """Generate a free-running orbit.

        Args:
            n: number of measurements.
            start: a measurement to start from; the mean of the data, displaced by a tenth of their spread, by default.
            discard: further steps at the beginning that are left out.

        Returns:
            The orbit.
        """
        self._check_fitted()
        begin = self.mean_ + 0.1 * self.scale_ if start is None else np.asarray(start, float)
        return self._measured(_orbit(self.model_, self._start(begin[None]), n + discard)[discard:])

    def lyapunov(self, dt: float = 1.0, n: int = 20_000, discard: int = 1_000) -> LyapunovSpectrum:
        """Lyapunov exponents of the trained map, from an orbit that starts near the mean of the data.

        Args:
            dt: time between two measurements.
            n: number of steps, a multiple of 20.
            discard: transient.

        Returns:
            Exponents per unit time, with standard errors.
        """
        self._check_fitted()
        return lyapunov_of_map(
            self.model_, self._start((self.mean_ + 0.1 * self.scale_)[None]), n, discard=discard, dt=dt
        )

    def cycles(self, k: int = 1, **how: Any) -> Cycles:
        """Fixed points (`k = 1`) or cycles of the trained map, in the units of the model's state; see `cycles`.

        Args:
            k: period.
            how: further arguments of `cycles`.

        Returns:
            The cycles.

        Raises:
            ValueError: if the model is not piecewise linear.
        """
        self._check_fitted()
        if not hasattr(self.model_, "gate_options"):
            raise ValueError(f"{type(self.model_).__name__} is not piecewise linear; its cycles cannot be solved for.")
        return cycles(self.model_, k, **how)


class _DefaultModel(eqx.Module):  # values, not closures, so that two fits compile once
    M: int = eqx.field(static=True)
    H: int = eqx.field(static=True)

    def __call__(self, key):
        return ClippedShallowPLRNN(self.M, self.H, key)


class _DefaultObservation(eqx.Module):
    N: int = eqx.field(static=True)
    M: int = eqx.field(static=True)

    def __call__(self, key):
        return IdentityObservation(self.N) if self.N == self.M else AffineObservation(self.N, self.M, key)


@eqx.filter_jit
def _orbit(model: Any, start: Float[Array, " M"], n: int) -> Float[Array, "n M"]:
    return generate(model.step, start, n)
