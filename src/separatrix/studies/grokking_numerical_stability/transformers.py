"""Arms with a transformer of one layer."""

import functools
from dataclasses import replace

import jax
import optax

from separatrix.models.transformer import OneLayerTransformer
from separatrix.study.arms import cadence
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.perpendicular import perp_grad
from separatrix.training.probes import accuracy, norms

from .settings import Settings
from .training import train


def transformer(s: Settings, keys, optimiser):
    """One-layer transformer on tokens of subtraction, as in the paper's Fig. 6."""
    steps = s.transformer_steps
    return train(
        replace(s, operation="subtract"),
        keys,
        loss=functools.partial(softmax_cross_entropy, precision="float32"),
        optimiser=optimiser,
        fraction=s.perp_fraction,
        steps=steps,
        probes=[accuracy(cadence(steps, 300)), norms(cadence(steps, 300))],
        encoding="tokens",
        model=lambda key: OneLayerTransformer(key, s.p + 2, s.p, width=s.transformer_width),
        forward=with_dropout,
    )


def with_dropout(model, tokens, key):
    """Apply the transformer with one dropout key an example; without dropout when there is no key."""
    if key is None:
        return jax.vmap(model)(tokens)
    return jax.vmap(model)(tokens, jax.random.split(key, len(tokens)))


def transformer_perp_adamw(s: Settings, keys):
    """One-layer transformer with perpAdamW."""
    plain = lambda s: optax.adamw(s.transformer_rate, weight_decay=0.0)  # noqa: E731
    return transformer(s, keys, lambda s: optax.chain(perp_grad(), plain(s)))


def transformer_adamw(s: Settings, keys):
    """One-layer transformer with AdamW without weight decay."""
    return transformer(s, keys, lambda s: optax.adamw(s.transformer_rate, weight_decay=0.0))


def transformer_adamw_decay(s: Settings, keys):
    """One-layer transformer with AdamW and weight decay."""
    return transformer(s, keys, lambda s: optax.adamw(s.transformer_rate, weight_decay=s.transformer_decay))
