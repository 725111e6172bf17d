"""Learners from a model and logged transitions: MBPO, MOPO and RAVL, with any model, the true dynamics included."""

from collections.abc import Callable
from typing import Any

from separatrix.envs.environment import Dynamics

from .actor_critic import ActorCritic
from .agent_networks import MakeAgent
from .bootstraps import Reduction, SoftValue, minimum
from .model_free import check_diversity, sizes_of
from .model_rollouts import Penalised
from .penalties import max_aleatoric
from .pessimism import Diversity
from .policies import TanhGaussian
from .policy_losses import SoftActor
from .sources import ModelBuffer
from .transitions import Transitions

__all__ = ["mbpo", "mopo", "ravl"]


def mbpo(
    data: Transitions,
    dynamics: Dynamics,
    *,
    horizon: int = 5,
    rows: int = 250_000,
    every: int = 1_000,
    generations: int = 5,
    real_ratio: float = 0.05,
    batch_size: int = 256,
    members: int = 2,
    reduce: Reduction = minimum,
    hidden: tuple[int, ...] = (256, 256, 256),
    temperature: float = 0.2,
    rate: Any = 3e-4,
    **fields: Any,
) -> ActorCritic:
    """Soft actor-critic on rollouts of a model from logged states: the base of offline model-based learners.

    Args:
        data: logged transitions.
        dynamics: the model; `OracleModel(env)` puts the truth in its place.
        horizon: steps of a rollout, k.
        rows: model transitions of a generation, whatever the horizon; a multiple of it.
        every: updates between generations.
        generations: that are kept.
        real_ratio: share of logged rows in a batch.
        batch_size: rows in a batch.
        members: critics.
        reduce: over critics, in the targets and in the policy's loss.
        hidden: widths of the hidden layers.
        temperature: initial weight of the entropy.
        rate: learning rate of everything.
        fields: other fields of `ActorCritic`.

    Returns:
        The process.

    References:
        Janner, Fu, Zhang, Levine (2019), When to Trust Your Model: Model-Based Policy Optimization, NeurIPS.
    """
    sizes = sizes_of(data)
    source = ModelBuffer(data, dynamics, batch_size, round(real_ratio * batch_size), horizon, rows, every, generations)
    settings = {
        "policy_rate": rate,
        "critic_rate": rate,
        "temperature_rate": rate,
        "target_entropy": -float(sizes[1]),
        "next_value": SoftValue(reduce),
        "actor_loss": SoftActor(reduce),
        **fields,
    }
    networks = MakeAgent(TanhGaussian, *sizes, tuple(hidden), members, temperature=temperature)
    return ActorCritic(stream=source, networks=networks, **settings)


def mopo(
    data: Transitions,
    model: Any,
    *,
    penalty: Callable[..., Any] = max_aleatoric,
    weight: Any = 1.0,
    **settings: Any,
) -> ActorCritic:
    """`mbpo` with rewards lowered where the model is uncertain.

    Args:
        data: logged transitions.
        model: with `predict`, such as `GaussianEnsemble` or `OracleModel`. Under the truth every penalty is exactly 0,
            so this is `mbpo` bit for bit.
        penalty: of `separatrix.rl.penalties`.
        weight: of the penalty, lambda; traced.
        settings: of `mbpo`.

    Returns:
        The process.

    References:
        Yu et al. (2020), MOPO: Model-based Offline Policy Optimization, NeurIPS.
    """
    return mbpo(data, Penalised(model, penalty, weight), **settings)


def ravl(data: Transitions, dynamics: Dynamics, *, eta: Any = 1.0, members: int = 10, **settings: Any) -> ActorCritic:
    """Reach-aware value learning: `mbpo` with many diverse critics, pessimistic where their values were never trained.

    Args:
        data: logged transitions; actions of two dimensions or more unless `eta` is 0.
        dynamics: the model, or the truth.
        eta: weight of the diversity; traced.
        members: critics.
        settings: of `mbpo`.

    Returns:
        The process.

    Raises:
        ValueError: if diversity is asked for where it is degenerate.

    References:
        Sims, Lu, Foerster, Teh (2024), The Edge-of-Reach Problem in Offline Model-Based Reinforcement Learning,
        NeurIPS, arXiv 2402.12527.
    """
    check_diversity(eta, sizes_of(data)[1], members)
    none = isinstance(eta, int | float) and eta == 0
    return mbpo(data, dynamics, members=members, critic_term=None if none else Diversity(eta), **settings)
