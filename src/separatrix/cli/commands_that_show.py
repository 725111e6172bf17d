"""Commands that show what there is: list, explain, verdicts, report, export and view."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from .arguments import INCONCLUSIVE, NOT_REPRODUCED, REPRODUCED

__all__ = ["explain", "export", "list_studies", "report", "verdicts", "view"]


def list_studies(words: argparse.Namespace) -> int:
    """Show the studies."""
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


def explain(words: argparse.Namespace) -> int:
    """Show a study's claim, method, arms, findings and citation."""
    from separatrix.study.explain import explain as explained
    from separatrix.study.study import find_study

    print(explained(find_study(words.slug)))
    return 0


def _found(words: argparse.Namespace, slug: str) -> tuple[Any, Any, str]:
    """Return study, store and preset of the run to look at."""
    from separatrix.study.choosing import choose_run
    from separatrix.study.errors import UsageError
    from separatrix.study.remote_runs import pull
    from separatrix.study.store import open_run
    from separatrix.study.study import find_study

    if words.run and words.changes:
        raise UsageError("--run and --set name a run each; give one of them")
    study = find_study(slug)
    run = choose_run(words.store, study, words.preset, name=words.run, changes=words.changes)
    store = open_run(words.store, study.slug, run.settings_hash)
    for line in pull(store):
        print(f"separatrix: {line}", file=sys.stderr)
    return study, store, run.preset


def _check_one(words: argparse.Namespace) -> None:
    from separatrix.study.errors import UsageError

    if (words.run or words.changes) and len(words.slugs) != 1:
        raise UsageError("--run and --set name a run of one study; give its SLUG alone")


def verdicts(words: argparse.Namespace) -> int:
    """Judge the findings of finished runs, and return the exit code that says how."""
    from separatrix.study.errors import UsageError
    from separatrix.study.study import all_studies

    _check_one(words)
    slugs = words.slugs or _judged_slugs(words)
    known = all_studies() if not words.slugs else {}
    documents, judgements = [], set()
    for slug in slugs:
        if not words.slugs and slug not in known:
            print(f"separatrix: {slug} is not a study of this version; name its file to judge it", file=sys.stderr)
            continue
        study, store, preset = _found(words, slug)
        if preset not in study.presets:
            raise UsageError(f"a {preset} reaches no verdict; show it with: separatrix report {slug} --run {words.run}")
        verdicts, document = judged(study, store, preset, words.json)
        judgements |= {verdict.verdict for verdict in verdicts}
        documents += document
    if words.json:
        print(json.dumps(documents, indent=1, allow_nan=False))
    if "not reproduced" in judgements:
        return NOT_REPRODUCED
    return INCONCLUSIVE if "inconclusive" in judgements or not judgements else REPRODUCED


def _judged_slugs(words: argparse.Namespace) -> list[str]:
    """The studies that have a run of the preset asked for, any but quick by default."""
    from separatrix.study.choosing import has_results
    from separatrix.study.errors import UsageError
    from separatrix.study.finding import PRESETS
    from separatrix.study.runs import find_runs

    presets = (words.preset,) if words.preset else PRESETS[1:]
    runs = [run for run in find_runs(words.store)[0] if run.preset in presets and has_results(words.store, run)]
    if not runs:
        wanted = f" --preset {words.preset}" if words.preset else ""
        raise UsageError(f"there is no finished run in {words.store}; start one with: separatrix run SLUG{wanted}")
    return sorted({run.slug for run in runs})


def judged(study: Any, store: Any, preset: str, as_json: bool) -> tuple[list[Any], list[dict[str, Any]]]:
    """Judge a run, show its table unless a document is wanted, and return verdicts and documents."""
    from separatrix.study.account import changed_settings, differences
    from separatrix.study.verdicts import print_verdicts, verdicts_of

    verdicts = verdicts_of(study, preset, store.results())
    if not as_json:
        print_verdicts(study, preset, verdicts, differences(study, store, preset))
    changed = changed_settings(study, preset, store.manifest["settings"], but=("seeds",))
    return verdicts, [verdict.to_json(study.slug, preset, store.settings_hash, changed) for verdict in verdicts]


def report(words: argparse.Namespace) -> int:
    """Write one self-contained page."""
    from separatrix.study.files import write_atomic
    from separatrix.study.report import report_page

    _check_one(words)
    page = report_page([_found(words, slug) for slug in words.slugs])
    write_atomic(Path(words.output), page.encode())
    print(words.output)
    return 0


def export(words: argparse.Namespace) -> int:
    """Hand the results to another tool."""
    from separatrix.study.export import export as exported

    study, store, preset = _found(words, words.slug)
    print(exported(store.results(), f"{study.slug}-{preset}", words.to, words.output))
    return 0


def view(words: argparse.Namespace) -> int:
    """Serve a live web page over the store."""
    from separatrix.study.runs import copy_of
    from separatrix.view import serve_view

    folder = copy_of(words.store)
    if folder != words.store:
        print(f"separatrix: showing {folder}, a copy as of now; what is run from the page stays there", file=sys.stderr)
    serve_view(folder, host=words.host, port=words.port, token=words.token, files=words.files)
    return 0
