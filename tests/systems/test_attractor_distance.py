"""Distances of attractors: closed forms, floors and invariances."""

import jax.random as jr
import numpy as np
import pytest

from separatrix.systems.attractor_distance import attractor_limits, d_hellinger, d_stsp_binned, d_stsp_gmm

RNG = np.random.default_rng(0)


def test_binned_divergence_is_that_of_the_smoothed_histograms():
    # two bins, counts (3, 1) against (1, 3): 1/2 log 3 in the limit of no smoothing
    true, generated = np.array([[0.1], [0.2], [0.3], [0.9]]), np.array([[0.1], [0.7], [0.8], [0.9]])
    value = d_stsp_binned(true, generated, 2, limits=[[0.0, 1.0]], smoothing=1e-9)
    assert value == pytest.approx(0.5 * np.log(3), abs=1e-6)


def test_binned_divergence_of_halves_shrinks_with_their_length():
    x = RNG.normal(size=(160_000, 2))
    floors = [d_stsp_binned(x[:n], x[n : 2 * n]) for n in (5_000, 20_000, 80_000)]
    assert floors[0] > 2 * floors[1] > 4 * floors[2] > 0


def test_points_outside_are_dropped_and_none_inside_is_nan():
    x = RNG.normal(size=(2_000, 2))
    doubled = np.concatenate([x, x + 1e3])
    assert d_stsp_binned(x, doubled) == pytest.approx(0, abs=1e-6)
    assert np.isnan(d_stsp_binned(x, x + 1e3))
    assert np.isnan(d_stsp_binned(x, np.full_like(x, np.nan)))


def test_binned_divergence_ignores_scale_and_shift():
    x, y = RNG.normal(size=(3_000, 3)), RNG.normal(size=(3_000, 3)) * 1.2
    assert d_stsp_binned(5 * x - 1, 5 * y - 1) == pytest.approx(d_stsp_binned(x, y), rel=0.02)


def test_counts_beyond_16_bits_do_not_overflow():
    x = np.zeros((70_000, 1)) + RNG.normal(size=(70_000, 1)) * 1e-6
    x[0], x[1] = -1, 1
    assert d_stsp_binned(x, x) == 0


def test_limits_are_the_range_and_a_tenth_of_the_deviation():
    x = np.array([[0.0], [2.0]])
    np.testing.assert_allclose(attractor_limits(x), [[-0.1, 2.1]])


def test_mixture_divergence_of_single_gaussians_is_the_closed_form():
    shift = np.array([[1.0, 2.0, 0.0, 0.0, 0.0, 0.0]])
    for variance in (0.5, 2.0):
        expected = 5 / (2 * variance)
        # the estimate has the standard deviation |shift| / sigma / sqrt(samples)
        value = d_stsp_gmm(np.zeros((1, 6)), shift, variance=variance, samples=40_000)
        assert value == pytest.approx(expected, abs=4 * np.sqrt(5 / variance / 40_000))


def test_mixture_divergence_is_zero_for_equal_and_keeps_zero_likelihoods():
    x = RNG.normal(size=(500, 8))
    assert d_stsp_gmm(x, x) == 0
    assert d_stsp_gmm(x, x + 100.0) > 1_000  # published code drops these samples
    assert np.isnan(d_stsp_gmm(x, x * np.nan))
    assert d_stsp_gmm(x, x + 0.1, jr.key(1)) != d_stsp_gmm(x, x + 0.1, jr.key(2))


def test_hellinger_of_equal_is_zero_of_disjoint_spectra_one_and_of_a_fixed_point_nan():
    t = np.arange(4_096)[:, None]
    slow, fast = np.sin(2 * np.pi * t * 64 / 4096), np.sin(2 * np.pi * t * 1024 / 4096)
    assert d_hellinger(slow, slow) == 0
    assert d_hellinger(slow, fast) == pytest.approx(1, abs=1e-6)
    assert np.isnan(d_hellinger(slow, np.ones_like(slow)))
    assert d_hellinger(slow, 3 * slow + 5) == pytest.approx(0, abs=1e-6)


def test_hellinger_without_smoothing_is_the_identity_with_the_overlap():
    x, y = RNG.normal(size=(256, 1)), RNG.normal(size=(256, 1))
    p, q = (np.abs(np.fft.rfft(a - a.mean(), axis=0)) ** 2 for a in (x, y))
    overlap = np.sum(np.sqrt(p / p.sum() * q / q.sum()))
    assert d_hellinger(x, y, smoothing=0) == pytest.approx(np.sqrt(1 - overlap), rel=1e-6)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="equally long; got 10 and 9"):
        d_hellinger(np.zeros((10, 1)), np.zeros((9, 1)))
    with pytest.raises(ValueError, match="equal variables"):
        d_stsp_binned(np.zeros((10, 2)), np.zeros((10, 3)))
    with pytest.raises(ValueError, match="use `d_stsp_gmm`"):
        d_stsp_binned(np.zeros((10, 6)), np.zeros((10, 6)))
