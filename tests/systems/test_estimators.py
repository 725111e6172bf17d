"""Estimators from data against closed forms."""

import numpy as np
import pytest

from separatrix.systems import (
    correlation_dimension,
    delay_embed,
    dominant_period,
    fuzzy_entropy,
    get,
    largest_exponent_from_data,
    multiscale_entropy,
    phase_randomised,
    power_spectrum,
    recomputed_period,
    sample_entropy,
    simulate,
)

NOISE = np.random.default_rng(0).normal(size=3_000)


@pytest.mark.parametrize(("dimension", "expected"), [(1, 1.01), (2, 1.88), (3, 2.77), (5, 4.32)])
def test_uniform_cubes(dimension, expected):
    # expected: the values of Takens's estimator at the 5 % quantile with 800 points, from another implementation
    cubes = np.random.default_rng(dimension).uniform(size=(8, 800, dimension))
    found = [correlation_dimension(c) for c in cubes]
    values = np.array([f.dimension for f in found])
    assert values.mean() == pytest.approx(expected, abs=0.06)
    assert np.mean([f.standard_error for f in found]) == pytest.approx(values.std(ddof=1), rel=1.0)


def test_a_circle_has_dimension_one_and_scale_does_not_matter():
    angle = np.random.default_rng(0).uniform(0, 2 * np.pi, 1_000)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    one, big = correlation_dimension(circle), correlation_dimension(50 * circle + 3)
    assert one.dimension == pytest.approx(1.0, abs=0.03)
    assert one.dimension == pytest.approx(big.dimension, rel=1e-9)


def test_the_theiler_window_removes_the_orbit_itself():
    x = simulate(get("Lorenz"), 3_000, pts_per_period=100, transient=30).x.values
    assert correlation_dimension(x, 100).dimension == pytest.approx(2.05, abs=0.12)


def test_the_logistic_map_parts_by_ln_2():
    orbit = simulate(get("Logistic", r=4.0), 4_000, initial=[0.3]).x.values
    found = largest_exponent_from_data(orbit, 1.0, 5, 6)
    assert found.exponent == pytest.approx(np.log(2), abs=0.05)
    assert found.low < found.exponent < found.high


def test_lorenz_from_all_coordinates_and_from_one():
    x = simulate(get("Lorenz"), 6_000, transient=30).x.values
    full = largest_exponent_from_data(x, 0.01501, 100, 250, skip=60)
    one = largest_exponent_from_data(x[:, 0], 0.01501, 100, 250, skip=80, dimension=5, lag=7)
    assert full.exponent == pytest.approx(0.9056, rel=0.15)
    assert one.exponent == pytest.approx(0.9056, rel=0.25)


def test_a_regular_orbit_does_not_part():
    t = np.arange(3_000) * 0.1
    found = largest_exponent_from_data(np.stack([np.cos(t), np.sin(t)], 1), 0.1, 70, 100)
    assert abs(found.exponent) < 5e-3


def test_delay_coordinates():
    np.testing.assert_array_equal(delay_embed(np.arange(6), 3, 2), [[0, 2, 4], [1, 3, 5]])


def test_sample_entropy_of_white_noise():
    # -ln P(|a - b| <= r) with a - b ~ N(0, 2): erf(r / 2) = .11246 at r = .2
    assert sample_entropy(NOISE) == pytest.approx(-np.log(0.112463), abs=0.1)


def test_entropies_do_not_depend_on_scale_and_offset():
    for entropy in (sample_entropy, fuzzy_entropy, lambda x: multiscale_entropy(x, scales=3)):
        assert entropy(5 * NOISE[:400] + 2) == pytest.approx(entropy(NOISE[:400]), rel=1e-9)


def test_entropy_falls_with_scale_for_white_noise_and_is_small_for_a_wave():
    # averages over s samples have 1 / sqrt(s) of the deviation, at the radius of the first scale
    fine, coarse = (fuzzy_entropy(c, radius=0.2) for c in (NOISE, NOISE[: 4 * 750].reshape(750, 4).mean(axis=1)))
    assert coarse < fine
    wave = np.sin(2 * np.pi * np.arange(1_500) / 100)
    assert fuzzy_entropy(wave) < fuzzy_entropy(NOISE[:1_500]) / 4


def test_a_constant_series_has_no_entropy():
    assert np.isnan(sample_entropy(np.ones(50)))
    assert np.isnan(multiscale_entropy(np.ones(100)))


def test_power_integrates_to_the_variance():
    frequency, power = power_spectrum(NOISE, 0.1)
    assert np.sum(power) * (frequency[1] - frequency[0]) == pytest.approx(NOISE.var(), rel=0.1)


def test_surrogates_keep_the_spectrum():
    surrogate = phase_randomised(NOISE[:501], 2, seed=1)
    np.testing.assert_allclose(
        np.abs(np.fft.rfft(surrogate)), np.tile(np.abs(np.fft.rfft(NOISE[:501])), (2, 1)), rtol=1e-9
    )
    assert not np.allclose(surrogate[0], surrogate[1])


def test_the_period_of_a_sum_of_waves_is_that_of_the_stronger():
    t = np.arange(6_000) * 0.01
    x = np.sin(2 * np.pi * t / 1.25) + 0.3 * np.sin(2 * np.pi * t / 0.2)
    found = dominant_period(np.stack([x, x], 1), 0.01, n_surrogates=40)
    assert found.period == pytest.approx(1.25, rel=0.01)
    assert found.dt < 0.2 / 100 * 1.3


def test_the_stored_period_of_rossler_is_found_again():
    period, _ = recomputed_period(get("Rossler"), repeats=2, points=4_000, pts_per_period=100)
    assert period == pytest.approx(get("Rossler").period, rel=0.05)


def test_the_stored_period_of_mackey_and_glass_is_that_of_its_parameters():
    system = get("MackeyGlass")  # the published one is an eighth, too short for the dominant line to be seen
    data = simulate(system, 1_200, pts_per_period=20, transient=5)
    found = dominant_period(data.x.values[:, :1], float(data.time[1]), n_surrogates=1)
    assert found.period == pytest.approx(system.period, rel=0.05)


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="NaN"):
        correlation_dimension(np.full((50, 2), np.nan))
    with pytest.raises(ValueError, match="too few"):
        largest_exponent_from_data(np.ones(50), 1.0, 10, 20)
    with pytest.raises(ValueError, match="constant"):
        largest_exponent_from_data(np.ones(500), 1.0, 10, 20)
    with pytest.raises(ValueError, match="60 samples"):
        dominant_period(np.ones(10), 1.0)
