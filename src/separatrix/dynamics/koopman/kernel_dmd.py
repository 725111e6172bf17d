"""Kernel dictionaries: EDMD in the eigenvectors of a kernel matrix, with an error bound for every pair.

The matrix is reduced to its `rank` largest eigenvalues. The bound of a pair is the residual of the adjoint operator on
the kernel's own space, from the left eigenvector: it needs no quadrature, so it stays honest with few snapshots of a
state of large dimension.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float
from scipy.linalg import eig, eigh

__all__ = [
    "GaussianKernel",
    "KernelPairs",
    "LaplacianKernel",
    "LorentzianKernel",
    "PolynomialKernel",
    "kernel_edmd",
    "knee",
    "mean_distance",
]

Kernel = Callable[[Any, Any], Any]


def _square_distances(x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
    square = (x**2).sum(1)[:, None] + (y**2).sum(1) - 2 * x @ y.T
    return jnp.maximum(square, 0.0)


class GaussianKernel(eqx.Module):
    """`exp(-|x - y|^2 / (.9 d)^2)`; `scale` is `d`, by habit `mean_distance` of the data."""

    scale: float

    def __call__(self, x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
        """Return the kernel matrix."""
        return jnp.exp(-_square_distances(x, y) / (0.9 * self.scale) ** 2)


class LaplacianKernel(eqx.Module):
    """`exp(-|x - y| / d)`; `scale` is `d`."""

    scale: float

    def __call__(self, x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
        """Return the kernel matrix."""
        return jnp.exp(-jnp.sqrt(_square_distances(x, y)) / self.scale)


class LorentzianKernel(eqx.Module):
    """`1 / (1 + |x - y|^2 / d^2)`; `scale` is `d`."""

    scale: float

    def __call__(self, x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
        """Return the kernel matrix."""
        return 1 / (1 + _square_distances(x, y) / self.scale**2)


class PolynomialKernel(eqx.Module):
    """`(x.y / d^2 + 1)^degree`; `scale` is `d`."""

    scale: float
    degree: int = eqx.field(static=True, default=3)

    def __call__(self, x: Float[Array, "n dim"], y: Float[Array, "m dim"]) -> Float[Array, "n m"]:
        """Return the kernel matrix."""
        return (x @ y.T / self.scale**2 + 1) ** self.degree


def mean_distance(x: Float[np.ndarray, "samples dim"]) -> float:
    """Mean distance of the samples from their mean, the usual scale of a kernel.

    Args:
        x: samples.

    Returns:
        A distance.

    Examples:
        >>> import numpy as np
        >>> mean_distance(np.array([[0.0], [2.0]]))
        1.0
    """
    x = np.asarray(x, float)
    return float(np.linalg.norm(x - x.mean(0), axis=1).mean())


class KernelPairs(NamedTuple):
    """Eigenpairs of kernel EDMD, most trustworthy first.

    Attributes:
        values: eigenvalues, shape `(rank,)`.
        vectors: right eigenvectors in the reduced dictionary, one column each, shape `(rank, rank)`.
        bounds: residual of each pair's left eigenvector, shape `(rank,)`, sorted.
        points: snapshots that carry the dictionary, shape `(samples, dim)`.
        reduction: coefficients of the reduced dictionary in the kernel sections, shape `(samples, rank)`.
        kernel: the kernel.
    """

    values: Complex[np.ndarray, " rank"]
    vectors: Complex[np.ndarray, "rank rank"]
    bounds: Float[np.ndarray, " rank"]
    points: Float[np.ndarray, "samples dim"]
    reduction: Float[np.ndarray, "samples rank"]
    kernel: Kernel

    def eigenfunctions(self, x: Float[np.ndarray, "queries dim"]) -> Complex[np.ndarray, "queries rank"]:
        """Eigenfunctions at states."""
        return _matrix(self.kernel, np.asarray(x, float), self.points) @ self.reduction @ self.vectors


def kernel_edmd(
    x: Float[np.ndarray, "samples dim"], y: Float[np.ndarray, "samples dim"], kernel: Kernel, rank: int
) -> KernelPairs:
    """Fit kernel EDMD and bound the error of each pair.

    Args:
        x: snapshots.
        y: their images.
        kernel: `(n, dim), (m, dim) -> (n, m)`, positive semi-definite.
        rank: functions that are kept; fewer if the kernel matrix has fewer eigenvalues above rounding.

    Returns:
        Pairs sorted by their bound.

    Raises:
        ValueError: if shapes differ or `rank` is not positive.

    References:
        Williams, Rowley, Kevrekidis (2015), J. Comput. Dyn. 2, 247-265. Colbrook (2024), Another look at residual
        dynamic mode decomposition in the regime of fewer snapshots than dictionary size, Physica D 469, 134341.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(40, 2))
        >>> pairs = kernel_edmd(x, x * np.array([0.5, 0.9]), PolynomialKernel(1.0, degree=1), rank=3)
        >>> pairs.values.real.round(6).tolist(), float(pairs.bounds.max().round(6))
        ([1.0, 0.9, 0.5], 0.0)
    """
    x, y = np.asarray(x, float), np.asarray(y, float)
    if x.ndim != 2 or x.shape != y.shape or rank < 1:
        raise ValueError(f"`x`, `y` must be equal matrices and `rank` positive; got {x.shape}, {y.shape}, {rank}.")
    gram, moved, second = (_matrix(kernel, *pair) for pair in ((x, x), (y, x), (y, y)))
    rank = min(rank, len(x))
    values, vectors = eigh(gram, subset_by_index=(len(x) - rank, len(x) - 1))
    keep = values > len(x) * np.finfo(float).eps * values[-1]
    reduction = (vectors[:, keep] / np.sqrt(values[keep]))[:, ::-1]
    operator, length = reduction.T @ moved @ reduction, reduction.T @ second @ reduction
    pairs, left, right = eig(operator, left=True)  # pyright: ignore[reportAssignmentType]
    energy = np.einsum("ik,ij,jk->k", left.conj(), length, left, optimize=True).real / (np.abs(left) ** 2).sum(0)
    bounds = np.sqrt(np.maximum(energy - np.abs(pairs) ** 2, 0.0))
    order = np.lexsort((-np.abs(pairs), bounds.round(7)))
    return KernelPairs(
        pairs[order].astype(complex), right[:, order].astype(complex), bounds[order], x, reduction, kernel
    )


@eqx.filter_jit
def _kernel_matrix(kernel, x, y):
    return kernel(x, y)


def _matrix(kernel: Kernel, x: Float[np.ndarray, "n dim"], y: Float[np.ndarray, "m dim"]) -> Float[np.ndarray, "n m"]:
    with jax.enable_x64():
        compiled = _kernel_matrix if isinstance(kernel, eqx.Module) else lambda k, *pair: k(*pair)
        return np.asarray(compiled(kernel, jnp.asarray(x), jnp.asarray(y)))


def knee(values: Float[np.ndarray, " count"]) -> int:
    """Position of the bend of a sorted curve: the point farthest below the chord between its ends.

    Args:
        values: increasing.

    Returns:
        Number of values before the bend, that one included; all of them if the curve has no bend.

    References:
        Satopaa, Albrecht, Irwin, Raghavan (2011), Finding a kneedle in a haystack.

    Examples:
        >>> import numpy as np
        >>> knee(np.array([0.0, 0.01, 0.02, 0.03, 0.9, 1.0]))
        4
    """
    values = np.asarray(values, float)
    rise = values[-1] - values[0]
    if len(values) < 3 or not rise > 0:
        return len(values)
    below = np.linspace(0, 1, len(values)) - (values - values[0]) / rise
    return int(np.argmax(below)) + 1 if below.max() > 1e-12 else len(values)
