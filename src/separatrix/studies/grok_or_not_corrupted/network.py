"""The network of two layers, and what is measured in it."""

import equinox as eqx
import jax.numpy as jnp
import optax

from separatrix.training.periodicity import neuron_periodicity, primitive_root_powers
from separatrix.training.traced_optimiser import traced


class Network(eqx.Module):
    """Builds the network from a key; equal ones compile once."""

    kind: type = eqx.field(static=True)
    p: int = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __call__(self, key):
        """Draw the weights."""
        return self.kind(key, self.p, self.width)


def adamw(rate, decay=0.0):
    """AdamW whose rate and decay are traced, so that one trace serves all of them."""
    return traced(optax.adamw, learning_rate=rate, b2=0.98, weight_decay=decay)


def periodicity(model):
    """Inverse participation ratio of each neuron."""
    return neuron_periodicity(model.first, model.second, model.readout)


def log_periodicity(model):
    """Inverse participation ratio of each neuron in the order of discrete logarithms, for multiplication."""
    order = primitive_root_powers(len(model.first))
    return neuron_periodicity(model.first[order], model.second[order], model.readout[:, order])


def net_periodicity(model):
    """Inverse participation ratio of each neuron under batch normalisation."""
    return periodicity(model.net)


def norm_scale(model):
    """How much batch normalisation lets each neuron through."""
    return jnp.abs(model.norm.scale)


IPR = {"long_name": "inverse participation ratio of a neuron"}
SCALE = {"long_name": "modulus of the scale of batch normalisation"}
