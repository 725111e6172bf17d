"""The audit goes on where it stopped, and what it writes is what the package reads."""

import json

import numpy as np
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
    assert "| Baker | map | 5 | 0.693147 ±" in (tmp_path / "exponents.md").read_text()


def test_a_hamiltonian_spectrum_has_pairs_and_no_dimension():
    row = {"name": "HenonHeiles", "spectrum": [0.1, 0.0, 0.0, -0.05], "spectrum_errors": [1e-3] * 4, "exponent": 0.1}
    row |= {"exponent_error": 1e-3, "kaplan_yorke": float("nan"), "divergence": 0.05, "periods": 5.0}
    assert "exponents do not come in pairs" in audit_page([row])
    assert "pairs" not in audit_page([row | {"spectrum": [0.1, 0.0, 0.0, -0.1], "divergence": 0.0}])
    assert np.isnan(audit_row("HenonHeiles", periods=1)["kaplan_yorke"])


def test_flags():
    row = audit_row("Rossler", periods=1_500)
    page = audit_page([json.loads(json.dumps(row))])
    line = next(text for text in page.splitlines() if text.startswith("| Rossler"))
    assert "lle off by 2" in line
    assert "neutral" not in line
    assert "sum" not in line
    assert "1 flows where both are positive: median |ln ratio| 0.6" in page
