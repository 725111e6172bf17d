"""Decisions learned from logged data and models: learners as one process, models, reach, and what values are worth.

Names are imported on first use.
"""

import importlib
from typing import TYPE_CHECKING, Any

_HOME = {
    "actor_critic": "ActorCritic ActorCriticState Agent Loss squared_error",
    "agent_networks": "MakeAgent",
    "bootstraps": "MeanMinusStd PolicyValue Reduction SmoothedValue SoftValue each_member minimum state_value",
    "collection": "LEVELS Collected collect to_minari",
    "coverage": "Coverage covered_cells",
    "data_audit": "Audit audit",
    "draws": "named_keys random_rows uniform_pieces",
    "gaussian_ensemble": "GaussianEnsemble never soft_clamp",
    "model_based": "mbpo mopo ravl",
    "model_fit": "ModelFit fit_ensemble layer_decays model_loss",
    "model_free": "behaviour_cloning check_diversity check_transitions cql edac iql sac sac_n sizes_of td3_bc",
    "model_rollouts": "Imagined Interpolated OracleModel Penalised interpolate rollout",
    "networks": "Network QEnsemble StateValue",
    "oracle_patch": "PatchedValue patch_with_oracle patched_target",
    "penalties": "ensemble_std ensemble_var ll_var loo_kl max_aleatoric max_aleatoric_frobenius max_pairwise",
    "pessimism": "Conservative Diversity diversity_loss",
    "policies": "Acting BoundedGaussian Deterministic TanhGaussian greedy sampling squash_log_density",
    "policy_losses": "AdvantageWeighted BehaviourRegularised Expectile SoftActor likelihood squared_distance",
    "reach": "EDGE OUT WITHIN chain_errors density_labels reach_density reach_labels td_growth",
    "score_statistics": "D4RL_RETURNS ScoreSummary normalised_score optimality_gap performance_profile "
    "summarise_scores",
    "sources": "EnvBuffer EnvMemory Feed Generations Logged ModelBuffer",
    "terminal_rules": "hopper_terminal walker2d_terminal",
    "transitions": "Transitions concatenated from_episodes logged",
    "value_probes": "edge_statistics edge_targets ensemble_spread implicit_penalty penalty_correlation q_vs_true "
    "returns value_map",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


if TYPE_CHECKING:
    from separatrix.rl.actor_critic import (
        ActorCritic,
        ActorCriticState,
        Agent,
        Loss,
        squared_error,
    )
    from separatrix.rl.agent_networks import (
        MakeAgent,
    )
    from separatrix.rl.bootstraps import (
        MeanMinusStd,
        PolicyValue,
        Reduction,
        SmoothedValue,
        SoftValue,
        each_member,
        minimum,
        state_value,
    )
    from separatrix.rl.collection import (
        LEVELS,
        Collected,
        collect,
        to_minari,
    )
    from separatrix.rl.coverage import (
        Coverage,
        covered_cells,
    )
    from separatrix.rl.data_audit import Audit, audit
    from separatrix.rl.draws import (
        named_keys,
        random_rows,
        uniform_pieces,
    )
    from separatrix.rl.gaussian_ensemble import (
        GaussianEnsemble,
        never,
        soft_clamp,
    )
    from separatrix.rl.model_based import (
        mbpo,
        mopo,
        ravl,
    )
    from separatrix.rl.model_fit import (
        ModelFit,
        fit_ensemble,
        layer_decays,
        model_loss,
    )
    from separatrix.rl.model_free import (
        behaviour_cloning,
        check_diversity,
        check_transitions,
        cql,
        edac,
        iql,
        sac,
        sac_n,
        sizes_of,
        td3_bc,
    )
    from separatrix.rl.model_rollouts import (
        Imagined,
        Interpolated,
        OracleModel,
        Penalised,
        interpolate,
        rollout,
    )
    from separatrix.rl.networks import (
        Network,
        QEnsemble,
        StateValue,
    )
    from separatrix.rl.oracle_patch import (
        PatchedValue,
        patch_with_oracle,
        patched_target,
    )
    from separatrix.rl.penalties import (
        ensemble_std,
        ensemble_var,
        ll_var,
        loo_kl,
        max_aleatoric,
        max_aleatoric_frobenius,
        max_pairwise,
    )
    from separatrix.rl.pessimism import (
        Conservative,
        Diversity,
        diversity_loss,
    )
    from separatrix.rl.policies import (
        Acting,
        BoundedGaussian,
        Deterministic,
        TanhGaussian,
        greedy,
        sampling,
        squash_log_density,
    )
    from separatrix.rl.policy_losses import (
        AdvantageWeighted,
        BehaviourRegularised,
        Expectile,
        SoftActor,
        likelihood,
        squared_distance,
    )
    from separatrix.rl.reach import (
        EDGE,
        OUT,
        WITHIN,
        chain_errors,
        density_labels,
        reach_density,
        reach_labels,
        td_growth,
    )
    from separatrix.rl.score_statistics import (
        D4RL_RETURNS,
        ScoreSummary,
        normalised_score,
        optimality_gap,
        performance_profile,
        summarise_scores,
    )
    from separatrix.rl.sources import (
        EnvBuffer,
        EnvMemory,
        Feed,
        Generations,
        Logged,
        ModelBuffer,
    )
    from separatrix.rl.terminal_rules import (
        hopper_terminal,
        walker2d_terminal,
    )
    from separatrix.rl.transitions import (
        Transitions,
        concatenated,
        from_episodes,
        logged,
    )
    from separatrix.rl.value_probes import (
        edge_statistics,
        edge_targets,
        ensemble_spread,
        implicit_penalty,
        penalty_correlation,
        q_vs_true,
        returns,
        value_map,
    )


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
