"""Pages made from studies: tables that survive any text, and sections that stay until a run says them anew."""

from dataclasses import dataclass

import numpy as np
import pytest
import xarray as xr

from separatrix.study import pages
from separatrix.study.finding import PRESETS, AtLeast, AtMost, Finding
from separatrix.study.identity import cell_id, settings_hash
from separatrix.study.pages import findings_markdown, main, merge_sections, study_markdown
from separatrix.study.plan import run_settings
from separatrix.study.report import report_page
from separatrix.study.settings import describe
from separatrix.study.store import open_run
from separatrix.study.study import Study
from separatrix.study.verdicts import verdicts_of


@dataclass(frozen=True)
class Settings:
    seeds: int = 5
    steps: int = 4


def plain(settings, keys):
    """Descent along <the> slope | nothing else."""


def loss(ds):
    return ds["loss"].sel(arm="plain")


def study(slug="demo", seed=1, **changes):
    findings = [
        Finding("F1", "Small | <script>x</script> *y* `a_b`.", "Fig. 1", loss, AtMost(2.0), published=1.0),
        Finding("F2", "Large.", "Fig. 2", loss, AtLeast(9.0), since="thorough", control=True),
    ]
    return Study(
        slug=slug, seed=seed, domain="training", title=f"Title of {slug}", paper="arXiv:0000.00000",
        citation="@article{demo}", question="Why?", method="By trying.", arms={"plain": plain}, findings=findings,
        presets=dict.fromkeys(PRESETS, Settings()), costs={"default": "a minute"}, **changes,
    )  # fmt: skip


def run_of(root, of, preset="default", settings=None, loss=1.0, seeds=5, first=0, commit="0123456789abcdef"):
    settings = settings or Settings()
    provenance = {"time": "2026-01-02T03:04:05+00:00", "git": {"commit": commit, "dirty": True}}
    name = settings_hash({"preset": preset, **run_settings(of, settings)})
    store = open_run(
        root, of.slug, name, create=True, preset=preset, settings=describe(settings), provenance=provenance
    )
    numbers = list(range(first, seeds))
    identity = {"arm": "plain", "seeds": numbers, "point": {}, "settings": run_settings(of, settings)}
    effects = loss + 0.01 * np.arange(len(numbers))
    store.commit(cell_id(identity), identity, xr.Dataset({"loss": ("seed", effects)}, {"seed": numbers}))
    return store


@pytest.fixture
def demo():
    return study()


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


def rows(markdown):
    return [line for line in markdown.splitlines() if line.startswith("|")]


def test_a_findings_section_holds_the_verdict_with_preset_date_and_commit(tmp_path, demo):
    text = findings_markdown([(demo, run_of(tmp_path, demo), "default")])
    assert text.startswith("<!-- begin demo -->\n## Title of demo\n")
    assert text.endswith("<!-- end demo -->\n")
    assert "Preset `default`; run on 2026-01-02; commit `0123456789ab` with changes not committed." in text
    assert rows(text)[2] == (
        r"| **F1** Small \| &lt;script&gt;x&lt;/script&gt; \*y\* `a_b`. | 1.02 | 0.995 to 1.04 | ≤ 2 | 1 | 5 "
        "| **reproduced** |  |"
    )


def test_the_command_gives_the_table_though_the_run_grew_and_a_mixture_of_commits_is_said(tmp_path, demo):
    run_of(tmp_path, demo, commit="0" * 16)
    grown = run_of(tmp_path, demo, settings=Settings(seeds=8), first=5, seeds=8)
    run_of(tmp_path, demo, commit="0" * 16)  # as a later command with fewer seeds does, which keeps the others
    text = findings_markdown([(demo, grown, "default")])
    assert "separatrix run demo --preset default --seeds 8" in text
    assert "| 8 | **reproduced**" in text
    dirty = "with changes not committed"
    assert f"cells from 2 states of the code: commit `{'0' * 12}` {dirty}, commit `0123456789ab` {dirty}." in text
    page = report_page([(demo, grown, "default")])
    assert "separatrix run demo --preset default --seeds 8" in page
    assert "The cells come from different states of the source code" in page


def test_every_table_row_has_as_many_cells_as_its_head(tmp_path, demo):
    demo = study(remarks={"F1": "a | b"})
    text = findings_markdown([(demo, run_of(tmp_path, demo, "thorough"), "thorough")]) + study_markdown(demo)
    for table in text.split("\n\n"):
        counts = {row.replace(r"\|", "").count("|") for row in rows(table)}
        assert len(counts) <= 1


def test_a_study_page_needs_no_run_and_shows_verdicts_if_given(tmp_path, demo):
    page = study_markdown(demo)
    for words in ("# Title of demo", "Descent along &lt;the&gt; slope", "≥ 9", "(negative control)", "@article{demo}"):
        assert words in page
    assert "separatrix run demo" in page
    assert "## Verdicts" not in page
    verdicts = verdicts_of(demo, "thorough", run_of(tmp_path, demo, "thorough").results())
    page = study_markdown(demo, verdicts)
    assert "*not reproduced*" in page
    assert "<!-- begin verdicts -->\n## Verdicts\n" in page


def test_merging_replaces_in_place_inserts_in_order_and_keeps_the_rest():
    section = lambda name, words="": f"<!-- begin {name} -->\n{words}\n<!-- end {name} -->\n"  # noqa: E731
    old = f"# Head\n\n{section('b', 'old b')}\nbetween\n\n{section('d', 'old d')}tail\n"
    new = merge_sections(old, {"d": section("d", "new d"), "c": section("c"), "e": section("e")}, "abcde")
    assert new.index("old b") < new.index("between") < new.index("begin c") < new.index("new d") < new.index("tail")
    assert new.index("tail") < new.index("begin e")
    assert "old d" not in new
    assert merge_sections(new, {"d": section("d", "new d")}, "abcde") == new


def written(monkeypatch, docs, root, *studies):
    monkeypatch.setattr(pages, "all_studies", lambda: {study.slug: study for study in studies})
    assert main(["--store", str(root), "--docs", str(docs)]) == 0
    findings = docs / "findings.md"
    return findings.read_text() if findings.exists() else None


def test_without_runs_the_findings_are_not_touched(monkeypatch, tmp_path, docs, demo):
    assert written(monkeypatch, docs, tmp_path / "runs", demo) is None
    assert (docs / "studies" / "demo.md").read_text() == study_markdown(demo)
    (docs / "findings.md").write_text("by hand")
    assert written(monkeypatch, docs, tmp_path / "runs", demo) == "by hand"


def test_a_study_without_a_run_keeps_what_an_earlier_run_said(monkeypatch, tmp_path, docs, demo):
    other = study("other", 2)
    run_of(tmp_path / "first", demo)
    run_of(tmp_path / "second", other)
    before = written(monkeypatch, docs, tmp_path / "first", demo, other)
    page = (docs / "studies" / "demo.md").read_text()
    assert "## Verdicts" in page
    after = written(monkeypatch, docs, tmp_path / "second", demo, other)
    assert before in after
    assert after.index("begin demo") < after.index("begin other")
    assert (docs / "studies" / "demo.md").read_text() == page
    assert written(monkeypatch, docs, tmp_path / "second", demo, other) == after


def test_the_larger_preset_is_shown_and_quick_or_changed_or_outdated_runs_are_not(monkeypatch, tmp_path, docs, demo):
    run_of(tmp_path, demo, "quick")
    run_of(tmp_path, demo, "thorough", Settings(steps=9))
    run_of(tmp_path, study(revision=0), "thorough")
    assert written(monkeypatch, docs, tmp_path, demo) is None
    run_of(tmp_path, demo, "thorough")
    run_of(tmp_path, demo, "default")
    text = written(monkeypatch, docs, tmp_path, demo)
    assert "Preset `thorough`" in text
    assert "Preset `default`" not in text


def test_an_unfinished_run_is_not_shown(monkeypatch, tmp_path, docs, demo):
    run_of(tmp_path, demo, "thorough").set_state("0" * 16, "failed", "no luck")
    assert written(monkeypatch, docs, tmp_path, demo) is None
    run_of(tmp_path, demo, "default")
    assert "Preset `default`" in written(monkeypatch, docs, tmp_path, demo)


def test_more_seeds_than_the_preset_has_are_welcome(monkeypatch, tmp_path, docs, demo):
    run_of(tmp_path, demo, settings=Settings(seeds=8), seeds=8)
    assert "| 8 |" in written(monkeypatch, docs, tmp_path, demo)


def test_a_missing_folder_is_one_line(capsys, tmp_path):
    assert main(["--store", str(tmp_path), "--docs", str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.startswith("pages: there is no folder")
