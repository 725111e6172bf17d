"""Arms on a few images, which a network fits long before it has learnt from more."""

import functools

from separatrix.data.images import digits, fashion_mnist
from separatrix.models.mlp import MLP
from separatrix.study.arms import cadence
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.probes import accuracy, collapse, norms

from .collapse import adamw_without_decay, stable_loss
from .settings import Settings
from .training import train


def images(s: Settings, keys, loss):
    """A few training images; others are held out."""
    load, pixels = {"digits": (digits, 64), "fashion-mnist": (fashion_mnist, 784)}[s.image_set]
    often = cadence(s.image_steps, 300)
    return train(
        s,
        keys,
        loss=loss,
        optimiser=adamw_without_decay,
        steps=s.image_steps,
        probes=[accuracy(often), collapse("float32", often), norms(often)],
        data=functools.partial(load, num_train=s.image_samples),
        model=lambda key: MLP(key, (pixels, s.width, s.width, 10)),
    )


def images_stablemax(s: Settings, keys):
    """A few images with StableMax cross-entropy."""
    return images(s, keys, stable_loss)


def images_softmax(s: Settings, keys):
    """A few images with cross-entropy in float32."""
    return images(s, keys, functools.partial(softmax_cross_entropy, precision="float32"))
