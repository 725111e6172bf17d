"""Run two sides of a benchmark alternately, each in a fresh process of one process tree, and write what came out.

A benchmark script calls `main(title, sides, summarise)`. Each side is a function that returns a dictionary of numbers;
it runs in a child process, so that peak memory is its own and no library sees the other's threads. Rounds alternate
between the sides, so that a slow minute of the machine hits both. Figures are medians over rounds.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

README = Path(__file__).with_name("README.md")


def matrix_rate(size: int = 3_000, repeats: int = 5) -> float:
    """Rate of a large float32 matrix product in JAX on this machine, FLOP/s."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(a).block_until_ready()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        product(a).block_until_ready()
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


def machine() -> str:
    """Describe the machine and the versions in one line."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "optax", "equinox", "torch", "numpy"))
    return f"{cpu}, {cores} cores, Python {platform.python_version()}, {packages}"


def main(
    title: str, sides: dict[str, Callable[[], dict[str, float]]], summarise: Callable[[dict[str, dict]], str]
) -> None:
    """Run a benchmark from the command line.

    Args:
        title: heading of its section in the README.
        sides: measurement by name.
        summarise: from the medians of each side to Markdown.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--rounds", type=int, default=3, help="alternations (default: 3)")
    parser.add_argument("--side", choices=sides, help=argparse.SUPPRESS)
    parser.add_argument("--no-readme", action="store_true", help="print only")
    words = parser.parse_args()
    if words.side:
        figures = sides[words.side]()
        figures["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(figures))
        return
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    load = os.getloadavg()[0]
    for number in range(words.rounds):
        for name in sides:
            print(f"round {number + 1}/{words.rounds}: {name}", file=sys.stderr, flush=True)
            command = [sys.executable, sys.argv[0], "--side", name]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rounds[name].append(json.loads(done.stdout.splitlines()[-1]))
    medians = {
        name: {key: statistics.median(r[key] for r in results) for key in results[0]}
        for name, results in rounds.items()
    }
    text = (
        f"{summarise(medians)}\n\nMedians of {words.rounds} alternating rounds; load average before the first "
        f"{load:.1f}. {machine()}. {time.strftime('%Y-%m-%d')}."
    )
    print(text)
    if not words.no_readme:
        write_section(title, text)


def write_section(title: str, text: str) -> None:
    """Replace this benchmark's section of the README."""
    begin, end = f"<!-- begin {title} -->", f"<!-- end {title} -->"
    section = f"{begin}\n## {title}\n\n{text}\n{end}\n"
    old = README.read_text()
    if begin in old:
        head, tail = old.split(begin)[0], old.split(end + "\n")[1]
        README.write_text(head + section + tail)
    else:
        README.write_text(old.rstrip("\n") + "\n\n" + section)


def table(columns: list[str], rows: list[list[str]]) -> str:
    """Format a Markdown table; all but the first column are right-aligned."""
    lines = ["| " + " | ".join(columns) + " |", "| --- |" + " ---: |" * (len(columns) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
