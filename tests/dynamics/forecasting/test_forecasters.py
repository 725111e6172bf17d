"""Forecasters against hand calculation, closed forms, their library and series that they must continue."""

import importlib

import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import forecasting as fc
from separatrix.models.series_lstm import SeriesLSTM
from separatrix.models.temporal_convolution import TemporalConvolution, causal_convolution

KEY = jr.key(0)


def wave(count, period=20.0):
    return np.sin(2 * np.pi * np.arange(count) / period)


def test_naive_methods_by_hand():
    y = [1.0, 5.0, 3.0, 7.0]
    assert fc.forecast(fc.NaiveMean(), y, 2, KEY).ravel().tolist() == [4.0, 4.0]
    assert fc.forecast(fc.NaiveDrift(), y, 2, KEY).ravel().tolist() == [9.0, 11.0]  # slope (7 - 1) / 3
    assert fc.forecast(fc.NaiveSeasonal(1), y, 2, KEY).ravel().tolist() == [7.0, 7.0]
    assert fc.forecast(fc.NaiveSeasonal(3), y, 4, KEY).ravel().tolist() == [5.0, 3.0, 7.0, 5.0]


def test_many_series_in_one_program_equal_one_by_one():
    y = np.random.default_rng(0).normal(size=(3, 60, 2)).cumsum(axis=1)
    model = fc.LinearLags(3)
    together = fc.forecast_many(model, y, 5, KEY)
    alone = [model.predict(model.fit(row.astype(np.float32), KEY), row.astype(np.float32), 5) for row in y]
    np.testing.assert_allclose(together, np.stack(alone), rtol=2e-3, atol=2e-3)


def test_linear_lags_find_an_autoregression_exactly(x64):
    y = [1.0, 0.8]
    for _ in range(60):
        y.append(1.5 * y[-1] - 0.9 * y[-2] + 0.1)
    got = fc.forecast(fc.LinearLags(2, ridge=0.0), y[:50], 12, KEY)[:, 0]
    np.testing.assert_allclose(got, y[50:62], atol=1e-8)


def test_quadratic_reservoir_finds_a_quadratic_map_exactly(x64):
    y = [[0.1, 0.1]]
    for _ in range(160):
        a, b = y[-1]
        y.append([1 - 1.4 * a * a + b, 0.3 * a])
    y = np.array(y)
    got = fc.forecast(fc.NextGenerationReservoir(1, 2, 0.0), y[:150], 8, KEY)
    np.testing.assert_allclose(got, y[150:158], atol=1e-6)


def test_fourier_continues_whole_cycles_and_a_trend(x64):
    t = np.arange(80.0)
    got = fc.forecast(fc.FourierForecast(3), 5 + wave(80), 20, KEY)[:, 0]
    np.testing.assert_allclose(got, 5 + wave(100)[80:], atol=1e-8)
    line = fc.forecast(fc.FourierForecast(3, trend=1), 2 * t, 5, KEY)[:, 0]
    np.testing.assert_allclose(line, 2 * np.arange(80, 85), atol=1e-8)


def test_arima_of_an_autoregression_forecasts_its_conditional_mean():
    rng, y = np.random.default_rng(0), np.zeros(400)
    for i in range(1, 400):
        y[i] = 0.7 * y[i - 1] + rng.normal()
    from statsmodels.tsa.arima.model import ARIMA

    fit = ARIMA(y, order=(1, 0, 0)).fit()
    mean, phi = fit.params[:2]
    expected = mean + phi ** np.arange(1, 6) * (y[-1] - mean)
    np.testing.assert_allclose(fc.forecast(fc.Arima(1, 0, 0), y, 5, KEY)[:, 0], expected, rtol=1e-6)
    assert phi == pytest.approx(0.7, abs=0.1)


def test_auto_arima_differences_a_random_walk_and_prefers_few_terms():
    y = np.cumsum(np.random.default_rng(3).normal(size=120))[:, None]
    (fit,) = fc.AutoArima(1, 1).fit(y, KEY)
    order = fit.model.order
    assert order[1] == 1
    assert order[0] + order[2] <= 1
    assert fc.differences_needed(np.random.default_rng(0).normal(size=200)) == 0


def test_theta_is_smoothing_with_half_the_slope():
    # Hyndman and Billah: forecast = level + b/2 (h - 1 + (1 - (1 - alpha)^n) / alpha)
    from statsmodels.tsa.forecasting.theta import ThetaModel

    y = 3 + 0.5 * np.arange(60.0) + np.random.default_rng(0).normal(size=60)
    got = fc.forecast(fc.ThetaForecast(), y, 4, KEY)[:, 0]
    np.testing.assert_allclose(got, ThetaModel(y, deseasonalize=False).fit().forecast(4), rtol=1e-10)
    np.testing.assert_allclose(np.diff(got), 0.5 / 2, atol=0.05)


def test_four_theta_restores_the_series_and_has_a_closed_form_on_a_ramp():
    # theta line of a ramp is the ramp; its level is the last value, and the trend goes on
    y = 2.0 * np.arange(30)
    for theta in (1.0, 2.0, 4.0):
        got = fc.forecast(fc.FourTheta((theta,)), y, 3, KEY)[:, 0]
        np.testing.assert_allclose(got, 58 / theta + (1 - 1 / theta) * np.array([60, 62, 64]), atol=1e-3)
    growth = fc.forecast(fc.FourTheta((1.0, 3.0)), 1.1 ** np.arange(40), 1, KEY)[0, 0]
    assert growth == pytest.approx(1.1**40, rel=0.05)  # an exponential trend was chosen
    season = np.tile([1.0, 2.0, 6.0], 20)
    np.testing.assert_allclose(
        fc.forecast(fc.FourTheta((2.0,), season=3), season[:-1], 4, KEY)[:, 0], [6, 1, 2, 6], atol=0.2
    )


def test_smoothing_continues_level_and_season():
    season = np.tile([1.0, 2.0, 6.0], 12)
    got = fc.forecast(fc.ExponentialSmoothing(season=3, trend=False), season, 4, KEY)[:, 0]
    np.testing.assert_allclose(got, [1, 2, 6, 1], atol=1e-2)
    with pytest.raises(ValueError, match="fewer than two seasons of 30"):
        fc.forecast(fc.ExponentialSmoothing(season=30), season, 1, KEY)


def test_statistical_methods_repeat_a_constant():
    y = np.full(40, 3.0)
    for model in (fc.Arima(1, 0, 0), fc.AutoArima(), fc.ExponentialSmoothing(), fc.ThetaForecast()):
        assert fc.forecast(model, y, 2, KEY).ravel().tolist() == [3.0, 3.0]


def test_forest_repeats_what_it_has_seen():
    y = np.tile([0.0, 1.0, 2.0, 5.0], 30)
    np.testing.assert_allclose(fc.forecast(fc.RandomForestLags(4, 20), y, 5, KEY)[:, 0], [0, 1, 2, 5, 0], atol=0.1)


@pytest.mark.parametrize(
    "model",
    [
        fc.nbeats(20, blocks=2, width=32, steps=200, rate=3e-3),
        fc.lstm(20, layers=1, size=10, steps=150, rate=3e-2, batch=16),
        fc.tcn(20, filters=8, steps=150, rate=2e-2, batch=16),
        fc.transformer(20, size=8, heads=2, layers=1, feed=16, steps=150, rate=1e-2, batch=8),
        fc.EchoStateForecast(100, ridge=1e-6),
    ],
    ids=["nbeats", "lstm", "tcn", "transformer", "echo state"],
)
def test_networks_continue_a_sine(model):
    y = wave(220)
    error = fc.forecast(model, y[:200], 20, KEY)[:, 0] - y[200:]
    assert np.sqrt(np.mean(error**2)) < 0.25  # the mean forecast has 0.71


def test_chunks_of_output_are_fed_back():
    y = wave(220)
    model = fc.nbeats(20, 4, blocks=1, width=8, steps=2)
    state = model.fit(y[:200, None].astype(np.float32), KEY)
    path = model.predict(state, y[:200, None], 10)
    assert path.shape == (10, 1)
    again = model.predict(state, np.concatenate([y[:200, None], path[:4]]), 6)
    np.testing.assert_allclose(path[4:], again, atol=1e-5)


def test_number_of_steps_makes_the_epochs():
    assert fc.nbeats(10, epochs=100).num_steps(42) == 100  # 32 windows, one batch a pass
    with pytest.raises(ValueError, match="use a shorter window"):
        fc.nbeats(50).num_steps(50)


def test_equal_forecasters_share_a_program():
    assert fc.nbeats(5, width=8).build == fc.nbeats(5, width=8).build
    assert hash(fc.nbeats(5, width=8).build) == hash(fc.nbeats(5, width=8).build)
    assert fc.nbeats(5, width=8).build != fc.nbeats(5, width=9).build


def test_sequence_networks_do_not_look_ahead_and_see_the_whole_window():
    x = np.random.default_rng(0).normal(size=(16, 1)).astype(np.float32)
    for network in (TemporalConvolution(16, 1, 1, KEY, filters=4), SeriesLSTM(16, 1, 1, KEY)):
        before = np.asarray(network(x))
        late, early = x.copy(), x.copy()
        late[9] += 1
        early[0] += 1
        after = np.asarray(network(late))
        np.testing.assert_allclose(before[:9], after[:9], atol=1e-6)
        assert np.abs(before[9:] - after[9:]).max() > 0
        assert np.abs(before[-1] - np.asarray(network(early))[-1]).max() > 0


def test_strided_dilated_convolution_equals_a_loop():
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(11, 2)), rng.normal(size=(3, 2, 4))
    padded = np.concatenate([np.zeros((4, 2)), x])
    loop = [sum(padded[t + 2 * k] @ w[k] for k in range(3)) for t in range(0, 11, 3)]
    np.testing.assert_allclose(causal_convolution(x, w, 2, 3), loop, rtol=1e-4, atol=1e-5)


def test_a_failed_fit_is_nan_and_counted():
    class Singular:
        def fit(self, y, key):
            raise np.linalg.LinAlgError

        def predict(self, state, context, steps):
            raise AssertionError

    with pytest.warns(RuntimeWarning, match="Singular failed on 2 of 2 series"):
        assert np.isnan(fc.forecast_many(Singular(), np.ones((2, 9, 1)), 3, KEY)).all()


def test_refusals_say_what_to_do():
    with pytest.raises(ValueError, match="NaN or infinite"):
        fc.forecast(fc.NaiveMean(), [1.0, np.nan], 1, KEY)
    with pytest.raises(ValueError, match="use fewer lags"):
        fc.forecast(fc.LinearLags(9), np.arange(5.0), 1, KEY)
    with pytest.raises(ValueError, match="`season` must be at least 1"):
        fc.NaiveSeasonal(0)


def test_missing_packages_are_named(monkeypatch):
    real = importlib.import_module

    def absent(name, *rest):
        if name.startswith(("prophet", "statsmodels")):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=r"separatrix\[prophet\]"):
        fc.ProphetForecast()
    with pytest.raises(ImportError, match=r"separatrix\[forecast\]"):
        fc.Arima(1).fit(np.arange(9.0)[:, None], KEY)
