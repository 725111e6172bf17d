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


def verdicts(words: argparse.Namespace) -> int:
    """Judge the findings of finished runs, and return the exit code that says how."""
    from separatrix.study.errors import UsageError
    from separatrix.study.runs import find_runs
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


def report(words: argparse.Namespace) -> int:
    """Write one self-contained page."""
    from separatrix.study.files import write_atomic
    from separatrix.study.report import report_page

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
