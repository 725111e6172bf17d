"""The export reaches a real MLflow server, and what it then answers are the numbers of the run."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import xarray as xr

from separatrix.study.errors import UsageError
from separatrix.study.export import export

SECONDS_TO_START = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280), pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module")
def mlflow():
    return pytest.importorskip("mlflow", reason="the package mlflow is missing")


@pytest.fixture(scope="module")
def server(mlflow, tmp_path_factory):
    """Address of a server with an empty database."""
    command = shutil.which("mlflow")
    if command is None:
        pytest.skip("the command mlflow is missing")
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "files")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([command, *words, *places], stdout=log, stderr=log, env=environment)
    address, began = f"http://127.0.0.1:{port}", time.monotonic()
    try:
        while not _answers(address):
            told = (folder / "log").read_text()
            if process.poll() is not None and "ModuleNotFoundError" in told:
                pytest.skip("the server needs the package mlflow; mlflow-skinny is the client alone")
            assert process.poll() is None, told
            assert time.monotonic() - began < SECONDS_TO_START, told
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(address):
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def results():
    random = np.random.default_rng(0)
    loss = random.normal(size=(2, 3, 1_200))
    loss[1, :, 600:] = np.nan  # the second arm is shorter
    return xr.Dataset(
        {
            "loss": (("arm", "seed", "step"), loss),
            "alignment": (("arm", "seed", "step", "layer"), random.normal(size=(2, 3, 1_200, 2))),
            "diverged_at": (("arm", "seed"), np.array([[-1, 3, -1], [-1, -1, 2]])),
        },
        {"arm": ["plain", "heavy ball"], "seed": [0, 1, 2], "step": 10 * np.arange(1, 1_201)},
    )


def curve(client, run, name):
    """Steps and values of a metric, as the server tells them."""
    history = sorted(client.get_metric_history(run.info.run_id, name), key=lambda metric: metric.step)
    return [m.step for m in history], [m.value for m in history]


def test_a_server_gives_back_every_number(mlflow, server):
    data = results()
    assert export(data, "demo", "mlflow", server) == server
    client = mlflow.MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name("demo")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert sorted(runs) == sorted(f"{arm}-{seed}" for arm in ("plain", "heavy_ball") for seed in range(3))
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for arm in ("plain", "heavy ball"):
        for seed in range(3):
            run, wanted = runs[f"{arm.replace(' ', '_')}-{seed}"], data.sel(arm=arm, seed=seed)
            assert run.data.params == {"arm": arm, "seed": str(seed)}
            steps, values = curve(client, run, "loss")
            present = wanted.loss.dropna("step")
            assert steps == present.step.values.tolist()
            assert values == present.values.tolist()  # doubles go through JSON and SQL without loss
            assert curve(client, run, "alignment/layer_1")[1] == wanted.alignment.isel(layer=1).values.tolist()
            assert curve(client, run, "diverged_at") == ([0], [float(wanted.diverged_at)])


def test_a_second_export_joins_the_experiment(mlflow, server):
    small = results().isel(step=slice(3))
    for _ in range(2):
        export(small, "twice", "mlflow", server)
    client = mlflow.MlflowClient(tracking_uri=server)
    assert len(client.search_runs([client.get_experiment_by_name("twice").experiment_id])) == 12


def test_a_folder_becomes_a_database_that_mlflow_opens(mlflow, tmp_path):
    pytest.importorskip("sqlalchemy", reason="the package sqlalchemy is missing")
    small = results().isel(step=slice(3))
    address = export(small, "demo", "mlflow", str(tmp_path / "out"))
    client = mlflow.MlflowClient(tracking_uri=address)
    runs = client.search_runs([client.get_experiment_by_name("demo").experiment_id])
    assert len(runs) == 6


def test_a_server_that_is_not_there_is_one_line(mlflow, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(UsageError, match=f"mlflow at {address}: ") as error:
        export(results().isel(step=slice(3)), "demo", "mlflow", address)
    assert len(str(error.value).splitlines()) == 1
