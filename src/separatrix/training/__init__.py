"""The dynamics of learning: losses, transforms and probes for any logits, pytrees and optax chains."""

from .alignment import nlm_alignment, weight_norm
from .cross_entropy import (
    log_softmax,
    mask_correct_class,
    softmax_cross_entropy,
)
from .health import (
    collapse_mask,
    logit_scale,
    softmax_collapse,
    zero_loss_fraction,
)
from .perpendicular import perp_grad, with_state_dtype
from .probes import accuracy, collapse, norms, weight_alignment
from .stable_softmax import (
    log_stablemax,
    stablemax,
    stablemax_cross_entropy,
)
from .supervised import (
    Batch,
    Supervised,
    SupervisedState,
    mask_correct_class_gradient,
    vmapped,
)

__all__ = [
    "Batch",
    "Supervised",
    "SupervisedState",
    "accuracy",
    "collapse",
    "collapse_mask",
    "log_softmax",
    "log_stablemax",
    "logit_scale",
    "mask_correct_class",
    "mask_correct_class_gradient",
    "nlm_alignment",
    "norms",
    "perp_grad",
    "softmax_collapse",
    "softmax_cross_entropy",
    "stablemax",
    "stablemax_cross_entropy",
    "vmapped",
    "weight_alignment",
    "weight_norm",
    "with_state_dtype",
    "zero_loss_fraction",
]
