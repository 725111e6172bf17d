"""What arms are made of."""

import pytest

from separatrix import Probe
from separatrix._core.schedule import recorded_steps
from separatrix.study.arms import cadence


def recorded(steps, records):
    return recorded_steps(Probe(lambda tr, key: {}, every=cadence(steps, records)), steps).tolist()


@pytest.mark.parametrize("records", [3, 20, 300])
def test_a_cadence_gives_a_third_of_the_records_or_more_for_any_number_of_steps(records):
    for steps in [*range(1, 1_200), 1_994, 2_999, 7_919, 99_991]:
        due = recorded(steps, records)
        assert min(steps, records / 3) <= len(due) <= records
        assert due[-1] == steps


def test_round_numbers_of_steps_are_recorded_at_multiples_of_a_divisor():
    assert [cadence(*pair) for pair in ((1_000, 300), (20_000, 300), (4_000, 60), (6, 300))] == [4, 80, 80, 1]


def test_equal_cadences_are_equal_values():
    assert cadence(2_999, 300) == cadence(2_999, 300)
    assert hash(cadence(2_999, 300)) == hash(cadence(2_999, 300))


@pytest.mark.parametrize(("steps", "records"), [(0, 3), (-5, 300), (3, 0)])
def test_no_steps_are_refused(steps, records):
    with pytest.raises(ValueError, match=f"must be at least 1; got {steps} and {records}"):
        cadence(steps, records)
