"""The pictures of `maps.md` and the numbers that it states: `python docs/make_figures.py [grokking|trainability]`.

Each takes a few minutes on two cores. The points of the first are kept in `runs/`, so that it goes on where it was.
"""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from separatrix import FullBatch, info_probe, replace
from separatrix.models import MLP
from separatrix.numerics import Axis, process_regime, trace_boundary
from separatrix.study.figures import save
from separatrix.study.regime_map import draw_map, map_folder, map_regime, parse_ranges
from separatrix.study.settings import with_overrides
from separatrix.study.study import find_study
from separatrix.training import Batch, Supervised

FIGURES = Path(__file__).parent / "figures"


def grokking():
    """Where gradient descent groks: output scale against learning rate."""
    study = find_study("grokking-lazy-to-rich")
    settings = with_overrides(study.presets["default"], ["steps=3000"])
    ranges = parse_ranges(study, settings, "alpha=0.05:5:log,rate=0.25:32:log")
    folder = map_folder("runs", study, settings, "groks", {"ranges": ranges, "preset": "default"})
    return map_regime(study, settings, "groks", ranges, folder, resolution=128)


def trainability():
    """Where gradient descent with a learning rate for each of two layers lowers the loss."""
    network = Supervised(
        model=lambda key: MLP(key, (8, 16, 1), activation=jnp.tanh),
        loss=lambda outputs, targets: jnp.sum((outputs - targets) ** 2, axis=-1),
        optimiser=optax.sgd(1.0),  # the map's rates replace it
        stream=FullBatch(Batch(jr.normal(jr.key(1), (64, 8)), jr.normal(jr.key(2), (64, 1)))),
    )

    def with_rates(process, rates):
        layers = lambda model: eqx.tree_at(lambda m: m.weights, model, ("first_rate", "second_rate"))  # noqa: E731
        return replace(optimiser=optax.partition({name: optax.sgd(r) for name, r in rates.items()}, layers))(process)

    def diverges(run):
        return ~(run.records["loss"][..., -1] < run.records["loss"][..., 0])

    loss = info_probe("loss", every=75)
    regime = process_regime(network, 300, diverges, vary=with_rates, probes=[loss], block=128)
    axes = {"first_rate": Axis(0.1, 1_000, log=True), "second_rate": Axis(0.03, 3, log=True)}
    found = trace_boundary(regime, axes, jr.key(0), resolution=256, coarse=16)
    return found.assign_attrs(claim="gradient descent diverges")


def main(names):
    """Trace, draw and report each map."""
    for name in names or ("grokking", "trainability"):
        found = {"grokking": grokking, "trainability": trainability}[name]()
        save(draw_map(found), FIGURES / f"map-{name}.png")
        runs, uniform = found.attrs["runs"], found.attrs["uniform_runs"]
        print(f"{name}: {runs:,} runs, uniform grid {uniform:,} ({uniform / runs:.1f}x), {found.sizes['cell']} cells")
        jax.clear_caches()


if __name__ == "__main__":
    main(sys.argv[1:])
