"""What a study is: a question, arms, findings and figures, in presets of growing size."""

import dataclasses
import importlib
import importlib.util
import pkgutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import UsageError, nearest
from .finding import PRESETS, Finding, active

if TYPE_CHECKING:
    import xarray as xr
    from jaxtyping import Array, Key
    from matplotlib.figure import Figure

__all__ = ["Arm", "Regime", "Study", "all_studies", "find_study"]

Arm = Callable[[Any, "Key[Array, ' seeds']"], "xr.Dataset"]
"""`(settings, keys) -> Dataset` with a dimension `seed` in the order of the keys."""


class Regime(NamedTuple):
    """One of two fates of a run.

    Attributes:
        claim: what holds within the regime, in a few words.
        arm: whose runs are asked.
        inside: from the arm's Dataset to booleans with the dimension `seed`, and `point` in a sweep.
    """

    claim: str
    arm: str
    inside: "Callable[[xr.Dataset], xr.DataArray]"


@dataclass(frozen=True, kw_only=True)
class Study:
    """A paper's claims as an experiment.

    Attributes:
        slug: name on the command line and on disk.
        seed: number of the paper's card.
        domain: subject it belongs to.
        title: of the paper.
        paper: identifier, such as `arXiv:2501.04697`.
        citation: BibTeX entry.
        question: what the study asks, in one sentence.
        method: a few sentences on how it is answered.
        presets: frozen dataclass instances by preset; each has a field `seeds`.
        arms: `(settings, keys) -> Dataset` by name; their docstrings say what they do.
        findings: claims with thresholds that were fixed before any run.
        figures: `Dataset -> Figure` by caption.
        costs: what each preset takes on two cores, in words.
        grid: `(settings, arm) -> {field: values}`, static grid points of an arm; each is a cell of its own.
        traced: settings that a sweep may give as arrays, along which one compiled program runs; the arms pass
            `along_points(settings)` to `run`, their first one too, by which it is known which settings reach them. Any
            other setting can be swept too, at a compilation a value.
        regimes: what a map can draw the boundary of, by name.
        seed_block: seeds computed together in one cell.
        revision: raise it when a change of code changes the numbers; old cells are then computed again.
        remarks: what was learnt, by finding id; shown beside the verdict.
    """

    slug: str
    seed: int
    domain: str
    title: str
    paper: str
    citation: str
    question: str
    method: str
    presets: Mapping[str, Any]
    arms: Mapping[str, Arm]
    findings: Sequence[Finding]
    figures: "Mapping[str, Callable[[xr.Dataset], Figure]]" = field(default_factory=dict)
    costs: Mapping[str, str] = field(default_factory=dict)
    grid: Callable[[Any, str], Mapping[str, Sequence[Any]]] = lambda settings, arm: {}
    traced: Sequence[str] = ()
    regimes: Mapping[str, Regime] = field(default_factory=dict)
    seed_block: int = 5
    revision: int = 1
    remarks: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if tuple(self.presets) != PRESETS:
            raise ValueError(f"study {self.slug!r} must have the presets {', '.join(PRESETS)}, in this order.")
        for preset, settings in self.presets.items():
            if not dataclasses.is_dataclass(settings) or not hasattr(settings, "seeds"):
                raise ValueError(f"preset {preset!r} of {self.slug!r} must be a dataclass with a field `seeds`.")
        names = {f.name for f in dataclasses.fields(self.presets["default"])}
        for name in self.traced:
            if name not in names:
                raise ValueError(f"`traced` of {self.slug!r} names no setting: {name!r}.")
        for name, regime in self.regimes.items():
            if regime.arm not in self.arms:
                raise ValueError(f"regime {name!r} of {self.slug!r} names no known arm: {regime.arm!r}.")
        for finding in self.findings:
            unknown = set(finding.arms) - set(self.arms)
            if unknown:
                raise ValueError(f"finding {finding.id!r} of {self.slug!r} names no known arm: {sorted(unknown)[0]!r}.")

    def active_findings(self, preset: str) -> list[Finding]:
        """Return the findings that a preset carries."""
        return [finding for finding in self.findings if active(finding, preset)]

    def active_arms(self, preset: str) -> list[str]:
        """Return the arms that a preset runs: those its findings need; all in `quick`, which checks the code."""
        if preset == "quick":
            return list(self.arms)
        if not self.findings:
            return list(self.arms)
        needed = [finding.arms or tuple(self.arms) for finding in self.active_findings(preset)]
        return [arm for arm in self.arms if any(arm in arms for arms in needed)]


def all_studies() -> dict[str, Study]:
    """Import every module of `separatrix.studies` and return its `STUDY` by slug."""
    folder = importlib.import_module("separatrix.studies")
    found = {}
    for module in pkgutil.iter_modules(folder.__path__):
        if not module.name.startswith("_"):
            study = importlib.import_module(f"separatrix.studies.{module.name}").STUDY
            found[study.slug] = study
    return dict(sorted(found.items(), key=lambda item: item[1].seed))


def find_study(slug: str) -> Study:
    """Return the study of this slug, importing only its module.

    Args:
        slug: as on the command line; the module has the same name with underscores. Or the path of a Python file of
            your own that defines `STUDY`.

    Returns:
        The study.

    Raises:
        UsageError: if there is none, with the nearest one; or if the file has an error, with its line.
    """
    if slug.endswith(".py"):
        return _from_file(Path(slug))
    folder = importlib.import_module("separatrix.studies")
    names = [m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_")]
    name = slug.replace("-", "_")
    if name not in names:
        raise UsageError(f"there is no study {slug!r}{nearest(slug, [n.replace('_', '-') for n in names])}")
    return importlib.import_module(f"separatrix.studies.{name}").STUDY


def _from_file(path: Path) -> Study:
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where dataclasses look up the annotations of the file's classes
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[path.stem]
        line = str(error).strip().partition("\n")[0]
        raise UsageError(f"{path}:{_line(error, path)}: {type(error).__name__}: {line}") from error
    if not isinstance(getattr(module, "STUDY", None), Study):
        raise UsageError(f"{path} must define STUDY, a separatrix.study.Study")
    return module.STUDY


def _line(error: Exception, path: Path) -> int:
    """The line of a file that an error of its import comes from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    return [frame.lineno or 1 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)][-1]
