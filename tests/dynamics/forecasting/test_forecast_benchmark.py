"""Errors by hand, choice of variants on one series and scores on another, ranks and correlations."""

import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import forecasting as fc

KEY = jr.key(0)
Y, P = np.array([1, 2, 3, 4, 5.0]), np.array([1.1, 1.9, 3.2, 4.1, 5.1])
BY_HAND = {
    "mse": 0.016,
    "mae": 0.12,
    "rmse": np.sqrt(0.016),
    "marre": 3.0,
    "r2": 0.992,
    "mape": 5.23333,
    "cv": 3.26599,  # 100 std(0.1, -0.1, 0.2, 0.1, 0.1) / 3
    "wape": 4.0,
    "nrmse": np.sqrt(0.008),
}


def test_errors_by_hand():
    found = fc.forecast_metrics(Y, P)
    for name, value in BY_HAND.items():
        assert found[name] == pytest.approx(value, rel=1e-4), name
    by_hand = 200 * np.mean([0.1 / 2.1, 0.1 / 3.9, 0.2 / 6.2, 0.1 / 8.1, 0.1 / 10.1])
    assert found["smape"] == pytest.approx(by_hand, rel=1e-8)
    assert set(found) == set(fc.METRICS)


@pytest.mark.parametrize("scale", [200.0, 100.0, 2.0])
def test_smape_has_an_explicit_scale(scale):
    assert fc.forecast_metrics([1.0], [-1.0], ["smape"], smape_scale=scale)["smape"] == pytest.approx(scale)
    full = fc.forecast_metrics(Y, P, ["smape"])["smape"]
    assert fc.forecast_metrics(Y, P, ["smape"], smape_scale=scale)["smape"] == pytest.approx(full * scale / 200)


def test_a_forecast_that_diverged_has_the_largest_smape_and_no_other_error():
    found = fc.forecast_metrics(Y, np.array([1, np.inf, 3, 4, 5]))
    assert found["smape"] == 200
    assert np.isnan(found["mse"])
    with pytest.raises(ValueError, match="no measure 'mase'"):
        fc.forecast_metrics(Y, P, ["mase"])
    with pytest.raises(ValueError, match="one shape"):
        fc.forecast_metrics(Y, P[:3])


def seasons(*periods):
    return np.stack([1 + np.arange(60) % p for p in periods])[..., None].astype(float)


def test_variants_are_chosen_for_each_series_on_train_and_scored_on_test():
    methods = {"season": [fc.NaiveSeasonal(3), fc.NaiveSeasonal(4)], "mean": [fc.NaiveMean()]}
    result = fc.forecast_benchmark(methods, seasons(3, 4), seasons(3, 4) * 10, KEY, names=["three", "four"])
    assert result.variant.sel(model="season").values.tolist() == [0, 1]
    assert result.error.sel(model="season", metric="smape").values.tolist() == [0, 0]
    assert result.truth.values.shape == (2, 10, 1)
    wrong = fc.forecast_benchmark(methods, seasons(4, 3), seasons(3, 4), KEY)  # the choice does not see the test
    assert wrong.variant.sel(model="season").values.tolist() == [1, 0]
    assert (wrong.error.sel(model="season", metric="smape") > 0).all()
    assert fc.rank(result).index.tolist() == ["season", "mean"]
    assert fc.rank(result).wins.tolist() == [2, 0]


def test_correlation_with_an_invariant_leaves_out_what_is_unknown():
    y = np.stack([np.r_[np.ones(50), np.full(10, 1.0 + a)] for a in (0.1, 0.2, 0.4, 0.8)])[..., None]
    result = fc.forecast_benchmark({"mean": [fc.NaiveMean()]}, y, y, KEY)
    best, each = fc.correlate(result, [1.0, 2.0, np.nan, 3.0])
    assert best == pytest.approx(1.0)
    assert each == pytest.approx([1.0])


def test_tuning_needs_variants():
    with pytest.raises(ValueError, match="at least one variant"):
        fc.tune([], seasons(3), KEY)
    with pytest.raises(ValueError, match="same systems"):
        fc.forecast_benchmark({}, seasons(3), seasons(3, 4), KEY)
