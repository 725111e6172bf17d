"""Arms on the gradient orthogonal to the weights."""

import functools

import optax

from separatrix.study.arms import cadence
from separatrix.study.sweep import first_point
from separatrix.training.cross_entropy import softmax_cross_entropy
from separatrix.training.perpendicular import perp_grad
from separatrix.training.probes import accuracy, norms
from separatrix.training.supervised import mask_correct_class_gradient

from .collapse import stable_loss
from .settings import Settings
from .training import mlp, train


def perp_arm(s: Settings, keys, optimiser, steps, **how):
    """The setting of the perpGrad comparison, measured after every step."""
    loss = functools.partial(softmax_cross_entropy, precision="float32")
    probes = [accuracy(cadence(steps, 400)), norms(cadence(steps, 400))]
    how = {"fraction": s.perp_fraction, "steps": steps, "probes": probes, **how}
    return train(s, keys, loss=loss, optimiser=optimiser, **how)


def perp_optimiser(s: Settings):
    """AdamW without decay on gradients orthogonal to the weights."""
    return optax.chain(perp_grad(), optax.adamw(s.perp_rate, weight_decay=0.0))


def perp_adamw(s: Settings, keys):
    """AdamW on gradients made orthogonal to the weights of each tensor (perpGrad)."""
    return perp_arm(s, keys, perp_optimiser, s.perp_steps)


def adamw(s: Settings, keys):
    """AdamW without weight decay."""
    return perp_arm(s, keys, lambda s: optax.adamw(s.perp_rate, weight_decay=0.0), s.perp_steps)


def adamw_decay(s: Settings, keys):
    """AdamW with weight decay, the usual cure."""
    return perp_arm(s, keys, lambda s: optax.adamw(s.perp_rate, weight_decay=s.decay), s.decay_steps)


def sgd_arm(s: Settings, keys, *first):
    """SGD with momentum on the StableMax loss, in float64, as the authors run it (Fig. 6)."""
    steps = s.sgd_steps
    return train(
        s,
        keys,
        loss=stable_loss,
        optimiser=lambda s: optax.chain(*first, optax.sgd(s.sgd_rate, momentum=s.sgd_momentum)),
        fraction=s.perp_fraction,
        steps=steps,
        probes=[accuracy(cadence(steps, 400)), norms(cadence(steps, 400))],
        model=functools.partial(mlp, first_point(s), dtype="float64"),
    )


def perp_sgd(s: Settings, keys):
    """SGD with momentum on gradients made orthogonal to the weights (perpSGD), with StableMax in float64."""
    return sgd_arm(s, keys, perp_grad())


def sgd(s: Settings, keys):
    """SGD with momentum, with StableMax in float64."""
    return sgd_arm(s, keys)


def perp_adamw_masked(s: Settings, keys):
    """AdamW with perpGrad whose correct-class gradient is removed by hand once training begins to fit."""
    return perp_arm(s, keys, perp_optimiser, s.perp_steps, change=mask_correct_class_gradient(s.mask_from))
