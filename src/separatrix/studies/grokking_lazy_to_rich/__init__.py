"""Grokking as the transition from lazy to rich training dynamics (Kumar, Bordelon, Gershman, Pehlevan, ICLR 2024).

Does a network without any regularisation generalise late because it first fits with its initial tangent kernel and only
later learns features, and do output scale, kernel alignment and sample size set the delay?
"""

from separatrix.study.figures import curves
from separatrix.study.grid_curves import grid_curves
from separatrix.study.heat_maps import heat_map
from separatrix.study.study import Regime, Study

from .committee import alpha_sweep, alpha_sweep_scarce, decomposition, eps_sweep, few_samples, many_samples, one_scale
from .findings import FINDINGS, groks, of_phase, reaches
from .network import field, network, simulation
from .other_systems import images, modular, phase_diagram, transformer
from .settings import FITTED, PRESETS, TARGET_POWER, TERMS

__all__ = ["STUDY"]

STUDY = Study(
    slug="grokking-lazy-to-rich",
    seed=13,
    domain="training",
    title="Grokking as the Transition from Lazy to Rich Dynamics",
    paper="arXiv:2310.06110",
    citation="""@inproceedings{kumar2024grokking,
  title = {Grokking as the Transition from Lazy to Rich Training Dynamics},
  author = {Kumar, Tanishq and Bordelon, Blake and Gershman, Samuel J. and Pehlevan, Cengiz},
  booktitle = {International Conference on Learning Representations},
  year = {2024},
  note = {arXiv:2310.06110}
}""",
    question="Does a network generalise late because it first fits with its initial kernel and only then learns?",
    method="""A committee of quadratic neurons learns the square of one direction by plain gradient descent. Its
    function depends on two moments of the weights, whose dynamics and test loss are exact. Arms vary the output scale
    alpha (large is lazy), the curvature of the activation (which aligns the initial kernel with the target), the number
    of samples and the learning rate; networks on images and on modular addition are scaled in the same way.""",
    presets=PRESETS,
    arms={
        "alpha-sweep": alpha_sweep,
        "alpha-sweep-scarce": alpha_sweep_scarce,
        "eps-sweep": eps_sweep,
        "one-scale": one_scale,
        "few-samples": few_samples,
        "many-samples": many_samples,
        "decomposition": decomposition,
        "network": network,
        "field": field,
        "simulation": simulation,
        "images": images,
        "modular": modular,
        "transformer": transformer,
        "phase-diagram": phase_diagram,
    },
    findings=FINDINGS,
    figures={
        "Delay ratio over output scale and learning rate; the line is a ratio of 3": heat_map(
            lambda ds: of_phase(ds, "phase_delay"),
            "phase_alpha",
            "phase_rate",
            boundary=3.0,
            colours="log",
            label="steps to generalise / steps to fit",
        ),
        "Final test loss over output scale and learning rate; the line is a tenth of the target's power": heat_map(
            lambda ds: of_phase(ds, "phase_test"),
            "phase_alpha",
            "phase_rate",
            boundary=FITTED * TARGET_POWER,
            colours="log",
            label="final test loss",
        ),
        "Training and test loss from rich to lazy": grid_curves(
            "train_mse", "test_mse", arm="alpha-sweep-scarce", dim="alpha", y="log"
        ),
        "Training and test loss over the curvature of the activation": grid_curves(
            "train_mse", "test_mse", arm="eps-sweep", dim="eps", y="log"
        ),
        "Test loss of few, and of many, samples": curves(
            "test_mse", arms=["few-samples", "alpha-sweep", "many-samples"], x="log", y="log"
        ),
        "The three terms of the test loss, rich": grid_curves(*TERMS, arm="decomposition", where={"alpha": min}),
        "The three terms of the test loss, lazy": grid_curves(*TERMS, arm="decomposition", where={"alpha": max}),
        "Alignment of the tangent kernel with the targets": grid_curves(
            "kernel_alignment", arm="alpha-sweep-scarce", dim="alpha"
        ),
        "Size of the weights: growth does not prevent generalisation": grid_curves(
            "weight_size", arm="alpha-sweep-scarce", dim="alpha"
        ),
        "Mean-field theory and simulation": curves("field_mse", arms=["field", "simulation"]),
        "Images: losses from rich to lazy": grid_curves("train_loss", "test_loss", arm="images", dim="alpha"),
        "Modular addition: losses from rich to lazy": grid_curves(
            "train_loss", "test_loss", arm="modular", dim="alpha"
        ),
    },
    remarks={
        "F1c": "The ratio spreads over seeds from a twentieth to a fifth, with the teacher and the sample (225 "
        "examples are few more than the network needs). The card's seed gave 0.03; the mean of 20 is at the threshold.",
        "F2b": "Varied: the number of steps, 10 seeds. After 6,000 the network of curvature 0.05 is still learning "
        "(median test loss 0.11) and the ratio is 1.9; after 24,000 its loss is 0.025 and the ratio 4.0, while the "
        "networks of curvature 1 and 4 have not moved (0.161, 0.291). The claim holds at the end, not at the card's "
        "number of steps, which was enough for its one seed.",
        "F3a": "With 60 examples the network ends at the power of the target in the mean, some seeds a few percent "
        "below.",
    },
    traced=("rate", "alpha"),
    regimes={
        "groks": Regime("it generalises in at least three times the steps that fitting takes", "one-scale", groks),
        "memorises": Regime(
            "it fits and does not generalise within the steps",
            "one-scale",
            lambda ds: reaches(ds, "train_mse") & ~reaches(ds, "test_mse"),
        ),
    },
    costs={
        "quick": "a minute and a half",
        "default": "a minute",
        "thorough": "20 minutes",
        "full": "the paper's scale, for a GPU",
    },
)
