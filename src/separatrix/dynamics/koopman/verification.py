"""The verified spectrum: points that are certified to lie near the spectrum, by local minima of the residual."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Int

__all__ = ["VerifiedSpectrum", "isometric_floor", "verified_spectrum"]

BLOCK_ENTRIES = 4_000_000


class VerifiedSpectrum(NamedTuple):
    """Output of the algorithm.

    Attributes:
        indices: positions of the output in the candidates, sorted.
        certificate: largest residual of the output: each point lies within that level of the pseudospectrum; NaN if
            there is no output.
        points: the output itself.
        residual: of each point.
    """

    indices: Int[np.ndarray, " found"]
    certificate: float
    points: Complex[np.ndarray, " found"]
    residual: Float[np.ndarray, " found"]


def isometric_floor(
    z: Complex[np.ndarray, "*points"], tau: Float[np.ndarray, "*points"]
) -> Float[np.ndarray, "*points"]:
    """Raise residuals to `|1 - |z||`, which they cannot be below where the system preserves the measure.

    Do not use it on measured data of a system that is not known to preserve its measure.

    Args:
        z: points.
        tau: residual at each.

    Returns:
        The larger of the two.
    """
    return np.maximum(tau, np.abs(1 - np.abs(z)))


def verified_spectrum(
    z: Complex[np.ndarray, "*points"], tau: Float[np.ndarray, "*points"], c: float = 5.0, isometric: bool = False
) -> VerifiedSpectrum:
    """Keep, for each candidate with a residual below one, the best candidate within `c` times its residual.

    Args:
        z: candidates: a grid, or the eigenvalues of `edmd`.
        tau: residual at each, by `pseudospectrum`, or `residuals` of eigenpairs.
        c: radius of the search, in residuals.
        isometric: the system is known to preserve the measure: apply `isometric_floor` first.

    Returns:
        The output and its certificate.

    Raises:
        ValueError: if shapes differ or `c` is not positive.

    References:
        Colbrook, Mezic, Stepanenko (2024), Limits and powers of Koopman learning, arXiv 2407.06312.

    Examples:
        >>> import numpy as np
        >>> found = verified_spectrum(np.array([0.0, 0.5, 1.0]), np.array([0.9, 0.5, 0.01]))
        >>> found.indices.tolist(), found.certificate
        ([2], 0.01)
    """
    z, tau = np.ravel(np.asarray(z, complex)), np.ravel(np.asarray(tau, float))
    if z.shape != tau.shape or not c > 0:
        raise ValueError(f"`z` and `tau` must have equal shapes and `c` be positive; got {z.shape}, {tau.shape}, {c}.")
    d = isometric_floor(z, tau) if isometric else tau
    seeds = np.flatnonzero(d < 1)
    best = []
    rows = max(1, BLOCK_ENTRIES // max(1, len(z)))
    for first in range(0, len(seeds), rows):
        j = seeds[first : first + rows]
        near = np.abs(z[None, :] - z[j, None]) < c * d[j, None]
        near[np.arange(len(j)), j] = True  # a residual of zero searches no further than itself
        best.append(np.argmin(np.where(near, d[None, :], np.inf), axis=1))
    index = np.unique(np.concatenate(best)) if best else np.zeros(0, int)
    return VerifiedSpectrum(index, float(d[index].max()) if len(index) else float("nan"), z[index], d[index])
