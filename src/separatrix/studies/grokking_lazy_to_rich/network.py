"""Arms on the network itself, beside its closed dynamics and its limit of infinite width."""

import jax
import numpy as np
import optax
import xarray as xr

from separatrix._core.keys import named_key
from separatrix._core.probe import info_probe
from separatrix._core.run import run
from separatrix._core.stream import FullBatch
from separatrix.data.teachers import single_index_data
from separatrix.models.committee import CommitteeQuadratic
from separatrix.models.lazy_scale import LazyModel
from separatrix.models.mlp import lazy_learning_rate
from separatrix.study.sweep import first_point
from separatrix.training.committee_dmft import dmft_committee
from separatrix.training.committee_theory import committee_statistics
from separatrix.training.supervised import Batch, Supervised

from .committee import committee
from .settings import Settings


def half_squared(outputs, targets):
    """Half the squared error of one-number outputs."""
    return (outputs - targets) ** 2 / 2


def network(s: Settings, keys):
    """The network of N neurons beside its closed dynamics, from the same initial weights."""
    s = first_point(s)
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
