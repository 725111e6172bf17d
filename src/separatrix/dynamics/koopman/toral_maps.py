"""Endomorphisms and rotations of tori, whose pseudospectra on a Fourier dictionary are known exactly.

`x -> A x + shift (mod 1)` maps the character `e_k` to `exp(2 pi i k.shift) e_{A^T k}`, so a Fourier dictionary falls
into chains, whose last image leaves it, and cycles. A chain of `m` functions has the least singular value
`sqrt(1 + |z|^2 - 2 |z| cos(pi / (m + 1)))`, a cycle of `c` with total phase `w` the distance of `z` to the c-th roots
of `w`.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Int

__all__ = ["ToralMap", "exact_pseudospectrum", "toral_chains", "uniform_torus"]


class ToralMap(eqx.Module):
    """`x -> matrix x + shift (mod 1)` on the torus, angles in turns.

    Attributes:
        matrix: integers, shape `(dim, dim)`; `[[2]]` is the doubling map, `[[2, 1], [1, 1]]` the cat map.
        shift: shape `(dim,)`.
    """

    matrix: Int[np.ndarray, "dim dim"] = eqx.field(converter=np.asarray)
    shift: Float[np.ndarray, " dim"] = eqx.field(converter=np.asarray)

    def __call__(self, x: Float[Array, "samples dim"]) -> Float[Array, "samples dim"]:
        """Apply the map to each row."""
        return jnp.mod(x @ jnp.asarray(self.matrix, x.dtype).T + jnp.asarray(self.shift, x.dtype), 1.0)


def uniform_torus(dim: int, side: int) -> Float[np.ndarray, "points dim"]:
    """Equal quadrature points, exact for products of characters with wave numbers that sum to less than `side`.

    Args:
        dim: of the torus.
        side: points in each direction.

    Returns:
        `side^dim` points in turns.
    """
    axes = np.meshgrid(*[np.arange(side) / side] * dim, indexing="ij")
    return np.stack([a.ravel() for a in axes], axis=1)


def toral_chains(map: ToralMap, n: int) -> tuple[list[int], list[tuple[int, complex]]]:
    """Split the dictionary `fourier(dim, n)` into chains and cycles.

    Args:
        map: endomorphism or rotation.
        n: largest wave number of the dictionary.

    Returns:
        Length of each chain, and length and total phase of each cycle. Distinct wave numbers must have distinct
        images, as they do for an invertible matrix.

    Raises:
        ValueError: if the matrix is singular.
    """
    matrix, shift = np.atleast_2d(np.asarray(map.matrix)), np.atleast_1d(np.asarray(map.shift))
    if round(np.linalg.det(matrix)) == 0:
        raise ValueError("`matrix` must have a nonzero determinant; a singular one merges characters.")
    dim = len(matrix)
    numbers = np.stack([a.ravel() for a in np.meshgrid(*[np.arange(-n, n + 1)] * dim, indexing="ij")], axis=1)
    inside = {tuple(k) for k in numbers.tolist()}
    image = {k: tuple((matrix.T @ np.array(k)).tolist()) for k in inside}
    targets = set(image.values())
    chains, seen = [], set()
    for start in sorted(inside - targets):
        k, length = start, 0
        while k in inside:
            seen.add(k)
            k, length = image[k], length + 1
        chains.append(length)
    cycles = []
    for start in sorted(inside):
        k, length, turns = start, 0, 0.0
        while k not in seen:
            seen.add(k)
            turns += float(np.dot(k, shift))
            k, length = image[k], length + 1
        if length:
            cycles.append((length, complex(np.exp(2j * np.pi * turns))))
    return chains, cycles


def exact_pseudospectrum(map: ToralMap, n: int, z: Complex[np.ndarray, "*points"]) -> Float[np.ndarray, "*points"]:
    """Smallest residual over the dictionary `fourier(dim, n)`, in closed form.

    Args:
        map: endomorphism or rotation.
        n: largest wave number of the dictionary.
        z: points of the complex plane.

    Returns:
        `tau` in the shape of `z`.

    Examples:
        >>> import numpy as np
        >>> doubling = ToralMap([[2]], [0.0])
        >>> exact_pseudospectrum(doubling, 10, np.array([-1.0, 0.5, 0.0])).round(6).tolist()
        [0.618034, 0.5, 1.0]
    """
    z = np.asarray(z, complex)
    chains, cycles = toral_chains(map, n)
    tau = np.full(z.shape, np.inf)
    for length in set(chains):
        square = 1 + np.abs(z) ** 2 - 2 * np.abs(z) * np.cos(np.pi / (length + 1))
        tau = np.minimum(tau, np.sqrt(np.maximum(square, 0)))
    for length, phase in set(cycles):
        root = np.exp((1j * np.angle(phase) + 2j * np.pi * np.arange(length)) / length)
        tau = np.minimum(tau, np.abs(z[..., None] - root).min(-1))
    return tau
