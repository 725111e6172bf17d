"""Exports hold the numbers of the run, and a missing package is one line that names the extra."""

import csv
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from separatrix.study.errors import UsageError
from separatrix.study.export import export, tables
from separatrix.study.files import StoreError


@pytest.fixture
def results():
    random = np.random.default_rng(0)
    loss = random.normal(size=(2, 3, 4)).astype(np.float32)
    loss[1, :, 2:] = np.nan  # the second arm is shorter
    return xr.Dataset(
        {
            "loss": (("arm", "seed", "step"), loss),
            "spectrum": (("arm", "seed", "step", "layer"), random.normal(size=(2, 3, 4, 2))),
            "diverged_at": (("arm", "seed"), np.array([[-1, 3, -1], [-1, -1, 2]])),
            "eigenvalue": (("arm", "seed"), random.normal(size=(2, 3)) + 1j),
        },
        {"arm": ["plain", "heavy ball"], "seed": [0, 1, 2], "step": [1, 10, 100, 1000]},
    )


def expected(results):
    real = results.drop_vars("eigenvalue")
    return real.assign(eigenvalue_real=results.eigenvalue.real, eigenvalue_imag=results.eigenvalue.imag)


def csv_columns(path):
    """Columns of a CSV file by name, numbers where they are numbers."""
    with path.open(newline="") as file:
        head, *rows = csv.reader(file)
    columns = dict(zip(head, zip(*rows, strict=True), strict=True))
    return {k: list(v) if k == "arm" else [float(x or "nan") for x in v] for k, v in columns.items()}


def read_back(folder, read, kind):
    """The tables as one Dataset again."""
    parts = []
    for path in sorted(folder.glob(f"*.{kind}")):
        parts.append(read(path).set_index(path.stem.split("-")).to_xarray())
    return xr.merge(parts, join="outer")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_come_back_as_the_same_numbers(tmp_path, results, kind):
    pandas = pytest.importorskip("pandas")
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    assert export(results, "demo", kind, str(tmp_path / "out")) == str(tmp_path / "out")
    read = pandas.read_parquet if kind == "parquet" else lambda p: pandas.DataFrame(csv_columns(p))
    back, right = read_back(tmp_path / "out", read, kind), expected(results)
    assert set(back.data_vars) == set(right.data_vars)
    for name, data in right.data_vars.items():
        found = back[name].sel({d: data[d] for d in data.dims if d in data.coords}).transpose(*data.dims)
        np.testing.assert_array_equal(found.values.astype(data.dtype), data.values, err_msg=str(name))


def test_rows_without_any_measurement_are_left_out(results):
    assert len(tables(results[["loss"]])["arm-seed-step"]) == 3 * 4 + 3 * 2


def events(path):
    """Scalars of a TensorBoard event file: `{tag: {step: value}}`."""
    from tensorboardX.proto.event_pb2 import Event

    data, at, scalars = path.read_bytes(), 0, {}
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = Event.FromString(data[at + 12 : at + 12 + length])  # length, its checksum, the event, its checksum
        at += 16 + length
        for value in event.summary.value:
            scalars.setdefault(value.tag, {})[event.step] = value.simple_value
    return scalars


def test_tensorboard_gets_one_run_for_each_arm_and_seed_and_a_curve_for_each_label(tmp_path, results):
    pytest.importorskip("tensorboardX")
    export(results, "demo", "tensorboard", str(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{a}-{s}" for a in ("heavy_ball", "plain") for s in range(3)]
    (file,) = (tmp_path / "heavy_ball-1").glob("events*")
    scalars = events(file)
    wanted = results.sel(arm="heavy ball", seed=1)
    assert scalars["loss"] == dict(zip([1, 10], wanted.loss.values[:2].tolist(), strict=True))
    spectrum = wanted.spectrum.isel(layer=1).values.astype(np.float32).tolist()
    assert scalars["spectrum/layer_1"] == dict(zip([1, 10, 100, 1000], spectrum, strict=True))
    assert scalars["diverged_at"] == {0: -1.0}
    assert scalars["eigenvalue_imag"] == {0: 1.0}


class FakeMlflow(ModuleType):
    """Keeps what a client sends."""

    def __init__(self, fault=""):
        super().__init__("mlflow")
        self.MlflowException = type("MlflowException", (Exception,), {})
        self.addresses, self.experiments, self.runs, self.fault = [], [], [], fault
        self.MlflowClient = self.client
        entities = ModuleType("mlflow.entities")
        entities.Metric = lambda key, value, timestamp, step: (key, value, step)
        entities.Param = lambda key, value: (key, value)
        self.entities = entities

    def client(self, tracking_uri):
        self.addresses.append(tracking_uri)
        if self.fault:
            raise self.MlflowException(self.fault)
        return self

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id="7") if name in self.experiments else None

    def create_experiment(self, name, artifact_location):
        self.experiments.append(name)
        return "7"

    def create_run(self, experiment_id, run_name):
        assert experiment_id == "7"
        self.runs.append({"name": run_name, "params": {}, "metrics": [], "done": False})
        return SimpleNamespace(info=SimpleNamespace(run_id=len(self.runs) - 1))

    def log_batch(self, run_id, metrics=(), params=()):
        assert len(metrics) <= 1000
        self.runs[run_id]["params"] |= dict(params)
        self.runs[run_id]["metrics"] += metrics

    def set_terminated(self, run_id):
        self.runs[run_id]["done"] = True


def install(monkeypatch, fake):
    monkeypatch.setitem(sys.modules, "mlflow", fake)
    monkeypatch.setitem(sys.modules, "mlflow.entities", fake.entities)
    monkeypatch.setitem(sys.modules, "sqlalchemy", ModuleType("sqlalchemy"))
    return fake


def test_mlflow_gets_labels_as_parameters_and_curves_as_metrics(monkeypatch, tmp_path, results):
    fake = install(monkeypatch, FakeMlflow())
    place = export(results, "demo", "mlflow", str(tmp_path / "ml"))
    assert place == fake.addresses[0] == f"sqlite:///{tmp_path}/ml/mlflow.db"
    assert fake.experiments == ["demo"]
    assert [run["name"] for run in fake.runs] == [f"{a}-{s}" for a in ("plain", "heavy_ball") for s in range(3)]
    assert all(run["done"] for run in fake.runs)
    run = fake.runs[4]
    assert run["params"] == {"arm": "heavy ball", "seed": "1"}
    loss = results.loss.sel(arm="heavy ball", seed=1).values
    assert [m for m in run["metrics"] if m[0] == "loss"] == [("loss", loss[0], 1), ("loss", loss[1], 10)]
    export(results, "demo", "mlflow", "http://server:5000")
    assert fake.addresses[1] == "http://server:5000"
    assert fake.experiments == ["demo"]  # found again
    assert len(fake.runs) == 12


def test_long_curves_reach_mlflow_in_batches_it_accepts(monkeypatch, tmp_path):
    fake = install(monkeypatch, FakeMlflow())
    long = xr.Dataset({"loss": (("seed", "step"), np.ones((1, 2_500)))}, {"seed": [0], "step": np.arange(2_500)})
    export(long, "demo", "mlflow", str(tmp_path))
    assert len(fake.runs[0]["metrics"]) == 2_500


def test_a_refusal_of_mlflow_is_one_line(monkeypatch, tmp_path, results):
    install(monkeypatch, FakeMlflow("no such server\nand much more"))
    with pytest.raises(UsageError, match=r"mlflow at http://x: no such server$"):
        export(results, "demo", "mlflow", "http://x")


@pytest.mark.parametrize(
    ("to", "missing", "extra"),
    [
        ("parquet", "pyarrow", "parquet"),
        ("tensorboard", "tensorboardX", "tensorboard"),
        ("mlflow", "mlflow", "mlflow"),
        ("mlflow", "sqlalchemy", "mlflow"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_extra(monkeypatch, tmp_path, results, to, missing, extra):
    install(monkeypatch, FakeMlflow())
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UsageError) as error:
        export(results, "demo", to, str(tmp_path / "out"))
    assert str(error.value) == f"this needs {missing}; install it with: pip install 'separatrix[{extra}]'"


def test_a_run_without_results_is_refused(tmp_path):
    with pytest.raises(UsageError, match="has no results yet"):
        export(xr.Dataset(), "demo", "csv", str(tmp_path))


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, results):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="could not be written"):
        export(results, "demo", "csv", str(tmp_path / "file"))
