"""The implicit regularisation of dynamical stability in stochastic gradient descent (Wu, Su, ICML 2023).

Where SGD can stay, the trace of the Hessian is at most 2 / rate; where gradient descent can stay, only its largest
eigenvalue is. Does the trace follow this line as the learning rate grows, and do the norms that it bounds, and the test
error, come down with it?
"""

from separatrix.study.figures import curves, points
from separatrix.study.study import Regime, Study
from separatrix.study.sweep_figures import along

from .diagonal import batch_1, batch_4, batch_16, batch_64, diagonal_gd, diagonal_sgd
from .findings import BALANCE, BATCHES, DIAGONAL, FINDINGS, IMAGES, RELU, diverges
from .image_nets import images_gd, images_sgd
from .random_gradients import random_gradients
from .regression_nets import balance_gd, balance_sgd, relu_gd, relu_sgd
from .settings import PRESETS, grid

__all__ = ["STUDY"]

LINE = {"2 / rate": lambda rate: 2 / rate}
STUDY = Study(
    slug="dynamical-stability-sgd",
    seed=5,
    domain="training",
    title="Implicit Regularization of Dynamical Stability in SGD",
    paper="arXiv:2305.17490",
    citation="""@inproceedings{wu2023implicit,
  title = {The Implicit Regularization of Dynamical Stability in Stochastic Gradient Descent},
  author = {Wu, Lei and Su, Weijie J.},
  booktitle = {International Conference on Machine Learning},
  year = {2023},
  note = {arXiv:2305.17490}
}""",
    question="Does stability confine SGD to minima whose trace and norm fall as the learning rate grows?",
    method="""Diagonal linear and two-layer ReLU networks start from a large initialisation and fit fewer examples than
    they have parameters, by SGD on single examples and by gradient descent, at several learning rates. The gradient is
    clipped, which matters in the first steps only. Exact thresholds of random gradients are compared with simulated
    SGD. All arms of an experiment see the same data and initialisation for a seed.""",
    presets=PRESETS,
    grid=grid,
    arms={
        "diagonal-sgd": diagonal_sgd,
        "diagonal-gd": diagonal_gd,
        "random-gradients": random_gradients,
        "relu-sgd": relu_sgd,
        "relu-gd": relu_gd,
        "balance-sgd": balance_sgd,
        "balance-gd": balance_gd,
        "batch-1": batch_1,
        "batch-4": batch_4,
        "batch-16": batch_16,
        "batch-64": batch_64,
        "images-sgd": images_sgd,
        "images-gd": images_gd,
    },
    findings=FINDINGS,
    figures={
        "Diagonal network: the trace at SGD's solution follows 2 / rate": along(
            "gn_trace", "rate", arms=DIAGONAL, reference=LINE
        ),
        "Diagonal network: the largest eigenvalue": along("gn_lambda_max", "rate", arms=DIAGONAL, reference=LINE),
        "Diagonal network: the l1 norm of the predictor": along("path_norm", "rate", arms=DIAGONAL),
        "Diagonal network: sign disagreements on test data": along("sign_error", "rate", arms=DIAGONAL, y="linear"),
        "ReLU network: the trace at SGD's solution": along("gn_trace", "rate", arms=RELU, reference=LINE),
        "ReLU network: the largest eigenvalue": along("gn_lambda_max", "rate", arms=RELU, reference=LINE),
        "ReLU network: path norm": along("path_norm", "rate", arms=RELU),
        "Balance score at the end against that at the start": along(
            "unbalance", "ratio", arms=BALANCE, reference={"unchanged": lambda ratio: ratio}
        ),
        "SGD balances the layers, gradient descent does not": curves("unbalance", arms=BALANCE, x="log", y="log"),
        "The trace at the end, by batch size": points("gn_trace", arms=BATCHES),
        "The trace during training, by batch size": curves("gn_trace", arms=BATCHES, x="log", y="log"),
        "Stable learning rates of random gradients, by batch size": along(
            ["mean_square", "rayleigh", "one_step", "gd"], "batch_size", x="linear", y="linear"
        ),
        "Images: the largest eigenvalue": along("gn_lambda_max", "rate", arms=IMAGES, reference=LINE),
        "Images: how much examples differ in curvature": along("non_uniformity", "rate", arms=IMAGES),
    },
    traced=("batch_rate", "clip"),
    regimes={
        "diverges": Regime("SGD on single examples ends above where it began", "batch-1", diverges),
        "large-batch-diverges": Regime("SGD with batches of 64 ends above where it began", "batch-64", diverges),
    },
    remarks={
        "F1b": "Varied: the number of steps. Where the trace ends on the line 2 / rate, one mode hardly shrinks. "
        "At rate 0.063 the median loss is 7e-7 after the card's 80,000 steps and 9e-12 after 400,000 (thorough); at "
        "0.126 it is 3e-7 and 2e-8, falling about like the inverse square of time; at the two smaller rates it is "
        "below 1e-8. So the level is a matter of steps: the other findings are alike at both lengths.",
    },
    costs={
        "quick": "a minute",
        "default": "a minute",
        "thorough": "6 minutes",
        "full": "the paper's scale, for a GPU",
    },
)
