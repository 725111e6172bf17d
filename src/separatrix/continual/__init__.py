"""Continual learning: task streams, methods that remember, evaluation at every step, and the metrics of both.

Names are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "accuracy_metrics": "average_accuracy accuracy_matrix forgetting learning_accuracy "
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
    "l2logger_files": "read_experts read_l2logger write_l2logger",
    "learner": "AbstractTerm ContinualState Learner Stored bare finetune tune with_current_task with_own_task "
    "with_term",
    "lifelong_report": "LifelongReport lifelong_metrics preprocess summarise_lifetimes transfer_matrix",
    "lifetime_curves": "contrast flat_smooth performance_maintenance performance_recovery ratio recovery_times "
    "relative_performance sample_efficiency saturation terminal_performance",
    "lifetime_log": "LifetimeLog LogError Regime validate_log",
    "matrix_metrics": "average_incremental_accuracy backward_transfer forgetting_from_peak forgetting_per_step "
    "forward_transfer incremental_accuracy",
    "replay": "DarkReplay JointTraining Replay dark_experience_replay experience_replay joint",
    "running_statistics": "NormalisedLearner NormalisedState",
    "task_tracks": "feature_drift task_gradient_norms task_losses",
    "batch_lifetimes": "batch_performance expert_curves lifetime_logs supervised_lifetimes",
    "weight_penalties": "PathIntegral QuadraticPenalty accumulate ewc l2_to_anchor mas online running_mean separate "
    "synaptic_intelligence",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


if TYPE_CHECKING:
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
    from separatrix.continual.accuracy_trace import (
        AccuracyTrace,
        Gap,
        stability_gap,
    )
    from separatrix.continual.batch_lifetimes import (
        batch_performance,
        expert_curves,
        lifetime_logs,
        supervised_lifetimes,
    )
    from separatrix.continual.buffers import (
        Balanced,
        Reservoir,
        Ring,
        Slots,
        by_class,
        by_task,
        draw,
    )
    from separatrix.continual.case_studies import (
        CASE_STUDIES,
    )
    from separatrix.continual.curriculum import (
        Agent,
        Block,
        InterleavedEvalCurriculum,
        Step,
        TaskVariant,
        run_lifetime,
    )
    from separatrix.continual.distillation import (
        Distillation,
        distillation_loss,
        lwf,
    )
    from separatrix.continual.estimator import (
        ContinualClassifier,
    )
    from separatrix.continual.evaluation import (
        TaskScores,
        continual_evaluation,
        correct,
        evaluation_cost,
        task_evaluation,
        trace_of,
    )
    from separatrix.continual.gradient_parts import (
        gradient_split,
        gradient_split_probe,
        norms_and_cosines,
        old_data_gradient_probe,
    )
    from separatrix.continual.gradient_projection import (
        AverageProjection,
        Projection,
        agem,
        gem,
        project_off,
        project_onto_halfspaces,
    )
    from separatrix.continual.importance import (
        empirical_fisher,
        exact_fisher,
        output_sensitivity,
    )
    from separatrix.continual.l2logger_files import (
        read_experts,
        read_l2logger,
        write_l2logger,
    )
    from separatrix.continual.learner import (
        AbstractTerm,
        ContinualState,
        Learner,
        Stored,
        bare,
        finetune,
        tune,
        with_current_task,
        with_own_task,
        with_term,
    )
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
    from separatrix.continual.lifetime_log import (
        LifetimeLog,
        LogError,
        Regime,
        validate_log,
    )
    from separatrix.continual.matrix_metrics import (
        average_incremental_accuracy,
        backward_transfer,
        forgetting_from_peak,
        forgetting_per_step,
        forward_transfer,
        incremental_accuracy,
    )
    from separatrix.continual.replay import (
        DarkReplay,
        JointTraining,
        Replay,
        dark_experience_replay,
        experience_replay,
        joint,
    )
    from separatrix.continual.running_statistics import (
        NormalisedLearner,
        NormalisedState,
    )
    from separatrix.continual.task_tracks import (
        feature_drift,
        task_gradient_norms,
        task_losses,
    )
    from separatrix.continual.weight_penalties import (
        PathIntegral,
        QuadraticPenalty,
        accumulate,
        ewc,
        l2_to_anchor,
        mas,
        online,
        running_mean,
        separate,
        synaptic_intelligence,
    )


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
