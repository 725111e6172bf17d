"""Power spectra of series, and the dominant period against phase-randomised surrogates."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.ndimage import gaussian_filter1d
from scipy.signal.windows import blackmanharris

__all__ = ["DominantPeriod", "dominant_period", "phase_randomised", "power_spectrum"]


class DominantPeriod(NamedTuple):
    """Result of `dominant_period`.

    Attributes:
        period: median over coordinates, in units of time; NaN if all are constant.
        dt: suggested integration step: a hundredth of the shortest significant period; NaN if there is none.
        by_coordinate: dominant period of each coordinate; NaN where it is constant.
    """

    period: float
    dt: float
    by_coordinate: np.ndarray


def power_spectrum(
    x: Float[ArrayLike, "t *dim"], dt: float = 1.0
) -> tuple[Float[np.ndarray, " f"], Float[np.ndarray, "f *dim"]]:
    """One-sided power spectral density with a Blackman-Harris window, the mean removed.

    Args:
        x: series along the first axis.
        dt: time between samples.

    Returns:
        Frequencies in cycles per unit time, and the density, whose integral is about the variance.

    Examples:
        >>> import numpy as np
        >>> frequency, power = power_spectrum(np.sin(2 * np.pi * 0.1 * np.arange(1000)))
        >>> round(float(frequency[power.argmax()]), 3)
        0.1
    """
    x = np.asarray(x, float)
    window = blackmanharris(len(x), sym=False)
    shaped = window.reshape(-1, *[1] * (x.ndim - 1))
    transform = np.fft.rfft(shaped * (x - x.mean(axis=0)), axis=0)
    density = np.abs(transform) ** 2 * dt / np.sum(window**2)
    density[1 : len(density) - (len(x) % 2 == 0)] *= 2
    return np.fft.rfftfreq(len(x), dt), density


def phase_randomised(x: Float[ArrayLike, " t"], count: int, seed: int = 0) -> Float[np.ndarray, "count t"]:
    """Surrogates with the amplitudes of a series' Fourier transform and random phases.

    Args:
        x: a scalar series.
        count: number of surrogates.
        seed: of the phases.

    Returns:
        One surrogate a row; each has the mean and the variance of the series.

    References:
        Theiler, Eubank, Longtin, Galdrikian, Farmer (1992), Physica D 58, 77-94.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=64)
        >>> bool(np.allclose(phase_randomised(x, 3).var(axis=1), x.var()))
        True
    """
    x = np.asarray(x, float)
    transform = np.fft.rfft(x)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (count, len(transform)))
    turned = np.abs(transform) * np.exp(1j * phases)
    turned[:, 0] = transform[0]
    if len(x) % 2 == 0:
        turned[:, -1] = transform[-1].real
    return np.fft.irfft(turned, len(x), axis=1)


def dominant_period(
    x: Float[ArrayLike, "t *dim"], dt: float, *, n_surrogates: int = 100, level: float = 0.95, seed: int = 0
) -> DominantPeriod:
    """Dominant period of a series, and an integration step from the fastest frequency that stands out.

    The period of a coordinate is that of the strongest windowed frequency of the series smoothed by a Gaussian of three
    samples, neighbouring bins of the peak being merged. Frequencies with fewer than 20 cycles in the series are
    ignored, so its length sets the longest period that can be found: take about 32 expected periods, as the published
    periods do (40 000 points at 1000 in a period, the first fifth dropped, repeated from several initial states). A
    frequency is significant when its windowed power exceeds that of a share `level` of phase-randomised surrogates;
    the fastest such frequency sets the step.

    Args:
        x: `(t, dim)` or `(t,)`.
        dt: time between samples.
        n_surrogates: number of surrogates.
        level: share of the surrogates that must have less power.
        seed: of the surrogates.

    Returns:
        Period, suggested step, and the period of each coordinate.

    Raises:
        ValueError: if the series is shorter than 60 samples or not finite.

    Examples:
        >>> import numpy as np
        >>> wave = np.sin(2 * np.pi * np.arange(4000) / 80)
        >>> round(dominant_period(wave, 0.5).period, 1)
        40.0
    """
    x = np.asarray(x, float).reshape(len(x), -1)  # pyright: ignore[reportArgumentType]
    n = len(x)
    if n < 60:
        raise ValueError(f"the series must have 60 samples at least; got {n}.")
    if not np.isfinite(x).all():
        raise ValueError("the series has NaN or infinite values; cut or fill them first.")
    frequency = np.fft.rfftfreq(n, dt)
    allowed = frequency >= 20 / (n * dt)
    periods, fastest = [], 0.0
    for j, column in enumerate(x.T):
        if column.std() == 0:
            periods.append(np.nan)
            continue
        _, smooth = power_spectrum(gaussian_filter1d(column, 3), dt)
        periods.append(1 / _peak(frequency, np.where(allowed, smooth, 0.0)))
        _, power = power_spectrum(column, dt)
        less = np.zeros(len(power))
        for first in range(0, n_surrogates, 20):  # a few at a time bounds memory
            batch = phase_randomised(column, min(20, n_surrogates - first), seed + 7_919 * j + first)
            less += (power_spectrum(batch.T, dt)[1] < power[:, None]).sum(axis=1)
        significant = allowed & (less >= level * n_surrogates)
        if significant.any():
            fastest = max(fastest, float(frequency[significant].max()))
    finite = np.asarray(periods)[np.isfinite(periods)]
    period = float(np.median(finite)) if len(finite) else float("nan")
    return DominantPeriod(period, 1 / (100 * fastest) if fastest else float("nan"), np.asarray(periods))


def _peak(frequency: np.ndarray, power: np.ndarray) -> float:
    """Power-weighted frequency of the bins around the strongest one that reach half of it."""
    low = high = top = int(power.argmax())
    while low > 0 and power[low - 1] > power[top] / 2:
        low -= 1
    while high < len(power) - 1 and power[high + 1] > power[top] / 2:
        high += 1
    bins = slice(low, high + 1)
    return float(np.sum(frequency[bins] * power[bins]) / np.sum(power[bins]))
