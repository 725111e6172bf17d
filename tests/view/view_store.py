"""Stores for tests of the view: runs of the sample study without training, a phase diagram, a map, and damaged runs."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import xarray as xr

from separatrix.study.files import write_atomic
from separatrix.study.identity import settings_hash
from separatrix.study.plan import plan, run_settings
from separatrix.study.settings import describe
from separatrix.study.store import Store, open_run
from separatrix.study.study import find_study

SAMPLE, QUADRATIC = (
    str(Path(__file__).parent.parent / "study" / f"{name}_study.py") for name in ("sample", "quadratic")
)


def fill_sample(root: Path, preset: str = "default", keep: float = 1.0, **changes) -> Store:
    """A run of the sample study with made-up losses; `keep` is the share of its cells that are finished."""
    study = find_study(SAMPLE)
    settings = dataclasses.replace(study.presets[preset], **changes)
    name = settings_hash({"preset": preset, **run_settings(study, settings)})
    store = open_run(root, study.slug, name, create=True, preset=preset, settings=describe(settings))
    cells = plan(study, settings, preset, set())
    store.set_states([cell.id for cell in cells], "waiting")
    steps = np.arange(20, settings.steps + 1, 20)
    for i, cell in enumerate(cells[: round(keep * len(cells))]):
        noise = np.random.default_rng(i).normal(size=(len(cell.seeds), len(steps)))
        loss = np.exp(-steps / settings.steps * (1 + i)) * np.exp(0.1 * noise)
        about = {"units": "nat", "long_name": "training loss"}
        ds = xr.Dataset({"loss": (("seed", "step"), loss, about)}, {"seed": list(cell.seeds), "step": steps})
        store.commit(cell.id, cell.identity, ds)
    if keep == 1.0:
        store.write_results()
    return store


def fill_grid(root: Path) -> Store:
    """A run with three hyper-parameter dimensions, of a study that no version knows."""
    store = open_run(root, "a-grid", "abcdefabcdef", create=True, preset="sweep", settings={"rate": 0.1})
    alpha, rate, width = np.geomspace(0.01, 10, 12), np.linspace(0.1, 1, 10), np.array([16.0, 64, 256])
    size = np.log(alpha)[:, None, None] + 3 * rate[:, None] + np.log(width) / 5
    size = size[None, ..., None] * np.ones((2, 1, 1, 1, 4)) * np.linspace(1, 2, 4)
    coords = {"seed": [0, 1], "alpha": alpha, "rate": rate, "width": width, "step": [1, 10, 100, 1000]}
    ds = xr.Dataset({"size": (tuple(coords), size, {"long_name": "final size"})}, coords)
    store.commit("0" * 16, {"arm": "plain", "seeds": [0, 1], "point": {}}, ds)
    store.write_results()
    return store


def fill_map(root: Path, slug: str = "sample") -> Path:
    """A traced boundary: rate x curvature = 2."""
    from separatrix.numerics import Axis, trace_boundary

    def inside(values, keys):
        return np.repeat((values["rate"] * values["curvature"] > 2)[:, None], len(keys), axis=1)

    import jax

    axes = {"rate": Axis(0.1, 10, log=True), "curvature": Axis(0.1, 10, log=True)}
    found = trace_boundary(inside, axes, jax.random.key(0), resolution=32)
    found.attrs |= {"study": slug, "regime": "diverges", "claim": "descent <diverges>"}
    folder = root / slug / "maps" / "0123456789ab"
    folder.mkdir(parents=True)
    netcdf = found.assign(decided=found.decided.astype("i1"))
    write_atomic(folder / "map.nc", bytes(netcdf.to_netcdf(engine="scipy")))
    return folder


def break_manifest(root: Path) -> None:
    """A run whose manifest is half a file."""
    folder = root / "sample" / "badbadbadbad"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"schema": 1})[:-3])


def fill_damaged(root: Path) -> Store:
    """A run all of whose cells are damaged, with a hostile name among its settings."""
    nasty = {"<script>alert(1)</script>": "<img src=x onerror=alert(1)>"}
    store = open_run(root, "damaged", "deaddeaddead", create=True, preset="default", settings=nasty)
    (store.cells).mkdir(exist_ok=True)
    (store.cells / f"{'1' * 16}.npz").write_bytes(b"not an archive")
    store.set_states(["2" * 16], "failed", "ValueError: <b>no</b>")
    return store
