"""Smoothed spectral measures of an isometry, by rational kernels of any order on the resolvent outside the circle.

The measure of an observable is convolved with a kernel of width `eps`. Order one is Poisson's kernel; order `m` has
`m` poles and vanishing moments, so that a smooth density is met with the error `eps^m log(1 / eps)`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Num
from scipy.linalg import schur

from separatrix.dynamics.koopman.orthonormal_basis import orthonormal_form

__all__ = ["rational_kernel", "resolvent_measure", "spectral_measure"]


def _poles(eps: float, order: int):
    """Poles `delta_j` and the coefficients `c_j`, `d_j` that make the moments vanish."""
    if not (0 < eps < 1) or order < 1:
        raise ValueError(f"`eps` must lie in (0, 1) and `order` be at least 1; got {eps} and {order}.")
    j = np.arange(1, order + 1)
    delta = 1 + 1j * (2 * j / (order + 1) - 1)
    sigma = -delta.conj() / (1 + eps * delta.conj())
    first = (np.arange(order) == 0).astype(complex)
    powers = np.arange(order)[:, None]
    return delta, np.linalg.solve(sigma[None, :] ** powers, first), np.linalg.solve(delta[None, :] ** powers, first)


def rational_kernel(angle: Float[np.ndarray, "*angles"], eps: float, order: int = 1) -> Float[np.ndarray, "*angles"]:
    """Smoothing kernel on the circle: the measure of a unitary operator with one eigenvalue, seen at a distance.

    Args:
        angle: in radians from the atom.
        eps: width, in (0, 1).
        order: number of poles.

    Returns:
        Density in 1 / radian; its integral over the circle is one.

    References:
        Colbrook, Horning, Townsend (2021), Computing spectral measures of self-adjoint operators, SIAM Review 63.
        Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77, section 4.

    Examples:
        >>> import numpy as np
        >>> angles = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
        >>> round(float(rational_kernel(angles, 0.1, 4).mean() * 2 * np.pi), 6)
        1.0
    """
    delta, c, d = _poles(eps, order)
    point = np.exp(1j * np.asarray(angle, float))[..., None] * (1 + eps * delta)
    resolvent = 1 / (1 - point)
    return -((c * point.conj() * resolvent.conj() + d * resolvent).real.sum(-1)) / (2 * np.pi)


def resolvent_measure(
    operator: Num[np.ndarray, "rank rank"],
    observable: Num[np.ndarray, " rank"],
    theta: Float[np.ndarray, " angles"],
    eps: float,
    order: int = 1,
) -> Float[np.ndarray, " angles"]:
    """Smoothed spectral measure of a vector, from the matrix of an isometry in an orthonormal basis.

    Args:
        operator: the matrix.
        observable: the vector.
        theta: angles in radians.
        eps: width of the kernel, in (0, 1).
        order: of the kernel.

    Returns:
        Density in 1 / radian at each angle.

    Raises:
        ValueError: if `eps` or `order` are out of range.
    """
    delta, c, d = _poles(eps, order)
    triangle, unitary = schur(np.asarray(operator), output="complex")  # pyright: ignore[reportAssignmentType]
    f = unitary.conj().T @ np.asarray(observable)
    points = np.exp(1j * np.asarray(theta, float))[:, None] * (1 + eps * delta)
    with jax.enable_x64():
        given = tuple(jnp.asarray(a, complex) for a in (triangle, f, points, c, d))
        return np.asarray(_density(*given))


@jax.jit
def _density(triangle, f, points, c, d):
    """Two inner products with the solution of a triangular system a pole and angle, by Schur's form."""
    eye = jnp.eye(len(triangle))
    pulled = triangle.conj().T @ f

    def at(row):
        def of_pole(point, c_j, d_j):
            solved = jax.scipy.linalg.solve_triangular(triangle - point * eye, f)
            term = c_j * point.conj() * jnp.vdot(solved, f) + d_j * jnp.vdot(pulled, solved)
            return term.real

        return -jax.vmap(of_pole)(row, c, d).sum() / (2 * jnp.pi)

    return jax.lax.map(at, points)


def spectral_measure(
    psi_x: Num[np.ndarray, "rows size"],
    psi_y: Num[np.ndarray, "rows size"],
    coefficients: Num[np.ndarray, " size"],
    theta: Float[np.ndarray, " angles"],
    eps: float,
    order: int = 1,
    weights: Float[np.ndarray, " rows"] | None = None,
) -> Float[np.ndarray, " angles"]:
    """Smoothed spectral measure of the observable `Psi c` of a measure-preserving system.

    Choose `eps` for the data and the dictionary: below the spacing of the matrix's eigenvalues the density breaks up
    into their peaks.

    Args:
        psi_x: dictionary at the snapshots `x`.
        psi_y: dictionary at their images.
        coefficients: `c`, shape `(size,)`.
        theta: angles in radians.
        eps: width of the kernel, in (0, 1).
        order: of the kernel; the error is `eps^order log(1 / eps)` for smooth densities.
        weights: quadrature weights; `1 / rows` by default.

    Returns:
        Density in 1 / radian; it integrates to the observable's square norm.

    Raises:
        ValueError: if `eps` or `order` are out of range, or shapes do not fit.

    References:
        Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77, 221-283, algorithm 4.

    Examples:
        >>> import numpy as np
        >>> swap = np.eye(2), np.eye(2)[::-1]  # eigenvalues 1 and -1
        >>> density = spectral_measure(*swap, np.array([1.0, 0.0]), np.array([0.0, np.pi / 2]), 0.01)
        >>> bool(density[0] > 100 * density[1])
        True
    """
    form = orthonormal_form(psi_x, psi_y, weights)
    return resolvent_measure(form.operator, form.coordinates @ np.asarray(coefficients), theta, eps, order)
