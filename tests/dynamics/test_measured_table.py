"""Tables as other programs write them, and all that can be wrong with them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from separatrix.dynamics.measured_table import read_table

T = 0.5 * np.arange(200)
X = np.sin(T)


def frame(**columns):
    return pd.DataFrame({"t": T, "x": X} | columns)


def test_a_table_of_another_program_with_semicolons_commas_and_timestamps(tmp_path):
    path = tmp_path / "Messung.csv"
    stamps = pd.date_range("2024-12-31 23:50:00", periods=200, freq="30s").strftime("%d.%m.%Y %H:%M:%S")
    lines = [f"{s};{v:.6f};Halle 3".replace(".", ",", 0) for s, v in zip(stamps, X, strict=True)]
    lines = [";".join([a, b.replace(".", ","), c]) for a, b, c in (line.split(";") for line in lines)]
    path.write_text("\ufeffDatum;Temperatur;Ort\n" + "\n".join(lines) + "\n", encoding="utf-8")
    found = read_table(path)
    np.testing.assert_allclose(found.values[:, 0], X, atol=1e-6)
    assert (found.dt, found.unit, found.names) == (30.0, "s", ("Temperatur",))
    assert "numbers were read with a decimal comma" in found.notes
    assert "column 'Ort' is not numeric and was left out" in found.notes


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
def test_separators_are_found(tmp_path, separator):
    path = tmp_path / "table.txt"
    frame(y=X**2).to_csv(path, sep=separator, index=False)
    assert read_table(path).values.shape == (200, 2)


def test_a_file_without_a_header_and_parquet(tmp_path):
    np.savetxt(tmp_path / "plain.txt", np.stack([X, X**2], axis=1))
    assert read_table(tmp_path / "plain.txt", dt=0.5).names == ("x0", "x1")
    frame().to_parquet(tmp_path / "x.parquet")
    assert read_table(tmp_path / "x.parquet").dt == pytest.approx(0.5)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_table(tmp_path / "absent.csv")


def test_frames_with_an_index_of_times_xarray_and_arrays():
    stamped = pd.DataFrame({"x": X}, index=pd.date_range("2020", periods=200, freq="D"))
    assert read_table(stamped).dt == 86_400
    data = xr.Dataset({"x": (("time", "coord"), np.stack([X, -X], 1))}, coords={"time": T})
    assert read_table(data).names == ("x[0]", "x[1]")
    assert read_table(data.x).dt == pytest.approx(0.5)
    assert read_table(X).unit == "samples"
    assert read_table({"t": T, "x": X}).names == ("x",)
    with pytest.raises(ValueError, match="give `dt` or times, not both"):
        read_table(frame(), dt=1.0)


def test_unsorted_and_repeated_times_are_mended():
    mixed = frame().sample(frac=1, random_state=0)
    found = read_table(mixed)
    np.testing.assert_allclose(found.values[:, 0], X)
    assert "sorted" in found.notes[0]
    twice = pd.concat([frame(), frame(x=X + 1)])
    found = read_table(twice)
    np.testing.assert_allclose(found.values[:, 0], X + 0.5)
    assert any("200 rows repeat a time" in note for note in found.notes)


def test_short_gaps_are_filled_and_long_ones_cut():
    x = X.copy()
    x[50:53] = np.nan
    found = read_table(frame(x=x))
    assert len(found.values) == 200
    np.testing.assert_allclose(found.values[50:53, 0], np.interp(T[50:53], T[[49, 53]], X[[49, 53]]))
    assert "3 missing values in gaps up to 5 samples were interpolated" in found.notes
    x[20:40] = np.nan
    found = read_table(frame(x=x))
    assert len(found.values) == 160
    assert "the longest complete stretch is used: 160 of 200 samples" in found.notes
    dropped = read_table(frame().drop(index=[60, 61]))  # rows that were never written
    assert "2 samples are missing from an even grid" in dropped.notes
    assert len(dropped.values) == 200


def test_irregular_times_are_resampled():
    t = 0.1 * (np.arange(600) + np.random.default_rng(0).uniform(-0.4, 0.4, 600))
    found = read_table(pd.DataFrame({"time": t, "x": np.sin(t)}))
    assert any("times are irregular" in note for note in found.notes)
    grid = t[0] + found.dt * np.arange(len(found.values))
    assert np.abs(found.values[:, 0] - np.sin(grid)).max() < 0.01


@pytest.mark.parametrize("name", ["Time (s)", "t [s]", "time_s", "Elapsed Time (s)"])
def test_times_have_units_in_their_names_and_saved_indices_are_no_measurement(tmp_path, name):
    path = tmp_path / "x.csv"
    frame().rename(columns={"t": name}).to_csv(path)  # pandas writes the index as a column without a name
    found = read_table(path)
    assert (found.names, found.unit, found.dt) == (("x",), "s", pytest.approx(0.5))
    assert found.notes == ("column 'Unnamed: 0' counts rows or time and was left out",)
    np.testing.assert_allclose(found.values[:, 0], X)


def test_clocks_and_parts_of_dates_are_no_measurements():
    clock = read_table(frame().rename(columns={"t": "stopwatch"}))
    assert (clock.names, clock.dt) == (("x",), pytest.approx(0.5))
    assert "column 'stopwatch' changes by equal steps and was taken for the time" in clock.notes
    assert read_table(np.stack([T, X], axis=1)).names == ("x1",)
    assert read_table(np.stack([T, X], axis=1), dt=0.1).names == ("x1",)
    dated = read_table(pd.DataFrame({"year": 2000 + np.arange(200) // 12, "month": np.arange(200) % 12 + 1, "x": X}))
    assert (dated.names, dated.unit) == (("x",), "samples")
    asked = read_table(frame().rename(columns={"t": "stopwatch"}), columns=["stopwatch", "x"])
    assert asked.names == ("stopwatch", "x")
    assert any("column 'stopwatch' only rises or only falls" in note for note in asked.notes)


def test_useless_columns_are_left_out_and_useless_tables_refused():
    found = read_table(frame(flat=1.0, empty=np.nan, name="a"))
    assert found.names == ("x",)
    assert len(found.notes) == 3
    for bad, message in [
        (frame(x=2.0), "every column is constant"),
        (frame(x="a"), "no numeric column"),
        (frame().head(40), "40 complete samples in a row are too few"),
        (pd.DataFrame({"t": np.zeros(200), "x": X}), "all rows have one time"),
        (pd.DataFrame({"t": ["soon"] * 200, "x": X}), "neither numbers nor dates"),
        (np.zeros((2, 2, 2)), "must be numeric, of shape"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            read_table(bad)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="there is no column 'y'"):
        read_table(frame(), columns=["y"])
