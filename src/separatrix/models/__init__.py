"""Models: plain Equinox modules of one example; batch them with `jax.vmap`."""

from .batch_norm import BatchNorm, BatchStatistics
from .committee import CommitteeQuadratic, committee_weights
from .diagonal_linear import DiagonalLinear, unbalanced_diagonal
from .lazy_scale import LazyModel, LazyScale, trained_leaves
from .mlp import MLP, PairMLP, Scaled, lazy_learning_rate, scaled
from .norm_equivalence import HasPathNorm, balance_score, path_norm
from .parametrisation import (
    LayerScale,
    ParametrisedMLP,
    mean_field_parametrisation,
    mup_parametrisation,
    ntk_parametrisation,
    scale_by_layer,
    standard_parametrisation,
)
from .plain_transformer import Auxiliary, PlainAttention, PlainTransformer
from .quadratic_mlp import (
    BatchNormMLP,
    PreactivationDropout,
    QuadraticMLP,
    batch_norm_evaluate,
    batch_norm_forward,
    modular_addition_teacher,
)
from .transformer import OneLayerTransformer, SelfAttention
from .two_layer_relu import TwoLayerReLU

__all__ = [
    "MLP",
    "Auxiliary",
    "BatchNorm",
    "BatchNormMLP",
    "BatchStatistics",
    "CommitteeQuadratic",
    "DiagonalLinear",
    "HasPathNorm",
    "LayerScale",
    "LazyModel",
    "LazyScale",
    "OneLayerTransformer",
    "PairMLP",
    "ParametrisedMLP",
    "PlainAttention",
    "PlainTransformer",
    "PreactivationDropout",
    "QuadraticMLP",
    "Scaled",
    "SelfAttention",
    "TwoLayerReLU",
    "balance_score",
    "batch_norm_evaluate",
    "batch_norm_forward",
    "committee_weights",
    "lazy_learning_rate",
    "mean_field_parametrisation",
    "modular_addition_teacher",
    "mup_parametrisation",
    "ntk_parametrisation",
    "path_norm",
    "scale_by_layer",
    "scaled",
    "standard_parametrisation",
    "trained_leaves",
    "unbalanced_diagonal",
]
