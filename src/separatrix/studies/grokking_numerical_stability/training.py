"""The network, its data and its training, as all arms share them."""

import functools
from dataclasses import replace

import jax

from separatrix._core.intervention import replace as replace_fields
from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.stream import FullBatch
from separatrix.data.modular import Encoding, modular_arithmetic
from separatrix.models.mlp import PairMLP, scaled
from separatrix.study.sweep import along_points, first_point
from separatrix.training.supervised import Batch, Supervised

from .settings import Settings


def mlp(s: Settings, key, dtype="float32"):
    """Bias-free two-hidden-layer network on a pair of integers, its first layer read by row."""
    return scaled(PairMLP(key, s.p, hidden=(s.width, s.width), dtype=dtype), s.output_scale)


def batches(split):
    """All training pairs at every step; the rest is held out."""
    train = Batch(split.train_inputs, split.train_targets)
    return {"stream": FullBatch(train), "held_out": Batch(split.test_inputs, split.test_targets)}


def train(
    s: Settings,
    keys,
    steps,
    probes,
    optimiser,
    fraction: float = 0.5,
    encoding: Encoding = "pairs",
    model=None,
    data=None,
    change=lambda process: process,
    **seams,
):
    """Train on modular arithmetic, or other `data`; arms with the same data and network share them for a seed.

    `optimiser` makes one from the settings, some of which a sweep may vary.
    """
    model = model or functools.partial(mlp, first_point(s))
    data = data or (lambda key: modular_arithmetic(key, s.p, s.operation, fraction, encoding))

    def build(key):
        split = data(named_key(key, "data"))
        return change(Supervised(model=model, optimiser=optimiser(first_point(s)), **batches(split), **seams))

    def vary(process, values):
        return change(replace_fields(optimiser=optimiser(replace(s, **values)))(process.base()))

    with jax.enable_x64():  # so that float64 losses can be asked for; the model stays in float32 in every arm
        return run(build, keys, steps, probes=probes, over=along_points(s), vary=vary).records.to_dataset()
