"""Settings of a study: a frozen dataclass, its presets, and changes given as `key=value`."""

import ast
import dataclasses
import typing
from collections.abc import Iterable
from typing import Any, TypeVar

from .errors import UsageError, nearest

__all__ = ["change", "describe", "with_overrides"]

S = TypeVar("S")


def with_overrides(settings: S, assignments: Iterable[str]) -> S:
    """Apply `key=value` strings, typed by the dataclass.

    Args:
        settings: a dataclass instance.
        assignments: such as `"steps=500"`, `"rates=0.1,0.2"`, `"name=plain"`.

    Returns:
        A changed copy.

    Raises:
        UsageError: for an unknown key, or a value that does not fit the key's type.
    """
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set needs key=value; got {assignment!r}")
        settings = change(settings, key.strip(), text.strip())
    return settings


def change(settings: S, key: str, text: str) -> S:
    """Set one field from text.

    Args:
        settings: a dataclass instance.
        key: name of a field.
        text: a Python literal, a bare word, or items separated by commas where the field is a tuple.

    Returns:
        A changed copy.

    Raises:
        UsageError: for an unknown key, a value that does not fit the field's type, or a number of steps below 1.
    """
    annotations = typing.get_type_hints(type(settings))
    names = [field.name for field in dataclasses.fields(settings)]  # pyright: ignore[reportArgumentType]
    if key not in names:
        raise UsageError(f"there is no setting {key!r}{nearest(key, names)}")
    annotation = annotations[key]
    value = _parse(text, annotation)
    if not _fits(value, annotation):
        shown = getattr(annotation, "__name__", None) if isinstance(annotation, type) else None
        raise UsageError(f"setting {key!r} must be {shown or str(annotation).replace('typing.', '')}; got {text!r}")
    if key.rpartition("_")[2] == "steps" and value < 1:  # known before anything is trained, whichever arm reads it
        raise UsageError(f"setting {key!r} must be at least 1; got {text!r}")
    try:
        return dataclasses.replace(settings, **{key: value})  # pyright: ignore[reportArgumentType, reportReturnType]
    except ValueError as error:
        raise UsageError(str(error)) from None


def _parse(text: str, annotation: Any) -> Any:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = tuple(part.strip() for part in text.split(",")) if "," in text else text
    if isinstance(value, list):
        value = tuple(value)
    if typing.get_origin(annotation) is tuple and not isinstance(value, tuple):
        value = (value,)
    return _widen(value, annotation)


def _widen(value: Any, annotation: Any) -> Any:
    """Accept whole numbers where a float is wanted, also within tuples."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and annotation is float:
        return float(value)
    if isinstance(value, tuple) and typing.get_origin(annotation) is tuple:
        inner = typing.get_args(annotation)[0]
        return tuple(_widen(item, inner) for item in value)
    return value


def _fits(value: Any, annotation: Any) -> bool:
    from beartype import BeartypeConf
    from beartype.door import is_bearable

    if isinstance(value, bool) and annotation in (int, float):
        return False
    return is_bearable(value, annotation, conf=BeartypeConf(is_pep484_tower=False))


def describe(settings: Any) -> dict[str, Any]:
    """Return the fields and their values.

    Args:
        settings: a dataclass instance.

    Returns:
        Field values by name, in order.
    """
    return {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings)}
