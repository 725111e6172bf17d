"""How every arm trains, and how often sharpness is measured."""

import numpy as np
import optax

from separatrix._core.intervention import replace
from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.schedule import log_spaced
from separatrix._core.stream import MiniBatches
from separatrix.training.regression_loss import half_squared_error, regression_errors
from separatrix.training.stability_probes import gauss_newton_sharpness, noise_trace, path_norms
from separatrix.training.supervised import Batch, Supervised


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
        clipped = optax.clip_by_global_norm(values.get("clip", clip))
        optimiser = optax.chain(clipped, optax.sgd(values.get("batch_rate", values["rate"])))  # of a sweep, or the grid
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
