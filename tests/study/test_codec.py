"""A cell comes back as it was, and a changed bit does not go unnoticed."""

import io
import random

import ml_dtypes
import numpy as np
import pytest
import xarray as xr

from separatrix.study.codec import DamagedCell, decode, encode

HEADER = {"schema": 1, "identity": {"arm": "plain", "seeds": [0, 1]}}


def everything():
    return xr.Dataset(
        {
            "loss": (("seed", "step"), np.arange(6, dtype=np.float32).reshape(2, 3), {"units": "nat"}),
            "half": ("step", np.array([0.5, np.nan, np.inf], np.float16)),
            "count": ("seed", np.array([2**62, -1])),
            "flag": ("seed", np.array([True, False])),
            "root": ("seed", np.array([1j, 2.0])),
            "label": ("seed", ["a", "ünï"]),
            "texts": ("seed", np.array(["a", "bcd"], dtype=object)),
            "fortran": (("step", "seed"), np.asfortranarray(np.arange(6.0).reshape(3, 2))),
            "scalar": ((), np.float64(3.0)),
            "empty": (("seed", "none"), np.zeros((2, 0))),
        },
        {"seed": [0, 1], "step": ("step", [0, 10, 20], {"units": "step"}), "time": ("step", [0.0, 0.1, 0.2])},
        {"study": "demo", "settings": {"rates": [0.1]}},
    )


def test_any_dataset_of_numbers_and_strings_comes_back():
    dataset = everything()
    back = decode(encode(HEADER, dataset)).to_dataset()
    xr.testing.assert_identical(back, dataset.assign(texts=dataset["texts"].astype(np.str_)))
    assert all(back[name].dtype == dataset[name].dtype for name in dataset.variables if name != "texts")
    back["loss"][:] = 0  # the arrays are its own


def test_numpy_opens_the_file():
    with np.load(io.BytesIO(encode(HEADER, everything()))) as archive:
        np.testing.assert_array_equal(archive["count"], [2**62, -1])
        assert b'"arm": "plain"' in archive["header"].tobytes()


def test_the_same_content_gives_the_same_bytes():
    assert encode(HEADER, everything()) == encode(HEADER, everything())


def test_brain_floats_widen_without_loss():
    values = np.array([1.0, 1e30, np.nan], dtype=ml_dtypes.bfloat16)
    back = decode(encode(HEADER, xr.Dataset({"w": ("step", values)}))).variables["w"].values
    np.testing.assert_array_equal(back, values.astype(np.float32))


@pytest.mark.parametrize(
    "dataset",
    [
        xr.Dataset({"a": ("seed", np.array([{}, {}], dtype=object))}),
        xr.Dataset({"header": ("seed", [1])}),
        xr.Dataset({"a/b": ("seed", [1])}),
        xr.Dataset({"a": ("seed", [1])}, attrs={"f": len}),
    ],
)
def test_what_cannot_be_stored_is_refused_before_writing(dataset):
    with pytest.raises(TypeError):
        encode(HEADER, dataset)


def test_truncation_at_any_length_is_found():
    data = encode(HEADER, everything())
    for length in (0, 1, 30, 100, len(data) // 2, len(data) - 30, len(data) - 1):
        with pytest.raises(DamagedCell):
            decode(data[:length])


def test_a_flipped_bit_in_any_value_is_found():
    data = encode(HEADER, everything())
    intact = decode(data).to_dataset()
    generator = random.Random(0)
    for position in generator.sample(range(len(data)), 400):
        changed = bytearray(data)
        changed[position] ^= 1 << generator.randrange(8)
        try:
            cell = decode(bytes(changed))
        except DamagedCell:
            continue
        xr.testing.assert_identical(cell.to_dataset(), intact)  # a date or a flag of the archive, which carries nothing


def test_another_kind_of_archive_is_not_a_cell(tmp_path):
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", x=np.arange(3))
        with pytest.raises(DamagedCell, match="damaged or not a cell"):
            decode((tmp_path / "a.npz").read_bytes())
