"""The pages to compare two runs, and to look at a traced boundary."""

from collections.abc import Mapping, Sequence
from html import escape

from separatrix.study.finding import Verdict
from separatrix.study.runs import Run
from separatrix.study.verdicts import number

from .catalogue import StoredMap
from .comparison import Difference
from .markup import notice, page, pill, table
from .run_page import curves_panel

__all__ = ["choose_two_page", "compare_page", "map_page"]


def choose_two_page(runs: Sequence[Run], chosen: Sequence[str], message: str, csrf: str) -> str:
    """The form that asks for two runs.

    Args:
        runs: of the store.
        chosen: names that were given.
        message: what was wrong with them.
        csrf: secret that changes are sent with.
    """

    def select(label: str, name: str, wanted: str) -> str:
        options = "".join(
            f'<option value="{escape(value)}"{" selected" if value == wanted else ""}>{escape(run.slug)} '
            f"{escape(run.preset)} {escape(run.settings_hash)}</option>"
            for run in runs
            for value in (f"{run.slug}/{run.settings_hash}",)
        )
        control = f'<select id="{name}" name="run">{options}</select>'
        return f'<div class="field"><label for="{name}">{label}</label>{control}</div>'

    error = f'<p class="error" role="alert">{escape(message)}</p>' if message else ""
    first, second = [*chosen, "", ""][:2]
    form = (
        f'<form method="get" action="/compare"><div class="fields">{select("First run", "first", first)}'
        f"{select('Second run', 'second', second)}</div>"
        f'<p class="actions"><button type="submit">Compare</button></p></form>'
        if runs
        else "<p>There is no run here yet.</p>"
    )
    return page("Compare", f"<h1>Compare two runs</h1>{error}{form}", csrf, here="/compare")


def compare_page(
    runs: tuple[Run, Run],
    settings: Sequence[Difference],
    verdicts: Sequence[tuple[str, Verdict | None, Verdict | None]],
    claims: Mapping[str, str],
    remarks: Sequence[str],
    csrf: str,
) -> str:
    """Two runs side by side.

    Args:
        runs: both.
        settings: of both.
        verdicts: of both, by finding.
        claims: of the findings, by id.
        remarks: why verdicts are missing.
        csrf: secret that changes are sent with.
    """
    names = [f"{run.slug}/{run.settings_hash}" for run in runs]
    heads = "".join(
        f'<li><b>{letter}</b> <a href="/runs/{escape(name)}">{escape(run.slug)} {escape(run.preset)} '
        f"<code>{escape(run.settings_hash)}</code></a></li>"
        for letter, name, run in zip("AB", names, runs, strict=True)
    )
    judged = [
        (f"<b>{escape(name)}</b> {escape(claims.get(name, ''))}", *(_judged(v) for v in pair), _change(*pair))
        for name, *pair in verdicts
    ]
    columns = {"Finding": False, "A": False, "B": False, "Change": False}
    findings = table("Verdicts", columns, judged, "compared") if judged else "<p>Neither run has verdicts.</p>"
    different = [
        (f"<code>{escape(d.name)}</code>", f"<b>{escape(d.first)}</b>", f"<b>{escape(d.second)}</b>")
        for d in settings
        if d.differs
    ]
    same = [(f"<code>{escape(d.name)}</code>", escape(d.first)) for d in settings if not d.differs]
    two = {"Setting": False, "A": False, "B": False}
    diff = table("Settings that differ", two, different, "settings") if different else "<p>No setting differs.</p>"
    rest = table("Settings in common", {"Setting": False, "Both": False}, same, "settings")
    body = f"""
<h1>Compare two runs</h1><ul class="pair">{heads}</ul>
<section aria-labelledby="h-diff"><h2 id="h-diff">Settings that differ</h2>{diff}
<details><summary>{len(same)} settings in common</summary>{rest}</details></section>
<section aria-labelledby="h-verdicts"><h2 id="h-verdicts">Verdicts</h2>
{"".join(map(notice, remarks))}{findings}</section>
{curves_panel("Curves", names, single=False)}
<p><a href="/compare">Compare others</a></p>"""
    return page("Compare", body, csrf, plots=True, here="/compare")


def _judged(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not tested"
    interval = f"{number(verdict.effect)} ({number(verdict.low)} to {number(verdict.high)})"
    return f'{pill(verdict.verdict)} <span class="small">{escape(interval)}, {verdict.seeds} seeds</span>'


def _change(first: Verdict | None, second: Verdict | None) -> str:
    if first is None or second is None:
        return "tested by one only"
    return "same" if first.verdict == second.verdict else "<b>differs</b>"


def map_page(found: StoredMap, title: str, csrf: str) -> str:
    """A traced boundary, or one that is being traced.

    Args:
        found: the map.
        title: of its study.
        csrf: secret that changes are sent with.
    """
    name = f"{escape(found.slug)}/{escape(found.name)}"
    plot = (
        f'<section data-map="{name}" aria-label="Map of a regime"><div class="controls"></div><div class="plots">'
        f'<p class="small">reading …</p></div></section>'
    )
    body = (
        f'<p class="eyebrow">{escape(found.slug)} · map {escape(found.name)}</p><h1>{escape(title)}</h1>'
        f'<div data-tracing="{name}" data-stamp="{found.stamp}"><div data-job-box hidden></div>'
        f'<p class="small" data-runs></p></div>{plot if found.finished else ""}<p><a href="/">All runs</a></p>'
    )
    return page(f"Map of {found.slug}", body, csrf, plots=found.finished)
