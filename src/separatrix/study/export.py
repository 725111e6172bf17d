"""Hand results to the tools that people already use."""

import importlib
import re
import time
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .errors import UsageError
from .files import storing

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["export", "tables"]

_METRICS_PER_REQUEST = 1000  # what an MLflow server accepts at once


def export(results: "xr.Dataset", name: str, to: str, output: str | None = None) -> str:
    """Write results in another tool's format.

    Tables hold everything. TensorBoard and MLflow get one run for each arm, grid point and seed, with a curve for each
    variable and label of its other dimensions (`alignment/layer_0`); what is not measured over steps stands at step 0.

    Args:
        results: Dataset of a run.
        name: of the run, used for files and experiments.
        to: `csv`, `parquet`, `tensorboard` or `mlflow`.
        output: folder, or for mlflow also a tracking address; a folder named for the run by default.

    Returns:
        Where the results are now: the folder, or the tracking address for mlflow.

    Raises:
        UsageError: if there are no results, a package is missing (the message names the extra), or MLflow refuses.
        StoreError: if the place cannot be written.
    """
    writers = {"csv": _csv, "parquet": _parquet, "tensorboard": _tensorboard, "mlflow": _mlflow}
    if not results.data_vars:
        raise UsageError(f"{name} has no results yet; run the study first")
    place = output or f"{name}-{to}"
    with storing(Path(place)):
        return writers[to](_without_complex(results), name, place)


def _require(module: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise UsageError(f"this needs {package}; install it with: pip install 'separatrix[{extra}]'") from None


def _without_complex(results: "xr.Dataset") -> "xr.Dataset":
    """Replace complex variables by `<name>_real` and `<name>_imag`, as none of the formats has complex numbers."""
    for variable in [str(v) for v, data in results.data_vars.items() if data.dtype.kind == "c"]:
        data = results[variable]
        results = results.drop_vars(variable).assign({f"{variable}_real": data.real, f"{variable}_imag": data.imag})
    return results


def tables(results: "xr.Dataset") -> "dict[str, pd.DataFrame]":
    """Arrange results as tidy tables, one for each set of dimensions.

    Args:
        results: Dataset of a run.

    Returns:
        Tables by name, such as `arm-seed-step`: a column for each dimension and each variable; rows in which nothing
        was measured are left out.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    for variable in results.data_vars:
        groups.setdefault(tuple(str(d) for d in results[variable].dims), []).append(str(variable))
    out = {}
    for dims, names in groups.items():
        frame = results[names].to_dataframe(dim_order=list(dims) if dims else None)[names]
        out["-".join(dims) or "scalars"] = frame.dropna(how="all").reset_index()
    return out


def _csv(results: "xr.Dataset", name: str, place: str) -> str:
    del name
    Path(place).mkdir(parents=True, exist_ok=True)
    for table, frame in tables(results).items():
        frame.to_csv(Path(place) / f"{table}.csv", index=False)
    return place


def _parquet(results: "xr.Dataset", name: str, place: str) -> str:
    del name
    _require("pyarrow", "parquet")
    Path(place).mkdir(parents=True, exist_ok=True)
    for table, frame in tables(results).items():
        frame.to_parquet(Path(place) / f"{table}.parquet", index=False)
    return place


class _Run(NamedTuple):
    """One arm, grid point and seed: its labels and its curves, lists of `(step, value)` by name."""

    name: str
    labels: dict[str, Any]
    curves: dict[str, list[tuple[int, float]]]


def _runs(results: "xr.Dataset") -> Iterator[_Run]:
    """Cut results into runs: one for each place along the dimensions that all variables share."""
    numeric = [data for data in results.data_vars.values() if data.dtype.kind in "biuf"]
    shared = [str(d) for d in results.dims if d != "step" and all(d in data.dims for data in numeric)]
    for index in np.ndindex(*(results.sizes[d] for d in shared)):
        place = dict(zip(shared, index, strict=True))
        labels = {dim: results[dim].values[i].item() if dim in results.coords else i for dim, i in place.items()}
        curves = {}
        for data in numeric:
            part = data.isel(place)
            own = [d for d in part.dims if d != "step"]
            for at in np.ndindex(*(part.sizes[d] for d in own)):
                chosen = part.isel(dict(zip(own, at, strict=True)))
                words = [str(data.name), *(f"{d}_{_label(part, d, i)}" for d, i in zip(own, at, strict=True))]
                if points := _points(chosen):
                    curves["/".join(words)] = points
        if curves:
            yield _Run("-".join(map(_plain, labels.values())) or "run", labels, curves)


def _points(curve: "xr.DataArray") -> list[tuple[int, float]]:
    values = np.atleast_1d(np.asarray(curve.values, dtype=np.float64))
    steps = np.atleast_1d(curve["step"].values) if "step" in curve.dims else np.zeros(1, np.int64)
    return [(int(step), float(value)) for step, value in zip(steps, values, strict=True) if not np.isnan(value)]


def _label(data: "xr.DataArray", dim: Hashable, i: int) -> str:
    return _plain(data[dim].values[i].item() if dim in data.coords else i)


def _plain(label: Any) -> str:
    """A label in characters that both tools allow in names and folders."""
    return re.sub(r"[^\w.-]", "_", str(label))


def _tensorboard(results: "xr.Dataset", name: str, place: str) -> str:
    del name
    writer_class = _require("tensorboardX", "tensorboard").SummaryWriter
    for run in _runs(results):
        with writer_class(str(Path(place) / run.name)) as writer:
            for variable, points in run.curves.items():
                for step, value in points:
                    writer.add_scalar(variable, value, step)
    return place


def _mlflow(results: "xr.Dataset", name: str, place: str) -> str:
    mlflow, entities = _require("mlflow", "mlflow"), _require("mlflow.entities", "mlflow")
    address, artifacts = place, None
    if "://" not in place:  # a folder of our own; MLflow no longer writes plain files, so it holds a database
        _require("sqlalchemy", "mlflow")
        folder = Path(place).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        address, artifacts = f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
    try:
        client = mlflow.MlflowClient(tracking_uri=address)
        experiment = client.get_experiment_by_name(name)
        experiment_id = experiment.experiment_id if experiment else client.create_experiment(name, artifacts)
        for run in _runs(results):
            _log(client, entities, experiment_id, run)
    except mlflow.MlflowException as error:
        raise UsageError(f"mlflow at {address}: {str(error).strip().splitlines()[0]}") from error
    return place if artifacts is None else address


def _log(client: Any, entities: Any, experiment_id: str, run: _Run) -> None:
    now = round(time.time() * 1000)
    run_id = client.create_run(experiment_id, run_name=run.name).info.run_id
    client.log_batch(run_id, params=[entities.Param(key, str(value)) for key, value in run.labels.items()])
    metrics = [
        entities.Metric(curve, value, now, step) for curve, points in run.curves.items() for step, value in points
    ]
    for start in range(0, len(metrics), _METRICS_PER_REQUEST):
        client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_REQUEST])
    client.set_terminated(run_id)
