"""Phases of the published runs, their boundaries, and the two stages of training."""

import numpy as np
import pytest

from separatrix.training.phases import PHASES, classify_phase, two_stage_times


@pytest.mark.parametrize(
    ("train", "test", "corruption", "phase"),
    [
        # outputs of the published notebook at p = 97
        (0.9783, 0.9830, 0.35, "coexistence"),
        (0.7855, 1.0, 0.35, "partial inversion"),
        (0.6537, 1.0, 0.35, "full inversion"),
        (0.0091, 0.0108, 0.35, "forgetting"),
        (0.8043, 1.0, 0.2, "full inversion"),
        (1.0, 1.0, 0.0, "coexistence"),
        # the rest of the table
        (1.0, 0.02, 0.35, "memorisation"),
        (0.99, 0.6, 0.35, "memorisation"),
        (0.5, 0.4, 0.35, "confusion"),
        (0.7, 0.02, 0.35, "confusion"),
        (0.62, 0.97, 0.35, "full inversion"),
    ],
)
def test_phase(train, test, corruption, phase):
    assert PHASES[int(classify_phase(train, test, corruption, 97))] == phase


def test_boundaries_move_with_the_tolerance_and_the_corruption():
    floor = 1 - 0.5 + 0.5 / 97
    assert PHASES[int(classify_phase(floor + 0.049, 1.0, 0.5, 97))] == "full inversion"
    assert PHASES[int(classify_phase(floor + 0.051, 1.0, 0.5, 97))] == "partial inversion"
    assert PHASES[int(classify_phase(floor + 0.049, 1.0, 0.5, 97, tolerance=0.01))] == "partial inversion"
    assert PHASES[int(classify_phase(0.96, 1.0, 0.02, 97))] == "coexistence"  # where both names apply


def test_a_whole_diagram_at_once():
    train, test = np.full((3, 4), 0.9), np.ones((3, 4))
    test[0], train[1, 1] = np.nan, 1.0
    codes = classify_phase(train, test, np.array([0.1, 0.3, 0.5, 0.9]), 97)
    assert codes.shape == (3, 4)
    assert (codes[0] == -1).all()
    assert [PHASES[i] for i in codes[2]] == ["full inversion", *["partial inversion"] * 3]
    assert PHASES[codes[1, 1]] == "coexistence"


STEPS = [50, 100, 150, 200, 300]
TEST, CORRUPTED = [0.006, 0.541, 0.998, 1.0, 1.0], [0.996, 0.978, 0.341, 0.064, 0.010]


def test_stages_of_the_measured_run():
    times = two_stage_times(STEPS, TEST, CORRUPTED, unlearn_level=0.03)
    assert (times.grok, times.unlearn) == (150, 300)
    assert two_stage_times(STEPS, TEST, CORRUPTED).unlearn == 150


def test_labels_that_were_never_memorised_are_not_unlearnt():
    times = two_stage_times([1, 2, 3, 4], [0, 0, 0, 0], [[0.0, 0.2, 0.3, 0.1], [0.0, 0.9, 0.3, 0.6]])
    assert np.isnan(times.grok).all()
    np.testing.assert_array_equal(times.unlearn, [np.nan, 3])
