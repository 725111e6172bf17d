"""One self-contained page on one or several runs: verdicts, figures, settings, and where the numbers came from.

The page asks for nothing outside itself, needs no script, follows dark and light, fits a phone and prints. It is a
function of the runs alone: no clock, no random number.
"""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from .account import (
    Account,
    CellAccount,
    account_of,
    arm_description,
    changed_settings,
    commits,
    count,
    literal,
    published_text,
)
from .figures import NoData, effect_strip, inline_svg
from .finding import Finding, Verdict
from .identity import plain
from .settings import describe
from .store import Store
from .study import Study
from .verdicts import number

__all__ = ["report_page"]

MARKS = {"reproduced": "✓", "not reproduced": "✗", "inconclusive": "?"}


class _Section(NamedTuple):
    """A run's part of the page; `anchor` begins its ids."""

    anchor: str
    run: Account


def report_page(items: Sequence[tuple[Study, Store, str]]) -> str:
    """Write the page.

    Args:
        items: study, run and preset, one or several; in the order of the page.

    Returns:
        An HTML document.

    Raises:
        ValueError: if there is no item.
        StoreError: if a run cannot be read.
    """
    if not items:
        raise ValueError("`items` must name at least one run; got none.")
    sections = [_Section(f"s{i}", account_of(*item)) for i, item in enumerate(items, 1)]
    several = len(sections) > 1
    title = "Separatrix report" if several else sections[0].run.study.title
    style = resources.files("separatrix.study").joinpath("report.css").read_text(encoding="utf-8")
    head = f"<h1>{title}</h1>{_overview(sections)}" if several else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}{"" if several else " – Separatrix report"}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
{head}
{"".join(_article(section, several) for section in sections)}
</main>
</body>
</html>
"""


def _overview(sections: Sequence[_Section]) -> str:
    rows = [
        f'<li><a href="#{section.anchor}">{escape(section.run.study.title)}</a> '
        f'<span class="small">{escape(section.run.study.slug)}, {escape(_kind(section.run))}</span>'
        f"{_tally(section.run)}</li>"
        for section in sections
    ]
    return f'<nav aria-label="Studies"><ul class="overview">{"".join(rows)}</ul></nav>'


def _tally(run: Account) -> str:
    if not run.verdicts:
        return f'<p class="small">No finding is tested by this {"sweep" if run.axes else "preset"}.</p>'
    counts = Counter(verdict.verdict for verdict in run.verdicts)
    pills = [f"<li>{_pill(name, f'{counts[name]} {name}')}</li>" for name in MARKS if counts[name]]
    return f'<ul class="tally" aria-label="Verdicts">{"".join(pills)}</ul>'


def _pill(judgement: str, text: str = "") -> str:
    kind = judgement.replace(" ", "-")
    return f'<span class="pill {kind}"><span aria-hidden="true">{MARKS[judgement]}</span> {text or judgement}</span>'


def _article(section: _Section, nested: bool) -> str:
    study, h = section.run.study, "h2" if nested else "h1"
    sub = "h3" if nested else "h2"
    about = f"{study.domain} · {study.slug} · {_kind(section.run)} · {study.paper}"
    parts = [
        f'<article id="{section.anchor}">',
        f'<header><p class="eyebrow">{escape(about)}</p><{h}>{escape(study.title)}</{h}>',
        f'<p class="question">{_text(study.question)}</p>{_tally(section.run)}</header>',
        f"<p>{_text(study.method)}</p>",
        _notices(section.run),
        f"<{sub}>Findings</{sub}>" if study.findings else "",
        _findings(section),
        f"<{sub}>Figures</{sub}>" if study.figures else "",
        _figures(section),
        f"<{sub}>Arms</{sub}>",
        _arms(section.run),
        f"<{sub}>Settings</{sub}>",
        _settings(section.run),
        f"<{sub}>How this was run</{sub}>",
        _provenance(section.run),
        f"<{sub}>How to cite the paper</{sub}>",
        f"<p>{escape(study.title)}, {escape(study.paper)}</p><pre>{escape(study.citation.strip())}</pre>",
        "</article>",
    ]
    return "\n".join(part for part in parts if part)


def _kind(run: Account) -> str:
    return f"sweep of {', '.join(run.axes)} from preset {run.preset}" if run.axes else f"preset {run.preset}"


def _text(words: str) -> str:
    return escape(" ".join(words.split()).replace(" %", "\u00a0%"))  # no line begins with a per cent sign


def _notices(run: Account) -> str:
    notices = []
    if run.changed and run.verdicts:
        names = ", ".join(f"{key} = {literal(value)}" for key, value in run.changed.items())
        notices.append(f"The settings differ from the preset, for which the thresholds were chosen: {escape(names)}.")
    if not run.cells:
        notices.append("This run has no results yet.")
    if len(sources := commits(cell.provenance for cell in run.cells)) > 1:
        lines = [commit + (", with changes not committed" if dirty else "") for commit, dirty in sources]
        notices.append(f"The cells come from different states of the source code:{_list(lines)}")
    if run.damaged:
        notices.append(f"Some cells could not be trusted and are left out:{_list(run.damaged)}")
    if run.unfinished:
        notices.append(f"Some cells are not finished:{_list(run.unfinished)}")
    return "".join(f'<div class="notice">{notice}</div>' for notice in notices)


def _list(lines: Sequence[str], most: int = 50) -> str:
    shown = [*lines[:most], f"and {len(lines) - most} more"] if len(lines) > most else lines
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in shown)}</ul>"


_LEGEND = """<p class="legend small" aria-hidden="true">
<span><svg viewBox="0 0 24 14"><rect class="region" width="24" height="14"/><path class="threshold" d="M1 0V14"/></svg>expected region</span>
<span><svg viewBox="0 0 24 14"><circle class="seed" cx="12" cy="7" r="4"/></svg>a seed</span>
<span><svg viewBox="0 0 24 14"><path class="interval" d="M0 7H24"/><path class="mean" d="M12 1V13"/></svg>mean, 95 % interval</span>
<span><svg viewBox="0 0 24 14"><path class="published" d="M12 12l-6 -10h12z"/></svg>published</span>
</p>"""  # noqa: E501


def _findings(section: _Section) -> str:
    study = section.run.study
    by_id = {finding.id: finding for finding in study.findings}
    rows = [
        _finding_row(by_id[verdict.finding], verdict, study.remarks.get(verdict.finding, ""), f"{section.anchor}-f{i}")
        for i, verdict in enumerate(section.run.verdicts)
    ]
    tested = {verdict.finding for verdict in section.run.verdicts}
    others = [
        f"{finding.id}: {finding.claim} Expected: {finding.expect}; from preset {finding.since}."
        for finding in study.findings
        if finding.id not in tested
    ]
    parts = []
    if rows:
        labels = ("Effect", "95 % interval", "Expected", "Published", "Seeds")
        heads = "".join(f'<th scope="col" role="columnheader" class="number">{label}</th>' for label in labels)
        parts.append(
            f'{_LEGEND}<table class="findings cards" role="table"><thead role="rowgroup"><tr role="row">'
            f'<th scope="col" role="columnheader">Finding</th>'
            f'<th scope="col" role="columnheader">Effect of each seed</th>{heads}'
            f'<th scope="col" role="columnheader">Verdict</th></tr></thead>'
            f'<tbody role="rowgroup">{"".join(rows)}</tbody></table>'
        )
    if others:
        untested = f"{count(len(others), 'finding')} not tested by this preset"
        parts.append(f"<details><summary>{untested}</summary>{_list(others)}</details>")
    return "\n".join(parts)


def _finding_row(finding: Finding, verdict: Verdict, remark: str, name: str) -> str:
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
    small = "".join(f'<span class="small">{_text(note)}</span>' for note in notes if note)
    why = f'<span class="small">{escape(verdict.note)}</span>' if verdict.note else ""
    return (
        f'<tr role="row"><th scope="row" role="rowheader"><b>{escape(finding.id)}</b>{_text(finding.claim)}{small}</th>'
        f'<td role="cell" class="picture">{effect_strip(finding, verdict, name)}</td>{numbers}'
        f'<td role="cell" class="verdict">{_pill(verdict.verdict)}{why}</td></tr>\n'
    )


def _figures(section: _Section) -> str:
    drawn, missing = [], []
    for i, (caption, draw) in enumerate(section.run.study.figures.items()):
        try:
            svg = inline_svg(draw, section.run.results, f"{section.anchor}-p{i}", caption)
        except (NoData, KeyError) as error:
            missing.append(f"{caption}: not measured in this run ({error.args[0] if error.args else error})")
        except Exception as error:  # one figure must not cost the page
            missing.append(f"{caption}: could not be drawn ({type(error).__name__}: {error})")
        else:
            drawn.append(f"<figure><figcaption>{_text(caption)}</figcaption>{svg}</figure>")
    absent = "".join(f'<p class="small">{_text(line)}</p>' for line in missing)
    return (f'<div class="figures">{"".join(drawn)}</div>' if drawn else "") + absent


def _table(headings: Mapping[str, bool], rows: Iterable[Sequence[str]], kind: str) -> str:
    """A table that scrolls within itself; `headings` say which columns are numbers; cells are HTML."""
    columns = [' class="number"' if is_number else "" for is_number in headings.values()]
    head = "".join(f'<th scope="col"{column}>{name}</th>' for name, column in zip(headings, columns, strict=True))
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td{column}>{cell}</td>" for cell, column in zip(rest, columns[1:], strict=True))
        body += f'<tr><th scope="row">{first}</th>{cells}</tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{kind}">'
        f'<table class="{kind.lower()}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _arms(run: Account) -> str:
    active = run.study.active_arms(run.preset)
    rows: list[tuple[str, ...]] = []
    for name, arm in run.study.arms.items():
        cells = [cell for cell in run.cells if cell.arm == name]
        if not cells and name not in active:
            continue
        seeds = len({seed for cell in cells for seed in cell.seeds})
        rows.append(
            (
                escape(name),
                escape(arm_description(arm)),
                str(len(cells)) if cells else "none",
                str(seeds) if cells else "–",
                *(_seconds(cells, key) for key in ("compile_seconds", "wall_seconds")),
            )
        )
    columns = {"Arm": False, "What it does": False, "Cells": True, "Seeds": True, "Compiling": True, "In all": True}
    idle = [name for name in run.study.arms if name not in active and all(cell.arm != name for cell in run.cells)]
    rest = f'<p class="small">Not part of this preset: {escape(", ".join(idle))}.</p>' if idle else ""
    return _table(columns, rows, "Arms") + rest


def _seconds(cells: Iterable[CellAccount], key: str) -> str:
    known = [cell.attrs[key] for cell in cells if isinstance(cell.attrs.get(key), int | float)]
    return f"{sum(known):.1f} s" if known else "–"


def _settings(run: Account) -> str:
    usual = plain(describe(run.study.presets[run.preset]))
    changed = changed_settings(run.study, run.preset, run.manifest["settings"])
    rows = [
        (
            f"<code>{escape(key)}</code>",
            f"<b>{escape(literal(value))}</b>" if key in changed else escape(literal(value)),
            escape(literal(usual[key]) if key in usual else "–") if key in changed else "",
        )
        for key, value in run.manifest["settings"].items()
    ]
    return _table({"Setting": False, "Value": False, "Where changed, the preset's": False}, rows, "Settings")


def _provenance(run: Account) -> str:
    sources = [cell.provenance for cell in run.cells] or [run.manifest.get("provenance") or {}]
    spent = {name: _seconds(run.cells, f"{name}_seconds") for name in ("wall", "compile")}
    times = [spent["wall"]] if spent["compile"] == "–" else [spent["wall"], f"{spent['compile']} went into compiling"]
    gathered = {
        "Computed": _span(source.get("time") for source in sources),
        "Source code": _distinct(_commit(source["git"]) for source in sources if "git" in source),
        "Versions": _distinct(_versions(source) for source in sources),
        "Platform": _distinct(source.get("platform") for source in sources),
        "Processor": _distinct(_processor(source) for source in sources),
        "Device": _distinct(cell.attrs.get("device") for cell in run.cells),
        "Time": ", of which ".join(times),
        "Settings hash": run.manifest.get("settings_hash", ""),
    }
    rows = "".join(f"<dt>{key}</dt><dd>{escape(str(value))}</dd>" for key, value in gathered.items() if value)
    again = run.command
    given = _distinct((_command(source.get("argv")) for source in sources), "\n")
    return f"<dl>{rows}</dl><p>The same run again:</p><pre>{escape(again)}</pre>" + (
        f"<p>As it was typed:</p><pre>{escape(given)}</pre>" if given and given != again else ""
    )


def _distinct(values: Iterable[Any], joint: str = "; ") -> str:
    return joint.join(dict.fromkeys(str(value) for value in values if value))


def _span(times: Iterable[str | None]) -> str:
    known = sorted({time.replace("T", " ").replace("+00:00", " UTC") for time in times if time})
    return known[0] if len(known) == 1 else f"{known[0]} to {known[-1]}" if known else ""


def _commit(git: Mapping[str, Any] | None) -> str:
    if not git:
        return "an installed package, not a checkout"
    return f"commit {git.get('commit') or 'unknown'}" + (", with changes not committed" if git.get("dirty") else "")


def _versions(source: Mapping[str, Any]) -> str:
    versions = {"Python": source.get("python"), **(source.get("versions") or {})}
    return ", ".join(f"{name} {version}" for name, version in versions.items() if version)


def _processor(source: Mapping[str, Any]) -> str:
    cpus = source.get("cpus")
    return " ".join(str(word) for word in (source.get("cpu"), f"({cpus} logical cores)" if cpus else "") if word)


def _command(argv: Sequence[str] | None) -> str:
    return shlex.join([Path(argv[0]).name, *argv[1:]]) if argv else ""
