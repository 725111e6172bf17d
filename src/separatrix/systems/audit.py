"""Audit of the published Lyapunov exponents: `python -m separatrix.systems.audit --out docs`.

One system after another is given a spectrum with standard errors and the checks that need no literature: the sum of the
exponents against the mean divergence, and the neutral exponent of an autonomous flow. Results are appended to a file as
they come, so that an interrupted audit goes on where it stopped; at the end the package's table of invariants and a
page of the documentation are written.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from separatrix.systems.computed import COLUMNS
from separatrix.systems.database import catalogue, get
from separatrix.systems.exponents import for_exponents, kaplan_yorke, lyapunov, pesin

__all__ = ["audit_page", "audit_row", "log_gap", "main"]

PERIODS = {"ode": 1_000.0, "dde": 200.0, "map": 1_000.0}
_NEUTRAL_ERRORS = 3.0


def audit_row(name: str, periods: float | None = None) -> dict[str, Any]:
    """Spectrum and checks of one system.

    Args:
        name: as in `catalogue`.
        periods: length of the average; by default 1000 periods of a flow, 200 of a delay flow, 10^6 iterations of a
            map, and no longer than trajectories live.

    Returns:
        The columns of `computed_invariants` and `seconds`.

    Examples:
        >>> row = audit_row("Baker", periods=5)
        >>> round(row["exponent"], 3), abs(row["divergence"]) < 1e-9
        (0.693, True)
    """
    system = get(name)
    began = time.perf_counter()
    periods = _length(name, periods)
    spectrum = lyapunov(system, periods=periods)
    return {
        "name": name,
        "spectrum": spectrum.exponents.tolist(),
        "spectrum_errors": spectrum.standard_errors.tolist(),
        "exponent": float(spectrum.exponents[0]),
        "exponent_error": float(spectrum.standard_errors[0]),
        "kaplan_yorke": math.nan if _conserves(name) else kaplan_yorke(spectrum.exponents),
        "pesin": pesin(spectrum.exponents),
        "divergence": math.nan if spectrum.average is None else float(spectrum.average),
        "periods": periods,
        "transient": system.facts.transient if system.facts else math.nan,
        "steps_per_period": round(for_exponents(system)[1]),
        "seconds": time.perf_counter() - began,
    }


def log_gap(published: Any, ours: Any) -> Any:
    """How far published exponents are from ours.

    Args:
        published: Series by system.
        ours: Series of the same systems.

    Returns:
        `|ln(published / ours)|` of the systems whose exponents are both positive; others have no ratio.

    Examples:
        >>> log_gap(pd.Series([2.0, 1.0, -1.0]), pd.Series([1.0, 0.0, 1.0])).round(3).tolist()
        [0.693]
    """
    known = (published > 0) & (ours > 0)
    return np.abs(np.log(published[known].astype(float) / ours[known].astype(float)))


def _conserves(name: str) -> bool:
    """Whether a flow is Hamiltonian: it fills its phase space, and a dimension would only show rounding errors."""
    facts = get(name).facts
    return facts is not None and facts.hamiltonian and name != "DoublePendulumDysts"  # whose equations have an error


def _length(name: str, periods: float | None) -> float:
    facts = get(name).facts
    assert facts is not None
    return min(PERIODS[facts.kind] if periods is None else periods, facts.lifetime)


def _flags(row: Any, known: Any) -> list[str]:
    flags = []
    spectrum, errors = np.asarray(row["spectrum"]), np.asarray(row["spectrum_errors"])
    if not np.isfinite(spectrum).all():
        return ["no finite spectrum"]
    chaotic = row["exponent"] > _NEUTRAL_ERRORS * row["exponent_error"]
    if not chaotic:
        flags.append("not chaotic within error")
    for column, label in (("published_lle", "lle"), ("published_lle_qr", "lle_qr")):
        value = known[column]
        if chaotic and value > 0 and abs(math.log(value / row["exponent"])) > math.log(2):
            flags.append(f"{label} off by {max(value / row['exponent'], row['exponent'] / value):.1f}x")
    if known["kind"] == "ode":
        gap = np.abs(spectrum).min()
        if gap > max(_NEUTRAL_ERRORS * errors[np.abs(spectrum).argmin()], 1e-3 * np.abs(spectrum).max()):
            flags.append("no neutral exponent")
    unpaired = np.abs(spectrum + spectrum[::-1]) > _NEUTRAL_ERRORS * np.hypot(errors, errors[::-1])
    if _conserves(row["name"]) and unpaired.any():
        flags.append("exponents do not come in pairs")
    total = spectrum.sum()
    if known["kind"] != "dde" and abs(total - row["divergence"]) > 1e-3 * (abs(row["divergence"]) + 1):
        flags.append(f"sum differs from divergence {row['divergence']:.3g}")
    return flags


def _summary(table: pd.DataFrame) -> list[str]:
    flows = table[table.kind == "ode"]
    lines = []
    for column, label in (("published_lle", "`lle`"), ("published_lle_qr", "`lle_qr`")):
        gap = log_gap(flows[column], flows.exponent)
        if len(gap):
            lines.append(
                f"- {label} against ours, {len(gap)} flows where both are positive: median |ln ratio| "
                f"{gap.median():.2f}; {np.mean(gap > math.log(2)):.0%} are off by more than a factor of 2."
            )
    quiet = table[(table.kind == "ode") & ~(table.exponent > _NEUTRAL_ERRORS * table.exponent_error)]
    names = ", ".join(map(str, quiet["name"]))
    lines.append(f"- Flows that are not chaotic within three standard errors ({len(quiet)}): {names or 'none'}.")
    return lines


def audit_page(rows: Sequence[dict[str, Any]]) -> str:
    """The documentation's page of exponents.

    Args:
        rows: from `audit_row`.

    Returns:
        Markdown.
    """
    table = pd.DataFrame(rows).merge(catalogue()[["name", "kind", *_published()]], on="name")
    lines = [
        "# Lyapunov exponents of the catalogue",
        "",
        "Written by `python -m separatrix.systems.audit --out docs`. Ours come from tangent vectors carried along the "
        "orbit in float64 (`systems.lyapunov`), with standard errors from ten block means; nats per unit time of the "
        "system, per iteration for maps. Averages run over so many periods (of 1000 iterations for maps). Published "
        "values are kept as they are.",
        "",
        *_summary(table),
        "",
        "| system | kind | periods | ours | published lle | published lle_qr | spectrum | Kaplan-Yorke | published "
        "| flags |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |",
    ]
    row: Any
    for _, row in table.iterrows():
        spectrum = ", ".join(f"{value:.3g}" for value in row["spectrum"])
        cells = [
            row["name"],
            row["kind"],
            f"{row['periods']:g}",
            _with_error(row["exponent"], row["exponent_error"]),
            *(_figure(row[c]) for c in ("published_lle", "published_lle_qr")),
            spectrum,
            *(_figure(row[c]) for c in ("kaplan_yorke", "published_kaplan_yorke_dimension")),
            "; ".join(_flags(row, row)),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _published() -> list[str]:
    return ["published_lle", "published_lle_qr", "published_kaplan_yorke_dimension"]


def _figure(value: float) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.4g}"


def _with_error(value: float, error: float) -> str:
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return f"{value:.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    if digits > 9 and abs(value) > 1e6 * error:  # exact to rounding
        return f"{value:.6g} ± {error:.0e}"
    return f"{value:.{digits}f} ± {error:.{digits}f}" if digits < 9 else f"{value:.3g} ± {error:.1g}"


def _write_table(rows: Sequence[dict[str, Any]], path: Path) -> None:
    frame = pd.DataFrame(rows)
    for name in ("spectrum", "spectrum_errors"):
        frame[name] = [" ".join(f"{v:.6g}" for v in values) for values in frame[name]]
    frame[["name", *COLUMNS]].to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _read_store(path: Path) -> dict[str, dict[str, Any]]:
    rows = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        if not line:
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError:  # the line that was being written when the audit was stopped
            continue
        rows[row["name"]] = row
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the audit from the command line.

    Args:
        arguments: in place of those of the process.
    """
    parser = argparse.ArgumentParser(prog="python -m separatrix.systems.audit", description="Audit all exponents.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the page exponents.md")
    parser.add_argument("--store", type=Path, default=Path("audit.jsonl"), help="results so far (default: audit.jsonl)")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_name("invariants.csv"), help="data file")
    parser.add_argument("--names", nargs="+", help="systems (default: all)")
    parser.add_argument("--periods", type=float, help="length of the averages (default: 1000; 200 for delay flows)")
    parser.add_argument("--fresh", action="store_true", help="forget the results so far")
    words = parser.parse_args(arguments)
    known = list(catalogue().name)
    names = words.names or known
    unknown = sorted(set(names) - set(known))
    if unknown:
        parser.error(f"the catalogue has no system {unknown[0]!r}")
    if words.fresh:
        words.store.unlink(missing_ok=True)
    done = _read_store(words.store)
    for number, name in enumerate(names, start=1):
        if name in done and done[name]["periods"] == _length(name, words.periods):
            continue
        row = audit_row(name, words.periods)
        done[name] = row
        with words.store.open("a") as file:
            file.write("\n" + json.dumps(row) + "\n")  # a line of its own, whatever an interrupted audit left behind
        value = _with_error(row["exponent"], row["exponent_error"])
        print(f"{number}/{len(names)} {name}: {value} ({row['seconds']:.1f} s)", file=sys.stderr, flush=True)
    rows = [done[name] for name in known if name in done]
    _write_table(rows, words.table)
    words.out.mkdir(parents=True, exist_ok=True)
    (words.out / "exponents.md").write_text(audit_page(rows))


if __name__ == "__main__":
    main()
