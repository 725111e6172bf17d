"""The formula of the probabilities, where states are drawn, and training in rounds."""

import jax.random as jr
import numpy as np
import pytest
from scipy.signal import savgol_filter

from separatrix.dynamics.forecasting import lstm
from separatrix.dynamics.importance_resampling import (
    importance_probabilities,
    importance_resample,
    resampled_training,
)
from separatrix.systems import get


def test_probabilities_are_the_fourth_power_of_smoothed_clipped_errors():
    errors = np.random.default_rng(0).exponential(size=200)
    smooth = np.maximum(savgol_filter(errors, 51, 3), 0)
    np.testing.assert_allclose(importance_probabilities(errors), smooth**4 / np.sum(smooth**4), rtol=1e-10)
    spiky = np.zeros(200)
    spiky[100] = 1.0  # its polynomial undershoots beside the peak
    p = importance_probabilities(spiky)
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1.0)


def test_power_zero_and_errors_of_zero_are_uniform():
    np.testing.assert_allclose(importance_probabilities(np.arange(80.0), 0.0), 1 / 80)
    np.testing.assert_allclose(importance_probabilities(np.zeros(80)), 1 / 80)
    with pytest.raises(ValueError, match="finite and not negative"):
        importance_probabilities([1.0, np.nan])


def test_states_come_from_where_errors_are_and_the_control_from_anywhere():
    states = np.arange(400.0)[:, None]
    errors = np.where(np.abs(np.arange(400) - 300) < 20, 1.0, 0.0)
    drawn = importance_resample(states, errors, 500, jr.key(0), jitter=0.0)
    assert (np.abs(drawn - 300) < 40).all()
    anywhere = importance_resample(states, errors, 2_000, jr.key(0), power=0.0, jitter=0.0)
    assert anywhere.mean() == pytest.approx(199.5, abs=10)
    moved = importance_resample(states, errors, 500, jr.key(0), jitter=1e-2) - drawn
    assert np.abs(moved).max() <= 0.5e-2 * states.std()
    assert moved.std() == pytest.approx(1e-2 * states.std() / np.sqrt(12), rel=0.1)


def test_training_in_rounds_counts_its_steps_and_repeats_itself():
    system, build = get("Lorenz"), lstm(5, size=3, layers=1).build
    options = {"rounds": 2, "epochs": 1, "points": 120, "ahead": 10, "window": 5, "length": 40, "trajectories": 4}
    first = resampled_training(system, build, jr.key(0), **options)
    again = resampled_training(system, build, jr.key(0), **options)
    assert first.smape == again.smape
    assert first.starts.shape == (2, 4, 3)
    assert first.steps == 2 * -(-4 * (40 - 2 - 5) // 32)
    assert first.forecast.shape == first.truth.shape == (10,)
    fixed = resampled_training(system, build, jr.key(0), power=None, **options)
    assert fixed.steps == 2 * first.steps
    assert fixed.starts.size == 0
    assert 0 <= fixed.smape <= 2
