"""The implicit regularisation of dynamical stability in stochastic gradient descent (Wu, Su, ICML 2023).

Where SGD can stay, the trace of the Hessian is at most 2 / rate; where gradient descent can stay, only its largest
eigenvalue is. Does the trace follow this line as the learning rate grows, and do the norms that it bounds, and the test
error, come down with it?
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import xarray as xr

from separatrix._core.intervention import replace
from separatrix._core.keys import named_key
from separatrix._core.probe import info_probe
from separatrix._core.run import run
from separatrix._core.schedule import log_spaced
from separatrix._core.stream import FullBatch, MiniBatches
from separatrix.data.images import digits, fashion_mnist
from separatrix.data.regression import RegressionSplit, relu_teacher, sparse_regression
from separatrix.models.diagonal_linear import DiagonalLinear, unbalanced_diagonal
from separatrix.models.mlp import MLP
from separatrix.models.two_layer_relu import TwoLayerReLU
from separatrix.study.figures import curves, points
from separatrix.study.finding import AtLeast, AtMost, Between, Finding
from separatrix.study.study import Study
from separatrix.study.sweep_figures import along
from separatrix.training.regression_loss import half_squared_error, regression_errors
from separatrix.training.second_moment import LinearisedSGD
from separatrix.training.sgd_stability import mean_square_threshold
from separatrix.training.stability_bounds import (
    gd_threshold,
    one_step_threshold,
    rayleigh_threshold,
    trace_threshold,
)
from separatrix.training.stability_probes import (
    curvature_noise,
    gauss_newton_estimates,
    gauss_newton_sharpness,
    noise_trace,
    path_norms,
)
from separatrix.training.supervised import Batch, Supervised


@dataclass(frozen=True)
class Settings:
    """Sizes and steps are the card's, which are the paper's but for the number of steps and learning rates.

    The rates of gradient descent for the ReLU network are those of SGD times `sqrt(dim)`, as in the paper.
    `a ~ N(0, .1)` of the balancing experiment is read as a variance.
    """

    seeds: int = 5
    # F1: diagonal linear network
    dim: int = 1_000
    samples: int = 300
    rates: tuple[float, ...] = (0.004, 0.0158, 0.0631, 0.1259)
    clip: float = 50.0
    sgd_steps: int = 80_000
    gd_steps: int = 8_000
    # F2: random gradients
    gradients: int = 6
    gradient_dim: int = 10
    margins: tuple[float, ...] = (0.95, 1.05)  # learning rate over the threshold
    particles: int = 1_000
    moment_steps: int = 300
    # F3: two-layer ReLU network
    relu_dim: int = 100
    relu_width: int = 100
    relu_rates: tuple[float, ...] = (1e-4, 1e-3, 6e-3)
    relu_clip: float = 100.0
    relu_sgd_steps: int = 60_000
    relu_gd_steps: int = 4_000
    # F4: balancing
    ratios: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    balance_rate: float = 0.05
    balance_clip: float = 200.0
    balance_steps: int = 5_000
    # F5: batch size
    batch_rate: float = 0.0631
    batch_steps: int = 20_000
    # F6: multilayer perceptron on images (full)
    images: Literal["digits", "fashion-mnist"] = "digits"
    image_samples: int = 1_000
    image_width: int = 500
    image_rates: tuple[float, ...] = (0.01, 0.03, 0.1)
    image_batch: int = 4
    image_sgd_steps: int = 100_000
    image_gd_steps: int = 20_000
    image_chunk: int = 8


PRESETS = {
    "quick": Settings(
        seeds=2,
        dim=20,
        samples=8,
        rates=(0.004, 0.1259),
        sgd_steps=60,
        gd_steps=40,
        gradients=3,
        gradient_dim=4,
        particles=50,
        moment_steps=40,
        relu_dim=6,
        relu_width=5,
        relu_rates=(1e-3, 6e-3),
        relu_sgd_steps=40,
        relu_gd_steps=40,
        ratios=(1.0, 4.0),
        balance_steps=40,
        batch_steps=40,
        image_samples=12,
        image_width=8,
        image_rates=(0.01, 0.1),
        image_sgd_steps=20,
        image_gd_steps=20,
    ),
    "default": Settings(),
    # the loss at the two largest rates falls slowly: five times the card's steps show where it goes
    "thorough": Settings(sgd_steps=400_000),
    "full": Settings(
        rates=tuple(float(r) for r in np.logspace(-2.4, -0.9, 6)),
        gd_steps=80_000,
        relu_rates=(1e-4, 3e-4, 1e-3, 3e-3, 6e-3),
        relu_sgd_steps=200_000,
        relu_gd_steps=20_000,
        images="fashion-mnist",
    ),
}


def at_end(steps: int) -> list[int]:
    """Record the last step only."""
    return [steps]


def one_at_a_time(data):
    """Single examples, drawn independently, so that the noise factor q is 1."""
    return MiniBatches(data, 1, replace=True)


def train(keys, data, model, stream, steps, rates, clip, probes, axes=None, change=lambda process, values: process):
    """Clipped gradient steps on half the squared error at every rate; data and initialisation by seed, in all arms."""
    unset = optax.sgd(0.0)  # the grid's rate replaces it

    def build(key):
        split = data(named_key(key, "data"))
        return Supervised(
            model=model,
            loss=half_squared_error,
            optimiser=unset,
            stream=stream(Batch(split.train_inputs, split.train_targets)),
            held_out=Batch(split.test_inputs, split.test_targets),
        )

    def vary(process, values):
        optimiser = optax.chain(optax.clip_by_global_norm(clip), optax.sgd(values["rate"]))
        return change(replace(optimiser=optimiser)(process), values)

    over = {"rate": np.asarray(rates, np.float32), **(axes or {})}
    processes = [build(key) for key in keys]
    ds = run(processes, keys, steps, probes=probes, over=over, vary=vary).records.to_dataset()
    ds["rate"].attrs = {"long_name": "learning rate", "units": "1"}
    return ds


def sharpness_probes(per_decade: int):
    """What a network with a path norm is watched for."""
    often = log_spaced(per_decade)
    return [
        regression_errors(often),
        gauss_newton_sharpness(every=often),
        noise_trace(every=often),
        path_norms(often),
    ]


def diagonal(s: Settings, keys, stream, steps, rates):
    """Diagonal linear network from a large initialisation, fewer examples than inputs."""
    data = lambda key: sparse_regression(key, s.samples, 10 * s.samples, s.dim)  # noqa: E731
    model = lambda key: DiagonalLinear(key, s.dim)  # noqa: E731
    return train(keys, data, model, stream, steps, rates, s.clip, sharpness_probes(3))


def diagonal_sgd(s: Settings, keys):
    """Diagonal linear network, SGD on single examples drawn independently."""
    return diagonal(s, keys, one_at_a_time, s.sgd_steps, s.rates)


def diagonal_gd(s: Settings, keys):
    """Diagonal linear network, full-batch gradient descent with the same rates."""
    return diagonal(s, keys, FullBatch, s.gd_steps, s.rates)


def batches(s: Settings, keys, size):
    """The diagonal network at one learning rate with batches of a given size, drawn independently."""
    stream = lambda data: MiniBatches(data, min(size, s.samples), replace=True)  # noqa: E731
    return diagonal(s, keys, stream, s.batch_steps, (s.batch_rate,))


def batch_1(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 1."""
    return batches(s, keys, 1)


def batch_4(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 4."""
    return batches(s, keys, 4)


def batch_16(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 16."""
    return batches(s, keys, 16)


def batch_64(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 64."""
    return batches(s, keys, 64)


def balance(s: Settings, keys, stream):
    """Diagonal network whose two layers differ in size from the start, by several ratios."""
    data = lambda key: sparse_regression(key, s.samples, s.samples, s.dim)  # noqa: E731
    model = lambda ratio: lambda key: unbalanced_diagonal(key, s.dim, ratio)  # noqa: E731
    change = lambda process, values: replace(model=model(values["ratio"]))(process)  # noqa: E731
    axes = {"ratio": np.asarray(s.ratios, np.float32)}
    probes, rates = [path_norms(log_spaced(4))], (s.balance_rate,)
    ds = train(keys, data, model(1.0), stream, s.balance_steps, rates, s.balance_clip, probes, axes, change)
    ds["ratio"].attrs = {"long_name": "initial balance score", "units": "1"}
    return ds[["balance", "diverged_at"]].isel(rate=0, drop=True).rename(balance="unbalance")


def balance_sgd(s: Settings, keys):
    """Unbalanced diagonal network, SGD on single examples."""
    return balance(s, keys, one_at_a_time)


def balance_gd(s: Settings, keys):
    """Unbalanced diagonal network, full-batch gradient descent."""
    return balance(s, keys, FullBatch)


def relu(s: Settings, keys, stream, steps, rates):
    """Two-layer ReLU network taught by ten ReLU units, from a large initialisation."""
    data = lambda key: relu_teacher(key, s.samples, 10 * s.samples, s.relu_dim)  # noqa: E731
    model = lambda key: TwoLayerReLU(key, s.relu_dim, s.relu_width)  # noqa: E731
    return train(keys, data, model, stream, steps, rates, s.relu_clip, sharpness_probes(2))


def relu_sgd(s: Settings, keys):
    """Two-layer ReLU network, SGD on single examples drawn independently."""
    return relu(s, keys, one_at_a_time, s.relu_sgd_steps, s.relu_rates)


def relu_gd(s: Settings, keys):
    """Two-layer ReLU network, full-batch gradient descent with the rates of SGD times sqrt(dim)."""
    return relu(s, keys, FullBatch, s.relu_gd_steps, tuple(s.relu_dim**0.5 * rate for rate in s.relu_rates))


def random_gradients(s: Settings, keys):
    """Thresholds of random gradients by batch size, and the growth of simulated SGD just below and above them."""
    sizes = tuple(range(1, s.gradients + 1))
    names = {
        "mean_square": (mean_square_threshold, "exact threshold of SGD"),
        "rayleigh": (rayleigh_threshold, "bound at the identity"),
        "trace_bound": (trace_threshold, "bound by the trace"),
        "one_step": (one_step_threshold, "no step lengthens"),
        "gd": (gd_threshold, "gradient descent"),
    }
    draw = lambda key: jr.normal(named_key(key, "gradients"), (s.gradients, s.gradient_dim), jnp.float64)  # noqa: E731
    with jax.enable_x64():
        table = {
            name: [
                np.asarray(jax.jit(jax.vmap(lambda key, fn=fn, size=size: fn(draw(key), size)))(keys)) for size in sizes
            ]
            for name, (fn, _) in names.items()
        }
        growth = []
        for size in sizes[:-1]:

            def build(key, size=size):
                rows = draw(key)
                return LinearisedSGD(rows[:, None], mean_square_threshold(rows, size), size, False, s.particles)

            grid = {"margin": np.asarray(s.margins)}
            vary = lambda p, v: replace(rate=v["margin"] * p.rate)(p)  # noqa: E731
            probes, label = [info_probe("growth")], f"batches of {size}"
            records = run(build, keys, s.moment_steps, probes=probes, over=grid, vary=vary, label=label).records
            growth.append(records["growth"][..., s.moment_steps // 4 :].mean(axis=-1))
    variables: dict[str, Any] = {
        name: (("batch_size", "seed"), np.array(table[name]), {"long_name": label, "units": "1"})
        for name, (_, label) in names.items()
    }
    attrs = {"long_name": "growth of the simulated second moment", "units": "nat/step"}
    variables["growth"] = (("moment_batch", "margin", "seed"), np.array(growth), attrs)
    coords = {"batch_size": list(sizes), "moment_batch": list(sizes[:-1]), "margin": list(s.margins)}
    return xr.Dataset(variables, {**coords, "seed": np.arange(len(keys))})


def images(s: Settings, keys, stream, steps):
    """Bias-carrying multilayer perceptron on a thousand images, squared error on one-hot codes."""

    def data(key):
        load = {"digits": digits, "fashion-mnist": fashion_mnist}[s.images]
        split = load(key, num_train=s.image_samples, num_test=s.image_samples // 2)
        codes = lambda labels: jax.nn.one_hot(labels, 10)  # noqa: E731
        return RegressionSplit(
            split.train_inputs, codes(split.train_targets), split.test_inputs, codes(split.test_targets)
        )

    pixels = {"digits": 64, "fashion-mnist": 784}[s.images]
    model = lambda key: MLP(key, (pixels, *[s.image_width] * 3, 10), use_bias=True)  # noqa: E731
    probes = [
        regression_errors(log_spaced(2)),
        gauss_newton_estimates(every=at_end),
        curvature_noise(chunk=s.image_chunk, every=at_end),
    ]
    return train(keys, data, model, stream, steps, s.image_rates, s.clip, probes)


def images_sgd(s: Settings, keys):
    """Multilayer perceptron on images, SGD with small batches drawn independently."""
    return images(s, keys, lambda data: MiniBatches(data, s.image_batch, replace=True), s.image_sgd_steps)


def images_gd(s: Settings, keys):
    """Multilayer perceptron on images, full-batch gradient descent."""
    return images(s, keys, FullBatch, s.image_gd_steps)


# Effects: one number a seed.


def final(ds, arm: str, variable: str):
    """Last value at each learning rate (or initial ratio) of the arm."""
    curve = ds[variable].sel(arm=arm).dropna("step", how="all").isel(step=-1)
    axis = next(d for d in curve.dims if d != "seed")
    return curve.dropna(axis, how="all")


def against_line(ds, arm: str, variable: str = "gn_trace"):
    """Sharpness over 2 / rate, the largest of all rates."""
    sharpness = final(ds, arm, variable)
    return (sharpness * sharpness.rate / 2).max("rate")


def at_largest(ds, arm: str, variable: str):
    """Last value at the largest rate."""
    return final(ds, arm, variable).isel(rate=-1)


def log10_worst(loss):
    """Logarithm of the largest training loss; losses below the smallest float32 count as that."""
    return np.log10(np.maximum(loss.max("rate"), 1e-38))


def batch_traces(ds) -> xr.DataArray:
    """Final trace by batch size."""
    traces: list[xr.DataArray] = [final(ds, arm, "gn_trace").isel(rate=0, drop=True) for arm in BATCHES]
    return xr.concat(traces, "batch")


def worst_margin(ds, above: bool):
    """Least growth above the threshold, or the largest below it, over batch sizes."""
    growth = ds.growth.sel(arm="random-gradients")
    growth = growth.dropna("margin", how="all").isel(margin=-1 if above else 0)
    return growth.min("moment_batch") if above else growth.max("moment_batch")


def thresholds(ds, name: str):
    """A threshold by batch size."""
    return ds[name].sel(arm="random-gradients").dropna("batch_size", how="all")


def falls(values, dim: str):
    """Largest ratio of a value to the one before it: below 1 when values fall along the dimension."""
    ahead, behind = values.isel({dim: slice(1, None)}), values.isel({dim: slice(None, -1)})
    return (ahead / behind.values).max(dim) if values.sizes[dim] > 1 else xr.zeros_like(values.isel({dim: 0}))


DIAGONAL, RELU, BALANCE = ("diagonal-sgd", "diagonal-gd"), ("relu-sgd", "relu-gd"), ("balance-sgd", "balance-gd")
BATCHES = ("batch-1", "batch-4", "batch-16", "batch-64")
IMAGES = ("images-sgd", "images-gd")
RANDOM = ("random-gradients",)
FINDINGS = [
    Finding(
        "F1a",
        "At every learning rate the trace at SGD's solution of the diagonal network is at most 2 / rate (ratio).",
        "Fig. 1; tolerance of the card",
        lambda ds: against_line(ds, "diagonal-sgd"),
        AtMost(1.02),
        arms=DIAGONAL[:1],
    ),
    Finding(
        "F1b",
        "These are minima: the logarithm (base 10) of the largest training loss.",
        "card",
        lambda ds: log10_worst(final(ds, "diagonal-sgd", "train_loss")),
        AtMost(-8.0),
        arms=DIAGONAL[:1],
        control=True,
    ),
    Finding(
        "F1c",
        "Gradient descent keeps a large trace at every learning rate (the smallest).",
        "Fig. 1; level of the card",
        lambda ds: final(ds, "diagonal-gd", "gn_trace").min("rate"),
        AtLeast(500.0),
        arms=DIAGONAL[1:],
    ),
    Finding(
        "F1d",
        "At the largest learning rate SGD predicts the sign of test targets.",
        "Fig. 1; level of the card",
        lambda ds: at_largest(ds, "diagonal-sgd", "sign_error"),
        AtMost(0.02),
        arms=DIAGONAL[:1],
    ),
    Finding(
        "F1e",
        "Gradient descent with the same learning rate does not.",
        "Fig. 1; level of the card",
        lambda ds: at_largest(ds, "diagonal-gd", "sign_error"),
        AtLeast(0.4),
        arms=DIAGONAL[1:],
        control=True,
    ),
    Finding(
        "F1f",
        "At the largest learning rate SGD's predictor has the l1 norm of the planted one, 3.",
        "card",
        lambda ds: at_largest(ds, "diagonal-sgd", "path_norm"),
        Between(2.85, 3.15),
        published=3.0,
        arms=DIAGONAL[:1],
    ),
    Finding(
        "F2a",
        "5 % above the exact threshold the second moment of simulated SGD grows, at every batch size (the least).",
        "Theorem; margin of the card",
        lambda ds: worst_margin(ds, above=True),
        AtLeast(0.0),
        arms=RANDOM,
        units="nat/step",
    ),
    Finding(
        "F2b",
        "5 % below it the second moment decays (the largest).",
        "Theorem; margin of the card",
        lambda ds: worst_margin(ds, above=False),
        AtMost(0.0),
        arms=RANDOM,
        units="nat/step",
    ),
    Finding(
        "F2c",
        "The threshold grows with the batch (largest ratio of the threshold to that of a batch with one more).",
        "card",
        lambda ds: falls(thresholds(ds, "mean_square").isel(batch_size=slice(None, None, -1)), "batch_size"),
        AtMost(1.0),
        arms=RANDOM,
    ),
    Finding(
        "F2d",
        "With the full batch it is that of gradient descent (relative difference).",
        "card",
        lambda ds: abs(thresholds(ds, "mean_square") / thresholds(ds, "gd") - 1).isel(batch_size=-1),
        AtMost(1e-9),
        arms=RANDOM,
    ),
    Finding(
        "F2e",
        "For single examples it is at most 2 / trace (ratio).",
        "Theorem",
        lambda ds: (thresholds(ds, "mean_square") / thresholds(ds, "trace_bound")).isel(batch_size=0),
        AtMost(1.0),
        arms=RANDOM,
    ),
    Finding(
        "F3a",
        "The path norm at SGD's solution of the ReLU network falls at each larger learning rate (largest ratio).",
        "Fig. 3",
        lambda ds: falls(final(ds, "relu-sgd", "path_norm"), "rate"),
        AtMost(1.0),
        arms=RELU[:1],
        since="thorough",
    ),
    Finding(
        "F3b",
        "It falls at least fivefold from the smallest to the largest learning rate.",
        "Fig. 3; factor of the card",
        lambda ds: final(ds, "relu-sgd", "path_norm").isel(rate=0, drop=True) / at_largest(ds, "relu-sgd", "path_norm"),
        AtLeast(5.0),
        arms=RELU[:1],
        since="thorough",
    ),
    Finding(
        "F3c",
        "At every learning rate the trace at SGD's solution of the ReLU network is at most 2 / rate (ratio).",
        "Fig. 3",
        lambda ds: against_line(ds, "relu-sgd"),
        AtMost(1.0),
        arms=RELU[:1],
        since="thorough",
    ),
    Finding(
        "F3d",
        "At the largest normalised learning rate the test loss of gradient descent is at least three times SGD's.",
        "Fig. 3; factor of the card",
        lambda ds: (
            at_largest(ds, "relu-gd", "test_loss").drop_vars("rate")
            / at_largest(ds, "relu-sgd", "test_loss").drop_vars("rate")
        ),
        AtLeast(3.0),
        arms=RELU,
        since="thorough",
    ),
    Finding(
        "F4a",
        "SGD balances the layers from every initial ratio (largest final balance score).",
        "Fig. 2; level of the card",
        lambda ds: final(ds, "balance-sgd", "unbalance").max("ratio"),
        AtMost(1.01),
        published=1.0,
        arms=BALANCE[:1],
    ),
    Finding(
        "F4b",
        "Gradient descent does not: its balance score ends no lower than it began, for ratios of 2 and more (least).",
        "Fig. 2; the card's form of it",
        lambda ds: unbalance_kept(ds),
        AtLeast(1.0),
        arms=BALANCE[1:],
        control=True,
    ),
    Finding(
        "F5a",
        "The trace at the end grows with the batch (largest ratio of the trace to that of the next larger batch).",
        "card",
        lambda ds: falls(batch_traces(ds).isel(batch=slice(None, None, -1)), "batch"),
        AtMost(1.0),
        arms=BATCHES,
    ),
    Finding(
        "F5b",
        "Batches of 64 end with at least a hundred times the trace of single examples.",
        "card",
        lambda ds: batch_traces(ds).isel(batch=-1) / batch_traces(ds).isel(batch=0),
        AtLeast(100.0),
        arms=BATCHES,
    ),
    Finding(
        "F6a",
        "On images the largest eigenvalue at gradient descent's solution is at most 2 / rate (ratio).",
        "Wu, Ma, E (2018); tolerance proposed here",
        lambda ds: against_line(ds, "images-gd", "gn_lambda_max"),
        AtMost(1.05),
        arms=IMAGES[1:],
        since="full",
    ),
    Finding(
        "F6b",
        "At the largest learning rate SGD's solution has a smaller trace than gradient descent's (ratio).",
        "Wu, Ma, E (2018); threshold proposed here",
        lambda ds: at_largest(ds, "images-sgd", "gn_trace") / at_largest(ds, "images-gd", "gn_trace"),
        AtMost(1.0),
        arms=IMAGES,
        since="full",
    ),
    Finding(
        "F6c",
        "... and its examples differ less in curvature (ratio of the non-uniformities).",
        "Wu, Ma, E (2018); threshold proposed here",
        lambda ds: at_largest(ds, "images-sgd", "non_uniformity") / at_largest(ds, "images-gd", "non_uniformity"),
        AtMost(1.0),
        arms=IMAGES,
        since="full",
    ),
]


def unbalance_kept(ds):
    """Final over initial balance score of gradient descent, the least over initial ratios of 2 and more."""
    score = final(ds, "balance-gd", "unbalance")
    return (score / score.ratio).where(score.ratio >= 2).min("ratio")


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
    remarks={
        "F1b": "Varied: the number of steps. Where the trace ends on the line 2 / rate, one mode hardly shrinks. "
        "At rate 0.063 the median loss is 7e-7 after the card's 80,000 steps and 9e-12 after 400,000 (thorough); at "
        "0.126 it is 3e-7 and 2e-8, falling about like the inverse square of time; at the two smaller rates it is "
        "below 1e-8. So the level is a matter of steps: the other findings are alike at both lengths.",
    },
    costs={
        "quick": "a minute",
        "default": "4 minutes",
        "thorough": "6 minutes",
        "full": "the paper's scale, for a GPU",
    },
)
