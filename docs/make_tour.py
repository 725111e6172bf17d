"""The screenshots of `tour.md`: `python docs/make_tour.py [STORE]`, with Chromium and the extras `view` and `dev`.

It carries out the commands of the page, which takes some ten minutes on two cores with an empty store (`runs` by
default) and seconds with a full one, and photographs the report and the view in light and dark.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FIGURES = Path(__file__).parent / "figures"
STUDY = "stability-gap"
SMALL = ["--set", "subset=100"]  # of the test examples, so that a run takes a second
SWEEP = ["--arm", "ewc-60", *SMALL, "--seeds", "2", "--over", "rate=0.01:0.3:log:8"]
SWEEP += ["--over", "ewc_strength=10:3000:log:8", "--show", "accuracy"]
MAP = ["--regime", "forgets", *SMALL, "--over", "rate=0.01:0.3:log,ewc_strength=10:3000:log", "--resolution", "32"]
WIDTH, HEIGHT = 1100, 700


def separatrix(store, *words):
    """Carry out a command and return what it prints as JSON."""
    command = [sys.executable, "-m", "separatrix.cli", *words, "--store", store, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


@contextlib.contextmanager
def viewed(store):
    """Serve the view; its address."""
    command = [sys.executable, "-m", "separatrix.cli", "view", "--store", store, "--port", "0"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        yield server.stderr.readline().split()[1].rstrip("/")
    finally:
        server.terminate()
        server.wait()


def photograph(page, name, scheme):
    """Keep what the window shows, in few colours, so that the file is small."""
    path = FIGURES / f"tour-{name}{'' if scheme == 'light' else '-dark'}.png"
    page.screenshot(path=path)
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path.name, path.stat().st_size // 1000, "kB")


def scroll_to(page, selector, above=16):
    """Bring an element to the top of the window."""
    page.wait_for_selector(selector)
    page.evaluate(
        "([s, a]) => scrollTo(0, document.querySelector(s).getBoundingClientRect().top + scrollY - a)",
        [selector, above],
    )
    page.wait_for_timeout(300)


def scenes(page, site, report, run, sweep, traced, scheme):
    """Take every picture in one colour scheme."""
    page.goto(report.resolve().as_uri())
    scroll_to(page, "article")
    photograph(page, "report", scheme)
    page.goto(f"{site}/runs/{run}")
    page.wait_for_selector(".findings")
    page.wait_for_selector(".plot .main-svg")
    scroll_to(page, "#h-figures")
    page.wait_for_function("document.querySelectorAll('.drawing svg').length >= 4")
    photograph(page, "view", scheme)
    page.goto(f"{site}/runs/{sweep}")
    page.wait_for_selector("[data-phase] .plot .main-svg")
    scroll_to(page, "#h-phase")
    photograph(page, "sweep", scheme)
    page.goto(f"{site}/start/{STUDY}/map")
    page.get_by_label("setting").nth(0).select_option("rate")
    page.get_by_label("setting").nth(1).select_option("ewc_strength")
    page.evaluate("document.activeElement.blur()")
    photograph(page, "start", scheme)
    page.goto(f"{site}/maps/{traced}")
    page.wait_for_selector(".plot .main-svg")
    scroll_to(page, "[data-map]", above=2)
    photograph(page, "map", scheme)


def main(store="runs"):
    """Run, sweep and map, then take the pictures."""
    report = Path(store) / "tour.html"
    places = [
        separatrix(store, "run", STUDY)[0],
        separatrix(store, "sweep", STUDY, *SWEEP),
        separatrix(store, "map", STUDY, *MAP),
    ]
    run, sweep, traced = (f"{STUDY}/{Path(place['store']).name}" for place in places)
    print({key: places[2][key] for key in ("claim", "runs", "uniform_runs", "cells")})
    command = [sys.executable, "-m", "separatrix.cli", "report", STUDY, "--preset", "default", "--store", store]
    subprocess.run([*command, "-o", str(report)], check=True)
    with viewed(store) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(
                viewport={"width": WIDTH, "height": HEIGHT}, color_scheme=scheme, bypass_csp=True
            )
            scenes(context.new_page(), site, report, run, sweep, traced, scheme)
            context.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
