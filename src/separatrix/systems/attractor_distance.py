"""How far a generated attractor is from the true one: in the space of states, and in power spectra.

All functions take arrays of shape `(T, N)` and work on the host. Distances between finite samples are not zero even
for one and the same system: report that of two halves of the true series beside them.
"""

from collections.abc import Sequence

import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

__all__ = ["attractor_limits", "d_hellinger", "d_stsp_binned", "d_stsp_gmm", "smoothed_spectrum"]


def attractor_limits(true: Float[ArrayLike, "T N"], margin: float = 0.1) -> Float[np.ndarray, "N 2"]:
    """The box that holds a series, enlarged on each side by a share of its standard deviation.

    Args:
        true: the series.
        margin: share of the standard deviation.

    Returns:
        Lower and upper ends.
    """
    true = np.asarray(true, float)
    spread = margin * true.std(axis=0)
    return np.stack([true.min(axis=0) - spread, true.max(axis=0) + spread], axis=1)


def d_stsp_binned(
    true: Float[ArrayLike, "T N"],
    generated: Float[ArrayLike, "S N"],
    bins: int = 30,
    *,
    limits: Float[ArrayLike, "N 2"] | None = None,
    smoothing: float = 1e-5,
) -> float:
    """State-space divergence: Kullback-Leibler divergence of two histograms, the true one first.

    Every cell gets `smoothing` counts. Points outside the box are dropped, so a model that spends half of its time
    there is judged by the other half.

    Args:
        true: the true series, at most 5 variables.
        generated: the generated one, of any length.
        bins: number of bins in each variable.
        limits: the box; `attractor_limits` of the true series by default. Older papers use plus and minus two standard
            deviations.
        smoothing: counts added to each cell.

    Returns:
        Divergence in nats; NaN if no generated point lies in the box or a value is not finite.

    Raises:
        ValueError: if the series have different or too many variables.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(5000, 2))
        >>> d_stsp_binned(x, x)
        0.0

    References:
        Koppe et al. (2019), PLoS Comput. Biol. 15, e1007263. Hess et al. (2023), ICML, arXiv:2306.04406.
    """
    true, generated = _pair(true, generated)
    if true.shape[1] > 5:
        raise ValueError(f"a histogram of {true.shape[1]} variables has too many cells; use `d_stsp_gmm`.")
    if not (np.isfinite(true).all() and np.isfinite(generated).all()):
        return np.nan
    limits = attractor_limits(true) if limits is None else np.asarray(limits, float)
    p, q = (_cell_counts(x, bins, limits) for x in (true, generated))
    if not q.sum():
        return np.nan
    cells = smoothing * bins ** true.shape[1]
    p, q = ((h + smoothing) / (h.sum() + cells) for h in (p, q))
    return float(np.sum(p * np.log(p / q)))


def _pair(true, generated):
    true, generated = np.asarray(true, float), np.asarray(generated, float)
    if true.ndim != 2 or generated.ndim != 2 or true.shape[1] != generated.shape[1]:
        raise ValueError(
            f"both series must have shape (times, variables) with equal variables; got {true.shape} and "
            f"{generated.shape}."
        )
    return true, generated


def _cell_counts(x: np.ndarray, bins: int, limits: np.ndarray) -> np.ndarray:
    low, high = limits.T
    width = np.where(high > low, high - low, 1.0)
    inside = ((x >= low) & (x <= high)).all(axis=1)
    index = np.minimum(((x[inside] - low) / width * bins).astype(np.int64), bins - 1)
    flat = np.ravel_multi_index(tuple(index.T), (bins,) * x.shape[1])
    return np.bincount(flat, minlength=bins ** x.shape[1]).astype(float)


def d_stsp_gmm(
    true: Float[ArrayLike, "T N"],
    generated: Float[ArrayLike, "S N"],
    key: Key[Array, ""] | None = None,
    *,
    variance: float = 1.0,
    samples: int = 1_000,
    points: int = 10_000,
) -> float:
    """State-space divergence for many variables: each point is the centre of a Gaussian, the mixtures are compared.

    The Kullback-Leibler divergence of the mixtures, the true one first, is the mean of `log p - log q` over samples of
    the true one. Likelihoods are kept as logarithms: a bad model gives a large value, where dropping samples of zero
    likelihood, as published code does, makes it look better.

    Args:
        true: the true series.
        generated: the generated one.
        key: drives the samples; `jr.key(0)` by default, so that models are judged on the same ones.
        variance: of each Gaussian, in squared units of the data.
        samples: number of samples.
        points: the first so many points of each series are used.

    Returns:
        Estimate in nats; NaN if a value is not finite.

    Raises:
        ValueError: if the series have different variables.

    Examples:
        Two Gaussians at distance 2 have a divergence of 2 squared over 2:

        >>> round(d_stsp_gmm(np.zeros((1, 6)), np.eye(6)[:1] * 2, samples=20_000), 1)
        2.0
    """
    true, generated = _pair(true, generated)
    true, generated = true[:points], generated[:points]
    if not (np.isfinite(true).all() and np.isfinite(generated).all()):
        return np.nan
    key = jr.key(0) if key is None else key
    centres = np.asarray(jr.randint(jr.fold_in(key, 0), (samples,), 0, len(true)))
    noise = np.asarray(jr.normal(jr.fold_in(key, 1), (samples, true.shape[1])), float)
    x = true[centres] + np.sqrt(variance) * noise

    def log_density(points):  # up to the common normalisation of one Gaussian
        return logsumexp(-cdist(x, points, "sqeuclidean") / (2 * variance), axis=1) - np.log(len(points))

    return float(np.mean(log_density(true) - log_density(generated)))


def smoothed_spectrum(x: Float[ArrayLike, "T N"], smoothing: float = 20.0) -> Float[np.ndarray, "F N"]:
    """Power spectrum of each standardised variable, smoothed over frequencies and normalised to sum one.

    Args:
        x: the series.
        smoothing: standard deviation of the Gaussian kernel, in frequency bins; 0 for none.

    Returns:
        Shares of the power at the frequencies `0, 1/T, ...`; NaN for a constant variable.
    """
    x = np.asarray(x, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), np.nan)
        power = np.abs(np.fft.rfft((x - x.mean(axis=0)) / spread, axis=0)) ** 2
        if smoothing:
            power = gaussian_filter1d(power, smoothing, axis=0, mode="reflect", truncate=4.0)
        power = np.maximum(power, 0.0)
        return power / power.sum(axis=0)


def d_hellinger(
    true: Float[ArrayLike, "T N"],
    generated: Float[ArrayLike, "T N"],
    smoothing: float = 20.0,
    *,
    variables: Sequence[int] | None = None,
) -> float:
    """Hellinger distance of the power spectra, averaged over variables; 0 for equal spectra, 1 for disjoint ones.

    Args:
        true: the true series.
        generated: the generated one, equally long.
        smoothing: of the spectra, in frequency bins.
        variables: which variables; all by default.

    Returns:
        Distance in [0, 1]; NaN if a variable of the generated series is constant (a fixed point) or not finite.

    Raises:
        ValueError: if the series differ in shape.

    Examples:
        >>> t = np.arange(1000)[:, None]
        >>> d_hellinger(np.sin(t), np.sin(t)), d_hellinger(np.sin(t), np.ones((1000, 1)))
        (0.0, nan)

    References:
        Mikhaeil, Monfared, Durstewitz (2022), NeurIPS, arXiv:2110.07238.
    """
    true, generated = _pair(true, generated)
    if len(true) != len(generated):
        raise ValueError(f"the series must be equally long; got {len(true)} and {len(generated)}. Cut the longer one.")
    chosen = slice(None) if variables is None else list(variables)
    p, q = (smoothed_spectrum(x[:, chosen], smoothing) for x in (true, generated))
    return float(np.mean(np.sqrt(np.sum((np.sqrt(p) - np.sqrt(q)) ** 2, axis=0) / 2)))
