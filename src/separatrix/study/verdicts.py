"""From a run to its verdicts, and the table that shows them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .finding import Verdict, judge
from .study import Study

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["print_verdicts", "verdicts_of"]

WIDE = 120  # columns; a narrower terminal gets the claims below the table
PIPED_WIDTH = 160
COLOURS = {"reproduced": "green", "not reproduced": "red", "inconclusive": "yellow"}


def verdicts_of(study: Study, preset: str, results: "xr.Dataset") -> list[Verdict]:
    """Judge the findings that a preset carries.

    Args:
        study: the study.
        preset: of the run.
        results: the run's Dataset.

    Returns:
        One verdict for each active finding, in order; none in the quick preset.
    """
    return [judge(finding, results) for finding in study.active_findings(preset)]


def number(value: float) -> str:
    """Show a number with three significant digits."""
    if value != value:
        return "–"
    return f"{value:.3g}" if abs(value) < 1e5 else f"{value:.2e}"


def print_verdicts(study: Study, preset: str, verdicts: Sequence[Verdict], differences: str = "") -> None:
    """Print the table of verdicts to standard output.

    Args:
        study: the study.
        preset: of the run.
        verdicts: in the order of the findings.
        differences: in what the run differs from what the thresholds were chosen for, if it does.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=PIPED_WIDTH)
    title = f"{study.slug} ({preset}{f'; {differences}' if differences else ''})"
    if not verdicts:
        console.print(f"{title}: this preset checks the code and reaches no verdict", markup=False)
        return
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    table.add_column("finding")
    if console.width >= WIDE:
        table.add_column("claim", overflow="fold")
    for heading in ("effect", "95 % interval", "expected", "published", "seeds"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for verdict in verdicts:
        published = verdict.published
        shown = number(published) if isinstance(published, float | int) else published or "–"
        table.add_row(
            verdict.finding,
            *([verdict.claim] if console.width >= WIDE else []),
            number(verdict.effect),
            f"{number(verdict.low)} to {number(verdict.high)}",
            verdict.expect,
            shown,
            str(verdict.seeds),
            f"[{COLOURS[verdict.verdict]}]{verdict.verdict}[/]",
        )
    console.print(table)
    for verdict in verdicts:
        if verdict.note or console.width < WIDE:
            note = f" ({verdict.note})" if verdict.note else ""
            console.print(f"{verdict.finding}: {verdict.claim}{note}", style="dim", markup=False)
