"""The combined results as a Zarr 3 store that plain `xarray.open_zarr` opens.

It is derived from the cells. The attribute `separatrix_cells` is a fingerprint of the cells that it was made from, so a
stale one is recognised and not used.
"""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from separatrix.study.files import storing
from separatrix.study.identity import plain
from separatrix.study.locks import mutex

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["FINGERPRINT", "open_zarr", "read_zarr", "write_zarr"]

FINGERPRINT = "separatrix_cells"

_WHOLE_BYTES = 8_000_000  # a variable up to this size is one chunk
_CHUNK_BYTES = 64_000_000  # no chunk is larger


def read_zarr(path: Path, fingerprint: str) -> xr.Dataset | None:
    """Load the results if they are there, whole, and made from the present cells.

    Args:
        path: the Zarr store.
        fingerprint: of the present cells.

    Returns:
        The Dataset in memory, or None if it has to be made anew.
    """
    lazy = open_zarr(path, fingerprint)
    if lazy is None:
        return None
    try:
        with lazy:
            dataset = lazy.load()
    except Exception:  # as below
        return None
    del dataset.attrs[FINGERPRINT]
    return dataset


def open_zarr(path: Path, fingerprint: str) -> xr.Dataset | None:
    """Open the results without their values if they are there and made from the present cells.

    Args:
        path: the Zarr store.
        fingerprint: of the present cells.

    Returns:
        The lazy Dataset, its attribute `FINGERPRINT` included, or None if it has to be made anew.
    """
    if not path.exists():
        return None
    import xarray as xr

    try:
        lazy = xr.open_zarr(path, chunks=None, decode_timedelta=False)
        if lazy.attrs.get(FINGERPRINT) != fingerprint:
            lazy.close()
            return None
        return _with_strings(lazy, np.str_)
    except Exception:  # zarr raises many kinds of error for a broken store; the cells hold the truth
        return None


def write_zarr(path: Path, dataset: xr.Dataset, fingerprint: str) -> None:
    """Write the results aside and swap them in by renaming; one writer at a time, and readers never see half of it.

    Args:
        path: the Zarr store.
        dataset: the results.
        fingerprint: of the cells that they were made from.

    Raises:
        StoreError: if the disk is full or the folder is not writable.
    """
    import zarr.errors

    dataset = _with_strings(dataset, np.object_)
    dataset.attrs = {**plain(dataset.attrs), FINGERPRINT: fingerprint}
    encoding = {name: {"chunks": _chunks(variable)} for name, variable in dataset.variables.items()}
    aside = path.with_name(f".{path.name}")
    with storing(path):
        aside.mkdir(exist_ok=True)
        with mutex(aside), warnings.catch_warnings():
            # xarray looks for consolidated metadata first; they are still an extension of the format.
            warnings.simplefilter("ignore", zarr.errors.ZarrUserWarning)
            new, old = aside / "new.zarr", aside / "old.zarr"
            shutil.rmtree(old, ignore_errors=True)  # left by a killed writer
            try:
                dataset.to_zarr(new, mode="w", zarr_format=3, consolidated=True, encoding=encoding)
                if path.exists():
                    os.replace(path, old)
                os.replace(new, path)
            finally:
                shutil.rmtree(new, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)


def _chunks(variable: Any) -> tuple[int, ...]:
    """One chunk for a small variable, else one per arm, cut further only if that is huge."""
    chunks = [max(1, length) for length in variable.shape]
    for axis in range(len(chunks)):
        size = int(np.prod(chunks, dtype=np.int64)) * variable.dtype.itemsize
        if size <= (_WHOLE_BYTES if axis == 0 else _CHUNK_BYTES):
            break
        chunks[axis] = 1
    return tuple(chunks)


def _with_strings(dataset: xr.Dataset, dtype: Any) -> xr.Dataset:
    """Texts as objects for Zarr, whose specification has no fixed-length strings; as NumPy strings in memory."""
    coords, variables = {}, {}
    for name, old in dataset.variables.items():
        if old.dtype.kind in "UTO":
            values = np.array(old.values.tolist(), dtype=dtype).reshape(old.shape)
            (coords if name in dataset.coords else variables)[name] = (old.dims, values, old.attrs)
    return dataset.assign_coords(coords).assign(variables)
