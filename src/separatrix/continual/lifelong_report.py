"""Lifelong metrics of a lifetime (Baker et al. 2023): stability, transfer and efficiency from one log."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from separatrix.continual import lifetime_curves as curves
from separatrix.continual.lifetime_log import LifetimeLog, LogError, Regime

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LifelongReport", "Prepared", "lifelong_metrics", "preprocess", "summarise_lifetimes", "transfer_matrix"]

Experts = Mapping[str, Sequence[ArrayLike]]
DEMONSTRATES = {"pr": 0.0, "pm": 0.0, "ft_ratio": 1.0, "bt_ratio": 1.0, "rp": 1.0, "se": 1.0}
"""Values above which (for `pm` and `bt_ratio`: at which) a metric is said to demonstrate lifelong learning."""


@dataclass(frozen=True)
class Prepared:
    """A lifetime ready for its metrics.

    Attributes:
        regimes: in order; training curves smoothed, all values normalised.
        experts: curves of single-task experts by task, treated the same.
        notes: what a reader must know, such as an assumption that does not hold.
    """

    regimes: tuple[Regime, ...]
    experts: dict[str, tuple[np.ndarray, ...]]
    notes: tuple[str, ...] = ()


def preprocess(
    log: LifetimeLog,
    experts: Experts | None = None,
    *,
    metric: str | None = None,
    smooth: Callable[[np.ndarray], np.ndarray] | None = curves.flat_smooth,
    clamp: tuple[float, float] | None = None,
    normalise: Literal["task", "run"] | None = "task",
    data_range: Mapping[str, tuple[float, float]] | None = None,
    with_variants: bool = True,
) -> Prepared:
    """Smooth training curves, clamp outliers and normalise, in this order.

    Args:
        log: one lifetime.
        experts: training curves of single-task experts by task.
        metric: column of performance; the first by default.
        smooth: applied to each training curve, the experts' too, but not to tests; None to leave them.
        clamp: quantiles that values of a task are clamped to, such as `(0.1, 0.9)`.
        normalise: map the range of each task ("task"), or that of all ("run"), to [1, 101]; None to leave it. The
            offset of 1 keeps ratios finite. Constant data become 1.
        data_range: least and largest performance by task, in place of those found.
        with_variants: treat variants of a label as tasks of their own.

    Returns:
        The lifetime with its experts.

    Raises:
        LogError: if the log holds no complete experience, or a performance is infinite.
        ValueError: if `normalise` is another word.
    """
    if normalise not in ("task", "run", None):
        raise ValueError(f"`normalise` must be 'task', 'run' or None; got {normalise!r}.")
    regimes = log.regimes(metric, with_variants=with_variants)
    if not regimes:
        raise LogError("the log holds no complete experience.")
    given = {task: tuple(np.asarray(c, float) for c in own) for task, own in (experts or {}).items()}
    for name, values in (*((r.task, r.values) for r in regimes), *((t, c) for t, own in given.items() for c in own)):
        if not np.isfinite(values).all():
            raise LogError(f"the performance of {name!r} must be finite.")
    apply = (lambda x: x) if smooth is None else smooth
    regimes = [r._replace(values=apply(r.values)) if r.is_training else r for r in regimes]
    given = {task: tuple(apply(c) for c in own) for task, own in given.items()}
    tasks = sorted({r.task for r in regimes} | set(given))
    all_of = {t: np.concatenate([*(r.values for r in regimes if r.task == t), *given.get(t, ())]) for t in tasks}
    if clamp is not None:
        ends = {t: np.quantile(v, clamp) for t, v in all_of.items()}
        regimes = [r._replace(values=np.clip(r.values, *ends[r.task])) for r in regimes]
        given = {t: tuple(np.clip(c, *ends[t]) for c in own) for t, own in given.items()}
        all_of = {t: np.clip(v, *ends[t]) for t, v in all_of.items()}
    notes = _assumptions(regimes)
    strange = [t for t in given if all(r.task != t for r in regimes)]
    notes += [f"the log has no task {t!r}, so its experts are not compared with" for t in strange]
    if normalise is not None:
        ranges = {t: (float(v.min()), float(v.max())) for t, v in all_of.items()}
        if normalise == "run":
            ranges = dict.fromkeys(tasks, (min(r[0] for r in ranges.values()), max(r[1] for r in ranges.values())))
        ranges |= {t: r for t, r in (data_range or {}).items() if t in ranges}
        notes += [f"all performance of {t} is the same; it becomes 1" for t, (a, b) in ranges.items() if a == b]
        regimes = [r._replace(values=_to_percent(r.values, *ranges[r.task])) for r in regimes]
        given = {t: tuple(_to_percent(c, *ranges[t]) for c in own) for t, own in given.items()}
    return Prepared(tuple(regimes), given, tuple(notes))


def _to_percent(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return (values - low) / (high - low) * 100 + 1 if high > low else np.ones_like(values)


def _assumptions(regimes: Sequence[Regime]) -> list[str]:
    notes = []
    blocks = list(dict.fromkeys((r.block_num, r.is_training) for r in regimes))
    for (one, first), (other, second) in pairwise(blocks):
        if first and second:
            notes.append(f"learning blocks {one} and {other} follow each other without an evaluation between them")
    for r in regimes:
        if r.is_training and np.ptp(r.values) > 0 and np.polyfit(np.arange(len(r.values)), r.values, 1)[0] < 0:
            notes.append(f"performance falls while {r.task} is learnt in block {r.block_num}")
    return notes


def transfer_matrix(
    regimes: Sequence[Regime], kind: Literal["forward", "backward"], how: Callable[[float, float], float] = curves.ratio
) -> dict[tuple[str, str], list[float]]:
    """Transfer from each task to each other: the change of a task's tests around a learning block of another.

    A learning block of A counts for B where it lies between two consecutive tests of B with no learning of B between
    them; forward before B was ever trained, backward after. Two learning blocks between the same two tests both count.

    Args:
        regimes: in order.
        kind: forward or backward.
        how: `(before, after) -> number`: `ratio` or `contrast`.

    Returns:
        Values in order by `(A, B)`; pairs without any are left out.
    """
    found: dict[tuple[str, str], list[float]] = {}
    for target in dict.fromkeys(r.task for r in regimes):
        trained = [r.number for r in regimes if r.is_training and r.task == target]
        first = min(trained, default=np.inf)
        tests = [r for r in regimes if not r.is_training and r.task == target]
        for before, after in pairwise(tests):
            if any(before.number < n < after.number for n in trained):
                continue
            if (before.number > first) != (kind == "backward"):
                continue
            for source in regimes:
                if source.is_training and before.number < source.number < after.number:
                    value = how(float(before.values.mean()), float(after.values.mean()))
                    found.setdefault((source.task, target), []).append(value)
    return found


@dataclass(frozen=True)
class LifelongReport:
    """Lifelong metrics of one lifetime.

    Attributes:
        lifetime: every metric, one number each.
        tasks: every metric by task.
        regimes: mean and terminal performance of each regime.
        transfers: all values of transfer by metric and by (source, target).
        notes: what a reader must know.
    """

    lifetime: "xr.Dataset"
    tasks: "xr.Dataset"
    regimes: "xr.Dataset"
    transfers: dict[str, dict[tuple[str, str], list[float]]]
    notes: tuple[str, ...]

    def demonstrates(self) -> dict[str, bool]:
        """Say for each metric with a threshold whether it demonstrates lifelong learning; NaN does not."""
        out = {}
        for name, level in DEMONSTRATES.items():
            value = float(self.lifetime[name])
            out[name] = value >= level if name in ("pm", "bt_ratio") else value > level
        return out


_DIRECTIONS: tuple[tuple[str, Literal["forward", "backward"]], ...] = (("ft", "forward"), ("bt", "backward"))
_LONG = {
    "pr": "performance recovery",
    "mtp": "mean training performance",
    "mep": "mean evaluation performance",
    "pm": "performance maintenance",
    "ft_ratio": "forward transfer, ratio",
    "ft_contrast": "forward transfer, contrast",
    "bt_ratio": "backward transfer, ratio",
    "bt_contrast": "backward transfer, contrast",
    "rp": "relative performance",
    "se": "sample efficiency",
}


def lifelong_metrics(
    log: LifetimeLog | Prepared,
    experts: Experts | None = None,
    *,
    maintenance: Literal["mrlep", "mrtlp"] = "mrlep",
    experts_by: Literal["metrics", "time"] = "metrics",
    aggregate: Callable[[np.ndarray], float] = np.mean,
    single_smooth: bool = False,
    **how: Any,
) -> LifelongReport:
    """All lifelong metrics of a lifetime.

    Args:
        log: one lifetime, or what `preprocess` made of it.
        experts: training curves of single-task experts by task; without them `rp` and `se` are NaN.
        maintenance: reference of performance maintenance: the first test after learning ("mrlep") or the terminal
            performance of learning ("mrtlp").
        experts_by: several experts of a task: average the metrics, or ("time") the curves, cut to the shortest.
        aggregate: from the tasks' values (NaN left out) to the lifetime's; transfer is averaged over ordered pairs,
            the first value of each.
        single_smooth: do not smooth once more before looking for saturation.
        how: arguments of `preprocess`.

    Returns:
        The report. Metrics that the protocol does not define for this lifetime are NaN.

    Raises:
        LogError: if the log cannot be used.
        ValueError: if `maintenance` or `experts_by` is another word, or `aggregate` is no function.

    Examples:
        >>> log = LifetimeLog.from_blocks([("test", "a", [0.0]), ("train", "a", [0.1, 0.9]), ("test", "a", [1.0]),
        ...                                ("test", "a", [1.0]), ("train", "b", [0.5]), ("test", "a", [0.5])])
        >>> report = lifelong_metrics(log)
        >>> float(report.lifetime["mtp"]), float(report.tasks["pm"].sel(task="a"))
        (26.0, -50.0)

    References:
        Baker, New, Aguilar-Simon et al. (2023), Neural Networks 160, 274-296, arXiv:2301.07799.
    """
    import xarray as xr

    if maintenance not in ("mrlep", "mrtlp"):
        raise ValueError(f"`maintenance` must be 'mrlep' or 'mrtlp'; got {maintenance!r}.")
    if experts_by not in ("metrics", "time"):
        raise ValueError(f"`experts_by` must be 'metrics' or 'time'; got {experts_by!r}.")
    if not callable(aggregate):
        raise ValueError(
            f"`aggregate` must be a function of the tasks' values such as numpy.median; got {aggregate!r}."
        )
    ready = log if isinstance(log, Prepared) else preprocess(log, experts, **how)
    regimes, names = ready.regimes, sorted({r.task for r in ready.regimes})
    per_task: dict[str, list[float]] = {name: [] for name in _LONG}
    transfers = {
        f"{short}_{label}": transfer_matrix(regimes, kind, fn)
        for short, kind in _DIRECTIONS
        for label, fn in (("ratio", curves.ratio), ("contrast", curves.contrast))
    }
    for task in names:
        own = [r.values for r in regimes if r.is_training and r.task == task]
        tests = [r.values.mean() for r in regimes if not r.is_training and r.task == task]
        per_task["pr"].append(curves.performance_recovery(own))
        per_task["mtp"].append(_mean([c.mean() for c in own]))
        per_task["mep"].append(_mean(tests))
        per_task["pm"].append(_maintenance(regimes, task, maintenance))
        single = ready.experts.get(task, ())
        rival = [_against_experts(own, single, fn, experts_by) for fn in _efficiency(single_smooth)]
        per_task["rp"].append(rival[0])
        per_task["se"].append(rival[1])
        for name, values in transfers.items():
            per_task[name].append(_mean([v[0] for (_, target), v in values.items() if target == task]))
    lifetime = {}
    for name, values in per_task.items():
        pooled = [v[0] for v in transfers[name].values()] if name in transfers else values
        known = np.asarray(pooled)[~np.isnan(pooled)] if len(pooled) else np.zeros(0)
        lifetime[name] = float(np.mean(known) if name in transfers else aggregate(known)) if len(known) else np.nan
    labels = {name: {"units": "1", "long_name": text} for name, text in _LONG.items()}
    number = [r.number for r in regimes]
    return LifelongReport(
        xr.Dataset({name: ((), value, labels[name]) for name, value in lifetime.items()}),
        xr.Dataset({n: ("task", v, labels[n]) for n, v in per_task.items()}, coords={"task": names}),
        xr.Dataset(
            {
                "mean": ("regime", [r.values.mean() for r in regimes], {"long_name": "mean performance"}),
                "terminal": ("regime", [_terminal(r) for r in regimes], {"long_name": "terminal performance"}),
                "is_training": ("regime", [r.is_training for r in regimes]),
                "task_name": ("regime", [r.task for r in regimes]),
                "block_num": ("regime", [r.block_num for r in regimes]),
            },
            coords={"regime": number},
        ),
        transfers,
        ready.notes,
    )


def _mean(values: Sequence[Any]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def _terminal(regime: Regime) -> float:
    return curves.terminal_performance(regime.values) if regime.is_training else float(regime.values.mean())


def _maintenance(regimes: Sequence[Regime], task: str, kind: str) -> float:
    tests, trained, learnt, latest, fresh = [], [], [], float("nan"), False
    for r in regimes:
        if r.task != task:
            continue
        if r.is_training:
            latest, fresh = _terminal(r), True
        else:
            tests.append(float(r.values.mean()))
            trained.append(fresh)
            learnt.append(latest)
            fresh = False
    return curves.performance_maintenance(tests, trained, learnt if kind == "mrtlp" else None)


def _efficiency(single_smooth: bool):
    return curves.relative_performance, lambda a, b: curves.sample_efficiency(a, b, smooth=not single_smooth)


def _against_experts(own, experts, fn, by: str) -> float:
    if not own or not experts:
        return float("nan")
    if by == "time":
        shortest = min(len(c) for c in experts)
        experts = [np.mean([c[:shortest] for c in experts], axis=0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN: the metric is not defined
        return float(np.nanmean([fn(np.concatenate(own), c) for c in experts]))


def summarise_lifetimes(reports: Sequence[LifelongReport]) -> "xr.Dataset":
    """Mean of every lifetime metric over lifetimes, with a 95 % interval.

    Args:
        reports: one for each lifetime.

    Returns:
        Dataset with the axis `statistic`: mean, low and high; NaN lifetimes are left out of a metric's mean.

    Raises:
        ValueError: if there is no report.
    """
    import xarray as xr

    from separatrix.study.statistics import mean_interval

    if not reports:
        raise ValueError("there must be at least one report.")
    data = {}
    for name in _LONG:
        values = np.array([float(r.lifetime[name]) for r in reports])
        values = values[~np.isnan(values)]
        low, high = mean_interval(values) if len(values) > 1 else (np.nan, np.nan)
        mean = float(values.mean()) if len(values) else np.nan
        data[name] = ("statistic", [mean, float(low), float(high)], reports[0].lifetime[name].attrs)
    return xr.Dataset(data, coords={"statistic": ["mean", "low", "high"]}, attrs={"lifetimes": len(reports)})
