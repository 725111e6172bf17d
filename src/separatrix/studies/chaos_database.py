"""Chaos as a benchmark for forecasting and data-driven modelling (Gilpin 2021).

Is a catalogue of chaotic systems sane, are its published exponents right, does chaos make series hard to forecast, do
regressions recover the laws, and do chaotic series teach models more than other data do?
"""

import dataclasses
import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from separatrix._core.keys import named_key
from separatrix.dynamics import PolynomialLibrary, forecasting as fc
from separatrix.dynamics.classification_series import digit_rows, load_series_set, packaged_sets
from separatrix.dynamics.feature_set import series_features
from separatrix.dynamics.importance_resampling import resampled_training
from separatrix.dynamics.surrogate_transfer import (
    code_features,
    ridge_accuracy,
    significant_frequency,
    surrogate_series,
    train_autoencoder,
)
from separatrix.dynamics.symbolic_regression import FourierLibrary, fit_law, law_score, recovery
from separatrix.study.figures import PALETTE, NoData
from separatrix.study.finding import AtLeast, AtMost, Finding
from separatrix.study.study import Study
from separatrix.systems import catalogue, dominant_period, get, lyapunov, mean_divergence, simulate, system_from_text

TWELVE = (
    *("Lorenz", "Rossler", "Chen", "Thomas", "Halvorsen", "SprottB"),
    *("Rucklidge", "Chua", "Dadras", "Sakarya", "WangSun", "Aizawa"),
)
TWENTY = (*TWELVE, "SprottA", "SprottD", "SprottG", "Hadley", "NoseHoover", "GenesioTesi", "Lorenz84", "ShimizuMorioka")
THIRTY = (*TWENTY, *(f"Sprott{c}" for c in "CEFHIJKLMN"))
QUADRATIC = ("Lorenz", "Chen", "Rucklidge", *(f"Sprott{c}" for c in "ABCDEFGHIJKLMNOPQRS"))
CARD_SETS = ("ArrowHead", "ItalyPowerDemand", "GunPoint", "BasicMotions")
PTS, DENSE, PERIODS, CYCLES, STRETCH = 15, 60, 70, 12, 32
LITERATURE = {"Lorenz": 0.9056, "Rossler": 0.0714, "Henon": 0.4192, "Logistic": np.log(2), "doubling": np.log(2)}


@dataclass(frozen=True)
class Settings:
    """Defaults fit into four minutes; what they leave out of the card was fixed before any run.

    Default: F1 on five flows and three maps (card: 30 flows); F3 on the twelve systems of the forecasts (30); F4 on
    twelve systems and five seeds, with one variant of each method (20 systems, tuned windows); F5's comparison of
    dictionaries on the twelve (all flows). Thorough: 30, 30, 20 systems with tuned windows and the other methods, all
    flows of three coordinates in F5; F6 with a single layer of 16 cells, a window of 25 and 6 passes a round (2 layers,
    50, 30); F7 with 2,000 windows and 20 passes (10,000 and 200), and 26 features of ours for tsfresh's.
    """

    seeds: int = 5
    flows: tuple[str, ...] = ("Lorenz", "Rossler", "Rucklidge", "SprottB", "Chen")
    exponent_periods: float = 400
    audited: tuple[str, ...] = ("Lorenz", "Rossler", "Chua", "SprottMore", "Rucklidge", "Halvorsen")
    audit_periods: float = 60
    systems: tuple[str, ...] = TWELVE
    length: int = PERIODS
    windows: tuple[int, ...] = (PTS,)
    steps: int = 400
    more_methods: bool = False
    quadratic: tuple[str, ...] = QUADRATIC
    laws: tuple[str, ...] = TWELVE
    resampled: tuple[str, ...] = TWELVE[:10]
    cells: int = 16
    layers: int = 1
    resample_window: int = 25
    epochs: int = 6
    reference: int = 1_000
    ahead: int = 200
    surrogates: tuple[str, ...] = TWENTY
    surrogate_points: int = 1_000
    code_windows: int = 2_000
    code_epochs: int = 20
    archive: str = ""


THREE = tuple(catalogue("ode").query("dimension == 3").name)
EVERY = tuple(catalogue("ode").name)
AUTONOMOUS = tuple(catalogue("ode").query("not nonautonomous").name)
PRESETS = {
    "quick": Settings(
        seeds=2,
        flows=("Lorenz", "SprottB"),
        exponent_periods=2,
        audited=("Lorenz",),
        audit_periods=1,
        systems=("Lorenz", "SprottB"),
        length=24,
        windows=(5,),
        steps=3,
        quadratic=("Lorenz",),
        laws=("Lorenz", "SprottB"),
        resampled=("Lorenz",),
        cells=3,
        resample_window=5,
        epochs=1,
        reference=120,
        ahead=10,
        surrogates=("Lorenz", "SprottB"),
        surrogate_points=150,
        code_windows=64,
        code_epochs=1,
    ),
    "default": Settings(),
    "thorough": Settings(
        flows=THIRTY, systems=TWENTY, windows=(5, 10, 25), more_methods=True, laws=THREE, audited=THIRTY
    ),
    "full": Settings(
        flows=AUTONOMOUS,
        systems=EVERY,
        windows=(5, 10, 25, 50),
        steps=2_000,
        more_methods=True,
        laws=EVERY,
        audited=EVERY,
        audit_periods=200,
        resampled=EVERY,
        cells=25,
        layers=2,
        resample_window=50,
        epochs=30,
        surrogates=EVERY,
        code_windows=10_000,
        code_epochs=200,
    ),
}


def draws(key, name: str) -> np.random.Generator:
    """Random numbers that belong to a name."""
    return np.random.default_rng(np.asarray(jr.key_data(named_key(key, name))))


def side_by_side(work: Callable[[str], Any], names) -> dict[str, Any]:
    """Do the work for every system; they are compiled in parallel."""
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return dict(zip(names, pool.map(work, names), strict=True))


def labelled(variables, **coords) -> xr.Dataset:
    """Make a Dataset from `name: (dims after seed, values by seed, long name)`."""
    data = {
        name: (("seed", *dims), np.asarray(values, float), {"units": "1", "long_name": text})
        for name, (dims, values, text) in variables.items()
    }
    count = len(next(iter(data.values()))[1])
    return xr.Dataset(data, coords={"seed": np.arange(count), **coords})


def starts_of(system, keys, name: str) -> np.ndarray:
    """The stored initial state, moved by a thousandth for each seed."""
    start = np.asarray(system.initial, float)
    return np.stack([start * (1 + 1e-3 * draws(k, name).normal(size=len(start))) for k in keys])


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
        drawn = known.exponent + known.exponent_error * draws(key, "audit").normal(size=len(known))
        rows.append(np.abs(np.log(known.published_lle / np.maximum(drawn, 1e-12))))
    return labelled({"log_ratio": (["audited"], rows, "|ln published/ours|")}, audited=list(known.index))


@functools.lru_cache(maxsize=512)
def _series(name: str, transients: tuple[float, ...], length: int):
    """Reported coordinates `(seed, time, coord)` of a system, 60 points a period, from points on the attractor."""
    system = get(name)
    settle = system.facts.transient if system.facts else 30.0
    data = simulate(system, DENSE * length, pts_per_period=DENSE, transient=[settle + t for t in transients])
    return np.moveaxis(data.x.values, 1, 0), data.time.values


def all_series(s: Settings, keys, names) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Series of several systems, different for each seed."""
    leads = {n: tuple(float(draws(k, f"transient of {n}").uniform(0, 50)) for k in keys) for n in names}
    return side_by_side(lambda n: _series(n, leads[n], s.length), names)


def periods(s: Settings, keys):
    """Dominant periods from stretches of 32 stored periods, as published, and the cycles in twelve of them."""
    found = all_series(s, keys, s.systems)
    ratio, cycles, shown = [], [], []
    for name in s.systems:
        x, t = found[name]
        step, stretch = t[1] - t[0], min(STRETCH, s.length) * DENSE
        parts = [[row[i : i + stretch] for i in range(0, len(row) - stretch + 1, stretch)] for row in x]
        estimates = [[dominant_period(part, step, n_surrogates=1).period for part in row] for row in parts]
        ratio.append([np.median(row) / get(name).period for row in estimates])  # pyright: ignore
        cycles.append([_cycles(row[: CYCLES * DENSE]) for row in x])
        shown.append(np.stack([row[:: max(1, DENSE // 30), :3] for row in x])[:, :600])
    widest = [np.pad(a, ((0, 0), (0, 0), (0, 3 - a.shape[2])), constant_values=np.nan) for a in shown]
    return labelled(
        {
            "period_ratio": (["system"], np.transpose(ratio), "recomputed over stored period"),
            "cycles": (["system"], np.transpose(cycles), "cycles in twelve stored periods"),
            "orbit": (["system", "time", "coord"], np.stack(widest, axis=1), "coordinates"),
        },
        system=list(s.systems),
        coord=[0, 1, 2],
    )


def _cycles(x: np.ndarray) -> float:
    """Cycles of the strongest line, median over coordinates."""
    window = np.hanning(len(x))[:, None]
    power = np.abs(np.fft.rfft(window * (x - x.mean(axis=0)), n=8 * len(x), axis=0)) ** 2
    return float(np.median(power[8:].argmax(axis=0) + 8) / 8)


def methods(s: Settings) -> dict[str, list[Any]]:
    """Variants of each method by name."""
    lags = [w for w in s.windows if w <= 25]
    small = {"steps": s.steps}
    found: dict[str, list[Any]] = {
        "NaiveMean": [fc.NaiveMean()],
        "NaiveSeasonal": [fc.NaiveSeasonal(PTS)],
        "Linear": [fc.LinearLags(n) for n in lags],
        "Theta": [fc.ThetaForecast()],
        "RandomForest": [fc.RandomForestLags(n, trees=50) for n in lags],
        "LSTM": [fc.lstm(w, layers=1, **small) for w in s.windows],
        "N-BEATS": [fc.nbeats(w, blocks=8, width=64, **small) for w in s.windows],
    }
    if s.more_methods:
        found |= {
            "NaiveDrift": [fc.NaiveDrift()],
            "FourTheta": [fc.FourTheta(), fc.FourTheta(season=PTS)],
            "ExponentialSmoothing": [fc.ExponentialSmoothing(), fc.ExponentialSmoothing(season=PTS)],
            "FFT": [fc.FourierForecast(k) for k in (5, 10, 25)],
            "ARIMA": [fc.Arima(p) for p in (3, 5)],
            "AutoARIMA": [fc.AutoArima(3, 3)],
            "TCN": [fc.tcn(w, **small) for w in s.windows],
            "Transformer": [fc.transformer(w, size=32, layers=1, feed=64, **small) for w in s.windows],
        }
    return found


def exponents_of(names) -> np.ndarray:
    """Largest exponent times period: ours where the audit has it, else the published QR estimate."""
    table = catalogue().set_index("name").loc[list(names)]
    return (table.exponent.fillna(table.published_lle_qr) * table.period).to_numpy()


def forecasts(s: Settings, keys):
    """Univariate forecasts at 15 points in a period: variants chosen on one series, scored on the end of another."""
    found = all_series(s, keys, s.systems)
    every, count = DENSE // PTS, min(CYCLES, s.length // 2) * PTS
    both = np.stack([found[n][0][:, ::every, :1] for n in s.systems], axis=1)  # seed, system, time, 1
    train, test = (part.reshape(-1, count, 1) for part in (both[:, :, :count], both[:, :, -count:]))
    result = fc.forecast_benchmark(methods(s), train, test, named_key(keys[0], "forecasts"))
    shape = (len(keys), len(s.systems))

    def by_seed(values):  # (method, series, ...) -> (seed, method, system, ...)
        return np.moveaxis(values.reshape(len(values), *shape, *values.shape[2:]), 1, 0)

    return labelled(
        {
            "smape": (["model", "system"], by_seed(result.error.sel(metric="smape").values), "sMAPE, scale 200"),
            "rmse": (["model", "system"], by_seed(result.error.sel(metric="rmse").values), "root mean squared error"),
            "forecast": (["model", "system", "ahead"], by_seed(result.forecast.values[..., 0]), "forecast"),
            "truth": (["system", "ahead"], result.truth.values[..., 0].reshape(*shape, -1), "what came"),
            "chaos": (["system"], np.tile(exponents_of(s.systems), (len(keys), 1)), "exponent times period"),
        },
        model=list(result.model.values),
        system=list(s.systems),
    )


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
    leads = {n: tuple(float(draws(k, f"law of {n}").uniform(5, 25)) for k in keys) for n in names}
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


def resampling(s: Settings, keys, power: float | None):
    """Train LSTMs in rounds; a fixed reference trajectory gets twice the passes."""
    build = fc.lstm(s.resample_window, size=s.cells, layers=s.layers).build
    epochs = s.epochs if power is not None else 2 * s.epochs
    table = []
    for key in keys:
        row = []
        for name in s.resampled:
            options = {"power": power, "epochs": epochs, "points": s.reference, "ahead": s.ahead}
            system = get(name)
            start = starts_of(system, [key], name)[0]
            run = resampled_training(system, build, key, window=s.resample_window, initial=start, **options)
            row.append(run.smape)
        table.append(row)
    return labelled({"after": (["trained"], table, "sMAPE, scale 2")}, trained=list(s.resampled))


def importance(s: Settings, keys):
    """New trajectories start where the model errs most."""
    return resampling(s, keys, 4.0)


def uniform(s: Settings, keys):
    """New trajectories start anywhere on the reference trajectory."""
    return resampling(s, keys, 0.0)


def fixed(s: Settings, keys):
    """No new trajectories, and twice the gradient steps."""
    return resampling(s, keys, None)


def class_sets(s: Settings):
    """Digits, and what is in the archive, or in installed packages, of the card's sets."""
    if s.archive:
        from pathlib import Path

        folders = {p.name: p for p in sorted(Path(s.archive).iterdir()) if p.is_dir()}
        return [digit_rows(), *(load_series_set(folder, name) for name, folder in folders.items())]
    shipped = packaged_sets()
    return [digit_rows(), *(load_series_set(shipped[n], n) for n in CARD_SETS if n in shipped)]


def transfer(s: Settings, keys):
    """Ridge classifiers on raw features, and on codes of autoencoders from surrogates of matched or random pace."""
    sets = class_sets(s)
    table = []
    for key in keys:
        rng, rows = draws(key, "pace"), []
        for data in sets:
            pace = {"matched": max(4.0, 2 // significant_frequency(data.train)), "random": np.exp(rng.uniform(*PACE))}
            standard = lambda x: (x - x.mean(1, keepdims=True)) / np.maximum(x.std(1, keepdims=True), 1e-12)  # noqa: E731
            raw = [series_features(standard(x)) for x in (data.train, data.test)]
            row = [ridge_accuracy(raw[0], data.labels, raw[1], data.truth)]
            for name, points in pace.items():
                lead = float(draws(key, name).uniform(5, 25))
                chaos = surrogate_series(s.surrogates, points, points=s.surrogate_points, transient=lead)
                own = named_key(key, f"{name} {data.name}")
                model = train_autoencoder(chaos, own, windows=s.code_windows, epochs=s.code_epochs).model
                codes = [code_features(model, x) for x in (data.train, data.test)]
                row.append(ridge_accuracy(codes[0], data.labels, codes[1], data.truth))
            rows.append(row)
        table.append(rows)
    return labelled(
        {"accuracy": (["dataset", "features"], table, "accuracy of a ridge classifier")},
        dataset=[d.name for d in sets],
        features=["raw", "matched", "random"],
    )


PACE = (np.log(5.0), np.log(200.0))


# Effects: one number a seed.


def of(ds, arm: str, variable: str, **where):
    """One variable of one arm, at labels of its other dimensions."""
    return ds[variable].sel(arm=arm, drop=True).sel(where)


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
    """Accuracy of matched surrogates minus that of others, mean over sets."""
    table = of(ds, "transfer", "accuracy").mean("dataset")
    return table.sel(features="matched") - table.sel(features=features)


CARD = "card"
FINDINGS = [
    Finding(
        "F1a",
        "Exponents sum to the mean divergence (largest relative gap over flows).",
        CARD,
        lambda ds: of(ds, "spectra", "trace_gap").max("flow"),
        AtMost(1e-3),
        arms=("spectra",),
    ),
    Finding(
        "F1b",
        "Autonomous flows have a neutral exponent: within three standard errors of zero (share of flows).",
        CARD,
        lambda ds: (of(ds, "spectra", "neutral") < 3).mean("flow"),
        AtLeast(0.9),
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
        "The published largest exponents are off: median |ln ratio|.",
        CARD,
        lambda ds: of(ds, "audit", "log_ratio").median("audited"),
        AtLeast(0.25),
        published=0.42,
        arms=("audit",),
    ),
    Finding(
        "F2b",
        "Many by more than a factor of two (share).",
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
        lambda ds: (abs(of(ds, "periods", "period_ratio") - 1) < 0.15).mean("system"),
        AtLeast(0.8),
        arms=("periods",),
    ),
    Finding(
        "F3b",
        "Twelve stored periods hold twelve cycles, give or take two (median deviation).",
        "card, a target without a trial run",
        lambda ds: abs(of(ds, "periods", "cycles") - CYCLES).median("system"),
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


def gallery(ds) -> Figure:
    """Attractors of the systems."""
    if "orbit" not in ds:
        raise NoData("no orbits were sampled")
    orbit = of(ds, "periods", "orbit").isel(seed=0).dropna("system", how="all")
    columns = min(4, orbit.sizes["system"])
    rows = -(-orbit.sizes["system"] // columns)
    figure = Figure(figsize=(2.2 * columns, 2.2 * rows), layout="constrained")
    for i, name in enumerate(orbit.system.values):
        axes = figure.add_subplot(rows, columns, i + 1)
        x = orbit.sel(system=name).values
        axes.plot(x[:, 0], x[:, 2] if np.isfinite(x[:, 2]).any() else x[:, 1], color=PALETTE[i % 8], linewidth=0.5)
        axes.set_title(str(name), fontsize="small")
        axes.set_axis_off()
    return figure


def error_against_chaos(ds) -> Figure:
    """Best error of each system over its exponent times period."""
    if "smape" not in ds:
        raise NoData("nothing was forecast")
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    best = of(ds, "forecasts", "smape").min("model").dropna("system", how="all")
    chaos = of(ds, "forecasts", "chaos").mean("seed").sel(system=best.system)
    low, middle, high = (best.quantile(q, "seed") for q in (0.0, 0.5, 1.0))
    axes.errorbar(
        chaos, middle, yerr=[middle - low, high - middle], fmt="o", color=PALETTE[0], markersize=4, linewidth=1
    )
    for name in best.system.values:
        axes.annotate(str(name), (float(chaos.sel(system=name)), float(middle.sel(system=name))), fontsize="x-small")
    axes.set(xlabel="largest exponent times period", ylabel="sMAPE of the best method")
    return figure


def bands(ds) -> Figure:
    """Errors of forecasts by method, over systems and seeds, and forecasts of one system."""
    if "smape" not in ds:
        raise NoData("nothing was forecast")
    figure = Figure(figsize=(9.0, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    truth = of(ds, "forecasts", "truth").isel(seed=0, system=0)
    left.plot(truth.values, color=PALETTE[7], linewidth=2.5, label="what came")
    table = medians(ds).dropna("model", how="all")
    order = [str(m) for m in table.mean("seed").sortby(table.mean("seed")).model.values]
    guess = of(ds, "forecasts", "forecast").isel(seed=0, system=0)
    for i, name in enumerate(order[:3]):
        left.plot(guess.sel(model=name).values, color=PALETTE[i], label=name)
    left.set(xlabel="samples ahead", title=str(truth.system.values))
    left.legend(frameon=False, fontsize="small")
    spread = of(ds, "forecasts", "smape").stack(run=("seed", "system")).dropna("run")
    right.boxplot([spread.sel(model=m).values for m in order], orientation="horizontal", tick_labels=order)
    right.set(xlabel="sMAPE over systems and seeds")
    right.invert_yaxis()
    return figure


def published_ratio(ds) -> Figure:
    """How far published exponents are from ours."""
    if "log_ratio" not in ds:
        raise NoData("nothing was audited")
    figure = Figure(figsize=(5.6, 3.2), layout="constrained")
    axes = figure.subplots()
    values = np.sort(of(ds, "audit", "log_ratio").mean("seed").dropna("audited").values)
    axes.plot(np.exp(values), np.arange(1, len(values) + 1) / len(values), color=PALETTE[0])
    axes.axvline(2, color=PALETTE[7], linestyle=":")
    axes.set(xscale="log", xlabel="factor between published and recomputed exponent", ylabel="share of systems")
    return figure


STUDY = Study(
    slug="chaos-database",
    seed=27,
    domain="dynamics",
    title="Chaos as an interpretable benchmark for forecasting and data-driven modelling",
    paper="arXiv:2110.05266",
    citation="""@inproceedings{gilpin2021chaos,
  title = {Chaos as an interpretable benchmark for forecasting and data-driven modelling},
  author = {Gilpin, William},
  booktitle = {NeurIPS Datasets and Benchmarks},
  year = {2021}
}""",
    question="Are the numbers of the database of chaotic systems right, and does chaos make learning hard?",
    method="""Spectra are checked by identities and the literature, published exponents against recomputed ones, periods
    against series. Methods forecast the end of series whose beginning they are fitted to, with variants chosen on other
    series. Sparse regression is given exact derivatives. Recurrent networks are trained on trajectories from where they
    err most, from anywhere, or on fixed data. Autoencoders of chaotic series give features for classification.""",
    presets=PRESETS,
    arms={
        "spectra": spectra,
        "audit": audit,
        "periods": periods,
        "forecasts": forecasts,
        "laws": laws,
        "importance": importance,
        "uniform": uniform,
        "fixed": fixed,
        "transfer": transfer,
    },
    findings=FINDINGS,
    figures={
        "Attractors of the systems that are forecast": gallery,
        "The best error of a system over how chaotic it is": error_against_chaos,
        "Forecasts of one system, and errors by method": bands,
        "Published exponents against recomputed ones": published_ratio,
    },
    remarks={
        "F1c": "Rossler's small exponent alone decides: after 400 periods its sampling error is about 4 %.",
        "F3a": "Systems with several lines or a broad spectrum (Thomas, Aizawa) differ from the stored period.",
        "F4a": "The order of N-BEATS and a small LSTM on twelve systems changes with the initial states.",
    },
    costs={
        "quick": "a minute",
        "default": "4 minutes",
        "thorough": "30 minutes",
        "full": "the paper's scale, days",
    },
)
