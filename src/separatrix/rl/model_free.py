"""Model-free learners, each an `ActorCritic` with its own seams.

Logged transitions come as `Transitions`. The order of updates within a step is that of `ActorCritic` for all of them;
papers that update the critic before the policy differ from it only in which batch of two neighbours each sees.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from separatrix.envs.environment import AbstractEnv

from .actor_critic import ActorCritic
from .agent_networks import MakeAgent
from .bootstraps import PolicyValue, SmoothedValue, SoftValue, state_value
from .pessimism import Conservative, Diversity
from .policies import BoundedGaussian, Deterministic, TanhGaussian
from .policy_losses import AdvantageWeighted, BehaviourRegularised, Expectile, SoftActor, likelihood
from .sources import EnvBuffer, Logged
from .transitions import Transitions

__all__ = [
    "behaviour_cloning",
    "check_diversity",
    "check_transitions",
    "cql",
    "edac",
    "iql",
    "sac",
    "sac_n",
    "sizes_of",
    "td3_bc",
]


def check_transitions(data: Transitions) -> None:
    """Refuse data that no learner can be fed.

    Args:
        data: logged transitions.

    Raises:
        ValueError: if there are none, fields are no arrays of numbers, shapes do not fit each other, numbers are not
            finite, or actions exceed 1. Values that are traced are not looked at.
    """
    for name, a in data._asdict().items():
        numeric = isinstance(a, jax.Array | np.ndarray) and any(jnp.issubdtype(a.dtype, k) for k in (jnp.number, bool))
        if not numeric:
            raise ValueError(f"transitions need arrays of numbers; {name} is {getattr(a, 'dtype', type(a).__name__)}.")
    rows = data.reward.shape
    fits = data.observation.ndim == data.action.ndim == 2 and data.next_observation.shape == data.observation.shape
    if not fits or {(a.shape[0],) for a in data} != {rows} or data.terminal.shape != rows:
        found = ", ".join(f"{name} {tuple(a.shape)}" for name, a in data._asdict().items())
        raise ValueError(
            f"transitions need shapes (rows, obs), (rows, act), (rows,), (rows, obs), (rows,); got {found}."
        )
    if not rows[0]:
        raise ValueError("there are no transitions to learn from.")
    for name, a in data._asdict().items():
        known = not isinstance(a, Tracer)
        if known and not (finite := np.isfinite(a).reshape(rows[0], -1).all(axis=1)).all():
            raise ValueError(
                f"{name} is not finite in {int((~finite).sum())} of {rows[0]} transitions, the first in row "
                f"{int(np.argmin(finite))}; drop them or repair them."
            )
        if known and name == "action" and (largest := float(np.abs(a).max(initial=0))) > 1.001:
            raise ValueError(f"actions must lie in [-1, 1]; they reach {largest:.3g}. Scale them first.")


def sizes_of(data: Transitions) -> tuple[int, int]:
    """Return the lengths of an observation and of an action, after `check_transitions`.

    Args:
        data: logged transitions.

    Returns:
        Two lengths.
    """
    check_transitions(data)
    return data.observation.shape[-1], data.action.shape[-1]


def check_diversity(eta: Any, action_size: int, members: int) -> None:
    """Refuse gradient diversity where it has no meaning.

    Args:
        eta: weight of the term.
        action_size: length of an action.
        members: of the critic.

    Raises:
        ValueError: if actions have one dimension, or there is one member, and the weight is not zero.
    """
    if isinstance(eta, int | float) and eta == 0:
        return
    if action_size == 1:
        raise ValueError(
            "gradient diversity is degenerate for one-dimensional actions (unit gradients are +1 or -1); pass eta=0."
        )
    if members < 2:
        raise ValueError(f"gradient diversity needs two members or more; got {members}. Pass eta=0.")


def sac(
    env: AbstractEnv,
    *,
    hidden: tuple[int, ...] = (256, 256),
    batch_size: int = 256,
    capacity: int = 100_000,
    warmup: int = 500,
    members: int = 2,
    temperature: float = 0.2,
    rate: Any = 3e-4,
    **fields: Any,
) -> ActorCritic:
    """Soft actor-critic that acts in an environment: one step of it, and one update, at each step of the process.

    Args:
        env: the environment.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        capacity: transitions that are kept.
        warmup: transitions by uniform actions before the first update.
        members: critics, of which the least counts.
        temperature: initial weight of the entropy, tuned to an entropy of minus the number of action dimensions.
        rate: learning rate of everything.
        fields: other fields of `ActorCritic`.

    Returns:
        The process.

    References:
        Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, arXiv 1812.05905.
    """
    networks = MakeAgent(
        TanhGaussian, env.observation_size, env.action_size, tuple(hidden), members, temperature=temperature
    )
    source = EnvBuffer(env, capacity, batch_size, warmup)
    return _soft(source, networks, rate, fields)


def _soft(source, networks: MakeAgent, rate, fields, critic_term=None, next_value=None) -> ActorCritic:
    rates = dict.fromkeys(("policy_rate", "critic_rate", "temperature_rate"), rate)
    settings = {
        **rates,
        "target_entropy": -float(networks.action_size),
        "critic_term": critic_term,
        "next_value": next_value or SoftValue(),
        "actor_loss": SoftActor(),
        **fields,
    }
    return ActorCritic(stream=source, networks=networks, **settings)


def sac_n(
    data: Transitions,
    *,
    members: int = 10,
    hidden: tuple[int, ...] = (256, 256, 256),
    batch_size: int = 256,
    temperature: float = 1.0,
    rate: Any = 3e-4,
    **fields: Any,
) -> ActorCritic:
    """Soft actor-critic on logged transitions with the least of many critics.

    Args:
        data: logged transitions.
        members: critics.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        temperature: initial weight of the entropy.
        rate: learning rate of everything.
        fields: other fields of `ActorCritic`.

    Returns:
        The process.

    References:
        An, Moon, Kim, Song (2021), Uncertainty-Based Offline Reinforcement Learning with Diversified Q-Ensemble,
        NeurIPS.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> from separatrix import run
        >>> data = Transitions(jnp.ones((9, 3)), jnp.zeros((9, 1)), jnp.ones(9), jnp.ones((9, 3)), jnp.ones(9, bool))
        >>> state, _ = run(sac_n(data, members=3, hidden=(8,), batch_size=4, rate=0.03), jr.key(0), 300)
        >>> bool(jnp.allclose(state.agent.critic(data.observation, data.action), 1.0, atol=0.05))  # the reward
        True
    """
    sizes = sizes_of(data)
    networks = MakeAgent(TanhGaussian, *sizes, tuple(hidden), members, temperature=temperature)
    return _soft(Logged(data, batch_size), networks, rate, fields)


def edac(data: Transitions, *, eta: Any = 1.0, members: int = 10, **settings: Any) -> ActorCritic:
    """`sac_n` with critics whose gradients with respect to the action are kept apart.

    Args:
        data: logged transitions; actions of two dimensions or more unless `eta` is 0.
        eta: weight of the diversity; traced.
        members: critics.
        settings: of `sac_n`.

    Returns:
        The process.

    Raises:
        ValueError: if diversity is asked for where it is degenerate.

    References:
        An, Moon, Kim, Song (2021), Uncertainty-Based Offline Reinforcement Learning with Diversified Q-Ensemble,
        NeurIPS.
    """
    check_diversity(eta, sizes_of(data)[1], members)
    return sac_n(data, members=members, critic_term=None if _is_zero(eta) else Diversity(eta), **settings)


def _is_zero(weight: Any) -> bool:
    return isinstance(weight, int | float) and weight == 0


def cql(
    data: Transitions,
    *,
    weight: Any = 5.0,
    samples: int = 10,
    hidden: tuple[int, ...] = (256, 256, 256),
    batch_size: int = 256,
    temperature: float = 1.0,
    policy_rate: Any = 1e-4,
    rate: Any = 3e-4,
    **fields: Any,
) -> ActorCritic:
    """Conservative Q-learning on top of soft actor-critic, without entropy in the targets.

    Args:
        data: logged transitions.
        weight: of the conservative term.
        samples: actions of each of its three kinds.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        temperature: initial weight of the entropy.
        policy_rate: learning rate of the policy.
        rate: learning rate of everything else.
        fields: other fields of `ActorCritic`.

    Returns:
        The process.

    References:
        Kumar, Zhou, Tucker, Levine (2020), Conservative Q-Learning for Offline Reinforcement Learning, NeurIPS.
    """
    networks = MakeAgent(TanhGaussian, *sizes_of(data), tuple(hidden), 2, temperature=temperature)
    fields = {"policy_rate": policy_rate, **fields}
    term = Conservative(weight, samples=samples)
    return _soft(Logged(data, batch_size), networks, rate, fields, term, PolicyValue())


def td3_bc(
    data: Transitions,
    *,
    alpha: Any = 2.5,
    hidden: tuple[int, ...] = (256, 256),
    batch_size: int = 256,
    rate: Any = 3e-4,
    **fields: Any,
) -> ActorCritic:
    """TD3 with behaviour cloning; standardise the observations first, as the paper does.

    Args:
        data: logged transitions.
        alpha: weight of the value against the distance from logged actions.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        rate: learning rate of everything.
        fields: other fields of `ActorCritic`.

    Returns:
        The process; policy and averages change at every second step.

    References:
        Fujimoto, Gu (2021), A Minimalist Approach to Offline Reinforcement Learning, NeurIPS.
    """
    settings = {
        "policy_rate": rate,
        "critic_rate": rate,
        "tracked": ("policy", "critic"),
        "policy_delay": 2,
        "actor_loss": BehaviourRegularised(alpha),
        "next_value": SmoothedValue(),
        **fields,
    }
    networks = MakeAgent(Deterministic, *sizes_of(data), tuple(hidden))
    return ActorCritic(stream=Logged(data, batch_size), networks=networks, **settings)


def iql(
    data: Transitions,
    *,
    level: Any = 0.7,
    beta: Any = 3.0,
    hidden: tuple[int, ...] = (256, 256),
    batch_size: int = 256,
    rate: Any = 3e-4,
    **fields: Any,
) -> ActorCritic:
    """Implicit Q-learning: no action outside the data is ever evaluated.

    Args:
        data: logged transitions.
        level: expectile of the state value.
        beta: inverse temperature of the policy's weights.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        rate: learning rate of everything.
        fields: other fields of `ActorCritic`.

    Returns:
        The process.

    References:
        Kostrikov, Nair, Levine (2022), Offline Reinforcement Learning with Implicit Q-Learning, ICLR.
    """
    settings = {
        "policy_rate": rate,
        "critic_rate": rate,
        "value_rate": rate,
        "actor_loss": AdvantageWeighted(beta),
        "next_value": state_value,
        "value_loss": Expectile(level),
        **fields,
    }
    networks = MakeAgent(BoundedGaussian, *sizes_of(data), tuple(hidden), 2, with_value=True)
    return ActorCritic(stream=Logged(data, batch_size), networks=networks, **settings)


def behaviour_cloning(
    data: Transitions, *, hidden: tuple[int, ...] = (256, 256), batch_size: int = 256, rate: Any = 3e-4, **fields: Any
) -> ActorCritic:
    """Maximum likelihood of the logged actions under a squashed Gaussian.

    Args:
        data: logged transitions.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        rate: learning rate.
        fields: other fields of `ActorCritic`.

    Returns:
        The process.
    """
    networks = MakeAgent(TanhGaussian, *sizes_of(data), tuple(hidden), members=0)
    settings = {"policy_rate": rate, "tracked": (), "actor_loss": likelihood, **fields}
    return ActorCritic(stream=Logged(data, batch_size), networks=networks, **settings)
