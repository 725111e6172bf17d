"""Measure-preserving extended dynamic mode decomposition: the unitary matrix nearest to what the data say."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Num
from scipy.linalg import schur

from separatrix.dynamics.koopman.orthonormal_basis import orthonormal_form

__all__ = ["MeasurePreserving", "atomic_measure", "mp_edmd"]


class MeasurePreserving(NamedTuple):
    """A unitary approximation of Koopman's operator.

    Attributes:
        values: eigenvalues, of modulus one to rounding, by angle from -pi to pi; shape `(rank,)`.
        vectors: coefficients of orthonormal eigenfunctions in the dictionary, shape `(size, rank)`.
        dual: gives the coordinates of `Psi c` in the eigenfunctions as `dual @ c`, shape `(rank, size)`.
    """

    values: Complex[np.ndarray, " rank"]
    vectors: Complex[np.ndarray, "size rank"]
    dual: Complex[np.ndarray, "rank size"]

    @property
    def matrix(self) -> Complex[np.ndarray, "size size"]:
        """Matrix of the operator in the dictionary."""
        return self.vectors @ (self.values[:, None] * self.dual)

    def evolve(self, coefficients: Num[np.ndarray, " size"], steps: Num[np.ndarray, " times"]) -> np.ndarray:
        """Coordinates of `K^t Psi c` in the eigenfunctions, shape `(times, rank)`; their norm is constant."""
        start = self.dual @ np.asarray(coefficients)
        return np.exp(1j * np.angle(self.values) * np.asarray(steps)[:, None]) * start


def mp_edmd(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
    tolerance: float = 1e-12,
) -> MeasurePreserving:
    """Fit the unitary matrix in the inner product of the data (an orthogonal Procrustes problem).

    Args:
        psi_x: dictionary at the snapshots `x`.
        psi_y: dictionary at their images.
        weights: quadrature weights; `1 / rows` by default.
        tolerance: pivots of the dictionary below this share of the first are pruned.

    Returns:
        Eigenvalues on the unit circle and orthonormal eigenfunctions.

    References:
        Colbrook (2023), The mpEDMD algorithm for data-driven computations of measure-preserving dynamical systems, SIAM
        J. Numer. Anal. 61, 1585-1608.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> np.abs(mp_edmd(x, 0.5 * x @ np.roll(np.eye(4), 1, 0)).values).round(12).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    form = orthonormal_form(psi_x, psi_y, weights, tolerance)
    left, _, right = np.linalg.svd(form.operator)
    triangle, unitary = schur(left @ right, output="complex")  # pyright: ignore[reportAssignmentType]
    values = np.diag(triangle)
    order = np.argsort(np.angle(values), kind="stable")
    values, unitary = values[order], unitary[:, order]
    return MeasurePreserving(values, form.basis @ unitary, unitary.conj().T @ form.coordinates)


def atomic_measure(
    fit: MeasurePreserving, coefficients: Num[np.ndarray, " size"]
) -> tuple[Float[np.ndarray, " rank"], Float[np.ndarray, " rank"]]:
    """Spectral measure of the observable `Psi c`: atoms at the angles of the eigenvalues.

    Its distribution function converges to that of the operator at every point of continuity.

    Args:
        fit: by `mp_edmd`.
        coefficients: `c`, shape `(size,)`.

    Returns:
        Angles in (-pi, pi], sorted, and the weight of each, which sum to the observable's square norm.

    Examples:
        >>> import numpy as np
        >>> angles, weights = atomic_measure(mp_edmd(np.eye(2), np.eye(2)[::-1]), np.array([1.0, 0.0]))
        >>> np.abs(angles).round(6).tolist(), weights.round(6).tolist()
        ([0.0, 3.141593], [0.25, 0.25])
    """
    return np.angle(fit.values), np.abs(fit.dual @ np.asarray(coefficients)) ** 2
