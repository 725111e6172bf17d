"""Decimated curves keep their extremes and are no longer than the screen is wide."""

import numpy as np
import pytest
import xarray as xr

from separatrix.study.errors import UsageError
from separatrix.view.curve_data import CurveRequest, curves_of, variables_of
from separatrix.view.decimation import column_starts, column_summary, kept_points
from separatrix.view.phase_data import phase_of

MANY = 1_000_000


@pytest.mark.parametrize("scale", ["linear", "log"])
@pytest.mark.parametrize("columns", [10, 600])
def test_every_column_keeps_its_smallest_and_largest_value(scale, columns):
    x, y = np.arange(1, 50_001), np.random.default_rng(0).normal(size=50_000)
    starts = column_starts(x, columns, scale)
    kept = kept_points(y, starts)
    assert len(starts) <= columns
    assert len(kept) <= 2 * columns + 2
    for start, end in zip(starts, [*starts[1:], len(x)], strict=True):
        inside = kept[(kept >= start) & (kept < end)]
        assert y[inside].min() == y[start:end].min()
        assert y[inside].max() == y[start:end].max()


def test_a_single_spike_among_a_million_points_is_drawn():
    y = np.zeros(MANY)
    y[777_777] = -5.0
    kept = kept_points(y, column_starts(np.arange(MANY), 400))
    assert 777_777 in kept
    assert len(kept) <= 802


@pytest.mark.parametrize("length", [100, 10_000, MANY])
def test_the_number_of_points_depends_on_the_pixels_alone(length):
    y = np.random.default_rng(1).normal(size=length)
    assert len(kept_points(y, column_starts(np.arange(length), 50))) <= 102


def test_columns_of_a_logarithmic_axis_are_even_on_it():
    starts = column_starts(np.arange(1, MANY + 1), 6, "log")
    assert starts.tolist() == [0, 9, 99, 999, 9_999, 99_999]  # decades
    assert column_starts(np.arange(1_000), 3, "log")[0] == 0  # a step 0 is in the first column


def test_nan_is_left_out_and_the_ends_stay():
    y = np.full(1_000, np.nan)
    assert kept_points(y, column_starts(np.arange(1_000), 10)).size == 0
    y[100:900] = np.linspace(0, 1, 800)
    kept = kept_points(y, column_starts(np.arange(1_000), 10))
    assert (kept.min(), kept.max()) == (100, 899)
    assert not np.isnan(y[kept]).any()


def test_a_band_spans_all_points_of_its_column():
    rng = np.random.default_rng(2)
    low, high = -rng.random(999), rng.random(999)
    low[5] = np.nan
    starts = column_starts(np.arange(999), 7)
    rims = column_summary(low, high, starts)
    parts = list(zip(starts, [*starts[1:], 999], strict=True))
    np.testing.assert_array_equal(rims[0], [np.nanmin(low[a:b]) for a, b in parts])
    np.testing.assert_array_equal(rims[1], [high[a:b].max() for a, b in parts])


def runs(steps=1_000):
    rng = np.random.default_rng(3)
    values = rng.normal(size=(2, 3, steps)).astype(np.float32)
    values[1, 2] = np.nan
    values[0, 0, 7] = np.inf
    coords = {"arm": ["plain", "other"], "seed": [4, 5, 6], "step": np.arange(steps)}
    return xr.Dataset({"loss": (tuple(coords), values, {"units": "nat"}), "name": ("arm", ["a", "b"])}, coords)


def test_curves_are_the_mean_and_range_over_the_measured_seeds():
    ds = runs(50)
    found = curves_of(ds, CurveRequest("loss", columns=1_000, seeds=True))
    plain, other = found["arms"]
    finite = ds.loss.where(np.isfinite(ds.loss))
    np.testing.assert_allclose(plain["mean"]["y"], finite.sel(arm="plain").mean("seed"), rtol=1e-4)
    np.testing.assert_allclose(other["band"]["low"], finite.sel(arm="other").min("seed"), rtol=1e-4)
    assert [seed["seed"] for seed in plain["seeds"]] == [4, 5, 6]
    assert [seed["seed"] for seed in other["seeds"]] == [4, 5]  # seed 6 was not measured
    assert (found["units"], other["summary"]["seeds"]) == ("nat", 2)


def test_a_window_is_sent_with_one_point_beyond_each_rim():
    found = curves_of(runs(), CurveRequest("loss", window=(100.5, 120.5)))
    x = found["arms"][0]["mean"]["x"]
    assert (x[0], x[-1], found["points"], found["range"]) == (100, 121, 22, [0, 999])


def test_what_does_not_exist_is_refused_in_one_line():
    for request, words in (
        (CurveRequest("los"), "did you mean 'loss'"),
        (CurveRequest("name"), "no variable"),
        (CurveRequest("loss", ("plane",)), "did you mean 'plain'"),
    ):
        with pytest.raises(UsageError, match=words):
            curves_of(runs(), request)


def test_planes_need_two_numeric_dimensions_and_take_positions_along_the_others():
    x, y, z = np.geomspace(1, 100, 5), np.linspace(0, 1, 4), [8, 16]
    values = np.arange(2 * 5 * 4 * 2, dtype=float).reshape(2, 5, 4, 2)
    ds = xr.Dataset({"v": (("seed", "x", "y", "z"), values)}, {"seed": [0, 1], "x": x[::-1], "y": y, "z": z})
    assert variables_of(ds)[0]["axes"] == ["x", "y", "z"]
    found = phase_of(ds, "v", "x", "y", {"z": "1"})
    expected = ds.v.isel(z=1).mean("seed").sortby("x").transpose("y", "x")
    np.testing.assert_allclose(found["z"], expected)
    assert (found["x_scale"], found["y_scale"], found["at"]) == ("log", "linear", {"seed": "mean", "z": "16"})
    with pytest.raises(UsageError, match="positions 0 to 1"):
        phase_of(ds, "v", "x", "y", {"z": "2"})
    with pytest.raises(UsageError, match="choose two of them"):
        phase_of(ds, "v", "x", "seed", {})
