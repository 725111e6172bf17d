"""Two area-preserving maps of the disc that agree on the data and have spectra a distance of sqrt(2) apart.

`F_0` turns the disc by half a turn; its spectrum is `{1, -1}`. `F_1` also twists an annulus that the data miss; the
phases of the twist sweep the whole circle. Whatever an algorithm answers from the data, it errs by at least
`sqrt(2) / 2` on one of them.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float

__all__ = ["TwistedDisc", "disc", "disc_spectra"]


class TwistedDisc(eqx.Module):
    """Rotation of the disc by `pi + height b(r)`, with a smooth bump `b` on the annulus `low < r < high`.

    Attributes:
        low: inner radius of the annulus.
        high: its outer radius.
        height: largest twist in radians; zero for the plain rotation.
    """

    low: float
    high: float
    height: float

    def twist(self, r: Float[Array, "*points"]) -> Float[Array, "*points"]:
        """Extra angle at a radius, exactly zero outside the annulus."""
        u = (2 * r - self.low - self.high) / (self.high - self.low)
        inside = jnp.abs(u) < 1
        bump = jnp.exp(1 - 1 / (1 - jnp.where(inside, u, 0.0) ** 2))
        return jnp.where(inside, self.height * bump, 0.0)

    def __call__(self, x: Float[Array, "samples 2"]) -> Float[Array, "samples 2"]:
        """Apply the map to Cartesian points."""
        angle = jnp.pi + self.twist(jnp.sqrt(x[:, 0] ** 2 + x[:, 1] ** 2))
        cos, sin = jnp.cos(angle), jnp.sin(angle)
        return jnp.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], axis=1)


def disc(
    samples: Float[np.ndarray, "samples 2"], gap: tuple[float, float] | None = None, height: float = 1.0
) -> tuple[TwistedDisc, TwistedDisc]:
    """Two maps of the unit disc that no algorithm can tell apart on these samples.

    Args:
        samples: Cartesian points of the disc that the algorithm has seen, orbits included.
        gap: radii between which there is no sample; the widest gap by default.
        height: of the twist in radians, not zero.

    Returns:
        `F_0` and `F_1`. On the samples they do the same arithmetic and give the same bits.

    Raises:
        ValueError: if the gap holds a sample.

    References:
        After Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312; the construction is ours.

    Examples:
        >>> import numpy as np
        >>> points = np.array([[0.1, 0.0], [0.4, 0.0], [0.0, 0.9]])
        >>> first, second = disc(points)
        >>> bool((first(points) == second(points)).all())
        True
        >>> bool(abs(second(np.array([[0.7, 0.0]])) - first(np.array([[0.7, 0.0]]))).max() > 0.1)
        True
    """
    samples = np.asarray(samples, float)
    if samples.ndim != 2 or samples.shape[1] != 2:
        raise ValueError(f"`samples` must be points of the plane, (samples, 2); got {samples.shape}.")
    radii = np.unique(np.concatenate([[0.0], np.linalg.norm(samples, axis=1), [1.0]]))
    if gap is None:
        widest = int(np.argmax(np.diff(radii)))
        low, high = radii[widest], radii[widest + 1]
        margin = (high - low) / 100  # rounding of a radius must not reach the bump
        gap = (float(low + margin), float(high - margin))
    inside = (radii[1:-1] > gap[0]) & (radii[1:-1] < gap[1])
    if inside.any() or not 0 <= gap[0] < gap[1] <= 1:
        raise ValueError(f"`gap` must be radii in [0, 1] without a sample between them; got {gap}.")
    return TwistedDisc(*gap, 0.0), TwistedDisc(*gap, float(height))


def disc_spectra(points: int = 720) -> tuple[Complex[np.ndarray, " 2"], Complex[np.ndarray, " points"]]:
    """True approximate-point spectra of the two maps of `disc`.

    Args:
        points: that stand for the circle; a multiple of four.

    Returns:
        `{1, -1}` and the unit circle.

    Examples:
        >>> from separatrix.dynamics.koopman import hausdorff
        >>> round(hausdorff(*disc_spectra()), 9)
        1.414213562
    """
    return np.array([1.0 + 0j, -1.0]), np.exp(2j * np.pi * np.arange(points) / points)
