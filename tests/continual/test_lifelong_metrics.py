"""Lifelong metrics: the card's worked scenario, invariance, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from separatrix.continual import metrics as m

CURVES = [("a", 5, 65, 5), ("b", 10, 75, 4), ("a", 45, 82, 3), ("b", 66, 88, 3), ("a", 78, 84, 2), ("b", 80, 91, 2)]
TESTS = {"a_1": [5, 60, 45, 80, 78, 82, 81], "b_1": [4, 10, 70, 66, 85, 80, 90]}


def curve(start, end, time, n=20):
    return end - (end - start) * np.exp(-np.arange(n) / time)


def scenario(change=lambda x: x):
    blocks = []
    for i in range(7):
        blocks += [("test", task, change(np.full(4, float(TESTS[task][i])))) for task in TESTS]
        if i < 6:
            task, *numbers = CURVES[i]
            blocks.append(("train", f"{task}_1", change(curve(*numbers))))
    return m.LifetimeLog.from_blocks(blocks)


def experts(change=lambda x: x):
    return {"a_1": [change(curve(5, 80, 8, 40))], "b_1": [change(curve(4, 84, 8, 40))]}


def raw(**how):
    return m.lifelong_metrics(scenario(), experts(), smooth=None, normalise=None, **how)


def test_worked_scenario():
    lifetime = raw().lifetime
    expected = {"pr": -0.5, "mtp": 73.60097, "mep": 59.71429, "pm": -5.25, "ft_ratio": 2.5, "ft_contrast": 0.428571,
                "bt_ratio": 0.846429, "rp": 1.02269, "se": 0.71172}  # fmt: skip
    for name, value in expected.items():
        assert float(lifetime[name]) == pytest.approx(value, abs=6e-6), name
    assert float(raw(maintenance="mrtlp").lifetime["pm"]) == pytest.approx(-8.31605, abs=6e-6)


def test_worked_scenario_by_task_and_by_pair():
    report = raw()
    tasks = report.tasks
    for name, (a, b) in {
        "pr": (0.0, -1.0),
        "pm": (-6.0, -4.5),
        "rp": (0.96831, 1.07708),
        "se": (0.70056, 0.72289),
    }.items():
        np.testing.assert_allclose(tasks[name].sel(task=["a_1", "b_1"]), [a, b], atol=6e-6)
    back = report.transfers["bt_ratio"]
    np.testing.assert_allclose(back["a_1", "b_1"], [0.942857, 0.941176], atol=1e-6)
    np.testing.assert_allclose(back["b_1", "a_1"], [0.75, 0.975, 0.987805], atol=1e-6)
    assert report.transfers["ft_ratio"] == {("a_1", "b_1"): [2.5]}


def test_recovery_times_of_the_worked_scenario():
    curves = {t: [curve(*rest) for name, *rest in CURVES if name == t] for t in "ab"}
    assert [m.recovery_times(curves[t]) for t in "ab"] == [[3, 3], [2, 3]]


@pytest.mark.parametrize(("scale", "shift"), [(3.0, -7.0), (0.01, 100.0)])
def test_increasing_affine_maps_of_performance_change_no_normalised_metric(scale, shift):
    change = lambda x: scale * x + shift  # noqa: E731
    plain = m.lifelong_metrics(scenario(), experts())
    mapped = m.lifelong_metrics(scenario(change), experts(change))
    for name in plain.lifetime:
        np.testing.assert_allclose(mapped.tasks[name], plain.tasks[name], rtol=0, atol=1e-9, err_msg=name)


def test_recovery_depends_on_the_order_of_crossings_only():
    curves = [curve(*rest) for name, *rest in CURVES if name == "b"]
    # np.exp is increasing and not affine; one terminal value, so that no mean is taken
    short = [c[::3] for c in curves]
    assert m.performance_recovery([np.exp(c / 50) for c in short]) == m.performance_recovery(short)


def test_transfers_with_two_sources_between_the_same_tests_are_both_kept():
    log = m.LifetimeLog.from_blocks(
        [("test", "b", [1.0]), ("train", "a", [1.0]), ("train", "c", [1.0]), ("test", "b", [3.0])]
    )
    assert m.transfer_matrix(log.regimes(), "forward") == {("a", "b"): [3.0], ("c", "b"): [3.0]}


def test_smoothing_keeps_length_and_constants_and_short_curves():
    for n in (3, 14, 15, 16, 17, 40, 41, 700):
        assert len(m.flat_smooth(np.arange(n))) == n
        np.testing.assert_allclose(m.flat_smooth(np.full(n, 2.5)), 2.5)
    np.testing.assert_array_equal(m.flat_smooth(np.arange(14.0)), np.arange(14.0))  # window of 2
    # inside, reflection plays no part: a line stays a line, one place late for an odd window and half for an even one
    for n, lag in ((15, 1.0), (20, 0.5)):
        np.testing.assert_allclose(m.flat_smooth(np.arange(float(n)))[4:-4], np.arange(float(n))[4:-4] - lag, atol=1e-9)


def test_terminal_performance_truncates():
    assert [m.terminal_performance(np.arange(float(n))) for n in (1, 2, 9, 10, 20)] == [0.0, 1.0, 8.0, 9.0, 18.5]


def test_normalisation_maps_the_range_of_task_and_expert_to_1_and_101():
    ready = m.preprocess(scenario(), experts(), smooth=None)
    for task in TESTS:
        values = np.concatenate([*(r.values for r in ready.regimes if r.task == task), *ready.experts[task]])
        assert (values.min(), values.max()) == pytest.approx((1.0, 101.0))


def test_constant_performance_becomes_one_with_a_note():
    ready = m.preprocess(m.LifetimeLog.from_blocks([("train", "a", [2.0, 2.0]), ("test", "a", [2.0])]))
    assert [r.values.tolist() for r in ready.regimes] == [[1.0, 1.0], [1.0]]
    assert "all performance of a is the same" in ready.notes[0]


def test_one_learning_block_with_one_evaluation_has_no_maintenance():
    report = m.lifelong_metrics(m.LifetimeLog.from_blocks([("train", "a", [0.0, 1.0]), ("test", "a", [1.0])]))
    assert np.isnan(float(report.lifetime["pm"]))
    assert np.isnan(float(report.lifetime["pr"]))


def test_sample_efficiency_of_the_expert_itself_is_one_and_of_a_falling_curve_zero():
    expert = curve(0, 1, 20, 100)
    assert m.sample_efficiency(expert, expert) == pytest.approx(1.0)
    assert m.sample_efficiency(np.concatenate([expert[:9], expert[::-1]]), expert) == 0.0
    assert m.sample_efficiency(0.1 * expert, expert) == 0.0
    assert np.isnan(m.sample_efficiency(expert[::-1], expert))  # it saturates at once


def test_several_experts_by_metrics_and_by_time():
    own = experts()
    several = {t: [own[t][0], own[t][0] + 10] for t in own}
    log = scenario()
    by_metrics = m.lifelong_metrics(log, several, smooth=None, normalise=None).tasks["rp"]
    by_time = m.lifelong_metrics(log, several, smooth=None, normalise=None, experts_by="time").tasks["rp"]
    assert np.all(by_metrics != by_time)
    np.testing.assert_allclose(by_metrics, by_time, rtol=0.02)


def test_consecutive_learning_blocks_and_experts_of_other_tasks_are_noted():
    log = m.LifetimeLog.from_blocks([("train", "a", [0.0, 1.0]), ("train", "b", [0.0, 1.0])])
    notes = m.lifelong_metrics(log, {"a": [[0.0, 1.0]], "c": [[0.0, 1.0]]}).notes
    assert [note for note in notes if "follow each other" in note] == [notes[0]]
    assert notes[1:] == ("the log has no task 'c', so its experts are not compared with",)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"normalise": "tasks"}, "`normalise` must be 'task', 'run' or None; got 'tasks'"),
        ({"maintenance": "xx"}, "`maintenance` must be 'mrlep' or 'mrtlp'; got 'xx'"),
        ({"experts_by": "mean"}, "`experts_by` must be 'metrics' or 'time'; got 'mean'"),
        ({"aggregate": "median"}, "`aggregate` must be a function"),
    ],
)
def test_options_that_are_misspelt_are_refused(how, message):
    with pytest.raises(ValueError, match=message):
        m.lifelong_metrics(scenario(), **how)


def test_a_trace_and_its_blocks_give_the_same_report():
    rng = np.random.default_rng(0)
    trace, training = rng.uniform(size=(9, 2)), rng.uniform(size=8)
    log = m.LifetimeLog.from_trace(trace, (0, 4, 8), training=training, names=["a", "b"])
    blocks = []
    for begin, task in ((0, "a"), (4, "b"), (8, None)):
        blocks += [("test", "a", [trace[begin, 0]]), ("test", "b", [trace[begin, 1]])]
        if task:
            blocks.append(("train", task, training[begin : begin + 4]))
    pd.testing.assert_frame_equal(log.table, m.LifetimeLog.from_blocks(blocks).table)


def test_l2logger_folder_survives_a_round_trip(tmp_path):
    log = scenario()
    log.write(tmp_path / "run")
    read = m.LifetimeLog.read(tmp_path / "run")
    one, other = m.lifelong_metrics(log, experts()), m.lifelong_metrics(read, experts())
    for name in one.lifetime:
        assert float(one.lifetime[name]) == pytest.approx(float(other.lifetime[name]), nan_ok=True, abs=1e-12)
    with pytest.raises(ValueError, match="holds a log already"):
        log.write(tmp_path / "run")


HEADER = "block_num exp_num worker_id block_type block_subtype task_name task_params exp_status timestamp debug reward"
PARAMS = '"{""param1"": ""str1"", ""param2"": 2}"'


def l2logger_folder(folder, blocks, version="1.1"):
    """Write what l2logger's `DataLogger` writes: a file for each `(block, [(task, exp_num, reward), ...])`."""
    folder.mkdir()
    info = {"metrics_columns": ["reward"], "log_format_version": version}
    (folder / "logger_info.json").write_text(json.dumps(info, indent=2))
    scenario = {"author": "me", "complexity": "7", "input_file": {"a": [1]}}
    (folder / "scenario_info.json").write_text(json.dumps(scenario, indent=2))
    for name, rows in blocks:
        number, kind = name.split("-")
        lines = [HEADER.replace(" ", "\t")]
        for task, experience, reward in rows:
            first = f"{number}\t{experience}\tdriver.py_0\t{kind}\twake\t{task}\t{PARAMS}"
            lines.append(f"{first}\tcomplete\t20201020T235720.{experience:06d}\tmock\t{reward}")
        if version == "1.0":
            lines = ["\t".join(line.split("\t")[:4] + line.split("\t")[5:]) for line in lines]
        path = folder / "driver.py_0" / name / "data-log.tsv"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_folders_that_l2logger_wrote_are_read(tmp_path, version):
    blocks = [("0-train", [("A", 0, 1), ("A", 1, 0.5)]), ("1-test", [("A", 2, 1), ("2", 3, 0)])]
    l2logger_folder(tmp_path / "simple-1600697775-609517", blocks, version)
    log = m.LifetimeLog.read(tmp_path / "simple-1600697775-609517")
    found = [(r.is_training, r.task, r.values.tolist()) for r in log.regimes("reward")]
    assert found == [(True, "a", [1.0, 0.5]), (False, "a", [1.0]), (False, "2", [0.0])]
    assert json.loads(log.table["task_params"][0]) == {"param1": "str1", "param2": 2}
    assert log.scenario_info["complexity"] == "7"


def test_experts_are_read_by_task_and_refused_if_they_learnt_two(tmp_path):
    for i, rows in enumerate(([("A", 0, 1), ("A", 1, 2)], [("A", 0, 3)], [("B_x", 0, 4)])):
        l2logger_folder(tmp_path / f"ste-{i}", [("0-train", rows)])
    found = m.read_experts(tmp_path.iterdir())
    assert {task: [c.tolist() for c in curves] for task, curves in found.items()} == {"a": [[1, 2], [3]], "b_x": [[4]]}
    assert set(m.read_experts([tmp_path / "ste-2"], with_variants=False)) == {"b"}
    l2logger_folder(tmp_path / "two", [("0-train", [("A", 0, 1)]), ("1-train", [("B", 1, 1)])])
    with pytest.raises(m.LogError, match="two must have learnt one task, as a single-task expert; got a, b"):
        m.read_experts([tmp_path / "two"])


def test_the_example_of_l2metrics_has_the_numbers_that_it_prints():
    example = json.loads(Path(__file__).with_name("l2metrics_example.json").read_text())
    # every test of the example is one value, 20 times
    blocks = [(kind, task, values if kind == "train" else values * 20) for kind, task, values in example["blocks"]]
    report = m.lifelong_metrics(
        m.LifetimeLog.from_blocks(blocks), {task: [example["expert"]] for task in example["tasks"]}
    )
    for name, value in example["lifetime"].items():
        assert float(report.lifetime[name]) == pytest.approx(value, abs=1e-5), name
    for task, metrics in example["tasks"].items():
        for name, value in metrics.items():
            assert float(report.tasks[name].sel(task=task)) == pytest.approx(value, abs=1e-5), (task, name)


def test_variants_can_be_taken_together():
    log = m.LifetimeLog.from_blocks([("train", "a_1", [1.0]), ("test", "a_2", [1.0])])
    assert [r.task for r in log.regimes(with_variants=False)] == ["a", "a"]


def table(**changes):
    columns = {
        "block_num": [0, 1],
        "block_type": ["train", "test"],
        "exp_num": [0, 1],
        "task_name": ["a", "a"],
        "p": [0.5, 1],
    }
    return pd.DataFrame({**columns, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_num": [1, 0]}, "row 1: block_num must be no smaller"),
        ({"block_num": [0.5, 1]}, "row 0: block_num must be a whole number"),
        ({"block_type": ["train", "exam"]}, "row 1: block_type must be one of train, test; got 'exam'"),
        ({"task_name": ["a", "A"]}, "lower case"),
        ({"p": [0.5, "high"]}, "row 1: p must be a number"),
        ({"task_params": ["{}", "{"]}, "must be JSON"),
        ({"timestamp": ["20200101T000000.0", "noon"]}, "must be a time"),
        ({"exp_status": ["complete", "maybe"]}, "exp_status"),
        ({"block_num": [0, 0]}, "both train and test"),
    ],
)
def test_malformed_logs_are_refused_in_one_line(changes, message):
    with pytest.raises(m.LogError, match=message) as error:
        m.validate_log(table(**changes), ["p"])
    assert "\n" not in str(error.value)


def test_incomplete_and_missing_experiences_do_not_count_and_wake_tests_yield_to_sleep():
    rows = table(exp_status=["incomplete", "complete"])
    assert [r.is_training for r in m.LifetimeLog(rows, ("p",)).regimes()] == [False]
    rows = table(block_subtype=["sleep", "wake"])
    assert [r.is_training for r in m.LifetimeLog(rows, ("p",)).regimes()] == [True]


@pytest.mark.parametrize("damage", ["version", "metrics", "json", "missing", "empty"])
def test_damaged_folders_are_refused(tmp_path, damage):
    folder = tmp_path / "run"
    scenario().write(folder)
    info = json.loads((folder / "logger_info.json").read_text())
    if damage == "version":
        (folder / "logger_info.json").write_text(json.dumps({**info, "log_format_version": "0.9"}))
    elif damage == "metrics":
        (folder / "logger_info.json").write_text(json.dumps({**info, "metrics_columns": []}))
    elif damage == "json":
        (folder / "logger_info.json").write_text("{")
    elif damage == "missing":
        (folder / "logger_info.json").unlink()
    else:
        for path in folder.glob("*/*/data-log.tsv"):
            path.unlink()
    with pytest.raises((m.LogError, FileNotFoundError)) as error:
        m.LifetimeLog.read(folder)
    assert "\n" not in str(error.value)


def test_summary_of_lifetimes_has_a_mean_and_an_interval():
    reports = [m.lifelong_metrics(scenario(lambda x, k=k: x + k * np.sin(x)), experts()) for k in range(5)]
    summary = m.summarise_lifetimes(reports)
    low, mean, high = (float(summary["mep"].sel(statistic=s)) for s in ("low", "mean", "high"))
    assert low < mean < high
    assert summary.attrs["lifetimes"] == 5
