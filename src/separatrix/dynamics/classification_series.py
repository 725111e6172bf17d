"""Classification sets of series: rows of scikit-learn's digits, and archives in the formats of UCR."""

import importlib.util
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

__all__ = ["SeriesSet", "digit_rows", "load_series_set", "packaged_sets"]


class SeriesSet(NamedTuple):
    """A classification set with its published split.

    Attributes:
        name: of the set.
        train: series, one a row; of a set of several channels, the first.
        labels: their classes.
        test: series.
        truth: their classes.
    """

    name: str
    train: Float[np.ndarray, "n T"]
    labels: np.ndarray
    test: Float[np.ndarray, "m T"]
    truth: np.ndarray


def digit_rows(count: int = 600, seed: int = 0) -> SeriesSet:
    """Scikit-learn's 8 x 8 digits read row by row, as series of 64 samples.

    Args:
        count: training images; the rest is the test set.
        seed: of the split.

    Returns:
        The set.

    Examples:
        >>> digit_rows().train.shape
        (600, 64)
    """
    from sklearn.datasets import load_digits

    data: Any = load_digits(return_X_y=True)
    images, labels = data
    order = np.random.default_rng(seed).permutation(len(images))
    first, rest = order[:count], order[count:]
    return SeriesSet("digits", images[first], labels[first], images[rest], labels[rest])


def load_series_set(folder: str | Path, name: str | None = None) -> SeriesSet:
    """Read one set of an archive: `NAME_TRAIN.ts` and `NAME_TEST.ts`, or the same with `.tsv` or `.txt`.

    Missing values are interpolated along time; shorter series are continued by their last value. Of several channels
    the first is read.

    Args:
        folder: holds the two files, in itself or in a folder called `name`.
        name: of the set; that of the folder by default.

    Returns:
        The set.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file has no series.

    References:
        Dau et al. (2019), IEEE/CAA J. Autom. Sinica 6, 1293-1305.
    """
    folder = Path(folder)
    name = name or folder.name
    parts = []
    for part in ("TRAIN", "TEST"):
        tried = [f / f"{name}_{part}{end}" for f in (folder, folder / name) for end in (".ts", ".tsv", ".txt")]
        path = next((p for p in tried if p.is_file()), None)
        if path is None:
            raise FileNotFoundError(f"there is no {name}_{part}.ts, .tsv or .txt in {folder} or {folder / name}.")
        parts.append(_read_ts(path) if path.suffix == ".ts" else _read_tsv(path))
    longest = max(len(x) for rows, _ in parts for x in rows)
    (train, labels), (test, truth) = ((np.stack([_filled(x, longest) for x in rows]), y) for rows, y in parts)
    return SeriesSet(name, train, labels, test, truth)


def _read_ts(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    rows, labels, data = [], [], False
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            data = data or line.lower().startswith("@data")
            continue
        if not data:
            continue
        *channels, label = line.split(":")
        if not channels:
            raise ValueError(f"{path.name}: a line has no class after its last colon.")
        rows.append(np.array([np.nan if v.strip() == "?" else float(v) for v in channels[0].split(",")]))
        labels.append(label.strip())
    if not rows:
        raise ValueError(f"{path.name} has no series.")
    return rows, np.array(labels)


def _read_tsv(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    table = np.atleast_2d(np.genfromtxt(path, delimiter="\t" if path.suffix == ".tsv" else None))
    if not table.size:
        raise ValueError(f"{path.name} has no series.")
    rows = []
    for row in table[:, 1:]:
        last = np.flatnonzero(np.isfinite(row))
        rows.append(row[: last[-1] + 1] if len(last) else row)
    return rows, table[:, 0].astype(str)


def _filled(x: np.ndarray, length: int) -> np.ndarray:
    known = np.isfinite(x)
    if not known.any():
        raise ValueError("a series has no value at all.")
    t = np.arange(len(x))
    x = np.interp(t, t[known], x[known])
    return np.pad(x, (0, length - len(x)), mode="edge")


def packaged_sets() -> dict[str, Path]:
    """Sets in the UCR format that ship inside installed packages (aeon, sktime); the packages are not imported.

    Returns:
        Folders by name; empty if neither package is there.

    Examples:
        >>> all(folder.is_dir() for folder in packaged_sets().values())
        True
    """
    found = {}
    for package in ("sktime", "aeon"):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            for path in sorted(Path(place).glob("datasets/**/*_TRAIN.ts")):
                name = path.name.removesuffix("_TRAIN.ts")
                if path.with_name(f"{name}_TEST.ts").is_file():
                    found[name] = path.parent
    return found
