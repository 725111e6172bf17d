"""To grok or not to grok on corrupted labels (Doshi, Das, He, Gromov, ICLR 2024).

When a network both generalises and memorises wrong labels, do different neurons do the two, can the memorising ones be
told by their weights and removed, and what do weight decay, dropout and batch normalisation do to them?
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from scipy.stats import rankdata

from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.stream import FullBatch, MiniBatches
from separatrix.data.corruption import clean_floor, corrupt_labels
from separatrix.data.modular import modular_arithmetic, operation_table
from separatrix.models.batch_norm import BatchStatistics
from separatrix.models.plain_transformer import PlainTransformer
from separatrix.models.quadratic_mlp import (
    BatchNormMLP,
    PreactivationDropout,
    QuadraticMLP,
    batch_norm_evaluate,
    batch_norm_forward,
)
from separatrix.study.figures import PALETTE, NoData, curves
from separatrix.study.finding import AtLeast, AtMost, Between, Finding
from separatrix.study.study import Study
from separatrix.training.corruption_grid import CorruptedTable, WeightedLoss, phase_diagram
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.label_noise import NoisyBatch, neuron_scores, noisy_accuracy, pruned_accuracy
from separatrix.training.periodicity import neuron_periodicity, primitive_root_powers
from separatrix.training.phases import PHASES, classify_phase, two_stage_times
from separatrix.training.running_statistics import SupervisedWithStatistics
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.supervised import Batch, Supervised, vmapped
from separatrix.training.traced_optimiser import traced

Operation = Literal["add", "multiply"]
PRUNED = tuple(i / 10 for i in range(10))


@dataclass(frozen=True)
class Settings:
    """Sizes are the paper's; numbers of steps are cut to fit the time.

    The default preset takes 800 steps (published: 1,000), and 400 with weight decay (500). The thorough preset takes
    the published numbers, but 400 steps with dropout (2,000) and 2,500 with weight decay 20 (5,000); its phase diagrams
    are 5 x 5 at p = 47 with 256 neurons and 400 steps (17 x 17, p = 97, 500 neurons, 2,000 steps).
    """

    seeds: int = 5
    p: int = 97
    width: int = 500
    rate: float = 0.01
    train_fraction: float = 0.5
    corruption: float = 0.35
    steps: int = 800  # without regularisation (F1)
    decay_steps: int = 400  # with weight decay (F2, F3)
    clean_steps: int = 100
    forgetting_steps: int = 2_500
    dropout: float = 0.6
    dropout_steps: int = 400
    # mini-batches, with and without batch normalisation (F4); the rate goes with the root of the batch size
    batch_size: int = 64
    batch_fraction: float = 0.65
    batch_corruption: float = 0.2
    batch_steps: int = 2_000
    # phase diagrams (F6)
    diagram_p: int = 47
    diagram_width: int = 256
    diagram_steps: int = 400
    diagram_decay: float = 15.0
    diagram_fractions: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    diagram_corruptions: tuple[float, ...] = (0.1, 0.3, 0.5, 0.7, 0.9)
    # transformer (full)
    transformer_width: int = 128
    transformer_decay: float = 0.5
    transformer_steps: int = 1_000


LINSPACE = tuple(round(0.1 + 0.05 * i, 2) for i in range(17))
PRESETS = {
    "quick": Settings(
        seeds=2,
        p=7,
        width=16,
        steps=20,
        decay_steps=20,
        clean_steps=10,
        forgetting_steps=20,
        dropout_steps=10,
        batch_size=8,
        batch_steps=20,
        diagram_p=5,
        diagram_width=8,
        diagram_steps=10,
        diagram_fractions=(0.4, 0.7),
        diagram_corruptions=(0.2, 0.5),
        transformer_width=16,
        transformer_steps=10,
    ),
    "default": Settings(),
    "thorough": Settings(steps=1_000, decay_steps=500),
    "full": Settings(
        steps=1_000,
        decay_steps=500,
        forgetting_steps=5_000,
        dropout_steps=2_000,
        diagram_p=97,
        diagram_width=500,
        diagram_steps=2_000,
        diagram_fractions=LINSPACE,
        diagram_corruptions=LINSPACE,
    ),
}


class Network(eqx.Module):
    """Builds the network from a key; equal ones compile once."""

    kind: type = eqx.field(static=True)
    p: int = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __call__(self, key):
        """Draw the weights."""
        return self.kind(key, self.p, self.width)


def adamw(rate, decay=0.0):
    """AdamW whose rate and decay are traced, so that one trace serves all of them."""
    return traced(optax.adamw, learning_rate=rate, b2=0.98, weight_decay=decay)


def periodicity(model):
    """Inverse participation ratio of each neuron."""
    return neuron_periodicity(model.first, model.second, model.readout)


def log_periodicity(model):
    """Inverse participation ratio of each neuron in the order of discrete logarithms, for multiplication."""
    order = primitive_root_powers(len(model.first))
    return neuron_periodicity(model.first[order], model.second[order], model.readout[:, order])


def net_periodicity(model):
    """Inverse participation ratio of each neuron under batch normalisation."""
    return periodicity(model.net)


def norm_scale(model):
    """How much batch normalisation lets each neuron through."""
    return jnp.abs(model.norm.scale)


IPR = {"long_name": "inverse participation ratio of a neuron"}
SCALE = {"long_name": "modulus of the scale of batch normalisation"}


def corrupted_task(s: Settings, key, fraction, corruption, operation: Operation = "add"):
    """Training pairs with corrupted labels and clean test pairs; the same in every arm with the same fractions."""
    split = modular_arithmetic(named_key(key, "data"), s.p, operation, fraction, "pairs")
    labels, mask = corrupt_labels(named_key(key, "corruption"), split.train_targets, s.p, corruption)
    return NoisyBatch(split.train_inputs, labels, mask), Batch(split.test_inputs, split.test_targets)


def labelled(records, at_the_end, corruption: float, p: int):
    """Label the records, drop the step of what is measured at the last step only, and note what to compare with."""
    ds = records.to_dataset()
    ds = ds.assign({name: ds[name].isel(step=-1, drop=True) for name in at_the_end})
    fraction = {"units": "1", "long_name": "corrupted fraction of the training labels"}
    floor = {"units": "1", "long_name": "training accuracy of the true classes"}
    each = np.ones(ds.sizes["seed"])
    return ds.assign(
        corrupted_fraction=("seed", corruption * each, fraction),
        train_floor=("seed", clean_floor(corruption, p) * each, floor),
    )


def every(steps: int, records: int = 50) -> int:
    """Cadence that divides `steps` and gives about so many records."""
    return next(e for e in range(max(1, steps // records), steps + 1) if steps % e == 0)


def full_batch(s: Settings, keys, steps, records, decay=0.0, corruption=None, operation: Operation = "add", **seams):
    """Train on all pairs at every step."""
    score = periodicity if operation == "add" else log_periodicity
    xi = s.corruption if corruption is None else corruption

    def build(key):
        data, held_out = corrupted_task(s, key, s.train_fraction, xi, operation)
        network, optimiser = Network(QuadraticMLP, s.p, s.width), adamw(s.rate, decay)
        return Supervised(network, one_hot_squared_error, optimiser, FullBatch(data), held_out, **seams)

    pruning = pruned_accuracy(score, PRUNED, steps)
    probes = [noisy_accuracy(every(steps, records)), pruning, neuron_scores("neuron_ipr", score, steps, IPR)]
    ds = labelled(run(build, keys, steps, probes=probes).records, ["neuron_ipr", *dict(pruning.dims)], xi, s.p)
    return ds.assign_coords(order=["lowest first", "highest first"], pruned=list(PRUNED))


def plain(s: Settings, keys):
    """No regularisation: the network generalises and memorises."""
    return full_batch(s, keys, s.steps, 50)


def decay_5(s: Settings, keys):
    """Weight decay 5, decoupled."""
    return full_batch(s, keys, s.decay_steps, 100, 5.0)


def decay_15(s: Settings, keys):
    """Weight decay 15, decoupled."""
    return full_batch(s, keys, s.decay_steps, 100, 15.0)


def decay_20(s: Settings, keys):
    """Weight decay 20, decoupled, for long."""
    return full_batch(s, keys, s.forgetting_steps, 50, 20.0)


def clean_labels(s: Settings, keys):
    """Weight decay 5 on labels that are all right."""
    return full_batch(s, keys, s.clean_steps, 20, 5.0, corruption=0.0)


def dropout(s: Settings, keys):
    """Dropout of pre-activations."""
    return full_batch(s, keys, s.dropout_steps, 50, forward=PreactivationDropout(s.dropout))


def multiplication(s: Settings, keys):
    """No regularisation, multiplication in place of addition."""
    return full_batch(s, keys, s.steps, 50, operation="multiply")


def batch_rate(s: Settings):
    """Learning rate that goes with the batch size."""
    return s.rate * min(1.0, s.batch_size / 256) ** 0.5


def mini_batch(s: Settings, keys, score, more_probes, process, **seams):
    """Train on mini-batches without weight decay."""

    def build(key):
        data, held_out = corrupted_task(s, key, s.batch_fraction, s.batch_corruption)
        stream = MiniBatches(data, s.batch_size)
        return process(
            loss=one_hot_squared_error, optimiser=adamw(batch_rate(s)), stream=stream, held_out=held_out, **seams
        )

    probes = [
        noisy_accuracy(every(s.batch_steps, 20)),
        neuron_scores("neuron_ipr", score, s.batch_steps, IPR),
        *more_probes,
    ]
    records = run(build, keys, s.batch_steps, probes=probes).records
    last = [name for name in ("neuron_ipr", "norm_scale") if name in records.variables]
    return labelled(records, last, s.batch_corruption, s.p)


def batch_norm(s: Settings, keys):
    """Mini-batches with batch normalisation after the activation."""
    return mini_batch(
        s,
        keys,
        net_periodicity,
        [neuron_scores("norm_scale", norm_scale, s.batch_steps, SCALE)],
        SupervisedWithStatistics,
        **batch_norm_seams(s.p, s.width),
    )


def batch_norm_seams(p: int, width: int):
    """What batch normalisation changes in a process."""
    return {
        "model": Network(BatchNormMLP, p, width),
        "statistics": BatchStatistics.standard(width),
        "forward": batch_norm_forward,
        "evaluate": batch_norm_evaluate,
    }


def minibatch(s: Settings, keys):
    """The same mini-batches without batch normalisation."""
    return mini_batch(s, keys, periodicity, [], Supervised, model=Network(QuadraticMLP, s.p, s.width))


def diagram(s: Settings, keys, decay=0.0, batch_size=None, process: Any = Supervised, rate=None, **seams):
    """Final accuracies over training fraction and corruption, one compiled program for all of them and the seeds."""
    a, b, c = operation_table(s.diagram_p, "add")
    pairs, sums = np.stack([a, b], axis=1).astype(np.int32), c.astype(np.int32)
    parts = {"model": Network(QuadraticMLP, s.diagram_p, s.diagram_width), **seams}

    def build(key):
        table = CorruptedTable.shuffled(named_key(key, "data"), pairs, sums, s.diagram_p, batch_size)
        return process(
            loss=WeightedLoss(one_hot_squared_error), optimiser=adamw(rate or s.rate, decay), stream=table, **parts
        )

    ds = phase_diagram(
        build,
        keys,
        s.diagram_steps,
        train_fractions=s.diagram_fractions,
        corruptions=s.diagram_corruptions,
    ).records.to_dataset()
    ds = ds.isel(step=-1, drop=True).rename({name: f"diagram_{name}" for name in ds.data_vars if name != "diverged_at"})
    train, test = ds.diagram_train_accuracy, ds.diagram_test_accuracy
    found = xr.apply_ufunc(classify_phase, train, test, ds.corruption, kwargs={"num_classes": s.diagram_p})
    meaning = {"units": "1", "long_name": f"phase ({', '.join(f'{i} {name}' for i, name in enumerate(PHASES))})"}
    diverged_at = ds.diverged_at.max(["train_fraction", "corruption"], keep_attrs=True)
    return ds.assign(diagram_phase=found.assign_attrs(meaning), diverged_at=diverged_at)


def diagram_plain(s: Settings, keys):
    """Phase diagram without regularisation."""
    return diagram(s, keys)


def diagram_decay(s: Settings, keys):
    """Phase diagram with weight decay."""
    return diagram(s, keys, decay=s.diagram_decay)


def diagram_dropout(s: Settings, keys):
    """Phase diagram with dropout."""
    return diagram(s, keys, forward=PreactivationDropout(s.dropout))


def diagram_batch_norm(s: Settings, keys):
    """Phase diagram with batch normalisation, on mini-batches drawn with replacement."""
    seams = batch_norm_seams(s.diagram_p, s.diagram_width)
    return diagram(s, keys, 0.0, s.batch_size, SupervisedWithStatistics, batch_rate(s), **seams)


class Transformer(eqx.Module):
    """Builds the transformer from a key."""

    p: int = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __call__(self, key):
        """Draw the weights."""
        return PlainTransformer(key, self.p, self.p, width=self.width)


def transformer_arm(s: Settings, keys, corruption):
    """One-layer transformer with cross-entropy and weight decay."""

    def build(key):
        data, held_out = corrupted_task(s, key, s.train_fraction, corruption)
        return Supervised(
            model=Transformer(s.p, s.transformer_width),
            loss=cross_entropy,
            optimiser=adamw(s.rate, s.transformer_decay),
            stream=FullBatch(data),
            held_out=held_out,
            forward=vmapped,
        )

    probes = [noisy_accuracy(every(s.transformer_steps))]
    return labelled(run(build, keys, s.transformer_steps, probes=probes).records, [], corruption, s.p)


cross_entropy = functools.partial(softmax_cross_entropy, precision="float32")


def transformer(s: Settings, keys):
    """One-layer transformer on clean labels."""
    return transformer_arm(s, keys, 0.0)


def transformer_corrupted(s: Settings, keys):
    """One-layer transformer on corrupted labels."""
    return transformer_arm(s, keys, s.corruption)


# Effects: one number a seed.


def final(ds, arm: str, variable: str):
    """Last measured value."""
    return ds[variable].sel(arm=arm).dropna("step", how="all").isel(step=-1, drop=True)


def lesser(ds, arm: str):
    """Final training or test accuracy, whichever is less."""
    return np.minimum(final(ds, arm, "train_accuracy"), final(ds, arm, "test_accuracy"))


def pruned(ds, order: str, fraction: float, variable: str, arm: str = "plain"):
    """Accuracy with a fraction of the neurons pruned."""
    curve = ds[f"pruned_{variable}_accuracy"].sel(arm=arm, order=order)
    return curve.sel(pruned=fraction, method="nearest")


def mean_ipr(ds, arm: str):
    """Mean inverse participation ratio."""
    return ds.neuron_ipr.sel(arm=arm).mean("unit")


def stages(ds, level: float):
    """Steps from generalisation to the point at which wrong labels are given up, with weight decay 15."""
    curve = ds.sel(arm="decay-15")[["test_accuracy", "corrupted_accuracy"]].dropna("step", how="all")
    curve = curve.transpose("seed", "step")
    times = two_stage_times(curve.step, curve.test_accuracy, curve.corrupted_accuracy, unlearn_level=level)
    return times.unlearn - times.grok


def scale_correlation(ds):
    """Rank correlation of the scale of batch normalisation with the inverse participation ratio, over neurons."""
    measured = ds[["norm_scale", "neuron_ipr"]].sel(arm="batch-norm").transpose("seed", "unit")
    pairs = zip(measured.norm_scale.values, measured.neuron_ipr.values, strict=True)
    return np.array([np.corrcoef(rankdata(scale), rankdata(ipr))[0, 1] for scale, ipr in pairs])


def share(ds, arm: str, phase: str):
    """Part of the diagram in a phase."""
    return (ds.diagram_phase.sel(arm=arm) == PHASES.index(phase)).mean(["train_fraction", "corruption"])


def inversion_share(ds, arm: str):
    """Part of the diagram where wrong labels are refused, partly or all."""
    return share(ds, arm, "partial inversion") + share(ds, arm, "full inversion")


def coexistence_lost(ds):
    """Share of training fractions with coexistence at the least corruption, less that at the greatest."""
    coexists = (ds.diagram_phase.sel(arm="diagram-plain") == PHASES.index("coexistence")).mean("train_fraction")
    return coexists.isel(corruption=0, drop=True) - coexists.isel(corruption=-1, drop=True)


FINDINGS = [
    Finding(
        "F0",
        "With clean labels and weight decay the network generalises within a hundred steps.",
        "notebook",
        lambda ds: final(ds, "clean-labels", "test_accuracy"),
        AtLeast(0.99),
        published=1.0,
        arms=("clean-labels",),
        control=True,
    ),
    Finding(
        "F1a",
        "Without regularisation it generalises and memorises 35 % wrong labels at once (lesser of both accuracies).",
        "Fig. 1; level proposed here",
        lambda ds: lesser(ds, "plain"),
        AtLeast(0.95),
        published=0.9783,
        arms=("plain",),
    ),
    Finding(
        "F1b",
        "Pruning the 60 % least periodic neurons removes the memorised labels (accuracy on them).",
        "Fig. 3",
        lambda ds: pruned(ds, "lowest first", 0.6, "corrupted"),
        AtMost(0.05),
        arms=("plain",),
    ),
    Finding(
        "F1c",
        "It raises the test accuracy (gain).",
        "Fig. 3",
        lambda ds: pruned(ds, "lowest first", 0.6, "test") - pruned(ds, "lowest first", 0.0, "test"),
        AtLeast(0.005),
        arms=("plain",),
    ),
    Finding(
        "F1d",
        "Pruning the 30 % most periodic neurons destroys generalisation (test accuracy).",
        "Fig. 3",
        lambda ds: pruned(ds, "highest first", 0.3, "test"),
        AtMost(0.05),
        arms=("plain",),
        control=True,
    ),
    Finding(
        "F1e",
        "It leaves the memorised labels in place (accuracy on them).",
        "Fig. 3",
        lambda ds: pruned(ds, "highest first", 0.3, "corrupted"),
        AtLeast(0.9),
        arms=("plain",),
        control=True,
    ),
    Finding(
        "F2a",
        "Weight decay 5: the network refuses part of the wrong labels (training accuracy).",
        "Fig. 1; within 0.05 of the published value",
        lambda ds: final(ds, "decay-5", "train_accuracy"),
        Between(0.7355, 0.8355),
        published=0.7855,
        arms=("decay-5",),
        since="thorough",
    ),
    Finding(
        "F2b",
        "Weight decay 15: it refuses all of them (distance of the training accuracy from that of the true classes).",
        "Fig. 1; tolerance proposed here",
        lambda ds: np.abs(final(ds, "decay-15", "train_accuracy") - ds.train_floor.sel(arm="decay-15")),
        AtMost(0.02),
        published=0.0001,
        arms=("decay-15",),
    ),
    Finding(
        "F2c",
        "And generalises perfectly (test accuracy).",
        "Fig. 1",
        lambda ds: final(ds, "decay-15", "test_accuracy"),
        AtLeast(0.99),
        published=1.0,
        arms=("decay-15",),
    ),
    Finding(
        "F2d",
        "Weight decay makes neurons periodic (gain of the mean inverse participation ratio, 15 against none).",
        "Fig. 4; threshold proposed here",
        lambda ds: mean_ipr(ds, "decay-15") - mean_ipr(ds, "plain"),
        AtLeast(0.2),
        arms=("decay-15", "plain"),
    ),
    Finding(
        "F2e",
        "All of them, not only most (10 % quantile of the ratio at weight decay 15; 0.04 is noise).",
        "Fig. 4; threshold proposed here",
        lambda ds: ds.neuron_ipr.sel(arm="decay-15").quantile(0.1, "unit").drop_vars("quantile"),
        AtLeast(0.15),
        arms=("decay-15",),
        since="thorough",
    ),
    Finding(
        "F2f",
        "More weight decay makes them more periodic (lesser gain, none to 5 and 5 to 15).",
        "Fig. 4; threshold proposed here",
        lambda ds: np.minimum(
            mean_ipr(ds, "decay-5") - mean_ipr(ds, "plain"), mean_ipr(ds, "decay-15") - mean_ipr(ds, "decay-5")
        ),
        AtLeast(0.05),
        arms=("plain", "decay-5", "decay-15"),
        since="thorough",
    ),
    Finding(
        "F2g",
        "Weight decay 20: in the long run the network forgets everything (greater of both accuracies).",
        "Fig. 1",
        lambda ds: np.maximum(final(ds, "decay-20", "train_accuracy"), final(ds, "decay-20", "test_accuracy")),
        AtMost(0.02),
        published=0.0108,
        arms=("decay-20",),
        since="thorough",
    ),
    Finding(
        "F3a",
        "It generalises first and gives up the wrong labels after (steps between, to 3 % accuracy on them).",
        "section 4",
        lambda ds: stages(ds, 0.03),
        AtLeast(1.0),
        arms=("decay-15",),
        units="step",
    ),
    Finding(
        "F3b",
        "In the end it has given them up (accuracy on them).",
        "section 4",
        lambda ds: final(ds, "decay-15", "corrupted_accuracy"),
        AtMost(0.03),
        published=0.0103,
        arms=("decay-15",),
    ),
    Finding(
        "F3c",
        "The order holds already for half of the wrong labels (steps between).",
        "section 4; the card's definition of the second stage",
        lambda ds: stages(ds, 0.5),
        AtLeast(1.0),
        arms=("decay-15",),
        units="step",
        since="thorough",
    ),
    Finding(
        "F4a",
        "Batch normalisation refuses wrong labels as weight decay does (training accuracy from 1 - corruption).",
        "Fig. 5",
        lambda ds: np.abs(
            final(ds, "batch-norm", "train_accuracy") - (1 - ds.corrupted_fraction.sel(arm="batch-norm"))
        ),
        AtMost(0.02),
        published=0.0043,
        arms=("batch-norm",),
        since="thorough",
    ),
    Finding(
        "F4b",
        "With it the network generalises (test accuracy).",
        "Fig. 5",
        lambda ds: final(ds, "batch-norm", "test_accuracy"),
        AtLeast(0.99),
        published=1.0,
        arms=("batch-norm",),
        since="thorough",
    ),
    Finding(
        "F4c",
        "It turns down the neurons that are not periodic (rank correlation of scale and ratio).",
        "Fig. 5; threshold proposed on the card",
        scale_correlation,
        AtLeast(0.5),
        arms=("batch-norm",),
        since="thorough",
    ),
    Finding(
        "F4d",
        "Mini-batches alone go most of the way (training accuracy).",
        "notebook; within 0.03 of the published value",
        lambda ds: final(ds, "minibatch", "train_accuracy"),
        Between(0.7885, 0.8485),
        published=0.8185,
        arms=("minibatch",),
        since="thorough",
        control=True,
    ),
    Finding(
        "F5a",
        "Dropout makes the network refuse wrong labels (loss of accuracy on them).",
        "section 4; threshold proposed on the card",
        lambda ds: final(ds, "plain", "corrupted_accuracy") - final(ds, "dropout", "corrupted_accuracy"),
        AtLeast(0.3),
        arms=("plain", "dropout"),
        since="thorough",
    ),
    Finding(
        "F5b",
        "Dropout makes neurons periodic (gain of the mean ratio).",
        "section 4; threshold proposed here",
        lambda ds: mean_ipr(ds, "dropout") - mean_ipr(ds, "plain"),
        AtLeast(0.05),
        arms=("plain", "dropout"),
        since="thorough",
    ),
    Finding(
        "F6a",
        "Without regularisation coexistence is lost as labels get worse (share of training fractions, 0.1 to 0.9).",
        "Fig. 2; threshold of one grid point proposed here",
        coexistence_lost,
        AtLeast(0.2),
        arms=("diagram-plain",),
        since="thorough",
    ),
    Finding(
        "F6b",
        "Full inversion appears with weight decay (gain of its share of the diagram).",
        "Fig. 2; threshold of one grid point proposed here",
        lambda ds: share(ds, "diagram-decay", "full inversion") - share(ds, "diagram-plain", "full inversion"),
        AtLeast(0.04),
        arms=("diagram-plain", "diagram-decay"),
        since="thorough",
    ),
    Finding(
        "F6c",
        "Inversion, partial or full, grows with dropout (gain of its share).",
        "Fig. 2; threshold proposed here",
        lambda ds: inversion_share(ds, "diagram-dropout") - inversion_share(ds, "diagram-plain"),
        AtLeast(0.04),
        arms=("diagram-plain", "diagram-dropout"),
        since="full",
    ),
    Finding(
        "F6d",
        "Inversion, partial or full, grows with batch normalisation (gain of its share).",
        "Fig. 2; threshold proposed here",
        lambda ds: inversion_share(ds, "diagram-batch-norm") - inversion_share(ds, "diagram-plain"),
        AtLeast(0.04),
        arms=("diagram-plain", "diagram-batch-norm"),
        since="full",
    ),
    Finding(
        "F7a",
        "Multiplication behaves as addition: generalisation and memorisation coexist.",
        "appendix; level proposed here",
        lambda ds: lesser(ds, "multiplication"),
        AtLeast(0.95),
        arms=("multiplication",),
        since="full",
    ),
    Finding(
        "F7b",
        "Pruning the 60 % of its neurons that are least periodic in the exponent removes the memorised labels.",
        "appendix; threshold of addition",
        lambda ds: pruned(ds, "lowest first", 0.6, "corrupted", "multiplication"),
        AtMost(0.05),
        arms=("multiplication",),
        since="full",
    ),
    Finding(
        "F8a",
        "A one-layer transformer with weight decay generalises on clean labels.",
        "notebook",
        lambda ds: final(ds, "transformer", "test_accuracy"),
        AtLeast(0.99),
        published=1.0,
        arms=("transformer",),
        since="full",
    ),
    Finding(
        "F8b",
        "On wrong labels it refuses many while it generalises (test accuracy less that on wrong labels).",
        "appendix; threshold proposed here",
        lambda ds: (
            final(ds, "transformer-corrupted", "test_accuracy")
            - final(ds, "transformer-corrupted", "corrupted_accuracy")
        ),
        AtLeast(0.5),
        arms=("transformer-corrupted",),
        since="full",
    ),
]


def blank(columns: int = 1, height: float = 3.6):
    """Empty figure with axes side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height), layout="constrained")
    return figure, figure.subplots(1, columns, squeeze=False, sharey=True)[0]


def measured(ds, variable: str, arms):
    """Arms in which a variable was measured."""
    here = [arm for arm in arms if variable in ds and arm in ds.arm and bool(ds[variable].sel(arm=arm).notnull().any())]
    if not here:
        raise NoData(f"{variable} was not measured in {', '.join(arms)}")
    return here


def ipr_histogram(ds):
    """Distribution of the inverse participation ratio over the neurons of all seeds."""
    figure, (axes,) = blank()
    arms = measured(ds, "neuron_ipr", ["plain", "decay-5", "decay-15", "dropout", "batch-norm"])
    for colour, arm in zip(PALETTE, arms, strict=False):
        values = ds.neuron_ipr.sel(arm=arm).values.ravel()
        values = values[np.isfinite(values)]
        weights = np.full(len(values), 1 / max(1, len(values)))
        axes.hist(
            values, np.linspace(0, 1, 41), weights=weights, histtype="step", linewidth=1.8, color=colour, label=arm
        )
    axes.set(xlabel="inverse participation ratio of a neuron", ylabel="share of the neurons")
    axes.legend(frameon=False, fontsize="small")
    return figure


def pruning_curves(ds):
    """Accuracies over the pruned fraction, least periodic neurons first and most periodic first."""
    measured(ds, "pruned_test_accuracy", ["plain"])
    figure, panels = blank(2)
    for axes, order in zip(panels, ds.order.values, strict=True):
        for colour, part in zip(PALETTE, ("test", "train", "clean", "corrupted"), strict=False):
            curve = ds[f"pruned_{part}_accuracy"].sel(arm="plain", order=order).transpose("seed", "pruned")
            axes.plot(curve.pruned, curve.values.T, color=colour, alpha=0.25, linewidth=0.7)
            axes.plot(curve.pruned, curve.mean("seed"), color=colour, linewidth=2, label=part)
        axes.set(xlabel="pruned fraction of the neurons", title=str(order))
    panels[0].set(ylabel="accuracy")
    panels[1].legend(frameon=False, fontsize="small")
    return figure


def phase_map(ds):
    """Most frequent phase over the seeds, by training fraction and corruption."""
    from matplotlib.colors import ListedColormap
    from matplotlib.patches import Patch

    arms = measured(ds, "diagram_test_accuracy", [name for name in ARMS if name.startswith("diagram")])
    figure, panels = blank(len(arms))
    colours = PALETTE[: len(PHASES)]
    for axes, arm in zip(panels, arms, strict=True):
        found = ds.diagram_phase.sel(arm=arm)
        votes = xr.concat([(found == i).sum("seed") for i in range(len(PHASES))], "phase")
        found = votes.argmax("phase").transpose("train_fraction", "corruption")
        axes.pcolormesh(
            found.corruption,
            found.train_fraction,
            found.values,
            cmap=ListedColormap(colours),
            vmin=-0.5,
            vmax=len(PHASES) - 0.5,
            shading="nearest",
        )
        axes.set(xlabel="corrupted fraction", title=arm.removeprefix("diagram-"))
    panels[0].set(ylabel="training fraction")
    handles = [Patch(color=colour, label=phase) for colour, phase in zip(colours, PHASES, strict=True)]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small")
    return figure


ARMS = {
    "clean-labels": clean_labels,
    "plain": plain,
    "decay-5": decay_5,
    "decay-15": decay_15,
    "decay-20": decay_20,
    "dropout": dropout,
    "batch-norm": batch_norm,
    "minibatch": minibatch,
    "diagram-plain": diagram_plain,
    "diagram-decay": diagram_decay,
    "diagram-dropout": diagram_dropout,
    "diagram-batch-norm": diagram_batch_norm,
    "multiplication": multiplication,
    "transformer": transformer,
    "transformer-corrupted": transformer_corrupted,
}
REGULARISED = ["plain", "decay-5", "decay-15", "decay-20", "dropout", "batch-norm"]

STUDY = Study(
    slug="grok-or-not-corrupted",
    seed=25,
    domain="training",
    title="To grok or not to grok on corrupted algorithmic datasets",
    paper="arXiv:2310.13061",
    citation="""@inproceedings{doshi2024grok,
  title = {To grok or not to grok: Disentangling generalization and memorization
           on corrupted algorithmic datasets},
  author = {Doshi, Darshil and Das, Aritra and He, Tianyu and Gromov, Andrey},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  note = {arXiv:2310.13061}
}""",
    question="Do different neurons generalise and memorise, and which of them do regularisers spare?",
    method="""A network of one hidden layer with quadratic activation learns addition modulo p, with a known part of
    its training labels redrawn at random. The inverse participation ratio of a neuron's Fourier spectrum tells how
    periodic its weights are; neurons are pruned in this order. Arms add weight decay, dropout or batch normalisation.
    Every full-batch arm sees the same data, corruption and initialisation for a seed, so effects are paired.""",
    presets=PRESETS,
    arms=ARMS,
    findings=FINDINGS,
    figures={
        "Accuracy on corrupted training labels": curves("corrupted_accuracy", arms=REGULARISED, x="log"),
        "Test accuracy": curves("test_accuracy", arms=REGULARISED, x="log"),
        "Accuracy on all training labels": curves("train_accuracy", arms=REGULARISED, x="log"),
        "Periodic neurons generalise, the others memorise": ipr_histogram,
        "Pruning by periodicity separates memorisation from generalisation": pruning_curves,
        "Phases over training fraction and corruption": phase_map,
    },
    remarks={
        "F2e": "How many neurons stay below is a matter of the seed: the quantile lies between 0.08 and 0.25 over five "
        "seeds (0.30 for the card's one), while the mean ratio gains between 0.33 and 0.34. In every seed it "
        "is above the 0.04 of neurons that are not periodic.",
    },
    costs={
        "quick": "half a minute",
        "default": "4 minutes",
        "thorough": "20 minutes",
        "full": "the paper's scale, for a GPU",
    },
)
