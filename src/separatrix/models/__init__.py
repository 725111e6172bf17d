"""Models: plain Equinox modules of one example; batch them with `jax.vmap`."""

from .mlp import MLP, PairMLP, Scaled, lazy_learning_rate, scaled
from .transformer import OneLayerTransformer, SelfAttention

__all__ = ["MLP", "OneLayerTransformer", "PairMLP", "Scaled", "SelfAttention", "lazy_learning_rate", "scaled"]
