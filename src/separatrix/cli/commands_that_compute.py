"""Commands that compute: run, sweep and map."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from .arguments import INTERRUPTED

__all__ = ["run", "sweep", "trace_map"]


def _check_place(words: argparse.Namespace) -> None:
    from separatrix.study.errors import UsageError

    if words.on not in ("local", "ray") and not words.on.startswith("ray://"):
        raise UsageError(f"--on {words.on}: cells run on local, ray or ray://HOST:PORT")
    if words.jobs < 1 or (words.jobs > 1 and words.on != "local"):
        raise UsageError(f"--jobs {words.jobs}: needs at least 1, and --on local")


def run(words: argparse.Namespace) -> int:
    """Run what is missing, show the verdicts, and return the exit code."""
    from separatrix.study.study import find_study

    _check_place(words)
    studies = [find_study(slug) for slug in words.slugs]
    prepared = [(study, _settings(study, words)) for study in studies]
    _use_compilation_cache()
    documents, code = [], 0
    for reference, (study, settings) in zip(words.slugs, prepared, strict=True):
        words.slug = reference
        document, study_code = _run_one(study, settings, words)
        documents.append(document)
        code = max(code, study_code)
        if study_code == INTERRUPTED:
            break
    if words.json:
        print(json.dumps(documents, indent=1, allow_nan=False))
    return code


def _settings(study: Any, words: argparse.Namespace) -> Any:
    from separatrix.study.errors import UsageError
    from separatrix.study.settings import with_overrides

    changes = list(words.changes)
    if words.seeds is not None:
        changes.append(f"seeds={words.seeds}")
    settings = with_overrides(study.presets[words.preset], changes)
    if settings.seeds < 1:
        raise UsageError(f"the number of seeds must be at least 1; got {settings.seeds}")
    return settings


def _folder_only(words: argparse.Namespace, what: str) -> None:
    from separatrix.study.errors import UsageError
    from separatrix.study.remote import is_url

    if is_url(words.store):
        raise UsageError(f"{what} needs a folder, and {words.store} is none; name one with --store")


def _carry_out(study: Any, settings: Any, preset: str, words: argparse.Namespace, over: Any = (), fresh: bool = False):
    """Compute what a run or sweep lacks; return its store and the outcome, None if it was stopped."""
    from separatrix._core.monitor import Cancelled
    from separatrix.study.computing import Job
    from separatrix.study.console import ConsoleReporter
    from separatrix.study.errors import UsageError
    from separatrix.study.execute import execute, execute_on
    from separatrix.study.provenance import provenance
    from separatrix.study.settings import describe
    from separatrix.study.store import open_run
    from separatrix.study.sweep import run_name

    arms = sorted(study.arms) if over else []
    known: dict[str, Any] = {"preset": preset, "settings": describe(settings)}
    name = run_name(study, settings, preset, over)
    if over:
        axes = [[axis.name, list(axis.values), axis.log] for axis in over]
        known["sweep"] = {"preset": words.preset, "over": axes, "arms": words.arms}
    if fresh:
        _folder_only(words, "--fresh, which moves a run aside,")
        _move_aside(Path(words.store) / study.slug / name)
    about = provenance()
    new = not (Path(words.store) / study.slug / name).exists()
    store = open_run(words.store, study.slug, name, create=True, provenance=about, **known)
    workers = _workers(words)
    stop = _StopOnSignal()
    try:
        with stop, ConsoleReporter() as reporter:
            if workers is None:
                return store, execute(study, settings, preset, store, reporter, lambda: stop.requested)
            root = words.store if store.remote else str(Path(words.store).resolve())
            flag = f"{root}/{study.slug}/{name}/stop-{socket.gethostname()}-{os.getpid()}"
            job = Job(words.slug, over, arms, describe(settings), root, study.slug, name, about, flag)
            asked = lambda: stop.requested  # noqa: E731
            return store, execute_on(workers, job, study, settings, preset, store, reporter, asked)
    except Cancelled:
        print("separatrix: stopped; the same command goes on where this one was", file=sys.stderr)
        return store, None
    except UsageError:
        if new:
            _remove_empty(store)
        raise


def _remove_empty(store: Any) -> None:
    """Remove the folder of a run whose settings were refused, unless another process works in it."""
    if not store.remote and not store.committed() and not any((store.folder / "locks").glob("*.json")):
        shutil.rmtree(store.folder, ignore_errors=True)


def _workers(words: argparse.Namespace) -> Any:
    """Return where cells are computed, None for this process."""
    if words.on == "local" and words.jobs == 1:
        return None
    from separatrix.study.workers import ProcessWorkers, RayWorkers

    return ProcessWorkers(words.jobs) if words.on == "local" else RayWorkers(words.on)


def _run_one(study: Any, settings: Any, words: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from .commands_that_show import judged

    store, outcome = _carry_out(study, settings, words.preset, words, fresh=words.fresh)
    if outcome is None:
        return {"study": study.slug, "preset": words.preset, "store": store.place, "stopped": True}, INTERRUPTED
    verdicts = judged(study, store, words.preset, words.json)[1] if store.committed() else []
    document = {
        "study": study.slug,
        "preset": words.preset,
        "store": store.place,
        "computed": outcome.computed,
        "kept": outcome.kept,
        "failed": outcome.failed,
        "seconds": round(outcome.seconds, 1),
        "verdicts": verdicts,
    }
    if not words.json:
        print(f"{outcome.computed} cells computed, {outcome.kept} kept, in {outcome.seconds:.0f} s: {store.place}")
    return document, 1 if outcome.failed else 0


def sweep(words: argparse.Namespace) -> int:
    """Run a study's arms over a grid, draw them, and return the exit code."""
    from separatrix.study.idle_arms import check_variable, leave_out_idle, told
    from separatrix.study.study import find_study
    from separatrix.study.sweep import parse_over, sweep_of
    from separatrix.study.sweep_drawing import draw_sweep

    _check_place(words)
    study = find_study(words.slug)
    settings = _settings(study, words)
    over = [parse_over(settings, text) for text in words.over]
    swept, settings = sweep_of(study, settings, over, words.arms)
    _use_compilation_cache()
    swept, idle = leave_out_idle(study, swept, over)
    if idle:
        print(f"separatrix: left out: {told(idle)}", file=sys.stderr)
    if words.show:
        check_variable(study, [arm for arm in swept.arms if arm not in idle], over, words.show)
    store, outcome = _carry_out(swept, settings, "sweep", words, over)
    if outcome is None:
        return INTERRUPTED
    if not store.committed():
        return 1
    results = store.results()
    drawn = draw_sweep(study, results, over, words.show, store.folder / "figures")
    document = {
        "study": study.slug,
        "store": store.place,
        "axes": {axis.name: list(axis.values) for axis in over},
        "computed": outcome.computed,
        "kept": outcome.kept,
        "failed": outcome.failed,
        "seconds": round(outcome.seconds, 1),
        "figures": [str(path) for path in drawn],
        "left_out": sorted(idle),
    }
    if words.json:
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        sizes = " x ".join(f"{len(axis.values)} {axis.name}" for axis in over)
        print(f"{sizes}: {outcome.computed} cells computed, {outcome.kept} kept, in {outcome.seconds:.0f} s")
        print(f"results: {store.place}/results.zarr", *(f"figure: {path}" for path in drawn), sep="\n")
    return 1 if outcome.failed else 0


def trace_map(words: argparse.Namespace) -> int:
    """Trace the boundary of a regime, draw it, and return the exit code."""
    from separatrix.study.errors import UsageError
    from separatrix.study.figures import save
    from separatrix.study.files import write_atomic
    from separatrix.study.regime_map import draw_map, map_folder, map_regime, parse_ranges
    from separatrix.study.settings import with_overrides
    from separatrix.study.study import find_study

    _folder_only(words, "a map")
    study = find_study(words.slug)
    settings = with_overrides(study.presets[words.preset], words.changes)
    if words.regime is None and len(study.regimes) != 1:
        raise UsageError(f"choose one with --regime: {', '.join(study.regimes) or 'this study declares none'}")
    name = words.regime or next(iter(study.regimes))
    ranges = parse_ranges(study, settings, words.over)
    if words.seeds < 1:
        raise UsageError(f"the number of seeds must be at least 1; got {words.seeds}")
    options = {"resolution": words.resolution, "coarse": words.coarse, "confidence": words.confidence}
    folder = map_folder(words.store, study, settings, name, {"ranges": ranges, "preset": words.preset})
    _use_compilation_cache()
    with _counter() as progress:
        found = map_regime(study, settings, name, ranges, folder, seeds=words.seeds, progress=progress, **options)
    netcdf = found.assign(decided=found.decided.astype("i1"))
    write_atomic(folder / "map.nc", bytes(netcdf.to_netcdf(engine="scipy")))
    save(draw_map(found), folder / "map.png")
    document = {
        "study": study.slug,
        "regime": name,
        "claim": study.regimes[name].claim,
        "axes": list(ranges),
        "runs": found.attrs["runs"],
        "uniform_runs": found.attrs["uniform_runs"],
        "cells": int(found.sizes["cell"]),
        "undecided": int((~found.decided).sum()),
        "store": str(folder),
    }
    if words.json:
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        saved = found.attrs["uniform_runs"] / found.attrs["runs"]
        print(f"{document['claim']}: the boundary crosses {document['cells']} cells of {words.resolution} a side")
        if not document["cells"]:
            print(f"all runs came out alike: no boundary here, or none that {' and '.join(ranges)} decides")
        print(f"{document['runs']:,} runs where a uniform grid takes {document['uniform_runs']:,} ({saved:.1f}x)")
        print(f"map: {folder / 'map.nc'}\nfigure: {folder / 'map.png'}")
    return 0


@contextlib.contextmanager
def _counter():
    """Show the runs of a map as they are done."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("first grid", total=None)
        yield lambda runs, uniform: shown.update(task, description=f"{runs:,} runs (a uniform grid takes {uniform:,})")


def _move_aside(folder: Path) -> None:
    if folder.exists():
        from separatrix.study.files import storing

        number = 1
        while (target := folder.with_name(f".{folder.name}.{number}")).exists():
            number += 1
        with storing(folder):
            folder.rename(target)
        print(f"separatrix: the earlier run was moved to {target}", file=sys.stderr)


class _StopOnSignal:
    """Turns the first interrupt or termination signal into a request; a second one ends the process as usual."""

    def __init__(self):
        self.requested = False
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "_StopOnSignal":
        for number in (signal.SIGINT, signal.SIGTERM):
            self.previous[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: Any) -> None:
        self.requested = True
        signal.signal(number, self.previous[number])
        print("separatrix: stopping after this chunk", file=sys.stderr)

    def __exit__(self, *error: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)


def _use_compilation_cache() -> None:
    """Keep compiled programs between processes: a warm start skips the compiler."""
    import jax

    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "separatrix" / "compiled"
    folder = os.environ.get("SEPARATRIX_CACHE", str(default))
    if folder:
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder  # for processes that this one starts
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
