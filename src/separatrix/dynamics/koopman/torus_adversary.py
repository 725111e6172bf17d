"""Skew products of the torus whose eigenfunctions depend on the last digit of the data.

`F(x, y) = (x + alpha, y + phi(x)) mod 1` with a trigonometric polynomial `phi`. On the fibre `g = exp(2 pi i y)` the
correlations are integrals of `exp(2 pi i S_l phi)` with the Birkhoff sums `S_l phi(x) = sum_{j<l} phi(x + j alpha)`. If
no harmonic resonates with `alpha`, `S_l phi` is a coboundary and the fibre has eigenfunctions only; a resonant harmonic
adds up without bound and leaves none. Rational and irrational `alpha` are arbitrarily close.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

__all__ = ["GOLDEN", "SkewTorus", "decision_time", "torus"]

GOLDEN = (math.sqrt(5) - 1) / 2
"""The golden rotation number, the hardest to approach by fractions."""

LIMIT_POINTS = 8_192
CHUNK = 256


class SkewTorus(eqx.Module):
    """`(x, y) -> (x + alpha, y + phi(x)) mod 1`, `phi(x) = sum_k a_k cos(2 pi k x)`.

    Attributes:
        alpha: rotation number in turns.
        denominator: `q` where `alpha = p / q` is meant exactly, else 0.
        wave_numbers: of the harmonics, positive.
        amplitudes: of the harmonics.
    """

    alpha: float
    denominator: int = eqx.field(static=True)
    wave_numbers: tuple[int, ...] = eqx.field(static=True)
    amplitudes: tuple[float, ...]

    def phi(self, x: Float[Array, "*points"]) -> Float[Array, "*points"]:
        """Displacement of `y`."""
        return sum(
            (a * jnp.cos(2 * jnp.pi * k * x) for k, a in zip(self.wave_numbers, self.amplitudes, strict=True)),
            start=jnp.zeros_like(x),
        )

    def __call__(self, points: Float[Array, "samples 2"]) -> Float[Array, "samples 2"]:
        """Apply the map to each row."""
        x, y = points[:, 0], points[:, 1]
        return jnp.mod(jnp.stack([x + self.alpha, y + self.phi(x)], axis=1), 1.0)

    def correlations(self, count: int, points: int | None = None, offset: float = 0.0) -> Complex[np.ndarray, " lags"]:
        """`<K^l g, g>` of `g = exp(2 pi i y)` for `l = 0 .. count - 1`, by the trapezoidal rule in `x`.

        The Birkhoff sum of each harmonic has a closed form, so that no error accumulates.

        Args:
            count: number of lags.
            points: of the quadrature; by default enough for the steepest Birkhoff sum.
            offset: of the quadrature points, in turns.

        Returns:
            Shape `(count,)`.
        """
        lags = np.arange(count)
        parts = [self._harmonic(k, lags) for k in self.wave_numbers]
        if points is None:
            steepest = sum(
                abs(a) * k * size.max()
                for a, k, (size, _) in zip(self.amplitudes, self.wave_numbers, parts, strict=True)
            )
            points = 1 << math.ceil(math.log2(256 + 5 * math.pi * steepest))
        sizes = np.stack([a * size for a, (size, _) in zip(self.amplitudes, parts, strict=True)], axis=1)
        shifts = np.stack([shift for _, shift in parts], axis=1)
        pad = -count % CHUNK if count > CHUNK else 0
        sizes, shifts = (np.pad(m, ((0, pad), (0, 0))) for m in (sizes, shifts))
        with jax.enable_x64():
            x = jnp.asarray(offset + np.arange(points) / points)
            k = jnp.asarray(self.wave_numbers, float)
            blocks = [m.reshape(-1, min(CHUNK, count), m.shape[1]) for m in (sizes, shifts)]
            values = [np.asarray(_means(x, k, jnp.asarray(a), jnp.asarray(b))) for a, b in zip(*blocks, strict=True)]
        return np.concatenate(values)[:count]

    def _harmonic(self, k: int, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Size and phase (radians) of `sum_{j<l} cos(2 pi k (x + j alpha))` as a cosine of `2 pi k x`, for each `l`."""
        if self.resonant(k):
            return lags.astype(float), np.zeros(len(lags))
        half = math.pi * k * self.alpha
        if self.denominator:
            half = math.pi * ((k * round(self.alpha * self.denominator)) % self.denominator) / self.denominator
        return np.sin(lags * half) / math.sin(half), (lags - 1) * half

    def resonant(self, k: int) -> bool:
        """Whether the harmonic `k` adds up along orbits."""
        return self.denominator > 0 and k % self.denominator == 0

    def has_eigenfunctions(self) -> bool:
        """Whether the fibre has eigenfunctions (then only those)."""
        return not any(self.resonant(k) and a != 0 for k, a in zip(self.wave_numbers, self.amplitudes, strict=True))

    def wiener_limit(self) -> float:
        """Limit of the mean of `|<K^l g, g>|^2`.

        Zero if a harmonic resonates. Otherwise `exp(2 pi i psi)` with `psi(x + alpha) - psi(x) = phi(x)` has Fourier
        coefficients `c_m`, and the limit is `sum |c_m|^4` (for one harmonic, `sum J_m(2 pi B)^4` with
        `B = a / (2 |sin(pi k alpha)|)`); for `alpha = p / q` the mean over one period of `q`.
        """
        if not self.has_eigenfunctions():
            return 0.0
        if self.denominator:
            return float((np.abs(self.correlations(self.denominator)) ** 2).mean())
        x = np.arange(LIMIT_POINTS) / LIMIT_POINTS
        psi = np.zeros(LIMIT_POINTS)
        for k, a in zip(self.wave_numbers, self.amplitudes, strict=True):
            psi += (a * np.exp(2j * np.pi * k * x) / (np.exp(2j * np.pi * k * self.alpha) - 1)).real
        return float((np.abs(np.fft.fft(np.exp(2j * np.pi * psi)) / LIMIT_POINTS) ** 4).sum())


@jax.jit
def _means(x, k, sizes, shifts):
    def one(size, shift):
        return jnp.exp(
            2j * jnp.pi * (size[:, None] * jnp.cos(2 * jnp.pi * k[:, None] * x + shift[:, None])).sum(0)
        ).mean()

    return jax.lax.map(lambda pair: one(*pair), (sizes, shifts))


def torus(alpha: float | Fraction, harmonics: Mapping[int, float]) -> SkewTorus:
    """A skew product of the torus.

    Args:
        alpha: rotation number; a `Fraction` is meant exactly, a float stands for an irrational number.
        harmonics: amplitude of `cos(2 pi k x)` by `k`, at least 1.

    Returns:
        The map, which also knows its correlations and their Wiener mean.

    Raises:
        ValueError: if there is no harmonic, or one is below 1.

    References:
        After Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312; Anosov, Katok (1970), Trans. Moscow Math. Soc. 23.

    Examples:
        >>> round(torus(GOLDEN, {1: 0.1}).wiener_limit(), 5), torus(Fraction(8, 13), {1: 0.2, 13: 0.02}).wiener_limit()
        (0.8934, 0.0)
    """
    if not harmonics or min(harmonics) < 1:
        raise ValueError(f"`harmonics` must name wave numbers >= 1; got {dict(harmonics)}.")
    exact = isinstance(alpha, Fraction)
    return SkewTorus(float(alpha), alpha.denominator if exact else 0, tuple(harmonics), tuple(harmonics.values()))


def decision_time(first: SkewTorus, second: SkewTorus, gap: float, horizon: int) -> int:
    """First length of observation at which the running Wiener means of two maps differ by more than `gap`.

    Args:
        first: a map.
        second: another.
        gap: difference that can be told.
        horizon: longest observation.

    Returns:
        Largest lag in the mean, `horizon` if they never differ by so much.

    Examples:
        >>> harmonics = {1: 0.2, 8: 0.02}
        >>> decision_time(torus(Fraction(5, 8), harmonics), torus(GOLDEN, harmonics), 0.1, 100)
        13
    """
    from separatrix.dynamics.koopman.wiener_means import wiener_mean

    means = [wiener_mean(one.correlations(horizon)) for one in (first, second)]
    apart = np.flatnonzero(np.abs(means[0] - means[1]) > gap)
    return int(apart[0]) if len(apart) else horizon
