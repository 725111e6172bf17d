"""Grokking as the transition from lazy to rich training dynamics (Kumar, Bordelon, Gershman, Pehlevan, ICLR 2024).

Does a network without any regularisation generalise late because it first fits with its initial tangent kernel and only
later learns features, and do output scale, kernel alignment and sample size set the delay?
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import xarray as xr

from separatrix._core.keys import named_key
from separatrix._core.probe import info_probe
from separatrix._core.run import run
from separatrix._core.schedule import log_spaced
from separatrix._core.stream import FullBatch
from separatrix.data.images import digits, fashion_mnist
from separatrix.data.modular import modular_arithmetic
from separatrix.data.teachers import single_index_data
from separatrix.models.committee import CommitteeQuadratic
from separatrix.models.lazy_scale import LazyModel
from separatrix.models.mlp import MLP, PairMLP, lazy_learning_rate
from separatrix.models.transformer import OneLayerTransformer
from separatrix.numerics.kernel_fit import kernel_regression
from separatrix.study.figures import curves
from separatrix.study.finding import AtLeast, AtMost, Finding
from separatrix.study.grid_curves import grid_curves
from separatrix.study.heat_maps import heat_map
from separatrix.study.study import Study
from separatrix.training.committee_dmft import dmft_committee
from separatrix.training.committee_dynamics import CommitteeDynamics, committee_tangent, loss_terms
from separatrix.training.committee_theory import committee_kernel, committee_statistics
from separatrix.training.grokking_metrics import grokking_delay
from separatrix.training.supervised import Batch, Supervised
from separatrix.training.tangent_probes import laziness, losses

TARGET_POWER = 0.75  # E y^2 of the single-index target
TERMS = ("variance", "misalignment", "linear_power")
FITTED = 0.1  # of the target's power, for training and test loss


@dataclass(frozen=True)
class Settings:
    """Defaults are the card's reduced scale, D = 50 and N = 200, with five seeds in place of one.

    Steps to a loss are measured on the exact population loss, which needs no test set. The comparison of its three
    terms with a sample (F4a) uses 40,000 points in place of the card's 1,000, whose sampling noise alone exceeds its
    3 %. The simulation beside the mean-field theory has one seed for each seed of the theory (6 on the card). Rates and
    loss levels of the networks on images and modular addition were fixed after one pilot seed each.
    """

    seeds: int = 5
    dim: int = 50
    width: int = 200
    rate: float = 2.0
    eps: float = 0.25
    steps: int = 6_000
    # F1, F4: output scales with few more examples than needed, and with fewer
    samples: int = 225
    alphas: tuple[float, ...] = (0.05, 0.2, 0.5)
    scarce: int = 200
    lazy_alphas: tuple[float, ...] = (0.5, 1.0, 3.0, 10.0)
    # F2, F3
    alpha: float = 0.5
    curvatures: tuple[float, ...] = (0.05, 0.25, 1.0, 4.0)
    few: int = 60
    many: int = 1_500
    # F4, F6
    test_samples: int = 40_000
    lazy_alpha: float = 10.0
    network_steps: int = 200
    # F5: mean-field theory
    field_dim: int = 1_500
    field_nu: float = 3.0
    field_width: int = 2
    field_eps: float = 0.5
    field_eta: float = 0.15
    field_steps: int = 25
    field_draws: int = 20_000
    # F7: networks; half the squared error to one-hot targets, whose power is then 1/2
    network_alphas: tuple[float, ...] = (0.5, 2.0, 8.0)
    images: str = "digits"
    image_samples: int = 200
    image_width: int = 100
    image_rate: float = 0.5
    image_steps: int = 8_000
    p: int = 23
    modular_width: int = 100
    modular_fraction: float = 0.8
    modular_rate: float = 1.5
    modular_steps: int = 12_000
    transformer_width: int = 128
    transformer_rate: float = 0.05
    transformer_steps: int = 50_000
    # F8: phase diagram
    phase_alphas: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
    phase_rates: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    phase_steps: int = 4_000


PRESETS = {
    "quick": Settings(
        seeds=2,
        dim=6,
        width=12,
        rate=1.0,
        steps=60,
        samples=12,
        scarce=10,
        few=4,
        many=40,
        test_samples=500,
        network_steps=10,
        field_dim=20,
        field_steps=3,
        field_draws=200,
        image_samples=20,
        image_width=8,
        image_steps=20,
        p=5,
        modular_width=8,
        modular_steps=20,
        transformer_width=8,
        transformer_steps=4,
        phase_alphas=(0.2, 1.0, 5.0),
        phase_rates=(0.5, 1.0),
        phase_steps=40,
    ),
    "default": Settings(),
    "thorough": Settings(seeds=20),  # some effects spread widely over teachers and samples
    "full": Settings(
        dim=100,
        width=500,
        samples=450,
        scarce=400,
        few=120,
        many=6_000,
        steps=100_000,
        images="fashion",
        image_samples=1_000,
        image_width=200,
        image_steps=100_000,
        p=59,
        modular_width=500,
        modular_steps=50_000,
        phase_alphas=tuple(float(a) for a in np.round(np.geomspace(0.05, 10.0, 16), 4)),
        phase_rates=tuple(float(r) for r in np.round(np.geomspace(0.25, 32.0, 16), 4)),
        phase_steps=20_000,
    ),
}


# The committee: closed dynamics of its two moments, in float64


def committee(s: Settings, key, samples: int) -> CommitteeDynamics:
    """The committee on the data that belong to a key."""
    data = single_index_data(named_key(key, "data"), samples, s.dim, dtype="float64")
    return CommitteeDynamics(
        data.train_inputs, data.train_targets, data.directions[0], s.rate, s.alpha, s.eps, width=s.width
    )


def committee_run(s: Settings, keys, samples: int, over=None, vary=None, tangent=True) -> xr.Dataset:
    """Train committees, one data set and initialisation a seed, over a grid of traced fields."""
    probes = [loss_terms(log_spaced(60))] + ([committee_tangent(log_spaced(10))] if tangent else [])
    with jax.enable_x64():
        processes = [committee(s, key, samples) for key in keys]
        out = run(processes, keys, s.steps, probes=probes, over=grid_of(over or {}), vary=vary)
        ds = out.records.to_dataset()
        if tangent:
            ds["kernel_error"] = kernel_error(s, keys, processes, out.state.initial, over or {})
    return ds


def grid_of(over: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A grid as float64 arrays, to be made where 64-bit types are enabled."""
    return {name: np.asarray(values, np.float64) for name, values in over.items()}


def kernel_error(s: Settings, keys, processes, start, over) -> xr.DataArray:
    """Test error of regression with the initial tangent kernel, the plateau of lazy training; it ignores alpha."""
    curvatures = over.get("eps", (s.eps,))
    first = jax.tree.map(lambda a: a[0] if over else a, start)  # the start does not depend on the grid

    @jax.jit
    def error(split, statistics, eps):
        x = split.train_inputs
        own, cross = (committee_kernel(statistics, z, x, 1.0, eps) for z in (x, split.test_inputs))
        return jnp.mean((split.test_targets - kernel_regression(own, split.train_targets, cross)) ** 2)

    rows = []
    for i, (key, process) in enumerate(zip(keys, processes, strict=True)):
        split = single_index_data(named_key(key, "data"), len(process.targets), s.dim, num_test=2_000, dtype="float64")
        statistics = jax.tree.map(lambda a, i=i: a[i], first)
        rows.append([float(error(split, statistics, eps)) for eps in curvatures])
    attrs = {"units": "1", "long_name": "test loss of regression with the initial tangent kernel"}
    if "eps" not in over:
        return xr.DataArray(np.array(rows)[:, 0], dims=("seed",), attrs=attrs)
    return xr.DataArray(np.array(rows), dims=("seed", "eps"), attrs=attrs)


def alpha_sweep(s: Settings, keys):
    """Output scales from rich to lazy, 225 examples of 50 inputs."""
    return committee_run(s, keys, s.samples, over={"alpha": s.alphas})


def alpha_sweep_scarce(s: Settings, keys):
    """Output scales from rich to very lazy, 200 examples."""
    return committee_run(s, keys, s.scarce, over={"alpha": s.lazy_alphas})


def with_curvature(process, values):
    """Set eps, and the rate that keeps the initial kernel's size."""
    eps = values["eps"]
    return eqx.tree_at(lambda p: (p.eps, p.rate), process, (eps, process.rate / (1 + eps**2)))


def eps_sweep(s: Settings, keys):
    """Curvature of the activation, which aligns the initial kernel with the target."""
    return committee_run(s, keys, s.samples, over={"eps": s.curvatures}, vary=with_curvature)


def few_samples(s: Settings, keys):
    """Too few examples to find the feature: 60."""
    return committee_run(s, keys, s.few, tangent=False)


def many_samples(s: Settings, keys):
    """More examples than the kernel has dimensions: 1,500."""
    return committee_run(s, keys, s.many, tangent=False)


def decomposition(s: Settings, keys):
    """The three terms of the exact test loss beside the loss on a large sample, rich and lazy."""
    with jax.enable_x64():
        processes = []
        for key in keys:
            how = {"num_test": s.test_samples, "dtype": "float64"}
            test = single_index_data(named_key(key, "data"), s.samples, s.dim, **how)
            processes.append(replace(committee(s, key, s.samples), held_out=(test.test_inputs, test.test_targets)))
        probes = [loss_terms(log_spaced(8))]
        out = run(processes, keys, s.steps, probes=probes, over=grid_of({"alpha": (s.alpha, s.lazy_alpha)}))
        return out.records.to_dataset()


# The network itself


def half_squared(outputs, targets):
    """Half the squared error of one-number outputs."""
    return (outputs - targets) ** 2 / 2


def network(s: Settings, keys):
    """The network of N neurons beside its closed dynamics, from the same initial weights."""
    net = lambda key: CommitteeQuadratic(key, s.dim, s.width, s.eps, dtype="float64")  # noqa: E731
    optimiser = optax.sgd(lazy_learning_rate(s.rate * s.width, s.alpha))
    with jax.enable_x64():
        closed = [committee(s, key, s.samples) for key in keys]
        batches = [FullBatch(Batch(process.inputs, process.targets)) for process in closed]
        nets = [Supervised(LazyModel(net, s.alpha), half_squared, optimiser, batch) for batch in batches]
        predicted = run(closed, keys, s.network_steps, label="closed").state.now
        weights = run(nets, keys, s.network_steps, label="network").state.params.model.weights
        found = jax.vmap(committee_statistics)(weights)
        gaps = [np.abs(np.asarray(a) - np.asarray(b)) for a, b in zip(predicted, found, strict=True)]
    largest = np.max([gap.reshape(len(keys), -1).max(axis=1) for gap in gaps], axis=0)
    attrs = {"units": "1", "long_name": "largest deviation of the moments after training"}
    return xr.Dataset({"deviation": ("seed", largest, attrs)}, {"seed": np.arange(len(keys))})


def field(s: Settings, keys):
    """Mean-field theory of two neurons: the training loss of infinitely many inputs and examples."""
    how = {"eps": s.field_eps, "eta": s.field_eta, "steps": s.field_steps, "samples": s.field_draws}
    with jax.enable_x64():
        solved = [dmft_committee(named_key(key, "field"), s.field_nu, s.field_width, **how) for key in keys]
        values = np.stack([np.asarray(solution.train_mse) for solution in solved])
    return curve_of(values)


def simulation(s: Settings, keys):
    """The same two neurons trained on 4,500 examples of 1,500 inputs."""
    samples = round(s.field_nu * s.field_dim)
    net = lambda key: CommitteeQuadratic(key, s.field_dim, s.field_width, s.field_eps)  # noqa: E731
    optimiser = optax.sgd(s.field_eta * samples * s.field_width)  # the theory's step is a sum over examples

    def build(key):
        data = single_index_data(named_key(key, "data"), samples, s.field_dim, num_test=1)
        return Supervised(net, half_squared, optimiser, FullBatch(Batch(data.train_inputs, data.train_targets)))

    _, records = run(build, keys, s.field_steps + 1, probes=[info_probe("loss")])  # of the state before each step
    return curve_of(2 * records["loss"])


def curve_of(values) -> xr.Dataset:
    """Label a training loss at the times 0, 1, ..."""
    attrs = {"units": "1", "long_name": "training loss of two neurons"}
    coords = {"seed": np.arange(len(values)), "step": np.arange(values.shape[1])}
    return xr.Dataset({"field_mse": (("seed", "step"), values, attrs)}, coords)


# Other systems of the paper: scaled, centred, learning rate over alpha^2


def one_hot_error(logits, labels):
    """Half the squared distance to one-hot targets, whose power is 1/2."""
    return jnp.sum((logits - jax.nn.one_hot(labels, logits.shape[-1])) ** 2, axis=-1) / 2


def scaled_networks(s: Settings, keys, data, net, optimiser, steps: int, probes=()):
    """Train a network at several output scales; `optimiser` is a function of the learning rate's factor."""
    unscaled = optimiser(1.0)

    def build(key):
        split = data(named_key(key, "data"))
        train, test = Batch(split.train_inputs, split.train_targets), Batch(split.test_inputs, split.test_targets)
        return Supervised(LazyModel(net, 1.0), one_hot_error, unscaled, FullBatch(train), test)

    def with_alpha(process, values):
        process = eqx.tree_at(lambda p: p.model.alpha, process, values["alpha"])
        return eqx.tree_at(lambda p: p.optimiser, process, optimiser(lazy_learning_rate(1.0, values["alpha"])))

    grid = {"alpha": np.asarray(s.network_alphas, np.float32)}
    out = run(build, keys, steps, probes=[losses(log_spaced(20)), *probes], over=grid, vary=with_alpha)
    return out.records.to_dataset().assign_coords(alpha=np.asarray(s.network_alphas))


def images(s: Settings, keys):
    """Network with two hidden layers on 200 images of digits, by gradient descent."""
    load = {"digits": digits, "fashion": fashion_mnist}[s.images]
    first = load(jr.key(0), s.image_samples, 1_000).train_inputs.shape[1]
    return scaled_networks(
        s,
        keys,
        data=lambda key: load(key, s.image_samples, 1_000),
        net=lambda key: MLP(key, (first, s.image_width, s.image_width, 10)),
        optimiser=lambda factor: optax.sgd(s.image_rate * factor),
        steps=s.image_steps,
        probes=[laziness(log_spaced(2), examples=50)],
    )


def modular(s: Settings, keys):
    """Network with one layer of squares on modular addition, by gradient descent with momentum."""
    return scaled_networks(
        s,
        keys,
        data=lambda key: modular_arithmetic(key, s.p, "add", s.modular_fraction, "pairs"),
        net=lambda key: PairMLP(key, s.p, hidden=(s.modular_width,), activation=jnp.square),
        optimiser=lambda factor: optax.sgd(s.modular_rate * factor, momentum=0.9),
        steps=s.modular_steps,
    )


def transformer(s: Settings, keys):
    """Transformer with one layer on modular addition, by gradient descent with momentum."""
    return scaled_networks(
        s,
        keys,
        data=lambda key: modular_arithmetic(key, s.p, "add", s.modular_fraction, "tokens"),
        net=lambda key: OneLayerTransformer(key, s.p + 2, s.p, width=s.transformer_width, dropout=0.0),
        optimiser=lambda factor: optax.sgd(s.transformer_rate * factor, momentum=0.9),
        steps=s.transformer_steps,
    )


def phase_diagram(s: Settings, keys):
    """Output scale against learning rate: delay ratio (a lower bound where it never comes) and final test loss."""
    with jax.enable_x64():
        processes = [committee(s, key, s.samples) for key in keys]
        grid = grid_of({"alpha": s.phase_alphas, "rate": s.phase_rates})
        _, records = run(processes, keys, s.phase_steps, probes=[loss_terms(log_spaced(20))], over=grid)
    level = FITTED * TARGET_POWER
    steps = records.variables["train_mse"].steps
    delay = grokking_delay(steps, records["train_mse"], records["test_mse"], (level, level))
    dims = ("phase_alpha", "phase_rate", "seed")
    return xr.Dataset(
        {
            "phase_delay": (dims, delay.bound, {"units": "1", "long_name": "steps to generalise over steps to fit"}),
            "phase_test": (dims, records["test_mse"][..., -1], {"units": "1", "long_name": "final test loss"}),
        },
        {"phase_alpha": grid["alpha"], "phase_rate": grid["rate"], "seed": np.arange(len(keys))},
    )


# Effects: one number a seed


def least(cases: list[xr.DataArray]) -> xr.DataArray:
    """Smallest of several effects, seed by seed."""
    return xr.concat(cases, "case").min("case")


def most(cases: list[xr.DataArray]) -> xr.DataArray:
    """Largest of several effects, seed by seed."""
    return xr.concat(cases, "case").max("case")


def of(ds: xr.Dataset, arm: str, variable: str, **where) -> xr.DataArray:
    """A variable of one arm at a point of its grid; an arm repeats its values along the grids of others."""
    array = ds[variable].sel(arm=arm)
    array = array.sel({dim: value for dim, value in where.items() if dim in array.dims})
    array = array.isel({dim: 0 for dim in array.dims if dim not in ("seed", "step")})
    return array.dropna("step", how="all") if "step" in array.dims else array


def final(ds, arm: str, variable: str = "test_mse", **where) -> xr.DataArray:
    """Last measured value."""
    return of(ds, arm, variable, **where).isel(step=-1)


def delay(ds, arm: str, **where):
    """Steps to a tenth of the target's power in test over training loss; a lower bound where it never comes."""
    train, test = of(ds, arm, "train_mse", **where), of(ds, arm, "test_mse", **where)
    level = FITTED * TARGET_POWER
    found = grokking_delay(train.step, train.transpose("seed", "step"), test.transpose("seed", "step"), (level, level))
    return xr.DataArray(found.bound, dims=("seed",))


def network_delay(ds, arm: str, alpha: float):
    """Delay of a classifier: a tenth of the targets' power in training, a fifth in test."""
    train, test = (of(ds, arm, name, alpha=alpha).transpose("seed", "step") for name in ("train_loss", "test_loss"))
    return xr.DataArray(grokking_delay(train.step, train, test, (0.05, 0.1)).bound, dims=("seed",))


def smallest_growth(values: list[xr.DataArray]) -> xr.DataArray:
    """Smallest factor between neighbours in a sequence of arrays."""
    return least([after / before for before, after in itertools.pairwise(values)])


def present(ds, arm: str, dim: str, variable: str = "train_mse"):
    """Labels along a dimension at which an arm measured anything."""
    array = ds[variable].sel(arm=arm)
    return array[dim].values[array.notnull().any([d for d in array.dims if d != dim]).values].tolist()


def overshoot(ds, eps: float) -> xr.DataArray:
    """Largest test loss over the target's power, which is the test loss of the start."""
    return of(ds, "eps-sweep", "test_mse", eps=eps).max("step") / TARGET_POWER


def monotone_final(ds):
    """Smallest factor by which the final test loss grows from one output scale to the next, in both sweeps."""
    sweeps = []
    for arm in ("alpha-sweep", "alpha-sweep-scarce"):
        sweeps.append(smallest_growth([final(ds, arm, alpha=a) for a in present(ds, arm, "alpha")]))
    return least(sweeps)


def eps_values(ds):
    """Smallest three curvatures of the sweep and the largest."""
    return present(ds, "eps-sweep", "eps")


def sample_error(ds):
    """Largest relative difference between the exact test loss and that of the sample."""
    gaps = []
    for alpha in present(ds, "decomposition", "alpha"):
        exact, sampled = (of(ds, "decomposition", v, alpha=alpha) for v in ("test_mse", "test_sample_mse"))
        gaps.append((abs(sampled - exact) / exact).max("step"))
    return most(gaps)


def extreme_alpha(ds, arm: str, lazy: bool):
    """Largest or smallest output scale of an arm."""
    return (max if lazy else min)(present(ds, arm, "alpha"))


def linear_power_peak(ds):
    """Peak of the linear power over its final value, in the lazy run."""
    power = of(ds, "decomposition", "linear_power", alpha=extreme_alpha(ds, "decomposition", True))
    return power.max("step") / power.isel(step=-1)


def order_of_terms(ds):
    """Step at which the misalignment has halved over that at which the variance has, in the rich run."""
    halved = []
    for name in ("misalignment", "variance"):
        term = of(ds, "decomposition", name, alpha=extreme_alpha(ds, "decomposition", False))
        start = {"misalignment": 0.5, "variance": 0.25}[name]
        halved.append(term.step.where(term <= start / 2).min("step").fillna(term.step[-1]))
    return halved[0] / halved[1]


def growth(ds, arm: str, variable: str, **where):
    """Final over first recorded value."""
    array = of(ds, arm, variable, **where)
    return array.isel(step=-1) / array.isel(step=0)


def field_gap(ds):
    """Largest relative error of the theory's training loss against the mean of the simulations."""
    theory, mean = of(ds, "field", "field_mse"), of(ds, "simulation", "field_mse").mean("seed")
    return (abs(theory - mean) / mean).max("step")


def phase_order(ds):
    """Share of neighbouring output scales, over all stable learning rates, between which the final test loss grows."""
    test = of_phase(ds, "phase_test")
    before, after = test.isel(phase_alpha=slice(None, -1)), test.isel(phase_alpha=slice(1, None))
    rises = xr.DataArray(after.values > before.values, dims=after.dims)
    valid = xr.DataArray(np.isfinite(after.values) & np.isfinite(before.values), dims=after.dims)
    return rises.where(valid).mean(["phase_alpha", "phase_rate"])


def of_phase(ds, variable: str):
    """A variable of the phase diagram on its own grid."""
    array = ds[variable].sel(arm="phase-diagram")
    return array.isel({dim: 0 for dim in array.dims if dim not in ("seed", "phase_alpha", "phase_rate")})


FINDINGS = [
    Finding(
        "F1a",
        "The delay ratio grows with the output scale (smallest factor between neighbours).",
        "Fig. 2; card",
        lambda ds: smallest_growth([delay(ds, "alpha-sweep", alpha=a) for a in present(ds, "alpha-sweep", "alpha")]),
        AtLeast(1.0),
        arms=("alpha-sweep",),
    ),
    Finding(
        "F1b",
        "The final test loss grows with the output scale (smallest factor between neighbours, two sample sizes).",
        "Fig. 2; card",
        monotone_final,
        AtLeast(1.0),
        arms=("alpha-sweep", "alpha-sweep-scarce"),
    ),
    Finding(
        "F1c",
        "At alpha = 0.5 the final test loss is at most a tenth of that of regression with the initial kernel.",
        "Fig. 2; card",
        lambda ds: (
            final(ds, "alpha-sweep", alpha=extreme_alpha(ds, "alpha-sweep", True))
            / of(ds, "alpha-sweep", "kernel_error")
        ),
        AtMost(0.1),
        published="0.018 / 0.556 (card, one seed)",
        arms=("alpha-sweep",),
    ),
    Finding(
        "F1d",
        "In the laziest run the test loss first rises while the training loss falls (peak over start).",
        "Fig. 2; threshold proposed here",
        lambda ds: (
            of(ds, "alpha-sweep-scarce", "test_mse", alpha=extreme_alpha(ds, "alpha-sweep-scarce", True)).max("step")
            / TARGET_POWER
        ),
        AtLeast(1.05),
        published="0.966 / 0.83 (card, one seed)",
        arms=("alpha-sweep-scarce",),
    ),
    Finding(
        "F2a",
        "The error of kernel regression falls with the curvature (largest factor between neighbours).",
        "Fig. 3; card",
        lambda ds: 1 / smallest_growth([1 / of(ds, "eps-sweep", "kernel_error", eps=e) for e in eps_values(ds)]),
        AtMost(1.0),
        arms=("eps-sweep",),
    ),
    Finding(
        "F2b",
        "A misaligned initial kernel ends better: final test loss at eps = 1 over the larger of those at eps <= 0.25.",
        "Fig. 3; card",
        lambda ds: (
            final(ds, "eps-sweep", eps=eps_values(ds)[2])
            / most([final(ds, "eps-sweep", eps=e) for e in eps_values(ds)[:2]])
        ),
        AtLeast(3.0),
        published=3.0,
        arms=("eps-sweep",),
    ),
    Finding(
        "F2c",
        "At the smallest curvature the test loss overshoots its start (peak over start).",
        "Fig. 3; card",
        lambda ds: overshoot(ds, eps_values(ds)[0]),
        AtLeast(1.2),
        published="1.094 / 0.771 (card, one seed)",
        arms=("eps-sweep",),
    ),
    Finding(
        "F2d",
        "At larger curvatures it does not (largest peak over start).",
        "Fig. 3; card",
        lambda ds: most([overshoot(ds, e) for e in eps_values(ds)[1:]]),
        AtMost(1.2),
        arms=("eps-sweep",),
        control=True,
    ),
    Finding(
        "F3a",
        "With 60 samples the network never generalises: its final test loss over the target's power.",
        "Fig. 4; card",
        lambda ds: final(ds, "few-samples") / TARGET_POWER,
        AtLeast(1.0),
        published="0.81 / 0.77 (card, one seed)",
        arms=("few-samples",),
    ),
    Finding(
        "F3b",
        "With 225 samples it groks: delay ratio (a lower bound where it never generalises).",
        "Fig. 4; card",
        lambda ds: delay(ds, "alpha-sweep", alpha=extreme_alpha(ds, "alpha-sweep", True)),
        AtLeast(3.0),
        published=4.5,
        arms=("alpha-sweep",),
    ),
    Finding(
        "F3c",
        "With 1,500 samples, more than the kernel's dimension, there is no delay.",
        "Fig. 4; card",
        lambda ds: delay(ds, "many-samples"),
        AtMost(1.5),
        published=1.1,
        arms=("many-samples",),
        control=True,
    ),
    Finding(
        "F4a",
        "The three terms add up to the test loss of a sample at every recorded step (largest relative difference).",
        "section 3; card",
        sample_error,
        AtMost(0.03),
        arms=("decomposition",),
    ),
    Finding(
        "F4b",
        "In the lazy run the linear power rises, then falls (peak over final value).",
        "Fig. 2; threshold proposed here",
        linear_power_peak,
        AtLeast(1.5),
        published="0.338 / 0.114 (card, one seed)",
        arms=("decomposition",),
    ),
    Finding(
        "F4c",
        "The misalignment halves later than the variance (ratio of steps, rich run).",
        "Fig. 2; threshold proposed here",
        order_of_terms,
        AtLeast(1.0),
        arms=("decomposition",),
    ),
    Finding(
        "F4d",
        "The weights grow while the network generalises (final over first size).",
        "Fig. 1; card",
        lambda ds: growth(ds, "alpha-sweep", "weight_size", alpha=extreme_alpha(ds, "alpha-sweep", True)),
        AtLeast(1.0),
        published=3.0,
        arms=("alpha-sweep",),
    ),
    Finding(
        "F4e",
        "The tangent kernel aligns with the targets (final over first alignment).",
        "Fig. 2; threshold proposed here",
        lambda ds: growth(ds, "alpha-sweep", "kernel_alignment", alpha=extreme_alpha(ds, "alpha-sweep", True)),
        AtLeast(2.0),
        published="0.29 / 0.06 (card, one seed)",
        arms=("alpha-sweep",),
    ),
    Finding(
        "F5",
        "Mean-field theory predicts the training loss of 1,500 inputs (largest relative error over 25 steps).",
        "section 4; card",
        field_gap,
        AtMost(0.06),
        published=0.045,
        arms=("field", "simulation"),
        since="thorough",
    ),
    Finding(
        "F6",
        "The closed dynamics of two moments is that of the network (largest deviation after 200 steps).",
        "card",
        lambda ds: ds.deviation.sel(arm="network").isel({d: 0 for d in ds.deviation.dims if d not in ("arm", "seed")}),
        AtMost(1e-10),
        published=1e-14,
        arms=("network",),
    ),
    Finding(
        "F7a",
        "On images the delay ratio grows with the output scale (smallest factor between neighbours).",
        "Fig. 6; thresholds of the losses fixed after one pilot seed",
        lambda ds: smallest_growth(
            [network_delay(ds, "images", a) for a in present(ds, "images", "alpha", "train_loss")]
        ),
        AtLeast(1.0),
        arms=("images",),
        since="thorough",
    ),
    Finding(
        "F7b",
        "On modular addition the delay ratio grows with the output scale (smallest factor between neighbours).",
        "Fig. 6; thresholds of the losses fixed after one pilot seed",
        lambda ds: smallest_growth(
            [network_delay(ds, "modular", a) for a in present(ds, "modular", "alpha", "train_loss")]
        ),
        AtLeast(1.0),
        arms=("modular",),
        since="thorough",
    ),
    Finding(
        "F7c",
        "So it does for a transformer with one layer.",
        "Fig. 6; proposed on the card",
        lambda ds: smallest_growth(
            [network_delay(ds, "transformer", a) for a in present(ds, "transformer", "alpha", "train_loss")]
        ),
        AtLeast(1.0),
        arms=("transformer",),
        since="full",
    ),
    Finding(
        "F8",
        "At every learning rate the final test loss grows with the output scale (share of neighbouring scales).",
        "proposed here",
        phase_order,
        AtLeast(0.8),
        arms=("phase-diagram",),
        since="thorough",
    ),
]

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
        "below: it learns nothing that generalises, and the sign of what is left is chance.",
    },
    costs={
        "quick": "a minute and a half",
        "default": "4 minutes",
        "thorough": "20 minutes",
        "full": "the paper's scale, for a GPU",
    },
)
