"""The findings: what is claimed, how it is measured, and the threshold it must pass."""

import itertools

import numpy as np
import xarray as xr

from separatrix.study.effects import least, most
from separatrix.study.finding import AtLeast, AtMost, Finding
from separatrix.training.grokking_metrics import grokking_delay

from .settings import FITTED, TARGET_POWER

SIMULATIONS = 6  # that the theory is compared with, as on the card


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
    """Largest relative error of the theory's training loss against the mean of six simulations, others for each seed.

    Seed k meets the simulations k to k + 5, cyclically, so that the spread of such a mean enters the interval.
    """
    theory, simulated = of(ds, "field", "field_mse"), of(ds, "simulation", "field_mse")
    turns = range(min(SIMULATIONS, simulated.sizes["seed"]))
    mean = sum(simulated.roll(seed=-turn, roll_coords=False) for turn in turns) / len(turns)
    return (abs(theory - mean) / mean).max("step")


def reaches(ds, variable: str):
    """Whether a loss falls to a tenth of the target's power within the run."""
    return ds[variable].min("step") <= FITTED * TARGET_POWER


def groks(ds):
    """Whether the test loss gets there, and takes at least three times the training loss's steps."""
    test = ds.test_mse.transpose(..., "step")
    train = ds.train_mse.transpose(*test.dims)
    found = grokking_delay(ds.step, train, test, (FITTED * TARGET_POWER,) * 2)
    return reaches(ds, "test_mse") & (test.isel(step=0, drop=True).copy(data=found.bound) >= 3)


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
        "With 60 samples the network never generalises: least test loss over the level that counts as generalising.",
        "Fig. 4; card",
        lambda ds: of(ds, "few-samples", "test_mse").min("step") / (FITTED * TARGET_POWER),
        AtLeast(1.0),
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
