"""Arms on Lyapunov spectra: identities, literature, and the audit of the published exponents."""

import dataclasses
from typing import Any

import numpy as np

from separatrix.study.arms import generator, labelled
from separatrix.systems import catalogue, get, lyapunov, mean_divergence, system_from_text

from .settings import LITERATURE, Settings
from .side_by_side import side_by_side


def starts_of(system, keys, name: str) -> np.ndarray:
    """The stored initial state, moved by a thousandth for each seed."""
    start = np.asarray(system.initial, float)
    return np.stack([start * (1 + 1e-3 * generator(k, name).normal(size=len(start))) for k in keys])


def spectra(s: Settings, keys):
    """Lyapunov spectra of some flows and maps: sum against mean divergence, neutral exponent, literature."""
    maps = {
        "Henon": get("Henon"),
        "Logistic": get("Logistic", r=4.0),
        "doubling": system_from_text("nx = mod(2*x, 0.99999995)", {}, [0.3], kind="map"),
    }

    def one(name):
        special = {"Lorenz": {"beta": 8 / 3}}
        system: Any = maps[name] if name in maps else get(name, **special.get(name, {}))
        rows = []
        for start in starts_of(system, keys, name):
            if name in maps:
                found = lyapunov(system, periods=s.exponent_periods / 4, transient=1, initial=start)
                rows.append([0, 0, found.exponents[0]])
                continue
            found = lyapunov(system, periods=s.exponent_periods, initial=start)
            moved = dataclasses.replace(system, initial=start)
            total = mean_divergence(moved, periods=s.exponent_periods)
            exponents, errors = np.asarray(found.exponents), np.asarray(found.standard_errors)
            gap = abs(exponents.sum() - total) / (abs(exponents.sum()) + 1)
            neutral = np.min(np.abs(exponents) / np.maximum(errors, 1e-300))
            rows.append([gap, neutral, exponents[0]])
        return np.array(rows)

    found = side_by_side(one, [*s.flows, *maps])
    flows = np.stack([found[n] for n in s.flows], axis=1)
    known = [n for n in LITERATURE if n in found]
    error = [np.abs(found[n][:, 2] / LITERATURE[n] - 1) for n in known]
    return labelled(
        {
            "trace_gap": (["flow"], flows[..., 0], "sum of exponents minus mean divergence, over the sum"),
            "neutral": (["flow"], flows[..., 1], "smallest exponent in its standard errors"),
            "literature_error": (["case"], np.transpose(error), "relative deviation from the literature"),
        },
        flow=list(s.flows),
        case=known,
    )


def audit(s: Settings, keys):
    """Published largest exponents against ours: the shipped audit, or a subset computed here while it is missing."""
    table = catalogue("ode").set_index("name")
    known = table[np.isfinite(table.exponent) & (table.exponent > 2 * table.exponent_error) & (table.published_lle > 0)]
    if len(known) < 100:
        ours = side_by_side(lambda n: lyapunov(get(n), periods=s.audit_periods), s.audited)
        mine = {n: (float(r.exponents[0]), float(r.standard_errors[0])) for n, r in ours.items()}
        known = table.loc[[n for n, (value, _) in mine.items() if value > 0]]
        known = known.assign(
            exponent=[mine[n][0] for n in known.index], exponent_error=[mine[n][1] for n in known.index]
        )
    rows = []
    for key in keys:
        drawn = known.exponent + known.exponent_error * generator(key, "audit").normal(size=len(known))
        rows.append(np.abs(np.log(known.published_lle / np.maximum(drawn, 1e-12))))
    return labelled({"log_ratio": (["audited"], rows, "|ln published/ours|")}, audited=list(known.index))
