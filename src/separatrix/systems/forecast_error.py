"""Errors of forecasts: after n steps, relative, and the time for which a forecast is valid."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

__all__ = ["pointwise_nrmse", "pointwise_smape", "prediction_error", "smape", "valid_prediction_time"]

EPSILON = 1e-10


def prediction_error(
    step: Callable[[Float[Array, "B M"]], Float[Array, "B M"]],
    starts: Float[Array, "B M"],
    targets: Float[Array, "B N"],
    n: int = 20,
    observe: Callable[[Float[Array, "B M"]], Float[Array, "B N"]] | None = None,
) -> Float[Array, ""]:
    """Mean squared error of free-running forecasts of `n` steps, PE(n).

    Args:
        step: the model.
        starts: states to start from, one for each time.
        targets: measurements `n` steps after each of them.
        n: number of steps, at least 1.
        observe: from states to measurements; the first N units by default.

    Returns:
        The error in squared units of the data.

    Raises:
        ValueError: if `n` is below 1 or starts and targets differ in number.

    Examples:
        >>> x = 0.5 ** jnp.arange(10.0)[:, None]
        >>> float(prediction_error(lambda z: z / 2, x[:-3], x[3:], n=3))
        0.0
    """
    if n < 1 or len(starts) != len(targets):
        raise ValueError(
            f"`n` must be at least 1 and there must be a target for each start; got n={n}, {len(starts)} starts and "
            f"{len(targets)} targets."
        )
    end = jax.lax.fori_loop(0, n, lambda _, z: step(z), starts)
    predicted = end[..., : targets.shape[-1]] if observe is None else observe(end)
    return jnp.mean((predicted - targets) ** 2)


def smape(
    y: Float[ArrayLike, "T N"], predicted: Float[ArrayLike, "T N"], *, scale: float = 200.0, epsilon: float = EPSILON
) -> float:
    """Symmetric mean absolute percentage error, `scale * mean(|y - p| / (|y| + |p| + epsilon))`.

    Args:
        y: measurements.
        predicted: forecasts.
        scale: the largest possible value; 200, 100 and 2 are all in use, so say which.
        epsilon: guards zeros.

    Returns:
        A number in `[0, scale]`.

    Examples:
        >>> round(smape([1, 2, 3, 4, 5], [1.1, 1.9, 3.2, 4.1, 5.1]), 3)
        5.111
    """
    y, predicted = np.asarray(y, float), np.asarray(predicted, float)
    return float(scale * np.mean(np.abs(y - predicted) / (np.abs(y) + np.abs(predicted) + epsilon)))


def pointwise_smape(
    y: Float[ArrayLike, "T N"], predicted: Float[ArrayLike, "T N"], *, scale: float = 200.0
) -> Float[np.ndarray, " T"]:
    """Symmetric mean absolute percentage error at each time, averaged over variables.

    Args:
        y: measurements.
        predicted: forecasts.
        scale: the largest possible value.

    Returns:
        One number a time.
    """
    y, predicted = np.asarray(y, float), np.asarray(predicted, float)
    return scale * np.mean(np.abs(y - predicted) / (np.abs(y) + np.abs(predicted) + EPSILON), axis=-1)


def pointwise_nrmse(y: Float[ArrayLike, "T N"], predicted: Float[ArrayLike, "T N"]) -> Float[np.ndarray, " T"]:
    """Root mean squared error at each time, each variable in units of its standard deviation over time.

    Args:
        y: measurements.
        predicted: forecasts.

    Returns:
        One number a time.
    """
    y, predicted = np.asarray(y, float), np.asarray(predicted, float)
    return np.sqrt(np.mean((y - predicted) ** 2 / (y.var(axis=0) + EPSILON), axis=-1))


def valid_prediction_time(
    y: Float[ArrayLike, "T N"],
    predicted: Float[ArrayLike, "T N"],
    dt: float = 1.0,
    exponent: float = 1.0,
    *,
    threshold: float = 30.0,
    error: Callable[..., Float[np.ndarray, " T"]] = pointwise_smape,
) -> float:
    """Time at which the error of a forecast first exceeds a threshold.

    Args:
        y: measurements; the first is one step after the forecast's start.
        predicted: the forecast.
        dt: time between two measurements.
        exponent: leading Lyapunov exponent per unit time; the result is then in Lyapunov times.
        threshold: of the error; 30 for sMAPE on the scale of 200, 0.4 to 0.5 for NRMSE.
        error: pointwise error.

    Returns:
        Number of valid steps times `dt * exponent`; the whole length, a lower bound, if the threshold is never
        exceeded. A forecast that is not finite is not valid.

    Examples:
        >>> y = np.ones((10, 1))
        >>> p = np.where(np.arange(10)[:, None] < 4, 1.0, 9.0)
        >>> valid_prediction_time(y, p, dt=0.5)
        2.0

    References:
        Gilpin (2023), Phys. Rev. Research 5, 043252.
    """
    bad = ~(error(y, predicted) <= threshold)
    valid = int(np.argmax(bad)) if bad.any() else len(bad)
    return valid * dt * exponent
