"""The findings: what is claimed, how it is measured, and the threshold it must pass."""

import numpy as np
import xarray as xr

from separatrix.study.finding import AtLeast, AtMost, Between, Finding


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


def smallest_batch(ds):
    """The results with the smallest batch of images, where a grid has several."""
    return ds.isel(image_batch=0) if "image_batch" in ds.dims else ds


def image_batch_growth(ds):
    """Trace at SGD's solution on images with the largest batch over that with the smallest, at the largest rate."""
    trace = at_largest(ds, "images-sgd", "gn_trace")
    if "image_batch" not in trace.dims:
        return trace * float("nan")  # a single batch size says nothing
    return trace.isel(image_batch=-1) / trace.isel(image_batch=0)


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
        lambda ds: against_line(smallest_batch(ds), "images-gd", "gn_lambda_max"),
        AtMost(1.05),
        arms=IMAGES[1:],
        since="full",
    ),
    Finding(
        "F6b",
        "At the largest learning rate SGD's solution has a smaller trace than gradient descent's (ratio).",
        "Wu, Ma, E (2018); threshold proposed here",
        lambda ds: (
            at_largest(smallest_batch(ds), "images-sgd", "gn_trace")
            / at_largest(smallest_batch(ds), "images-gd", "gn_trace")
        ),
        AtMost(1.0),
        arms=IMAGES,
        since="full",
    ),
    Finding(
        "F6c",
        "... and its examples differ less in curvature (ratio of the non-uniformities).",
        "Wu, Ma, E (2018); threshold proposed here",
        lambda ds: (
            at_largest(smallest_batch(ds), "images-sgd", "non_uniformity")
            / at_largest(smallest_batch(ds), "images-gd", "non_uniformity")
        ),
        AtMost(1.0),
        arms=IMAGES,
        since="full",
    ),
    Finding(
        "F6d",
        "The trace at SGD's solution grows with the batch (largest over smallest).",
        "Wu, Ma, E (2018); threshold proposed here",
        image_batch_growth,
        AtLeast(1.0),
        arms=IMAGES[:1],
        since="full",
    ),
]


def unbalance_kept(ds):
    """Final over initial balance score of gradient descent, the least over initial ratios of 2 and more."""
    score = final(ds, "balance-gd", "unbalance")
    return (score / score.ratio).where(score.ratio >= 2).min("ratio")


def diverges(ds):
    """Whether the training loss ends above that after the first step, or is no number."""
    loss = ds.train_loss.dropna("step", how="all").max("rate", skipna=False)
    return ~(loss.isel(step=-1, drop=True) <= loss.isel(step=0, drop=True))
