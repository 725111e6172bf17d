"""How long a user waits: help, and the first training step of the default study, before and after compilation is kept.

The command line runs as a user runs it, `separatrix run grokking-numerical-stability` in an empty folder, first with an
empty compilation cache and then with the cache that this left. The clock stops at the first report of a step; then the
run is stopped. There is no peer.
"""

import contextlib
import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import main, table

STUDY = "grokking-numerical-stability"
TERMINAL = {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"}


def separatrix() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "separatrix.cli", "--help"], stdout=subprocess.PIPE, check=True)
        figures = {"help": time.perf_counter() - began}
        for name in ("cold", "warm"):
            figures[name] = first_step(Path(folder), name)
    return figures


def first_step(folder: Path, name: str) -> float:
    """Start the study in a new store and wait for its first step."""
    command = [sys.executable, "-u", "-m", "separatrix.cli", "run", STUDY, "--store", str(folder / name)]
    environment = {**os.environ, "SEPARATRIX_CACHE": str(folder / "cache"), **TERMINAL}
    began = time.perf_counter()
    mine, theirs = pty.openpty()  # a log has a line every ten seconds, a terminal is shown every step
    process = subprocess.Popen(command, stderr=theirs, stdout=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    shown = ""
    with contextlib.suppress(OSError):  # the end of a terminal
        while not re.search(r"[1-9][\d,]*/[\d,]{2,} steps", shown):
            shown += os.read(mine, 4096).decode(errors="replace")
    seconds = time.perf_counter() - began
    if process.poll() is not None:
        raise RuntimeError(f"{' '.join(command)} ended without a step:\n{shown}")
    process.send_signal(signal.SIGKILL)
    process.wait()
    os.close(mine)
    return seconds


def summarise(sides: dict[str, dict]) -> str:
    mine = sides["separatrix"]
    rows = [
        ["`separatrix --help`", f"{mine['help']:.2f}"],
        ["first step of the default study, nothing compiled yet", f"{mine['cold']:.1f}"],
        ["the same, compilation cached", f"{mine['warm']:.1f}"],
    ]
    return table(["", "seconds"], rows)


if __name__ == "__main__":
    main("Start: what a user waits for", {"separatrix": separatrix}, summarise)
