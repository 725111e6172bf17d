"""Sparse identification of a flow from measurements: derivatives, a library, thresholded regression."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float
from scipy.signal import savgol_filter

from separatrix.dynamics.sparse_regression import stlsq
from separatrix.models.neural_ode import runge_kutta

__all__ = ["SparseFlow", "fit_sparse_flow"]


class SparseFlow(eqx.Module):
    """`dz/dt = library(z) coefficients`, advanced by `dt` in one Runge-Kutta step.

    Attributes:
        library: with `transform(z)` and `names()`.
        coefficients: shape `(functions, N)`.
        dt: time between two samples.
    """

    library: Any
    coefficients: Float[Array, "p N"]
    dt: ArrayLike

    def field(self, z: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """Return the derivative by time."""
        return self.library.transform(z) @ self.coefficients

    def step(self, z: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """Advance states by one sampling interval."""
        return runge_kutta(self.field, z, self.dt)

    def equations(self, digits: int = 3) -> list[str]:
        """Return the equations in words.

        Args:
            digits: significant digits of a coefficient.

        Returns:
            One line a variable.
        """
        names = self.library.names()
        lines = []
        for i, column in enumerate(np.asarray(self.coefficients).T):
            terms = [f"{c:+.{digits}g} {name}" for c, name in zip(column, names, strict=True) if c]
            lines.append(f"d x{i}/dt = {' '.join(terms) or '0'}")
        return lines


def fit_sparse_flow(
    x: Float[ArrayLike, "T N"],
    dt: float,
    library: Any,
    *,
    alpha: float = 0.0,
    threshold: float = 0.1,
    window: int = 15,
    order: int = 5,
) -> SparseFlow:
    """Fit a sparse flow (SINDy) to measurements at equal intervals, in float64.

    States and derivatives are those of a local polynomial (Savitzky and Golay), which tames measurement noise.

    Args:
        x: measurements.
        dt: time between two of them.
        library: functions of the state, such as `PolynomialLibrary(3, 2, bias=True)`.
        alpha: ridge penalty of `stlsq`.
        threshold: smallest modulus of a coefficient that stays, in units of the data per time.
        window: points of the local polynomial, odd.
        order: its degree, below `window`.

    Returns:
        The flow.

    Raises:
        ValueError: if a measurement is missing, there are fewer than `window`, or the window does not fit its order.

    References:
        Brunton, Proctor, Kutz (2016), PNAS 113, 3932-3937. Savitzky and Golay (1964), Anal. Chem. 36, 1627-1639.

    Examples:
        >>> from separatrix.dynamics import PolynomialLibrary
        >>> x = np.exp(-2.0 * np.arange(200) * 0.01)[:, None]
        >>> fit_sparse_flow(x, 0.01, PolynomialLibrary(1, 2)).equations()
        ['d x0/dt = -2 x0']
    """
    x = np.asarray(x, float)
    if not np.isfinite(x).all():
        raise ValueError("a measurement is missing or infinite; pass the longest complete stretch.")
    if window % 2 == 0 or window <= order or len(x) < window:
        raise ValueError(
            f"`window` must be odd, above `order` and no longer than the series; got window={window}, order={order} "
            f"and {len(x)} measurements."
        )
    states = savgol_filter(x, window, order, axis=0)
    slopes = savgol_filter(x, window, order, deriv=1, delta=dt, axis=0)
    inside = slice(window // 2, len(x) - window // 2)  # the ends are extrapolated
    with jax.enable_x64():
        theta = library.transform(jnp.asarray(states[inside], jnp.float64))
        coefficients = stlsq(theta, jnp.asarray(slopes[inside], jnp.float64), alpha, threshold)
        return SparseFlow(library, jnp.asarray(np.asarray(coefficients)), dt)
