"""Which run of a study to look at: a refused or customised one must not hide the one that is finished."""

from collections.abc import Sequence

from .errors import UsageError
from .finding import PRESETS
from .remote import is_url
from .runs import Run, find_runs
from .settings import with_overrides
from .store import Store
from .study import Study
from .sweep import run_name

__all__ = ["choose_run", "has_results"]


def choose_run(
    root: str, study: Study, preset: str | None = None, *, name: str = "", changes: Sequence[str] = ()
) -> Run:
    """Choose a run: one that has results, with the preset's own settings if there is such a one, the newest of these.

    Args:
        root: folder of all runs, or a URL.
        study: the study.
        preset: only runs of this preset, "sweep" for sweeps; any preset but quick by default.
        name: of the run, the beginning of its settings hash; then any run, a sweep or a quick one too.
        changes: `key=value` strings, for the run with these changes to the preset, "default" if none is named.

    Returns:
        Its summary.

    Raises:
        UsageError: if there is none, or several go by the name.
    """
    runs, skipped = find_runs(root, study.slug)
    shown = "".join(f" --set {change}" for change in changes)
    if name:
        fitting = [run for run in runs if run.settings_hash.startswith(name)]
        if len(fitting) != 1:
            known = ", ".join(f"{run.settings_hash} ({run.preset})" for run in fitting or runs[:10])
            raise UsageError(
                f"{len(fitting) or 'no'} runs of {study.slug} in {root} begin with {name}; there are {known or 'none'}"
            )
        return fitting[0]
    if changes:
        preset = preset or "default"
        wanted = run_name(study, with_overrides(study.presets[preset], changes), preset)
        fitting = [run for run in runs if run.settings_hash == wanted]
    else:
        fitting = [run for run in runs if (run.preset == preset if preset else run.preset in PRESETS[1:])]
    filled = [run for run in fitting if has_results(root, run)]
    if filled:
        return next((run for run in filled if _is_usual(study, run)), filled[0])
    if skipped:
        raise UsageError(skipped[0])
    if runs and not fitting and not preset:
        only = f"{study.slug} has only quick runs or sweeps in {root}, which reach no verdict"
        raise UsageError(f"{only}; run it with --preset default")
    wanted = (f" --preset {preset}" if preset and preset != "sweep" else "") + shown
    start = f"separatrix {'sweep' if preset == 'sweep' else 'run'} {study.slug}{wanted}"
    if fitting:
        raise UsageError(f"the run of {study.slug} in {root} has no results yet; go on with: {start}")
    raise UsageError(f"there is no run of {study.slug}{shown} in {root}; start it with: {start}")


def has_results(root: str, run: Run) -> bool:
    """Whether a run has finished cells, here or, where the root is a URL, elsewhere.

    Args:
        root: folder of all runs, or a URL.
        run: its summary.
    """
    store = Store(run.folder, run.slug, run.settings_hash)
    elsewhere = is_url(root) and any(cell.get("state") == "done" for cell in store.manifest["cells"].values())
    return bool(elsewhere or store.committed())


def _is_usual(study: Study, run: Run) -> bool:
    """Whether a run has the settings of its preset and the study's present revision."""
    return run.preset in study.presets and run.settings_hash == run_name(study, study.presets[run.preset], run.preset)
