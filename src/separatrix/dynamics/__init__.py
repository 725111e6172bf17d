"""The learning of dynamics: models of things that move, and what can be said of them.

Names are imported on first use, so that a part does not pay for the others.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "AdaptiveAlpha": "forcing_strength",
    "AttractorReconstructor": "reconstructor",
    "ConditionPenalty": "reconstruction_penalties",
    "ControlAffineLibrary": "function_library",
    "Cycles": "piecewise_cycles",
    "DeterminismTest": "chaos_tests",
    "Diagnosis": "diagnosis",
    "FourierLibrary": "symbolic_regression",
    "LatentPenalty": "reconstruction_penalties",
    "Law": "symbolic_regression",
    "ManifoldAttractorPenalty": "reconstruction_penalties",
    "MeasuredSeries": "measured_table",
    "PolynomialLibrary": "function_library",
    "Reconstruction": "reconstruction",
    "ReconstructionState": "reconstruction",
    "Recovery": "symbolic_regression",
    "ResampledTraining": "importance_resampling",
    "SeriesSet": "classification_series",
    "SparseFlow": "sparse_flow",
    "SparseForcing": "reconstruction",
    "Standardised": "recordings",
    "TrainedAutoencoder": "surrogate_transfer",
    "TrainedMap": "generation",
    "Window": "windows",
    "Windows": "windows",
    "amplitude_adjusted": "chaos_tests",
    "arithmetic_mean": "forcing_strength",
    "batch_maximum": "forcing_strength",
    "code_features": "surrogate_transfer",
    "constant_forcing": "reconstruction",
    "cycles": "piecewise_cycles",
    "decaying_radam": "reconstruction",
    "determinism_test": "chaos_tests",
    "diagnose": "diagnosis",
    "digit_rows": "classification_series",
    "estimate_alpha": "forcing_strength",
    "explog": "forcing_strength",
    "fit_dsr": "symbolic_regression",
    "fit_law": "symbolic_regression",
    "fit_pysr": "symbolic_regression",
    "fit_sparse_flow": "sparse_flow",
    "fixed_points": "piecewise_cycles",
    "forced_rollout": "forcing",
    "free_orbits": "reconstruction_scores",
    "full": "forcing",
    "generate": "generation",
    "gtf": "forcing",
    "held_out_forecasts": "forecast_origins",
    "importance_probabilities": "importance_resampling",
    "importance_resample": "importance_resampling",
    "jacobian_products": "reconstruction",
    "jacobian_upper_bound": "forcing_strength",
    "law_score": "symbolic_regression",
    "load_recording": "recordings",
    "load_series_set": "classification_series",
    "lyapunov_of_map": "generation",
    "optimal_alpha": "forcing_strength",
    "orbit_scores": "reconstruction_scores",
    "packaged_sets": "classification_series",
    "product_upper_bound": "forcing_strength",
    "read_table": "measured_table",
    "recovery": "symbolic_regression",
    "resampled_training": "importance_resampling",
    "ridge_accuracy": "surrogate_transfer",
    "series_features": "feature_set",
    "short_errors": "reconstruction_scores",
    "significant_frequency": "surrogate_transfer",
    "sparse": "forcing",
    "sparse_weights": "forcing",
    "spectral_norms": "forcing_strength",
    "standardised": "recordings",
    "stlsq": "sparse_regression",
    "surrogate_series": "surrogate_transfer",
    "train_autoencoder": "surrogate_transfer",
    "training_log": "reconstruction",
    "unforced": "forcing",
    "warm_up": "generation",
    "windows_of": "windows",
    "zero_one_test": "chaos_tests",
}

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "AdaptiveAlpha",
    "AttractorReconstructor",
    "ConditionPenalty",
    "ControlAffineLibrary",
    "Cycles",
    "DeterminismTest",
    "Diagnosis",
    "FourierLibrary",
    "LatentPenalty",
    "Law",
    "ManifoldAttractorPenalty",
    "MeasuredSeries",
    "PolynomialLibrary",
    "Reconstruction",
    "ReconstructionState",
    "Recovery",
    "ResampledTraining",
    "SeriesSet",
    "SparseFlow",
    "SparseForcing",
    "Standardised",
    "TrainedAutoencoder",
    "TrainedMap",
    "Window",
    "Windows",
    "amplitude_adjusted",
    "arithmetic_mean",
    "batch_maximum",
    "code_features",
    "constant_forcing",
    "cycles",
    "decaying_radam",
    "determinism_test",
    "diagnose",
    "digit_rows",
    "estimate_alpha",
    "explog",
    "fit_dsr",
    "fit_law",
    "fit_pysr",
    "fit_sparse_flow",
    "fixed_points",
    "forced_rollout",
    "free_orbits",
    "full",
    "generate",
    "gtf",
    "held_out_forecasts",
    "importance_probabilities",
    "importance_resample",
    "jacobian_products",
    "jacobian_upper_bound",
    "law_score",
    "load_recording",
    "load_series_set",
    "lyapunov_of_map",
    "optimal_alpha",
    "orbit_scores",
    "packaged_sets",
    "product_upper_bound",
    "read_table",
    "recovery",
    "resampled_training",
    "ridge_accuracy",
    "series_features",
    "short_errors",
    "significant_frequency",
    "sparse",
    "sparse_weights",
    "spectral_norms",
    "standardised",
    "stlsq",
    "surrogate_series",
    "train_autoencoder",
    "training_log",
    "unforced",
    "warm_up",
    "windows_of",
    "zero_one_test",
]

if TYPE_CHECKING:
    from .chaos_tests import DeterminismTest, amplitude_adjusted, determinism_test, zero_one_test
    from .classification_series import SeriesSet, digit_rows, load_series_set, packaged_sets
    from .diagnosis import Diagnosis, diagnose
    from .feature_set import series_features
    from .forcing import forced_rollout, full, gtf, sparse, sparse_weights, unforced
    from .forcing_strength import (
        AdaptiveAlpha,
        arithmetic_mean,
        batch_maximum,
        estimate_alpha,
        explog,
        jacobian_upper_bound,
        optimal_alpha,
        product_upper_bound,
        spectral_norms,
    )
    from .forecast_origins import held_out_forecasts
    from .function_library import ControlAffineLibrary, PolynomialLibrary
    from .generation import TrainedMap, generate, lyapunov_of_map, warm_up
    from .importance_resampling import (
        ResampledTraining,
        importance_probabilities,
        importance_resample,
        resampled_training,
    )
    from .measured_table import MeasuredSeries, read_table
    from .piecewise_cycles import Cycles, cycles, fixed_points
    from .reconstruction import (
        Reconstruction,
        ReconstructionState,
        SparseForcing,
        constant_forcing,
        decaying_radam,
        jacobian_products,
        training_log,
    )
    from .reconstruction_penalties import ConditionPenalty, LatentPenalty, ManifoldAttractorPenalty
    from .reconstruction_scores import free_orbits, orbit_scores, short_errors
    from .reconstructor import AttractorReconstructor
    from .recordings import Standardised, load_recording, standardised
    from .sparse_flow import SparseFlow, fit_sparse_flow
    from .sparse_regression import stlsq
    from .surrogate_transfer import (
        TrainedAutoencoder,
        code_features,
        ridge_accuracy,
        significant_frequency,
        surrogate_series,
        train_autoencoder,
    )
    from .symbolic_regression import FourierLibrary, Law, Recovery, fit_dsr, fit_law, fit_pysr, law_score, recovery
    from .windows import Window, Windows, windows_of


def __getattr__(name: str) -> Any:
    if name in ("forecasting", "koopman"):  # parts with names of their own
        return importlib.import_module(f"separatrix.dynamics.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'separatrix.dynamics' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"separatrix.dynamics.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
