"""The findings: what is claimed, how it is measured, and the threshold it must pass."""

import numpy as np
import xarray as xr

from separatrix.continual.accuracy_trace import AccuracyTrace, stability_gap
from separatrix.study.effects import curve, per_seed
from separatrix.study.finding import AtLeast, AtMost, Finding

from .settings import OLD


def trace(ds, arm: str) -> AccuracyTrace:
    """The trace of an arm, seeds behind steps and tasks."""
    accuracy = curve(ds, arm, "accuracy").transpose("step", "task", "seed")
    ends = ds.task_ends.sel(arm=arm).isel(seed=0).dropna("task")
    values = accuracy.isel(task=slice(0, len(ends))).values
    return AccuracyTrace(values, (0, *(int(e) for e in ends)), accuracy.step.values)


def seeds(ds, values) -> xr.DataArray:
    """Label a vector with the seeds."""
    return xr.DataArray(np.asarray(values, float), dims="seed", coords={"seed": ds.seed})


def metric(name: str, arm: str):
    """A metric of an arm's trace."""
    return lambda ds: seeds(ds, getattr(trace(ds, arm), name)())


def gap(arm: str, part: str = "depth"):
    """Part of the gap of the first task at the first switch."""
    return lambda ds: seeds(ds, getattr(stability_gap(found := trace(ds, arm), OLD, found.boundaries[1]), part))


def forgets(ds):
    """Whether the first task ends a tenth or more below its accuracy at the end of its training, or in no number."""
    accuracy = ds.accuracy.isel(task=OLD, drop=True)
    learnt = accuracy.sel(step=int(ds.task_ends.isel(task=OLD).max()), drop=True)
    return ~(accuracy.dropna("step", how="all").isel(step=-1, drop=True) > learnt - 0.1)


def mean_depth(ds, arm: str):
    """Accuracy just after learning minus the least one later, mean over past tasks."""
    found = trace(ds, arm)
    matrix = found.matrix()
    learnt = np.stack([matrix[i, i] for i in range(len(matrix) - 1)]).mean(0)
    return seeds(ds, learnt - found.min_acc())


def hidden(ds):
    """What evaluating every 100 updates hides of min-ACC."""
    found = trace(ds, "er")
    return seeds(ds, found.thin(100).min_acc() - found.min_acc())


def recovered(ds):
    """How far the final accuracy on the old task stays below that at the switch, the worst angle."""
    found = [trace(ds, arm) for arm in ANGLES]
    level = [t.values[np.searchsorted(t.steps, t.boundaries[1]), OLD] - t.values[-1, OLD] for t in found]
    return seeds(ds, np.max(level, axis=0))


def stability_ratio(ds, arm: str):
    """Length of the stability gradient over that of the plasticity gradient."""
    return (ds.norm_stability / ds.norm_plasticity).sel(arm=arm).dropna("step", how="all")


def growth(ds):
    """Largest ratio over the next 20 updates over the first one."""
    ratio = stability_ratio(ds, "er-mechanism")
    return per_seed(ratio.isel(step=slice(1, None)).max("step") / ratio.isel(step=0))


def first_stability(arm: str):
    """Length of the stability gradient at the first update after the switch."""
    return lambda ds: per_seed(curve(ds, arm, "norm_stability").isel(step=0))


ANGLES = ("er-15", "er-30", "er-60", "er-90")
CALIBRATED = "calibrated on the card"
FINDINGS = [
    Finding("F1a", "Replay keeps five tasks: final average accuracy.", "Table 1", metric("acc", "er"), AtLeast(0.85),
            arms=("er",)),
    Finding("F1b", "Replay forgets little, by the accuracies at the ends of tasks.", "Table 1", metric("forg", "er"),
            AtMost(0.15), arms=("er",)),
    Finding("F1c", "Yet old tasks collapse in between: ACC minus min-ACC.", "Table 1",
            lambda ds: metric("acc", "er")(ds) - metric("min_acc", "er")(ds), AtLeast(0.25),
            published="0.32 on Split-MiniImageNet", arms=("er",)),
    Finding("F1d", "Without a memory the worst case is nothing.", "Table 1", metric("min_acc", "finetune"),
            AtMost(0.01), published=0.0, arms=("finetune",), control=True),
    Finding("F1e", "Without a memory nearly everything is forgotten.", "Table 1", metric("forg", "finetune"),
            AtLeast(0.95), arms=("finetune",), control=True),
    Finding("F2", "Evaluating every 100 updates hides the gap: min-ACC seen minus min-ACC.",
            "periodicity table", hidden, AtLeast(0.25), arms=("er",)),
    Finding("F3a", "Unlike tasks make deeper gaps: depth at 60 degrees minus twice that at 15.", "rotation figure",
            lambda ds: gap("er-60")(ds) - 2 * gap("er-15")(ds), AtLeast(0.0), arms=("er-15", "er-60")),
    Finding("F3b", "The old task recovers: shortfall at the end against the switch, the worst of four angles.",
            "rotation figure", recovered, AtMost(0.03), arms=ANGLES),
    Finding("F4a", "EWC has a gap: depth.", "Figs. 2, 3", gap("ewc-60"), AtLeast(0.25), arms=("ewc-60",)),
    Finding("F4b", "LwF has a gap: depth.", "Figs. 2, 3", gap("lwf-60"), AtLeast(0.25), arms=("lwf-60",)),
    Finding("F4c", "GEM has a gap: depth.", "Figs. 2, 3", gap("gem-60"), AtLeast(0.25), arms=("gem-60",)),
    Finding("F4d", "EWC recovers from it in part.", CALIBRATED, gap("ewc-60", "recovery"), AtLeast(0.1),
            arms=("ewc-60",)),
    Finding("F4e", "GEM recovers from it in part.", CALIBRATED, gap("gem-60", "recovery"), AtLeast(0.1),
            arms=("gem-60",)),
    Finding("F5a", "At the first update after a switch replay's stability gradient is small beside plasticity's.",
            "section 5", lambda ds: per_seed(stability_ratio(ds, "er-mechanism").isel(step=0)), AtMost(0.15),
            arms=("er-mechanism",)),
    Finding("F5b", "It grows at least fivefold over the next 20 updates.", "section 5", growth, AtLeast(5.0),
            arms=("er-mechanism",)),
    Finding("F5c", "The lowest accuracy comes within 15 updates of the switch.", "section 5",
            gap("er-mechanism", "argmin_step"), AtMost(15.0), arms=("er-mechanism",), units="step"),
    Finding("F5d", "EWC's stability gradient is exactly zero at the first update after a switch.", "section 5",
            first_stability("ewc-60"), AtMost(0.0), published=0.0, arms=("ewc-60",)),
    Finding("F5e", "So is LwF's.", "section 5", first_stability("lwf-60"), AtMost(0.0), published=0.0,
            arms=("lwf-60",)),
    Finding("F6a", "With the task known there is a gap still: mean depth.", "appendix",
            lambda ds: mean_depth(ds, "er-task-incremental"), AtLeast(0.02), arms=("er-task-incremental",)),
    Finding("F6b", "It is smaller than without: class-incremental minus task-incremental depth.", "appendix",
            lambda ds: mean_depth(ds, "er") - mean_depth(ds, "er-task-incremental"), AtLeast(0.0),
            arms=("er", "er-task-incremental")),
    Finding("F7a", "Split-CIFAR10: replay's worst case is nothing.", "Table 3", metric("min_acc", "cifar10-er"),
            AtMost(0.05), published=0.0, arms=("cifar10-er",), since="full"),
    Finding("F7b", "Split-MiniImageNet: so it is there.", "Table 1", metric("min_acc", "mini-imagenet-er"),
            AtMost(0.05), published=0.005, arms=("mini-imagenet-er",), since="full"),
    Finding("F7c", "Split-MiniImageNet: yet replay keeps something in the end.", "Table 1",
            metric("acc", "mini-imagenet-er"), AtLeast(0.2), published=0.329, arms=("mini-imagenet-er",), since="full"),
    Finding("F7d", "Split-CIFAR10: without a memory nearly everything is forgotten.", "Table 3",
            metric("forg", "cifar10-finetune"), AtLeast(0.8), arms=("cifar10-finetune",), since="full", control=True),
    Finding("F7e", "Split-Fashion-MNIST: without a memory the worst case is nothing.", "card",
            metric("min_acc", "fashion-finetune"), AtMost(0.05), arms=("fashion-finetune",), since="full",
            control=True),
    *(
        Finding(f"F7-{arm}", f"A gap on images too, {arm}: mean depth.", "Figs. 2, 3", lambda ds, arm=arm: mean_depth(
                ds, arm), AtLeast(0.05), arms=(arm,), since="full")
        for arm in ("cifar10-gem", "domainnet-er", "domainnet-ewc", "domainnet-lwf", "fashion-er", "mnist-er",
                    "permuted-mnist-er")
    ),
]  # fmt: skip


REMARKS = {
    "F4a": """With momentum 0.9 a step is stable while rate x 2 lambda x max F < 2 (1 + 0.9) = 3.8. At lambda = 300 that
    number is between 1.2 and 2.4 for four of five seeds, whose depth is 0.2 to 0.45, and 3.84 for the fifth, which
    loses the old task altogether (0.85): the wide interval is one explosion, not a deeper gap.""",
    "F4d": "The seed that explodes (see F4a) does not recover within the run.",
    "F5e": """The norm of the gradient is 1e-8, the rounding of float32: teacher and student have the same parameters
    but are compiled apart, so that their logits may differ in the last bit. To that precision the claim holds; exactly,
    as the threshold of the card asks, it does not.""",
}
