"""The live view under load: time to first paint, to the first curve and after a zoom, and the memory of its process.

A store of one run with 2,000 cells of 1,000 steps (4 arms, a grid of 25 x 20, 5 seeds) and one with curves of 10^6
steps (8 arms, 5 seeds). The view runs in a process of its own; headless Chromium opens its pages and reports its marks.
Needs Chromium and the extra `view`, and about 1 GiB of disk. Set `SMALL=1` for tiny sizes that only check the code.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import machine, table, write_section

SMALL = bool(os.environ.get("SMALL"))
GRID, CELL_STEPS, LONG_STEPS = ((2, 2), 50, 5_000) if SMALL else ((25, 20), 1_000, 1_000_000)
ARMS, LONG_ARMS, SEEDS = 4, 8, 5
TITLE = "View: 2,000 cells, and curves of 10^6 steps"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PLOT = "[data-curves] .plot .main-svg .scatterlayer path"


def fill(root: Path) -> dict[str, str]:
    """Write both runs; return their names."""
    import numpy as np
    import xarray as xr

    from separatrix.study.codec import encode
    from separatrix.study.identity import cell_id
    from separatrix.study.manifest import SCHEMA
    from separatrix.study.store import open_run

    rng, names = np.random.default_rng(0), {}

    def run(slug: str, name: str, cells: list[dict], steps: int) -> None:
        store = open_run(root, slug, name, create=True, preset="sweep", settings={"seeds": SEEDS, "steps": steps})
        store.cells.mkdir()
        step = np.arange(1, steps + 1)
        for identity in cells:
            key = cell_id(identity)
            noise = rng.normal(size=(SEEDS, steps)).astype(np.float32)
            about = {"units": "nat", "long_name": "loss"}
            ds = xr.Dataset(
                {"loss": (("seed", "step"), np.exp(0.1 * noise) / np.sqrt(step, dtype=np.float32), about)},
                {"seed": range(SEEDS), "step": step},
            )
            header = {"schema": SCHEMA, "slug": slug, "settings_hash": name, "cell": key, "identity": identity}
            (store.cells / f"{key}.npz").write_bytes(encode({**header, "provenance": {}}, ds))
        store.set_states([cell_id(identity) for identity in cells], "done")
        store.write_results()
        names[slug] = f"{slug}/{name}"

    points = [{"alpha": 0.1 * 1.2**i, "rate": 0.01 * 1.3**j} for i in range(GRID[0]) for j in range(GRID[1])]
    seeds = list(range(SEEDS))
    run(
        "many",
        "a" * 12,
        [{"arm": f"arm {a}", "seeds": seeds, "point": p} for a in range(ARMS) for p in points],
        CELL_STEPS,
    )
    run("long", "b" * 12, [{"arm": f"arm {a}", "seeds": seeds, "point": {}} for a in range(LONG_ARMS)], LONG_STEPS)
    return names


def memory(pid: int) -> dict[str, float]:
    """Resident memory of a process now and at its peak, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    return {key: int(found[name].split()[0]) / 1024 for key, name in (("now", "VmRSS"), ("peak", "VmHWM"))}


def measure(root: Path, names: dict[str, str]) -> dict[str, float]:
    """Start a view, open its pages in a browser, and end it."""
    from playwright.sync_api import sync_playwright

    began = time.perf_counter()
    command = [sys.executable, "-m", "separatrix.cli", "view", "--store", str(root), "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    figures: dict[str, float] = {}
    try:
        address = process.stderr.readline().split()[1].rstrip("/")
        figures["start"] = time.perf_counter() - began
        with sync_playwright() as playwright:
            executable = shutil.which("chromium")
            browser = playwright.chromium.launch(executable_path=executable, args=FLAGS.split())

            def visit(name: str, path: str, wait: str = "") -> None:
                page = browser.new_page(viewport={"width": 1280, "height": 900})
                opened = time.perf_counter()
                page.goto(address + path, wait_until="commit")
                if wait:
                    page.wait_for_selector(wait, timeout=120_000, state="attached")
                    figures[f"{name} drawn"] = time.perf_counter() - opened
                page.wait_for_load_state()
                paint = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
                while (painted := page.evaluate(paint)) is None:
                    page.wait_for_timeout(20)
                figures[f"{name} paint"] = painted / 1000
                if name == "long again":
                    clicked = time.perf_counter()
                    with page.expect_response(lambda response: "from=" in response.url, timeout=120_000):
                        page.get_by_role("button", name="Zoom in").click()
                    figures["long zoom"] = time.perf_counter() - clicked
                page.close()

            visit("index cold", "/")
            while memory(process.pid)["now"] < 1 or not _ready(address):
                time.sleep(0.2)
            visit("index", "/")
            for name in ("many", "long"):
                visit(name, f"/runs/{names[name]}", PLOT)
                visit(f"{name} again", f"/runs/{names[name]}", PLOT)
            browser.close()
        figures |= {f"memory {key}": value for key, value in memory(process.pid).items()}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    return figures


def _ready(address: str) -> bool:
    """Whether the studies are loaded and all runs judged, as the first page tells."""
    from urllib.request import urlopen

    with urlopen(f"{address}/api/runs") as answer:
        return not any("judging" in run["verdicts"] for run in json.load(answer)["runs"].values())


def main() -> None:
    parser = argparse.ArgumentParser(description=TITLE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-readme", action="store_true", help="print only")
    words = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        names = fill(Path(folder))
        rounds = [measure(Path(folder), names) for _ in range(words.rounds)]
    m = {key: statistics.median(r[key] for r in rounds) for key in rounds[0]}
    rows = [
        ["first page, studies still loading", f"{m['index cold paint']:.2f}", "–"],
        ["first page", f"{m['index paint']:.2f}", "–"],
        [f"run of {ARMS * GRID[0] * GRID[1]:,} cells", f"{m['many paint']:.2f}", f"{m['many drawn']:.2f}"],
        ["the same again", f"{m['many again paint']:.2f}", f"{m['many again drawn']:.2f}"],
        [
            f"run of {LONG_ARMS * SEEDS} curves of {LONG_STEPS:,} steps",
            f"{m['long paint']:.2f}",
            f"{m['long drawn']:.2f}",
        ],
        ["the same again", f"{m['long again paint']:.2f}", f"{m['long again drawn']:.2f}"],
        ["a zoom into it", "–", f"{m['long zoom']:.2f}"],
    ]
    text = (
        f"{table(['page', 'first paint s', 'curves drawn s'], rows)}\n\n"
        f"The command listens {m['start']:.1f} s after its start. Memory of its process: {m['memory now']:.0f} MiB "
        f"afterwards, {m['memory peak']:.0f} MiB at most, with the studies and JAX. "
        f"Medians of {words.rounds} rounds; load average before the first {load:.1f}. {machine()}. "
        f"{time.strftime('%Y-%m-%d')}."
    )
    print(text)
    if not words.no_readme:
        write_section(TITLE, text)


if __name__ == "__main__":
    main()
