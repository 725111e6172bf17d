"""The report in a real browser: quiet, self-contained, fits phone and desk, prints, follows dark and light."""

import io
import shutil

import numpy as np
import pytest
import xarray as xr

from separatrix.study.identity import cell_id
from separatrix.study.report import report_page
from separatrix.study.settings import describe
from separatrix.study.store import open_run
from separatrix.study.study import find_study

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium; on Debian: apt-get install chromium")

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)
WIDTHS = {"phone": 390, "desk": 1280}


def curves(seed_count=5, steps=60):
    """Smooth curves of the variables that the study's figures and findings read."""
    step = np.arange(1, steps + 1)
    rise = 1 / (1 + np.exp(-(step - 30 - np.arange(seed_count)[:, None]) / 4))
    dims = ("seed", "step")
    return xr.Dataset(
        {
            "test_accuracy": (dims, rise),
            "train_accuracy": (dims, np.minimum(1, 3 * rise)),
            "softmax_collapse": (dims, rise / 2),
            "weight_norm": (dims, 5 + 50 * rise),
            "nlm_alignment": ((*dims, "layer"), np.stack([rise, rise / 2], axis=-1)),
        },
        {"seed": np.arange(seed_count), "step": step},
        {"device": "cpu", "wall_seconds": 1.0},
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    study = find_study("grokking-numerical-stability")
    settings = describe(study.presets["thorough"])
    store = open_run(folder, study.slug, "0123456789ab", create=True, preset="thorough", settings=settings)
    for arm in study.active_arms("thorough")[:-1]:
        identity = {"arm": arm, "seeds": list(range(5)), "point": {}}
        store.commit(cell_id(identity), identity, curves())
    page = folder / "report.html"
    page.write_text(report_page([(study, store, "thorough"), (study, store, "default")]), encoding="utf-8")
    return page.as_uri()


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright; pip install 'separatrix[dev]'")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, address):
    """Opens the report and, at the end of the test, checks that it asked for nothing and complained of nothing."""
    requests, complaints, contexts = [], [], []

    def at(width, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(address)
        return page

    yield at
    for context in contexts:
        context.close()
    assert set(requests) <= {address, "data:,"}
    assert complaints == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nothing_is_wider_than_the_window(open_page, width):
    page = open_page(width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main *")].filter(e => {
            if (e.closest(".scroll") && !e.matches(".scroll")) return false;  // scrolls within its own box
            if (e.closest("svg") && !e.matches("svg")) return false;
            const box = e.getBoundingClientRect(), main = document.querySelector("main").getBoundingClientRect();
            return box.width > 1 && (box.left < main.left - 1 || box.right > main.right + 1);
        }).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert outside == []


def test_every_picture_is_drawn_large_enough_to_read(open_page):
    page = open_page(WIDTHS["phone"])
    widths = page.evaluate(
        "[...document.querySelectorAll('figure svg, .strip')].map(e => e.getBoundingClientRect().width)"
    )
    assert len(widths) > 20
    assert min(widths) > 250
    assert page.evaluate("[...document.querySelectorAll('figure text')].every(e => e.getBBox().width > 0)")


def test_claims_verdicts_and_pictures_have_names_for_a_screen_reader(open_page):
    page = open_page(WIDTHS["phone"])
    assert page.get_by_role("row").count() > 10  # also where the table is shown as cards
    assert page.get_by_role("rowheader", name="F2a").count() == 2
    assert page.get_by_role("img", name="F2a: mean effect").count() == 2
    assert page.get_by_role("navigation", name="Studies").get_by_role("link").count() == 2


def test_dark_and_light_differ_and_neither_is_blank(open_page):
    image = pytest.importorskip("PIL.Image")
    ground = {}
    for scheme in ("light", "dark"):
        pixels = np.asarray(image.open(io.BytesIO(open_page(WIDTHS["desk"], scheme).screenshot())).convert("L"))
        ground[scheme] = np.median(pixels)
        assert pixels.std() > 5
        assert np.abs(pixels - ground[scheme]).max() > 150  # text stands out from the ground
    assert ground["light"] > 240
    assert ground["dark"] < 40


def test_text_in_figures_follows_the_ground(open_page):
    colour = "getComputedStyle(document.querySelector('figure text')).fill"
    light, dark = (open_page(WIDTHS["desk"], scheme).evaluate(colour) for scheme in ("light", "dark"))
    assert light == "rgb(28, 34, 40)"
    assert dark == "rgb(228, 232, 236)"


def test_it_prints_on_light_paper_with_everything_unfolded(open_page):
    page = open_page(WIDTHS["desk"], "dark")
    document = page.pdf(prefer_css_page_size=True)
    assert document.startswith(b"%PDF")
    assert document.count(b"/Type /Page\n") + document.count(b"/Type /Page ") >= 4
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.querySelector('details li').getBoundingClientRect().height") > 0
