"""The page of one run: verdicts, findings, curves, phase diagrams, cells, settings and where it came from."""

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from separatrix.study.account import changed_settings, published_text, run_command
from separatrix.study.figures import effect_strip
from separatrix.study.finding import Finding, Verdict
from separatrix.study.identity import plain
from separatrix.study.runs import Run
from separatrix.study.settings import describe
from separatrix.study.study import Study
from separatrix.study.verdicts import number

from .catalogue import StoredMap
from .markup import notice, page, pill, table, tally

__all__ = ["broken_page", "curves_panel", "findings_of", "run_page"]

LEGEND = """<p class="legend small" aria-hidden="true">
<span><svg viewBox="0 0 24 14"><rect class="region" width="24" height="14"/><path class="threshold" d="M1 0V14"/></svg>expected region</span>
<span><svg viewBox="0 0 24 14"><circle class="seed" cx="12" cy="7" r="4"/></svg>a seed</span>
<span><svg viewBox="0 0 24 14"><path class="interval" d="M0 7H24"/><path class="mean" d="M12 1V13"/></svg>mean, 95 % interval</span>
<span><svg viewBox="0 0 24 14"><path class="published" d="M12 12l-6 -10h12z"/></svg>published</span>
</p>"""  # noqa: E501


def run_page(
    run: Run,
    manifest: Mapping[str, Any],
    study: Study | None,
    maps: Sequence[StoredMap],
    csrf: str,
    reference: str = "",
    ready: bool = True,
) -> str:
    """Write the page; what needs results is fetched by its script.

    Args:
        run: the run.
        manifest: of it.
        study: if this view knows it.
        maps: traced boundaries of the study.
        csrf: secret that changes are sent with.
        reference: how the command line names the study.
        ready: whether all studies are loaded; if not, the page comes again when they are.
    """
    address = f"{escape(run.slug)}/{escape(run.settings_hash)}"
    about = " · ".join(
        filter(None, [study.domain if study else "", run.slug, f"preset {run.preset}", run.settings_hash])
    )
    question = f'<p class="question">{escape(study.question)}</p>' if study else ""
    loading = study is None and not ready
    unknown = (
        ""
        if study or loading
        else notice(f"{run.slug} is not a study of this version; name its file to `separatrix view`.")
    )
    title = study.title if study else run.slug
    links = "".join(
        f'<li><a href="/maps/{escape(m.slug)}/{escape(m.name)}">Map <code>{escape(m.name)}</code></a>'
        f"{'' if m.finished else ' (not finished)'}</li>"
        for m in maps
    )
    shown_maps = f"<h2>Maps of regimes</h2><ul>{links}</ul>" if links else ""
    body = f"""
<article data-run="{address}"{" data-loading" if loading else ""}>
<header><p class="eyebrow">{escape(about)}</p><h1>{escape(title)}</h1>{question}</header>
{unknown}
<section aria-labelledby="h-cells"><h2 id="h-cells">Progress</h2>
<div data-job-box hidden></div>
<div data-states><p class="small">looking at the cells …</p></div>
<div data-live class="live"></div>
<div data-failed></div>
<details data-all-cells><summary>All cells</summary><div data-cell-table></div></details></section>
<section aria-labelledby="h-findings"><h2 id="h-findings">Findings</h2>
<div data-verdicts aria-live="polite"><p class="small">judging …</p></div></section>
{figures_panel(study, run)}
{curves_panel("Curves", [f"{run.slug}/{run.settings_hash}"])}
{phase_panel(f"{run.slug}/{run.settings_hash}")}
{shown_maps}
<section aria-labelledby="h-settings"><h2 id="h-settings">Settings</h2>
{_settings(study, run.preset, manifest)}</section>
<section aria-labelledby="h-made"><h2 id="h-made">How this was run</h2>
{_provenance(study, run, manifest, reference)}</section>
</article>"""
    return page(title, body, csrf, plots=True)


def figures_panel(study: Study | None, run: Run) -> str:
    """A box that the script fills with the study's own figures; nothing for a sweep, which has none.

    Args:
        study: if this view knows it.
        run: the run.
    """
    if study is None or run.preset not in study.presets or not study.figures:
        return ""
    boxes = "".join(
        f'<figure data-figure="{i}"><figcaption>{escape(caption)}</figcaption>'
        f'<div class="drawing" aria-busy="true"></div></figure>'
        for i, caption in enumerate(study.figures)
    )
    address = f"{escape(run.slug)}/{escape(run.settings_hash)}"
    return (
        f'<section data-figures="{address}" aria-labelledby="h-figures"><h2 id="h-figures">Figures</h2>'
        f'<div class="figures">{boxes}</div></section>'
    )


def curves_panel(heading: str, runs: Sequence[str], single: bool = True) -> str:
    """A box that the script fills with curves.

    Args:
        heading: of it.
        runs: `slug/hash` of the runs that it shows, beside each other.
        single: whether it hides while there is nothing to show.
    """
    names = escape(json.dumps(list(runs)), quote=True)
    return (
        f'<section data-curves="{names}" aria-labelledby="h-curves"{" hidden" if single else ""}>'
        f'<h2 id="h-curves">{escape(heading)}</h2><div class="controls"></div><div class="plots"></div></section>'
    )


def phase_panel(run: str) -> str:
    """A box that the script fills with phase diagrams, if there are any.

    Args:
        run: `slug/hash`.
    """
    return (
        f'<section data-phase="{escape(run)}" aria-labelledby="h-phase" hidden><h2 id="h-phase">Phase diagram</h2>'
        '<div class="controls"></div><div class="plots"></div></section>'
    )


def broken_page(name: str, reason: str, csrf: str) -> str:
    """The page of a run that cannot be read.

    Args:
        name: of the run.
        reason: why, in one line.
        csrf: secret that changes are sent with.
    """
    body = f'<h1>{escape(name)}</h1>{notice(reason)}<p><a href="/">All runs</a></p>'
    return page(name, body, csrf)


def findings_of(study: Study, preset: str, verdicts: Sequence[Verdict], notices: Sequence[str] = ()) -> str:
    """The verdicts as a table, each finding drawn against its threshold and published value.

    Args:
        study: the study.
        preset: of the run.
        verdicts: in the order of the findings.
        notices: what to say before the table.
    """
    by_id = {finding.id: finding for finding in study.findings}
    parts = [notice(text) for text in notices]
    if verdicts:
        heads = "".join(
            f'<th scope="col" role="columnheader" class="number">{label}</th>'
            for label in ("Effect", "95 % interval", "Expected", "Published", "Seeds")
        )
        rows = "".join(
            _row(by_id[v.finding], v, study.remarks.get(v.finding, ""), f"f{i}") for i, v in enumerate(verdicts)
        )
        parts.append(
            f'{tally(verdicts)}{LEGEND}<table class="findings cards" role="table">'
            f'<thead role="rowgroup"><tr role="row">'
            f'<th scope="col" role="columnheader">Finding</th>'
            f'<th scope="col" role="columnheader">Effect of each seed</th>{heads}'
            f'<th scope="col" role="columnheader">Verdict</th></tr></thead>'
            f'<tbody role="rowgroup">{rows}</tbody></table>'
        )
    else:
        parts.append(f"<p>The preset {escape(preset)} tests no finding.</p>")
    tested = {verdict.finding for verdict in verdicts}
    others = [f for f in study.findings if f.id not in tested]
    if others:
        lines = "".join(
            f"<li>{escape(f'{f.id}: {f.claim} Expected: {f.expect}; from preset {f.since}.')}</li>" for f in others
        )
        parts.append(f"<details><summary>{len(others)} not tested by this preset</summary><ul>{lines}</ul></details>")
    return "".join(parts)


def _row(finding: Finding, verdict: Verdict, remark: str, name: str) -> str:
    cells = {
        "Effect": f"{number(verdict.effect)} {finding.units}".strip(),
        "95 % interval": f"{number(verdict.low)} to {number(verdict.high)}",
        "Expected": verdict.expect,
        "Published": published_text(verdict.published),
        "Seeds": str(verdict.seeds),
    }
    numbers = "".join(
        f'<td role="cell" class="number" data-label="{label}">{escape(text)}</td>' for label, text in cells.items()
    )
    notes = [finding.source + (" (negative control)" if finding.control else ""), remark]
    small = "".join(f'<span class="small">{escape(" ".join(note.split()))}</span>' for note in notes if note)
    why = f'<span class="small">{escape(verdict.note)}</span>' if verdict.note else ""
    return (
        f'<tr role="row"><th scope="row" role="rowheader"><b>{escape(finding.id)}</b>{escape(finding.claim)}'
        f"{small}</th>"
        f'<td role="cell" class="picture">{effect_strip(finding, verdict, name)}</td>{numbers}'
        f'<td role="cell" class="verdict">{pill(verdict.verdict)}{why}</td></tr>'
    )


def _settings(study: Study | None, preset: str, manifest: Mapping[str, Any]) -> str:
    known = study is not None and preset in study.presets
    changed = changed_settings(study, preset, manifest["settings"]) if study is not None and known else {}
    usual = plain(describe(study.presets[preset])) if study is not None and known else {}
    rows = [
        (
            f"<code>{escape(name)}</code>",
            f"<b>{escape(str(value))}</b>" if name in changed else escape(str(value)),
            escape(str(usual.get(name, "–"))) if name in changed else "",
        )
        for name, value in manifest["settings"].items()
    ]
    return table("Settings", {"Setting": False, "Value": False, "Where changed, the preset's": False}, rows, "settings")


def _provenance(study: Study | None, run: Run, manifest: Mapping[str, Any], reference: str) -> str:
    source = manifest.get("provenance") or {}
    git = source.get("git") or {}
    dirty = ", with changes not committed" if git.get("dirty") else ""
    versions = ", ".join(f"{name} {version}" for name, version in (source.get("versions") or {}).items())
    facts = {
        "Begun": manifest.get("created"),
        "Last change": manifest.get("updated"),
        "Source code": f"commit {git.get('commit')}{dirty}" if git.get("commit") else "",
        "Python": source.get("python"),
        "Versions": versions,
        "Platform": source.get("platform"),
        "Processor": source.get("cpu"),
        "Folder": run.folder,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(str(value))}</dd>" for name, value in facts.items() if value)
    again = run_command(study, run.preset, manifest["settings"]) if study and run.preset in study.presets else ""
    again = again.replace(f" {run.slug} ", f" {shlex.quote(reference)} ", 1) if reference else again
    argv = source.get("argv")
    typed = shlex.join(map(str, argv)) if isinstance(argv, list) and argv else ""
    parts = [f"<dl>{rows}</dl>"]
    if again:
        parts.append(f"<p>The same run again:</p><pre>{escape(again)}</pre>")
    if typed:
        parts.append(f"<p>As it was started:</p><pre>{escape(typed)}</pre>")
    return "".join(parts)
