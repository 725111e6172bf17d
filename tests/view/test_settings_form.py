"""A form made from a dataclass: every value it shows is read back as it was, and errors stand at their field."""

import dataclasses
from typing import Literal

import pytest

from separatrix.study.settings import change
from separatrix.study.study import all_studies, find_study
from separatrix.view.settings_form import as_text, fields_of, read_form

from .view_store import SAMPLE


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of every kind.

    Attributes:
        seeds: how many
            there are.
        kind: which one.
    """

    kind: Literal["a", "b"] = "a"
    seeds: int = 3
    rate: float = 1e-7
    flag: bool = True
    rates: tuple[float, ...] = (0.1, 2.0)
    one: tuple[int, ...] = (7,)
    words: tuple[str, ...] = ("plain", "two words")
    nested: tuple[tuple[int, int], ...] = ((1, 2), (3, 4))
    maybe: float | None = None

    def __post_init__(self):
        if self.rate > 1 and self.flag:
            raise ValueError("`rate` above 1 needs flag=False.")


@pytest.fixture
def study():
    return dataclasses.replace(
        find_study(SAMPLE), presets=dict.fromkeys(("quick", "default", "thorough", "full"), Settings())
    )


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_what_the_form_shows_is_read_back(name):
    value = getattr(Settings(), name)
    assert getattr(change(Settings(), name, as_text(value)), name) == value


def test_every_setting_of_every_study_is_read_back():
    for study in all_studies().values():
        for preset, settings in study.presets.items():
            values = {field.name: field.text for field in fields_of(study, preset)}
            assert read_form(study, preset, values).changes == []
            for name, text in values.items():
                assert getattr(change(settings, name, text), name) == getattr(settings, name), (study.slug, name)


def test_fields_tell_type_choices_and_docstring(study):
    fields = {field.name: field for field in fields_of(study, "default")}
    assert next(iter(fields)) == "seeds"
    assert fields["kind"].choices == ("a", "b")
    assert fields["flag"].choices == ("True", "False")
    assert (fields["rates"].kind, fields["maybe"].kind) == ("list of numbers", "number or None")
    assert fields["seeds"].help == "how many there are."


def test_only_changes_go_to_the_command_line(study):
    asked = read_form(study, "default", {"seeds": "5", "rate": "0.5", "rates": "0.1,2.0", "flag": "True"})
    assert asked.changes == ["seeds=5", "rate=0.5"]
    assert (asked.settings.seeds, asked.settings.rate) == (5, 0.5)


def test_errors_stand_at_their_field(study):
    asked = read_form(study, "default", {"seeds": "0", "rate": "fast", "kind": "c", "nothing": "1", "rates": "1,2"})
    assert asked.settings is None
    assert set(asked.errors) == {"seeds", "rate", "kind", ""}
    assert "at least 1" in asked.errors["seeds"]
    assert "must be" in asked.errors["rate"]
    assert "no preset" in read_form(study, "huge", {}).errors[""]


def test_a_value_that_the_dataclass_refuses_is_an_error_at_its_field(study):
    assert read_form(study, "default", {"rate": "2.0"}).errors == {"rate": "`rate` above 1 needs flag=False."}
