"""The dynamics of learning: losses, transforms and probes for any logits, pytrees and optax chains."""

from .alignment import nlm_alignment, weight_norm
from .committee_dmft import CommitteeField, dmft_committee
from .committee_dynamics import CommitteeDynamics, CommitteeState, committee_tangent, loss_terms
from .committee_theory import (
    CommitteeStatistics,
    LossTerms,
    committee_kernel,
    committee_loss_terms,
    committee_output,
    committee_statistics,
)
from .corruption_grid import CorruptedTable, WeightedLoss, WeightedTargets, phase_diagram, table_accuracy
from .cross_entropy import (
    log_softmax,
    mask_correct_class,
    softmax_cross_entropy,
)
from .curvature_probes import (
    hessian_norm_probe,
    hessian_trace_probe,
    loss_scaled_trace_probe,
    preconditioned_sharpness_probe,
    sharpness_probe,
    spectral_density_probe,
)
from .escape import escape_time
from .grokking_metrics import GrokkingDelay, grokking_delay
from .health import (
    collapse_mask,
    logit_scale,
    softmax_collapse,
    zero_loss_fraction,
)
from .label_noise import NoisyBatch, clean_accuracy, corrupted_accuracy, neuron_scores, noisy_accuracy, pruned_accuracy
from .periodicity import constant_share, gini, inverse_participation_ratio, neuron_periodicity, primitive_root_powers
from .perpendicular import perp_grad, with_state_dtype
from .phases import PHASES, TwoStages, classify_phase, two_stage_times
from .probes import accuracy, collapse, norms, weight_alignment
from .pruning import kept_neurons, mask_hidden_layer, prune_neurons, pruning_curve
from .regression_loss import half_squared_error, regression_errors
from .running_statistics import StatisticsState, SupervisedWithStatistics
from .second_moment import LinearisedSGD, simulated_growth
from .sgd_stability import (
    MomentMap,
    mean_square_radius,
    mean_square_threshold,
    mean_square_threshold_by_power,
    sampling_noise,
    sgd_moment_map,
)
from .sharpness_tracking import track_sharpness
from .squared_error import one_hot_squared_error
from .stability_bounds import (
    gd_threshold,
    loss_stability_threshold,
    noise_alignment,
    non_uniformity,
    one_step_threshold,
    rayleigh_threshold,
    trace_threshold,
)
from .stability_notions import is_linearly_stable, sgd_stability_threshold
from .stability_probes import curvature_noise, gauss_newton_estimates, gauss_newton_sharpness, noise_trace, path_norms
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
from .tangent_probes import laziness, lazy_start, losses, tangent_alignment
from .traced_optimiser import Traced, traced

__all__ = [
    "PHASES",
    "Batch",
    "CommitteeDynamics",
    "CommitteeField",
    "CommitteeState",
    "CommitteeStatistics",
    "CorruptedTable",
    "GrokkingDelay",
    "LinearisedSGD",
    "LossTerms",
    "MomentMap",
    "NoisyBatch",
    "StatisticsState",
    "Supervised",
    "SupervisedState",
    "SupervisedWithStatistics",
    "Traced",
    "TwoStages",
    "WeightedLoss",
    "WeightedTargets",
    "accuracy",
    "classify_phase",
    "clean_accuracy",
    "collapse",
    "collapse_mask",
    "committee_kernel",
    "committee_loss_terms",
    "committee_output",
    "committee_statistics",
    "committee_tangent",
    "constant_share",
    "corrupted_accuracy",
    "curvature_noise",
    "dmft_committee",
    "escape_time",
    "gauss_newton_estimates",
    "gauss_newton_sharpness",
    "gd_threshold",
    "gini",
    "grokking_delay",
    "half_squared_error",
    "hessian_norm_probe",
    "hessian_trace_probe",
    "inverse_participation_ratio",
    "is_linearly_stable",
    "kept_neurons",
    "laziness",
    "lazy_start",
    "log_softmax",
    "log_stablemax",
    "logit_scale",
    "loss_scaled_trace_probe",
    "loss_stability_threshold",
    "loss_terms",
    "losses",
    "mask_correct_class",
    "mask_correct_class_gradient",
    "mask_hidden_layer",
    "mean_square_radius",
    "mean_square_threshold",
    "mean_square_threshold_by_power",
    "neuron_periodicity",
    "neuron_scores",
    "nlm_alignment",
    "noise_alignment",
    "noise_trace",
    "noisy_accuracy",
    "non_uniformity",
    "norms",
    "one_hot_squared_error",
    "one_step_threshold",
    "path_norms",
    "perp_grad",
    "phase_diagram",
    "preconditioned_sharpness_probe",
    "primitive_root_powers",
    "prune_neurons",
    "pruned_accuracy",
    "pruning_curve",
    "rayleigh_threshold",
    "regression_errors",
    "sampling_noise",
    "sgd_moment_map",
    "sgd_stability_threshold",
    "sharpness_probe",
    "simulated_growth",
    "softmax_collapse",
    "softmax_cross_entropy",
    "spectral_density_probe",
    "stablemax",
    "stablemax_cross_entropy",
    "table_accuracy",
    "tangent_alignment",
    "trace_threshold",
    "traced",
    "track_sharpness",
    "two_stage_times",
    "vmapped",
    "weight_alignment",
    "weight_norm",
    "with_state_dtype",
    "zero_loss_fraction",
]
