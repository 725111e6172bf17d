"""Residuals of candidate eigenpairs: what separates eigenvalues of Koopman's operator from artefacts of its matrix."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Complex, Float, Num

from separatrix.dynamics.koopman.extended_dmd import KoopmanPairs
from separatrix.dynamics.koopman.gram_matrices import SMALL_PRODUCT, Gram, weighted

__all__ = ["residuals", "residuals_from_gram", "trustworthy"]


def residuals(
    values: Complex[np.ndarray, " count"],
    vectors: Num[np.ndarray, "size count"],
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    weights: Float[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, " count"]:
    """Relative residual of each pair, `|(K - lambda) Psi v| / |Psi v|`, on the given snapshots.

    On the snapshots of the fit it is too small, zero if there are no more of them than observables; give others.

    Args:
        values: candidate eigenvalues.
        vectors: their coefficients, one column each.
        psi_x: dictionary at snapshots that the pairs were not fitted to.
        psi_y: dictionary at their images.
        weights: quadrature weights; `1 / rows` by default.

    Returns:
        One number >= 0 a pair; infinite where the candidate function vanishes.

    References:
        Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77, 221-283, algorithm 2.

    Examples:
        >>> import numpy as np
        >>> angles = np.linspace(0, 1, 8, endpoint=False)[:, None]
        >>> waves = lambda x: np.exp(2j * np.pi * x * np.arange(3))
        >>> residuals(np.exp(2j * np.pi * 0.3 * np.arange(3)), np.eye(3), waves(angles), waves(angles + 0.3)).round(9)
        array([0., 0., 0.])
    """
    x, y = weighted(psi_x, psi_y, weights)
    vectors = np.asarray(vectors)
    if vectors.ndim != 2 or vectors.shape != (x.shape[1], len(values)):
        raise ValueError(f"`vectors` must have the shape {(x.shape[1], len(values))}; got {vectors.shape}.")
    if x.size * len(values) < SMALL_PRODUCT:
        before = x @ vectors
        miss = np.linalg.norm(y @ vectors - before * np.asarray(values), axis=0)
        return _ratio(miss, np.linalg.norm(before, axis=0))
    with jax.enable_x64():
        miss, size = _norms(x, y, jnp.asarray(vectors, complex), jnp.asarray(values, complex))
    return _ratio(np.asarray(miss), np.asarray(size))


@jax.jit
def _norms(x, y, vectors, values):
    before = x @ vectors
    return jnp.linalg.norm(y @ vectors - before * values, axis=0), jnp.linalg.norm(before, axis=0)


def residuals_from_gram(
    values: Complex[np.ndarray, " count"], vectors: Num[np.ndarray, "size count"], inner: Gram
) -> Float[np.ndarray, " count"]:
    """Relative residuals from inner products: as `residuals`, but nothing below 1e-8 is resolved.

    Args:
        values: candidate eigenvalues.
        vectors: their coefficients, one column each.
        inner: Gram matrices of snapshots that the pairs were not fitted to, by `gram` or `stream_gram`.

    Returns:
        One number >= 0 a pair.

    References:
        Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77, 221-283, equation (3.4).
    """
    form = lambda m: np.einsum("ik,ij,jk->k", vectors.conj(), m, vectors, optimize=True)  # noqa: E731
    values = np.asarray(values, complex)
    square = form(inner.L) - 2 * (values.conj() * form(inner.A)).real + np.abs(values) ** 2 * form(inner.G)
    return _ratio(np.sqrt(np.maximum(square.real, 0)), np.sqrt(np.maximum(form(inner.G).real, 0)))


def _ratio(miss, size):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size > 0, miss / size, np.inf)


def trustworthy(pairs: KoopmanPairs, residual: Float[np.ndarray, " count"], epsilon: float) -> KoopmanPairs:
    """Keep the pairs with a residual below `epsilon`: this removes pollution; what is invisible stays so.

    Args:
        pairs: candidates.
        residual: of each.
        epsilon: largest residual.

    Returns:
        The pairs that remain.
    """
    keep = np.asarray(residual) < epsilon
    return KoopmanPairs(pairs.values[keep], pairs.vectors[:, keep])
