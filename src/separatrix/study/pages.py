"""Pages of the documentation that are made from studies and their runs.

`python -m separatrix.study.pages --store runs --docs docs` writes `docs/findings.md` and `docs/studies/<slug>.md`. What
a run said stands between `<!-- begin name -->` and `<!-- end name -->`; where there is no run to say it anew, and
everywhere outside these marks in `findings.md`, the old text stays.
"""

import argparse
import contextlib
import io
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .account import arm_description, changed_settings, commits, published_text, run_command
from .errors import UsageError
from .files import StoreError, storing, write_atomic
from .finding import PRESETS, Finding, Verdict
from .runs import find_runs
from .store import Store, open_run
from .study import Study, all_studies
from .verdicts import number, verdicts_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["findings_markdown", "main", "merge_sections", "study_markdown"]

_SECTION = r"<!-- begin {name} -->\n(.*?)<!-- end {name} -->\n"
_PREAMBLE = """# Findings

What came of the claims that the studies put to the test. A verdict compares the interval of the mean effect over seeds
with the region that the study accepted before it was run. This page is made from the runs.

"""
_VERDICTS = "verdicts"


def findings_markdown(items: Sequence[tuple[Study, Store, str]]) -> str:
    """Render the verdicts of runs, one marked section a study.

    Args:
        items: study, run and preset.

    Returns:
        Markdown; empty if there are no items.

    Raises:
        StoreError: if a run cannot be read.
    """
    return "\n".join(_findings_section(*item) for item in items)


def study_markdown(
    study: Study, verdicts: Sequence[Verdict] | None = None, pictures: Mapping[str, str] | None = None
) -> str:
    """Render the page of a study.

    Args:
        study: the study.
        verdicts: of a run of it, shown in a marked section of their own; none by default.
        pictures: files of the run's figures, relative to the page, by caption.

    Returns:
        Markdown.
    """
    parts = [
        f"# {_prose(study.title)}",
        f"Study `{study.slug}`, seed {study.seed}, {_prose(study.domain)}; {_prose(study.paper)}.",
        f"**{_prose(study.question)}**",
        _prose(study.method),
        f"```sh\nseparatrix run {study.slug}\nseparatrix verdicts {study.slug}\nseparatrix report {study.slug}\n```",
        "## Arms",
        _table(("Arm", "What it does"), [(f"`{name}`", arm_description(arm)) for name, arm in study.arms.items()]),
        "## Findings",
        "The interval of the mean effect over seeds must lie in the expected region, which was fixed before the run.",
        _table(
            ("Finding", "Claim", "Source", "Expected", "Published", "From preset"),
            [_claim_row(finding) for finding in study.findings],
        ),
    ]
    if verdicts:
        shown = "".join(f"\n![{_prose(caption)}]({file})\n" for caption, file in (pictures or {}).items())
        body = f"## Verdicts\n\n{_verdict_table(study, verdicts)}\n{shown}"
        parts.append(_marked(_VERDICTS, body).rstrip("\n"))
    if study.remarks:
        lines = [f"- **{_prose(finding)}**: {_prose(remark)}" for finding, remark in study.remarks.items()]
        parts += ["## What was learnt", "\n".join(lines)]
    presets = [(f"`{preset}`", study.costs.get(preset, "–"), _seeds(study, preset)) for preset in PRESETS]
    parts += [
        "## Presets",
        _table(("Preset", "Cost on two cores", "Seeds"), presets),
        "## How to cite",
        f"```bibtex\n{study.citation.strip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def merge_sections(old: str, new: Mapping[str, str], order: Sequence[str]) -> str:
    """Put marked sections into a text, and leave all else as it is.

    Args:
        old: the text so far.
        new: marked sections by name; one that the text has already is replaced where it stands.
        order: of the names; a new section goes before the first present one that comes after it, else to the end.

    Returns:
        The text.
    """
    text = old
    for name, section in new.items():
        if found := _find(name, text):
            text = text[: found.start()] + section + text[found.end() :]
            continue
        later = order[order.index(name) + 1 :] if name in order else ()
        places = [match.start() for other in later if (match := _find(other, text))]
        place = min(places, default=len(text))
        head = text[:place].rstrip("\n")
        tail = text[place:]
        text = (f"{head}\n\n" if head else "") + section + (f"\n{tail}" if tail else "")
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages.

    Args:
        arguments: words after the program's name; those of the process by default.

    Returns:
        The exit code: 0 done, 2 bad input.
    """
    parser = argparse.ArgumentParser(prog="python -m separatrix.study.pages", description="Write pages on the studies.")
    parser.add_argument("--store", metavar="DIR", default="runs", help="folder of all runs (default: runs)")
    parser.add_argument("--docs", metavar="DIR", default="docs", help="folder of the pages (default: docs)")
    words = parser.parse_args(arguments)
    try:
        for path in _write(Path(words.docs), words.store, all_studies()):
            print(path)
    except (UsageError, StoreError) as error:
        print(f"pages: {error}", file=sys.stderr)
        return 2
    return 0


def _write(docs: Path, store: str, studies: Mapping[str, Study]) -> list[Path]:
    if not docs.is_dir():
        raise UsageError(f"there is no folder {docs}; name that of the pages with --docs")
    runs = {slug: run for slug, study in studies.items() if (run := _chosen_run(study, store))}
    written = []
    if runs:
        path = docs / "findings.md"
        sections = {slug: _findings_section(studies[slug], *run) for slug, run in runs.items()}
        written.append(_replace(path, merge_sections(_read(path) or _PREAMBLE, sections, list(studies))))
    for slug, study in studies.items():
        path = docs / "studies" / f"{slug}.md"
        verdicts, pictures = None, {}
        if slug in runs:
            run, preset = runs[slug]
            results = run.results()
            verdicts = verdicts_of(study, preset, results)
            pictures = _draw(study, results, docs / "figures")
        page = study_markdown(study, verdicts, {c: f"../figures/{name}" for c, name in pictures.items()})
        kept = _find(_VERDICTS, _read(path)) if not verdicts else None
        if kept:
            at = re.search(r"^## (What was learnt|Presets)$", page, re.MULTILINE)
            place = at.start() if at else len(page)
            page = f"{page[:place]}{kept.group()}\n{page[place:]}"
        written.append(_replace(path, page))
    return written


def _draw(study: Study, results: "xr.Dataset", folder: Path) -> dict[str, str]:
    """Draw the figures of a run as PNG files; return their names by caption."""
    from .figures import NoData

    drawn = {}
    for place, (caption, draw) in enumerate(study.figures.items(), 1):
        with contextlib.suppress(NoData):
            picture = io.BytesIO()
            draw(results).savefig(picture, format="png", dpi=110, metadata={"Software": None})
            name = f"{study.slug}-{place}.png"
            _replace(folder / name, picture.getvalue())
            drawn[caption] = name
    return drawn


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} could not be read: {error}") from error


def _replace(path: Path, content: str | bytes) -> Path:
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, content.encode() if isinstance(content, str) else content)
    return path


def _chosen_run(study: Study, root: str) -> tuple[Store, str] | None:
    """The run whose verdicts are shown: complete, with unchanged settings; of the largest preset, the latest.

    Runs with settings of their own say nothing of the findings as the study states them.
    """
    candidates = []
    for rank, run in enumerate(find_runs(root, study.slug)[0]):
        if run.preset not in PRESETS[1:]:
            continue
        store = open_run(root, study.slug, run.settings_hash)
        changed = changed_settings(study, run.preset, store.manifest["settings"], but=("seeds",))
        if changed or not store.committed() or _revision(store) != study.revision:
            continue
        if set(store.states().values()) == {"done"}:
            candidates.append(((PRESETS.index(run.preset), -rank), store, run.preset))
    if not candidates:
        return None
    _, store, preset = max(candidates, key=lambda candidate: candidate[0])
    return store, preset


def _headers(store: Store) -> Iterator[dict[str, Any]]:
    for cell_id in sorted(store.committed()):
        with contextlib.suppress(StoreError):  # a damaged cell says nothing
            yield store.read_header(cell_id)


def _revision(store: Store) -> Any:
    header = next(_headers(store), None)
    return header["identity"].get("settings", {}).get("revision") if header else None


def _sources(headers: Iterable[Mapping[str, Any]]) -> list[str]:
    """The commit that the cells of a table come from, if it is known; a mixture is called one."""
    found = [
        f"commit `{commit[:12]}`" + (" with changes not committed" if dirty else "")
        for commit, dirty in commits(header.get("provenance") or {} for header in headers)
    ]
    return found if len(found) < 2 else [f"cells from {len(found)} states of the code: {', '.join(found)}"]


def _find(name: str, text: str) -> re.Match[str] | None:
    return re.search(_SECTION.format(name=re.escape(name)), text, re.DOTALL)


def _marked(name: str, body: str) -> str:
    return f"<!-- begin {name} -->\n{body}<!-- end {name} -->\n"


def _findings_section(study: Study, store: Store, preset: str) -> str:
    results, headers = store.results(), list(_headers(store))
    verdicts = verdicts_of(study, preset, results)
    settings = {**store.manifest["settings"], "seeds": results.sizes["seed"]}  # of the table, whatever was asked last
    changed = changed_settings(study, preset, settings, but=("seeds",))
    about = [f"Preset `{preset}`"]
    if dates := [str(time)[:10] for header in headers if (time := (header.get("provenance") or {}).get("time"))]:
        about.append(f"run on {max(dates)}")
    about += _sources(headers)
    if changed:
        about.append("changed settings " + ", ".join(f"`{shlex.quote(f'{k}={v}')}`" for k, v in changed.items()))
    table = _verdict_table(study, verdicts) if verdicts else "This preset reaches no verdict."
    command = f"```sh\n{run_command(study, preset, settings)}\n```"
    heading = f"## {_prose(study.title)}\n\n{_prose(study.question)}"
    body = f"{heading}\n\n{'; '.join(about)}.\n\n{table}\n\n{command}\n"
    return _marked(study.slug, body)


def _verdict_table(study: Study, verdicts: Sequence[Verdict]) -> str:
    units = {finding.id: finding.units for finding in study.findings}
    rows = [
        (
            f"**{_prose(verdict.finding)}** {_prose(verdict.claim)}",
            f"{number(verdict.effect)} {units.get(verdict.finding, '')}".strip(),
            f"{number(verdict.low)} to {number(verdict.high)}",
            verdict.expect,
            published_text(verdict.published),
            str(verdict.seeds),
            f"**{verdict.verdict}**" if verdict.verdict == "reproduced" else f"*{verdict.verdict}*",
            "; ".join(note for note in (verdict.note, study.remarks.get(verdict.finding, "")) if note),
        )
        for verdict in verdicts
    ]
    headings = ("Finding", "Effect", "95 % interval", "Expected", "Published", "Seeds", "Verdict", "Note")
    return _table(headings, rows, raw=(0, 6))


def _claim_row(finding: Finding) -> tuple[str, ...]:
    claim = finding.claim + (" (negative control)" if finding.control else "")
    published = published_text(finding.published)
    return (finding.id, claim, finding.source, str(finding.expect), published, finding.since)


def _seeds(study: Study, preset: str) -> str:
    return str(study.presets[preset].seeds)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]], raw: Sequence[int] = ()) -> str:
    """A Markdown table; cells in the columns `raw` are Markdown already."""
    lines = [f"| {' | '.join(headings)} |", f"|{' --- |' * len(headings)}"]
    for row in rows:
        cells = [text if i in raw else _prose(text) for i, text in enumerate(row)]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _prose(text: str) -> str:
    """Text as Markdown on one line: nothing in it is a tag or a mark, but what stands in backticks stays code."""
    pieces = " ".join(text.split()).split("`")
    if len(pieces) % 2 == 0:  # a backtick without its partner is no mark
        pieces = [r"\`".join(pieces)]
    plain = [_plain(piece) for piece in pieces[::2]]
    code = pieces[1::2]
    return "".join(f"{text}`{code[i]}`" if i < len(code) else text for i, text in enumerate(plain))


def _plain(text: str) -> str:
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*\[\]])|(?<!\w)_|_(?!\w)", lambda match: "\\" + match.group(), text)


if __name__ == "__main__":
    sys.exit(main())
