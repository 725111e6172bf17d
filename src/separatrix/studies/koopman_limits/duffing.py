"""Arms on Duffing's oscillator: EDMD, a filter by residuals, and the verified spectrum."""

import functools

import numpy as np

from separatrix.dynamics import koopman as kp
from separatrix.study.arms import labelled

from .draws import Mark, draws, mark
from .settings import Settings


def duffing_pairs(which: Mark, name: str, trajectories: int, steps: int):
    """Snapshots 0.3 apart from uniform starts in `[-2, 2]^2`."""
    starts = draws(which, name).uniform(-2, 2, (trajectories, 2))
    paths = kp.simulate_snapshots(kp.duffing(), starts, steps, every=30)
    return paths[:, :-1].reshape(-1, 2), paths[:, 1:].reshape(-1, 2)


@functools.lru_cache(maxsize=64)
def duffing_fit(which: Mark, trajectories: int, steps: int, size: int):
    """Compressed training and fresh snapshots in a dictionary of radial functions at k-means centres."""
    x, y = duffing_pairs(which, "train", trajectories, steps)
    dictionary = kp.radial_kmeans(x, size, seed=which[-1] % 2**31)
    fresh = kp.compress(dictionary, *duffing_pairs(which, "fresh", trajectories, steps))
    return kp.compress(dictionary, x, y), fresh


def ones(snapshots):
    """Weights of compressed rows."""
    return np.ones(len(snapshots.psi_x))


@functools.lru_cache(maxsize=64)
def duffing_pairs_of(which: Mark, trajectories: int, steps: int, size: int):
    """EDMD eigenpairs and their residuals on fresh snapshots."""
    train, fresh = duffing_fit(which, trajectories, steps, size)
    pairs = kp.edmd(*train, ones(train))
    return pairs, kp.residuals(pairs.values, pairs.vectors, *fresh, ones(fresh))


def edmd(s: Settings, keys):
    """Eigenvalues of EDMD on Duffing's oscillator, with residuals on fresh snapshots."""
    worst, middle, values, residual = [], [], [], []
    longest = max(s.sizes)
    for key in keys:
        fits = [duffing_pairs_of(mark(key), s.trajectories, s.steps, n) for n in s.sizes]
        worst.append([r.max() for _, r in fits])
        middle.append([np.median(r) for _, r in fits])
        fill = lambda a: np.pad(a, (0, longest - len(a)), constant_values=np.nan)  # noqa: E731
        values.append([[fill(np.real(p.values)), fill(np.imag(p.values))] for p, _ in fits])
        residual.append([fill(r) for _, r in fits])
    return labelled(
        {
            "largest_residual": (["size"], worst, "largest residual of an eigenpair on fresh snapshots"),
            "median_residual": (["size"], middle, "median residual of eigenpairs on fresh snapshots"),
            "eigenvalue": (["size", "part", "pair"], values, "eigenvalue, real and imaginary part"),
            "residual": (["size", "pair"], residual, "residual of each pair on fresh snapshots"),
        },
        size=list(s.sizes),
        part=["real", "imaginary"],
    )


def edmd_filtered(s: Settings, keys):
    """EDMD with the pairs above a residual of epsilon on the fitted snapshots removed."""
    worst, share = [], []
    for key in keys:
        row = []
        for n in s.sizes:
            which = mark(key), s.trajectories, s.steps, n
            (pairs, fresh), (train, _) = duffing_pairs_of(*which), duffing_fit(*which)
            keep = kp.residuals(pairs.values, pairs.vectors, *train, ones(train)) < s.epsilon
            row.append([fresh[keep].max(initial=0.0), keep.mean()])
        worst.append([r[0] for r in row])
        share.append([r[1] for r in row])
    return labelled(
        {
            "largest_residual": (["size"], worst, "largest residual of an eigenpair on fresh snapshots"),
            "kept_share": (["size"], share, "share of the eigenpairs that the filter keeps"),
        },
        size=list(s.sizes),
    )


def verified(s: Settings, keys):
    """The verified spectrum of Duffing's oscillator on a grid, which preserves area, and its certificate."""
    coarse = kp.grid((-1.5, 1.5), (0, 1.5), s.spacing)
    finer = kp.grid((-1.5, 1.5), (0, 1.5), s.finer)
    middle = s.sizes[len(s.sizes) // 2]
    certificate, fine, maps, output = [], [], [], []
    for key in keys:
        fits = {n: duffing_fit(mark(key), s.trajectories, s.steps, n)[0] for n in s.sizes}
        tau = {n: kp.pseudospectrum(*f, coarse, ones(f)) for n, f in fits.items()}
        found = {n: kp.verified_spectrum(coarse, t, isometric=True) for n, t in tau.items()}
        certificate.append([found[n].certificate for n in s.sizes])
        f = fits[middle]
        finest = kp.pseudospectrum(*f, finer, ones(f))
        fine.append(kp.verified_spectrum(finer, finest, isometric=True).certificate)
        maps.append(finest)
        output.append(np.isin(np.arange(coarse.size), found[middle].indices).reshape(coarse.shape).astype(float))
    return labelled(
        {
            "certificate": (["size"], certificate, "certificate of the verified spectrum"),
            "finer_certificate": ([], fine, "certificate on the finer grid, middle dictionary"),
            "tau": (["imaginary", "real"], maps, "smallest residual over the middle dictionary"),
            "output": (["rough_imaginary", "rough_real"], output, "whether a point is in the verified spectrum"),
        },
        size=list(s.sizes),
        real=np.real(finer[0]),
        imaginary=np.imag(finer[:, 0]),
        rough_real=np.real(coarse[0]),
        rough_imaginary=np.imag(coarse[:, 0]),
    )
