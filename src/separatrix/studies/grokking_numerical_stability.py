"""Grokking at the edge of numerical stability (Prieto, Barsbey, Mediano, Birdal, ICLR 2025).

Does learning stop before it generalises because the softmax collapses in finite precision, and do a loss that cannot
collapse or a gradient without its useless component bring generalisation without regularisation?
"""

import functools
from dataclasses import dataclass, replace
from typing import Literal

import jax
import optax
import xarray as xr

from separatrix._core.intervention import replace as replace_fields
from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.stream import FullBatch
from separatrix.data.modular import Encoding, modular_arithmetic
from separatrix.data.parity import sparse_parity
from separatrix.models.mlp import MLP, PairMLP, lazy_learning_rate, scaled
from separatrix.models.transformer import OneLayerTransformer
from separatrix.study.effects import curve, final, first_step, per_seed
from separatrix.study.figures import curves, points
from separatrix.study.finding import AtLeast, AtMost, Finding
from separatrix.study.study import Regime, Study
from separatrix.study.sweep import along_points, first_point
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.perpendicular import perp_grad
from separatrix.training.probes import accuracy, collapse, norms, weight_alignment
from separatrix.training.stable_softmax import stablemax_cross_entropy
from separatrix.training.supervised import Batch, Supervised, mask_correct_class_gradient

Operation = Literal["add", "subtract", "multiply", "divide"]


@dataclass(frozen=True)
class Settings:
    """Defaults are the card's reduced scale: p = 59 in place of the paper's 113, everything else as published."""

    seeds: int = 5
    p: int = 59
    operations: tuple[Operation, ...] = ("add",)
    operation: Operation = "add"
    width: int = 200
    output_scale: float = 1.0  # alpha; the learning rate is divided by its square
    # Softmax Collapse (F1, F2, F4, F6): AdamW with an epsilon small enough that its updates outlive the gradient
    fractions: tuple[float, ...] = (0.7,)
    fraction: float = 0.7
    steps: int = 3_000
    rate: float = 0.005
    b2: float = 0.99
    epsilon: float = 1e-25
    # perpGrad (F3): the values that the authors' inner optimiser really uses
    perp_fraction: float = 0.5
    perp_rate: float = 0.01
    perp_steps: int = 200
    decay: float = 1.0
    decay_steps: int = 400
    mask_from: int = 60
    # sparse parity (F5)
    parity_noise: int = 40
    parity_samples: int = 2_000
    parity_rate: float = 0.01
    parity_steps: int = 20_000
    # transformer (full)
    transformer_width: int = 128
    transformer_rate: float = 1e-3
    transformer_steps: int = 5_000


PRESETS = {
    "quick": Settings(
        seeds=2,
        p=11,
        width=16,
        steps=40,
        perp_steps=20,
        decay_steps=20,
        mask_from=5,
        parity_noise=5,
        parity_samples=60,
        parity_steps=40,
        transformer_width=16,
        transformer_steps=20,
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": Settings(
        p=113,
        operations=("add", "multiply", "subtract"),
        fractions=(0.4, 0.6, 0.7),
        steps=80_000,
        rate=0.01,
        perp_fraction=0.4,
        decay_steps=4_000,
        parity_steps=80_000,
    ),
}


def mlp(s: Settings, key):
    """Bias-free two-hidden-layer network on a pair of integers, its first layer read by row."""
    return scaled(PairMLP(key, s.p, hidden=(s.width, s.width)), s.output_scale)


def batches(split):
    """All training pairs at every step; the rest is held out."""
    train = Batch(split.train_inputs, split.train_targets)
    return {"stream": FullBatch(train), "held_out": Batch(split.test_inputs, split.test_targets)}


def train(
    s: Settings,
    keys,
    steps,
    probes,
    fraction,
    optimiser,
    encoding: Encoding = "pairs",
    model=None,
    change=lambda process: process,
    **seams,
):
    """Train on modular arithmetic, one data split and initialisation a seed, the same in every arm.

    `optimiser` makes one from the settings, some of which a sweep may vary.
    """
    model = model or functools.partial(mlp, first_point(s))

    def build(key):
        split = modular_arithmetic(named_key(key, "data"), s.p, s.operation, fraction, encoding)
        return change(Supervised(model=model, optimiser=optimiser(first_point(s)), **batches(split), **seams))

    def vary(process, values):
        return replace_fields(optimiser=optimiser(replace(s, **values)))(process)

    with jax.enable_x64():  # so that float64 losses can be asked for; the model stays in float32 in every arm
        return run(build, keys, steps, probes=probes, over=along_points(s), vary=vary).records.to_dataset()


def every(steps: int, records: int = 300) -> int:
    """Cadence that divides `steps` and gives about so many records."""
    return next(e for e in range(max(1, steps // records), steps + 1) if steps % e == 0)


def collapse_arm(s: Settings, keys, loss, precision="float32", **how):
    """The setting in which collapse is studied: AdamW without decay, with probes of what happens to the softmax."""

    def optimiser(s: Settings):
        rate = lazy_learning_rate(s.rate, s.output_scale)
        return optax.adamw(rate, b1=0.9, b2=s.b2, eps=s.epsilon, weight_decay=0.0)

    often, seldom = every(s.steps), every(s.steps, 60)
    probes = [accuracy(often), collapse(precision, often), norms(often), weight_alignment(seldom)]
    how = {"fraction": s.fraction, "steps": s.steps, "probes": probes, **how}
    return train(s, keys, loss=loss, optimiser=optimiser, **how)


def softmax(s: Settings, keys, precision):
    """Cross-entropy whose softmax is computed in the given precision; the network is in float32."""
    return collapse_arm(s, keys, functools.partial(softmax_cross_entropy, precision=precision), precision)


def softmax_float16(s: Settings, keys):
    """Cross-entropy with the softmax in float16."""
    return softmax(s, keys, "float16")


def softmax_float32(s: Settings, keys):
    """Cross-entropy with the softmax in float32, as everybody trains."""
    return softmax(s, keys, "float32")


def softmax_float64(s: Settings, keys):
    """Cross-entropy with the softmax in float64."""
    return softmax(s, keys, "float64")


stable_loss = functools.partial(stablemax_cross_entropy, dtype="float64")


def stablemax(s: Settings, keys):
    """StableMax cross-entropy: the softmax with a polynomial in place of the exponential."""
    return collapse_arm(s, keys, stable_loss)


def codes(s: Settings, keys, encoding: Encoding, bits: int):
    """Cross-entropy in float32 on distributed codes of the integers."""
    model = lambda key: MLP(key, (2 * bits, s.width, s.width, s.p))  # noqa: E731
    loss = functools.partial(softmax_cross_entropy, precision="float32")
    return collapse_arm(s, keys, loss, encoding=encoding, model=model)


def random_codes(s: Settings, keys):
    """Cross-entropy in float32 on a distinct random vector of 14 bits for each integer."""
    return codes(s, keys, "random_binary", 14)


def ordered_codes(s: Settings, keys):
    """Cross-entropy in float32 on the integers written in binary."""
    return codes(s, keys, "binary", (s.p - 1).bit_length())


def perp_arm(s: Settings, keys, optimiser, steps, **how):
    """The setting of the perpGrad comparison, measured after every step."""
    loss = functools.partial(softmax_cross_entropy, precision="float32")
    probes = [accuracy(every(steps, 400)), norms(every(steps, 400))]
    how = {"fraction": s.perp_fraction, "steps": steps, "probes": probes, **how}
    return train(s, keys, loss=loss, optimiser=optimiser, **how)


def perp_optimiser(s: Settings):
    """AdamW without decay on gradients orthogonal to the weights."""
    return optax.chain(perp_grad(), optax.adamw(s.perp_rate, weight_decay=0.0))


def perp_adamw(s: Settings, keys):
    """AdamW on gradients made orthogonal to the weights of each tensor (perpGrad)."""
    return perp_arm(s, keys, perp_optimiser, s.perp_steps)


def adamw(s: Settings, keys):
    """AdamW without weight decay."""
    return perp_arm(s, keys, lambda s: optax.adamw(s.perp_rate, weight_decay=0.0), s.perp_steps)


def adamw_decay(s: Settings, keys):
    """AdamW with weight decay, the usual cure."""
    return perp_arm(s, keys, lambda s: optax.adamw(s.perp_rate, weight_decay=s.decay), s.decay_steps)


def perp_adamw_masked(s: Settings, keys):
    """AdamW with perpGrad whose correct-class gradient is removed by hand once training begins to fit."""
    return perp_arm(s, keys, perp_optimiser, s.perp_steps, change=mask_correct_class_gradient(s.mask_from))


def parity(s: Settings, keys, loss):
    """Parity of three bits among noise bits."""
    n = 3 + s.parity_noise
    optimiser = optax.adamw(s.parity_rate, b1=0.9, b2=0.999, eps=1e-18, weight_decay=0.0)
    model = lambda key: MLP(key, (n, s.width, s.width, 2))  # noqa: E731
    often = every(s.parity_steps)
    with jax.enable_x64():
        processes = [
            Supervised(
                model=model,
                loss=loss,
                optimiser=optimiser,
                **batches(sparse_parity(named_key(key, "data"), n, 3, s.parity_samples, 0.5)),
            )
            for key in keys
        ]
        probes = [accuracy(often), collapse("float32", often), norms(often)]
        return run(processes, keys, s.parity_steps, probes=probes).records.to_dataset()


def parity_stablemax(s: Settings, keys):
    """Sparse parity with StableMax cross-entropy."""
    return parity(s, keys, stable_loss)


def parity_softmax(s: Settings, keys):
    """Sparse parity with cross-entropy in float32."""
    return parity(s, keys, functools.partial(softmax_cross_entropy, precision="float32"))


def transformer(s: Settings, keys, optimiser):
    """One-layer transformer on tokens of subtraction, as in the paper's Fig. 6."""
    steps = s.transformer_steps
    return train(
        replace(s, operation="subtract"),
        keys,
        loss=functools.partial(softmax_cross_entropy, precision="float32"),
        optimiser=optimiser,
        fraction=s.perp_fraction,
        steps=steps,
        probes=[accuracy(every(steps)), norms(every(steps))],
        encoding="tokens",
        model=lambda key: OneLayerTransformer(key, s.p + 2, s.p, width=s.transformer_width),
        forward=with_dropout,
    )


def with_dropout(model, tokens, key):
    """Apply the transformer with one dropout key an example; without dropout when there is no key."""
    if key is None:
        return jax.vmap(model)(tokens)
    return jax.vmap(model)(tokens, jax.random.split(key, len(tokens)))


def transformer_perp_adamw(s: Settings, keys):
    """One-layer transformer with perpAdamW."""
    plain = lambda s: optax.adamw(s.transformer_rate, weight_decay=0.0)  # noqa: E731
    return transformer(s, keys, lambda s: optax.chain(perp_grad(), plain(s)))


def transformer_adamw(s: Settings, keys):
    """One-layer transformer with AdamW without weight decay."""
    return transformer(s, keys, lambda s: optax.adamw(s.transformer_rate, weight_decay=0.0))


def grid(s: Settings, arm: str):
    """In the full preset: every operation, and every training fraction where collapse is studied."""
    axes = {"operation": s.operations, "fraction": s.fractions}
    if "perp" in arm or "adamw" in arm:
        del axes["fraction"]
    if "parity" in arm or "transformer" in arm:
        axes = {}
    return {name: values for name, values in axes.items() if len(values) > 1}


# Effects: one number a seed. In the full preset the grid's operations and fractions are averaged.


def delay(ds, arm: str, train_level: float, test_level: float):
    """Steps to generalise over steps to fit; a lower bound where it never generalises."""
    fit = first_step(ds, arm, "train_accuracy", train_level)
    return per_seed(first_step(ds, arm, "test_accuracy", test_level) / fit)


def last_layer(ds):
    """Cosine between the last layer's weights and its negative gradient in the float32 arm."""
    return curve(ds, "softmax-float32", "nlm_alignment").isel(layer=-1)


def onset_ratio(ds):
    """Onset of collapse in float32 over that in float16."""
    onset = functools.partial(first_step, ds, variable="softmax_collapse", level=0.5)
    return per_seed(onset(arm="softmax-float32") / onset(arm="softmax-float16"))


def norm_growth(ds):
    """Final weight norm over the first recorded one."""
    norm = curve(ds, "stablemax", "weight_norm")
    return per_seed(norm.isel(step=-1) / norm.isel(step=0))


CE = ("softmax-float16", "softmax-float32", "softmax-float64")
FINDINGS = [
    Finding(
        "F1a",
        "Softmax Collapse of half the samples comes at least twice as late in float32 as in float16.",
        "Fig. 2",
        onset_ratio,
        AtLeast(2.0),
        arms=CE[:2],
        since="thorough",
    ),
    Finding(
        "F1b",
        "In float64 it does not come at all within the run.",
        "Fig. 2",
        lambda ds: per_seed(ds.softmax_collapse.sel(arm="softmax-float64").max("step")),
        AtMost(0.5),
        published=0.0,
        arms=CE[2:],
        since="thorough",
    ),
    Finding(
        "F1c",
        "Cross-entropy without regularisation does not generalise in any precision.",
        "Fig. 2",
        lambda ds: xr.concat([final(ds, arm, "test_accuracy") for arm in CE], "precision").max("precision"),
        AtMost(0.05),
        arms=CE,
        since="thorough",
    ),
    Finding(
        "F2a",
        "StableMax cross-entropy generalises without regularisation.",
        "Figs. 1, 4",
        lambda ds: final(ds, "stablemax", "test_accuracy"),
        AtLeast(0.95),
        published=1.0,
        arms=("stablemax",),
    ),
    Finding(
        "F2b",
        "Softmax cross-entropy on the same data and steps does not.",
        "Fig. 2",
        lambda ds: final(ds, "softmax-float32", "test_accuracy"),
        AtMost(0.05),
        arms=("softmax-float32",),
        control=True,
    ),
    Finding(
        "F2c",
        "StableMax generalises while the weight norm grows (final over first).",
        "Fig. 4",
        norm_growth,
        AtLeast(1.0),
        arms=("stablemax",),
    ),
    Finding(
        "F3a",
        "perpAdamW generalises almost without delay: steps to 95 % test over steps to 99 % train accuracy.",
        "Figs. 1, 6",
        lambda ds: delay(ds, "perp-adamw", 0.99, 0.95),
        AtMost(1.5),
        arms=("perp-adamw",),
    ),
    Finding(
        "F3b",
        "AdamW without decay does not generalise in the same steps.",
        "Fig. 6",
        lambda ds: final(ds, "adamw", "test_accuracy"),
        AtMost(0.05),
        arms=("adamw",),
        control=True,
    ),
    Finding(
        "F3c",
        "Weight decay takes at least twice the steps of perpAdamW to 95 % test accuracy.",
        "Fig. 6; factor proposed here",
        lambda ds: per_seed(
            first_step(ds, "adamw-decay", "test_accuracy", 0.95) / first_step(ds, "perp-adamw", "test_accuracy", 0.95)
        ),
        AtLeast(2.0),
        arms=("perp-adamw", "adamw-decay"),
    ),
    Finding(
        "F3d",
        "Removing the correct class's gradient by hand stops generalisation, as collapse does.",
        "appendix; threshold proposed here",
        lambda ds: final(ds, "perp-adamw-masked", "test_accuracy"),
        AtMost(0.5),
        arms=("perp-adamw-masked",),
        since="thorough",
    ),
    Finding(
        "F3e",
        "A one-layer transformer with perpAdamW generalises on subtraction.",
        "Fig. 6",
        lambda ds: final(ds, "transformer-perp-adamw", "test_accuracy"),
        AtLeast(0.95),
        published=1.0,
        arms=("transformer-perp-adamw", "transformer-adamw"),
        since="full",
    ),
    Finding(
        "F4a",
        "After fitting, the last layer's gradient aligns with its weights (largest cosine).",
        "Fig. 5",
        lambda ds: per_seed(last_layer(ds).max("step")),
        AtLeast(0.8),
        published=0.9,
        arms=("softmax-float32",),
        since="thorough",
    ),
    Finding(
        "F4b",
        "After collapse the alignment is gone (final cosine).",
        "section 4; level measured for this study",
        lambda ds: per_seed(last_layer(ds).isel(step=-1)),
        AtMost(0.3),
        arms=("softmax-float32",),
        since="thorough",
    ),
    Finding(
        "F5a",
        "StableMax learns sparse parity.",
        "Fig. 4",
        lambda ds: final(ds, "parity-stablemax", "test_accuracy"),
        AtLeast(0.95),
        published=1.0,
        arms=("parity-stablemax",),
        since="thorough",
    ),
    Finding(
        "F5b",
        "Softmax cross-entropy stays near chance on sparse parity.",
        "Fig. 4",
        lambda ds: final(ds, "parity-softmax", "test_accuracy"),
        AtMost(0.6),
        published=0.5,
        arms=("parity-softmax",),
        since="thorough",
    ),
    Finding(
        "F6a",
        "On random binary codes there is no delay: steps to 90 % test over steps to 90 % train accuracy.",
        "section 2; threshold proposed on the card",
        lambda ds: delay(ds, "random-codes", 0.9, 0.9),
        AtMost(2.0),
        arms=("random-codes",),
        since="thorough",
    ),
    Finding(
        "F6b",
        "On one-hot codes the delay is more than twentyfold (a lower bound where it never generalises).",
        "Fig. 4; threshold proposed on the card",
        lambda ds: delay(ds, "softmax-float32", 0.9, 0.9),
        AtLeast(20.0),
        arms=("softmax-float32",),
        since="thorough",
    ),
    Finding(
        "F6c",
        "On the integers written in binary there is no delay.",
        "an option of the authors' code; added while investigating F6a",
        lambda ds: delay(ds, "ordered-codes", 0.9, 0.9),
        AtMost(2.0),
        arms=("ordered-codes",),
        since="thorough",
    ),
]

REMARKS = {
    "F6a": """Investigated at p = 59 with two seeds: on random codes the network never generalises, with either loss
    (softmax, StableMax), at 70 % or 90 % of the pairs, at rates .005 and .01. On the integers written in binary it
    generalises at once (F6c), with either loss. A random code says nothing of arithmetic, so it cannot make addition
    easier; the published curves may come from the ordered codes, which the authors' code also offers."""
}

STUDY = Study(
    slug="grokking-numerical-stability",
    seed=34,
    domain="training",
    title="Grokking at the Edge of Numerical Stability",
    paper="arXiv:2501.04697",
    citation="""@inproceedings{prieto2025grokking,
  title = {Grokking at the Edge of Numerical Stability},
  author = {Prieto, Lucas and Barsbey, Melih and Mediano, Pedro A. M. and Birdal, Tolga},
  booktitle = {International Conference on Learning Representations},
  year = {2025},
  note = {arXiv:2501.04697}
}""",
    question="Does learning stop before it generalises because the softmax collapses in finite precision?",
    method="""Small networks learn modular arithmetic by full-batch AdamW without regularisation. Arms change the
    precision of the softmax, replace it by StableMax, or project each gradient orthogonal to its weights (perpGrad).
    Every arm sees the same data split and initialisation for a seed, so effects are paired.""",
    presets=PRESETS,
    arms={
        "softmax-float16": softmax_float16,
        "softmax-float32": softmax_float32,
        "softmax-float64": softmax_float64,
        "stablemax": stablemax,
        "random-codes": random_codes,
        "ordered-codes": ordered_codes,
        "perp-adamw": perp_adamw,
        "adamw": adamw,
        "adamw-decay": adamw_decay,
        "perp-adamw-masked": perp_adamw_masked,
        "parity-stablemax": parity_stablemax,
        "parity-softmax": parity_softmax,
        "transformer-perp-adamw": transformer_perp_adamw,
        "transformer-adamw": transformer_adamw,
    },
    findings=FINDINGS,
    figures={
        "Test accuracy: StableMax generalises, softmax does not": curves(
            "test_accuracy", arms=[*CE, "stablemax", "random-codes", "ordered-codes"], x="log"
        ),
        "Fraction of samples with a collapsed softmax": curves("softmax_collapse", arms=CE, x="log"),
        "Weight norm: growth does not prevent generalisation": curves(
            "weight_norm", arms=[*CE, "stablemax"], x="log", y="log"
        ),
        "perpGrad generalises almost without delay": curves(
            "test_accuracy", arms=["perp-adamw", "perp-adamw-masked", "adamw", "adamw-decay"]
        ),
        "Alignment of the last layer with its own gradient": curves(
            "nlm_alignment", arms=CE, x="log", select={"layer": -1}
        ),
        "Sparse parity": curves("test_accuracy", arms=["parity-stablemax", "parity-softmax"], x="log"),
        "Final test accuracy, every seed": points("test_accuracy"),
    },
    costs={
        "quick": "half a minute",
        "default": "4 minutes",
        "thorough": "half an hour",
        "full": "the paper's scale, for a GPU",
    },
    grid=grid,
    traced=("rate", "b2", "epsilon", "perp_rate", "decay", "transformer_rate"),
    regimes={
        "generalises": Regime(
            "weight decay generalises to 95 % within the steps",
            "adamw-decay",
            lambda ds: ds.test_accuracy.max("step") >= 0.95,
        ),
        "perp-generalises": Regime(
            "perpGrad generalises to 95 % within the steps",
            "perp-adamw",
            lambda ds: ds.test_accuracy.max("step") >= 0.95,
        ),
        "collapses": Regime(
            "half the samples suffer softmax collapse in float32",
            "softmax-float32",
            lambda ds: ds.softmax_collapse.max("step") >= 0.5,
        ),
    },
    remarks=REMARKS,
)
