"""Arms on other systems of the paper: outputs scaled and centred, learning rate over alpha^2; and the phase diagram."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import xarray as xr

from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.schedule import log_spaced
from separatrix._core.stream import FullBatch
from separatrix.data.images import digits, fashion_mnist
from separatrix.data.modular import modular_arithmetic
from separatrix.models.lazy_scale import LazyModel
from separatrix.models.mlp import MLP, PairMLP, lazy_learning_rate
from separatrix.models.transformer import OneLayerTransformer
from separatrix.training.committee_dynamics import loss_terms
from separatrix.training.grokking_metrics import grokking_delay
from separatrix.training.supervised import Batch, Supervised
from separatrix.training.tangent_probes import laziness, losses

from .committee import committee, grid_of
from .settings import FITTED, TARGET_POWER, Settings


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
