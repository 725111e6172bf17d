"""Delays of known curves."""

import numpy as np
import pytest

from separatrix.training.grokking_metrics import grokking_delay

STEPS = np.array([1, 10, 100, 1_000])


def test_delay_of_two_exponentials_is_the_ratio_of_their_rates():
    steps = np.arange(1, 20_001)
    train, test = np.exp(-steps / 50.0), np.exp(-steps / 1_000.0)
    delay = grokking_delay(steps, train, test, (0.1, 0.1))
    assert float(delay.train) == np.ceil(50 * np.log(10))
    assert float(delay.ratio) == pytest.approx(20, rel=0.01)


def test_curves_that_never_cross():
    train = np.array([[1.0, 0.0, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1]])
    test = np.array([[1.0, 1, 1, 0], [1, 1, 1, 1], [0, 0, 0, 0]])
    delay = grokking_delay(STEPS, train, test, (0.5, 0.5))
    np.testing.assert_array_equal(delay.train, [10, 10, np.inf])
    np.testing.assert_array_equal(delay.test, [1_000, np.inf, 1])
    np.testing.assert_array_equal(delay.ratio, [100, np.inf, np.nan])
    np.testing.assert_array_equal(delay.bound, [100, 100, np.nan])


def test_accuracies_rise_and_nan_never_crosses():
    train, test = [0.5, 1.0, 1.0, 1.0], [0.1, np.nan, 0.2, 0.95]
    assert float(grokking_delay(STEPS, train, test, (0.99, 0.9), rising=True).ratio) == 100
    assert np.isinf(grokking_delay(STEPS, train, [np.nan] * 4, (0.99, 0.9), rising=True).test)


def test_a_passing_dip_counts_unless_it_must_last():
    test = [1.0, 0.0, 1.0, 0.0]
    assert float(grokking_delay(STEPS, test, test, (0.5, 0.5)).test) == 10
    assert float(grokking_delay(STEPS, test, test, (0.5, 0.5), lasting=True).test) == 1_000
    assert np.isinf(grokking_delay(STEPS, test, [0, 0, 0, 1.0], (0.5, 0.5), lasting=True).test)


def test_refusals():
    with pytest.raises(ValueError, match="must be two levels"):
        grokking_delay(STEPS, STEPS, STEPS, (1.0,))
    with pytest.raises(ValueError, match="the last axis of the curves"):
        grokking_delay(STEPS, STEPS[:2], STEPS, (1.0, 1.0))
