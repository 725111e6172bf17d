"""Records as a labelled data set."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import xarray as xr

from separatrix import Probe, run, run_on_host
from separatrix.systems import LinearMap, LogisticMap

FINE = Probe(
    lambda tr, key: {"x": tr.after, "high": tr.after > 0.5},
    every=2,
    name="fine",
    attrs={"x": {"units": "1", "long_name": "height"}},
)
COARSE = Probe(
    lambda tr, key: {"pair": jnp.stack([tr.before, tr.after]), "step_twice": 2 * tr.step},
    every=3,
    name="coarse",
    dims={"pair": ("moment",)},
)


@pytest.fixture
def records():
    over = {"rate": np.float32([2.0, 3.5])}
    return run(LogisticMap(1.0), jr.split(jr.key(0), 3), 12, probes=[FINE, COARSE], over=over, block=1).records


def test_dataset_has_the_union_of_steps_with_nan_between(records):
    dataset = records.to_dataset()
    assert dataset.step.values.tolist() == [2, 3, 4, 6, 8, 9, 10, 12]
    assert dict(dataset.sizes) == {"rate": 2, "seed": 3, "step": 8, "moment": 2}
    assert dataset.x.dims == ("rate", "seed", "step")
    assert dataset.pair.dims == ("rate", "seed", "step", "moment")
    x = dataset.x.isel(rate=0, seed=0)
    assert x.step.values[np.isnan(x.values)].tolist() == [3, 9]
    np.testing.assert_array_equal(x.dropna("step").values, records["x"][0, 0])
    np.testing.assert_array_equal(dataset.pair.sel(step=[3, 6, 9, 12]).values, records["pair"])
    assert dataset.step_twice.dtype == np.float64  # whole numbers have no NaN
    assert dataset.step_twice.sel(step=9).values.ravel().tolist() == [18.0] * 6
    assert set(np.unique(dataset.high.sel(step=[2, 4, 6]).values)) <= {0.0, 1.0}


def test_dataset_keeps_types_where_nothing_is_missing():
    dataset = run(LogisticMap(2.0), jr.key(0), 4, probes=[FINE]).records.to_dataset()
    assert dataset.x.dtype == np.float32
    assert dataset.high.dtype == np.bool_
    assert dataset.x.dims == ("step",)
    assert dataset.diverged_at.dims == ()


def test_dataset_is_labelled(records):
    dataset = records.to_dataset(seeds=[7, 8, 9], attrs={"study": "test"})
    assert dataset.seed.values.tolist() == [7, 8, 9]
    assert records.to_dataset().seed.values.tolist() == [0, 1, 2]
    assert dataset.rate.values.tolist() == [2.0, 3.5]
    assert dataset.x.attrs == {"units": "1", "long_name": "height"}
    assert dataset.step.attrs == {"units": "step", "long_name": "completed updates"}
    assert dataset.diverged_at.attrs["units"] == "step"
    assert dataset.attrs["study"] == "test"
    assert dataset.attrs["block"] == 1
    assert {"compile_seconds", "run_seconds"} <= set(dataset.attrs)


def test_run_without_probes_still_says_whether_it_diverged():
    dataset = run(LogisticMap(2.0), jr.split(jr.key(0), 2), 3, block=1).records.to_dataset()
    assert list(dataset.data_vars) == ["diverged_at"]
    assert dataset.diverged_at.values.tolist() == [-1, -1]
    assert isinstance(dataset, xr.Dataset)


def test_axes_without_names_are_named_after_the_variable():
    vector = Probe(lambda tr, key: {"v": tr.after, "outer": jnp.outer(tr.after, tr.after)})
    variables = run(LinearMap(jnp.eye(2)), jr.key(0), 1, probes=[vector]).records.variables
    assert variables["v"].dims == ("v_0",)
    assert variables["outer"].dims == ("outer_0", "outer_1")


@pytest.mark.parametrize("driver", [run, run_on_host])
def test_wrong_number_of_names_is_refused_before_the_run(driver):
    wrong = Probe(lambda tr, key: {"v": tr.after}, dims={"v": ("row", "column")})
    with pytest.raises(ValueError, match=r"'v' has 1 trailing axes; its probe names \('row', 'column'\)"):
        driver(LinearMap(jnp.eye(2)), jr.key(0), 10, probes=[wrong])
