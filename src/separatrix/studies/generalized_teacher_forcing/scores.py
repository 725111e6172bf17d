"""How a trained model is scored: its attractor, spectrum, forecast and exponents."""

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from separatrix.dynamics.generation import lyapunov_of_map
from separatrix.dynamics.reconstruction_scores import free_orbits, orbit_scores, short_errors
from separatrix.systems.attractor_distance import smoothed_spectrum

from .settings import Settings

SCORES = {
    "d_stsp": ("nat", "state-space divergence D_stsp"),
    "d_hellinger": ("1", "Hellinger distance of power spectra D_H"),
    "floor": ("nat", "D_stsp of two halves of the test series"),
    "error": ("1", "prediction error PE(20)"),
    "exponent": ("1/time", "leading Lyapunov exponent of the trained map"),
    "growth": ("1/time", "growth rate of the product of unforced Jacobians"),
    "attractor": ("1", "generated attractor"),
    "true_attractor": ("1", "test series"),
    "spectrum": ("1", "power spectrum of the first variable, generated"),
    "true_spectrum": ("1", "power spectrum of the first variable, test series"),
}


def scored(s: Settings, models, states, data, exponents: bool = False) -> xr.Dataset:
    """Judge one model a seed by its orbit; `states` holds where it starts, or a state for every time of the tests."""
    tests = np.stack([test for _, test in data])
    N, half = tests.shape[-1], s.points // 2
    orbits = free_orbits(models, states[:, 0], s.points, s.points // 4)[..., :N]
    rows = [orbit_scores(test, orbit) for test, orbit in zip(tests, orbits, strict=True)]
    out = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    out["floor"] = np.array([orbit_scores(test[:half], test[half : 2 * half])["d_stsp"] for test in tests])
    if states.shape[1] > 1:
        out["error"] = short_errors(models, states, tests, min(20, half))
    if exponents:
        out |= growth_rates(s, models, orbits)
    for prefix, group in (("", orbits), ("true_", tests)):
        spectra = [smoothed_spectrum(x[:, :1])[: s.points // 10 : max(1, s.points // 2_000), 0] for x in group]
        out[f"{prefix}attractor"], out[f"{prefix}spectrum"] = group[:, : s.keep, :3], np.stack(spectra)
    trailing = {"attractor": ("point", "coordinate"), "spectrum": ("frequency",)}
    trailing |= {f"true_{name}": dims for name, dims in trailing.items()}
    return xr.Dataset(
        {
            name: (
                ("seed", *trailing.get(name, ())),
                value,
                dict(zip(("units", "long_name"), SCORES[name], strict=True)),
            )
            for name, value in out.items()
        }
    )


def growth_rates(s: Settings, models, orbits) -> dict[str, np.ndarray]:
    """Leading exponent of each map by QR, and the growth of the product of Jacobians along another stretch of orbit."""
    exponents, growths = [], []
    for i, orbit in enumerate(orbits):
        model = jax.tree.map(lambda a, i=i: a[i], models)
        found = lyapunov_of_map(model, orbit[0], s.exponent_steps, discard=0, dt=s.dt, k=1, label=f"exponent {i}")
        exponents.append(found.exponents[0])
        jacobians = np.asarray(model.jacobian(jnp.asarray(orbit[-s.exponent_steps :])), float)
        growths.append(log_norms(jacobians)[-1] / len(jacobians) / s.dt)
    return {"exponent": np.array(exponents), "growth": np.array(growths)}


def log_norms(jacobians):
    """Logarithms of the norms of the products of the first 1, 2, ... matrices."""
    product, log, out = np.eye(jacobians.shape[-1]), 0.0, []
    for jacobian in jacobians:
        product = jacobian @ product
        size = max(np.linalg.norm(product, 2), 1e-300)  # a superstable orbit maps everything to zero
        product, log = product / size, log + np.log(size)
        out.append(log)
    return np.array(out)
