"""A small study for tests: three arms train a tiny network on noisy batches, and leave a mark for each cell."""

import os
from dataclasses import dataclass
from pathlib import Path

import jax.numpy as jnp
import jax.random as jr
import optax

from separatrix import MiniBatches, info_probe, run
from separatrix.study import AtLeast, AtMost, Finding, Study, computing, curves
from separatrix.training import Batch, Supervised

computing.SECONDS_BETWEEN_CHECKPOINTS = 0.1


@dataclass(frozen=True)
class Settings:
    """Small enough for a second a cell."""

    seeds: int = 8
    steps: int = 4_000
    rates: tuple[float, ...] = (0.01, 0.03)
    name: str = "plain"
    scale: float = 1.0


def model(key):
    return {"w": jr.normal(key, (16, 16)) / 4, "v": jr.normal(jr.fold_in(key, 1), (16,)) / 4}


def forward(parameters, x, key):
    del key
    return jnp.tanh(x @ parameters["w"]) @ parameters["v"]


def squared(outputs, targets):
    return (outputs - targets) ** 2


def arm(optimiser):
    def train(s: Settings, keys):
        """Train with one optimiser."""
        if "SAMPLE_MARKS" in os.environ:
            with Path(os.environ["SAMPLE_MARKS"]).open("a") as marks:
                marks.write("cell\n")
        if s.name == "broken":
            raise RuntimeError("this arm was asked to fail\nwith a second line")
        x = jr.normal(jr.key(0), (256, 16))
        stream = MiniBatches(Batch(x, jnp.sin(3 * x[:, 0])), 32)
        process = Supervised(model=model, loss=squared, optimiser=optimiser, stream=stream, forward=forward)
        return run(process, keys, s.steps, probes=[info_probe("loss", every=20)]).records.to_dataset()

    return train


def last_loss(name):
    return lambda ds: ds.loss.sel(arm=name).isel(step=-1)


STUDY = Study(
    slug="sample",
    seed=0,
    domain="training",
    title="A sample",
    paper="none",
    citation="@misc{sample}",
    question="Does it run?",
    method="Three optimisers on one task.",
    presets={
        "quick": Settings(seeds=2, steps=40),
        "default": Settings(),
        "thorough": Settings(),
        "full": Settings(),
    },
    arms={"sgd": arm(optax.sgd(0.01)), "momentum": arm(optax.sgd(0.01, 0.9)), "adam": arm(optax.adam(1e-3))},
    findings=[
        Finding("S1", "Loss is not negative.", "algebra", last_loss("sgd"), AtLeast(0.0), arms=("sgd",)),
        Finding("S2", "Loss is negative.", "nowhere", last_loss("adam"), AtMost(-1.0), arms=("adam", "momentum")),
    ],
    figures={"Loss": curves("loss", y="log")},
    seed_block=4,
)
