"""Arms on Softmax Collapse: precision, losses that cannot collapse, and codes of the inputs."""

import functools
from dataclasses import replace

import optax

from separatrix.data.modular import Encoding
from separatrix.models.mlp import MLP, lazy_learning_rate
from separatrix.study.arms import cadence
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.probes import accuracy, collapse, norms, weight_alignment
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.stable_softmax import stablemax_cross_entropy

from .settings import Settings
from .training import train


def collapse_arm(s: Settings, keys, loss, precision="float32", **how):
    """The setting in which collapse is studied: AdamW without decay, with probes of what happens to the softmax."""
    steps = how.setdefault("steps", s.steps)
    often = cadence(steps, 300)
    probes = [accuracy(often), collapse(precision, often), norms(often), weight_alignment(often)]
    how = {"fraction": s.fraction, "optimiser": adamw_without_decay, "probes": probes, **how}
    return train(s, keys, loss=loss, **how)


def adamw_without_decay(s: Settings):
    """The optimiser of the softmax arms."""
    rate = lazy_learning_rate(s.rate, s.output_scale)
    return optax.adamw(rate, b1=0.9, b2=s.b2, eps=s.epsilon, weight_decay=0.0)


def stable_adamw(s: Settings):
    """The optimiser of the losses that cannot collapse."""
    rate = lazy_learning_rate(s.stable_rate, s.output_scale)
    return optax.adamw(rate, b1=0.9, b2=s.stable_b2, eps=s.epsilon, weight_decay=0.0)


def softmax(s: Settings, keys, precision):
    """Cross-entropy whose softmax is computed in the given precision; the network is in float32."""
    return collapse_arm(s, keys, functools.partial(softmax_cross_entropy, precision=precision), precision)


def softmax_float16(s: Settings, keys):
    """Cross-entropy with the softmax in float16."""
    return softmax(s, keys, "float16")


def softmax_float32(s: Settings, keys):
    """Cross-entropy with the softmax in float32, as everybody trains."""
    return softmax(s, keys, "float32")


def softmax_float64(s: Settings, keys):
    """Cross-entropy with the softmax in float64."""
    return softmax(s, keys, "float64")


def softmax_float64_long(s: Settings, keys):
    """Cross-entropy with the softmax in float64, at StableMax's learning rate and for as many steps (Fig. 1)."""
    loss = functools.partial(softmax_cross_entropy, precision="float64")
    how = {"steps": s.stable_steps, "optimiser": lambda s: stable_adamw(replace(s, stable_b2=s.b2))}
    return collapse_arm(s, keys, loss, "float64", **how)


stable_loss = functools.partial(stablemax_cross_entropy, dtype="float64")


def stablemax(s: Settings, keys):
    """StableMax cross-entropy: the softmax with a polynomial in place of the exponential."""
    return collapse_arm(s, keys, stable_loss, steps=s.stable_steps, optimiser=stable_adamw)


def squared_error(s: Settings, keys):
    """Mean squared error against one-hot targets: a loss without a softmax."""
    return collapse_arm(s, keys, one_hot_squared_error, steps=s.stable_steps, optimiser=stable_adamw)


def codes(s: Settings, keys, encoding: Encoding, bits: int):
    """Cross-entropy in float32 on distributed codes of the integers."""
    model = lambda key: MLP(key, (2 * bits, s.width, s.width, s.p))  # noqa: E731
    loss = functools.partial(softmax_cross_entropy, precision="float32")
    return collapse_arm(s, keys, loss, encoding=encoding, model=model)


def random_codes(s: Settings, keys):
    """Cross-entropy in float32 on a distinct random vector of 14 bits for each integer."""
    return codes(s, keys, "random_binary", 14)


def ordered_codes(s: Settings, keys):
    """Cross-entropy in float32 on the integers written in binary."""
    return codes(s, keys, "binary", (s.p - 1).bit_length())
