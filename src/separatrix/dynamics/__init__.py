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
    "LatentPenalty": "reconstruction_penalties",
    "ManifoldAttractorPenalty": "reconstruction_penalties",
    "PolynomialLibrary": "function_library",
    "Reconstruction": "reconstruction",
    "ReconstructionState": "reconstruction",
    "SparseFlow": "sparse_flow",
    "SparseForcing": "reconstruction",
    "Standardised": "recordings",
    "TrainedMap": "generation",
    "Window": "windows",
    "Windows": "windows",
    "arithmetic_mean": "forcing_strength",
    "batch_maximum": "forcing_strength",
    "constant_forcing": "reconstruction",
    "cycles": "piecewise_cycles",
    "decaying_radam": "reconstruction",
    "estimate_alpha": "forcing_strength",
    "explog": "forcing_strength",
    "fit_sparse_flow": "sparse_flow",
    "fixed_points": "piecewise_cycles",
    "forced_rollout": "forcing",
    "free_orbits": "reconstruction_scores",
    "full": "forcing",
    "generate": "generation",
    "gtf": "forcing",
    "jacobian_products": "reconstruction",
    "jacobian_upper_bound": "forcing_strength",
    "load_recording": "recordings",
    "lyapunov_of_map": "generation",
    "optimal_alpha": "forcing_strength",
    "orbit_scores": "reconstruction_scores",
    "product_upper_bound": "forcing_strength",
    "short_errors": "reconstruction_scores",
    "sparse": "forcing",
    "sparse_weights": "forcing",
    "spectral_norms": "forcing_strength",
    "standardised": "recordings",
    "stlsq": "sparse_regression",
    "training_log": "reconstruction",
    "unforced": "forcing",
    "warm_up": "generation",
    "windows_of": "windows",
}

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "AdaptiveAlpha",
    "AttractorReconstructor",
    "ConditionPenalty",
    "ControlAffineLibrary",
    "Cycles",
    "LatentPenalty",
    "ManifoldAttractorPenalty",
    "PolynomialLibrary",
    "Reconstruction",
    "ReconstructionState",
    "SparseFlow",
    "SparseForcing",
    "Standardised",
    "TrainedMap",
    "Window",
    "Windows",
    "arithmetic_mean",
    "batch_maximum",
    "constant_forcing",
    "cycles",
    "decaying_radam",
    "estimate_alpha",
    "explog",
    "fit_sparse_flow",
    "fixed_points",
    "forced_rollout",
    "free_orbits",
    "full",
    "generate",
    "gtf",
    "jacobian_products",
    "jacobian_upper_bound",
    "load_recording",
    "lyapunov_of_map",
    "optimal_alpha",
    "orbit_scores",
    "product_upper_bound",
    "short_errors",
    "sparse",
    "sparse_weights",
    "spectral_norms",
    "standardised",
    "stlsq",
    "training_log",
    "unforced",
    "warm_up",
    "windows_of",
]

if TYPE_CHECKING:
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
    from .function_library import ControlAffineLibrary, PolynomialLibrary
    from .generation import TrainedMap, generate, lyapunov_of_map, warm_up
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
    from .windows import Window, Windows, windows_of


def __getattr__(name: str) -> Any:
    if name == "koopman":  # a part with names of its own
        return importlib.import_module("separatrix.dynamics.koopman")
    if name not in _HOME:
        raise AttributeError(f"module 'separatrix.dynamics' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"separatrix.dynamics.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
