"""Logs come back as they were written, and a log that cannot be learnt from is refused in one line."""

import numpy as np
import pandas as pd
import pytest

from separatrix.data.offline_logs import read_log, write_hdf5, write_minari, write_table
from separatrix.data.transitions import LoggedEpisodes, checked_log


def log(episodes=(3, 2, 4), terminal=(True, False, False), size=2):
    """Episodes whose observations count the steps."""
    rng = np.random.default_rng(0)
    parts = []
    for number, (steps, ends) in enumerate(zip(episodes, terminal, strict=True)):
        states = np.arange(steps + 1)[:, None] + 100.0 * number + np.zeros((1, size))
        flags = np.zeros((2, steps), bool)
        flags[0 if ends else 1, -1] = True
        parts.append((states[:-1], rng.uniform(-1, 1, (steps, 1)), np.ones(steps), states[1:], *flags))
    return LoggedEpisodes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def arrays(rows):
    return {
        "observations": rows.observation,
        "actions": rows.action,
        "rewards": rows.reward,
        "next_observations": rows.next_observation,
        "terminals": rows.terminal,
        "timeouts": rows.timeout,
    }


def assert_same(found, expected):
    for field in LoggedEpisodes._fields[:6]:
        np.testing.assert_allclose(getattr(found, field), getattr(expected, field), rtol=1e-6, err_msg=field)


def test_returns_are_those_of_the_episodes():
    assert log().returns().tolist() == [3.0, 2.0, 4.0]
    assert log().starts.tolist() == [0, 3, 5]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_tables_come_back(tmp_path, suffix):
    write_table(log(), tmp_path / f"log{suffix}")
    assert_same(read_log(tmp_path / f"log{suffix}"), log())


def test_hdf5_comes_back(tmp_path):
    pytest.importorskip("h5py")
    write_hdf5(log(), tmp_path / "log.hdf5")
    assert_same(read_log(tmp_path / "log.hdf5"), log())


def test_minari_comes_back_in_its_own_units(tmp_path, monkeypatch):
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    write_minari(log(), "test/log-v0", action_range=([-2.0], [2.0]), scores=(-1233.0, -159.0))
    import minari

    data = minari.load_dataset("test/log-v0")
    assert data.total_steps == 9
    assert minari.get_normalized_score(data, np.array([-1233.0, -159.0])).tolist() == [0.0, 1.0]
    assert data.total_episodes == 3
    first = next(iter(data.iterate_episodes()))
    np.testing.assert_allclose(first.actions, 2 * log().action[:3], rtol=1e-5)
    assert len(first.observations) == 4
    assert_same(read_log("test/log-v0"), log())


def test_without_next_observations_the_row_after_is_taken_and_what_is_unknown_is_dropped():
    rows = log()
    given = arrays(rows)
    del given["next_observations"]
    found = read_log(given)
    kept = np.array([True, True, True, True, False, True, True, True, False])  # broken episodes lose their last row
    np.testing.assert_array_equal(found.observation, rows.observation[kept])
    assert found.terminal.tolist() == [False, False, True, False, False, False, False]
    assert found.timeout.tolist() == [False, False, False, True, False, False, True]
    np.testing.assert_array_equal(found.next_observation[[0, 1, 3]], rows.next_observation[[0, 1, 3]])


def test_a_broken_episode_of_one_row_leaves_its_neighbour_alone():
    given = arrays(log((2, 1, 2), (True, False, True)))
    del given["next_observations"]
    found = read_log(given)
    assert found.terminal.tolist() == [False, True, False, True]
    assert not found.timeout.any()


def test_actions_are_scaled():
    given = arrays(log()) | {"actions": 3 + 2 * log().action}
    assert_same(read_log(given, action_range=([1.0], [5.0])), log())


def test_training_rows_are_single_precision_within_bounds():
    rows = log().transitions()
    assert rows.observation.dtype == np.float32
    assert np.abs(rows.action).max() <= 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": np.zeros(0), "observations": np.zeros((0, 2)), "actions": np.zeros((0, 1)),
          "next_observations": np.zeros((0, 2)), "terminals": np.zeros(0), "timeouts": np.zeros(0)},
         "there is no transition in it"),
        ({"rewards": np.where(np.arange(9) == 4, np.nan, 1.0)}, "1 of 9 rewards are not finite, the first in row 4"),
        ({"actions": np.zeros((8, 1))}, r"action must have shape \(9, size\).*got \(8, 1\)"),
        ({"terminals": np.zeros(8)}, r"terminal must have shape \(9,\); got \(8,\)"),
        ({"next_observations": np.zeros((9, 3))}, "observations have 2 numbers and next observations 3"),
        ({"actions": np.full((9, 1), 3.0)}, "actions reach 3; scale them"),
        ({"observations": np.random.default_rng(0).normal(size=(9, 2)), "terminals": np.zeros(9),
          "timeouts": np.zeros(9)}, "the terminals or time-outs are missing"),
        ({"rewards": np.zeros((9, 2))}, r"reward must have shape \(rows,\), one number a row; got \(9, 2\)"),
        ({"rewards": 1.0}, r"reward must have shape \(rows,\), one number a row; got \(\)"),
        ({"rewards": ["good"] * 9}, "rewards must be numbers, as many in each row"),
        ({"observations": [[1.0, 2.0]] * 8 + [[1.0]]}, "observations must be numbers, as many in each row"),
        ({"terminals": np.full(9, np.nan)}, "terminals must be true or false, 1 or 0; got nan in row 0"),
        ({"timeouts": np.arange(9)}, "timeouts must be true or false, 1 or 0; got 2 in row 2"),
        ({"rewards": None}, "there are no rewards; they may be called rewards, reward"),
    ],
)  # fmt: skip
def test_bad_logs_are_refused_in_one_line(change, message):
    given = {k: v for k, v in (arrays(log()) | change).items() if v is not None}
    with pytest.raises(ValueError, match=message) as caught:
        read_log(given)
    assert "\n" not in str(caught.value)


def test_a_log_without_ends_is_refused():
    given = {k: v for k, v in arrays(log()).items() if k not in ("terminals", "timeouts")}
    with pytest.raises(ValueError, match="neither terminals nor time-outs"):
        read_log(given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reward": np.full(9, np.nan)}, "9 of 9 rewards are not finite, the first in row 0"),
        ({"reward": np.zeros((9, 2))}, r"reward must have shape \(rows,\), one number a row; got \(9, 2\)"),
        ({"action": np.full((9, 1), "left")}, "action must be an array of numbers; got <U4"),
    ],
)
def test_a_log_that_is_given_whole_is_checked_too(change, message):
    with pytest.raises(ValueError, match=message):
        read_log(log()._replace(**change))


def test_what_is_no_log_is_refused_in_one_line():
    rows = log()
    assert_same(read_log(rows), rows)
    for wrong, message in ((rows.transitions(), "transitions have no order"), (3, "got int"), (list(rows), "got list")):
        with pytest.raises(TypeError, match=message) as caught:
            read_log(wrong)
        assert "\n" not in str(caught.value)


def empty_file(path):
    path.write_bytes(b"")
    return path


def test_other_bad_input_is_refused(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_log(tmp_path / "none.csv")
    pytest.importorskip("h5py")
    (tmp_path / "torn.hdf5").write_bytes(b"not a file")
    with pytest.raises(ValueError, match="is not a whole HDF5 file"):
        read_log(tmp_path / "torn.hdf5")
    pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(ValueError, match="there is no Minari data set 'no/such-v0'"):
        read_log("no/such-v0")
    with pytest.raises(ValueError, match="is not a whole csv table: No columns to parse"):
        read_log(empty_file(tmp_path / "empty.csv"))
    with pytest.raises(ValueError, match="is not a whole parquet table: Could not open Parquet"):
        read_log(empty_file(tmp_path / "empty.parquet"))
    with pytest.raises(ValueError, match="low < high"):
        read_log(arrays(log()), action_range=(1.0, 1.0))
    with pytest.raises(ValueError, match=r"written as \.parquet or \.csv"):
        write_table(log(), tmp_path / "log.txt")


def test_a_data_frame_of_another_program_is_read():
    rows = log(size=1)
    table = pd.DataFrame(
        {
            "obs": rows.observation[:, 0],
            "action": rows.action[:, 0],
            "next_obs": rows.next_observation[:, 0],
            "reward": rows.reward,
            "done": rows.terminal.astype(int),
            "truncated": rows.timeout.astype(int),
        }
    )
    assert_same(read_log(table), rows)


def test_the_last_row_ends_even_if_unmarked():
    rows = log()
    open_end = rows._replace(timeout=rows.timeout & (np.arange(9) < 8))
    assert checked_log(open_end).timeout[-1]
