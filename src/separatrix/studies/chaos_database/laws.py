"""Arms of symbolic regression: laws fitted to states and derivatives."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from separatrix.dynamics import PolynomialLibrary
from separatrix.dynamics.symbolic_regression import FourierLibrary, fit_law, law_score, recovery
from separatrix.study.arms import generator, labelled
from separatrix.systems import get, simulate

from .settings import Settings
from .side_by_side import side_by_side


@functools.lru_cache(maxsize=512)
def _pairs(name: str, transients: tuple[float, ...]):
    """States and exact derivatives on an attractor, `(seed, time, dim)` each."""
    system = dataclasses.replace(get(name), reported=None)
    states = np.moveaxis(simulate(system, 400, pts_per_period=20, transient=list(transients)).x.values, 1, 0)
    with jax.enable_x64():
        slopes = np.asarray(jax.jit(jax.vmap(jax.vmap(system.rhs)))(jnp.asarray(states)))
    return states, slopes


def laws(s: Settings, keys):
    """Sparse regression with polynomials of degree two and with sines: recovery of quadratic systems, and scores."""
    names = tuple(dict.fromkeys((*s.quadratic, *s.laws)))
    leads = {n: tuple(float(generator(k, f"law of {n}").uniform(5, 25)) for k in keys) for n in names}
    pairs = side_by_side(lambda n: _pairs(n, leads[n]), names)
    f1, error, score = [], [], []
    for i in range(len(keys)):
        found = {}
        for name in s.quadratic:
            x, v = pairs[name][0][i], pairs[name][1][i]
            system: Any = get(name)
            found[name] = recovery(fit_law(x, v, PolynomialLibrary(x.shape[1], 2, bias=True)), system.rhs)
        f1.append([r.f1 for r in found.values()])
        error.append([r.error for r in found.values()])
        rows = []
        for name in s.laws:
            x, v = pairs[name][0][i], pairs[name][1][i]
            half = len(x) // 2
            both = PolynomialLibrary(x.shape[1], 2, bias=True), FourierLibrary(x.shape[1], min(10, half // 8))
            if not (np.isfinite(x).all() and np.isfinite(v).all()):
                rows.append([np.nan, np.nan])
                continue
            rows.append([law_score(fit_law(x[:half], v[:half], b), x[half:], v[half:]) for b in both])
        score.append(np.transpose(rows))
    return labelled(
        {
            "support_f1": (["quadratic"], f1, "F1 of the support"),
            "coefficient_error": (["quadratic"], error, "largest error of a coefficient"),
            "law_score": (["library", "law"], score, "median sMAPE of derivatives, scale 2"),
        },
        quadratic=list(s.quadratic),
        law=list(s.laws),
        library=["polynomial", "Fourier"],
    )
