"""Tests of a measured series: the 0-1 test for chaos, and determinism against linear surrogates."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.spatial import KDTree

from separatrix.systems.neighbour_exponent import delay_embed
from separatrix.systems.spectra import phase_randomised

__all__ = ["DeterminismTest", "amplitude_adjusted", "determinism_test", "zero_one_test"]


def zero_one_test(x: Float[ArrayLike, " t"], *, frequencies: int = 100, seed: int = 0) -> float:
    """The 0-1 test: near 0 for regular motion, near 1 for chaos, and for noise.

    Samples should be about a quarter of a period apart, for oversampled chaos looks regular, and there should be 130 at
    least, for a short sine looks chaotic.

    Args:
        x: scalar series.
        frequencies: random frequencies whose median correlation is returned.
        seed: of the frequencies.

    Returns:
        The median correlation K of the damped mean square displacement with time.

    Raises:
        ValueError: if there are fewer than 50 samples.

    References:
        Gottwald, Melbourne (2009), SIAM J. Appl. Dyn. Syst. 8, 129-145.

    Examples:
        >>> x = [0.3]
        >>> for _ in range(999):
        ...     x.append(4 * x[-1] * (1 - x[-1]))
        >>> zero_one_test(x) > 0.9, zero_one_test(np.sin(0.9 * np.arange(1000))) < 0.1
        (True, True)
    """
    x = np.asarray(x, float)
    if len(x) < 50:
        raise ValueError(f"the 0-1 test needs 50 samples; got {len(x)}.")
    n = len(x)
    most = n // 10
    c = np.random.default_rng(seed).uniform(np.pi / 5, 4 * np.pi / 5, frequencies)
    angle = c[:, None] * np.arange(1, n + 1)
    p, q = np.cumsum(x * np.cos(angle), axis=1), np.cumsum(x * np.sin(angle), axis=1)
    lags = np.arange(1, most + 1)
    spread = np.stack(
        [
            np.mean((p[:, k : k + n - most] - p[:, : n - most]) ** 2, axis=1)
            + np.mean((q[:, k : k + n - most] - q[:, : n - most]) ** 2, axis=1)
            for k in lags
        ],
        axis=1,
    )
    damped = spread - np.mean(x) ** 2 * (1 - np.cos(c[:, None] * lags)) / (1 - np.cos(c[:, None]))
    centred = damped - damped.mean(axis=1, keepdims=True)
    t = lags - lags.mean()
    scale = np.sqrt(np.sum(centred**2, axis=1) * np.sum(t**2))
    return float(np.median(centred @ t / np.where(scale > 0, scale, np.inf)))


class DeterminismTest(NamedTuple):
    """Result of `determinism_test`.

    Attributes:
        p: share of surrogates, the series counted, that are forecast at least as well.
        error: of the series, in standard deviations.
        surrogates: errors of the surrogates.
    """

    p: float
    error: float
    surrogates: Float[np.ndarray, " count"]


def determinism_test(
    x: Float[ArrayLike, " t"],
    *,
    dimension: int = 4,
    lag: int = 1,
    ahead: int = 1,
    theiler: int = 1,
    count: int = 39,
    most: int = 3_000,
    seed: int = 0,
) -> DeterminismTest:
    """Are neighbours in state space better forecasts than in linear noise of the same spectrum and distribution?

    Args:
        x: scalar series.
        dimension: delay coordinates.
        lag: samples between them.
        ahead: samples that are forecast.
        theiler: neighbours are further away in time than this.
        count: amplitude-adjusted surrogates; 39 allow p = 0.025.
        most: the first samples that are used.
        seed: of the surrogates.

    Returns:
        The one-sided test.

    References:
        Theiler et al. (1992), Physica D 58, 77-94. Schreiber, Schmitz (1996), Phys. Rev. Lett. 77, 635-638.

    Examples:
        >>> x = [0.3]
        >>> for _ in range(399):
        ...     x.append(4 * x[-1] * (1 - x[-1]))
        >>> determinism_test(x, dimension=2).p
        0.025
    """
    x = _matched_ends(np.asarray(x, float)[:most])
    others = amplitude_adjusted(x, count, seed)
    own = _neighbour_error(x, dimension, lag, ahead, theiler)
    errors = np.array([_neighbour_error(row, dimension, lag, ahead, theiler) for row in others])
    # a surrogate that is forecast as well up to rounding counts against determinism
    return DeterminismTest(float((1 + np.sum(errors <= own * (1 + 1e-6))) / (count + 1)), own, errors)


def amplitude_adjusted(
    x: Float[ArrayLike, " t"], count: int, seed: int = 0, rounds: int = 30
) -> Float[np.ndarray, "count t"]:
    """Surrogates with the values of a series and, nearly, its spectrum.

    A jump between the last and the first value puts power at all frequencies; `determinism_test` cuts it off.

    Args:
        x: scalar series.
        count: number of surrogates.
        seed: of the first phases.
        rounds: of the iteration between spectrum and values.

    Returns:
        One surrogate a row.

    References:
        Schreiber, Schmitz (1996), Phys. Rev. Lett. 77, 635-638.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=64)
        >>> bool(np.allclose(np.sort(amplitude_adjusted(x, 2)[1]), np.sort(x)))
        True
    """
    x = np.asarray(x, float)
    sizes, values = np.abs(np.fft.rfft(x)), np.sort(x)
    rows = phase_randomised(x, count, seed)
    for _ in range(rounds):
        ranks = np.argsort(np.argsort(rows, axis=1), axis=1)
        rows = values[ranks]
        transform = np.fft.rfft(rows, axis=1)
        scale = np.abs(transform)
        rows = np.fft.irfft(np.where(scale > 0, transform / np.where(scale > 0, scale, 1), 1) * sizes, len(x), axis=1)
    return values[np.argsort(np.argsort(rows, axis=1), axis=1)]


def _matched_ends(x: np.ndarray) -> np.ndarray:
    """The series without up to a tenth at either end, so that value and slope at the ends agree as well as they can."""
    room = len(x) // 10
    if room < 2:
        return x
    head, tail = x[:room], x[-room:]
    slope_head, slope_tail = np.gradient(x)[:room], np.gradient(x)[-room:]
    jump = np.abs(head[:, None] - tail) / x.std() + np.abs(slope_head[:, None] - slope_tail) / np.diff(x).std()
    first, last = np.unravel_index(jump.argmin(), jump.shape)
    return x[first : len(x) - room + last]


def _neighbour_error(x, dimension, lag, ahead, theiler) -> float:
    """Root mean square error of the forecast by three neighbours, in standard deviations."""
    points = delay_embed(x, dimension, lag)
    last = (dimension - 1) * lag
    count = len(points) - ahead
    future = x[last + ahead : last + ahead + count]
    wanted = min(count, 3 + 2 * theiler + 1)
    _, index = KDTree(points[:count]).query(points[:count], k=wanted)
    far = np.abs(index - np.arange(count)[:, None]) > theiler
    order = np.argsort(~far, axis=1, kind="stable")[:, :3]
    near, valid = np.take_along_axis(index, order, 1), np.take_along_axis(far, order, 1)
    weights = valid / np.maximum(valid.sum(axis=1, keepdims=True), 1)
    guess = np.sum(weights * future[near], axis=1)
    return float(np.sqrt(np.mean((guess - future) ** 2)) / x.std())
