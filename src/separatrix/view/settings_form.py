"""A form made from a study's settings, and what it sends turned into the words of a command line."""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, NamedTuple

from separatrix.study.errors import UsageError
from separatrix.study.settings import change, describe, with_overrides
from separatrix.study.study import Study

__all__ = ["Field", "Request", "as_text", "fields_of", "read_form"]


class Field(NamedTuple):
    """One setting in a form.

    Attributes:
        name: of the setting.
        text: its value in the preset, as the form shows it.
        kind: its type in words.
        choices: the values that it can take, if they are few.
        help: what the settings' docstring says of it.
    """

    name: str
    text: str
    kind: str
    choices: tuple[str, ...]
    help: str


class Request(NamedTuple):
    """A form that was filled in.

    Attributes:
        preset: to start from.
        settings: the resolved settings, None if there are errors.
        changes: `key=value` for each setting that differs from the preset.
        errors: message by setting; under "" what concerns none of them.
    """

    preset: str
    settings: Any
    changes: list[str]
    errors: dict[str, str]


def fields_of(study: Study, preset: str) -> list[Field]:
    """Describe a study's settings, `seeds` first.

    Args:
        study: the study.
        preset: whose values to show.
    """
    settings = study.presets[preset]
    hints, notes = typing.get_type_hints(type(settings)), _notes(type(settings))
    fields = [
        Field(name, as_text(value), *_kind(hints[name]), notes.get(name, ""))
        for name, value in describe(settings).items()
    ]
    return sorted(fields, key=lambda field: field.name != "seeds")


def as_text(value: Any) -> str:
    """Write a setting so that `settings.change` reads the same value.

    Args:
        value: of a setting.

    Example:
        >>> as_text((0.1, 0.2)), as_text("plain"), as_text(((1, 2), (3, 4)))
        ('0.1,0.2', 'plain', '((1, 2), (3, 4))')
    """
    if isinstance(value, tuple) and value and all(isinstance(v, int | float | str) for v in value):
        plain = all(not isinstance(v, str) or re.fullmatch(r"[A-Za-z][\w.+-]*", v) for v in value)
        return ",".join(map(str, value)) if plain else repr(value)
    return value if isinstance(value, str) else str(value)


def read_form(study: Study, preset: str, values: Mapping[str, str]) -> Request:
    """Check what a form sent, setting by setting and then as a whole.

    Args:
        study: the study.
        preset: to start from.
        values: text by setting; those that the form left out keep the preset's value.

    Returns:
        Settings and changes, or the errors.
    """
    if preset not in study.presets:
        return Request(preset, None, [], {"": f"there is no preset {preset!r}; known: {', '.join(study.presets)}"})
    base, errors, changes = study.presets[preset], {}, []
    usual = {field.name: field.text for field in fields_of(study, preset)}
    for name, text in values.items():
        text = text.strip()
        if name in usual and text == usual[name]:
            continue
        try:
            settings = change(base, name, text)
            if name == "seeds" and settings.seeds < 1:
                raise UsageError(f"the number of seeds must be at least 1; got {text}")
            changes.append(f"{name}={text}")
        except UsageError as error:
            errors[name if name in usual else ""] = str(error)
    if errors:
        return Request(preset, None, [], errors)
    try:
        return Request(preset, with_overrides(base, changes), changes, {})
    except UsageError as error:
        return Request(preset, None, [], {"": str(error)})


def _kind(annotation: Any) -> tuple[str, tuple[str, ...]]:
    if annotation is bool:
        return "yes or no", ("True", "False")
    if typing.get_origin(annotation) is typing.Literal:
        choices = typing.get_args(annotation)
        if all(isinstance(choice, str | int | float) for choice in choices):
            return "choice", tuple(map(str, choices))
    return _words(annotation), ()


def _words(annotation: Any) -> str:
    names = {int: "whole number", float: "number", str: "text", bool: "yes or no", type(None): "None"}
    if annotation in names:
        return names[annotation]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return "list of " + " and ".join(dict.fromkeys(_words(item) for item in inner if item is not Ellipsis)) + "s"
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(item) for item in inner)
    return getattr(annotation, "__name__", str(annotation)).replace("typing.", "")


def _notes(settings: type) -> dict[str, str]:
    """The `Attributes:` of a docstring, by name."""
    doc = inspect.getdoc(settings) or ""
    known = {field.name for field in dataclasses.fields(settings)}
    notes: dict[str, str] = {}
    name = ""
    for line in doc.partition("Attributes:")[2].splitlines():
        found = re.match(r" {2,4}(\w+)(?: \([^)]*\))?: (.*)", line)
        if found and found[1] in known:
            name = found[1]
            notes[name] = found[2].strip()
        elif name and line.startswith("      "):
            notes[name] += " " + line.strip()
        elif line.strip() and not line.startswith(" "):
            break
    return notes
