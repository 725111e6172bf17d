"""The first page: every run in the store with its state and verdicts, maps, and what could not be read."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from separatrix.study.finding import Verdict
from separatrix.study.runs import Run
from separatrix.study.study import Study

from .catalogue import StoredMap
from .markup import page, state_pill, tally

__all__ = ["index_page", "state_summary", "verdict_summary"]

MOST_REASONS = 50


def index_page(
    store: str,
    rows: Sequence[tuple[Run, dict[str, int], Sequence[Verdict] | str | None]],
    maps: Sequence[StoredMap],
    skipped: Sequence[str],
    studies: Mapping[str, Study],
    csrf: str,
) -> str:
    """Write the page.

    Args:
        store: where the runs are.
        rows: run, number of cells by state, and verdicts, why there are none, or None while they are being computed.
        maps: traced boundaries.
        skipped: a line for each folder that could not be read.
        studies: by slug, as far as they are loaded.
        csrf: secret that changes are sent with.
    """
    parts = ["<h1>Runs</h1>", f'<p class="small">Store: <code>{escape(store)}</code></p>']
    if not rows:
        parts.append('<p>There is no run here yet. <a href="/start">Start one</a>.</p>')
    groups: dict[str, list[Any]] = {}
    for row in rows:
        groups.setdefault(row[0].slug, []).append(row)
    if rows:
        parts.append('<form action="/compare" method="get" data-runs><div class="study-list">')
        for slug, runs in groups.items():
            parts.append(_study(slug, runs, studies.get(slug)))
        button = '<button type="submit">Compare the two chosen runs</button>'
        parts.append(f'</div><p class="actions">{button} <span class="error" role="alert"></span></p></form>')
    if maps:
        items = "".join(
            f'<li><a href="/maps/{escape(m.slug)}/{escape(m.name)}">{escape(m.slug)}</a> '
            f"<code>{escape(m.name)}</code>{'' if m.finished else ' (not finished)'}</li>"
            for m in maps
        )
        parts.append(f'<section aria-labelledby="maps"><h2 id="maps">Maps of regimes</h2><ul>{items}</ul></section>')
    if skipped:
        more = [f"and {len(skipped) - MOST_REASONS} more"] if len(skipped) > MOST_REASONS else []
        lines = "".join(f"<li>{escape(line)}</li>" for line in [*skipped[:MOST_REASONS], *more])
        parts.append(
            f'<section aria-labelledby="skipped"><h2 id="skipped">Folders that could not be read</h2>'
            f'<div class="notice"><ul>{lines}</ul></div></section>'
        )
    return page("Runs", "\n".join(parts), csrf, here="/")


def _study(slug: str, runs: Sequence[Any], study: Study | None) -> str:
    title = study.title if study else slug
    eyebrow = f"{study.domain} · {slug}" if study else slug
    items = []
    for run, counts, verdicts in runs:
        address = f"/runs/{escape(run.slug)}/{escape(run.settings_hash)}"
        name = f"{run.slug}/{run.settings_hash}"
        label = f'<label class="choose"><input type="checkbox" name="run" value="{escape(name)}"><span class="unseen">Compare {escape(name)}</span></label>'  # noqa: E501
        items.append(
            f'<li data-run="{escape(name)}">{label}<div><a href="{address}">{escape(run.preset or "run")} '
            f"<code>{escape(run.settings_hash)}</code></a> "
            f'<time class="small" datetime="{escape(run.updated)}">{escape(_when(run.updated))}</time>'
            f'<div class="states">{state_summary(counts)}</div>'
            f'<div class="verdicts">{verdict_summary(verdicts)}</div></div></li>'
        )
    more = (
        f'<p class="small"><a href="/start/{escape(slug)}">Start a run, a sweep or a map of it</a></p>' if study else ""
    )
    return (
        f'<section><h2><span class="eyebrow">{escape(eyebrow)}</span>{escape(title)}</h2>{more}'
        f'<ul class="runs">{"".join(items)}</ul></section>'
    )


def _when(time: str) -> str:
    return time[:16].replace("T", " ") + " UTC" if time else ""


def state_summary(counts: Mapping[str, int]) -> str:
    """How many cells are in which state.

    Args:
        counts: number of cells by state.
    """
    total = sum(counts.values())
    if not total:
        return '<span class="small">no cells yet</span>'
    shown = [state_pill("done", f"{counts.get('done', 0)} of {total} cells")]
    shown += [
        state_pill(state, f"{counts[state]} {state}")
        for state in ("running", "interrupted", "failed")
        if counts.get(state)
    ]
    return " ".join(shown)


def verdict_summary(verdicts: Sequence[Verdict] | str | None) -> str:
    """Counts of verdicts, why there are none, or that they are being computed.

    Args:
        verdicts: or a reason, or None.
    """
    if verdicts is None:
        return '<span class="small">judging …</span>'
    if isinstance(verdicts, str):
        return f'<span class="small">{escape(verdicts)}</span>'
    return tally(verdicts)
