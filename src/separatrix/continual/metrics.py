"""Every metric of continual and lifelong learning, for traces and logs of any origin.

From a trace `A[step, task, ...]`: the functions of `accuracy_metrics` and `matrix_metrics`, `AccuracyTrace`,
`stability_gap`. From a log of experiences: `LifetimeLog`, `lifelong_metrics` and their parts. Other programs' results
come in as a tidy table (`AccuracyTrace.from_table`), an accuracy matrix (`AccuracyTrace.from_matrix`) or a folder of
l2logger (`LifetimeLog.read`).
"""

from separatrix.continual.accuracy_metrics import (
    accuracy_matrix,
    average_accuracy,
    forgetting,
    learning_accuracy,
    learning_curve_area,
    minimum_accuracy,
    sampling_error,
    windowed_forgetting,
    windowed_plasticity,
    worst_case_accuracy,
)
from separatrix.continual.accuracy_trace import AccuracyTrace, Gap, stability_gap
from separatrix.continual.l2logger_files import read_experts, read_l2logger, write_l2logger
from separatrix.continual.lifelong_report import (
    LifelongReport,
    lifelong_metrics,
    preprocess,
    summarise_lifetimes,
    transfer_matrix,
)
from separatrix.continual.lifetime_curves import (
    contrast,
    flat_smooth,
    performance_maintenance,
    performance_recovery,
    ratio,
    recovery_times,
    relative_performance,
    sample_efficiency,
    saturation,
    terminal_performance,
)
from separatrix.continual.lifetime_log import LifetimeLog, LogError, Regime, validate_log
from separatrix.continual.matrix_metrics import (
    average_incremental_accuracy,
    backward_transfer,
    forgetting_from_peak,
    forgetting_per_step,
    forward_transfer,
    incremental_accuracy,
)

__all__ = [
    "AccuracyTrace",
    "Gap",
    "LifelongReport",
    "LifetimeLog",
    "LogError",
    "Regime",
    "accuracy_matrix",
    "average_accuracy",
    "average_incremental_accuracy",
    "backward_transfer",
    "contrast",
    "flat_smooth",
    "forgetting",
    "forgetting_from_peak",
    "forgetting_per_step",
    "forward_transfer",
    "incremental_accuracy",
    "learning_accuracy",
    "learning_curve_area",
    "lifelong_metrics",
    "minimum_accuracy",
    "performance_maintenance",
    "performance_recovery",
    "preprocess",
    "ratio",
    "read_experts",
    "read_l2logger",
    "recovery_times",
    "relative_performance",
    "sample_efficiency",
    "sampling_error",
    "saturation",
    "stability_gap",
    "summarise_lifetimes",
    "terminal_performance",
    "transfer_matrix",
    "validate_log",
    "windowed_forgetting",
    "windowed_plasticity",
    "worst_case_accuracy",
    "write_l2logger",
]
