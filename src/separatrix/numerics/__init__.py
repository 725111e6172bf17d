"""Numerics that serve both halves: Lyapunov exponents, exact rounding."""

from .boundary import Axis, process_regime, trace_boundary
from .curvature_noise import estimate_non_uniformity
from .gauss_newton import SharpnessSummary, estimate_sharpness, gauss_newton_kernel, sharpness_summary
from .independence import centre_kernel, gaussian_kernel, hsic, hsic_rff, median_bandwidth, random_fourier_features
from .kernel_fit import TaskPower, kernel_difficulty, kernel_regression, task_power
from .kernel_similarity import centered_kernel_alignment, kernel_alignment, kernel_cosine
from .kernels import empirical_ntk, ntk_distance, parameter_displacement
from .lanczos import Eigenpairs, Tridiagonal, eigenpairs, tridiagonalise
from .lanczos_quadrature import SpectralDensity, spectral_density, spectral_function_trace, spectral_nodes
from .lyapunov import (
    LyapunovSpectrum,
    Tangent,
    leading_exponent,
    lyapunov_spectrum,
)
from .operators import CurvatureOperator, empirical_fisher_operator, gauss_newton_operator, hessian_operator
from .per_example import per_example_gradients, per_example_jacobians, per_example_losses
from .rounding import pairwise_sum, round_to
from .sharpness_measures import (
    Sharpness,
    adam_preconditioner,
    frobenius_norm,
    hessian_trace,
    preconditioned_sharpness,
    sharpness,
    stability_limit,
)
from .trace_estimators import Estimate, hutch_pp_trace, hutchinson_diagonal, hutchinson_trace, xtrace

__all__ = [
    "Axis",
    "CurvatureOperator",
    "Eigenpairs",
    "Estimate",
    "LyapunovSpectrum",
    "Sharpness",
    "SharpnessSummary",
    "SpectralDensity",
    "Tangent",
    "TaskPower",
    "Tridiagonal",
    "adam_preconditioner",
    "centered_kernel_alignment",
    "centre_kernel",
    "eigenpairs",
    "empirical_fisher_operator",
    "empirical_ntk",
    "estimate_non_uniformity",
    "estimate_sharpness",
    "frobenius_norm",
    "gauss_newton_kernel",
    "gauss_newton_operator",
    "gaussian_kernel",
    "hessian_operator",
    "hessian_trace",
    "hsic",
    "hsic_rff",
    "hutch_pp_trace",
    "hutchinson_diagonal",
    "hutchinson_trace",
    "kernel_alignment",
    "kernel_cosine",
    "kernel_difficulty",
    "kernel_regression",
    "leading_exponent",
    "lyapunov_spectrum",
    "median_bandwidth",
    "ntk_distance",
    "pairwise_sum",
    "parameter_displacement",
    "per_example_gradients",
    "per_example_jacobians",
    "per_example_losses",
    "preconditioned_sharpness",
    "process_regime",
    "random_fourier_features",
    "round_to",
    "sharpness",
    "sharpness_summary",
    "spectral_density",
    "spectral_function_trace",
    "spectral_nodes",
    "stability_limit",
    "task_power",
    "trace_boundary",
    "tridiagonalise",
    "xtrace",
]
