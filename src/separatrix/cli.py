"""The command line. Heavy imports wait until a command needs them, so that `--help` answers at once."""

import argparse
import contextlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

PRESETS = ("quick", "default", "thorough", "full")
EXPORTS = ("csv", "parquet", "tensorboard", "mlflow")
REPRODUCED, NOT_REPRODUCED, BAD_INPUT, INCONCLUSIVE, INTERRUPTED = 0, 1, 2, 3, 130


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Say what is wrong in one line."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (try {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="separatrix", description="A laboratory for learning dynamics.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    store = _Parser(add_help=False)
    store.add_argument("--store", metavar="DIR|URL", default="runs", help="folder, or URL, of all runs (default: runs)")
    store.add_argument("--debug", action="store_true", help="show the traceback of an error")
    as_json = _Parser(add_help=False)
    as_json.add_argument("--json", action="store_true", help="print one JSON document and nothing else")

    command = commands.add_parser("list", parents=[as_json], help="show the studies")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    command = commands.add_parser("explain", help="show a study's claim, method, arms, findings and citation")
    command.add_argument("slug")
    command.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)

    place = _Parser(add_help=False)
    place.add_argument("--on", default="local", metavar="WHERE", help="local (default), ray, or ray://HOST:PORT")
    place.add_argument("--jobs", type=int, default=1, metavar="N", help="processes on this machine (default: 1)")

    command = commands.add_parser(
        "run", parents=[store, as_json, place], help="run what is missing, then show the verdicts"
    )
    command.add_argument("slugs", nargs="+", metavar="SLUG")
    command.add_argument("--preset", choices=PRESETS, default="default", help="size of the study (default: default)")
    command.add_argument("--seeds", type=int, metavar="N", help="number of seeds")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="a setting")
    again = command.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="keep what is finished (the default)")
    again.add_argument("--fresh", action="store_true", help="move an earlier run aside and start over")

    size = _Parser(add_help=False)
    size.add_argument("--preset", choices=PRESETS, default="default", help="settings to start from (default: default)")
    size.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="changes", help="a setting")

    command = commands.add_parser("sweep", parents=[store, as_json, size, place], help="run a study's arms over a grid")
    command.add_argument("slug", metavar="SLUG")
    command.add_argument(
        "--over", action="append", required=True, metavar="KEY=LOW:HIGH[:log]:N|A,B,C", help="an axis; may be repeated"
    )
    command.add_argument("--arm", action="append", default=[], dest="arms", metavar="ARM", help="default: every arm")
    command.add_argument("--seeds", type=int, metavar="N", help="number of seeds")
    command.add_argument("--show", metavar="VARIABLE", help="what to draw (default: the first that was measured)")

    command = commands.add_parser("map", parents=[store, as_json, size], help="trace the boundary between two regimes")
    command.add_argument("slug", metavar="SLUG")
    command.add_argument(
        "--over", required=True, metavar="A=LOW:HIGH[:log],B=...", help="ranges of one, two or three settings"
    )
    command.add_argument("--regime", metavar="NAME", help="one of the study's (default: the only one)")
    command.add_argument("--resolution", type=int, default=64, metavar="N", help="cells a side (default: 64)")
    command.add_argument("--coarse", type=int, default=8, metavar="N", help="cells a side at first (default: 8)")
    command.add_argument("--seeds", type=int, default=1, metavar="N", help="most runs at a point (default: 1)")
    command.add_argument("--confidence", type=float, default=0.95, help="that a point is on its side (default: 0.95)")

    command = commands.add_parser("verdicts", parents=[store, as_json], help="judge the findings of finished runs")
    command.add_argument("slugs", nargs="*", metavar="SLUG")
    command.add_argument("--preset", choices=PRESETS, help="judge the latest run of this preset")

    command = commands.add_parser("report", parents=[store], help="write one self-contained page")
    command.add_argument("slugs", nargs="+", metavar="SLUG")
    command.add_argument("-o", "--output", default="report.html", metavar="FILE", help="default: report.html")
    command.add_argument("--preset", choices=PRESETS, help="report the latest run of this preset")

    command = commands.add_parser("export", parents=[store], help="hand the results to another tool")
    command.add_argument("slug", metavar="SLUG")
    command.add_argument("--to", required=True, choices=EXPORTS, help="format")
    command.add_argument("-o", "--output", metavar="PLACE", help="folder, or tracking address for mlflow")
    command.add_argument("--preset", choices=PRESETS, help="export the latest run of this preset")

    command = commands.add_parser("view", parents=[store], help="serve a live web page over the store")
    command.add_argument("files", nargs="*", metavar="FILE.py", help="studies of your own, beside those installed")
    command.add_argument("--port", type=int, default=8765, help="0 takes a free one (default: 8765)")
    command.add_argument("--host", default="127.0.0.1", help="other than this machine's loopback only with --token")
    command.add_argument("--token", metavar="T", help="secret that a visitor must know")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        arguments: words after the program's name; those of the process by default.

    Returns:
        The exit code: 0 done, 1 a finding is not reproduced or a cell failed, 2 bad input, 3 inconclusive, 130 stopped.
    """
    parser = _parser()
    words = parser.parse_args(arguments)
    if words.version:
        from separatrix import __version__

        print(__version__)
        return 0
    if words.command is None:
        parser.print_help()
        return 0
    from separatrix.study.errors import UsageError
    from separatrix.study.files import StoreError

    try:
        return _COMMANDS[words.command](words)
    except (UsageError, StoreError) as error:
        if words.debug:
            traceback.print_exc()
        print(f"separatrix: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:  # the reader of our output has gone, as in `separatrix list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _list(words: argparse.Namespace) -> int:
    from separatrix.study.study import all_studies

    rows = [
        {
            "slug": study.slug,
            "seed": study.seed,
            "domain": study.domain,
            "question": study.question,
            "cost": study.costs.get("default", ""),
        }
        for study in all_studies().values()
    ]
    if words.json:
        print(json.dumps(rows, indent=1))
        return 0
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("study", "seed", "domain", "question", "default preset"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(row["slug"], str(row["seed"]), row["domain"], row["question"], row["cost"])
    Console(highlight=False).print(table)
    return 0


def _explain(words: argparse.Namespace) -> int:
    from separatrix.study.explain import explain
    from separatrix.study.study import find_study

    print(explain(find_study(words.slug)))
    return 0


def _check_place(words: argparse.Namespace) -> None:
    from separatrix.study.errors import UsageError

    if words.on not in ("local", "ray") and not words.on.startswith("ray://"):
        raise UsageError(f"--on {words.on}: cells run on local, ray or ray://HOST:PORT")
    if words.jobs < 1 or (words.jobs > 1 and words.on != "local"):
        raise UsageError(f"--jobs {words.jobs}: needs at least 1, and --on local")


def _run(words: argparse.Namespace) -> int:
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
    from separatrix.study.execute import execute, execute_on
    from separatrix.study.provenance import provenance
    from separatrix.study.settings import describe
    from separatrix.study.store import open_run
    from separatrix.study.sweep import run_name

    arms = sorted(study.arms) if over else []
    name = run_name(study, settings, preset, over)
    if fresh:
        _folder_only(words, "--fresh, which moves a run aside,")
        _move_aside(Path(words.store) / study.slug / name)
    known, about = {"settings": describe(settings)}, provenance()
    store = open_run(words.store, study.slug, name, create=True, preset=preset, provenance=about, **known)
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


def _workers(words: argparse.Namespace) -> Any:
    """Return where cells are computed, None for this process."""
    if words.on == "local" and words.jobs == 1:
        return None
    from separatrix.study.workers import ProcessWorkers, RayWorkers

    return ProcessWorkers(words.jobs) if words.on == "local" else RayWorkers(words.on)


def _run_one(study: Any, settings: Any, words: argparse.Namespace) -> tuple[dict[str, Any], int]:
    from separatrix.study.verdicts import print_verdicts, verdicts_of

    store, outcome = _carry_out(study, settings, words.preset, words, fresh=words.fresh)
    if outcome is None:
        return {"study": study.slug, "preset": words.preset, "store": store.place, "stopped": True}, INTERRUPTED
    verdicts = verdicts_of(study, words.preset, store.results()) if store.committed() else []
    document = {
        "study": study.slug,
        "preset": words.preset,
        "store": store.place,
        "computed": outcome.computed,
        "kept": outcome.kept,
        "failed": outcome.failed,
        "seconds": round(outcome.seconds, 1),
        "verdicts": [verdict.to_json(study.slug, words.preset) for verdict in verdicts],
    }
    if not words.json:
        if store.committed():
            print_verdicts(study, words.preset, verdicts)
        print(f"{outcome.computed} cells computed, {outcome.kept} kept, in {outcome.seconds:.0f} s: {store.place}")
    return document, 1 if outcome.failed else 0


def _sweep(words: argparse.Namespace) -> int:
    from separatrix.study.study import find_study
    from separatrix.study.sweep import draw_sweep, parse_over, sweep_of

    _check_place(words)
    study = find_study(words.slug)
    settings = _settings(study, words)
    over = [parse_over(settings, text) for text in words.over]
    swept, settings = sweep_of(study, settings, over, words.arms)
    _use_compilation_cache()
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
    }
    if words.json:
        print(json.dumps(document, indent=1, allow_nan=False))
    else:
        sizes = " x ".join(f"{len(axis.values)} {axis.name}" for axis in over)
        print(f"{sizes}: {outcome.computed} cells computed, {outcome.kept} kept, in {outcome.seconds:.0f} s")
        print(f"results: {store.place}/results.zarr", *(f"figure: {path}" for path in drawn), sep="\n")
    return 1 if outcome.failed else 0


def _map(words: argparse.Namespace) -> int:
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


def _found(words: argparse.Namespace, slug: str) -> tuple[Any, Any, str]:
    """Return study, store and preset of the latest run to look at."""
    from separatrix.study.remote_runs import pull
    from separatrix.study.store import open_run
    from separatrix.study.study import find_study
    from separatrix.study.verdicts import latest_run

    study = find_study(slug)
    run = latest_run(words.store, study.slug, words.preset)
    store = open_run(words.store, study.slug, run.settings_hash)
    for line in pull(store):
        print(f"separatrix: {line}", file=sys.stderr)
    return study, store, run.preset


def _verdicts(words: argparse.Namespace) -> int:
    from separatrix.study.errors import UsageError
    from separatrix.study.store import find_runs
    from separatrix.study.study import all_studies
    from separatrix.study.verdicts import print_verdicts, verdicts_of

    slugs = words.slugs or sorted(
        {run.slug for run in find_runs(words.store)[0] if run.preset not in ("quick", "sweep")}
    )
    if not slugs:
        raise UsageError(f"there is no finished run in {words.store}; start one with: separatrix run SLUG")
    documents, judgements = [], set()
    known = all_studies() if not words.slugs else {}
    for slug in slugs:
        if not words.slugs and slug not in known:
            print(f"separatrix: {slug} is not a study of this version; name its file to judge it", file=sys.stderr)
            continue
        study, store, preset = _found(words, slug)
        verdicts = verdicts_of(study, preset, store.results())
        judgements |= {verdict.verdict for verdict in verdicts}
        documents += [verdict.to_json(study.slug, preset) for verdict in verdicts]
        if not words.json:
            print_verdicts(study, preset, verdicts)
    if words.json:
        print(json.dumps(documents, indent=1, allow_nan=False))
    if "not reproduced" in judgements:
        return NOT_REPRODUCED
    return INCONCLUSIVE if "inconclusive" in judgements or not judgements else REPRODUCED


def _report(words: argparse.Namespace) -> int:
    from separatrix.study.files import write_atomic
    from separatrix.study.report import report_page

    page = report_page([_found(words, slug) for slug in words.slugs])
    write_atomic(Path(words.output), page.encode())
    print(words.output)
    return 0


def _export(words: argparse.Namespace) -> int:
    from separatrix.study.export import export

    study, store, preset = _found(words, words.slug)
    print(export(store.results(), f"{study.slug}-{preset}", words.to, words.output))
    return 0


def _view(words: argparse.Namespace) -> int:
    from separatrix.study.store import copy_of
    from separatrix.view import serve_view

    folder = copy_of(words.store)
    if folder != words.store:
        print(f"separatrix: showing {folder}, a copy as of now; what is run from the page stays there", file=sys.stderr)
    serve_view(folder, host=words.host, port=words.port, token=words.token, files=words.files)
    return 0


_COMMANDS = {
    "list": _list,
    "explain": _explain,
    "run": _run,
    "sweep": _sweep,
    "map": _map,
    "verdicts": _verdicts,
    "report": _report,
    "export": _export,
    "view": _view,
}

if __name__ == "__main__":
    sys.exit(main())
