"""Data sets of series on disk: NetCDF and Parquet, with their metadata."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

__all__ = ["read_series", "write_series"]

_META = b"separatrix"


def write_series(dataset: xr.Dataset, path: str | Path) -> Path:
    """Write a Dataset of `simulate`, `ensemble` or `make_split`.

    Args:
        dataset: with a variable `x` whose last axis is `coord`.
        path: ends in `.nc` (NetCDF 3, through SciPy) or `.parquet` (needs pyarrow): one row for each point of each
            trajectory, one column for each coordinate, and attributes in the schema's metadata under "separatrix".

    Returns:
        The path.

    Raises:
        ValueError: if the ending is another, or pyarrow is missing.

    Examples:
        >>> import tempfile
        >>> from separatrix.systems import get, simulate
        >>> data = simulate(get("Henon"), 10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     back = read_series(write_series(data, f"{folder}/henon.nc"))
        >>> back.x.equals(data.x)
        True
    """
    path = Path(path)
    if path.suffix == ".nc":
        attrs = {k: json.dumps(v) if isinstance(v, list | tuple | dict) else v for k, v in dataset.attrs.items()}
        dataset.assign_attrs(attrs).to_netcdf(path, engine="scipy")
    elif path.suffix == ".parquet":
        _write_parquet(dataset, path)
    else:
        raise ValueError(f"the file must end in .nc or .parquet; got {path.name!r}.")
    return path


def read_series(path: str | Path) -> xr.Dataset:
    """Read what `write_series` wrote.

    Args:
        path: ends in `.nc` or `.parquet`.

    Returns:
        The Dataset, held in memory.

    Raises:
        ValueError: if the ending is another, pyarrow is missing, or a Parquet file lacks the metadata.
    """
    path = Path(path)
    if path.suffix == ".nc":
        with xr.open_dataset(path, engine="scipy") as file:
            dataset = file.load()
        for name, value in dataset.attrs.items():
            if isinstance(value, str) and value[:1] == "[":
                dataset.attrs[name] = json.loads(value)
            elif isinstance(value, np.ndarray | np.generic):
                dataset.attrs[name] = value.item()
        return dataset
    if path.suffix == ".parquet":
        return _read_parquet(path)
    raise ValueError(f"the file must end in .nc or .parquet; got {path.name!r}.")


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise ValueError("Parquet needs pyarrow: pip install separatrix[parquet]") from None
    return pyarrow, pyarrow.parquet


def _write_parquet(dataset: xr.Dataset, path: Path) -> None:
    arrow, parquet = _arrow()
    index = [str(d) for d in dataset.x.dims if d != "coord"]
    names = [str(c) for c in dataset.coord.values] if "coord" in dataset.coords else []
    columns = names or [f"x{i}" for i in range(dataset.sizes["coord"])]
    shape = [dataset.sizes[d] for d in index]
    frame = pd.DataFrame(dataset.x.transpose(*index, "coord").values.reshape(-1, len(columns)), columns=columns)
    places = np.unravel_index(np.arange(len(frame)), shape)
    for j, (dim, place) in enumerate(zip(index, places, strict=True)):
        labels = dataset[dim].values if dim in dataset.coords else np.arange(dataset.sizes[dim])
        frame.insert(j, dim, labels[place])
    rest: dict[str, Any] = {}
    for name, variable in dataset.data_vars.items():
        if name != "x":
            values = variable.values
            rest[str(name)] = [list(map(str, variable.dims)), values.dtype.str, values.tolist(), dict(variable.attrs)]
    meta = {
        "attrs": dataset.attrs,
        "index": index,
        "coord": names,
        "x": dict(dataset.x.attrs),
        "time": dict(dataset.time.attrs) if "time" in dataset.coords else {},
        "variables": rest,
        "unlabelled": [d for d in index if d not in dataset.coords],
    }
    table = arrow.Table.from_pandas(frame, preserve_index=False)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), _META: json.dumps(meta).encode()})
    parquet.write_table(table, path)


def _read_parquet(path: Path) -> xr.Dataset:
    _, parquet = _arrow()
    table = parquet.read_table(path)
    if not table.schema.metadata or _META not in table.schema.metadata:
        raise ValueError(f"{path.name} was not written by `write_series`; read it with pandas.")
    meta = json.loads(table.schema.metadata[_META])
    frame = table.to_pandas()
    index = meta["index"]
    labels = {dim: pd.unique(frame[dim]) for dim in index}
    shape = [len(labels[dim]) for dim in index]
    values = frame.drop(columns=index).to_numpy().reshape(*shape, -1)
    coords: dict[str, Any] = {d: np.asarray(v) for d, v in labels.items() if d not in meta["unlabelled"]}
    if meta["coord"]:
        coords["coord"] = meta["coord"]
    dataset = xr.Dataset({"x": ((*index, "coord"), values, meta["x"])}, coords=coords, attrs=meta["attrs"])
    for name, (dims, dtype, entries, attrs) in meta["variables"].items():
        dataset[name] = (dims, np.array(entries, dtype), attrs)
    if "time" in dataset.coords:
        dataset.time.attrs.update(meta["time"])
    return dataset
