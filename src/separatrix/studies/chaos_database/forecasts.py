"""Arms that forecast: sixteen methods on every series, and the exponents that their errors are set against."""

from typing import Any

import numpy as np

from separatrix._core.keys import named_key
from separatrix.dynamics import forecasting as fc
from separatrix.study.arms import labelled
from separatrix.systems import catalogue

from .periods import all_series
from .settings import CYCLES, DENSE, PTS, Settings


def methods(s: Settings) -> dict[str, list[Any]]:
    """Variants of each method by name."""
    small = {"steps": s.steps}
    shapes = [(w, chunk) for w in s.windows for chunk in s.chunks]
    found: dict[str, list[Any]] = {
        "NaiveMean": [fc.NaiveMean()],
        "NaiveSeasonal": [fc.NaiveSeasonal(PTS)],
        "Linear": [fc.LinearLags(n) for n in s.lags],
        "Theta": [fc.ThetaForecast()],
        "RandomForest": [fc.RandomForestLags(n, trees=50) for n in s.lags],
        "LSTM": [fc.lstm(w, layers=1, **small) for w in s.windows],
        "N-BEATS": [fc.nbeats(w, chunk, blocks=8, width=64, **small) for w, chunk in shapes],
    }
    if s.more_methods:
        found |= {
            "NaiveDrift": [fc.NaiveDrift()],
            "FourTheta": [fc.FourTheta(), fc.FourTheta(season=PTS)],
            "ExponentialSmoothing": [fc.ExponentialSmoothing(), fc.ExponentialSmoothing(season=PTS)],
            "FFT": [fc.FourierForecast(k) for k in (5, 10, 25)],
            "ARIMA": [fc.Arima(p) for p in (3, 5)],
            "AutoARIMA": [fc.AutoArima(3, 3)],
            "TCN": [fc.tcn(w, chunk, **small) for w, chunk in shapes],
            "Transformer": [fc.transformer(w, chunk, size=32, layers=1, feed=64, **small) for w, chunk in shapes],
        }
    if s.prophet:
        found["Prophet"] = [fc.ProphetForecast(), fc.ProphetForecast(season=PTS)]
    return found


def exponents_of(names) -> np.ndarray:
    """Largest exponent times period: ours where the audit has it, else the published QR estimate."""
    table = catalogue().set_index("name").loc[list(names)]
    return (table.exponent.fillna(table.published_lle_qr) * table.period).to_numpy()


def forecasts(s: Settings, keys):
    """Univariate forecasts at 15 points in a period: variants chosen on one series, scored on the end of another."""
    compared, found = methods(s), all_series(s, keys, s.systems)
    every, count = DENSE // PTS, min(CYCLES, s.length // 2) * PTS
    both = np.stack([found[n][0][:, ::every, :1] for n in s.systems], axis=1)  # seed, system, time, 1
    train, test = (part.reshape(-1, count, 1) for part in (both[:, :, :count], both[:, :, -count:]))
    result = fc.forecast_benchmark(compared, train, test, named_key(keys[0], "forecasts"))
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
