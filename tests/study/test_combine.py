"""Cells meet in one Dataset whose every number is where its labels say."""

import numpy as np
import pytest
import xarray as xr

from separatrix.study.codec import decode, encode
from separatrix.study.combine import VARIES, combine
from separatrix.study.files import StoreError


def cell(arm, seeds, variables, coords=None, point=None, attrs=None):
    identity = {"arm": arm, "seeds": list(seeds), "point": point or {}}
    dataset = xr.Dataset(variables, {"seed": list(seeds), **(coords or {})}, attrs)
    return decode(encode({"identity": identity, "cell": f"{arm}-{seeds}"}, dataset))


def curve(arm, seeds, steps=(0, 10, 20), dtype=np.float32, **fields):
    """Values that tell where they come from: 100 seed + step."""
    values = np.add.outer(100 * np.array(seeds), np.array(steps)).astype(dtype)
    return cell(arm, seeds, {"loss": (("seed", "step"), values, {"units": "nat"})}, {"step": list(steps)}, **fields)


def test_no_cells_give_an_empty_dataset():
    assert combine([]).sizes == {}


def test_seeds_are_sorted_and_arms_keep_their_order():
    result = combine([curve("z", [4, 5]), curve("a", [2, 0]), curve("z", [0, 2]), curve("a", [5, 4])])
    assert result["arm"].values.tolist() == ["z", "a"]
    assert result["seed"].values.tolist() == [0, 2, 4, 5]
    assert result["loss"].dims == ("arm", "seed", "step")
    assert result["loss"].dtype == np.float32
    assert result["loss"].attrs == {"units": "nat"}
    expected = np.add.outer(100 * np.array([0, 2, 4, 5]), [0, 10, 20])
    np.testing.assert_array_equal(result["loss"], [expected, expected])


def test_it_agrees_with_xarrays_own_outer_join():
    cells = [curve("a", [0, 3], (0, 5, 20)), curve("a", [1], (0, 10)), curve("b", [1, 0], (5,))]
    arms = {
        "a": xr.concat([cells[0].to_dataset(), cells[1].to_dataset()], "seed", join="outer", coords="minimal"),
        "b": cells[2].to_dataset(),
    }
    expected = xr.concat(list(arms.values()), xr.Variable("arm", list(arms)), join="outer", coords="minimal")
    result = combine(cells)
    xr.testing.assert_equal(result, expected.sortby(["seed", "step"]).transpose("arm", "seed", "step"))


@pytest.mark.parametrize(
    ("dtype", "complete", "missing"),
    [
        (np.float32, np.float32, np.float32),
        (np.float16, np.float16, np.float16),
        (np.int32, np.int32, np.float64),
        (np.bool_, np.bool_, np.float64),
        (np.complex64, np.complex64, np.complex64),
    ],
)
def test_a_dtype_survives_unless_something_is_missing(dtype, complete, missing):
    full = combine([curve("a", [0], dtype=dtype), curve("b", [0], dtype=dtype)])
    assert full["loss"].dtype == complete
    holed = combine([curve("a", [0, 1], dtype=dtype), curve("b", [0], dtype=dtype)])
    assert holed["loss"].dtype == missing
    assert np.isnan(holed["loss"].sel(arm="b", seed=1)).all()
    assert not np.isnan(holed["loss"].sel(arm="b", seed=0)).any()


def test_a_variable_of_one_arm_is_nan_in_the_other_and_a_text_is_empty():
    a = cell("a", [0, 1], {"rank": ("seed", [3, 4]), "word": ("seed", ["x", "yy"])})
    result = combine([a, curve("b", [0, 1])])
    np.testing.assert_array_equal(result["rank"], [[3, 4], [np.nan, np.nan]])
    assert result["word"].values.tolist() == [["x", "yy"], ["", ""]]
    assert np.isnan(result["loss"].sel(arm="a")).all()


def test_a_static_grid_becomes_a_sorted_dimension():
    cells = [curve("a", [seed], point={"width": w}) for w in (64, 8, 16) for seed in (1, 0)]
    result = combine(cells)
    assert result["loss"].dims == ("arm", "width", "seed", "step")
    assert result["width"].values.tolist() == [8, 16, 64]
    assert result["loss"].dtype == np.float32
    named = combine([curve("a", [0], point={"act": "tanh"}), curve("a", [0], point={"act": "relu"})])
    assert named["act"].values.tolist() == ["tanh", "relu"]


def test_a_point_of_the_grid_that_was_not_run_is_nan():
    result = combine([curve("a", [0, 1], point={"w": 1}), curve("a", [0], point={"w": 2})])
    assert np.isnan(result["loss"].sel(w=2, seed=1)).all()
    assert not np.isnan(result["loss"].sel(w=2, seed=0)).any()


def test_an_arm_without_the_grid_is_repeated_along_it():
    result = combine([curve("a", [0, 1], point={"w": 1}), curve("a", [0, 1], point={"w": 2}), curve("b", [0, 1])])
    assert result["loss"].dtype == np.float32
    np.testing.assert_array_equal(result["loss"].sel(arm="b", w=1), result["loss"].sel(arm="b", w=2))
    assert not np.isnan(result["loss"]).any()


def test_what_lacks_a_seed_is_repeated_for_the_seeds_of_its_cell():
    cells = [cell("a", [0, 1], {"wall": ((), 2.5)}), cell("a", [2], {"wall": ((), 4.0)})]
    result = combine(cells)
    assert result["wall"].dims == ("arm", "seed")
    assert result["wall"].values.tolist() == [[2.5, 2.5, 4.0]]


def test_axes_in_another_order_are_turned():
    turned = cell("a", [0, 1], {"loss": (("step", "seed"), [[0, 100], [10, 110], [20, 120]])}, {"step": [0, 10, 20]})
    xr.testing.assert_equal(combine([turned])["loss"], combine([curve("a", [0, 1])])["loss"])


def test_a_dimension_without_labels_is_padded_at_its_end():
    a = cell("a", [0], {"spectrum": (("seed", "mode"), [[1.0, 2.0, 3.0]])})
    b = cell("b", [0], {"spectrum": (("seed", "mode"), [[4.0]])})
    result = combine([a, b])
    assert "mode" not in result.coords
    np.testing.assert_array_equal(result["spectrum"], [[[1, 2, 3]], [[4, np.nan, np.nan]]])


def test_texts_as_labels_keep_their_order():
    a = cell("a", [0], {"norm": (("seed", "layer"), [[1.0, 2.0]])}, {"layer": ["out", "hidden"]})
    b = cell("b", [0], {"norm": (("seed", "layer"), [[3.0, 4.0]])}, {"layer": ["embedding", "out"]})
    result = combine([a, b])
    assert result["layer"].values.tolist() == ["out", "hidden", "embedding"]
    np.testing.assert_array_equal(result["norm"], [[[1, 2, np.nan]], [[4, np.nan, 3]]])


def test_a_coordinate_beside_the_labels_stays_one_if_it_is_shared():
    shared = {"step": [0, 10], "time": ("step", [0.0, 0.1])}
    a, b = (cell(arm, [0], {"x": (("seed", "step"), [[1, 2]])}, shared) for arm in "ab")
    assert combine([a, b])["time"].dims == ("step",)
    c = cell("c", [0], {"x": (("seed", "step"), [[1, 2]])}, {"step": [0, 10], "time": ("step", [0.0, 0.2])})
    mixed = combine([a, c])
    assert "time" in mixed.coords
    np.testing.assert_array_equal(mixed["time"].sel(seed=0), [[0.0, 0.1], [0.0, 0.2]])


def test_the_first_of_two_cells_with_the_same_seed_counts_and_the_other_is_named():
    first, second = curve("a", [0, 1]), cell("a", [1, 2], {"loss": ("seed", [-1.0, -2.0])})
    result = combine([first, second])
    assert result.attrs["overlapping_cells"] == "a-[1, 2]"
    assert result["loss"].sel(seed=1).values.tolist() == [[100, 110, 120]]
    assert (result["loss"].sel(seed=2) == -2.0).all()


def test_attributes_that_differ_say_so():
    result = combine([curve("a", [0], attrs={"s": "x", "wall": 1}), curve("a", [1], attrs={"s": "x", "wall": 2})])
    assert result.attrs == {"s": "x", "wall": VARIES}


def test_what_cannot_be_joined_is_reported():
    with pytest.raises(StoreError, match="text in one cell"):
        combine([cell("a", [0], {"x": ("seed", [1])}), cell("b", [0], {"x": ("seed", ["a"])})])
    repeated = [curve("a", [0], (0, 0)), curve("b", [0], (0, 1))]
    with pytest.raises(StoreError, match="labels of step repeat"):
        combine(repeated)
