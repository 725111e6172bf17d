"""Diagnose measurements: how chaotic, how far ahead, which Koopman eigenvalues can be trusted, which model wins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.random as jr
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Array, Key

from separatrix._core.keys import named_key
from separatrix.dynamics.chaos_tests import determinism_test, zero_one_test
from separatrix.dynamics.forecast_origins import held_out_forecasts
from separatrix.dynamics.forecasting import (
    EchoStateForecast,
    Forecaster,
    LinearLags,
    NaiveMean,
    NaiveSeasonal,
    NextGenerationReservoir,
    nbeats,
)
from separatrix.dynamics.koopman import Coordinates, KoopmanLearner
from separatrix.dynamics.measured_table import MeasuredSeries, read_table
from separatrix.systems.correlation_sums import correlation_dimension
from separatrix.systems.neighbour_exponent import delay_embed, largest_exponent_from_data
from separatrix.systems.spectra import dominant_period, power_spectrum

__all__ = ["Diagnosis", "diagnose"]

_MOST = 20_000
_TRAINED = 4_000
_JUDGED = 6  # columns that the tests look at
CHAOS, REGULAR, NOISE, OPEN = "chaotic", "regular", "not told from linear noise", "undecided"


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        verdict: "chaotic", "regular", "not told from linear noise", or "undecided".
        summary: one row a quantity: `value`, ends `low` and `high` of its interval where there is one, `unit`, `about`.
        models: one row a model, best first: median and quartiles of the valid prediction time, and median error.
        spectrum: Koopman eigenvalues with held-out residuals, growth rate and frequency.
        forecasts: of `held_out_forecasts`.
        separation: mean logarithm of the distance of neighbours over time, whose slope is the exponent.
        series: the data as they were used.
        notes: what was done to the data, and what limits the conclusions.
    """

    verdict: str
    summary: pd.DataFrame
    models: pd.DataFrame
    spectrum: xr.Dataset
    forecasts: xr.Dataset
    separation: xr.Dataset
    series: MeasuredSeries
    notes: tuple[str, ...]

    @property
    def best_model(self) -> str:
        """Name of the model with the longest median valid prediction time; the smaller error decides ties."""
        return str(self.models.index[0])

    def __repr__(self) -> str:
        number: Any = "{:.4g}".format
        shown = self.summary[["value", "low", "high", "unit"]].to_string(float_format=number)
        models = self.models.to_string(float_format=number)
        notes = "".join(f"\n  - {note}" for note in self.notes)
        return (
            f"Verdict: {self.verdict}; best model: {self.best_model}\n\n{shown}\n\n{models}\n\nNotes:{notes or ' none'}"
        )

    def report(self, path: str | Path) -> Path:
        """Write tables and figures as one self-contained HTML file.

        Args:
            path: where to.

        Returns:
            The path.
        """
        from separatrix.dynamics.diagnosis_report import write_report

        return write_report(self, path)


def default_models(period: int, season: int, length: int, dim: int) -> dict[str, Forecaster]:
    """Models that `diagnose` compares: naive ones, linear lags, a quadratic reservoir, an echo state network, N-BEATS.

    Args:
        period: samples in a mean period.
        season: samples in a dominant period.
        length: samples in the fitted part.
        dim: number of columns; of a single one the reservoir sees four delays, of three or more two.

    Returns:
        Forecasters by name.
    """
    lags = int(np.clip(period // 2, 4, max(4, min(25, length // 10))))
    window = int(np.clip(period, 8, min(50, length // 4)))
    stride = max(1, min(period // 12, length // 20))
    quadratic = NextGenerationReservoir(2, 2, 1e-8) if dim >= 3 else NextGenerationReservoir(4, 2, 1e-6, stride)
    return {
        "mean": NaiveMean(),
        "persistence": NaiveSeasonal(1),
        "last period": NaiveSeasonal(min(season, length)),
        "linear lags": LinearLags(lags),
        "quadratic reservoir": quadratic,
        "echo state": EchoStateForecast(200, ridge=1e-6),
        "N-BEATS": nbeats(window, blocks=4, width=64, steps=400),
    }


def diagnose(
    source: Any,
    *,
    time: str | None = None,
    dt: float | None = None,
    columns: Sequence[str] | None = None,
    models: Mapping[str, Forecaster] | None = None,
    held_out: float = 0.3,
    origins: int = 20,
    threshold: float = 0.4,
    embedding: int = 4,
    longest_gap: int = 5,
    key: Key[Array, ""] | None = None,
) -> Diagnosis:
    """Diagnose measurements of something that moves.

    The verdict: "chaotic" asks for a 0-1 test above 0.7, an exponent whose interval is positive, and neighbours in
    state space that forecast better than in every linear surrogate, by a fifth at least (surrogates of a noisy line are
    a few per cent worse than it is). "regular" asks for a 0-1 test below 0.3, halves that are alike and, where
    neighbours do forecast better, an exponent whose interval is not positive. Where they do not and the 0-1 test is not
    near 0 the series is "not told from linear noise"; all else is "undecided". The 0-1 test is the median over columns,
    the surrogate test takes their mean error.

    The largest exponent comes from the parting of neighbours; it means something for a chaotic series only, and its
    interval tells of sampling, not of the method's bias. Everything is measured on what the models have not seen where
    that applies: valid prediction times and Koopman residuals.

    Args:
        source: path of a CSV, TSV or Parquet file, DataFrame, xarray object, or array `(T,)` or `(T, D)`; see
            `read_table` for how times, gaps, duplicates and foreign columns are treated.
        time: name of the column of times, where it is not obvious.
        dt: time between samples, where there are no times.
        columns: which columns; all numeric ones by default.
        models: forecasters to compare; `default_models` by default.
        held_out: share at the end that no fit sees.
        origins: forecasts from as many times of the held-out part.
        threshold: error, in standard deviations, at which a forecast ceases to be valid.
        embedding: delay coordinates of each column when there are fewer than three.
        longest_gap: missing samples in a row that are interpolated.
        key: drives the fits.

    Returns:
        Tables, verdict and notes; `report(path)` writes a page.

    Raises:
        ValueError: if the data cannot be used; the message says what to do.

    References:
        Rosenstein, Collins, De Luca (1993), Physica D 65, 117-134. Gottwald, Melbourne (2009), SIAM J. Appl. Dyn. Syst.
        8, 129-145. Theiler et al. (1992), Physica D 58, 77-94. Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77.

    Examples:
        >>> from separatrix.dynamics.forecasting import NaiveMean, NaiveSeasonal
        >>> wave = np.sin(2 * np.pi * np.arange(400) / 20)
        >>> found = diagnose(wave, dt=0.5, models={"mean": NaiveMean(), "last period": NaiveSeasonal(20)})
        >>> found.verdict, found.best_model, round(float(found.summary.value["dominant period"]), 2)
        ('regular', 'last period', 10.0)
    """
    series = read_table(source, time=time, dt=dt, columns=columns, longest_gap=longest_gap)
    notes = list(series.notes)
    key = jr.key(0) if key is None else key
    y = series.values
    if len(y) > _MOST:
        notes.append(f"the last {_MOST} of {len(y)} samples are used")
        y = y[-_MOST:]
        series = series._replace(values=y)
    z = (y - y.mean(axis=0)) / y.std(axis=0)
    line, period = _periods(z)
    if len(z) / period < 20:
        notes.append(f"only {len(z) / period:.1f} mean periods were measured; all invariants are rough")
    if period < 6:
        notes.append(f"a mean period has {period:.1f} samples; sample faster to see the dynamics between them")
    samples = max(1, round(period))
    points, lag = _state_space(z, period, embedding)
    rows: list[tuple] = [
        ("dominant period", line * series.dt, np.nan, np.nan, series.unit, "strongest line of the spectrum"),
        ("mean period", period * series.dt, np.nan, np.nan, series.unit, "one over the mean frequency; sets all lags"),
    ]
    k, p, gain = _tests(z, period, embedding, lag, series.names, notes)
    rows.append(("0-1 test", k, np.nan, np.nan, "", "0 for regular motion, 1 for chaos and for noise"))
    rows.append(("surrogate test", p, np.nan, np.nan, "p", "probability if the series were linear noise"))
    rows.append(("surrogate ratio", gain, np.nan, np.nan, "", "error of neighbours over the least of all surrogates"))
    exponent = _exponent(points, samples, series.dt, notes)
    verdict = _verdict(k, p <= 0.05 and gain < 0.8, exponent[1], _stationary(z, notes), notes)
    rate = f"1/{series.unit}"
    rows.append(("largest exponent", *exponent[:3], rate, "rate at which neighbours part; nats per unit of time"))
    if verdict == CHAOS:
        low, high = 1 / exponent[2], 1 / exponent[1]
        rows.append(("Lyapunov time", 1 / exponent[0], low, high, series.unit, "one over the largest exponent"))
    rows.append(("correlation dimension", *_dimension(points, samples, notes), "", "of the states; 2 standard errors"))
    cut = len(z) - round(held_out * len(z))
    steps = int(max(1, min(round(5 * period), (len(z) - cut) // 2)))
    trained = y[max(0, cut - _TRAINED) :]
    share = (len(z) - cut) / len(trained)
    fitted = len(trained) - (len(z) - cut)
    chosen = default_models(samples, max(1, round(line)), fitted, y.shape[1]) if models is None else models
    options = {"held_out": share, "steps": steps, "origins": origins, "threshold": threshold, "dt": series.dt}
    forecasts = held_out_forecasts(chosen, trained, named_key(key, "models"), **options)
    table = _ranking(forecasts)
    best = table.iloc[0]
    about = f"median over {forecasts.sizes['origin']} held-out forecasts of the best model, {table.index[0]}"
    rows.append(("valid prediction time", best["valid"], best["low"], best["high"], series.unit, about))
    if best["valid"] >= steps * series.dt:
        notes.append("the best model is valid to the end of every other forecast; its horizon is a lower bound")
    spectrum = _spectrum(z, period, series.dt, held_out, notes)
    trusted = spectrum.residual.values < 0.1
    rows.append(("certified eigenvalues", int(trusted.sum()), np.nan, np.nan, "", "held-out residual below 0.1"))
    summary = pd.DataFrame(rows, columns=["quantity", "value", "low", "high", "unit", "about"]).set_index("quantity")
    return Diagnosis(verdict, summary, table, spectrum, forecasts, exponent[3], series, tuple(notes))


def _periods(z: np.ndarray) -> tuple[float, float]:
    """Samples in the period of the strongest line, with three cycles at least, and in that of the mean frequency.

    Broad spectra, as those of a scalar coordinate of chaos often are, may have no line; the mean frequency always
    exists. Both are medians over columns.
    """
    lines, means = [], []
    for column in z.T:
        frequency, power = power_spectrum(column)
        means.append(np.sum(power) / np.sum(frequency * power))
        power = np.where(frequency >= 3 / len(z), power, 0.0)
        top = int(power.argmax())
        near = slice(max(top - 2, 0), top + 3)
        lines.append(np.sum(power[near]) / np.sum(frequency[near] * power[near]))
    line = float(np.median(lines))
    if len(z) >= 60 and len(z) / line >= 40:  # enough cycles for the estimator of the catalogue's periods
        line = dominant_period(z, 1.0, n_surrogates=1).period
    return line, float(np.median(means))


def _tests(z, period, embedding, lag, names, notes) -> tuple[float, float, float]:
    """The 0-1 test, median over columns, and the surrogate test of the mean error over columns."""
    judged = np.unique(np.linspace(0, z.shape[1] - 1, min(_JUDGED, z.shape[1])).round().astype(int))
    if len(judged) < z.shape[1]:
        notes.append(f"the tests look at {len(judged)} columns: {', '.join(names[j] for j in judged)}")
    quarter = max(1, round(period / 4))
    every = min(quarter, max(1, len(z) // 130))  # below 130 samples a sine passes for chaos
    k = [zero_one_test(z[::every, j]) for j in judged]
    if min(k) < 0.3 and max(k) > 0.7:
        shown = ", ".join(f"{names[j]} {value:.2f}" for j, value in zip(judged, k, strict=True))
        notes.append(f"the 0-1 test differs between columns: {shown}")
    options = {"dimension": embedding, "lag": lag, "ahead": quarter, "theiler": lag * embedding, "most": 1_500}
    found = [determinism_test(z[:, j], seed=int(j), **options) for j in judged]
    own, others = np.mean([f.error for f in found]), np.mean([f.surrogates for f in found], axis=0)
    p = (1 + np.sum(others <= own * (1 + 1e-6))) / (len(others) + 1)
    return float(np.median(k)), float(p), float(own / others.min())


def _stationary(z: np.ndarray, notes: list[str]) -> bool:
    """Whether mean and spread of the halves are alike in every column."""
    first, second = np.array_split(z, 2)
    moved = float(np.abs(first.mean(axis=0) - second.mean(axis=0)).max())
    spreads = np.sort(np.maximum([first.std(axis=0), second.std(axis=0)], 1e-12), axis=0)
    scaled = float((spreads[1] / spreads[0]).max())
    if moved < 0.75 and scaled < 1.5:
        return True
    notes.append(
        f"the halves differ (means by {moved:.1f} standard deviations, spreads {scaled:.1f}-fold): "
        "the series may not be stationary; detrend it or measure longer"
    )
    return False


def _verdict(k: float, nonlinear: bool, low: float, stationary: bool, notes: list[str]) -> str:
    if not nonlinear and k >= 0.3:
        return NOISE
    if k < 0.3 and stationary and not (nonlinear and low > 0):
        return REGULAR
    if k > 0.7 and low > 0:
        return CHAOS
    sign = "positive" if low > 0 else "not positive"
    notes.append(f"0-1 test ({k:.2f}) and exponent (its interval is {sign}) do not decide; measure longer")
    return OPEN


def _state_space(z: np.ndarray, period: float, embedding: int) -> tuple[np.ndarray, int]:
    lag = max(1, round(period / 8))
    lag = min(lag, max(1, len(z) // (10 * embedding)))
    if z.shape[1] >= 3:
        return z, lag
    return np.concatenate([delay_embed(column, embedding, lag) for column in z.T], axis=1), lag


def _exponent(points, samples, dt, notes) -> tuple[float, float, float, xr.Dataset]:
    horizon = int(max(4, min(3 * samples, len(points) // 10)))
    theiler = int(min(samples, len(points) // 10))
    skip = min(samples // 4, horizon // 4)
    try:
        found = largest_exponent_from_data(points, dt, theiler, horizon, skip=skip, ceiling=0.2, neighbours=5)
    except ValueError as error:
        notes.append(f"no exponent: {error}")
        return np.nan, np.nan, np.nan, xr.Dataset()
    curve = xr.Dataset(
        {"separation": ("time", found.separation), "fitted": ("time", found.fitted)}, coords={"time": found.times}
    )
    return found.exponent, found.low, found.high, curve


def _dimension(points, samples, notes) -> tuple[float, float, float]:
    try:
        found = correlation_dimension(points, min(samples, len(points) // 10), most=2_000)
    except ValueError as error:
        notes.append(f"no correlation dimension: {error}")
        return np.nan, np.nan, np.nan
    error = 2 * found.standard_error
    return found.dimension, found.dimension - error, found.dimension + error


def _ranking(forecasts: xr.Dataset) -> pd.DataFrame:
    valid = forecasts.valid.values
    low, middle, high = np.quantile(valid, [0.25, 0.5, 0.75], axis=1)
    error = np.median(np.minimum(forecasts.error.values, 1e9).mean(axis=2), axis=1)
    table = pd.DataFrame(
        {"valid": middle, "low": low, "high": high, "mean valid": valid.mean(axis=1), "error": error},
        index=pd.Index(forecasts.model.values, name="model"),
    )
    return table.sort_values(["valid", "error"], ascending=[False, True])


def _spectrum(z, period, dt, held_out, notes) -> xr.Dataset:
    """Koopman eigenvalues in delay coordinates over about one period, with residuals on held-out data."""
    delays = int(np.clip(round(period), 2, max(2, 40 // z.shape[1])))
    stride = max(1, round(period / delays))
    while delays > 2 and (len(z) < 10 * delays * z.shape[1] or stride * delays > len(z) // 10):
        delays = delays // 2
    learner = KoopmanLearner(Coordinates(), delays=delays, stride=stride, held_out=held_out).fit(z)
    values: Any = learner.eigenvalues_
    with np.errstate(divide="ignore"):
        logs: Any = np.log(values.astype(complex)) / dt
    if stride > 1:
        notes.append(
            f"Koopman states are {delays} delays {stride} samples apart; the step of the operator is one sample"
        )
    text = {"long_name": "relative residual on held-out snapshots", "units": "1"}
    return xr.Dataset(
        {
            "residual": ("pair", learner.residuals_, text),
            "growth": ("pair", logs.real, {"long_name": "growth rate", "units": "1/time"}),
            "frequency": ("pair", logs.imag / (2 * np.pi), {"long_name": "frequency", "units": "cycles/time"}),
        },
        coords={"real": ("pair", values.real), "imaginary": ("pair", values.imag)},
        attrs={"delays": delays, "stride": stride},
    )
