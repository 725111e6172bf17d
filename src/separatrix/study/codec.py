"""One cell as the bytes of one `.npz` file: a JSON header, and the arrays of a labelled Dataset.

The file is an ordinary uncompressed NumPy archive: `numpy.load` opens it, `header` is the header's UTF-8 text, and each
coordinate and variable is an entry under its own name. The archive keeps a CRC32 per entry, which is checked on every
read, so truncation and flipped bits are found. The same content gives the same bytes.
"""

from __future__ import annotations

import functools
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy

from separatrix.study.files import StoreError
from separatrix.study.identity import plain

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Array", "Cell", "DamagedCell", "checked", "decode", "encode"]

_HEADER = "header"
_STORABLE = "biufcUSMm"  # kinds of dtype that `.npy` holds without pickling


class DamagedCell(StoreError):
    """A cell file that is truncated, altered or not a cell."""


class Array(NamedTuple):
    """Values with named axes."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: dict[str, Any]


class Cell(NamedTuple):
    """A decoded cell; the values are read-only views of the file's bytes."""

    header: dict[str, Any]
    coords: dict[str, Array]
    variables: dict[str, Array]
    attrs: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        """All that determines the cell: `arm`, `seeds`, `point` and whatever else was hashed into its id."""
        return self.header["identity"]

    def to_dataset(self) -> xr.Dataset:
        """The Dataset that was committed, on fresh arrays."""
        import xarray as xr

        return xr.Dataset(
            {name: (array.dims, array.values.copy(), array.attrs) for name, array in self.variables.items()},
            {name: (array.dims, array.values.copy(), array.attrs) for name, array in self.coords.items()},
            self.attrs,
        )


def encode(header: Mapping[str, Any], dataset: xr.Dataset) -> bytes:
    """Pack a Dataset.

    Args:
        header: what to say about the cell, plain values.
        dataset: numbers, booleans, strings and dates; attributes that JSON can hold. `bfloat16` and the narrower floats
            of `ml_dtypes` widen to float32, which loses nothing.

    Returns:
        The bytes of an `.npz` file.

    Raises:
        TypeError: if a variable or an attribute cannot be stored.
    """
    described, arrays = {}, {}
    for name, variable in dataset.variables.items():
        if not isinstance(name, str) or name == _HEADER or "/" in name:
            raise TypeError(
                f"A variable cannot be stored under the name {name!r}; use a string other than {_HEADER!r}."
            )
        arrays[name] = _storable(name, variable.values)
        described[name] = {"dims": variable.dims, "attrs": variable.attrs, "coord": name in dataset.coords}
    text = json.dumps(
        plain({**header, "attrs": dataset.attrs, "variables": described}), ensure_ascii=False, allow_nan=False
    )
    arrays = {_HEADER: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:
        for name, values in arrays.items():
            entry = io.BytesIO()
            npy.write_array(entry, values, allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), entry.getbuffer())
    return archive.getvalue()


def checked(identity: Mapping[str, Any], dataset: xr.Dataset) -> xr.Dataset:
    """Hold a cell's Dataset against its identity.

    Args:
        identity: with `arm`, `seeds` and, for a static grid, `point`.
        dataset: what the arm returned.

    Returns:
        The Dataset, with a coordinate `seed`.

    Raises:
        ValueError: if they do not fit together.
    """
    if not isinstance(identity.get("arm"), str) or not isinstance(identity.get("seeds"), list | tuple):
        raise ValueError(f"`identity` must hold a string `arm` and a list `seeds`; got {sorted(identity)}.")
    seeds, size = list(identity["seeds"]), dataset.sizes.get("seed")
    if size != len(seeds) or len(set(seeds)) != len(seeds):
        raise ValueError(f"The dimension `seed` must match the seeds {seeds}, each once; got length {size}.")
    if "seed" in dataset.coords and dataset["seed"].values.tolist() != seeds:
        raise ValueError(f"The coordinate `seed` must be {seeds}; got {dataset['seed'].values.tolist()}.")
    clash = {"arm", *identity.get("point", {})} & {str(name) for name in {*dataset.dims, *dataset.variables}}
    if clash:
        raise ValueError(f"The cell's own Dataset must not use the names {sorted(clash)}, which its identity sets.")
    return dataset if "seed" in dataset.coords else dataset.assign_coords(seed=seeds)


def _storable(name: str, values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind in "OT":
        if not all(isinstance(item, str) for item in values.flat):
            raise TypeError(f"Variable {name!r} holds Python objects that are not strings; convert them first.")
        return np.array(values.tolist(), dtype=np.str_).reshape(values.shape)
    if values.dtype.kind == "V" and values.dtype.names is None:
        return values.astype(np.float32)
    if values.dtype.kind not in _STORABLE:
        raise TypeError(f"Variable {name!r} has dtype {values.dtype}, which cannot be stored.")
    return values


def decode(data: bytes) -> Cell:
    """Unpack and check the bytes of a cell.

    Args:
        data: the whole file.

    Returns:
        The cell.

    Raises:
        DamagedCell: if the file is truncated or altered in any way.
    """
    try:
        arrays = _read_archive(data)
        header = json.loads(arrays.pop(_HEADER).tobytes())
        attrs, described = header.pop("attrs"), header.pop("variables")
        coords, variables = {}, {}
        for name, about in described.items():
            array = Array(tuple(about["dims"]), arrays[name], about["attrs"])
            if len(array.dims) != array.values.ndim:
                raise ValueError(f"{name} has {array.values.ndim} axes for dimensions {array.dims}")
            (coords if about["coord"] else variables)[name] = array
        if not isinstance(header["identity"], dict):
            raise ValueError("the identity is not a mapping")
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, struct.error, zipfile.BadZipFile) as error:
        raise DamagedCell(f"damaged or not a cell ({str(error).splitlines()[0] if str(error) else 'empty'})") from error
    return Cell(header, coords, variables, attrs)


def _read_archive(data: bytes) -> dict[str, np.ndarray]:
    """The entries of an uncompressed archive as views; `numpy.load` does the same five times slower."""
    view, arrays = memoryview(data), {}
    for entry in zipfile.ZipFile(io.BytesIO(data)).infolist():
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"{entry.filename} is compressed")
        name_length, extra_length = struct.unpack_from("<HH", data, entry.header_offset + 26)
        start = entry.header_offset + 30 + name_length + extra_length
        body = view[start : start + entry.file_size]
        if len(body) != entry.file_size or zlib.crc32(body) != entry.CRC:
            raise ValueError(f"checksum of {entry.filename} does not match")
        arrays[entry.filename.removesuffix(".npy")] = _read_array(body)
    return arrays


def _read_array(body: memoryview) -> np.ndarray:
    (length,) = struct.unpack_from("<H", body, 8)
    shape, fortran, dtype = _read_array_header(bytes(body[: 10 + length]))
    count = int(np.prod(shape, dtype=np.int64))
    if dtype.itemsize == 0:
        return np.zeros(shape, dtype)
    flat = np.frombuffer(body, dtype=dtype, count=count, offset=10 + length)
    return flat.reshape(shape, order="F" if fortran else "C")


@functools.lru_cache(maxsize=4_096)
def _read_array_header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    file = io.BytesIO(head)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("unknown version of the array format")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if dtype.hasobject:
        raise ValueError("Python objects are not read")
    return shape, fortran, dtype
