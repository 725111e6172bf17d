"""Generalized teacher forcing for learning chaotic dynamics (Hess, Monfared, Brenner, Durstewitz, ICML 2023).

Does mixing data into the states of a recurrent network, by just so much that products of its Jacobians stay bounded,
let it learn the long-term behaviour of a chaotic system?
"""

from separatrix.dynamics import forcing_strength as strength
from separatrix.study.figures import curves, points
from separatrix.study.study import Study

from .baselines import ON_LORENZ, ON_MULTICHUA
from .bound import bound
from .figures import SHOWN, attractors, spectra
from .findings import ESTIMATORS, FINDINGS, REMARKS
from .forced import adaptive, arm_of, constant, gtf_long, lorenz96_gtf, lorenz96_sparse, sparse, sparse_long
from .settings import PRESETS

__all__ = ["STUDY"]

ARMS = {
    "no-forcing": arm_of(constant, "Free-running backpropagation through time, strength 0.", alpha=0.0),
    "gtf-0.1": arm_of(constant, "Generalised teacher forcing of strength 0.1.", alpha=0.1),
    "gtf-0.3": arm_of(constant, "Generalised teacher forcing of strength 0.3.", alpha=0.3),
    "full-forcing": arm_of(constant, "Full teacher forcing, strength 1.", alpha=1.0),
    "adaptive": arm_of(
        adaptive, "Strength by the geometric mean of norms (published default).", estimator=strength.product_upper_bound
    ),
    "bound": bound,
    "adaptive-bound": arm_of(adaptive, "Strength by the model's bound.", estimator=strength.jacobian_upper_bound),
    "adaptive-maximum": arm_of(adaptive, "Strength by the largest norm.", estimator=strength.batch_maximum),
    "adaptive-explog": arm_of(adaptive, "Strength by the geometric mean of matrices.", estimator=strength.explog),
    "adaptive-mean": arm_of(adaptive, "Strength by the mean Jacobian.", estimator=strength.arithmetic_mean),
    "sparse-short": arm_of(sparse, "Sparse teacher forcing at the shorter interval.", which=0),
    "sparse-wide": arm_of(sparse, "Sparse teacher forcing at the longer interval.", which=1),
    "gtf-long": gtf_long,
    "sparse-short-long": arm_of(sparse_long, "Sparse forcing, shorter interval, windows of 1,000 steps.", which=0),
    "sparse-wide-long": arm_of(sparse_long, "Sparse forcing, longer interval, windows of 1,000 steps.", which=1),
    "lorenz96-gtf": lorenz96_gtf,
    "lorenz96-sparse-short": arm_of(lorenz96_sparse, "Lorenz-96, sparse forcing, shorter interval.", which=0),
    "lorenz96-sparse-wide": arm_of(lorenz96_sparse, "Lorenz-96, sparse forcing, longer interval.", which=1),
    **ON_LORENZ,
    **ON_MULTICHUA,
}


STUDY = Study(
    slug="generalized-teacher-forcing",
    seed=23,
    domain="dynamics",
    title="Generalized Teacher Forcing for Learning Chaotic Dynamics",
    paper="arXiv:2306.04406",
    citation="""@inproceedings{hess2023generalized,
  title = {Generalized Teacher Forcing for Learning Chaotic Dynamics},
  author = {Hess, Florian and Monfared, Zahra and Brenner, Manuel and Durstewitz, Daniel},
  booktitle = {International Conference on Machine Learning},
  year = {2023},
  note = {arXiv:2306.04406}
}""",
    question="Does forcing that just bounds the gradients let a network learn the long-term behaviour of chaos?",
    method="""Clipped shallow PLRNNs learn Lorenz-63 from noisy windows. Before each step the state is mixed with the
    one inferred from data; arms differ in the strength (none, constant, adaptive, full) or force at intervals. Models
    are judged by their own long orbits: state-space divergence, power spectrum, exponent. Seeds share data and
    initial weights across arms, so effects are paired.""",
    presets=PRESETS,
    arms=ARMS,
    findings=FINDINGS,
    figures={
        "Attractors: true and generated, first seed": attractors,
        "Power spectra of the first variable, first seed": spectra,
        "Gradient norms: forcing keeps them bounded": curves("gradient_norm", arms=list(SHOWN), y="log"),
        "Adaptive strength of forcing over training": curves("alpha", arms=["adaptive", *ESTIMATORS, "lorenz96-gtf"]),
        "State-space divergence, every seed": points("d_stsp"),
    },
    revision=2,
    remarks=REMARKS,
    costs={
        "quick": "a minute, most of it compilation",
        "default": "4 minutes",
        "thorough": "an hour and a half",
        "full": "the paper's scale, for a GPU",
    },
)
