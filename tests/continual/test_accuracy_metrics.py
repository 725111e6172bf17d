"""Metrics of the accuracy trace: worked examples and identities."""

import numpy as np
import pandas as pd
import pytest

from separatrix.continual import AccuracyTrace, accuracy_metrics as metric, matrix_metrics, stability_gap

NAN = np.nan
FIRST = [0.1, 0.5, 0.8, 0.9, 0.2, 0.4, 0.7, 0.85]
SECOND = [NAN, NAN, NAN, NAN, 0.3, 0.6, 0.8, 0.9]


def worked():
    return AccuracyTrace(np.stack([FIRST, SECOND], axis=1), (0, 3, 7))


def test_worked_example_of_two_tasks():
    trace = worked()
    assert float(trace.acc()) == pytest.approx(0.875, abs=1e-6)
    assert float(trace.forg()) == pytest.approx(0.05, abs=1e-6)
    assert float(trace.min_acc()) == pytest.approx(0.2, abs=1e-6)
    assert float(trace.wc_acc(7)) == pytest.approx(0.55, abs=1e-6)
    np.testing.assert_allclose(trace.windowed_forgetting(2), [0.7, 0.0], atol=1e-6)
    assert float(trace.windowed_plasticity(3)[0]) == pytest.approx(0.7, abs=1e-6)


def test_without_the_evaluation_before_the_first_update_the_largest_rise_is_a_later_one():
    trace = worked()
    later = AccuracyTrace(trace.values[1:], trace.boundaries, trace.steps[1:])
    assert float(later.windowed_plasticity(3)[0]) == pytest.approx(0.5, abs=1e-6)


def test_a_rise_below_an_earlier_maximum_is_seen():
    assert float(metric.windowed_plasticity(np.array([[0.9], [0.1], [0.8]]), (0, 2), 3)[0]) == pytest.approx(0.7)


def random_trace(seed, tasks=4, length=30, runs=3):
    rng = np.random.default_rng(seed)
    values = rng.uniform(size=(tasks * length + 1, tasks, runs))
    marks = np.arange(tasks + 1) * length
    for task in range(1, tasks):
        values[: marks[task] + 1, task] = NAN
    return AccuracyTrace(values, marks)


@pytest.mark.parametrize("seed", range(4))
def test_worst_case_bounds_the_average_from_below_and_min_the_final_one_of_past_tasks(seed):
    trace = random_trace(seed)
    assert np.all(trace.wc_acc() <= trace.acc() + 1e-12)
    assert np.all(trace.min_acc() <= trace.matrix()[-1, :-1].mean(0) + 1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_fewer_evaluations_never_lower_the_minimum_and_wider_windows_never_lower_the_largest_fall(seed):
    trace = random_trace(seed)
    minima = np.stack([trace.thin(every).min_acc() for every in (1, 3, 6, 30)])
    assert np.all(np.diff(minima[[0, 1]], axis=0) >= 0)
    assert np.all(minima >= minima[0])
    falls = np.stack([trace.windowed_forgetting(w).mean(0) for w in (2, 5, 20, 100)])
    assert np.all(np.diff(falls, axis=0) >= 0)


def test_windowed_forgetting_equals_a_search_over_all_pairs():
    trace = random_trace(7, tasks=2, length=12, runs=1)
    for task, begin in ((0, 0), (1, 13)):
        a = trace.values[begin:, task, 0]
        pairs = [a[m] - a[n] for m in range(len(a)) for n in range(m + 1, min(m + 5, len(a)))]
        assert float(trace.windowed_forgetting(5)[task, 0]) == pytest.approx(max(0.0, *pairs))


def test_a_single_task_has_no_minimum_and_its_accuracy_is_the_worst_case():
    trace = AccuracyTrace(np.array([[0.1], [0.6]]), (0, 1))
    assert np.isnan(trace.min_acc())
    assert np.isnan(trace.forg())
    assert float(trace.wc_acc()) == 0.6


def test_seeds_are_kept_apart():
    one, other = random_trace(1, runs=1), random_trace(2, runs=1)
    both = AccuracyTrace(np.concatenate([one.values, other.values], axis=-1), one.boundaries)
    for name in ("acc", "forg", "min_acc", "wc_acc", "lca"):
        expected = [float(getattr(t, name)()[0]) for t in (one, other)]
        np.testing.assert_allclose(getattr(both, name)(), expected)


def test_the_end_of_training_itself_does_not_count_for_the_minimum():
    rising = np.array([[0.0, NAN], [0.2, NAN], [0.5, 0.1], [0.6, 0.3]])  # task 1 still rises after its training
    assert float(AccuracyTrace(rising, (0, 1, 3)).min_acc()) == 0.5


def test_learning_curve_area_is_the_mean_of_the_first_evaluations_of_each_task():
    assert float(worked().lca(2)) == pytest.approx((0.65 + 0.45) / 2)


def test_forgetting_conventions_differ_as_documented():
    a = np.array([[0.9, 0.0, 0.0], [0.95, 0.8, 0.0], [0.5, 0.7, 0.9]])
    assert float(matrix_metrics.backward_transfer(a)) == pytest.approx((-0.4 - 0.1) / 2)
    assert float(matrix_metrics.forgetting_from_peak(a)) == pytest.approx((0.45 + 0.1) / 2)
    assert float(matrix_metrics.forgetting_per_step(a)) == pytest.approx((-0.05 + (0.45 + 0.1) / 2) / 2)
    assert float(matrix_metrics.forward_transfer(a, [0.1, 0.1, 0.1])) == pytest.approx(-0.1)
    assert float(matrix_metrics.average_incremental_accuracy(a)) == pytest.approx((0.9 + 0.875 + 0.7) / 3)


def test_gap_has_depth_place_and_recovery():
    gap = stability_gap(worked(), task=0, switch=3)
    assert [float(x) for x in gap[:2]] == pytest.approx([0.7, 1.0])
    assert np.isnan(gap.recovery_step)
    assert float(stability_gap(worked(), 0, 3, tolerance=0.06).recovery_step) == 4.0
    assert float(gap.recovery) == pytest.approx(0.65)


def test_a_tidy_table_gives_the_same_trace_in_any_order_of_rows():
    trace = random_trace(3, tasks=2, length=4, runs=2)
    rows = [
        {"iteration": n, "exp": t, "acc": trace.values[n, t, s], "run": s}
        for n in range(9)
        for t in range(2)
        for s in range(2)
        if not np.isnan(trace.values[n, t, s])
    ]
    table = pd.DataFrame(rows).sample(frac=1, random_state=0)
    read = AccuracyTrace.from_table(table, (0, 4, 8), step="iteration", task="exp", value="acc", seed="run")
    np.testing.assert_array_equal(read.values, trace.values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AccuracyTrace(np.zeros((3, 2)), (0, 2)), "one boundary more than tasks"),
        (lambda: AccuracyTrace(np.zeros((3, 2)), (0, 2, 1)), "must increase"),
        (lambda: AccuracyTrace(np.zeros((3, 1)), (0, 9)), "no evaluation at step 9"),
        (lambda: AccuracyTrace(np.zeros((3, 1)), (0, 2), [0, 2, 1]), "increasing number"),
        (lambda: worked().windowed_forgetting(1), "at least 2 evaluations"),
        (lambda: worked().wc_acc(99), "no evaluation of a task"),
        (lambda: stability_gap(worked(), 0, 5), "must be one of the boundaries"),
        (lambda: stability_gap(worked(), 7, 3), "`task` must be in 0..1; got 7"),
        (lambda: AccuracyTrace.from_table(pd.DataFrame({"step": [1]}), (0, 1)), "no column 'task'"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_summary_names_every_metric_with_its_meaning():
    summary = random_trace(0).summary()
    assert {"acc", "forg", "min_acc", "wc_acc", "wf_10", "wp_100", "lca", "bwt", "fwt"} <= set(summary)
    assert all(v.attrs["long_name"] for v in summary.values())
    assert summary.sizes["seed"] == 3


def test_sampling_error_is_that_of_a_draw_without_replacement():
    rng = np.random.default_rng(0)
    population = np.arange(200) < 60
    draws = [rng.permutation(population)[:50].mean() for _ in range(4_000)]
    assert float(metric.sampling_error(0.3, 50, 200)) == pytest.approx(np.std(draws), rel=0.05)
