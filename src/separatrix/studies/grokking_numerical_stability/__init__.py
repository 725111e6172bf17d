"""Grokking at the edge of numerical stability (Prieto, Barsbey, Mediano, Birdal, ICLR 2025).

Does learning stop before it generalises because the softmax collapses in finite precision, and do a loss that cannot
collapse or a gradient without its useless component bring generalisation without regularisation?
"""

from separatrix.study.figures import curves, points
from separatrix.study.study import Regime, Study

from .collapse import (
    ordered_codes,
    random_codes,
    softmax_float16,
    softmax_float32,
    softmax_float64,
    softmax_float64_long,
    squared_error,
    stablemax,
)
from .findings import CE, FINDINGS, REMARKS
from .images import images_softmax, images_stablemax
from .parity import parity_softmax, parity_stablemax
from .perp_gradient import adamw, adamw_decay, perp_adamw, perp_adamw_masked, perp_sgd, sgd
from .settings import PRESETS, grid
from .transformers import transformer_adamw, transformer_adamw_decay, transformer_perp_adamw

__all__ = ["STUDY"]

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
    method="""Small networks learn modular arithmetic, sparse parity or a few images by full-batch AdamW without
    regularisation. Arms change the precision of the softmax, replace it by StableMax or the squared error, or project
    each gradient orthogonal to its weights (perpGrad). Arms on the same task with the same network see the same data
    split and initialisation for a seed, so their differences are paired.""",
    presets=PRESETS,
    arms={
        "softmax-float16": softmax_float16,
        "softmax-float32": softmax_float32,
        "softmax-float64": softmax_float64,
        "softmax-float64-long": softmax_float64_long,
        "stablemax": stablemax,
        "squared-error": squared_error,
        "random-codes": random_codes,
        "ordered-codes": ordered_codes,
        "perp-adamw": perp_adamw,
        "adamw": adamw,
        "adamw-decay": adamw_decay,
        "perp-adamw-masked": perp_adamw_masked,
        "perp-sgd": perp_sgd,
        "sgd": sgd,
        "parity-stablemax": parity_stablemax,
        "parity-softmax": parity_softmax,
        "images-stablemax": images_stablemax,
        "images-softmax": images_softmax,
        "transformer-perp-adamw": transformer_perp_adamw,
        "transformer-adamw": transformer_adamw,
        "transformer-adamw-decay": transformer_adamw_decay,
    },
    findings=FINDINGS,
    figures={
        "Test accuracy: StableMax generalises, softmax does not": curves(
            "test_accuracy", arms=[*CE, "stablemax", "squared-error", "random-codes", "ordered-codes"], x="log"
        ),
        "Fraction of samples with a collapsed softmax": curves("softmax_collapse", arms=CE, x="log"),
        "Weight norm: growth does not prevent generalisation": curves(
            "weight_norm", arms=[*CE, "stablemax"], x="log", y="log"
        ),
        "perpGrad generalises almost without delay": curves(
            "test_accuracy", arms=["perp-adamw", "perp-adamw-masked", "adamw", "adamw-decay", "perp-sgd", "sgd"]
        ),
        "Alignment of the last layer with its own gradient": curves(
            "nlm_alignment", arms=CE, x="log", select={"layer": -1}
        ),
        "A few images": curves("test_accuracy", arms=["images-stablemax", "images-softmax"], x="log"),
        "A transformer": curves(
            "test_accuracy", arms=["transformer-perp-adamw", "transformer-adamw", "transformer-adamw-decay"]
        ),
        "Sparse parity": curves("test_accuracy", arms=["parity-stablemax", "parity-softmax"], x="log"),
        "Final test accuracy, every seed": points("test_accuracy"),
    },
    costs={
        "quick": "half a minute",
        "default": "4 minutes",
        "thorough": "an hour",
        "full": "the paper's scale, for a GPU",
    },
    grid=grid,
    traced=("rate", "b2", "epsilon", "stable_rate", "stable_b2", "perp_rate", "sgd_rate", "decay", "transformer_rate"),
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
