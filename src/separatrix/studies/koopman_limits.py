"""Limits and powers of Koopman learning (Colbrook, Mezic, Stepanenko 2024).

Do eigenvalues of finite matrices fitted to snapshots lie near the spectrum of Koopman's operator, do certificates tell
which do, and are there systems on which no algorithm can be right?
"""

import functools
import math
from dataclasses import dataclass
from fractions import Fraction

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from separatrix._core.keys import named_key
from separatrix.dynamics import koopman as kp
from separatrix.study.figures import PALETTE, NoData
from separatrix.study.finding import AtLeast, AtMost, Between, Finding
from separatrix.study.study import Study
from separatrix.systems.flow import lorenz63


@dataclass(frozen=True)
class Settings:
    """Defaults are the card's scale; the finer grid of F1 is computed for the middle dictionary only."""

    seeds: int = 5
    # Duffing (F1): trajectories x steps, radial functions, spacing of the grid of candidates
    trajectories: int = 2_000
    steps: int = 5
    sizes: tuple[int, ...] = (50, 100, 200)
    spacing: float = 0.1
    finer: float = 0.05
    epsilon: float = 0.3
    # order of limits (F5)
    limit_size: int = 100
    limit_factors: tuple[int, ...] = (1, 2, 5, 10, 50)
    tower_sizes: tuple[int, ...] = (20, 60, 200)
    tower_samples: tuple[int, ...] = (20, 60, 200, 600, 2_000)
    # toral maps (F2)
    points: int = 20
    # torus (F3)
    lags: int = 3_000
    # Lorenz (F6, F7) and the certified flows
    samples: int = 10_000
    delays: int = 33
    rage_samples: int = 4_000
    rage_delays: tuple[int, ...] = (1, 2, 4, 10, 20)
    flow_delays: tuple[int, ...] = (10, 33, 66)


PRESETS = {
    "quick": Settings(
        seeds=2,
        trajectories=60,
        sizes=(10, 20),
        spacing=0.5,
        finer=0.25,
        limit_size=10,
        limit_factors=(1, 10),
        tower_sizes=(4, 40),
        tower_samples=(4, 40),
        points=3,
        lags=60,
        samples=300,
        delays=3,
        rage_samples=60,
        rage_delays=(1, 4),
        flow_delays=(2, 4),
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": Settings(trajectories=10_000, sizes=(100, 200, 500, 1_000), flow_delays=(33, 100, 166)),
}

Mark = tuple[int, ...]


def mark(key) -> Mark:
    """A key as a value, from which numbers are drawn and by which fits are remembered."""
    return tuple(np.asarray(jr.key_data(key)).tolist())


def draws(which: Mark, name: str):
    """Random numbers that belong to a name."""
    key = named_key(jr.wrap_key_data(jnp.array(which, jnp.uint32)), name)
    return np.random.default_rng(mark(key))


def labelled(variables, **coords) -> xr.Dataset:
    """Make a Dataset from `name: (dims after seed, values by seed, long name)`."""
    data = {
        name: (("seed", *dims), np.asarray(values), {"units": "1", "long_name": text})
        for name, (dims, values, text) in variables.items()
    }
    count = len(next(iter(data.values()))[1])
    return xr.Dataset(data, coords={"seed": np.arange(count), **coords})


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


@functools.lru_cache(maxsize=32)
def limit_data(which: Mark, size: int, samples: int, held_out: int):
    """Snapshots for the order of limits: a dictionary, training and fresh observables."""
    x, y = duffing_pairs(which, "limit", samples, 1)
    fresh = duffing_pairs(which, "limit-fresh", held_out, 1)
    dictionary = kp.radial_kmeans(fresh[0], size, seed=which[-1] % 2**31)
    observables = lambda pair: kp.Snapshots(*(kp.evaluate(dictionary, p) for p in pair))  # noqa: E731
    return observables((x, y)), observables(fresh)


def worst_residual(which: Mark, size: int, samples: int, held_out: int, most: int):
    """Mean residual of the EDMD pairs on the fitted, and on fresh, snapshots."""
    train, fresh = limit_data(which, size, most, held_out)
    psi = kp.Snapshots(train.psi_x[:samples], train.psi_y[:samples])
    pairs = kp.edmd(*psi)
    return [float(np.mean(kp.residuals(pairs.values, pairs.vectors, *part))) for part in (psi, fresh)]


def limit_order(s: Settings, keys):
    """Residuals on the fitted snapshots against fresh ones, as the number of snapshots passes that of observables."""
    n, table = s.limit_size, []
    most = n * max(s.limit_factors)
    for key in keys:
        table.append([worst_residual(mark(key), n, n * f, 4_000, most) for f in s.limit_factors])
    return labelled(
        {"limit_residual": (["factor", "on"], table, "mean residual of eigenpairs")},
        factor=list(s.limit_factors),
        on=["fitted", "fresh"],
    )


def tower(s: Settings, keys):
    """A tower of limits: the residual that ResDMD reports, over snapshots and observables, read in both orders."""
    tables, limits = [], []
    most = max(s.tower_samples)
    for key in keys:
        estimate = lambda N, M, key=key: worst_residual(mark(key), N, M, 1_000, most)[0]  # noqa: E731
        table = kp.Tower(estimate, {"N": s.tower_sizes, "M": s.tower_samples}).evaluate()
        tables.append(table.values)
        limits.append([kp.iterated_limit(table, order) for order in (["M", "N"], ["N", "M"])])
    return labelled(
        {
            "reported": (["N", "M"], tables, "mean residual reported on the fitted snapshots"),
            "limit": (["order"], limits, "value of the tower"),
        },
        N=list(s.tower_sizes),
        M=list(s.tower_samples),
        order=["M then N", "N then M"],
    )


@functools.lru_cache(maxsize=32)
def flow_path(which: Mark, name: str, count: int):
    """A path on an attractor, snapshots 0.05 apart."""
    with jax.enable_x64():
        flow = lorenz63(dt=0.01) if name == "lorenz" else kp.rossler()
        start = np.asarray(flow.initial) + draws(which, name).normal(size=(1, 3))
    return kp.simulate_snapshots(flow, start, count, every=5, discard=5_000)[0]


@functools.lru_cache(maxsize=64)
def flow_observables(which: Mark, name: str, samples: int, delays: int):
    """Delay coordinates with a constant, in the first half for the fit and in the second as fresh snapshots."""
    path = flow_path(which, name, 2 * samples)
    path = (path - path[:samples].mean(0)) / path[:samples].std(0)
    states = kp.delay(path, delays)
    psi = np.concatenate([np.ones((len(states), 1)), states], axis=1)
    return (psi[:samples], psi[1 : samples + 1]), (psi[samples:-1], psi[samples + 1 :])


ENERGY_STEPS = (0, 1, 3, 10, 30, 100, 300, 1_000)


def lorenz_edmd(s: Settings, keys):
    """EDMD on delays of the Lorenz system."""
    damped, energy, angles = [], [], []
    for key in keys:
        (x, y), _ = flow_observables(mark(key), "lorenz", s.samples, s.delays)
        form = kp.orthonormal_form(x, y)
        power, energies = form.coordinates[:, 1].astype(complex), []
        for step in range(max(ENERGY_STEPS) + 1):
            if step in ENERGY_STEPS:
                energies.append((np.abs(power) ** 2).sum())
            power = form.operator @ power
        values = np.linalg.eigvals(form.operator)
        damped.append((np.abs(values) < 0.9).mean())
        energy.append(np.array(energies) / energies[0])
        angles.append([values.real, values.imag])
    return labelled(
        {
            "damped_share": ([], damped, "share of eigenvalues of modulus below 0.9"),
            "energy": (["ahead"], energy, "energy of the forecast of x over its start"),
            "flow_value": (["part", "flow_pair"], angles, "eigenvalue"),
        },
        ahead=list(ENERGY_STEPS),
        part=["real", "imaginary"],
    )


def lorenz_mpedmd(s: Settings, keys):
    """Measure-preserving EDMD on the same delays."""
    off, energy, values = [], [], []
    for key in keys:
        (x, y), _ = flow_observables(mark(key), "lorenz", s.samples, s.delays)
        fit = kp.mp_edmd(x, y)
        off.append(np.abs(np.abs(fit.values) - 1).max())
        coordinates, energies = fit.dual[:, 1], []
        for step in range(max(ENERGY_STEPS) + 1):
            if step in ENERGY_STEPS:
                energies.append((np.abs(coordinates) ** 2).sum())
            coordinates = fit.values * coordinates
        energy.append(np.array(energies) / energies[0])
        values.append([np.real(fit.values), np.imag(fit.values)])
    return labelled(
        {
            "off_circle": ([], off, "largest distance of an eigenvalue's modulus from one"),
            "energy": (["ahead"], energy, "energy of the forecast of x over its start"),
            "flow_value": (["part", "flow_pair"], values, "eigenvalue"),
        },
        ahead=list(ENERGY_STEPS),
        part=["real", "imaginary"],
    )


def flow_verified(s: Settings, keys, name: str):
    """Certificates with the EDMD eigenvalues as candidates, against the largest residual of EDMD."""
    worst, certificate = [], []
    for key in keys:
        row = []
        for delays in s.flow_delays:
            parts = flow_observables(mark(key), name, s.samples, delays)
            fit, fresh = (
                kp.Snapshots(*(p[:, 1:] for p in part)) for part in parts
            )  # a constant is verified too easily
            pairs = kp.edmd(*fit)
            residual = kp.residuals(pairs.values, pairs.vectors, *fresh)
            row.append([residual.max(), kp.verified_spectrum(pairs.values, residual).certificate])
        worst.append([r[0] for r in row])
        certificate.append([r[1] for r in row])
    return labelled(
        {
            "flow_worst": (["delays"], worst, "largest residual of an EDMD pair on fresh snapshots"),
            "flow_certificate": (["delays"], certificate, "certificate of the verified spectrum"),
        },
        delays=list(s.flow_delays),
    )


def lorenz_verified(s: Settings, keys):
    """EDMD eigenvalues of Lorenz delays, verified."""
    return flow_verified(s, keys, "lorenz")


def rossler_verified(s: Settings, keys):
    """EDMD eigenvalues of Rossler delays, verified."""
    return flow_verified(s, keys, "rossler")


def rage_arm(s: Settings, keys, series):
    """Share of an observable in its own delays, averaged over time, for several numbers of delays."""
    count, at = s.rage_samples, np.unique(np.round(np.geomspace(1, s.rage_samples, 50)).astype(int))
    length = 2 * count + 10 * max(s.rage_delays)
    means = []
    for key in keys:
        g = series(mark(key), length)
        runs = [kp.rage(g - g.mean(), n, count, samples=count, stride=10)[at] for n in s.rage_delays]
        means.append(runs)
    text = "running mean of the share in the delays"
    return labelled({"share": (["n", "shift"], means, text)}, n=list(s.rage_delays), shift=at)


def rage_tones(s: Settings, keys):
    """Two tones of incommensurate frequencies with random phases: pure point spectrum."""

    def tones(which, length):
        phases, t = draws(which, "phases").uniform(0, 2 * np.pi, 2), np.arange(length)
        return np.cos(0.31 * t + phases[0]) + np.cos(0.1234 * math.sqrt(2) * t + phases[1])

    return rage_arm(s, keys, tones)


def rage_lorenz(s: Settings, keys):
    """Coordinate z of the Lorenz system: continuous spectrum."""
    return rage_arm(s, keys, lambda which, length: flow_path(which, "lorenz", length - 1)[:, 2])


def rage_noise(s: Settings, keys):
    """White noise, a control."""
    return rage_arm(s, keys, lambda which, length: draws(which, "noise").normal(size=length))


# Effects: one number a seed.


def of(ds, arm: str, variable: str, **where):
    """One variable of one arm, at labels of its other dimensions."""
    return ds[variable].sel(arm=arm, drop=True).sel(where)


def at_end(ds, arm: str, variable: str, dim: str, **where):
    """The last measured value along a dimension."""
    return of(ds, arm, variable, **where).dropna(dim, how="all").isel({dim: -1})


def factor_ratio(ds, which: int):
    """Residual on fitted over that on fresh snapshots, at the fewest or the most snapshots."""
    table = of(ds, "limit-order", "limit_residual").isel(factor=which)
    return table.sel(on="fitted") / table.sel(on="fresh")


def middle_certificate(ds):
    """Certificate on the finer grid over that on the coarse one, for the middle dictionary."""
    coarse = of(ds, "verified", "certificate").dropna("size", how="all")
    return of(ds, "verified", "finer_certificate") / coarse.isel(size=coarse.sizes["size"] // 2)


def later(ds):
    """Decision time of the smaller resonant harmonic over that of the larger one, for the coarsest fraction."""
    times = of(ds, "torus-golden", "decision").isel(denominator=0)
    return times.sel(resonant=RESONANT[1]) / times.sel(resonant=RESONANT[0])


def growing(ds):
    """Decision time of the finest fraction over that of the coarsest."""
    times = of(ds, "torus-golden", "decision", resonant=RESONANT[0])
    return times.isel(denominator=-1) / times.isel(denominator=0)


def share_at(ds, arm: str, least: int):
    """Final RAGE mean, the smallest over at least so many delays."""
    values = at_end(ds, arm, "share", "shift")
    return values.where(values.n >= least, drop=True).min("n")


def flow_gap(ds, arm: str):
    """Largest certificate over the smallest largest residual of EDMD."""
    return of(ds, arm, "flow_certificate").max("delays") / of(ds, arm, "flow_worst").min("delays")


CARD = "card"
FINDINGS = [
    Finding(
        "F1a",
        "Some EDMD eigenpair of Duffing's oscillator is an artefact, at every size of the dictionary (least of the "
        "largest residuals).",
        "Fig. on Duffing; threshold of the card",
        lambda ds: of(ds, "edmd", "largest_residual").min("size"),
        AtLeast(0.9),
        published="O(1)",
        arms=("edmd",),
    ),
    Finding(
        "F1b",
        "Half of all pairs are, at every size (least median residual).",
        CARD,
        lambda ds: of(ds, "edmd", "median_residual").min("size"),
        AtLeast(0.5),
        published="0.57 to 0.66 (card, one seed)",
        arms=("edmd",),
    ),
    Finding(
        "F1c",
        "The verified spectrum on a grid has a small certificate at every size.",
        "Fig. on Duffing; threshold of the card",
        lambda ds: of(ds, "verified", "certificate").max("size"),
        AtMost(0.15),
        arms=("verified",),
    ),
    Finding(
        "F1d",
        "It falls with a finer grid (finer over coarse).",
        "Fig. on Duffing; card",
        middle_certificate,
        AtMost(1.0),
        arms=("verified",),
    ),
    Finding(
        "F1e",
        "A filter by residuals removes pollution from EDMD (largest residual on fresh snapshots).",
        "section 3; threshold proposed here, twice the filter's epsilon",
        lambda ds: of(ds, "edmd-filtered", "largest_residual").max("size"),
        AtMost(0.6),
        arms=("edmd-filtered",),
    ),
    Finding(
        "F2",
        "Pseudospectra of toral maps obey their closed form (largest deviation of four maps).",
        CARD,
        lambda ds: of(ds, "toral-maps", "law_gap").max("map"),
        AtMost(1e-8),
        published=0.0,
        arms=("toral-maps",),
    ),
    Finding(
        "F3a",
        "Over the fraction 8/13 no eigenfunction remains: the Wiener mean vanishes.",
        "Theorem on tori; card",
        lambda ds: at_end(ds, "torus-rational", "wiener", "lag", denominator=13, resonant=RESONANT[0]),
        AtMost(0.01),
        published=0.005,
        arms=("torus-rational",),
    ),
    Finding(
        "F3b",
        "Over the golden rotation there are only eigenfunctions: it does not.",
        "Theorem on tori; card",
        lambda ds: at_end(ds, "torus-golden", "wiener", "lag", denominator=13, resonant=RESONANT[0]),
        Between(0.456, 0.476),
        published=0.466,
        arms=("torus-golden",),
    ),
    Finding(
        "F3c",
        "The two maps nearly agree (largest distance).",
        CARD,
        lambda ds: of(ds, "torus-golden", "map_distance"),
        AtMost(3e-3),
        arms=("torus-golden",),
        units="turns",
    ),
    Finding(
        "F3d",
        "The time that it takes to tell them grows as the fraction nears the golden mean (13/21 over 5/8).",
        CARD,
        growing,
        AtLeast(2.0),
        published="44 / 13",
        arms=("torus-golden",),
    ),
    Finding(
        "F3e",
        "It grows as the resonant harmonic shrinks (0.005 over 0.02).",
        CARD,
        later,
        AtLeast(2.0),
        published="34 / 13",
        arms=("torus-golden",),
    ),
    Finding(
        "F4a",
        "No output of any algorithm differs by a bit between the two maps of the disc.",
        "Theorem on the disc",
        lambda ds: of(ds, "disc", "output_difference"),
        AtMost(0.0),
        published=0.0,
        arms=("disc",),
    ),
    Finding(
        "F4b",
        "Their spectra lie a distance of sqrt(2) apart.",
        "Theorem on the disc",
        lambda ds: of(ds, "disc", "spectra_distance"),
        Between(math.sqrt(2) - 1e-9, math.sqrt(2) + 1e-9),
        published=math.sqrt(2),
        arms=("disc",),
    ),
    Finding(
        "F5a",
        "With as many snapshots as observables, residuals certify everything (fitted over fresh).",
        CARD,
        lambda ds: factor_ratio(ds, 0),
        AtMost(0.05),
        arms=("limit-order",),
    ),
    Finding(
        "F5b",
        "With fifty times as many, they are honest (fitted over fresh).",
        CARD,
        lambda ds: factor_ratio(ds, -1),
        Between(0.9, 1.1),
        arms=("limit-order",),
    ),
    Finding(
        "F5c",
        "The two orders of limits give different towers (right minus wrong order).",
        "section 2; threshold proposed here",
        lambda ds: -of(ds, "tower", "limit").diff("order").isel(order=0),
        AtLeast(0.3),
        arms=("tower",),
    ),
    Finding(
        "F6a",
        "mpEDMD on Lorenz delays has all eigenvalues on the unit circle (largest distance).",
        CARD,
        lambda ds: of(ds, "lorenz-mpedmd", "off_circle"),
        AtMost(1e-10),
        published=0.0,
        arms=("lorenz-mpedmd",),
    ),
    Finding(
        "F6b",
        "EDMD damps many of them (share of moduli below 0.9).",
        "card, a target without a trial run",
        lambda ds: of(ds, "lorenz-edmd", "damped_share"),
        AtLeast(0.2),
        arms=("lorenz-edmd",),
    ),
    Finding(
        "F6c",
        "mpEDMD conserves the energy of a forecast over 1,000 steps (relative change).",
        CARD,
        lambda ds: np.abs(at_end(ds, "lorenz-mpedmd", "energy", "ahead") - 1),
        AtMost(1e-8),
        published=0.0,
        arms=("lorenz-mpedmd",),
    ),
    Finding(
        "F7a",
        "RAGE finds the whole energy of two tones in eigenfunctions, with four delays or more.",
        CARD,
        lambda ds: share_at(ds, "rage-tones", 4),
        AtLeast(0.98),
        published=1.0,
        arms=("rage-tones",),
    ),
    Finding(
        "F7b",
        "It finds little of the Lorenz system's, with twenty.",
        CARD,
        lambda ds: share_at(ds, "rage-lorenz", of(ds, "rage-lorenz", "share").n.values.max()),
        AtMost(0.15),
        published=0.09,
        arms=("rage-lorenz",),
    ),
    Finding(
        "F7c",
        "It finds none of white noise's.",
        CARD,
        lambda ds: share_at(ds, "rage-noise", of(ds, "rage-noise", "share").n.values.max()),
        AtMost(0.02),
        published=0.0,
        arms=("rage-noise",),
        control=True,
    ),
    Finding(
        "F8a",
        "On Lorenz delays, candidates from EDMD are verified far below its largest residual (ratio).",
        "Fig. on Lorenz; threshold proposed here",
        lambda ds: flow_gap(ds, "lorenz-verified"),
        AtMost(0.5),
        arms=("lorenz-verified",),
        since="thorough",
    ),
    Finding(
        "F8b",
        "So they are on Rossler delays (ratio).",
        "Fig. on Rossler; threshold proposed here",
        lambda ds: flow_gap(ds, "rossler-verified"),
        AtMost(0.5),
        arms=("rossler-verified",),
        since="thorough",
    ),
]


# Figures


def needed(ds, arm: str, variable: str):
    """A variable of an arm, or NoData."""
    if arm not in ds.arm.values or variable not in ds or bool(ds[variable].sel(arm=arm).isnull().all()):
        raise NoData(f"{variable} was not measured in {arm}")
    return ds[variable].sel(arm=arm)


def axes_of(columns: int = 1, width: float = 6.4, height: float = 3.8):
    """A figure and its panels."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False)[0]


def contours(ds):
    """Pseudospectral contours of the middle dictionary, with EDMD eigenvalues coloured by their residual."""
    tau = needed(ds, "verified", "tau").isel(seed=0).dropna("real", how="all").dropna("imaginary", how="all")
    values = needed(ds, "edmd", "eigenvalue").isel(seed=0).dropna("size", how="all")
    values = values.isel(size=values.sizes["size"] // 2)
    residual = ds.residual.sel(arm="edmd").isel(seed=0).sel(size=values["size"])
    output = needed(ds, "verified", "output").isel(seed=0)
    figure, (axes,) = axes_of(width=6.4, height=4.6)
    levels = [0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
    for sign in (1, -1):
        up = sign * tau.imaginary.values
        lines = axes.contour(tau["real"].values, up, tau.values, levels, cmap="viridis_r", linewidths=1)
    axes.clabel(lines, fontsize=7)
    circle = np.exp(1j * np.linspace(0, 2 * np.pi, 400))
    axes.plot(np.real(circle), np.imag(circle), color=PALETTE[7], linewidth=0.8, linestyle="--")
    re, im = values.sel(part="real").values, values.sel(part="imaginary").values
    dots = axes.scatter(re, im, c=residual.values, s=14, cmap="magma", vmin=0, vmax=1, label="EDMD eigenvalues")
    figure.colorbar(dots, ax=axes, label="residual on fresh snapshots")
    rows, columns = np.nonzero(output.values > 0)
    x, y = output.rough_real.values[columns], output.rough_imaginary.values[rows]
    axes.plot(np.r_[x, x], np.r_[y, -y], "s", color=PALETTE[2], markersize=7, fillstyle="none", label="verified")
    axes.legend(frameon=False, fontsize="small", loc="upper left")
    axes.set(xlabel="real part", ylabel="imaginary part", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    return figure


def certificates(ds):
    """Largest residual of EDMD and certificate of the verified spectrum over the size of the dictionary."""
    figure, (axes,) = axes_of()
    shown = [("edmd", "largest_residual"), ("edmd-filtered", "largest_residual"), ("verified", "certificate")]
    for i, (arm, variable) in enumerate(shown):
        values = needed(ds, arm, variable).dropna("size", how="all").transpose("size", "seed")
        axes.plot(values["size"], values, "o", color=PALETTE[i], alpha=0.4, markersize=4)
        axes.plot(values["size"], values.mean("seed"), color=PALETTE[i], linewidth=2, label=arm)
    axes.set(xlabel="size of the dictionary", ylabel="residual", xscale="log", ylim=(0, None))
    axes.legend(frameon=False)
    return figure


def running_means(ds):
    """Running Wiener means of the two members of each pair of the torus."""
    panels = needed(ds, "torus-golden", "decision").denominator.values
    figure, axes = axes_of(len(panels), width=9.0, height=3.4)
    for one, q in zip(axes, panels, strict=True):
        for i, arm in enumerate(("torus-golden", "torus-rational")):
            values = needed(ds, arm, "wiener").sel(denominator=q, resonant=RESONANT[0]).dropna("lag", how="all")
            label = "golden rotation" if i == 0 else "fraction"
            one.plot(values.lag, values.mean("seed"), color=PALETTE[i], linewidth=2, label=label)
        one.set(xscale="log", xlabel="steps observed", title=f"denominator {int(q)}", ylim=(0, 1))
        when = float(ds.decision.sel(arm="torus-golden", denominator=q, resonant=RESONANT[0]).mean("seed"))
        one.axvline(when, color=PALETTE[7], linestyle=":")
    axes[0].set_ylabel("running mean of |correlation|²")
    axes[0].legend(frameon=False)
    return figure


def wrong_order(ds):
    """The tower of limits: what ResDMD reports over snapshots and observables."""
    table = needed(ds, "tower", "reported").mean("seed").dropna("N", how="all").dropna("M", how="all")
    figure, (axes,) = axes_of(height=4.2)
    mesh = axes.pcolormesh(
        np.arange(table.sizes["M"] + 1), np.arange(table.sizes["N"] + 1), table.transpose("N", "M"), cmap="viridis"
    )
    figure.colorbar(mesh, ax=axes, label="mean residual reported")
    axes.set_xticks(np.arange(table.sizes["M"]) + 0.5, [f"{int(m)}" for m in table.M])
    axes.set_yticks(np.arange(table.sizes["N"]) + 0.5, [f"{int(n)}" for n in table.N])
    axes.set(
        xlabel="snapshots M",
        ylabel="observables N",
        title="right: M beyond N (honest); left: N beyond M (all certified)",
    )
    return figure


def rage_figure(ds):
    """RAGE means over the largest shift, tones against chaos."""
    figure, axes = axes_of(3, width=9.0, height=3.2)
    for one, arm in zip(axes, ("rage-tones", "rage-lorenz", "rage-noise"), strict=True):
        values = needed(ds, arm, "share").mean("seed").dropna("n", how="all").dropna("shift", how="all")
        for i, n in enumerate(values.n.values):
            one.plot(values["shift"], values.sel(n=n), color=PALETTE[i % len(PALETTE)], label=f"{int(n)} delays")
        one.set(xscale="log", xlabel="largest shift L", title=arm.removeprefix("rage-"), ylim=(0, 1.05))
    axes[0].set_ylabel("share in eigenfunctions")
    axes[-1].legend(frameon=False, fontsize="small")
    return figure


def unitary_figure(ds):
    """Eigenvalues of EDMD and mpEDMD on Lorenz delays, and the energy of their forecasts."""
    figure, (plane, energy) = axes_of(2, width=9.0, height=3.8)
    for i, arm in enumerate(("lorenz-edmd", "lorenz-mpedmd")):
        values = needed(ds, arm, "flow_value").isel(seed=0)
        plane.plot(*(values.sel(part=p) for p in ("real", "imaginary")), "o", color=PALETTE[i], markersize=3, label=arm)
        curve = ds.energy.sel(arm=arm).mean("seed").dropna("ahead", how="all")
        energy.plot(curve.ahead, np.maximum(curve, 1e-6), color=PALETTE[i], linewidth=2, label=arm)
    plane.set(aspect="equal", xlabel="real part", ylabel="imaginary part")
    energy.set(xscale="symlog", yscale="log", xlabel="steps ahead", ylabel="energy of the forecast")
    energy.legend(frameon=False)
    return figure


STUDY = Study(
    slug="koopman-limits",
    seed=7,
    domain="dynamics",
    title="Limits and Powers of Koopman Learning",
    paper="arXiv:2407.06312",
    citation="""@article{colbrook2024limits,
  title = {Limits and Powers of {K}oopman Learning},
  author = {Colbrook, Matthew J. and Mezi{\\'c}, Igor and Stepanenko, Alexei},
  journal = {arXiv preprint arXiv:2407.06312},
  year = {2024}
}""",
    question="Which spectral statements about a system can data certify, and which can no algorithm reach?",
    method="""EDMD, EDMD with a filter and the verified spectrum are compared on Duffing's oscillator with residuals on
    fresh snapshots. Maps of the torus with known pseudospectra check the arithmetic. Adversaries on the disc and the
    torus agree with the data and disagree in their spectra. The order of limits, the measure-preserving variant and the
    RAGE means of tones, chaos and noise are tested on the same footing.""",
    presets=PRESETS,
    arms={
        "edmd": edmd,
        "edmd-filtered": edmd_filtered,
        "verified": verified,
        "toral-maps": toral_maps,
        "torus-rational": torus_rational,
        "torus-golden": torus_golden,
        "disc": disc,
        "limit-order": limit_order,
        "tower": tower,
        "lorenz-edmd": lorenz_edmd,
        "lorenz-mpedmd": lorenz_mpedmd,
        "lorenz-verified": lorenz_verified,
        "rossler-verified": rossler_verified,
        "rage-tones": rage_tones,
        "rage-lorenz": rage_lorenz,
        "rage-noise": rage_noise,
    },
    findings=FINDINGS,
    figures={
        "Pseudospectrum of Duffing's oscillator: eigenvalues of EDMD, mostly artefacts, and verified points": contours,
        "Residuals over the size of the dictionary": certificates,
        "Two maps of the torus that data cannot tell: running means of squared correlations": running_means,
        "Limits in the wrong order: a residual that certifies everything": wrong_order,
        "RAGE: tones stay in few dimensions, chaos leaves them": rage_figure,
        "EDMD damps what mpEDMD conserves": unitary_figure,
    },
    costs={
        "quick": "half a minute",
        "default": "4 minutes",
        "thorough": "6 minutes",
        "full": "the paper's scale, an hour",
    },
)
