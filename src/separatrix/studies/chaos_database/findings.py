"""The findings: what is claimed, how it is measured, and the threshold it must pass."""

from typing import Any

import numpy as np
from scipy.stats import spearmanr

from separatrix.study.effects import of
from separatrix.study.finding import AtLeast, AtMost, Finding

from .settings import CYCLES


def medians(ds):
    """Median sMAPE of each method over systems."""
    return of(ds, "forecasts", "smape").median("system")


def lead_of_nbeats(ds):
    """Median of the best other method minus that of N-BEATS."""
    table = medians(ds)
    return table.drop_sel(model="N-BEATS").min("model") - table.sel(model="N-BEATS")


def chaos_correlation(ds):
    """Spearman's correlation of the best error with exponent times period."""
    best = of(ds, "forecasts", "smape").min("model").transpose("seed", "system").values
    chaos = of(ds, "forecasts", "chaos").transpose("seed", "system").values
    found: list[Any] = [spearmanr(a, b, nan_policy="omit") for a, b in zip(best, chaos, strict=True)]
    return np.array([f.statistic for f in found])


def after(ds, arm: str):
    """Median error after training of one arm."""
    return of(ds, arm, "after").median("trained")


def gain(ds, features: str):
    """Accuracy of matched surrogates minus that of others, mean over sets; a set that is missing leaves none."""
    table = of(ds, "transfer", "accuracy")
    missing = table.dataset[table.isnull().any(["seed", "features"])].values
    if len(missing):
        raise KeyError(f"data set {', '.join(missing)}; install 'separatrix[series]', or name a folder as `archive`")
    means = table.mean("dataset")
    return means.sel(features="matched") - means.sel(features=features)


CARD = "card"
FINDINGS = [
    Finding(
        "F1a",
        "Exponents sum to the mean divergence of the orbit (largest relative gap over flows).",
        CARD,
        lambda ds: of(ds, "spectra", "trace_gap").max("flow", skipna=False),
        AtMost(1e-3),
        arms=("spectra",),
    ),
    Finding(
        "F1b",
        "The middle exponent of autonomous flows is zero within three standard errors (share of flows).",
        CARD,
        lambda ds: (of(ds, "spectra", "neutral") < 3).mean("flow"),
        AtLeast(1.0),
        arms=("spectra",),
    ),
    Finding(
        "F1c",
        "The largest exponent is the literature's (largest relative error over five cases).",
        "Sprott (2003) and others; threshold of the card",
        lambda ds: of(ds, "spectra", "literature_error").max("case"),
        AtMost(0.03),
        published=0.0,
        arms=("spectra",),
    ),
    Finding(
        "F2a",
        "The published largest exponents are off: median |ln ratio| over flows (one table for all seeds).",
        CARD,
        lambda ds: of(ds, "audit", "log_ratio").median("audited"),
        AtLeast(0.25),
        published=0.42,
        arms=("audit",),
    ),
    Finding(
        "F2b",
        "Many by more than a factor of two (share of flows, one table for all seeds).",
        CARD,
        lambda ds: (of(ds, "audit", "log_ratio") > np.log(2)).mean("audited"),
        AtLeast(0.25),
        published=0.34,
        arms=("audit",),
    ),
    Finding(
        "F3a",
        "Recomputed dominant periods agree with the stored ones within 15 % (share).",
        "card, a target without a trial run",
        lambda ds: (abs(of(ds, "periods", "period_ratio") - 1) < 0.15).mean("timed"),
        AtLeast(0.8),
        arms=("periods",),
    ),
    Finding(
        "F3b",
        "Twelve stored periods hold twelve cycles, give or take two (median deviation).",
        "card, a target without a trial run",
        lambda ds: abs(of(ds, "periods", "cycles") - CYCLES).median("timed"),
        AtMost(2.0),
        units="cycles",
        arms=("periods",),
    ),
    Finding(
        "F4a",
        "N-BEATS forecasts best (points of median sMAPE before the next).",
        "Fig. 3, coarse",
        lead_of_nbeats,
        AtLeast(0.0),
        published=17.2,
        units="sMAPE points",
        arms=("forecasts",),
    ),
    Finding(
        "F4b",
        "It is far better than the mean (points of median sMAPE).",
        "Fig. 3, coarse; threshold of the card",
        lambda ds: medians(ds).sel(model="NaiveMean") - medians(ds).sel(model="N-BEATS"),
        AtLeast(20.0),
        published=102,
        units="sMAPE points",
        arms=("forecasts",),
    ),
    Finding(
        "F4c",
        "The more chaotic, the harder (Spearman of the best error with exponent times period).",
        "Fig. 4; threshold of the card",
        chaos_correlation,
        AtLeast(0.15),
        published=0.33,
        arms=("forecasts",),
    ),
    Finding(
        "F5a",
        "Sparse regression finds exactly the terms of quadratic systems (least F1).",
        CARD,
        lambda ds: of(ds, "laws", "support_f1").min("quadratic"),
        AtLeast(1.0),
        arms=("laws",),
    ),
    Finding(
        "F5b",
        "And their coefficients (largest error).",
        CARD,
        lambda ds: of(ds, "laws", "coefficient_error").max("quadratic"),
        AtMost(1e-3),
        arms=("laws",),
    ),
    Finding(
        "F5c",
        "Polynomials beat sines (median score, Fourier minus polynomial, scale 2).",
        "Fig. 5; threshold of the card",
        lambda ds: of(ds, "laws", "law_score").median("law").diff("library").isel(library=0, drop=True),
        AtLeast(0.5),
        published=0.94,
        arms=("laws",),
    ),
    Finding(
        "F6a",
        "Importance resampling is at least as good as uniform resampling (difference of medians, scale 2).",
        "Table 1; card",
        lambda ds: after(ds, "uniform") - after(ds, "importance"),
        AtLeast(0.0),
        published=0.077,
        arms=("uniform", "importance"),
        since="thorough",
    ),
    Finding(
        "F6b",
        "Uniform resampling is at least as good as fixed data with twice the steps.",
        "Table 1; card",
        lambda ds: after(ds, "fixed") - after(ds, "uniform"),
        AtLeast(0.0),
        published=0.016,
        arms=("fixed", "uniform"),
        since="thorough",
    ),
    Finding(
        "F6c",
        "Importance resampling beats fixed data with twice the steps.",
        "Table 1; threshold of the card",
        lambda ds: after(ds, "fixed") - after(ds, "importance"),
        AtLeast(0.03),
        published=0.093,
        arms=("fixed", "importance"),
        since="thorough",
    ),
    Finding(
        "F7a",
        "Codes from matched surrogates are worth raw features (accuracy).",
        "Fig. 6; threshold of the card",
        lambda ds: gain(ds, "raw"),
        AtLeast(-0.01),
        published=0.039,
        arms=("transfer",),
        since="thorough",
    ),
    Finding(
        "F7b",
        "And more than codes from surrogates of a random pace.",
        "Fig. 6; threshold of the card",
        lambda ds: gain(ds, "random"),
        AtLeast(0.01),
        published=0.042,
        arms=("transfer",),
        since="thorough",
    ),
]
