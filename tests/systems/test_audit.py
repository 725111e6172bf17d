"""The audit goes on where it stopped, and what it writes is what the package reads."""

import json

import pandas as pd

from separatrix.systems.audit import audit_page, audit_row, main
from separatrix.systems.computed import COLUMNS


def test_an_interrupted_audit_goes_on(tmp_path, capsys):
    store, table = tmp_path / "audit.jsonl", tmp_path / "invariants.csv"
    words = ["--out", str(tmp_path), "--store", str(store), "--table", str(table), "--periods", "5"]
    main([*words, "--names", "Baker"])
    with store.open("a") as file:
        file.write('{"name": "Hen')  # killed while it wrote
    main([*words, "--names", "Baker", "KaplanYorke"])
    main([*words, "--names", "Baker", "KaplanYorke"])
    written = capsys.readouterr().err
    assert written.count("Baker") == written.count("KaplanYorke") == 1
    assert [*pd.read_csv(table)["name"]] == ["KaplanYorke", "Baker"]  # in the order of the catalogue
    assert set(COLUMNS) < set(pd.read_csv(table).columns)
    assert "| Baker | map | 0.693147 ±" in (tmp_path / "exponents.md").read_text()


def test_flags():
    row = audit_row("Rossler", periods=1_500)
    page = audit_page([json.loads(json.dumps(row))])
    line = next(text for text in page.splitlines() if text.startswith("| Rossler"))
    assert "lle off by 2" in line
    assert "neutral" not in line
    assert "sum" not in line
    assert "flows that are chaotic beyond three standard errors" in page
