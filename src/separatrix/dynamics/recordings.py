"""Recordings on disk, and their standardisation."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["Standardised", "load_recording", "standardised"]


class Standardised(NamedTuple):
    """Series in units of their standard deviation.

    Attributes:
        series: one array or a list of them, as given.
        mean: of all measurements, shape `(N,)`.
        scale: standard deviation of all measurements, shape `(N,)`.
    """

    series: np.ndarray | list[np.ndarray]
    mean: Float[np.ndarray, " N"]
    scale: Float[np.ndarray, " N"]


def standardised(series: np.ndarray | Sequence[np.ndarray]) -> Standardised:
    """Subtract means and divide by standard deviations, over all series and known measurements.

    Args:
        series: one array of shape `(T, N)`, or several with equal N; NaN where a measurement is missing.

    Returns:
        The standardised series with mean and scale.

    Raises:
        ValueError: if a shape does not fit, or a variable is constant or never measured.

    Examples:
        >>> out = standardised(np.array([[1.0], [3.0]]))
        >>> out.series.tolist(), out.mean.tolist(), out.scale.tolist()
        ([[-1.0], [1.0]], [2.0], [1.0])
    """
    single = getattr(series, "ndim", 0) == 2
    parts = [np.asarray(part, float) for part in ([series] if single else series)]
    if not parts or any(part.ndim != 2 for part in parts):
        raise ValueError(
            "series must have shape (times, variables), one array or a list of them; give one variable as x[:, None]."
        )
    whole = np.concatenate(parts)
    known = np.isfinite(whole).any(axis=0)
    if not known.all():
        raise ValueError(f"variable {int(np.argmin(known))} was never measured; leave it out.")
    mean, scale = np.nanmean(whole, axis=0), np.nanstd(whole, axis=0)
    if not (scale > 0).all():
        raise ValueError(f"variable {int(np.argmin(scale))} is constant; leave it out.")
    done = [(part - mean) / scale for part in parts]
    return Standardised(done[0] if single else done, mean, scale)


def load_recording(path: str | Path) -> dict[str, np.ndarray]:
    """Load an ECG, EEG or other recording from `.npy` files of shape `(T, N)`, times first.

    Args:
        path: one file, or a folder of them.

    Returns:
        Arrays by the name of the file without its ending, in alphabetical order; `float32` or `float64` as stored,
        whole numbers become `float64`.

    Raises:
        ValueError: if there is nothing to load, or an array is no series of measurements; the message names the file.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*.npy"))
    if not files:
        raise ValueError(f"there is no .npy file at {path}.")
    found = {}
    for file in files:
        try:
            array = np.load(file, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise ValueError(f"{file} is no readable .npy file ({str(error).splitlines()[0]}).") from None
        array = array[:, None] if array.ndim == 1 else array
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(f"{file} must hold numbers of shape (times, variables); got {array.dtype}{array.shape}.")
        if array.shape[1] > array.shape[0]:
            raise ValueError(f"{file} has more variables than times, shape {array.shape}; transpose it.")
        found[file.stem] = array if array.dtype.kind == "f" else array.astype(float)
    return found
