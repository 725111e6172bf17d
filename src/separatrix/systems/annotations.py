"""All invariants of a system in one dictionary, beside the published ones."""

import functools
from typing import Any

import jax.random as jr
import numpy as np
import pandas as pd

from separatrix.systems.correlation_sums import correlation_dimension
from separatrix.systems.database import get
from separatrix.systems.delay_flow import DelayFlow
from separatrix.systems.entropies import multiscale_entropy
from separatrix.systems.exponents import kaplan_yorke, lyapunov, pesin
from separatrix.systems.flow import Flow
from separatrix.systems.maps import Map
from separatrix.systems.sampling import simulate, system_name
from separatrix.systems.spectra import dominant_period
from separatrix.systems.state_samples import sample_initial_conditions

__all__ = ["annotate", "compare_annotations", "recomputed_period"]


def annotate(system: Flow | DelayFlow | Map, *, periods: float = 200, seed: int = 0) -> dict[str, Any]:
    """Compute the invariants of a system.

    Args:
        system: any system with a period; maps have none and need none.
        periods: length of the average for the exponents, in periods.
        seed: of initial states and surrogates.

    Returns:
        `spectrum` and `spectrum_errors` in nats per unit time (per iteration for maps), `exponent`, `exponent_error`,
        `kaplan_yorke`, `pesin`, `divergence` (mean, NaN for a delay flow), `correlation_dimension` and its error from
        9000 points at 100 in a period with a Theiler window of one period, `multiscale_entropy` from 3000 such points,
        and for flows `period` and `dt`, recomputed.

    Examples:
        >>> found = annotate(get("Henon"), periods=20)
        >>> bool(abs(found["exponent"] - 0.419) < 0.02), bool(abs(found["correlation_dimension"] - 1.22) < 0.1)
        (True, True)
    """
    spectrum = lyapunov(system, periods=periods)
    result: dict[str, Any] = {
        "spectrum": spectrum.exponents.tolist(),
        "spectrum_errors": spectrum.standard_errors.tolist(),
        "exponent": float(spectrum.exponents[0]),
        "exponent_error": float(spectrum.standard_errors[0]),
        "kaplan_yorke": kaplan_yorke(spectrum.exponents),
        "pesin": pesin(spectrum.exponents),
        "divergence": float("nan") if spectrum.average is None else float(spectrum.average),
    }
    transient = system.facts.transient if system.facts else 30.0
    if isinstance(system, Map):
        transient = 1_000
    series = simulate(system, 9_000, transient=transient).x.values
    dimension = correlation_dimension(series, 1 if isinstance(system, Map) else 100)
    result["correlation_dimension"] = dimension.dimension
    result["correlation_dimension_error"] = dimension.standard_error
    result["multiscale_entropy"] = multiscale_entropy(series[:3_000])
    if not isinstance(system, Map):
        result["period"], result["dt"] = recomputed_period(system, repeats=4, seed=seed)
    return result


def recomputed_period(
    system: Flow | DelayFlow, *, repeats: int = 20, points: int = 40_000, pts_per_period: int = 1_000, seed: int = 0
) -> tuple[float, float]:
    """Dominant period and suggested step of a system, from several trajectories on its attractor.

    Args:
        system: any system with a period, which sets the length of the trajectories.
        repeats: number of trajectories.
        points: length of each; the first fifth is dropped.
        pts_per_period: points in one stored period.
        seed: of initial states and surrogates.

    Returns:
        Median of the dominant periods and smallest suggested step, in units of time.

    Raises:
        ValueError: if the system has no period.

    Examples:
        >>> system = get("Rossler")
        >>> period, _ = recomputed_period(system, repeats=2, points=4_000, pts_per_period=100)
        >>> bool(abs(period / system.period - 1) < 0.05)
        True
    """
    if system.period is None:
        raise ValueError("the system has no `period` to set the length by; use `dominant_period` on a series.")
    starts = sample_initial_conditions(system, repeats, jr.key(seed), points=100 + 4 * repeats, transient=100)
    series = simulate(system, points, pts_per_period=pts_per_period, initial=starts).x.values[points // 5 :]
    spacing = system.period / pts_per_period
    found = [dominant_period(series[:, i], spacing, seed=seed + i) for i in range(repeats)]
    steps = [f.dt for f in found if np.isfinite(f.dt)]
    return float(np.median([f.period for f in found])), min(steps) if steps else float("nan")


def compare_annotations(name: str, *, periods: float = 200, seed: int = 0) -> pd.DataFrame:
    """Our invariants of a system of the catalogue beside the published ones.

    Args:
        name: as in `catalogue`.
        periods: length of the average for the exponents, in periods.
        seed: of initial states and surrogates.

    Returns:
        One row a quantity: `ours`, `error` (standard error, NaN where there is none) and `published` (NaN where there
        is none). `exponent` is compared with the published `lle`, `exponent (QR)` with `lle_qr`.

    Examples:
        >>> table = compare_annotations("Henon", periods=20)
        >>> table.columns.tolist(), round(float(table.ours["kaplan_yorke"]), 1)
        (['ours', 'error', 'published'], 1.3)
    """
    return _compare(name, periods, seed).copy()


@functools.lru_cache(maxsize=8)
def _compare(name: str, periods: float, seed: int) -> pd.DataFrame:
    system = get(name)
    ours, published = annotate(system, periods=periods, seed=seed), dict(system.facts.published if system.facts else ())
    nan = float("nan")
    rows = {
        "exponent": (ours["exponent"], ours["exponent_error"], published.get("lle", nan)),
        "exponent (QR)": (ours["exponent"], ours["exponent_error"], published.get("lle_qr", nan)),
        "kaplan_yorke": (ours["kaplan_yorke"], nan, published.get("kaplan_yorke_dimension", nan)),
        "pesin": (ours["pesin"], nan, published.get("pesin_entropy", nan)),
        "correlation_dimension": (
            ours["correlation_dimension"],
            ours["correlation_dimension_error"],
            published.get("correlation_dimension", nan),
        ),
        "multiscale_entropy": (ours["multiscale_entropy"], nan, published.get("multiscale_entropy", nan)),
    }
    spectrum = published.get("lyapunov_spectrum", ())
    for i, (value, error) in enumerate(zip(ours["spectrum"], ours["spectrum_errors"], strict=True)):
        rows[f"spectrum[{i}]"] = (value, error, spectrum[i] if i < len(spectrum) else nan)
    if "period" in ours:
        rows["period"] = (ours["period"], nan, system.period or nan)  # pyright: ignore[reportAttributeAccessIssue]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["ours", "error", "published"]).rename_axis(
        system_name(system)
    )
