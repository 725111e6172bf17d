"""What a form orders, a run, a sweep or a map: the words of a command line, and the folder that it will fill."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from separatrix.study.errors import UsageError
from separatrix.study.regime_map import map_folder, parse_ranges
from separatrix.study.study import Study
from separatrix.study.sweep import parse_over, run_name, sweep_of

from .settings_form import Request, read_form

__all__ = ["AXES", "COARSE", "CONFIDENCES", "KINDS", "RESOLUTIONS", "Order", "read_order"]

KINDS = ("run", "sweep", "map")
AXES = ("x1", "x2", "x3")
"""Names of the rows of a form that choose a setting and its values."""
RESOLUTIONS = ("16", "32", "64", "128", "256")
COARSE = ("4", "8", "16")
CONFIDENCES = ("0.8", "0.9", "0.95", "0.99")


class Order(NamedTuple):
    """What a form asks for.

    Attributes:
        kind: "run", "sweep" or "map".
        name: of the folder that the command will fill.
        words: the command line, from the kind on, but for the place of the store; none if there are errors.
        errors: message by field of the form; under "" what concerns none of them.
    """

    kind: str
    name: str
    words: tuple[str, ...]
    errors: dict[str, str]


def read_order(study: Study, reference: str, kind: str, root: Path, form: Mapping[str, str]) -> Order:
    """Check what a form sent.

    Args:
        study: the study.
        reference: how the command line names it.
        kind: of the form.
        root: the folder of all runs.
        form: text by field; `s-<name>` is a setting, `x1` to `x3` and their parts are axes.

    Returns:
        The order, or the errors.
    """
    preset = form.get("preset", "default")
    asked = read_form(study, preset, {name[2:]: text for name, text in form.items() if name.startswith("s-")})
    errors: dict[str, str] = {}
    name, extra = "", []
    try:
        if preset in study.presets:
            name, extra = {"run": _run, "sweep": _sweep, "map": _map}[kind](study, asked, root, form, errors)
    except UsageError as error:
        errors[""] = str(error)
    errors = {**errors, **asked.errors}
    if errors:
        return Order(kind, "", (), errors)
    sets = [word for change in asked.changes for word in ("--set", change)]
    return Order(kind, name, (kind, reference, "--preset", preset, *extra, *sets), {})


def _run(study: Study, asked: Request, root: Path, form: Mapping[str, str], errors: dict[str, str]):
    del root, form, errors
    return run_name(study, asked.settings, asked.preset) if asked.settings is not None else "", []


def _sweep(study: Study, asked: Request, root: Path, form: Mapping[str, str], errors: dict[str, str]):
    del root
    settings = _settings(study, asked)
    texts = {row: f"{form[row]}={form.get(f'{row}-values', '').strip()}" for row in AXES if form.get(row)}
    over = []
    for row, text in texts.items():
        try:
            over.append(parse_over(settings, text))
        except UsageError as error:
            errors[f"{row}-values"] = str(error)
    if errors:
        return "", []
    if not over:
        raise UsageError("choose at least one setting to sweep over")
    arms = [form["arm"]] if form.get("arm") else []
    swept, settings = sweep_of(study, settings, over, arms)
    words = [word for text in texts.values() for word in ("--over", text)]
    return run_name(swept, settings, "sweep", over), [*words, *(word for arm in arms for word in ("--arm", arm))]


def _map(study: Study, asked: Request, root: Path, form: Mapping[str, str], errors: dict[str, str]):
    settings, ranges, parts = _settings(study, asked), {}, []
    for row in AXES:
        if not (name := form.get(row)):
            continue
        ends = ":".join(form.get(f"{row}-{end}", "").strip() for end in ("low", "high"))
        part = f"{name}={ends}{':log' if form.get(f'{row}-log') else ''}"
        try:
            if "," in part or name in ranges:
                raise UsageError(f"{name} can be mapped once, from one number to another; got {part!r}")
            ranges |= parse_ranges(study, settings, part)
            parts.append(part)
        except UsageError as error:
            errors[f"{row}-values"] = str(error)
    regime, seeds = form.get("regime", ""), form.get("most-seeds", "1").strip()
    if not re.fullmatch("[1-9][0-9]{0,3}", seeds):
        errors["most-seeds"] = f"the number of seeds must be at least 1; got {seeds[:40]!r}"
    if errors:
        return "", []
    if not parts:
        raise UsageError("choose at least one setting to map over")
    choices = [("resolution", RESOLUTIONS), ("coarse", COARSE), ("confidence", CONFIDENCES)]
    if regime not in study.regimes or any(form.get(field) not in allowed for field, allowed in choices):
        raise UsageError("choose a regime, a resolution and a confidence of those that the form offers")
    words = ["--regime", regime, "--over", ",".join(parts), "--seeds", seeds]
    words += [word for field, _ in choices for word in (f"--{field}", form[field])]
    return map_folder(root, study, settings, regime, {"ranges": ranges, "preset": asked.preset}).name, words


def _settings(study: Study, asked: Request) -> Any:
    """The settings that were asked for; the preset's, to check the other fields, if those are wrong."""
    return study.presets[asked.preset] if asked.settings is None else asked.settings
