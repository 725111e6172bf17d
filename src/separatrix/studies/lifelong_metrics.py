"""Characterising lifelong learning systems (Baker, New, ..., Vallabha, Neural Networks 2023).

Do metrics computed from nothing but a log of performance show the trade-offs of lifelong learning, between stability
and plasticity and between sample efficiency and robustness, and rank methods sensibly?
"""

import inspect
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax.random as jr
import numpy as np
import optax
import xarray as xr

from separatrix.continual.batch_lifetimes import (
    at_boundaries,
    expert_curves,
    lifetime_logs,
    noisy_tests,
    supervised_lifetimes,
)
from separatrix.continual.buffers import Balanced, by_class
from separatrix.continual.case_studies import CASE_STUDIES
from separatrix.continual.evaluation import task_evaluation
from separatrix.continual.learner import Learner, finetune, tune
from separatrix.continual.lifelong_report import LifelongReport, lifelong_metrics
from separatrix.continual.lifetime_log import LifetimeLog
from separatrix.continual.replay import experience_replay, joint
from separatrix.continual.weight_penalties import ewc
from separatrix.data.images import digits
from separatrix.data.task_sets import rotated
from separatrix.data.task_streams import TaskStream
from separatrix.models.mlp import MLP
from separatrix.study.effects import per_seed
from separatrix.study.figures import PALETTE, NoData, curves, points
from separatrix.study.finding import AtLeast, AtMost, Finding
from separatrix.study.study import Study
from separatrix.training.traced_optimiser import traced


@dataclass(frozen=True)
class Settings:
    """The card's scenario: digits rotated by 0, 60 and 120 degrees, visited twice, an evaluation around every block.

    An experience is a batch of 32, its performance the accuracy before the update on it. The card has four lifetimes;
    verdicts need five, so there are at least five. Metrics are computed with the published preprocessing: training
    curves smoothed, performance normalised by task to 1..101, a point being one hundredth of the range. Replay in F3
    weighs the new batch by 0.5. In F4 learning rates are swept by powers of two.
    """

    seeds: int = 5
    hidden: int = 100
    steps: int = 60
    batch: int = 32
    rate: float = 0.05
    clip: float = 5.0
    expert_steps: int = 120
    strengths: tuple[float, ...] = (0.0, 30.0, 100.0, 300.0, 1_000.0)
    capacity: int = 400  # 40 a class
    lam: float = 0.5
    rates: tuple[float, ...] = (0.0125, 0.025, 0.05, 0.1, 0.2)
    noise: float = 0.3
    case_steps: int = 60
    cases: tuple[str, ...] = tuple(CASE_STUDIES)
    examples: int = 1_257


PRESETS = {
    "quick": Settings(
        seeds=2,
        hidden=8,
        steps=4,
        expert_steps=8,
        strengths=(0.0, 1.0),
        rates=(0.05, 0.1),
        capacity=40,
        case_steps=6,
        cases=("cart-pole variants", "drifting bandit", "pendulum models"),
    ),
    "default": Settings(seeds=5),
    "thorough": Settings(seeds=20),
    "full": Settings(seeds=50, rates=(0.00625, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4)),
}


class Network(NamedTuple):
    """A plain network on 64 pixels; a value, so that all arms share compiled programs."""

    hidden: int

    def __call__(self, key):
        """Draw the weights."""
        return MLP(key, (64, self.hidden, self.hidden, 10), use_bias=True)


def learner(s: Settings) -> Learner:
    """Plain training on the scenario."""
    tasks = rotated(digits(jr.key(0), s.examples), (0.0, 60.0, 120.0))
    return Learner(
        model=Network(s.hidden),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=traced(_clipped_sgd, rate=s.rate, clip=s.clip),
        stream=TaskStream(tasks, s.steps, s.batch, order=(0, 1, 2, 0, 1, 2)),
    )


def _clipped_sgd(rate, clip):
    return optax.chain(optax.clip_by_global_norm(clip), optax.sgd(rate))


METRICS = ("pr", "mtp", "mep", "pm", "ft_contrast", "bt_ratio", "rp", "se")


def reports(s: Settings, plain: Learner, lifetimes, experts) -> list[LifelongReport]:
    """One report a lifetime, against the experts of the same seed."""
    names = [f"task{t}" for t in range(plain.stream.tasks.num_tasks)]
    found = []
    for seed, log in enumerate(lifetime_logs(lifetimes, plain.stream, names)):
        own = {name: [experts.isel(expert=t, seed=seed).values] for t, name in enumerate(names)}
        found.append(lifelong_metrics(log, own))
    return found


def as_dataset(found: list[LifelongReport], prefix: str = "") -> xr.Dataset:
    """The lifetime metrics of reports along `seed`."""
    data = {}
    for name in METRICS:
        values = np.array([float(r.lifetime[name]) for r in found])
        data[prefix + name] = ("seed", values, dict(found[0].lifetime[name].attrs))
    return xr.Dataset(data)


def method_arm(s: Settings, keys, method: Any):
    """One method through the scenario."""
    plain = learner(s)
    lifetimes = supervised_lifetimes(method(plain), keys)
    experts = expert_curves(plain, keys, s.expert_steps)
    ds = as_dataset(reports(s, plain, lifetimes, experts))
    return ds.merge(lifetimes[["task_performance", "batch_performance"]].drop_vars("seed", errors="ignore"))


def finetuning(s: Settings, keys):
    """Nothing to remember."""
    return method_arm(s, keys, finetune())


def replay(s: Settings, keys):
    """Experience replay of 40 examples a class, of all rotations seen alike."""
    return method_arm(s, keys, experience_replay(Balanced(s.capacity, 10, by_class), s.lam))


def joint_training(s: Settings, keys):
    """All data of all tasks seen."""
    return method_arm(s, keys, joint())


def ewc_strengths(s: Settings, keys):
    """Elastic weight consolidation over a grid of strengths, in one compiled program."""
    plain = learner(s)
    consolidated: Any = ewc(0.0)(plain)
    lifetimes = supervised_lifetimes(consolidated, keys, over={"strength": s.strengths}, vary=tune)
    experts = expert_curves(plain, keys, s.expert_steps)
    each = [reports(s, plain, lifetimes.isel(strength=i), experts) for i in range(len(s.strengths))]
    return along("strength", s.strengths, [as_dataset(found, "ewc_") for found in each])


def along(dim: str, labels, parts: list[xr.Dataset]) -> xr.Dataset:
    """Join data sets along the values of a hyper-parameter."""
    return xr.concat(parts, dim).assign_coords({dim: list(labels)})


def set_rate(process, values):
    """Set the learning rate of the optimiser."""
    given = {**process.optimiser.hyperparameters, "rate": values["rate"]}
    return replace(process, optimiser=replace(process.optimiser, hyperparameters=given))


def learning_rates(s: Settings, keys):
    """Replay over a grid of learning rates, with the final performance under noise on the inputs."""
    plain = learner(s)
    noisy = noisy_tests(jr.key(1), plain.stream.tasks, s.noise)
    last = at_boundaries((0, plain.stream.total_steps))
    probe = task_evaluation(noisy, last, subset=None, name="noisy_performance")
    process: Any = experience_replay(Balanced(s.capacity, 10, by_class), s.lam)(plain)
    grid = {"over": {"rate": s.rates}, "vary": set_rate}
    lifetimes = supervised_lifetimes(process, keys, probes=[probe], **grid)
    experts = expert_curves(plain, keys, s.expert_steps, **grid)
    each = [reports(s, plain, lifetimes.isel(rate=i), experts.isel(rate=i)) for i in range(len(s.rates))]
    ds = along("rate", s.rates, [as_dataset(found, "rate_") for found in each])
    noisy_end = lifetimes["noisy_performance"].isel(step=-1, drop=True).mean("task").drop_vars("seed", errors="ignore")
    ds["robustness"] = noisy_end.transpose("rate", "seed").assign_attrs(
        units="1", long_name="final accuracy under noise on the inputs"
    )
    return ds


# The worked scenario of the card: no training, one deterministic lifetime.
TESTS = {"a": (5, 60, 45, 80, 78, 82, 81), "b": (4, 10, 70, 66, 85, 80, 90)}
LEARNT = (("a", 5, 65, 5), ("b", 10, 75, 4), ("a", 45, 82, 3), ("b", 66, 88, 3), ("a", 78, 84, 2), ("b", 80, 91, 2))
EXPECTED = {
    "pr": "-0.500000", "mtp": "73.60097", "mep": "59.71429", "pm": "-5.250000", "ft_ratio": "2.500000",
    "ft_contrast": "0.428571", "bt_ratio": "0.846429", "rp": "1.02269", "se": "0.71172",
}  # fmt: skip


def exponential(start: float, end: float, time: float, count: int = 20):
    """An exponential approach."""
    return end - (end - start) * np.exp(-np.arange(count) / time)


def beyond_rounding(value: float, printed: str) -> float:
    """Distance of a number from those that round to a printed one."""
    half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    return max(0.0, abs(value - float(printed)) - half)


def worked_scenario(s: Settings, keys):
    """Thirteen blocks with exact curves, whose metrics are known by hand."""
    del s
    blocks = []
    for i in range(7):
        blocks += [("test", task, np.full(4, float(values[i]))) for task, values in TESTS.items()]
        if i < len(LEARNT):
            task, *numbers = LEARNT[i]
            blocks.append(("train", task, exponential(*numbers)))
    experts = {"a": [exponential(5, 80, 8, 40)], "b": [exponential(4, 84, 8, 40)]}
    log = LifetimeLog.from_blocks(blocks)
    report = lifelong_metrics(log, experts, smooth=None, normalise=None)
    worst = max(beyond_rounding(float(report.lifetime[name]), text) for name, text in EXPECTED.items())
    attrs = {"units": "1", "long_name": "largest deviation of a metric from its value by hand, beyond its rounding"}
    mapped = LifetimeLog.from_blocks([(kind, task, 3.0 * np.asarray(v) - 7.0) for kind, task, v in blocks])
    other = lifelong_metrics(mapped, {t: [3.0 * c[0] - 7.0] for t, c in experts.items()})
    plain = lifelong_metrics(log, experts)
    moved = max(float(np.nanmax(np.abs(other.tasks[n].values - plain.tasks[n].values))) for n in plain.tasks)
    moved_attrs = {"units": "1", "long_name": "largest change of a metric under an affine map of the performance"}
    return xr.Dataset(
        {
            "deviation": ("seed", np.full(len(keys), worst), attrs),
            "affine_change": ("seed", np.full(len(keys), moved), moved_attrs),
        }
    )


def case_studies(s: Settings, keys):
    """Lifetimes of five kinds; how many of the metrics that their protocol defines are numbers."""
    names = list(s.cases)
    known = np.zeros((len(keys), len(names)))
    for i, name in enumerate(names):
        study = CASE_STUDIES[name]
        accepts = inspect.signature(study).parameters
        unit = "episodes" if "episodes" in accepts else "steps"
        for seed, key in enumerate(keys):
            label = {"label": f"{names[i]} {seed}"} if "label" in accepts else {}  # distinct runs of one cell
            lifetime = study(key, **{unit: s.case_steps}, **label).lifetime
            known[seed, i] = np.mean([np.isfinite(float(lifetime[name])) for name in lifetime])
    attrs = {"units": "1", "long_name": "share of lifelong metrics that are numbers"}
    return xr.Dataset({"known_metrics": (("seed", "case"), known, attrs)}, coords={"case": names})


# Effects: one number a seed.


def of(name: str, arm: str):
    """A lifetime metric of an arm."""
    return lambda ds: per_seed(ds[name].sel(arm=arm))


def ends(name: str, dim: str, arm: str):
    """A metric at the last minus that at the first value of a hyper-parameter."""

    def effect(ds):
        values = ds[name].sel(arm=arm)
        return values.isel({dim: -1}, drop=True) - values.isel({dim: 0}, drop=True)

    return effect


def rank_correlation(one: str, other: str, dim: str, arm: str):
    """Spearman's correlation of two metrics over the values of a hyper-parameter."""

    def effect(ds):
        from scipy.stats import rankdata

        a, b = (ds[name].sel(arm=arm).transpose("seed", dim).values for name in (one, other))
        a, b = (rankdata(v, axis=1) - (v.shape[1] + 1) / 2 for v in (a, b))
        size = np.sqrt((a**2).sum(1) * (b**2).sum(1))
        return xr.DataArray((a * b).sum(1) / np.where(size > 0, size, 1.0), dims="seed", coords={"seed": ds.seed})

    return effect


def minus(one, other):
    """Difference of two effects."""
    return lambda ds: one(ds) - other(ds)


FINDINGS = [
    Finding("F1", "The metrics of a scenario worked out by hand are exact, to its printed digits.", "card",
            of("deviation", "worked"), AtMost(1e-6), arms=("worked",)),
    Finding("F2a", "Consolidation buys stability: performance maintenance at the largest minus the smallest strength.",
            "section 5", ends("ewc_pm", "strength", "ewc"), AtLeast(4.0), arms=("ewc",), units="points"),
    Finding("F2b", "It costs plasticity: relative performance at the smallest minus the largest strength.", "section 5",
            lambda ds: -ends("ewc_rp", "strength", "ewc")(ds), AtLeast(0.3), arms=("ewc",)),
    Finding("F2c", "The dilemma: rank correlation of maintenance and relative performance over strengths.", "section 5",
            rank_correlation("ewc_pm", "ewc_rp", "strength", "ewc"), AtMost(-0.7), arms=("ewc",)),
    Finding("F3a", "Replay maintains better than fine-tuning: difference of performance maintenance.", "section 5",
            minus(of("pm", "replay"), of("pm", "finetune")), AtLeast(5.0), arms=("replay", "finetune"), units="points"),
    Finding("F3b", "Replay learns nearly as well: shortfall of its relative performance.", "section 5",
            lambda ds: abs(of("rp", "replay")(ds) - of("rp", "finetune")(ds)), AtMost(0.15),
            arms=("replay", "finetune")),
    Finding("F3c", "Joint training maintains.", "section 5", of("pm", "joint"), AtLeast(-1.0), arms=("joint",),
            units="points", control=True),
    Finding("F4", "Sample efficiency costs robustness: rank correlation over learning rates.",
            "section 5; direction only", rank_correlation("rate_se", "robustness", "rate", "rates"), AtMost(0.0),
            arms=("rates",)),
    Finding("F5", "Five lifetimes of different kinds have complete reports: share of metrics that are numbers.",
            "section 4", lambda ds: ds.known_metrics.sel(arm="cases").min("case"), AtLeast(1.0), published=1.0,
            arms=("cases",), since="thorough"),
    Finding("F6", "Metrics do not depend on the units of performance: change under an affine map.", "section 3",
            of("affine_change", "worked"), AtMost(1e-9), published=0.0, arms=("worked",)),
]  # fmt: skip


def trade_off(x: str, y: str, dim: str):
    """Draw one metric against another over a hyper-parameter: seeds as dots, their mean as a line."""

    def draw(ds):
        from matplotlib.figure import Figure

        if x not in ds or y not in ds:
            raise NoData(f"{x} was not measured")
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        a, b = (ds[name].dropna("arm", how="all").isel(arm=0).transpose(dim, "seed") for name in (x, y))
        for i, label in enumerate(ds[dim].values):
            axes.plot(a[i], b[i], "o", color=PALETTE[i % len(PALETTE)], alpha=0.5, label=f"{label:g}")
        axes.plot(a.mean("seed"), b.mean("seed"), color="black", linewidth=1.5)
        axes.set(xlabel=ds[x].attrs["long_name"], ylabel=ds[y].attrs["long_name"])
        axes.legend(frameon=False, fontsize="small", title=dim)
        return figure

    return draw


STUDY = Study(
    slug="lifelong-metrics",
    seed=47,
    domain="continual",
    title="A Domain-Agnostic Approach for Characterization of Lifelong Learning Systems",
    paper="arXiv:2301.07799",
    citation="""@article{baker2023domain,
  title = {A domain-agnostic approach for characterization of lifelong learning systems},
  author = {Baker, Megan M. and New, Alexander and Aguilar-Simon, Mario and others},
  journal = {Neural Networks},
  volume = {160},
  pages = {274--296},
  year = {2023},
  note = {arXiv:2301.07799}
}""",
    question="Do metrics of nothing but a performance log show the trade-offs of lifelong learning?",
    method="""Networks learn three rotations of digits, twice, with an evaluation block around every learning block,
    under EWC of growing strength, replay, joint training or nothing. Single-task experts set the scale. Each lifetime's
    log is reduced to recovery, maintenance, transfer, relative performance and sample efficiency. A scenario worked out
    by hand and five small lifetimes of other kinds check the metrics.""",
    presets=PRESETS,
    arms={
        "worked": worked_scenario,
        "finetune": finetuning,
        "replay": replay,
        "joint": joint_training,
        "ewc": ewc_strengths,
        "rates": learning_rates,
        "cases": case_studies,
    },
    findings=FINDINGS,
    figures={
        "Stability against plasticity over the strength of EWC": trade_off("ewc_pm", "ewc_rp", "strength"),
        "Sample efficiency against robustness over learning rates": trade_off("rate_se", "robustness", "rate"),
        "First task through a lifetime": curves("task_performance", select={"task": 0}),
        "Performance maintenance of every lifetime": points("pm"),
        "Relative performance of every lifetime": points("rp"),
    },
    remarks={
        "F2a": "Lifetimes differ: without EWC maintenance is between -20 and -1 over five of them. Twenty decide "
        "(preset thorough).",
        "F2c": "Maintenance is mostly best at a strength of 300, not at 1,000, where relative performance has "
        "fallen to a half: who learns little has little to maintain. So the ranks are not fully reversed.",
    },
    revision=3,
    costs={"quick": "a minute", "default": "half a minute", "thorough": "4 minutes", "full": "half an hour"},
)
