"""A vocabulary for how many limits a spectral problem needs (the Solvability Complexity Index), and checks of it.

A problem is a set of systems with a spectral quantity in a metric; an algorithm sees finitely many snapshots of finite
precision. `Delta_{k+1}`: computable in `k` successive limits. `Sigma_k`: moreover the last limit converges from inside,
every output being within `2^-n` of the truth (verified). `Pi_k`: the last limit covers the truth.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Complex
from scipy.spatial import KDTree

__all__ = ["Classification", "classify", "covering", "hausdorff", "settles", "verified"]


class Classification(NamedTuple):
    """Where a problem stands.

    Attributes:
        limits: successive limits that are needed and suffice.
        side: "Sigma" if the last limit is verified from inside, "Pi" if it covers, "none" if neither is known.
        assumptions: what is known of the systems.
        sharp: whether fewer limits are proven not to suffice.
    """

    limits: int
    side: Literal["Sigma", "Pi", "none"]
    assumptions: str
    sharp: bool

    @property
    def symbol(self) -> str:
        r"""Such as `Sigma_1` or `Pi_2 \ Delta_2`."""
        inside = f"{self.side}_{self.limits}" if self.side != "none" else f"Delta_{self.limits + 1}"
        return inside + (f" \\ Delta_{self.limits}" if self.sharp and self.limits > 1 else "")


def classify(*, measure_preserving: bool, known_modulus: bool) -> Classification:
    r"""How many limits the approximate-point spectrum of Koopman's operator needs, in the Hausdorff metric.

    The limits are, from the innermost: data, then dictionary, then resolution.

    Args:
        measure_preserving: every system of the class preserves the measure.
        known_modulus: a modulus of continuity of the maps is known.

    Returns:
        The classification of the paper's theorems (as its first version states them).

    References:
        Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312. Ben-Artzi, Colbrook, Hansen, Nevanlinna, Seidel (2020),
        Computing spectra: on the solvability complexity index hierarchy, arXiv 1508.03280.

    Examples:
        >>> classify(measure_preserving=True, known_modulus=True).symbol
        'Sigma_1'
        >>> classify(measure_preserving=False, known_modulus=False).symbol
        'Pi_3 \\ Delta_3'
    """
    if measure_preserving and known_modulus:
        return Classification(1, "Sigma", "measure-preserving maps with a known modulus of continuity", True)
    if measure_preserving:
        return Classification(2, "Sigma", "measure-preserving maps", True)
    if known_modulus:
        return Classification(2, "Pi", "continuous maps with a known modulus of continuity", True)
    return Classification(3, "Pi", "continuous maps", True)


def hausdorff(first: Complex[np.ndarray, " n"], second: Complex[np.ndarray, " m"]) -> float:
    """Hausdorff distance of two finite sets of complex numbers; infinite if one is empty.

    Args:
        first: a set.
        second: another.

    Returns:
        The largest distance of a point of one to the other.

    Examples:
        >>> import numpy as np
        >>> hausdorff(np.array([0, 1]), np.array([0, 3j]))
        3.0
    """
    return max(_farthest(first, second), _farthest(second, first))


def _farthest(points, others) -> float:
    plane = [np.stack([np.real(np.ravel(a)), np.imag(np.ravel(a))], axis=1).astype(float) for a in (points, others)]
    if not all(len(p) for p in plane):
        return float("inf")
    return float(KDTree(plane[1]).query(plane[0])[0].max())


def verified(
    outputs: Sequence[Complex[np.ndarray, " n"]], truth: Complex[np.ndarray, " m"], slack: float = 0.0
) -> bool:
    """Whether a sequence is verified (`Sigma`): each point of output `n` lies within `2^-n + slack` of the truth.

    Args:
        outputs: `Gamma_1, Gamma_2, ...`; empty outputs are fine.
        truth: a dense sample of the true set.
        slack: spacing of that sample.

    Returns:
        True if all outputs obey.

    Examples:
        >>> import numpy as np
        >>> verified([np.array([1.4]), np.array([1.2])], np.array([1.0]))
        True
    """
    return all(_farthest(out, truth) <= 2.0**-n + slack for n, out in enumerate(outputs, 1) if len(out))


def covering(
    outputs: Sequence[Complex[np.ndarray, " n"]], truth: Complex[np.ndarray, " m"], slack: float = 0.0
) -> bool:
    """Whether a sequence covers the truth (`Pi`): each true point lies within `2^-n + slack` of output `n`.

    Args:
        outputs: `Gamma_1, Gamma_2, ...`.
        truth: a sample of the true set.
        slack: spacing of the outputs.

    Returns:
        True if all outputs obey.
    """
    return all(_farthest(truth, out) <= 2.0**-n + slack for n, out in enumerate(outputs, 1))


def settles(outputs: Sequence[Complex[np.ndarray, " n"]], tolerance: float) -> bool:
    """Whether the second half of a sequence of sets stays within `tolerance` of its last member.

    Args:
        outputs: `Gamma_1, Gamma_2, ...`.
        tolerance: in the Hausdorff metric.

    Returns:
        False for a sequence that keeps changing its mind.

    Examples:
        >>> import numpy as np
        >>> settles([np.array([(-1.0) ** n]) for n in range(10)], 0.1)
        False
    """
    half = outputs[len(outputs) // 2 :]
    return all(hausdorff(out, half[-1]) <= tolerance for out in half)
