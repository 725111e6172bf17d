"""Forecasts as sums of eigenfunctions that grow, decay and turn: `y(t) = Re sum_j lambda_j^t phi_j(x_0) c_j`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float, Num

__all__ = ["KoopmanModes", "fit_modes", "forecast"]


class KoopmanModes(NamedTuple):
    """Eigenvalues and the modes that turn eigenfunctions into measured quantities.

    Attributes:
        values: shape `(count,)`.
        modes: shape `(count, outputs)`.
    """

    values: Complex[np.ndarray, " count"]
    modes: Complex[np.ndarray, "count outputs"]


def fit_modes(
    values: Complex[np.ndarray, " count"],
    eigenfunctions: Complex[np.ndarray, "rows count"],
    outputs: Num[np.ndarray, "rows outputs"],
) -> KoopmanModes:
    """Least-squares coefficients of measured quantities in eigenfunctions.

    Args:
        values: eigenvalue of each eigenfunction.
        eigenfunctions: at snapshots.
        outputs: quantities to forecast at the same snapshots.

    Returns:
        Modes.
    """
    coefficients = np.linalg.lstsq(np.asarray(eigenfunctions), np.asarray(outputs).astype(complex), rcond=1e-10)[0]
    return KoopmanModes(np.asarray(values, complex), coefficients)


def forecast(
    modes: KoopmanModes, start: Complex[np.ndarray, "starts count"], steps: Num[np.ndarray, " times"]
) -> Float[np.ndarray, "starts times outputs"]:
    """Forecast from the values of the eigenfunctions at the present.

    Args:
        modes: by `fit_modes`.
        start: eigenfunctions at the states to start from.
        steps: lead times in steps, whole numbers for maps.

    Returns:
        Real parts.

    Examples:
        >>> import numpy as np
        >>> modes = fit_modes(np.array([0.5]), np.array([[1.0], [2.0]]), np.array([[3.0], [6.0]]))
        >>> forecast(modes, np.array([[1.0]]), np.arange(3)).round(9)[0, :, 0].tolist()
        [3.0, 1.5, 0.75]
    """
    growth = modes.values[None, :] ** np.asarray(steps)[:, None]
    return np.einsum("sc,tc,co->sto", np.asarray(start), growth, modes.modes, optimize=True).real
