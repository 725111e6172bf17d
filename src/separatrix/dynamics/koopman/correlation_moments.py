"""Spectral measures from one long trajectory: Fourier moments by ergodic averages, summed with a filter."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float, Num

__all__ = ["cosine_filter", "fejer_filter", "moment_measure", "moments", "vandeven_filter"]


def moments(x: Num[np.ndarray, " times"], n: int) -> Complex[np.ndarray, " lags"]:
    """Moments `<g, K^k g> / 2 pi` for `k = 0 .. n`, averages along a trajectory by the fast Fourier transform.

    Args:
        x: the observable along the trajectory.
        n: largest lag, below the number of times.

    Returns:
        `mean_t g(x_t) conj(g(x_{t+k})) / 2 pi`, shape `(n + 1,)`.

    Raises:
        ValueError: if there are not more times than lags.

    References:
        Arbabi, Mezic (2017), SIAM J. Appl. Dyn. Syst. 16, 2096-2126. Colbrook, Townsend (2024), section 5.

    Examples:
        >>> import numpy as np
        >>> tone = np.exp(0.5j * np.arange(100))
        >>> bool(np.allclose(2 * np.pi * moments(tone, 3), np.exp(-0.5j * np.arange(4))))
        True
    """
    x = np.asarray(x)
    if x.ndim != 1 or not 0 <= n < len(x):
        raise ValueError(f"`x` must be a vector of more than {n} times; got shape {x.shape}.")
    times = len(x)
    length = 1 << (times + n).bit_length()
    transform = np.fft.fft(x, length)
    products = np.fft.ifft(np.abs(transform) ** 2)[: n + 1].conj()
    return products / (times - np.arange(n + 1)) / (2 * np.pi)


def fejer_filter(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Fejer's filter `1 - |x|`: of first order, and never negative as a density."""
    return 1 - np.abs(x)


def cosine_filter(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Raised cosine `(1 + cos pi x) / 2`: of second order."""
    return (1 + np.cos(np.pi * np.asarray(x))) / 2


def vandeven_filter(x: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Polynomial `1 - x^4 (-20 |x|^3 + 70 x^2 - 84 |x| + 35)`: of fourth order."""
    a = np.abs(x)
    return 1 - a**4 * (-20 * a**3 + 70 * a**2 - 84 * a + 35)


def moment_measure(
    values: Num[np.ndarray, " lags"],
    theta: Float[np.ndarray, " angles"],
    filter_fn: Callable[[np.ndarray], np.ndarray] = vandeven_filter,
) -> Float[np.ndarray, " angles"]:
    """Density of the spectral measure from its moments, `sum_n phi(n / N) mu_n e^{i n theta}`.

    Args:
        values: by `moments`; the number of lags sets the resolution, about `2 pi / lags`.
        theta: angles in radians.
        filter_fn: `phi` on [-1, 1] with `phi(0) = 1`, one of this module's or your own.

    Returns:
        Density in 1 / radian; its integral is the observable's mean square.

    References:
        Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77, section 5. Vandeven (1991), J. Sci. Comput. 6, 159-192.

    Examples:
        >>> import numpy as np
        >>> flat = moment_measure(moments(np.eye(1, 50)[0], 10), np.array([0.0, 1.0]))
        >>> (flat * 100 * np.pi).round(6).tolist()
        [1.0, 1.0]
    """
    values = np.asarray(values)
    count = len(values) - 1
    n = np.arange(1, count + 1)
    phases = np.exp(1j * np.asarray(theta, float)[:, None] * n)
    tail = phases @ (filter_fn(n / max(count, 1)) * values[1:])
    return np.real(values[0]) + 2 * np.real(tail)
