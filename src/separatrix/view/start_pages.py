"""The pages that start something: the list of studies, and the forms of a run, a sweep and a map."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from separatrix.study.finding import PRESETS
from separatrix.study.settings import describe
from separatrix.study.study import Study

from .markup import notice, page
from .orders import AXES, COARSE, CONFIDENCES, KINDS, RESOLUTIONS
from .settings_form import Field, as_text, fields_of

__all__ = ["choose_study_page", "start_page"]

WORDS = {
    "run": ("Run", "Start the run", "It computes what the store lacks, and goes on when this page is closed."),
    "sweep": ("Sweep", "Start the sweep", "Every arm runs at every combination of the values."),
    "map": ("Map", "Start the map", "A coarse grid first; then only the cells that the boundary crosses are refined."),
}


def choose_study_page(studies: Mapping[str, Study], ready: bool, trouble: Sequence[str], csrf: str) -> str:
    """List the studies that can be started.

    Args:
        studies: by slug.
        ready: whether all are loaded.
        trouble: why some could not be.
        csrf: secret that changes are sent with.
    """
    items = "".join(
        f'<li><a href="/start/{escape(slug)}">{escape(study.title)}</a> '
        f'<span class="small">{escape(study.domain)} · {escape(slug)}</span>'
        f'<p class="small">{escape(study.question)}</p></li>'
        for slug, study in studies.items()
    )
    wait = "" if ready else notice("The studies are still being loaded; load this page again in a moment.")
    body = f'<h1>Start</h1>{wait}{"".join(map(notice, trouble))}<ul class="overview">{items}</ul>'
    return page("Start", body, csrf, here="/start")


def start_page(
    study: Study, kind: str, preset: str, form: Mapping[str, str], errors: Mapping[str, str], csrf: str
) -> str:
    """A form made from a study's settings, arms and regimes.

    Args:
        study: the study.
        kind: "run", "sweep" or "map".
        preset: whose values it shows.
        form: what was typed before, by field.
        errors: message by field; under "" what concerns none of them.
        csrf: secret that changes are sent with.
    """
    fields = fields_of(study, preset)
    settings = "".join(
        _input(f"s-{f.name}", f.name, f, form.get(f"s-{f.name}", f.text), errors.get(f.name, "")) for f in fields
    )
    settings = f'<div class="fields">{settings}</div>'
    if kind != "run":
        wrong = any(field.name in errors for field in fields)
        fixed = f"<summary>Settings that stay fixed ({len(fields)})</summary>{settings}"
        settings = f"<details{' open' if wrong else ''}>{fixed}</details>"
    name, button, note = WORDS[kind]
    if kind == "map" and not study.regimes:
        asks, settings, button = notice(f"{study.slug} declares no regimes, so there is no boundary to map."), "", ""
    else:
        asks = {"run": lambda *_: "", "sweep": _sweep, "map": _map}[kind](study, preset, form, errors)
    submit = f'<p class="actions"><button type="submit">{button}</button> <span class="small">{note}</span></p>'
    body = f"""
<p class="eyebrow">{escape(study.domain)} · {escape(study.slug)}</p><h1>{name}: {escape(study.title)}</h1>
<p class="question">{escape(study.question)}</p>
{_tabs(study, kind, preset)}
{_summary(errors)}
<form method="post" action="{_address(study, kind)}" class="settings-form">
<input type="hidden" name="csrf" value="{escape(csrf)}"><input type="hidden" name="preset" value="{escape(preset)}">
{asks}{settings}{submit if button else ""}</form>"""
    return page(f"{name}: {study.slug}", body, csrf, here="/start")


def _address(study: Study, kind: str) -> str:
    return f"/start/{escape(study.slug)}" + ("" if kind == "run" else f"/{kind}")


def _tabs(study: Study, kind: str, preset: str) -> str:
    def tab(address: str, text: str, here: bool, note: str = "") -> str:
        small = f'<span class="small"> {escape(note)}</span>' if note else ""
        return f'<a class="tab" href="{address}"{" aria-current=true" if here else ""}>{text}{small}</a>'

    kinds = "".join(tab(f"{_address(study, k)}?preset={preset}", WORDS[k][0], k == kind) for k in KINDS)
    presets = "".join(
        tab(f"{_address(study, kind)}?preset={p}", p, p == preset, study.costs.get(p, "") if kind == "run" else "")
        for p in PRESETS
    )
    return (
        f'<nav class="tabs" aria-label="What to start">{kinds}</nav>'
        f'<nav class="tabs" aria-label="Preset">{presets}</nav>'
    )


def _summary(errors: Mapping[str, str]) -> str:
    text = f'<p class="error" role="alert">{escape(errors[""])}</p>' if errors.get("") else ""
    count = len([name for name in errors if name])
    if count:
        text += f'<p class="error" role="alert">{count} field{"" if count == 1 else "s"} cannot be used; see below.</p>'
    return text


def _sweep(study: Study, preset: str, form: Mapping[str, str], errors: Mapping[str, str]) -> str:
    settings = {k: v for k, v in describe(study.presets[preset]).items() if isinstance(v, int | float | str)}
    settings.pop("seeds", None)
    rows = []
    for number, row in enumerate(AXES, 1):
        values = _box(f"{row}-values", "values", form.get(f"{row}-values", ""), errors.get(f"{row}-values", ""))
        rows.append(_axis(row, number, _choice(study, settings, row, form), values))
    arms = _select("arm", "arm", {"": "every arm", **{arm: arm for arm in study.arms}}, form.get("arm", ""))
    help = "Values as <code>low:high:count</code>, <code>low:high:log:count</code> or <code>a,b,c</code>."
    return f'<p class="small">{help}</p>{"".join(rows)}<div class="fields">{arms}</div>'


def _map(study: Study, preset: str, form: Mapping[str, str], errors: Mapping[str, str]) -> str:
    given = describe(study.presets[preset])
    settings = {k: v for k, v in given.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    settings.pop("seeds", None)
    rows = []
    for number, row in enumerate(AXES, 1):
        error = errors.get(f"{row}-values", "")
        ends = "".join(_box(f"{row}-{end}", end, form.get(f"{row}-{end}", ""), error) for end in ("low", "high"))
        checked = " checked" if form.get(f"{row}-log") or "csrf" not in form else ""
        log = f'<span class="control"><input type="checkbox" id="{row}-log" name="{row}-log" value="1"{checked}>'
        log += f'<label for="{row}-log">log</label></span>'
        told = f'<span class="error" id="e-{row}-values">{escape(error)}</span>' if error else ""
        rows.append(_axis(row, number, _choice(study, settings, row, form), ends + log + told))
    claims = {name: f"{name}: {regime.claim}" for name, regime in study.regimes.items()}
    more = [
        _select("regime", "regime", claims, form.get("regime", "")),
        _select("resolution", "cells a side", {v: v for v in RESOLUTIONS}, form.get("resolution", "64")),
        _select("coarse", "cells a side at first", {v: v for v in COARSE}, form.get("coarse", "8")),
        _select("confidence", "confidence", {v: v for v in CONFIDENCES}, form.get("confidence", "0.95")),
        _box("most-seeds", "most seeds at a point", form.get("most-seeds", "1"), errors.get("most-seeds", "")),
    ]
    return f'<div class="wide">{more[0]}</div>{"".join(rows)}<div class="fields">{"".join(more[1:])}</div>'


def _axis(row: str, number: int, choice: str, values: str) -> str:
    optional = "" if row == AXES[0] else " (optional)"
    return f'<fieldset class="axis"><legend>Axis {number}{optional}</legend>{choice}{values}</fieldset>'


def _choice(study: Study, settings: Mapping[str, Any], row: str, form: Mapping[str, str]) -> str:
    """A list of settings, those that run in one program first; each suggests values around its own."""
    groups = {
        "together, in one program": [name for name in settings if name in study.traced],
        "a compilation for each value": [name for name in settings if name not in study.traced],
    }
    chosen = form.get(row, "")
    options = f'<option value=""{"" if chosen else " selected"}>none</option>'
    for label, names in groups.items():
        inside = "".join(
            f"<option{' selected' if name == chosen else ''} {_suggested(settings[name])}>{escape(name)}</option>"
            for name in names
        )
        options += f'<optgroup label="{label}">{inside}</optgroup>' if names else ""
    return (
        f'<div class="field"><label for="{row}">setting</label>'
        f'<select id="{row}" name="{row}" data-axis="{row}">{options}</select></div>'
    )


def _suggested(value: Any) -> str:
    """Values around one, as attributes that the script puts into the empty fields beside it."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f'data-values="{escape("True,False" if isinstance(value, bool) else as_text(value))}"'
    if value > 0:
        low, high, log = (
            (max(1, value // 4), value * 4, True) if isinstance(value, int) else (value / 10, value * 10, 1)
        )
    else:
        low, high, log = value - 1, value + 1, False
    low, high = f"{low:.6g}", f"{high:.6g}"
    values = f"{low}:{high}:log:8" if log else f"{low}:{high}:8"
    return f'data-values="{values}" data-low="{low}" data-high="{high}"' + (' data-log="1"' if log else "")


def _select(name: str, label: str, options: Mapping[str, str], chosen: str) -> str:
    inside = "".join(
        f'<option value="{escape(value)}"{" selected" if value == chosen else ""}>{escape(text)}</option>'
        for value, text in options.items()
    )
    control = f'<select id="{name}" name="{name}">{inside}</select>'
    return f'<div class="field"><label for="{name}">{label}</label>{control}</div>'


def _box(name: str, label: str, value: str, error: str) -> str:
    return _input(name, label, Field(name, value, "", (), ""), value, error)


def _input(name: str, label: str, field: Field, value: str, error: str) -> str:
    """A labelled control; its error stands beside it under the id `e-<label>`, or `e-<name>` for an axis."""
    at = escape(label if name.startswith("s-") else name)
    note = ". ".join(
        filter(None, [field.kind + (f", preset: {field.text}" if value != field.text else ""), field.help])
    )
    ends = name.endswith(("-low", "-high"))  # both ends of an axis share a message, which stands behind them
    why = f"e-{name.rpartition('-')[0]}-values" if ends else f"e-{at}"
    described = " ".join([*([f"n-{at}"] if note else []), *([why] if error else [])])
    about = f'id="{escape(name)}" name="{escape(name)}"' + (f' aria-describedby="{described}"' if described else "")
    about += ' aria-invalid="true"' if error else ""
    if field.choices:
        choices = "".join(
            f"<option{' selected' if choice == value else ''}>{escape(choice)}</option>" for choice in field.choices
        )
        control = f"<select {about}>{choices}</select>"
    else:
        mode = {"whole number": "numeric", "number": "decimal"}.get(field.kind, "text")
        control = f'<input {about} value="{escape(value)}" inputmode="{mode}" autocomplete="off" spellcheck="false">'
    message = f'<span class="error" id="{why}">{escape(error)}</span>' if error and not ends else ""
    small = f'<span class="small" id="n-{at}">{escape(note)}</span>' if note else ""
    return f'<div class="field"><label for="{escape(name)}">{escape(label)}</label>{control}{message}{small}</div>'
