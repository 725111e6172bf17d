"""A dictionary made orthonormal: the form in which Koopman's operator is a small, well-conditioned matrix.

Columns that are combinations of others to rounding are pruned, so that a dictionary with too many or too similar
observables gives an honest smaller answer in place of noise.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy.linalg import qr, solve_triangular

from separatrix.dynamics.koopman.gram_matrices import weighted

__all__ = ["OrthonormalForm", "orthonormal_form"]


class OrthonormalForm(NamedTuple):
    """Koopman's operator on the span of a dictionary, in an orthonormal basis of `rank` functions.

    `K q_j` is `operator[:, j]` within the span plus a part orthogonal to it, of which `leak` has the inner products:
    `L' = operator* operator + leak* leak`.

    Attributes:
        operator: `Q* K Q`, shape `(rank, rank)`.
        leak: a square root of what leaves the span, shape `(rank, rank)`.
        basis: coefficients of the basis functions in the dictionary, shape `(size, rank)`.
        coordinates: coordinates of the dictionary's functions in the basis, shape `(rank, size)`.
    """

    operator: Num[np.ndarray, "rank rank"]
    leak: Num[np.ndarray, "rank rank"]
    basis: Num[np.ndarray, "size rank"]
    coordinates: Num[np.ndarray, "rank size"]


def orthonormal_form(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
    tolerance: float = 1e-12,
) -> OrthonormalForm:
    """Orthonormalise a dictionary by QR with column pivoting.

    Args:
        psi_x: dictionary at the snapshots `x`.
        psi_y: dictionary at the snapshots `y = F(x)`.
        weights: quadrature weights; `1 / rows` by default.
        tolerance: pivots below this share of the first are pruned.

    Returns:
        The operator in the orthonormal basis.

    Raises:
        ValueError: if shapes do not fit, a value is not finite, or the dictionary vanishes on the snapshots.

    References:
        Colbrook, Ayton, Szoke (2023), J. Fluid Mech. 955, A21. Golub, Van Loan (2013), Matrix Computations, 5.4.

    Examples:
        >>> import numpy as np
        >>> twice = np.repeat(np.eye(3), 2, axis=1)  # every observable twice
        >>> orthonormal_form(twice, np.roll(twice, 1, 0)).operator.shape
        (3, 3)
    """
    x, y = weighted(psi_x, psi_y, weights)
    rows, size = x.shape
    if rows > 2 * size:
        both = _triangle(np.concatenate([x, y], axis=1))
        x, y = both[:, :size], both[:, size:]
    parts: tuple = qr(x, mode="economic", pivoting=True)  # pyright: ignore[reportAssignmentType]
    q, r, pivots = parts
    pivot_sizes = np.abs(np.diag(r))
    if not pivot_sizes[0] > 0:
        raise ValueError("every observable vanishes on the snapshots.")
    rank = int((pivot_sizes > tolerance * pivot_sizes[0]).sum())
    q = q[:, :rank]
    basis = np.zeros((size, rank), r.dtype)
    basis[pivots[:rank]] = solve_triangular(r[:rank, :rank], np.eye(rank))
    moved = y @ basis
    operator = q.conj().T @ moved
    rest = _triangle(moved - q @ operator)
    leak = np.zeros((rank, rank), rest.dtype)
    leak[: len(rest)] = rest
    return OrthonormalForm(operator, leak, basis, q.conj().T @ x)


def _triangle(matrix: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.qr(matrix, mode="r"))
