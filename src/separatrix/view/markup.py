"""The frame of every page, and the pieces that several of them share. All text that comes from a run is escaped."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from separatrix.study.finding import Verdict

from .plotting_library import script_name, style_ids

__all__ = ["login_page", "notice", "page", "pill", "state_pill", "table", "tally"]

MARKS = {"reproduced": "✓", "not reproduced": "✗", "inconclusive": "?"}
STATE_MARKS = {"done": "✓", "running": "▶", "waiting": "…", "interrupted": "‖", "failed": "✗"}


def page(title: str, body: str, csrf: str, *, plots: bool = False, here: str = "") -> str:
    """Write a page.

    Args:
        title: in plain text.
        body: HTML of its `<main>`.
        csrf: secret that changes are sent with.
        plots: whether it draws plots.
        here: which entry of the navigation it is.
    """
    script = f'<meta name="plotly" content="/static/{script_name()}">' if plots else ""
    inert = "".join(f'<meta id="{name}">' for name in style_ids()) if plots else ""
    # plots.css has the few style rules that the plotting library would inject, which the policy forbids
    link = '<link id="plotly.js-style-global" class="no-inline-styles" rel="stylesheet" href="/static/plots.css">'
    entries = {"/": "Runs", "/start": "Start", "/compare": "Compare"}
    nav = "".join(
        f'<a href="{address}"{" aria-current=page" if address == here else ""}>{name}</a>'
        for address, name in entries.items()
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="csrf" content="{escape(csrf)}">
<title>{escape(title)} – Separatrix</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/report.css">
<link rel="stylesheet" href="/static/view.css">
{link + inert if plots else ""}
{script}
<script src="/static/view.js" type="module"></script>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="bar"><a class="brand" href="/">Separatrix</a><nav aria-label="Pages">{nav}</nav></header>
<main id="main">
<noscript><p class="notice">Plots and live states need JavaScript; tables do not.</p></noscript>
{body}
</main>
<p id="announce" class="unseen" role="status" aria-live="polite"></p>
</body>
</html>
"""


def login_page(message: str) -> str:
    """The page that asks for the token.

    Args:
        message: what was wrong with the last attempt.
    """
    error = f'<p class="error" id="why" role="alert">{escape(message)}</p>' if message else ""
    described = ' aria-describedby="why" aria-invalid="true"' if message else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Token – Separatrix</title><link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/report.css"><link rel="stylesheet" href="/static/view.css"></head>
<body><main><h1>Separatrix</h1><form method="post" action="/login" class="login">
<label for="token">Token that this view was started with</label>
<input id="token" name="token" type="password" autocomplete="current-password" required{described}>
{error}<button type="submit">Enter</button></form></main></body></html>
"""


def pill(judgement: str, text: str = "") -> str:
    """A verdict as a labelled mark.

    Args:
        judgement: one of the three verdicts.
        text: in its place.
    """
    kind = judgement.replace(" ", "-")
    shown = escape(text or judgement)
    return f'<span class="pill {kind}"><span aria-hidden="true">{MARKS.get(judgement, "")}</span> {shown}</span>'


def state_pill(state: str, text: str = "") -> str:
    """The state of a cell or run as a labelled mark.

    Args:
        state: of the cell.
        text: in its place.
    """
    mark = STATE_MARKS.get(state, "")
    shown = escape(text or state)
    return f'<span class="pill state {escape(state)}"><span aria-hidden="true">{mark}</span> {shown}</span>'


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many findings came out in which way.

    Args:
        verdicts: of a run.
    """
    counts = Counter(verdict.verdict for verdict in verdicts)
    pills = [f"<li>{pill(name, f'{counts[name]} {name}')}</li>" for name in MARKS if counts[name]]
    return f'<ul class="tally" aria-label="Verdicts">{"".join(pills)}</ul>'


def notice(text: str) -> str:
    """A remark that must not be missed.

    Args:
        text: plain text.
    """
    return f'<p class="notice">{escape(text)}</p>'


def table(name: str, headings: Mapping[str, bool], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """A table that scrolls within itself.

    Args:
        name: what it shows.
        headings: whether a column holds numbers, by its title in plain text.
        rows: cells as HTML; the first one is the row's heading.
        kind: its class.
    """
    columns = [' class="number"' if is_number else "" for is_number in headings.values()]
    head = "".join(
        f'<th scope="col"{column}>{escape(text)}</th>' for text, column in zip(headings, columns, strict=True)
    )
    body = ""
    for first, *rest in rows:
        cells = "".join(f"<td{column}>{cell}</td>" for cell, column in zip(rest, columns[1:], strict=True))
        body += f'<tr><th scope="row"{columns[0]}>{first}</th>{cells}</tr>'
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(name)}">'
        f'<table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    )
