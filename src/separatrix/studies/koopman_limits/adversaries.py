"""Arms on maps with known answers: toral maps, and the pairs on torus and disc that data cannot tell apart."""

import functools
from fractions import Fraction

import numpy as np

from separatrix.dynamics import koopman as kp
from separatrix.study.arms import labelled

from .draws import draws, mark
from .settings import Settings

TORAL = {
    "doubling": (kp.ToralMap([[2]], [0.0]), 10),
    "tripling": (kp.ToralMap([[3]], [0.0]), 10),
    "cat": (kp.ToralMap([[2, 1], [1, 1]], [0.0, 0.0]), 2),
    "rotation": (kp.ToralMap([[1]], [kp.GOLDEN]), 10),
}


def toral_maps(s: Settings, keys):
    """Pseudospectra of maps of the torus against their closed form, at random points."""
    gaps = []
    for key in keys:
        rng = draws(mark(key), "points")
        z = rng.uniform(-1.5, 1.5, s.points) + 1j * rng.uniform(-1.5, 1.5, s.points)
        row = []
        for map, n in TORAL.values():
            x = kp.uniform_torus(len(map.shift), 64)
            waves = kp.fourier(len(map.shift), n)
            tau = kp.pseudospectrum(kp.evaluate(waves, x), kp.evaluate(waves, kp.evaluate(map, x)), z)
            row.append(np.abs(tau - kp.exact_pseudospectrum(map, n, z)).max())
        gaps.append(row)
    return labelled({"law_gap": (["map"], gaps, "largest deviation from the closed form")}, map=list(TORAL))


TORUS = ((5, 8), (8, 13), (13, 21))
RESONANT = (0.02, 0.005)


def skew(p: int, q: int, resonant: float, rational: bool) -> kp.SkewTorus:
    """The two members of an indistinguishable pair."""
    return kp.torus(Fraction(p, q) if rational else kp.GOLDEN, {1: 0.2, q: resonant})


@functools.lru_cache(maxsize=2)
def torus_means(count: int, rational: bool):
    """Running Wiener means of one side of each pair up to a lag; exact, so the same for every seed."""
    return [
        [kp.wiener_mean(skew(*pair, a, rational).correlations(count + 1)) for a in RESONANT]  # one row a pair
        for pair in TORUS
    ]


def torus_arm(s: Settings, keys, rational: bool):
    """Running Wiener means at some lags."""
    lags = np.unique(np.round(np.geomspace(1, s.lags, 60)).astype(int))
    means = np.array(torus_means(s.lags, rational))[..., lags]
    return labelled(
        {
            "wiener": (
                ["denominator", "resonant", "lag"],
                np.repeat(means[None], len(keys), axis=0),
                "running mean of the squared correlation",
            )
        },
        denominator=[q for _, q in TORUS],
        resonant=list(RESONANT),
        lag=lags,
    )


def torus_rational(s: Settings, keys):
    """Skew products over a fraction, which have no eigenfunctions in the fibre."""
    return torus_arm(s, keys, rational=True)


def torus_golden(s: Settings, keys):
    """The same over the golden rotation, which have only eigenfunctions; and when the two can be told apart."""
    ds = torus_arm(s, keys, rational=False)
    x = np.linspace(0, 1, 257)[:-1]
    points = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    first, second = (kp.evaluate(skew(8, 13, RESONANT[0], rational), points) for rational in (True, False))
    apart = np.abs(first - second)
    distance = np.minimum(apart, 1 - apart).max()
    times = [[kp.decision_time(skew(*p, a, True), skew(*p, a, False), 0.1, 100) for a in RESONANT] for p in TORUS]
    repeat = lambda value: np.repeat(np.asarray(value, float)[None], len(keys), axis=0)  # noqa: E731
    ds["map_distance"] = (("seed",), repeat(distance), {"units": "turns", "long_name": "largest distance of the maps"})
    text = {"units": "steps", "long_name": "first lag at which the running means differ by 0.1"}
    ds["decision"] = (("seed", "denominator", "resonant"), repeat(times), text)
    return ds


def disc(s: Settings, keys):
    """Two maps of the disc that agree on the data: outputs of the algorithms, and the true spectra."""
    difference, distance = [], []
    for key in keys:
        points = draws(mark(key), "disc").uniform(-0.7, 0.7, (200, 2))
        z, angles = kp.grid((-1, 1), (-1, 1), 0.5), np.linspace(0, 3, 7)
        outputs = []
        for map in kp.disc(points):
            psi = kp.Snapshots(*(kp.evaluate(kp.polynomial(2, 3), p) for p in (points, kp.evaluate(map, points))))
            pairs = kp.edmd(*psi)
            unitary = kp.mp_edmd(*psi).values
            residual = kp.residuals(pairs.values, pairs.vectors, *psi)
            density = kp.spectral_measure(*psi, np.eye(psi.psi_x.shape[1])[1], angles, 0.1)
            outputs.append(
                np.concatenate([pairs.values, unitary, residual, density, kp.pseudospectrum(*psi, z).ravel()])
            )
        difference.append(np.abs(outputs[0] - outputs[1]).max())
        distance.append(kp.hausdorff(*kp.disc_spectra()))
    return labelled(
        {
            "output_difference": ([], difference, "largest difference of any output between the two maps"),
            "spectra_distance": ([], distance, "Hausdorff distance of the true spectra"),
        }
    )
