"""The interval covers what it says, and the rest agrees with hand computation and SciPy."""

import math

import numpy as np
import pytest
import scipy.stats

from separatrix.study.statistics import (
    holm,
    interquartile_mean,
    mean_interval,
    probability_of_improvement,
    sign_flip_p,
)


def centred(kind, generator, shape):
    if kind == "normal":
        return generator.normal(size=shape)
    sigma = float(kind.split()[1])
    return np.exp(sigma * generator.normal(size=shape)) - math.exp(sigma**2 / 2)


def coverage(kind, n, samples=10_000):
    inside = []
    for block in range(samples // 2_000):
        generator = np.random.default_rng([n, block])
        low, high = mean_interval(centred(kind, generator, (2_000, n)), resamples=2_000, seed=block)
        inside.append(np.mean((low <= 0) & (high >= 0)))
    return np.mean(inside)


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("kind", ["normal", "lognormal 0.5", "lognormal 1.0"])
def test_the_interval_covers_the_mean_in_93_to_97_percent_of_samples(kind, n):
    if (kind, n) == ("lognormal 1.0", 5):  # out of reach with five values and bounded width, as the docstring states
        assert 0.84 < coverage(kind, n) < 0.93
    else:
        assert 0.93 - 0.005 <= coverage(kind, n) <= 0.97 + 0.005  # two standard errors of the simulation


def test_the_interval_at_five_seeds_is_at_most_40_percent_wider_than_students():
    effects = centred("lognormal 1.0", np.random.default_rng(0), (2_000, 5))
    low, high = mean_interval(effects, resamples=500)
    student = scipy.stats.t.ppf(0.975, 4) * effects.std(-1, ddof=1) / math.sqrt(5)
    assert np.all((high - low) / (2 * student) <= 1.4 + 1e-9)
    assert np.all((high - low) / (2 * student) >= 0.9 - 1e-9)


def test_two_values_give_students_interval_narrowed_by_a_tenth():
    # no resample of two values has spread unless it is the sample itself
    low, high = mean_interval([1.0, 3.0])
    half = 0.9 * scipy.stats.t.ppf(0.975, 1) * math.sqrt(2) / math.sqrt(2)
    assert (low, high) == pytest.approx((2 - half, 2 + half))


def test_equal_effects_give_a_point_and_one_effect_gives_the_line():
    assert mean_interval([0.1] * 7) == (0.1, 0.1)
    assert mean_interval([3.0]) == (-math.inf, math.inf)


def test_negating_mirrors_and_an_affine_map_commutes():
    effects = np.random.default_rng(3).exponential(size=9)
    low, high = mean_interval(effects)
    assert mean_interval(-effects) == pytest.approx((-high, -low), rel=1e-12)
    assert mean_interval(5.0 + 2.0 * effects) == pytest.approx((5.0 + 2.0 * low, 5.0 + 2.0 * high), rel=1e-9)


def test_the_same_effects_give_the_same_interval_alone_and_in_a_batch():
    effects = np.random.default_rng(4).normal(size=(3, 6))
    low, high = mean_interval(effects)
    for i, row in enumerate(effects):
        assert mean_interval(row) == mean_interval(row)
        assert mean_interval(row) == pytest.approx((low[i], high[i]), rel=1e-12)


def test_success_rates_of_five_seeds_stay_finite_and_sensible():
    low, high = mean_interval([1, 1, 1, 1, 0])
    assert 0.2 < low < 0.4
    assert 1.1 < high < 1.4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), "at least one value"),
        (([1.0, math.nan],), "finite"),
        (([1.0, 2.0], 1.0), "level"),
        (([1.0, 2.0], 0.95, 10), "resamples"),
    ],
)
def test_unfit_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        mean_interval(*arguments)


def test_sign_flips_of_five_equal_effects_reach_the_smallest_p():
    assert sign_flip_p([1.0] * 5, alternative="greater") == 1 / 32
    assert sign_flip_p([1.0] * 5) == 2 / 32
    assert sign_flip_p([1.0] * 5, alternative="less") == 1.0
    assert sign_flip_p([1.0] * 5, threshold=1.0) == 1.0


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [3, 8, 12])
def test_sign_flips_agree_with_scipy(n, alternative):
    effects = np.random.default_rng(n).normal(0.4, size=n)
    expected = scipy.stats.permutation_test(
        (effects,), np.mean, permutation_type="samples", alternative=alternative, n_resamples=10_000
    )
    assert sign_flip_p(effects, alternative=alternative) == pytest.approx(expected.pvalue)


def test_many_seeds_are_sampled_and_never_give_zero():
    effects = np.random.default_rng(0).normal(3.0, size=30)
    assert sign_flip_p(effects) == 1 / 10_001
    assert sign_flip_p(effects, threshold=effects.mean()) > 0.9


def test_an_unknown_alternative_is_refused():
    with pytest.raises(ValueError, match="two-sided, greater, less"):
        sign_flip_p([1.0, 2.0], alternative="up")  # type: ignore[arg-type]


def test_probability_of_improvement_counts_pairs():
    assert probability_of_improvement([1, 2, 3], [0, 2]) == (1 + 1 + 1 + 0.5 + 0 + 1) / 6
    x, y = np.random.default_rng(1).normal(size=(2, 9, 4))
    expected = [scipy.stats.mannwhitneyu(x[:, k], y[:, k]).statistic / 81 for k in range(4)]
    assert probability_of_improvement(x, y) == pytest.approx(np.mean(expected))
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement(x, y[:, :2])


def test_interquartile_mean_drops_a_quarter_at_each_end():
    assert interquartile_mean([100, 1, 2, 3, -50, 4, 5, 6]) == 3.5
    x = np.random.default_rng(2).normal(size=(7, 5))
    assert interquartile_mean(x) == pytest.approx(scipy.stats.trim_mean(x, 0.25, axis=None))
    np.testing.assert_allclose(interquartile_mean(x, axis=0), scipy.stats.trim_mean(x, 0.25, axis=0))
    with pytest.raises(ValueError, match="at least one"):
        interquartile_mean([])


def test_holm_steps_down():
    # 0.01 * 4, then 0.02 * 3, then max(0.06, 0.03 * 2), then 0.9
    np.testing.assert_allclose(holm([0.03, 0.01, 0.9, 0.02]), [0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]
    assert holm([]).size == 0
    with pytest.raises(ValueError, match="probabilities"):
        holm([1.2])
