"""Extended dynamic mode decomposition: eigenpairs of the least-squares matrix of Koopman's operator."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Num
from scipy.linalg import eig

from separatrix.dynamics.koopman.orthonormal_basis import OrthonormalForm, orthonormal_form

__all__ = ["KoopmanPairs", "edmd", "koopman_matrix", "koopman_pairs"]


class KoopmanPairs(NamedTuple):
    """Candidate eigenpairs: eigenvalues and the coefficients of eigenfunctions `Psi v` in the dictionary.

    Attributes:
        values: shape `(count,)`, largest modulus first.
        vectors: one column a pair, shape `(size, count)`.
    """

    values: Complex[np.ndarray, " count"]
    vectors: Complex[np.ndarray, "size count"]


def koopman_matrix(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
    tolerance: float = 1e-12,
) -> Num[np.ndarray, "size size"]:
    """Least-squares matrix of Koopman's operator, `K = G^+ A`, by QR with pruned columns.

    Args:
        psi_x: dictionary at the snapshots `x`.
        psi_y: dictionary at their images.
        weights: quadrature weights; `1 / rows` by default.
        tolerance: pivots below this share of the first are pruned.

    Returns:
        `K` with `Psi_Y ~ Psi_X K`; rows of pruned observables are zero.

    References:
        Williams, Kevrekidis, Rowley (2015), J. Nonlinear Sci. 25, 1307-1346.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(30, 1)) ** np.arange(1, 4)
        >>> np.diag(koopman_matrix(x, x * 0.5 ** np.arange(1, 4))).round(12).tolist()
        [0.5, 0.25, 0.125]
    """
    form = orthonormal_form(psi_x, psi_y, weights, tolerance)
    return form.basis @ form.operator @ form.coordinates


def edmd(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
    tolerance: float = 1e-12,
) -> KoopmanPairs:
    """Eigenpairs of the least-squares matrix; they need not lie near the spectrum: look at their `residuals`.

    Args:
        psi_x: dictionary at the snapshots `x`.
        psi_y: dictionary at their images.
        weights: quadrature weights; `1 / rows` by default.
        tolerance: pivots below this share of the first are pruned, and with them as many pairs.

    Returns:
        Pairs; each eigenfunction has norm one on the snapshots.

    References:
        Williams, Kevrekidis, Rowley (2015), J. Nonlinear Sci. 25, 1307-1346.

    Examples:
        >>> import numpy as np
        >>> cycle = edmd(np.eye(4), np.roll(np.eye(4), 1, 0))
        >>> bool(np.allclose(np.sort_complex(cycle.values**4), 1))
        True
    """
    return koopman_pairs(orthonormal_form(psi_x, psi_y, weights, tolerance))


def koopman_pairs(form: OrthonormalForm) -> KoopmanPairs:
    """Eigenpairs of the operator in an orthonormal basis.

    Args:
        form: by `orthonormal_form` or `gram_form`.

    Returns:
        Pairs with coefficients in the dictionary; each eigenfunction has norm one on the snapshots.
    """
    values, vectors = eig(form.operator)  # pyright: ignore[reportAssignmentType]
    values = np.asarray(values, complex)
    order = np.lexsort((-np.imag(values), -np.real(values), -np.abs(values)))
    return KoopmanPairs(values[order], (form.basis @ vectors[:, order]).astype(complex))
