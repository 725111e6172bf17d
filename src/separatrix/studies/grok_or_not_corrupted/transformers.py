"""Arms with a transformer of one layer."""

import functools

import equinox as eqx

from separatrix._core.run import run
from separatrix._core.stream import FullBatch
from separatrix.models.plain_transformer import PlainTransformer
from separatrix.study.arms import cadence
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.label_noise import noisy_accuracy
from separatrix.training.supervised import Supervised, vmapped

from .corrupted import corrupted_task, with_corruption
from .network import adamw
from .settings import Settings

cross_entropy = functools.partial(softmax_cross_entropy, precision="float32")


class Transformer(eqx.Module):
    """Builds the transformer from a key."""

    p: int = eqx.field(static=True)
    width: int = eqx.field(static=True)

    def __call__(self, key):
        """Draw the weights."""
        return PlainTransformer(key, self.p, self.p, width=self.width)


def transformer_arm(s: Settings, keys, corruption):
    """One-layer transformer with cross-entropy and weight decay."""

    def build(key):
        data, held_out = corrupted_task(s, key, s.train_fraction, corruption)
        return Supervised(
            model=Transformer(s.p, s.transformer_width),
            loss=cross_entropy,
            optimiser=adamw(s.rate, s.transformer_decay),
            stream=FullBatch(data),
            held_out=held_out,
            forward=vmapped,
        )

    probes = [noisy_accuracy(cadence(s.transformer_steps, 50))]
    return with_corruption(run(build, keys, s.transformer_steps, probes=probes).records, [], corruption, s.p)


def transformer(s: Settings, keys):
    """One-layer transformer on clean labels."""
    return transformer_arm(s, keys, 0.0)


def transformer_corrupted(s: Settings, keys):
    """One-layer transformer on corrupted labels."""
    return transformer_arm(s, keys, s.corruption)
