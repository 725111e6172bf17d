"""What a run says of itself: results and verdicts, cells, changed settings, sources, the command that computes it anew.

Pages in HTML, Markdown and the view show it each in its own way.
"""

import dataclasses
import inspect
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import UsageError
from .files import StoreError
from .finding import Verdict
from .identity import plain
from .settings import describe
from .store import Store
from .study import Arm, Study
from .sweep import Over, run_name, sweep_of
from .sweep_drawing import figures_of_sweep
from .verdicts import number, verdicts_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Account",
    "CellAccount",
    "account_of",
    "arm_description",
    "changed_settings",
    "commits",
    "count",
    "differences",
    "literal",
    "published_text",
    "run_command",
]


class CellAccount(NamedTuple):
    """What is said of a finished cell."""

    arm: str
    seeds: list[int]
    attrs: dict[str, Any]
    provenance: dict[str, Any]


class Account(NamedTuple):
    """All that is said of one run.

    Attributes:
        study: the study; that of the sweep, with its arms and pictures, if the run is one.
        preset: whose settings the run began with.
        manifest: of the run.
        results: its Dataset.
        verdicts: of the findings that the preset carries.
        cells: the finished ones.
        unfinished: a line for each state and message of other cells.
        damaged: a line for each cell that cannot be trusted.
    """

    study: Study
    preset: str
    manifest: dict[str, Any]
    results: "xr.Dataset"
    verdicts: list[Verdict]
    cells: list[CellAccount]
    unfinished: list[str]
    damaged: list[str]

    @property
    def axes(self) -> list[str]:
        """Names of the settings that were swept; none for a plain run."""
        return [name for name, *_ in (self.manifest.get("sweep") or {}).get("over", ())]

    @property
    def changed(self) -> dict[str, Any]:
        """The settings that differ from the preset's, but for the number of seeds, which is free."""
        return changed_settings(self.study, self.preset, self.manifest["settings"], but=("seeds",))

    @property
    def command(self) -> str:
        """The command that computes the run anew, with all seeds that it has now."""
        settings = self.manifest["settings"]
        if "seed" in self.results.sizes:
            settings = {**settings, "seeds": self.results.sizes["seed"]}
        return run_command(self.study, self.preset, settings, self.manifest.get("sweep"))


def account_of(study: Study, store: Store, preset: str) -> Account:
    """Read what there is to say of a run.

    Args:
        study: the study.
        store: the run.
        preset: of the run, "sweep" for a sweep.

    Returns:
        The account.

    Raises:
        StoreError: if the run cannot be read.
        UsageError: if a sweep does not know its axes, as those of earlier versions do not.
    """
    results, manifest = store.results(), store.manifest
    if preset == "sweep":
        study, preset = _swept(study, store, results, manifest.get("sweep"))
    damaged = set(str(results.attrs.get("damaged_cells", "")).splitlines())
    cells = []
    for cell_id in sorted(store.committed()):
        try:
            header = store.read_header(cell_id)
            attrs = dict(store.read_cell(cell_id).attrs)
        except StoreError as error:
            if not any(cell_id in line for line in damaged):
                damaged.add(str(error))
            continue
        identity = header["identity"]
        cells.append(CellAccount(str(identity["arm"]), list(identity["seeds"]), attrs, header.get("provenance") or {}))
    aside = len(list((store.cells / "damaged").glob("*.npz")))
    if aside:
        damaged.add(f"{count(aside, 'file')} kept aside in cells/damaged")
    states = Counter(
        (state, manifest["cells"][cell_id].get("message", ""))
        for cell_id, state in store.states().items()
        if state != "done"
    )
    unfinished = [
        f"{count(cells_of, 'cell')} {state}" + (f" ({message})" if message else "")
        for (state, message), cells_of in states.items()
    ]
    verdicts = verdicts_of(study, preset, results)
    return Account(study, preset, manifest, results, verdicts, cells, unfinished, sorted(damaged))


def _swept(study: Study, store: Store, results: "xr.Dataset", sweep: Mapping[str, Any] | None) -> tuple[Study, str]:
    """The study of a sweep, with a picture for each arm, and the preset that the sweep began with."""
    if sweep is None:
        raise UsageError(f"{store.place} does not say what was swept; the same command adds it and computes nothing")
    over = [Over(name, tuple(values), log) for name, values, log in sweep["over"]]
    swept, _ = sweep_of(study, study.presets[sweep["preset"]], over, sweep["arms"])
    pictures = figures_of_sweep(study, results, over) if results.data_vars else {}
    figures = {f"{arm}: {variable}": draw for (arm, variable), draw in pictures.items()}
    return dataclasses.replace(swept, figures=figures), sweep["preset"]


def arm_description(arm: Arm) -> str:
    """Return the first paragraph of an arm's docstring, on one line.

    Args:
        arm: a function, or a partial of one.

    Returns:
        The text; empty if there is none.
    """
    doc = inspect.getdoc(getattr(arm, "func", arm)) or ""
    return " ".join(doc.split("\n\n")[0].split())


def published_text(value: str | float | None) -> str:
    """Show what a paper published: a number, words, or a dash.

    Args:
        value: of a finding or verdict.

    Returns:
        The text.
    """
    if value is None:
        return "–"
    return value if isinstance(value, str) else number(float(value))


def changed_settings(study: Study, preset: str, settings: Mapping[str, Any], but: Sequence[str] = ()) -> dict[str, Any]:
    """Tell which settings of a run differ from its preset.

    Args:
        study: the study.
        preset: of the run.
        settings: as in the manifest.
        but: names to leave out.

    Returns:
        The run's values by name; a setting that the study no longer has is among them.
    """
    usual = plain(describe(study.presets[preset]))
    return {
        key: value for key, value in settings.items() if key not in but and (key not in usual or usual[key] != value)
    }


def differences(study: Study, store: Store, preset: str) -> str:
    """Say in what a run differs from what the thresholds were chosen for.

    Args:
        study: the study.
        store: the run.
        preset: of the run.

    Returns:
        Changed settings but for the number of seeds, or that the study has been revised since; empty if neither.
    """
    changed = changed_settings(study, preset, store.manifest["settings"], but=("seeds",))
    if changed:
        return ", ".join(f"{key} = {literal(value)}" for key, value in changed.items())
    usual = run_name(study, study.presets[preset], preset)
    return "" if store.settings_hash == usual else "of an earlier revision of the study"


def run_command(study: Study, preset: str, settings: Mapping[str, Any], sweep: Mapping[str, Any] | None = None) -> str:
    """Write the command line that computes a run anew.

    Args:
        study: the study.
        preset: whose settings it began with.
        settings: as in the manifest.
        sweep: as in the manifest, if it is a sweep.

    Returns:
        One line for a shell.
    """
    fields = {field.name for field in dataclasses.fields(study.presets[preset])}
    words = ["separatrix", "sweep" if sweep else "run", study.slug, "--preset", preset]
    over = {name: values for name, values, _ in sweep["over"]} if sweep else {}
    for name, values in over.items():
        words += ["--over", f"{name}={literal(values)}"]
    words += [word for arm in (sweep or {}).get("arms", ()) for word in ("--arm", arm)]
    for key, value in changed_settings(study, preset, settings).items():
        if key == "seeds":
            words += ["--seeds", str(value)]
        elif key in fields and key not in over:
            words += ["--set", f"{key}={literal(value)}"]
    return shlex.join(words)


def literal(value: Any) -> str:
    """Write a setting as the command line takes it.

    Args:
        value: as in the manifest.

    Returns:
        The text.

    Examples:
        >>> literal([0.1, 0.2]), literal([[1, 2], [3, 4]]), literal("plain")
        ('0.1,0.2', '([1, 2], [3, 4])', 'plain')
    """
    if isinstance(value, list) and value and all(isinstance(item, int | float | str) for item in value):
        return ",".join(map(str, value))
    return str(tuple(value) if isinstance(value, list) else value)


def count(number: int, noun: str) -> str:
    """Write a number of things.

    Args:
        number: how many.
        noun: in the singular.

    Examples:
        >>> count(1, "cell"), count(2, "cell")
        ('1 cell', '2 cells')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def commits(sources: Iterable[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """Tell from which states of the source code cells come.

    Args:
        sources: provenance of each cell.

    Returns:
        Commit and whether it had changes that were not committed, each pair once.
    """
    known = [git for source in sources if (git := source.get("git")) and git.get("commit")]
    return list(dict.fromkeys((str(git["commit"]), bool(git.get("dirty"))) for git in known))
