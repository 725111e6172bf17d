"""The report page says what a run says, escapes it, asks for nothing outside, and is a function of the run alone."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from separatrix.study.account import run_command
from separatrix.study.figures import NoData, curves, effect_strip, inline_svg, points
from separatrix.study.finding import PRESETS, AtLeast, AtMost, Between, Finding, judge
from separatrix.study.identity import cell_id, settings_hash
from separatrix.study.report import report_page
from separatrix.study.settings import describe, with_overrides
from separatrix.study.store import open_run
from separatrix.study.study import Study

SCRIPT = "<script>alert('claim')</script>"


@dataclass(frozen=True)
class Settings:
    seeds: int = 5
    steps: int = 4
    rates: tuple[float, ...] = (0.1, 0.5)
    words: tuple[str, ...] = ("add",)
    flag: bool = False


def plain(settings, keys):
    """Gradient descent & nothing else.

    A second paragraph.
    """


def final(ds, arm="plain"):
    return ds["loss"].sel(arm=arm).isel(step=-1)


def broken(ds):
    raise ZeroDivisionError("no <b>luck</b>")


def study(**changes):
    fields = {
        "slug": "demo",
        "seed": 1,
        "domain": "training",
        "title": "A <demo> & its title",
        "paper": "arXiv:0000.00000",
        "citation": "@article{demo, title = {A <demo>}}",
        "question": "Does 5 % of x < y hold?",
        "method": "By trying.",
        "presets": dict.fromkeys(PRESETS, Settings()),
        "arms": {"plain": plain, "heavy": plain},
        "findings": [
            Finding("F1", f"The loss is small {SCRIPT}.", "Fig. 1", final, AtMost(2.0), published=0.5, arms=("plain",)),
            Finding("F2", "It is not large.", "Fig. 2", final, AtLeast(9.0), published="about 9", arms=("plain",)),
            Finding("F3", "Heavy too.", "Fig. 3", lambda ds: final(ds, "heavy"), Between(0, 3), arms=("heavy",)),
            Finding("F4", "At scale.", "Fig. 4", final, AtMost(2.0), since="full", control=True),
        ],
        "figures": {
            "Loss <of all>": curves("loss"),
            "Last loss": points("loss"),
            "Accuracy": curves("accuracy", arms=["plain"]),
            "Broken": broken,
        },
        "remarks": {"F2": "Because <of> noise."},
    }
    return Study(**(fields | changes))


def dataset(seeds=5, offset=0.0):
    values = offset + np.linspace(1.5, 1.0, 4) + 0.1 * np.arange(seeds)[:, None]
    attrs = {"device": "cpu", "wall_seconds": 2.5, "compile_seconds": 1.0}
    return xr.Dataset(
        {"loss": (("seed", "step"), values, {"units": "nat", "long_name": "training loss"})},
        {"seed": np.arange(seeds), "step": np.arange(1, 5)},
        attrs,
    )


def run_of(root, arms=("plain", "heavy"), preset="default", settings=None, seeds=5):
    settings = describe(settings or Settings())
    provenance = {
        "time": "2026-01-02T03:04:05+00:00",
        "versions": {"jax": "9.9.9"},
        "python": "3.11",
        "platform": "Linux <x>",
        "cpus": 2,
        "argv": ["/usr/bin/separatrix", "run", "demo", "--set", "words=a b"],
        "git": {"commit": "abc123", "dirty": True},
    }
    name = settings_hash(settings)
    store = open_run(root, "demo", name, create=True, preset=preset, settings=settings, provenance=provenance)
    for i, arm in enumerate(arms):
        identity = {"arm": arm, "seeds": list(range(seeds)), "point": {}}
        store.commit(cell_id(identity), identity, dataset(seeds, offset=0.01 * i))
    return store


class Page(HTMLParser):
    """Elements, ids and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)

    def values(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return report_page([(study(), run_of(tmp_path_factory.mktemp("runs")), "default")])


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_the_page_names_study_findings_verdicts_and_origin(page):
    for words in (
        "A <demo> & its title", "arXiv:0000.00000", "@article{demo, title = {A <demo>}}", "By trying.",
        "✓ 2 reproduced", "✗ 1 not reproduced", "Fig. 1", "≤ 2", "≥ 9", "in [0, 3]", "about 9", "Because <of> noise.",
        "1 finding not tested by this preset", "F4: At scale.", "Gradient descent & nothing else.",
        "commit abc123, with changes not committed", "jax 9.9.9", "Linux <x>", "2026-01-02 03:04:05 UTC",
        "5.0 s, of which 2.0 s went into compiling", "separatrix run demo --preset default",
        "separatrix run demo --set 'words=a b'",
    ):  # fmt: skip
        assert words in page.text.replace("\u00a0", " ")
    assert "A second paragraph" not in page.text
    assert page.tags.count("h1") == 1
    assert page.tags.count("tr") == 1 + 3 + 1 + 2 + 1 + 5  # findings, arms, settings, each with its head


def test_nothing_in_a_study_becomes_markup(text, page):
    assert "script" not in page.tags
    assert "b>luck" not in text
    assert SCRIPT in page.text.replace("\u00a0", " ")


def test_the_page_asks_for_nothing_outside(text, page):
    links = [value for name in ("src", "href", "xlink:href", "action", "data", "srcset") for value in page.values(name)]
    assert all(value.startswith(("#", "data:")) for value in links)
    assert not re.search(r"@import|url\((?!#)|https?://", text)


def test_ids_are_unique_and_references_lead_somewhere(text, page):
    ids = page.values("id")
    assert len(ids) == len(set(ids)) > 20
    aims = [value[1:] for value in page.values("href") if value.startswith("#")]
    aims += re.findall(r"url\(#([^)]+)\)", text) + page.values("aria-labelledby")
    assert aims
    assert set(aims) <= set(ids)


def test_the_page_follows_dark_and_light_and_prints(text):
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert '<meta name="color-scheme" content="light dark">' in text
    assert "width=device-width" in text


def test_the_same_run_gives_the_same_page_wherever_it_lies(text, tmp_path):
    assert report_page([(study(), run_of(tmp_path / "elsewhere"), "default")]) == text


def test_figures_take_the_colour_of_the_text(text, page):
    assert page.tags.count("figure") == 2
    assert "currentColor" in text
    assert not re.search(r"#010203|#000000|font-family: '", text)


def test_a_figure_without_data_or_with_a_fault_costs_one_line(page):
    assert "Accuracy: not measured in this run (accuracy was not measured in plain)" in page.text
    assert "Broken: could not be drawn (ZeroDivisionError: no <b>luck</b>)" in page.text


def test_an_arm_without_results_makes_its_findings_inconclusive(tmp_path):
    page = Page(report_page([(study(), run_of(tmp_path, arms=("plain",)), "default")]))
    assert "? 1 inconclusive" in page.text
    assert "not measured: arm heavy" in page.text
    assert "F3: no effect was measured, expected in [0, 3]" in page.text


def test_a_run_without_any_result_has_a_page(tmp_path):
    page = Page(report_page([(study(), run_of(tmp_path, arms=()), "default")]))
    assert "This run has no results yet." in page.text
    assert "? 3 inconclusive" in page.text


def test_the_quick_preset_reaches_no_verdict(tmp_path):
    page = Page(report_page([(study(), run_of(tmp_path, preset="quick"), "quick")]))
    assert "No finding is tested by this preset." in page.text
    assert "4 findings not tested by this preset" in page.text


def test_damaged_and_failed_cells_are_named(tmp_path):
    store = run_of(tmp_path)
    damaged = sorted(store.committed())[0]
    path = store.cells / f"{damaged}.npz"
    path.write_bytes(path.read_bytes()[:-40])
    store.set_state("0" * 16, "failed", "ValueError: <bad> luck")
    page = Page(report_page([(study(), store, "default")]))
    assert f"cell {damaged} is" in page.text
    assert "1 cell failed (ValueError: <bad> luck)" in page.text


def test_changed_settings_are_pointed_out_and_the_command_line_restores_them(tmp_path):
    settings = Settings(seeds=7, steps=9, rates=(0.25,), words=("a b", "c"), flag=True)
    store = run_of(tmp_path, settings=settings)
    page = Page(report_page([(study(), store, "default")]))
    assert "The settings differ from the preset" in page.text
    command = run_command(study(), "default", store.manifest["settings"])
    assert command == (
        "separatrix run demo --preset default --seeds 7 --set steps=9 --set rates=0.25 --set 'words=a b,c' "
        "--set flag=True"
    )
    assert with_overrides(Settings(), ["seeds=7", "steps=9", "rates=0.25", "words=a b,c", "flag=True"]) == settings


def test_several_studies_share_a_page_with_an_overview(tmp_path):
    store = run_of(tmp_path)
    other = study(title="Another")
    page = Page(report_page([(study(), store, "default"), (other, store, "thorough")]))
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert [value for value in page.values("href") if value.startswith("#s")][:2] == ["#s1", "#s2"]
    assert (page.tags.count("h1"), page.tags.count("article"), page.tags.count("nav")) == (1, 2, 1)


def test_a_page_needs_a_run():
    with pytest.raises(ValueError, match="at least one run"):
        report_page([])


def strip(effects, expect, published=None):
    finding = Finding("F", "c", "s", lambda ds: ds["effect"], expect, published=published)
    values = xr.Dataset({"effect": ("seed", np.array(effects, dtype=float))}, {"seed": range(len(effects))})
    return effect_strip(finding, judge(finding, values), "x")


def positions(svg, kind):
    return [float(x) for x in re.findall(rf'class="{kind}" (?:d="M|cx=")([\d.-]+)', svg)]


def test_the_strip_shows_each_seed_in_order_within_the_axis():
    svg = strip([1, 2, 3, 4, 5], AtMost(4.5), published=2)
    seeds = positions(svg, "seed")
    assert len(seeds) == 5
    assert seeds == sorted(seeds)
    assert np.allclose(np.diff(seeds), seeds[1] - seeds[0], atol=0.11)
    assert positions(svg, "mean") == [seeds[2]]
    assert positions(svg, "published") == [seeds[1]]


@pytest.mark.parametrize(
    ("expect", "left", "right"),
    [(AtLeast(2.0), None, 310.0), (AtMost(2.0), 10.0, None), (Between(2.0, 4.0), None, None)],
)
def test_the_accepted_region_is_shaded_up_to_its_thresholds(expect, left, right):
    svg = strip([1, 2, 3, 4, 5], expect)
    x, width = (float(v) for v in re.search(r'class="region" x="([\d.]+)" y="\d+" width="([\d.]+)"', svg).groups())
    thresholds = positions(svg, "threshold")
    assert x == pytest.approx(thresholds[0] if left is None else left, abs=0.1)
    assert x + width == pytest.approx(thresholds[-1] if right is None else right, abs=0.1)


@pytest.mark.parametrize(
    ("effects", "published"),
    [([2.0] * 5, 2.0), ([0.0] * 5, 1e9), ([1.0], -1e9), ([], None), ([np.nan] * 5, 3.0), ([1e-9, 1e9, 1, 2, 3], 0.0)],
)
def test_every_strip_stays_within_its_picture(effects, published):
    svg = strip(effects, AtLeast(2.0), published)
    numbers = [float(x) for x in re.findall(r'(?:[MH]|c?x=")(-?[\d.]+|nan|inf)', svg)]
    assert numbers
    assert all(0 <= x <= 320 for x in numbers)


def test_a_wide_positive_range_is_logarithmic():
    assert "logarithmic axis" in strip([3_000, 3_100, 3_200, 3_300, 3_400], AtLeast(20.0))
    assert "logarithmic axis" not in strip([3_000, 3_100, 3_200, 3_300, 3_400], AtLeast(-20.0))


def test_figures_say_when_there_is_nothing_to_draw():
    ds = xr.Dataset({"loss": (("arm", "seed", "step"), np.full((1, 2, 3), np.nan))}, {"arm": ["plain"]})
    for draw in (curves("loss"), points("loss", arms=["plain"]), curves("accuracy"), points("accuracy")):
        with pytest.raises(NoData, match="was not measured"):
            draw(ds)


def test_points_show_the_last_measured_value():
    loss = [[[3.0, 2.0, np.nan], [5.0, np.nan, np.nan]]]
    ds = xr.Dataset({"loss": (("arm", "seed", "step"), loss), "once": (("arm", "seed"), [[7.0, 8.0]])}, {"arm": ["a"]})
    assert points("loss")(ds).axes[0].lines[0].get_xdata().tolist() == [2.0, 5.0]
    assert points("once")(ds).axes[0].lines[0].get_xdata().tolist() == [7.0, 8.0]


def test_the_ids_of_a_figure_begin_with_its_name():
    ds = dataset().expand_dims(arm=["plain"])
    svg = inline_svg(curves("loss"), ds, "p7", 'a "label" & more')
    assert all(name.startswith("p7-") for name in re.findall(r' id="([^"]+)"', svg))
    assert 'aria-label="a &quot;label&quot; &amp; more"' in svg
    assert svg == inline_svg(curves("loss"), ds, "p7", 'a "label" & more')
