"""Arms on sparse parity."""

import functools

import jax
import optax

from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix.data.parity import sparse_parity
from separatrix.models.mlp import MLP
from separatrix.study.arms import cadence
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.probes import accuracy, collapse, norms
from separatrix.training.supervised import Supervised

from .collapse import stable_loss
from .settings import Settings
from .training import batches


def parity(s: Settings, keys, loss):
    """Parity of three bits among noise bits."""
    n = 3 + s.parity_noise
    optimiser = optax.adamw(s.parity_rate, b1=0.9, b2=0.999, eps=1e-18, weight_decay=0.0)
    model = lambda key: MLP(key, (n, s.width, s.width, 2))  # noqa: E731
    often = cadence(s.parity_steps, 300)
    with jax.enable_x64():
        processes = [
            Supervised(
                model=model,
                loss=loss,
                optimiser=optimiser,
                **batches(sparse_parity(named_key(key, "data"), n, 3, s.parity_samples, 0.5)),
            )
            for key in keys
        ]
        probes = [accuracy(often), collapse("float32", often), norms(often)]
        return run(processes, keys, s.parity_steps, probes=probes).records.to_dataset()


def parity_stablemax(s: Settings, keys):
    """Sparse parity with StableMax cross-entropy."""
    return parity(s, keys, stable_loss)


def parity_softmax(s: Settings, keys):
    """Sparse parity with cross-entropy in float32."""
    return parity(s, keys, functools.partial(softmax_cross_entropy, precision="float32"))
