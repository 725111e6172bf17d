"""The view in a real browser: every page, a live run from start to verdict, keyboard, phone, dark and light."""

import io
import shutil
import threading
import time

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs starlette; pip install 'separatrix[view]'")

import uvicorn
from tests.view import view_store

from separatrix.view.application import create_app
from separatrix.view.security import Access
from separatrix.view.server import _listen

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; on Debian: apt-get install chromium")

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
PHONE, DESK = 360, 1280
PLOT = ".plot .main-svg"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A view that listens on a port, over a store of its own: its address, and the names of its runs."""
    root = tmp_path_factory.mktemp("store")
    whole = [view_store.fill_sample(root, steps=400, scale=scale) for scale in (1.0, 2.0)]
    view_store.fill_grid(root)
    view_store.fill_map(root)
    view_store.fill_damaged(root)
    listener = _listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    app = create_app(root, Access.of("127.0.0.1", port, None), [view_store.SAMPLE, view_store.QUADRATIC])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", [f"sample/{store.settings_hash}" for store in whole]
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright; pip install 'separatrix[dev]'")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, site):
    """Opens a page; at the end of the test, checks that all came from the view and that nothing complained."""
    requests, complaints, contexts = [], [], []

    def at(path, width=DESK, scheme="light", wait=""):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(site[0] + path)
        if wait:
            page.wait_for_selector(wait)
        return page

    yield at
    for context in contexts:
        context.close()
    assert {url for url in requests if not url.startswith((site[0], "data:", "blob:"))} == set()
    assert complaints == []


def until(page, expression, seconds=20):
    """Wait until an expression holds; `wait_for_function` evaluates text within the page, which our policy forbids."""
    for _ in range(seconds * 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"not so: {expression}")


def pages(site):
    first, second = site[1]
    return {
        "/": ".runs .verdicts .pill",
        f"/runs/{first}": PLOT,
        "/runs/a-grid/abcdefabcdef": "[data-phase] " + PLOT,
        "/runs/damaged/deaddeaddead": "[data-failed] li",
        "/maps/sample/0123456789ab": PLOT,
        f"/compare?run={first}&run={second}": "figure:nth-of-type(2) " + PLOT,
        "/compare": "select",
        "/start": ".overview li",
        "/start/sample": "form",
        "/start/quadratic/sweep": "form .axis",
        "/start/quadratic/map": "form .axis",
    }


@pytest.mark.parametrize("number", range(11))
def test_every_page_is_quiet_and_fits_a_phone(open_page, site, number):
    path, wait = list(pages(site).items())[number]
    page = open_page(path, PHONE, "dark", wait)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), select, button, progress")].filter(e =>
            !(e.labels?.length || e.getAttribute("aria-label") || e.textContent.trim())).map(e => e.outerHTML)"""
    )
    assert unnamed == []
    assert page.get_by_role("main").count() == page.locator("h1").count() == 1
    assert page.get_by_role("navigation", name="Pages").count() == 1
    assert page.evaluate("[...document.querySelectorAll('.plot')].every(e => e.getAttribute('aria-label'))")


def test_text_stands_out_from_its_ground_in_dark_and_light(open_page, site):
    image = pytest.importorskip("PIL.Image")
    ground = {}
    for scheme in ("light", "dark"):
        page = open_page(f"/runs/{site[1][0]}", DESK, scheme, PLOT)
        pixels = np.asarray(image.open(io.BytesIO(page.screenshot())).convert("L"))
        ground[scheme] = np.median(pixels)
        assert np.abs(pixels - ground[scheme]).max() > 150
        contrasts = page.evaluate(CONTRAST)
        assert min(contrasts.values()) >= 4.5, contrasts
    assert ground["light"] > 240
    assert ground["dark"] < 40
    page.emulate_media(color_scheme="light")  # a plot follows when the scheme changes
    until(page, "getComputedStyle(document.querySelector('.plot text')).fill === 'rgb(28, 34, 40)'")


CONTRAST = """() => {
    const light = (text) => {
        const [r, g, b] = text.match(/[0-9.]+/g).map(Number).map(v => v / 255)
            .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = {};
    for (const e of document.querySelectorAll(".pill, .small, button, a, summary, dt, .control label, .eyebrow")) {
        let under = e;
        while (under && getComputedStyle(under).backgroundColor === "rgba(0, 0, 0, 0)") under = under.parentElement;
        const a = light(getComputedStyle(e).color), b = light(getComputedStyle(under ?? document.body).backgroundColor);
        found[e.className + e.tagName] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    }
    return found;
}"""


def test_curves_zoom_by_mouse_and_keyboard_and_hide_arms(open_page, site):
    page = open_page(f"/runs/{site[1][0]}", wait=PLOT)
    span = "document.querySelector('.plot')._fullLayout.xaxis.range.map(Number)"
    whole = page.evaluate(span)
    page.get_by_role("button", name="Zoom in").focus()
    with page.expect_response(lambda r: "/curves" in r.url and "from=" in r.url):
        page.keyboard.press("Enter")
    until(page, f"{span}[1] - {span}[0] < {0.6 * (whole[1] - whole[0])}")
    with page.expect_response(lambda r: "/curves" in r.url and "from=" not in r.url):
        page.get_by_role("button", name="Whole").click()
    page.locator(".plot").scroll_into_view_if_needed()
    box = page.locator(".plot .nsewdrag").bounding_box()
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 22, steps=4)
    with page.expect_response(lambda r: "/curves" in r.url and "from=" in r.url):
        page.mouse.up()
    names = "document.querySelector('.plot').data.map(t => t.name).filter(Boolean)"
    assert page.evaluate(names) == ["sgd", "momentum", "adam"]
    page.get_by_role("checkbox", name="momentum").uncheck()
    until(page, f'JSON.stringify({names}) === \'["sgd","adam"]\'')
    page.get_by_label("Values").select_option("log")
    until(page, "document.querySelector('.plot')._fullLayout.yaxis.type === 'log'")
    page.get_by_label("Single seeds").check()
    until(page, f"{names}.length > 10")
    page.get_by_text("Numbers of this plot").click()
    assert page.locator("details.numbers tbody tr").count() == 2


def test_sliders_move_a_phase_diagram(open_page, site):
    page = open_page("/runs/a-grid/abcdefabcdef", wait="[data-phase] " + PLOT)
    top = "document.querySelector('[data-phase] .plot').data[0].z[0][0]"
    before = page.evaluate(top)
    slider = page.get_by_label("width").last
    slider.focus()
    page.keyboard.press("ArrowRight")
    until(page, f"{top} !== {before}")
    assert slider.get_attribute("aria-valuetext") == "64"
    page.get_by_label("Across").select_option("width")
    until(page, "document.querySelector('[data-phase] .plot')._fullLayout.xaxis.title.text === 'width'")


def test_findings_are_drawn_and_said(open_page, site):
    page = open_page(f"/runs/{site[1][0]}", wait=".findings")
    assert page.get_by_role("img", name="S1: mean effect").count() == 1
    assert page.get_by_role("rowheader", name="S2").count() == 1
    page.get_by_text("All cells", exact=True).click()
    page.wait_for_selector("[data-cell-table] tbody tr")
    assert page.locator("[data-cell-table] tbody tr").count() == 6


def test_the_figures_of_the_study_are_drawn_in_the_colour_of_the_text(open_page, site):
    page = open_page(f"/runs/{site[1][0]}", scheme="dark", wait=".figures")
    page.locator("[data-figure]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-figure] svg")
    # The curves of the same page are "loss over steps, ..." once drawn: only the figure of the study is meant.
    assert page.locator("[data-figure]").get_by_role("img", name="Loss", exact=True).count() == 1
    assert page.evaluate("getComputedStyle(document.querySelector('[data-figure] text')).fill") == "rgb(228, 232, 236)"
    line = "getComputedStyle(document.querySelector('[data-figure] svg [id$=line2d_1] path')).strokeWidth"
    assert page.evaluate("document.querySelector('[data-figure] svg [style]')") is None
    assert page.evaluate(line) != "1px"  # what stood in style attributes, which the policy forbids, is there


def test_a_map_is_started_from_the_form_and_shown(open_page, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    page = open_page("/start/quadratic/map", PHONE)
    page.get_by_label("setting").first.select_option("rate")
    assert page.get_by_label("low", exact=True).first.input_value() == "0.05"  # a suggestion
    page.get_by_label("low", exact=True).first.fill("0.25")
    page.get_by_label("high", exact=True).first.fill("3.75")
    page.get_by_label("cells a side", exact=True).select_option("16")
    page.get_by_role("button", name="Start the map").click()
    page.wait_for_url("**/maps/quadratic/*")
    page.wait_for_selector(PLOT, timeout=60_000)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_two_chosen_runs_are_compared(open_page, site):
    page = open_page("/", wait=".runs")
    for name in site[1]:
        page.get_by_label(f"Compare {name}").check()
    page.get_by_role("button", name="Compare the two chosen runs").click()
    page.wait_for_selector("figure:nth-of-type(2) " + PLOT)
    ranges = "[...document.querySelectorAll('.plot')].map(e => e._fullLayout.yaxis.range.join())"
    first, second = page.evaluate(ranges)
    assert first == second
    assert page.locator("#h-diff ~ .scroll tbody tr").count() == 1


def test_a_run_is_started_from_the_form_and_watched_to_its_verdict(open_page, site, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    page = open_page("/start/sample", PHONE)
    page.get_by_label("steps", exact=True).fill("40")
    page.get_by_label("seeds", exact=True).fill("5")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_url("**/runs/sample/*")
    page.wait_for_selector(".job:not([hidden])", timeout=20_000)
    page.wait_for_selector(".findings .pill", timeout=60_000)
    page.wait_for_selector(".pill.done:has-text('6 done')", timeout=60_000)
    until(page, "document.querySelectorAll('.findings .reproduced').length === 1")
    page.wait_for_selector(PLOT)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE


def test_a_running_cell_shows_its_curve_and_can_be_stopped(open_page, site, monkeypatch):
    monkeypatch.setenv("SEPARATRIX_CACHE", "")
    page = open_page("/start/sample?preset=quick")
    page.get_by_label("steps", exact=True).fill("40000000")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_selector(".live .spark polyline", timeout=60_000)
    assert page.get_by_role("progressbar", name="steps of").count() == 1
    page.get_by_role("button", name="Stop this run").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".job .stopped", timeout=30_000)
    assert "goes on where this one was" in page.locator(".job pre").inner_text()


def test_a_mistake_stands_at_its_field(browser, site):
    context = browser.new_context(viewport={"width": PHONE, "height": 800})  # not `open_page`: the refusal is logged
    page = context.new_page()
    page.goto(f"{site[0]}/start/sample")
    page.get_by_label("steps", exact=True).fill("many")
    page.get_by_role("button", name="Start the run").click()
    page.wait_for_selector("#e-steps")
    field = page.get_by_label("steps", exact=True)
    assert (field.input_value(), field.get_attribute("aria-invalid")) == ("many", "true")
    context.close()
