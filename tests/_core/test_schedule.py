"""Cadences, and the division of a run into chunks."""

import numpy as np
import pytest

from separatrix import Probe, log_spaced
from separatrix._core.schedule import Schedule, recorded_steps


def probe(every, name="probe"):
    return Probe(lambda tr, key: {}, every=every, name=name)


def test_integer_cadence_records_its_multiples():
    assert recorded_steps(probe(3), 12).tolist() == [3, 6, 9, 12]


def test_steps_that_are_no_multiple_are_refused_with_a_way_out():
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        recorded_steps(probe(7, "loss"), 100)
    assert str(error.value) == ("`steps` must be a multiple of 7, the cadence of probe 'loss'; got 100. Try steps=105.")


@pytest.mark.parametrize("steps", [[0, 5], [5, 11], [3, 3], [4, 2]])
def test_steps_out_of_range_or_order_are_refused(steps):
    with pytest.raises(ValueError, match=r"`every` of probe 'probe' must give increasing steps within 1..10"):
        recorded_steps(probe(lambda n: steps), 10)


def test_cadence_and_length_out_of_range_are_refused():
    with pytest.raises(ValueError, match=r"`every` must be at least 1; got 0."):
        probe(0)
    with pytest.raises(ValueError, match=r"`steps` must not be negative; got -1."):
        Schedule([], -1)
    with pytest.raises(ValueError, match=r"`per_decade` and `first` must be at least 1; got 0 and 1."):
        log_spaced(0)


@pytest.mark.parametrize(
    ("per_decade", "first", "steps", "expected"),
    [
        (1, 1, 1_000, [1, 10, 100, 1_000]),
        (1, 5, 600, [5, 50, 500, 600]),
        (3, 1, 100, [1, 2, 5, 10, 22, 46, 100]),
        (10, 1, 1, [1]),
        (2, 10, 7, [7]),
        (4, 1, 0, []),
    ],
)
def test_log_spacing(per_decade, first, steps, expected):
    assert recorded_steps(probe(log_spaced(per_decade, first)), steps).tolist() == expected


def test_log_spacing_has_equally_many_records_in_each_decade():
    due = recorded_steps(probe(log_spaced(10)), 10**6)
    counts = [np.sum((due > 10**n) & (due <= 10 ** (n + 1))) for n in range(2, 6)]
    assert counts == [10] * 4


def test_equal_log_spacings_are_equal():
    assert log_spaced(5) == log_spaced(5)
    assert hash(log_spaced(5)) == hash(log_spaced(5))


@pytest.mark.parametrize("seed", range(30))
def test_chunks_reproduce_every_recorded_step(seed):
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 400))
    chosen = [np.sort(rng.choice(steps, rng.integers(0, min(steps, 40) + 1), replace=False)) + 1 for _ in range(3)]
    schedule = Schedule([probe(lambda n, c=c: c) for c in chosen], steps)
    done, recorded = 0, [[], [], []]
    while done < steps:
        max_rows, max_steps = int(rng.integers(1, 9)), int(rng.integers(1, 60))
        rows = schedule.chunk(done, max_rows, max_steps)
        assert 1 <= len(rows.strides) == len(rows.due) <= max_rows
        assert (rows.strides > 0).all()
        assert rows.strides.sum() <= max_steps
        full = len(rows.strides) == max_rows or rows.strides.sum() == max_steps
        assert full or done + rows.strides.sum() == steps
        for stride, due in zip(*rows, strict=True):
            done += int(stride)
            for record, is_due in zip(recorded, due, strict=True):
                if is_due:
                    record.append(done)
    assert done == steps
    assert recorded == [c.tolist() for c in chosen]


def test_schedule_counts_distinct_marks():
    assert Schedule([probe(2), probe(3)], 12).num_marks == 8  # 2 3 4 6 8 9 10 12
    assert Schedule([], 12).num_marks == 1
    assert Schedule([probe(2)], 0).num_marks == 0
