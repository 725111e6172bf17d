"""Models: plain Equinox modules of one example; batch them with `jax.vmap`."""

from .batch_norm import BatchNorm, BatchStatistics
from .committee import CommitteeQuadratic, committee_weights
from .convolution import Convolution, convolve
from .convolutional_autoencoder import ConvolutionalAutoencoder
from .dendritic_plrnn import ClippedDendPLRNN, DendPLRNN
from .diagonal_linear import DiagonalLinear, unbalanced_diagonal
from .heads import HIDDEN_LOGIT, MaskedHead, MultiHead, SharedHead, expanding_head, mask_logits
from .lazy_scale import LazyModel, LazyScale, trained_leaves
from .mlp import MLP, PairMLP, Scaled, lazy_learning_rate, scaled
from .nbeats import NBeats
from .neural_ode import NeuralODEStep, runge_kutta
from .norm_equivalence import HasPathNorm, balance_score, path_norm
from .observation_models import AffineObservation, IdentityObservation
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
from .plrnn import PLRNN, MeanCentredPLRNN
from .quadratic_mlp import (
    BatchNormMLP,
    PreactivationDropout,
    QuadraticMLP,
    batch_norm_evaluate,
    batch_norm_forward,
    modular_addition_teacher,
)
from .recurrent_steps import GRUStep, LSTMStep
from .reservoir import EchoState, fit_echo_state
from .series_lstm import SeriesLSTM
from .series_transformer import SeriesTransformer
from .shallow_plrnn import ClippedShallowPLRNN, ShallowPLRNN
from .slim_resnet import SlimResNet18
from .temporal_convolution import TemporalConvolution, causal_convolution
from .transformer import OneLayerTransformer, SelfAttention
from .two_layer_relu import TwoLayerReLU

__all__ = [
    "HIDDEN_LOGIT",
    "MLP",
    "PLRNN",
    "AffineObservation",
    "Auxiliary",
    "BatchNorm",
    "BatchNormMLP",
    "BatchStatistics",
    "ClippedDendPLRNN",
    "ClippedShallowPLRNN",
    "CommitteeQuadratic",
    "Convolution",
    "ConvolutionalAutoencoder",
    "DendPLRNN",
    "DiagonalLinear",
    "EchoState",
    "GRUStep",
    "HasPathNorm",
    "IdentityObservation",
    "LSTMStep",
    "LayerScale",
    "LazyModel",
    "LazyScale",
    "MaskedHead",
    "MeanCentredPLRNN",
    "MultiHead",
    "NBeats",
    "NeuralODEStep",
    "OneLayerTransformer",
    "PairMLP",
    "ParametrisedMLP",
    "PlainAttention",
    "PlainTransformer",
    "PreactivationDropout",
    "QuadraticMLP",
    "Scaled",
    "SelfAttention",
    "SeriesLSTM",
    "SeriesTransformer",
    "ShallowPLRNN",
    "SharedHead",
    "SlimResNet18",
    "TemporalConvolution",
    "TwoLayerReLU",
    "balance_score",
    "batch_norm_evaluate",
    "batch_norm_forward",
    "causal_convolution",
    "committee_weights",
    "convolve",
    "expanding_head",
    "fit_echo_state",
    "lazy_learning_rate",
    "mask_logits",
    "mean_field_parametrisation",
    "modular_addition_teacher",
    "mup_parametrisation",
    "ntk_parametrisation",
    "path_norm",
    "runge_kutta",
    "scale_by_layer",
    "scaled",
    "standard_parametrisation",
    "trained_leaves",
    "unbalanced_diagonal",
]
