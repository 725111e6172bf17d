"""Monthly fields such as sea-ice concentration: a loader for a file of your own, anomalies, and reference forecasts.

No data are shipped or fetched. The published case study forecasts Arctic sea-ice concentration up to 36 months ahead
from six monthly delays with the monthly means removed, against persistence and the periodic forecast.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

__all__ = ["MonthlyField", "load_monthly_field", "monthly_anomalies", "periodic_forecast", "persistence_forecast"]


class MonthlyField(NamedTuple):
    """Months by places.

    Attributes:
        values: shape `(months, places)`, finite.
        valid: places of the original grid that were kept, in its shape.
    """

    values: Float[np.ndarray, "months places"]
    valid: Bool[np.ndarray, "*grid"]


def load_monthly_field(path: str | Path, variable: str | None = None, time_axis: int = 0) -> MonthlyField:
    """Read a monthly field from `.npy`, `.npz`, `.mat` (before version 7.3) or what xarray opens (NetCDF, Zarr).

    Args:
        path: the file.
        variable: its name in the file; may be left out if there is one array only.
        time_axis: axis of the months.

    Returns:
        The field; places that are missing in any month (land, say) are dropped.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the variable is not there or not unique, or no place is complete.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}; download the field first and give its path.")
    if path.suffix == ".npy":
        values = np.load(path)
    elif path.suffix in (".npz", ".mat"):
        if path.suffix == ".npz":
            arrays = dict(np.load(path))
        else:
            from scipy.io import loadmat

            arrays = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
        values = arrays[_choose(arrays, variable)]
    else:
        import xarray as xr

        with xr.open_dataset(path) as dataset:
            values = dataset[_choose(dict(dataset.data_vars), variable)].values
    values = np.moveaxis(np.asarray(values, float), time_axis, 0)
    valid = np.asarray(np.isfinite(values).all(axis=0))
    if not valid.any():
        raise ValueError(f"no place of {path} has a value in every month.")
    return MonthlyField(values[:, valid] if values.ndim > 1 else values[:, None], valid)


def _choose(arrays: dict, variable: str | None) -> str:
    if variable is None and len(arrays) == 1:
        return next(iter(arrays))
    if variable is None or variable not in arrays:
        raise ValueError(f"name the variable, one of {sorted(map(str, arrays))}; got {variable!r}.")
    return variable


def monthly_anomalies(
    values: Float[np.ndarray, "months places"], train: int
) -> tuple[Float[np.ndarray, "months places"], Float[np.ndarray, "12 places"]]:
    """Subtract the mean of each calendar month, taken over the first `train` months.

    Args:
        values: months by places, the first row in month 0 of the calendar that is used.
        train: months the means are taken over, at least 12.

    Returns:
        Anomalies, and the twelve means.

    Raises:
        ValueError: if `train` is shorter than a year or longer than the data.

    Examples:
        >>> import numpy as np
        >>> anomalies, means = monthly_anomalies(np.tile(np.arange(12.0), 3)[:, None], 24)
        >>> float(np.abs(anomalies).max()), means[:3, 0].tolist()
        (0.0, [0.0, 1.0, 2.0])
    """
    values = np.asarray(values, float)
    if not 12 <= train <= len(values):
        raise ValueError(f"`train` must lie in 12..{len(values)}, the number of months; got {train}.")
    means = np.stack([values[month:train:12].mean(axis=0) for month in range(12)])
    return values - means[np.arange(len(values)) % 12], means


def persistence_forecast(values: Float[np.ndarray, "months places"], leads: int) -> Float[np.ndarray, "leads places"]:
    """Forecast that nothing changes: the last month, repeated.

    Args:
        values: months by places, up to the present.
        leads: months ahead.

    Returns:
        One row a lead.
    """
    return np.repeat(np.asarray(values)[-1:], leads, axis=0)


def periodic_forecast(values: Float[np.ndarray, "months places"], leads: int) -> Float[np.ndarray, "leads places"]:
    """Forecast that the last twelve months come again.

    Args:
        values: months by places, up to the present, at least twelve.
        leads: months ahead.

    Returns:
        One row a lead.
    """
    return np.asarray(values)[-12:][np.arange(leads) % 12]
