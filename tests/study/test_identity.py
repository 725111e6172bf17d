"""Hashes depend on content alone."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
import pytest

from separatrix.study.identity import canonical_json, cell_id, plain, settings_hash


@dataclass(frozen=True)
class Settings:
    steps: int = 100
    rates: tuple[float, ...] = (0.1, 0.2)


def test_order_and_container_do_not_matter_but_values_do():
    one = settings_hash({"a": 1, "b": (1.5, "x"), "c": {"d": None, "e": True}})
    assert one == settings_hash({"c": {"e": True, "d": None}, "b": [1.5, "x"], "a": 1})
    assert one != settings_hash({"a": 2, "b": (1.5, "x"), "c": {"d": None, "e": True}})
    assert settings_hash({"a": 1}) != settings_hash({"a": 1.0})
    assert settings_hash({"a": 1}) != settings_hash({"a": True})


def test_lengths_and_alphabet():
    assert len(settings_hash({})) == 12
    assert len(cell_id({})) == 16
    assert cell_id({"arm": "é"}) == cell_id({"arm": "é"})
    assert set(cell_id({"arm": "a"})) <= set("0123456789abcdef")


def test_a_stored_hash_stays_what_it_is():
    # changing these orphans every existing run: sha256 of '{"arm":"plain","point":{},"seeds":[0,1]}'
    assert canonical_json({"seeds": (0, 1), "arm": "plain", "point": {}}) == '{"arm":"plain","point":{},"seeds":[0,1]}'
    assert cell_id({"seeds": (0, 1), "arm": "plain", "point": {}}) == "b90ebd5003a5599c"


def test_another_process_gives_the_same_hash():
    code = "from separatrix.study.identity import settings_hash as h; print(h({'s': {'b', 'a', 'c'}, 'x': 0.1}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == settings_hash({"x": 0.1, "s": {"c", "a", "b"}})


def test_numpy_values_dataclasses_and_paths_become_plain():
    value = {"i": np.int64(3), "f": np.float32(0.5), "a": np.arange(2), "s": Settings(), "p": PurePosixPath("a/b")}
    assert plain(value) == {"i": 3, "f": 0.5, "a": [0, 1], "s": {"steps": 100, "rates": [0.1, 0.2]}, "p": "a/b"}


def test_numbers_outside_json_become_strings():
    assert plain([float("nan"), float("inf"), -np.inf]) == ["nan", "inf", "-inf"]
    assert json.loads(canonical_json([float("nan")])) == ["nan"]


@pytest.mark.parametrize("value", [{"f": len}, {1: 2}, {"t": int}, {"t": np.float32}])
def test_what_has_no_plain_form_is_refused(value):
    with pytest.raises(TypeError, match="JSON"):
        plain(value)
