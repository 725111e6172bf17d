"""What the user sees while a study runs: a live line on a terminal, plain lines elsewhere."""

import sys
import threading
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from .plan import Cell

__all__ = ["ConsoleReporter"]

SECONDS_BETWEEN_PLAIN_LINES = 10.0


class ConsoleReporter:
    """Reports to standard error, so that standard output stays clean; use it as a context manager."""

    def __init__(self):
        self.console = Console(stderr=True, highlight=False)
        self.live = self.console.is_terminal
        self.progress = Progress(
            TextColumn("[bold]{task.fields[name]}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f} steps  {task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[latest]}"),
            console=self.console,
            disable=not self.live,
            transient=True,
        )
        self.cell: tuple[Cell, int, int] | None = None
        self.silence = threading.Timer(0.0, self.begin)
        self.task = None
        self.label, self.announced = "", False
        self.began = self.spoke = 0.0
        self.first_step = 0

    def __enter__(self) -> "ConsoleReporter":
        self.progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.silence.cancel()
        self.progress.stop()

    def _name(self) -> str:
        assert self.cell is not None
        cell, index, total = self.cell
        seeds = "-".join(str(seed) for seed in sorted({min(cell.seeds), max(cell.seeds)}))
        point = "".join(f" {k}={v}" for k, v in cell.point.items())
        return f"[{index}/{total}] {cell.arm}{point} seeds {seeds}"

    def start_cell(self, cell: Cell, index: int, total: int) -> None:
        """Announce a cell; in plain lines once its settings were accepted, so that a refusal stays one line."""
        self.cell = (cell, index, total)
        self.label, self.announced = "", self.live
        self.silence.cancel()
        self.silence = threading.Timer(SECONDS_BETWEEN_PLAIN_LINES, self.begin)  # an arm may compute without a run
        self.silence.daemon = True
        self.silence.start()
        self._new_task(f"{self._name()}", 1)

    def begin(self) -> None:
        """Say that the cell is under way."""
        self.silence.cancel()
        if not self.announced:
            self.announced = True
            print(f"{self._name()}: compiling", file=sys.stderr, flush=True)
            self.spoke = time.monotonic()

    def _new_task(self, name: str, total: int) -> None:
        if self.task is not None:
            self.progress.remove_task(self.task)
        self.task = self.progress.add_task("", name=_plain(name), total=total, rate="compiling", latest="")

    def advance(self, label: str, step: int, steps: int, latest: Mapping[str, float]) -> None:
        """Show completed steps of the current run and the latest scalars."""
        now = time.monotonic()
        if label != self.label:
            self.label, self.began, self.first_step = label, now, step
            self._new_task(self._name() + ("" if label == "run" else f" {label}"), steps)
        seconds = now - self.began
        rate = f"{(step - self.first_step) / seconds:,.0f}/s" if seconds > 0.5 else ""
        text = "  ".join(f"{k}={v:.3g}" for k, v in list(latest.items())[:4])
        if self.live and self.task is not None:
            self.progress.update(self.task, completed=step, rate=rate, latest=text)
        elif now - self.spoke >= SECONDS_BETWEEN_PLAIN_LINES:
            self.spoke = now
            print(f"{self._name()}: step {step:,}/{steps:,} {rate}  {text}", file=sys.stderr, flush=True)

    def message(self, text: str) -> None:
        """Show one line."""
        if self.live:
            self.console.print(_plain(text), style="yellow")
        else:
            print(text, file=sys.stderr, flush=True)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
