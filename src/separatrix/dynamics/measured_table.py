"""Measurements as people have them - files, frames, arrays - turned into series at equal intervals, with notes."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy.interpolate import PchipInterpolator

__all__ = ["MeasuredSeries", "read_table"]

_TIME_NAMES = (
    *("t", "time", "times", "timestamp", "date", "datetime", "date time", "zeit", "datum", "uhrzeit", "temps"),
    *("tiempo", "seconds", "elapsed", "elapsed time"),
)
_UNIT = re.compile(r"\s*[\[(](.+?)[\])]$|[_ ](s|sec|seconds|ms|us|ns|min|h|hours|d|days|utc)$")
_DATE_PARTS = ("year", "month", "day", "hour", "minute", "second")
LEAST = 100


class MeasuredSeries(NamedTuple):
    """Series at equal intervals.

    Attributes:
        values: shape `(T, D)`, complete.
        dt: time between two samples.
        names: of the columns.
        unit: of time: "s" for timestamps, that in the column's name, "samples" without times.
        notes: what was done to the data, a sentence each.
    """

    values: Float[np.ndarray, "T D"]
    dt: float
    names: tuple[str, ...]
    unit: str
    notes: tuple[str, ...]


def read_table(
    source: Any,
    *,
    time: str | None = None,
    dt: float | None = None,
    columns: Sequence[str] | None = None,
    longest_gap: int = 5,
) -> MeasuredSeries:
    """Read measurements and put them on a grid of equal intervals.

    Text files may have any of the separators `, ; tab |` or blanks, and a decimal point or comma. Without `time`, a
    column named like a time (t, time, timestamp, date, ..., with or without a unit) is taken, or one of dates, or an
    index of dates, or a column that rises by equal steps. Columns that count rows or time are no measurements.

    What is repaired, with a note each: unsorted times are sorted; rows of one time are averaged; columns that are not
    numeric, empty, constant, clocks or parts of a date are left out unless `columns` names them; gaps up to
    `longest_gap` samples are interpolated; irregular times are resampled to their median spacing by monotone cubics; at
    a longer gap the series is cut and its longest complete stretch is kept.

    Args:
        source: path of a CSV, TSV, text or Parquet file, DataFrame, dictionary of columns, xarray object with a
            dimension of time, or array of shape `(T,)` or `(T, D)`.
        time: name of the column of times; or of the dimension of an xarray object.
        dt: time between samples, where there are no times.
        columns: which columns; all numeric ones by default.
        longest_gap: missing samples in a row that are interpolated.

    Returns:
        The series.

    Raises:
        ValueError: if there is nothing numeric that varies, or fewer than 100 samples in a row.
        FileNotFoundError: if the file is not there.

    Examples:
        >>> frame = pd.DataFrame({"t": 0.1 * np.arange(120), "x": np.sin(np.arange(120)), "site": "A"})
        >>> series = read_table(frame)
        >>> series.values.shape, round(series.dt, 6), series.notes
        ((120, 1), 0.1, ("column 'site' is not numeric and was left out",))
    """
    notes: list[str] = []
    frame, time, step, unit = _frame(source, time, notes)
    if dt is not None and not dt > 0:
        raise ValueError(f"`dt` must be positive; got {dt}.")
    if dt is not None and time is not None:
        raise ValueError(f"give `dt` or times, not both; the times are in {time!r}. Leave that column out to use `dt`.")
    times = None
    if time is not None:
        times, unit = _times(pd.Series(frame[time]), time)
        frame = frame.drop(columns=time)
    values, names = _numbers(frame, columns, notes)
    if columns is None:
        values, names, clock = _without_clocks(values, names, times is None and dt is None, notes)
        times = clock if times is None else times
    if times is None:
        step = dt if dt is not None else step
        if step is None:
            step, unit = 1.0, "samples"
            notes.append("no times were given, so the unit of time is the sample")
        values = values.astype(float)
    else:
        times, values = _ordered(times, values, notes)
        values, step = _regular(times, values, longest_gap, notes)
    values = _complete(values, longest_gap, notes)
    values, names = _varying(values, names, notes)
    for name, column in zip(names, values.T, strict=True):
        if (np.diff(column) >= 0).all() or (np.diff(column) <= 0).all():
            notes.append(f"column {name!r} only rises or only falls: a trend or a clock; name the others by `columns`")
    if len(values) < LEAST:
        raise ValueError(f"{len(values)} complete samples in a row are too few; {LEAST} at least are needed.")
    return MeasuredSeries(values, float(step), names, unit, tuple(notes))


def _frame(source: Any, time: str | None, notes: list[str]) -> tuple[pd.DataFrame, str | None, float | None, str]:
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}.")
        source = pd.read_parquet(path) if path.suffix in (".parquet", ".pq") else _text(path, notes)
    if hasattr(source, "to_dataframe") and hasattr(source, "dims"):
        source, time = _from_xarray(source, time)
    if isinstance(source, dict):
        source = pd.DataFrame(source)
    if isinstance(source, pd.Series):
        source = source.to_frame(source.name if source.name is not None else "x")
    if not isinstance(source, pd.DataFrame):
        array = np.asarray(source)
        if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
            raise ValueError(
                f"an array must be numeric, of shape (T,) or (T, D); got shape {array.shape}, dtype {array.dtype}."
            )
        array = array[:, None] if array.ndim == 1 else array
        return pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])]), None, None, "time"
    frame = source.copy()
    frame.columns = [str(c) for c in frame.columns]
    if isinstance(frame.index, pd.DatetimeIndex) and time is None:
        frame = frame.reset_index(names="index of times")
        time = "index of times"
    if time is None:
        time = next((c for c in frame.columns if _UNIT.sub("", c.strip().lower()) in _TIME_NAMES), None)
    if time is None:
        time = next((c for c in frame.columns if pd.api.types.is_datetime64_any_dtype(frame[c])), None)
    if time is not None and time not in frame.columns:
        raise ValueError(f"there is no column {time!r}; the columns are {list(frame.columns)}.")
    return frame, time, None, "time"


def _from_xarray(source: Any, time: str | None) -> tuple[pd.DataFrame, str | None]:
    dim = time or ("time" if "time" in source.dims else next(iter(source.dims)))
    if dim not in source.dims:
        raise ValueError(f"there is no dimension {dim!r}; the dimensions are {list(source.dims)}.")
    variables = source.data_vars if hasattr(source, "data_vars") else {source.name or "x": source}
    data = {}
    for name, variable in variables.items():
        if dim not in variable.dims:
            continue
        flat = np.asarray(variable.transpose(dim, ...)).reshape(variable.sizes[dim], -1)
        for j in range(flat.shape[1]):
            data[str(name) if flat.shape[1] == 1 else f"{name}[{j}]"] = flat[:, j]
    known = dim in source.coords
    frame = pd.DataFrame(({dim: np.asarray(source[dim])} if known else {}) | data)
    return frame, dim if known else None


def _text(path: Path, notes: list[str]) -> pd.DataFrame:
    head = path.read_text(encoding="utf-8-sig", errors="replace")[:20_000]
    lines = [line for line in head.splitlines() if line.strip() and not line.startswith("#")][:50]
    if not lines:
        raise ValueError(f"{path.name} is empty.")
    counts = {s: [line.count(s) for line in lines] for s in (";", "\t", "|", ",")}
    separator = next((s for s, c in counts.items() if min(c) > 0), None)
    if separator is None:
        separator = r"\s+" if all(len(line.split()) > 1 for line in lines) else ","
    decimal = "."
    if separator != ",":
        body = " ".join(lines[1:])
        decimal = "," if _decimal_commas(body) > body.count(".") - body.count(". ") else "."
        dated = any(
            "." in cell and cell.count(".") == 2 for cell in body.split(separator if len(separator) == 1 else None)
        )
        decimal = "," if dated and _decimal_commas(body) else decimal
    if decimal == ",":
        notes.append("numbers were read with a decimal comma")
    try:
        header = None if _numeric_row(lines[0], separator, decimal) else "infer"
        frame = pd.read_csv(
            path, sep=separator, decimal=decimal, comment="#", header=header, encoding="utf-8-sig", engine="python"
        )
    except (pd.errors.ParserError, csv.Error) as error:
        raise ValueError(f"{path.name} is no table: {str(error).splitlines()[0]}") from error
    if header is None:
        frame.columns = [f"x{i}" for i in range(frame.shape[1])]
    return frame


def _decimal_commas(text: str) -> int:
    return sum(a.isdigit() and b == "," and c.isdigit() for a, b, c in zip(text, text[1:], text[2:], strict=False))


def _numeric_row(line: str, separator: str, decimal: str) -> bool:
    cells = line.split(None if separator == r"\s+" else separator)
    try:
        [float(c.replace(decimal, ".")) for c in cells if c.strip()]
    except ValueError:
        return False
    return True


def _times(column: pd.Series, name: str) -> tuple[np.ndarray, str]:
    if pd.api.types.is_numeric_dtype(column):
        named = _UNIT.search(name.strip())
        times, unit = column.to_numpy(float), (named[1] or named[2]) if named else "time"
    elif pd.api.types.is_timedelta64_dtype(column):
        times, unit = column.dt.total_seconds().to_numpy(float), "s"
    else:
        text: Any = column
        if not pd.api.types.is_datetime64_any_dtype(column):
            first = str(column.dropna().iloc[0]) if column.notna().any() else ""
            day_first = "." in first.split(" ")[0]  # 31.12.2024 is written day first
            text = pd.to_datetime(column, errors="coerce", dayfirst=day_first, utc=True)
        if text.isna().all():
            raise ValueError(f"the times in {name!r} are neither numbers nor dates.")
        nanoseconds = text.to_numpy("datetime64[ns]")
        times = (nanoseconds - nanoseconds[~np.isnat(nanoseconds)].min()) / np.timedelta64(1, "s")
        unit = "s"
    return np.asarray(times, float), unit


def _numbers(
    frame: pd.DataFrame, columns: Sequence[str] | None, notes: list[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    if columns is not None:
        missing = [c for c in columns if c not in frame.columns]
        if missing:
            raise ValueError(f"there is no column {missing[0]!r}; the columns are {list(frame.columns)}.")
        frame = pd.DataFrame(frame[list(columns)])
    kept = {}
    for name in frame.columns:
        numbers: Any = pd.to_numeric(frame[name], errors="coerce")
        if pd.api.types.is_bool_dtype(frame[name]) or numbers.notna().sum() < 0.5 * max(frame[name].notna().sum(), 1):
            notes.append(f"column {name!r} is not numeric and was left out")
        elif not numbers.notna().any():
            notes.append(f"column {name!r} is empty and was left out")
        else:
            kept[name] = numbers.to_numpy(float)
    if not kept:
        raise ValueError("there is no numeric column; name the columns that hold measurements by `columns`.")
    values = np.stack(list(kept.values()), axis=1)
    return np.where(np.isfinite(values), values, np.nan), tuple(kept)


def _without_clocks(
    values: np.ndarray, names: tuple[str, ...], wanted: bool, notes: list[str]
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray | None]:
    """Leave out columns that change by equal steps, and parts of dates; the first that counts no rows can be the time.

    The last column stays whatever it is.
    """
    kept, clock = [], None
    dated = "year" in (name.strip().lower() for name in names)
    for j, name in enumerate(names):
        steps = np.diff(values[:, j])
        step = np.median(steps) if np.isfinite(steps).all() and len(steps) else 0.0
        even = step != 0 and np.abs(steps - step).max() <= 1e-2 * abs(step)
        last = not kept and j == len(names) - 1
        if dated and name.strip().lower() in _DATE_PARTS and not last:
            notes.append(f"column {name!r} is a part of a date and was left out; join them to a column of times")
        elif not even or last:
            kept.append(j)
        elif wanted and clock is None and not (step == 1 and values[0, j] in (0, 1)):
            clock = values[:, j]
            notes.append(f"column {name!r} changes by equal steps and was taken for the time")
        else:
            notes.append(f"column {name!r} counts rows or time and was left out")
    return values[:, kept], tuple(names[j] for j in kept), clock


def _ordered(times: np.ndarray, values: np.ndarray, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(times)
    if not known.all():
        notes.append(f"{np.sum(~known)} rows without a time were left out")
        times, values = times[known], values[known]
    if len(times) < 2:
        raise ValueError("fewer than two rows have a time.")
    if (np.diff(times) < 0).any():
        notes.append("times were not in order and have been sorted")
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    unique, index = np.unique(times, return_inverse=True)
    if len(unique) < len(times):
        notes.append(f"{len(times) - len(unique)} rows repeat a time; rows of one time were averaged")
        known = np.isfinite(values)
        sums, counts = np.zeros((len(unique), values.shape[1])), np.zeros((len(unique), values.shape[1]))
        np.add.at(sums, index, np.where(known, values, 0.0))
        np.add.at(counts, index, known)
        times, values = unique, np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    if len(times) < 2:
        raise ValueError("all rows have one time.")
    return times, values


def _regular(times, values, longest_gap, notes) -> tuple[np.ndarray, float]:
    gaps = np.diff(times)
    step = float(np.median(gaps))
    ratio = gaps / step
    if np.allclose(ratio, 1, atol=1e-2):
        return values, float((times[-1] - times[0]) / (len(times) - 1))
    whole = np.round(ratio)
    if np.allclose(ratio, whole, atol=0.05) and whole.min() >= 1 and whole.sum() < 50 * len(times):
        at = np.concatenate([[0], np.cumsum(whole)]).astype(int)
        full = np.full((at[-1] + 1, values.shape[1]), np.nan)
        full[at] = values
        notes.append(f"{at[-1] + 1 - len(times)} samples are missing from an even grid")
        return full, step
    breaks = np.flatnonzero(ratio > longest_gap + 1)
    edges = np.concatenate([[0], breaks + 1, [len(times)]])
    longest = int(np.argmax(np.diff(edges)))
    part = slice(edges[longest], edges[longest + 1])
    if len(breaks):
        notes.append(
            f"{len(breaks)} gaps are longer than {longest_gap} samples; the longest stretch between them is used"
        )
    times, values = times[part], values[part]
    if len(times) < 4:
        raise ValueError("times are too irregular: no four samples in a row lie close together.")
    grid = np.arange(times[0], times[-1] + 1e-9 * step, step)
    columns = []
    for column in values.T:
        known = np.isfinite(column)
        smooth = PchipInterpolator(times[known], column[known], extrapolate=False)(grid) if known.sum() > 3 else None
        columns.append(np.full(len(grid), np.nan) if smooth is None else smooth)
    notes.append(
        f"times are irregular (spacings from {gaps.min():.3g} to {gaps.max():.3g}); resampled every {step:.3g}"
    )
    return np.stack(columns, axis=1), step


def _complete(values: np.ndarray, longest_gap: int, notes: list[str]) -> np.ndarray:
    bad = ~np.isfinite(values)
    if not bad.any():
        return values
    filled = pd.DataFrame(values).interpolate(limit_area="inside").to_numpy(copy=True)
    for j in range(values.shape[1]):  # only gaps that are short enough keep their filling
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bad[:, j].astype(int), [0]])))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first > longest_gap:
                filled[first:last, j] = np.nan
    repaired = int(np.sum(bad & np.isfinite(filled)))
    if repaired:
        notes.append(f"{repaired} missing values in gaps up to {longest_gap} samples were interpolated")
    whole = np.isfinite(filled).all(axis=1)
    if not whole.all():
        edges = np.flatnonzero(np.diff(np.concatenate([[0], whole.astype(int), [0]])))
        if not len(edges):
            raise ValueError("no row is complete; choose columns that were measured together by `columns`.")
        longest = int(np.argmax(edges[1::2] - edges[::2]))
        filled = filled[edges[2 * longest] : edges[2 * longest + 1]]
        notes.append(f"the longest complete stretch is used: {len(filled)} of {len(values)} samples")
    return filled


def _varying(values: np.ndarray, names: tuple[str, ...], notes: list[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    varies = np.ptp(values, axis=0) > 1e-12 * (1 + np.abs(values).max(axis=0)) if len(values) else np.zeros(0, bool)
    for name, yes in zip(names, varies, strict=False):
        if not yes:
            notes.append(f"column {name!r} is constant and was left out")
    if not varies.any():
        raise ValueError("every column is constant; there is no dynamics to look at.")
    return values[:, varies], tuple(n for n, yes in zip(names, varies, strict=True) if yes)
