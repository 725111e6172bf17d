"""Continual learning: task streams, methods that remember, evaluation at every step, and the metrics of both.

Names are imported on first use.
"""

import importlib
from typing import Any

_HOME = {
    "accuracy_metrics": "average_accuracy accuracy_matrix average_incremental_accuracy backward_transfer forgetting "
    "forgetting_from_peak forgetting_per_step forward_transfer incremental_accuracy learning_accuracy "
    "learning_curve_area minimum_accuracy sampling_error windowed_forgetting windowed_plasticity worst_case_accuracy",
    "accuracy_trace": "AccuracyTrace Gap stability_gap",
    "buffers": "Balanced Reservoir Ring Slots by_class by_task draw",
    "case_studies": "CASE_STUDIES",
    "curriculum": "Agent Block InterleavedEvalCurriculum Step TaskVariant run_lifetime",
    "distillation": "Distillation distillation_loss lwf",
    "estimator": "ContinualClassifier",
    "evaluation": "TaskScores continual_evaluation correct evaluation_cost task_evaluation trace_of",
    "gradient_parts": "gradient_split gradient_split_probe norms_and_cosines old_data_gradient_probe",
    "gradient_projection": "AverageProjection Projection agem gem project_off project_onto_halfspaces",
    "importance": "empirical_fisher exact_fisher output_sensitivity",
    "l2logger_files": "read_l2logger write_l2logger",
    "learner": "AbstractTerm ContinualState Learner Stored bare finetune tune with_current_task with_own_task "
    "with_term",
    "lifelong_report": "LifelongReport lifelong_metrics preprocess summarise_lifetimes transfer_matrix",
    "lifetime_curves": "contrast flat_smooth performance_maintenance performance_recovery ratio recovery_times "
    "relative_performance sample_efficiency saturation terminal_performance",
    "lifetime_log": "LifetimeLog LogError Regime validate_log",
    "replay": "DarkReplay JointTraining Replay dark_experience_replay experience_replay joint",
    "batch_lifetimes": "batch_performance expert_curves lifetime_logs supervised_lifetimes",
    "weight_penalties": "PathIntegral QuadraticPenalty accumulate ewc l2_to_anchor mas online running_mean separate "
    "synaptic_intelligence",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name == "metrics":
        return importlib.import_module(f"{__name__}.metrics")
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
