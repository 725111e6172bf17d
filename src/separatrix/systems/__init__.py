"""Dynamical systems: a catalogue of flows, delay systems and maps, their sampling, and their invariants."""

from .annotations import annotate, compare_annotations, recomputed_period
from .attractor_distance import attractor_limits, d_hellinger, d_stsp_binned, d_stsp_gmm, smoothed_spectrum
from .computed import computed_invariants
from .correlation_sums import CorrelationDimension, correlation_dimension
from .database import catalogue, get, system_from_text
from .delay_flow import DelayFlow, DelayState
from .ensembles import ensemble, make_split
from .entropies import fuzzy_entropy, multiscale_entropy, sample_entropy
from .exponents import kaplan_yorke, lyapunov, mean_divergence, pesin
from .expressions import Equations
from .facts import Facts
from .flow import Flow, lorenz63
from .forecast_error import (
    pointwise_nrmse,
    pointwise_smape,
    prediction_error,
    smape,
    valid_prediction_time,
)
from .maps import LinearMap, LogisticMap, Map
from .neighbour_exponent import NeighbourExponent, delay_embed, largest_exponent_from_data
from .sampling import simulate
from .series_files import read_series, write_series
from .solvers import Adaptive, FixedSteps, Implicit
from .spectra import DominantPeriod, dominant_period, phase_randomised, power_spectrum
from .state_samples import jitter_initial, jitter_parameters, sample_initial_conditions

__all__ = [
    "Adaptive",
    "CorrelationDimension",
    "DelayFlow",
    "DelayState",
    "DominantPeriod",
    "Equations",
    "Facts",
    "FixedSteps",
    "Flow",
    "Implicit",
    "LinearMap",
    "LogisticMap",
    "Map",
    "NeighbourExponent",
    "annotate",
    "attractor_limits",
    "catalogue",
    "compare_annotations",
    "computed_invariants",
    "correlation_dimension",
    "d_hellinger",
    "d_stsp_binned",
    "d_stsp_gmm",
    "delay_embed",
    "dominant_period",
    "ensemble",
    "fuzzy_entropy",
    "get",
    "jitter_initial",
    "jitter_parameters",
    "kaplan_yorke",
    "largest_exponent_from_data",
    "lorenz63",
    "lyapunov",
    "make_split",
    "mean_divergence",
    "multiscale_entropy",
    "pesin",
    "phase_randomised",
    "pointwise_nrmse",
    "pointwise_smape",
    "power_spectrum",
    "prediction_error",
    "read_series",
    "recomputed_period",
    "sample_entropy",
    "sample_initial_conditions",
    "simulate",
    "smape",
    "smoothed_spectrum",
    "system_from_text",
    "valid_prediction_time",
    "write_series",
]
