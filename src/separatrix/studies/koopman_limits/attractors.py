"""Arms on attractors: measure-preserving EDMD, verified eigenvalues, and RAGE means."""

import functools
import math

import jax
import numpy as np

from separatrix.dynamics import koopman as kp
from separatrix.study.arms import labelled
from separatrix.systems.flow import lorenz63

from .draws import Mark, draws, mark
from .settings import Settings


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
