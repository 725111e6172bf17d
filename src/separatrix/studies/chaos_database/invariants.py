"""Arms on Lyapunov spectra: identities, literature, and the audit of the published exponents."""

from typing import Any

import numpy as np

from separatrix.study.arms import generator, labelled
from separatrix.systems import catalogue, get, lyapunov, system_from_text
from separatrix.systems.audit import log_gap

from .settings import LITERATURE, Settings
from .side_by_side import side_by_side

MAPS = {
    "Henon": lambda: get("Henon"),
    "Logistic": lambda: get("Logistic", r=4.0),
    "doubling": lambda: system_from_text("nx = mod(2*x, 0.99999995)", {}, [0.3], kind="map"),
}


def starts_of(system, keys, name: str) -> np.ndarray:
    """The stored initial state, moved by a thousandth for each seed."""
    start = np.asarray(system.initial, float)
    return np.stack([start * (1 + 1e-3 * generator(k, name).normal(size=len(start))) for k in keys])


def spectra(s: Settings, keys):
    """Lyapunov spectra of some flows and maps: sum against mean divergence, middle exponent, literature."""

    def one(name):
        system: Any
        if name in MAPS:
            system, periods, transient = MAPS[name](), s.exponent_periods / 4, 1
        else:
            system, transient = get(name, **({"beta": 8 / 3} if name == "Lorenz" else {})), None
            periods = s.literature_periods if name in LITERATURE else s.exponent_periods
            periods = min(periods, system.facts.lifetime)
        rows = []
        for start in starts_of(system, keys, name):
            found: Any = lyapunov(system, periods=periods, transient=transient, initial=start)
            exponents, total = found.exponents, found.exponents.sum()
            middle = 1 if len(exponents) == 3 else np.abs(exponents).argmin()
            error = max(found.standard_errors[middle], 1e-300)
            rows.append([abs(total - found.average) / (abs(total) + 1), abs(exponents[middle]) / error, exponents[0]])
        return np.array(rows)

    found = side_by_side(one, [*s.flows, *MAPS])
    flows = np.stack([found[n] for n in s.flows], axis=1)
    known = [n for n in LITERATURE if n in found]
    error = [np.abs(found[n][:, 2] / LITERATURE[n] - 1) for n in known]
    return labelled(
        {
            "trace_gap": (["flow"], flows[..., 0], "sum of exponents minus mean divergence of the orbit, over the sum"),
            "neutral": (["flow"], flows[..., 1], "middle exponent in its standard errors"),
            "literature_error": (["case"], np.transpose(error), "relative deviation from the literature"),
        },
        flow=list(s.flows),
        case=known,
    )


def audit(s: Settings, keys):
    """Published largest exponents against the shipped table, one computation: every seed has the same numbers."""
    del s
    table = catalogue("ode").set_index("name")
    gap = log_gap(table.published_lle, table.exponent)
    return labelled({"log_ratio": (["audited"], [gap] * len(keys), "|ln published/ours|")}, audited=list(gap.index))
