"""Diagnoses of series whose nature is known: Lorenz, a sine, white noise, an autoregression."""

import numpy as np
import pandas as pd
import pytest

from separatrix.dynamics.chaos_tests import amplitude_adjusted, determinism_test, zero_one_test
from separatrix.dynamics.diagnosis import _stationary, _tests, _verdict, diagnose
from separatrix.dynamics.forecast_origins import held_out_forecasts
from separatrix.dynamics.forecasting import Arima, LinearLags, NaiveMean, NaiveSeasonal, NextGenerationReservoir
from separatrix.systems import get, simulate

FEW = {"mean": NaiveMean(), "last": NaiveSeasonal(1), "linear": LinearLags(8)}


@pytest.fixture(scope="module")
def lorenz():
    return simulate(get("Lorenz"), 3_000, pts_per_period=40, transient=20)


def test_lorenz_is_chaotic_with_its_exponent_and_dimension(lorenz, tmp_path):
    models = FEW | {"quadratic": NextGenerationReservoir(2, 2, 1e-8)}
    found = diagnose(lorenz, models=models)
    value = found.summary.value
    assert found.verdict == "chaotic"
    assert 0.75 < value["largest exponent"] < 1.1  # 0.906
    assert 1.9 < value["correlation dimension"] < 2.2  # 2.05
    assert value["surrogate test"] == 0.025
    assert found.best_model == "quadratic"
    assert found.summary.value["valid prediction time"] > 0.5
    page = found.report(tmp_path / "page.html").read_text()
    assert page.count("<svg") == 6
    assert "chaotic" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # nothing is loaded from elsewhere


def test_one_column_of_lorenz_is_enough(lorenz, tmp_path):
    table = pd.DataFrame({"Zeit (s)": lorenz.time, "x": lorenz.x.values[:, 0], "comment": "a"})
    table.to_csv(tmp_path / "x.csv", sep=";", decimal=",")  # the first column counts rows
    found = diagnose(tmp_path / "x.csv", models=FEW)
    assert found.verdict == "chaotic"
    assert found.summary.low["largest exponent"] < 1.0
    assert found.summary.high["largest exponent"] > 0.8
    assert (found.series.names, found.series.unit) == (("x",), "s")
    assert any("'comment' is not numeric" in note for note in found.notes)
    assert "Verdict: chaotic" in repr(found)


def test_a_sine_is_regular_with_two_certified_eigenvalues():
    found = diagnose(np.sin(2 * np.pi * np.arange(1_200) / 33.3), dt=0.1, models=FEW)
    assert found.verdict == "regular"
    assert found.best_model == "linear"
    assert found.summary.value["dominant period"] == pytest.approx(3.33, rel=0.02)
    certified = found.spectrum.frequency.values[found.spectrum.residual.values < 1e-3]
    np.testing.assert_allclose(sorted(certified), [-1 / 3.33, 0, 1 / 3.33], atol=1e-6)
    assert any("lower bound" in note for note in found.notes)


def test_noise_is_not_taken_for_chaos():
    rng = np.random.default_rng(0)
    white, red = rng.normal(size=1_000), np.zeros(1_000)
    for i in range(1, 1_000):
        red[i] = 0.9 * red[i - 1] + white[i]
    line = np.sin(2 * np.pi * np.arange(1_000) / 33.3) + 0.3 * white
    for series in (white, red, line):
        found = diagnose(series, dt=1.0, models=FEW)
        assert found.verdict == "not told from linear noise"
        assert found.summary.value["valid prediction time"] < 6 or series is line
        assert "Lyapunov time" not in found.summary.index


@pytest.mark.parametrize(
    ("k", "nonlinear", "low", "stationary", "verdict"),
    [
        (0.9, True, 0.1, True, "chaotic"),
        (0.9, True, -0.1, True, "undecided"),
        (0.5, True, 0.1, True, "undecided"),
        (0.1, True, 0.1, True, "undecided"),
        (0.1, True, -0.1, True, "regular"),
        (0.1, False, 0.1, True, "regular"),  # of a sine
        (0.1, False, -0.1, False, "undecided"),  # of a random walk
        (0.9, False, 0.1, True, "not told from linear noise"),
    ],
)
def test_verdicts_need_both_tests_and_what_disagrees_is_undecided(k, nonlinear, low, stationary, verdict):
    notes = []
    assert _verdict(k, nonlinear, low, stationary, notes) == verdict
    assert bool(notes) == (verdict == "undecided")


def test_a_trend_is_noted_and_columns_are_judged_together(lorenz):
    z = lorenz.x.values[:1_200]
    z = (z - z.mean(axis=0)) / z.std(axis=0)
    ramp = np.linspace(-1.7, 1.7, len(z))[:, None]
    notes = []
    assert not _stationary(np.concatenate([ramp, z], axis=1), notes)
    assert "the halves differ (means by 1.7 standard deviations" in notes[0]
    assert _stationary(z, notes)
    k, p, ratio = _tests(np.concatenate([ramp, z], axis=1), 30.0, 4, 4, ("ramp", "x", "y", "z"), notes)
    assert k > 0.9
    assert p == 0.025
    assert ratio < 0.8
    assert "the 0-1 test differs between columns: ramp" in notes[-1]


def test_zero_one_test_of_the_logistic_map():
    def orbit(r):
        x = [0.3]
        for _ in range(1_500):
            x.append(r * x[-1] * (1 - x[-1]))
        return np.array(x[500:])

    assert zero_one_test(orbit(4.0)) > 0.95
    assert zero_one_test(orbit(3.5)) < 0.1  # period four
    with pytest.raises(ValueError, match="50 samples"):
        zero_one_test(np.ones(20))


def test_surrogates_keep_values_and_spectrum():
    x = np.exp(np.random.default_rng(0).normal(size=256))
    y = amplitude_adjusted(x, 3)
    np.testing.assert_allclose(np.sort(y, axis=1), np.tile(np.sort(x), (3, 1)))
    ratio = np.abs(np.fft.rfft(y[0])) / np.abs(np.fft.rfft(x))
    assert np.median(np.abs(ratio - 1)) < 0.1
    rejected = [determinism_test(np.random.default_rng(s).normal(size=200), count=19).p <= 0.05 for s in range(10)]
    assert sum(rejected) <= 2


def test_held_out_forecasts_see_nothing_of_the_future():
    y = np.sin(0.3 * np.arange(200))[:, None]
    changed = y.copy()
    changed[150:] += 100  # after the last origin's context
    options = {"steps": 40, "origins": 2, "held_out": 0.4}
    from jax.random import key

    first, second = (held_out_forecasts(FEW | {"arima": Arima(2, 0, 0)}, z, key(0), **options) for z in (y, changed))
    np.testing.assert_allclose(first.forecast[:, 0], second.forecast[:, 0])
    assert first.origin.values.tolist() == [120, 160]
    with pytest.raises(ValueError, match="fewer than the 90 of a forecast"):
        held_out_forecasts(FEW, y, key(0), steps=90)
