"""Decisions learned from logged data and models: learners as one process, models, reach, and what values are worth.

Names are imported on first use.
"""

import importlib
from typing import Any

_HOME = {
    "actor_critic": "ActorCritic ActorCriticState Agent Loss squared_error",
    "agent_networks": "MakeAgent",
    "bootstraps": "MeanMinusStd PolicyValue Reduction SmoothedValue SoftValue each_member minimum state_value",
    "collection": "LEVELS Collected collect",
    "coverage": "Coverage covered_cells",
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
    "policies": "BoundedGaussian Deterministic TanhGaussian greedy sampling squash_log_density",
    "policy_losses": "AdvantageWeighted BehaviourRegularised Expectile SoftActor likelihood squared_distance",
    "reach": "EDGE OUT WITHIN chain_errors density_labels reach_density reach_labels td_growth",
    "sources": "EnvBuffer EnvMemory Feed Generations Logged ModelBuffer",
    "terminal_rules": "hopper_terminal walker2d_terminal",
    "transitions": "Transitions concatenated from_episodes",
    "value_probes": "edge_statistics ensemble_spread implicit_penalty penalty_correlation q_vs_true returns value_map",
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names.split()}

__all__ = sorted(_MODULE_OF)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
