"""Statistics of scores, by hand and by their definitions."""

import numpy as np
import pytest

from separatrix.rl.score_statistics import (
    normalised_score,
    optimality_gap,
    performance_profile,
    summarise_scores,
)


def test_interquartile_mean_of_the_known_cases():
    assert summarise_scores(np.array([[0.0, 0, 1, 1], [1, 1, 10, 10]])).value == 1.0
    assert summarise_scores(np.arange(100.0)[:, None]).value == 49.5


def test_interval_holds_the_mean_and_vanishes_without_spread():
    rng = np.random.default_rng(0)
    found = summarise_scores(rng.normal(50, 10, (10, 4)))
    assert found.low < found.value < found.high
    assert summarise_scores(np.full((5, 3), 7.0)) == (7.0, 7.0, 7.0)


def test_bootstrap_stays_within_the_tasks():
    # tasks of very different level: a bootstrap that mixed them would have a wide interval
    found = summarise_scores(np.tile([0.0, 100.0, 50.0, 20.0], (6, 1)))
    assert found.low == found.value == found.high


def test_interval_narrows_like_the_root_of_the_runs():
    rng = np.random.default_rng(1)

    def width(runs):
        found = [summarise_scores(rng.normal(0, 1, (runs, 3)), resamples=200) for _ in range(20)]
        return np.mean([one.high - one.low for one in found])

    assert 3 < width(8) / width(128) < 5.5  # the root of 16 is 4


def test_profile_falls_from_one_to_zero():
    profile = performance_profile(np.random.default_rng(0).uniform(0, 100, (5, 4)), np.linspace(-1, 101, 20))
    assert profile[0] == 1
    assert profile[-1] == 0
    assert (np.diff(profile) <= 0).all()


def test_gap_counts_shortfalls_only():
    assert optimality_gap(np.array([[100.0, 300.0], [0.0, 100.0]])) == 25.0


def test_scores_of_the_references_are_0_and_100():
    assert normalised_score((-20.272305, 3234.3), "hopper").tolist() == [0.0, 100.0]
    with pytest.raises(ValueError, match="no reference returns of 'hoper'"):
        normalised_score(0.0, "hoper")
    with pytest.raises(ValueError, match="must differ"):
        normalised_score(0.0, (1.0, 1.0))
    with pytest.raises(ValueError, match=r"got shape \(3,\)"):
        summarise_scores(np.zeros(3))
