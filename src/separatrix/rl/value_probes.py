"""Probes of what a critic believes: against the truth, at the edge of reach, and what the policy really earns."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from separatrix._core.probe import Probe, Transition
from separatrix.envs.environment import AbstractEnv
from separatrix.envs.episodes import evaluate

from .policies import greedy
from .reach import EDGE, OUT, WITHIN
from .transitions import Transitions

__all__ = [
    "edge_statistics",
    "edge_targets",
    "ensemble_spread",
    "implicit_penalty",
    "penalty_correlation",
    "q_vs_true",
    "returns",
    "value_map",
]


def ensemble_spread(
    values: Float[Array, "members batch"], by: Int[Array, " batch"] | None = None
) -> Float[Array, " batch_or_labels"]:
    """Return the standard deviation over members, the signature of values that were never trained.

    Args:
        values: of every member.
        by: label of reach of each row, as by `reach_labels` or `density_labels`.

    Returns:
        One number a row; with `by` the mean over the rows of each label, in the order `WITHIN`, `EDGE`, `OUT`, and NaN
        for a label that no row has.

    Examples:
        >>> import jax.numpy as jnp
        >>> values = jnp.array([[0.0, 0.0, 1.0], [2.0, 4.0, 1.0]])
        >>> ensemble_spread(values).tolist(), ensemble_spread(values, by=jnp.array([0, 1, 0])).tolist()
        ([1.0, 2.0, 0.0], [0.5, 2.0, nan])
    """
    spread = jnp.std(values, axis=0)
    return spread if by is None else _mean_by_label(spread, by)


def implicit_penalty(
    values: Float[Array, "members batch"], by: Int[Array, " batch"] | None = None
) -> Float[Array, " batch_or_labels"]:
    """Return mean minus least value over members: what taking the least subtracts.

    Args:
        values: of every member.
        by: label of reach of each row, as in `ensemble_spread`.

    Returns:
        One number a row, or with `by` one a label, as in `ensemble_spread`.

    Examples:
        >>> import jax.numpy as jnp
        >>> implicit_penalty(jnp.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
        [1.0, 0.0]
    """
    penalty = jnp.mean(values, axis=0) - jnp.min(values, axis=0)
    return penalty if by is None else _mean_by_label(penalty, by)


def _mean_by_label(values: Float[Array, " batch"], labels: Int[Array, " batch"]) -> Float[Array, " labels"]:
    return jax.vmap(lambda label: _mean(values, labels == label))(jnp.array([WITHIN, EDGE, OUT]))


class _AgainstTruth(eqx.Module):
    observation: Float[Array, "batch obs"]
    truth: Float[Array, " batch"]

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        del key
        agent = transition.after.agent
        values = jnp.mean(agent.critic(self.observation, agent.policy.mode(self.observation)), axis=0)
        return {"value": jnp.mean(values), "overestimation": jnp.mean(values - self.truth)}


def q_vs_true(
    observation: Float[Array, "batch obs"], truth: Float[Array, " batch"], every: Any = 1, name: str = "q-vs-true"
) -> Probe:
    """Record the mean value of the policy's actions at given states, and its excess over the true optimal value.

    Args:
        observation: where to look.
        truth: optimal values there, such as `optimal_values(env, ...).at`.
        every: cadence, as in `Probe`.
        name: of the probe.

    Returns:
        A probe that records `value`, the mean over critics without any entropy, and `overestimation`.
    """
    attrs = {
        "value": {"units": "reward", "long_name": "mean value that the critics give to the policy's actions"},
        "overestimation": {"units": "reward", "long_name": "that value minus the optimal one"},
    }
    return Probe(_AgainstTruth(observation, truth), every=every, attrs=attrs, name=name)


def _made(transition: Transition, rows: int, key: Key[Array, ""]) -> Transitions:
    """Rows that the model made."""
    source: Any = getattr(transition.process, "stream", None)
    if not hasattr(source, "draw"):
        raise ValueError("this probe reads model transitions; the process must be fed by a `ModelBuffer`.")
    return source.draw(transition.after.memory, rows, key)[0]


class _AtEdge(eqx.Module):
    reached: Any
    state_of: Callable[[Float[Array, " obs"]], Float[Array, " dims"]]
    rows: int = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        agent = transition.after.agent
        made = _made(transition, self.rows, key)
        after = made.next_observation
        edge = ~self.reached.holds(jax.vmap(self.state_of)(after))
        values = agent.critic(after, agent.policy.mode(after))
        spread, penalty = ensemble_spread(values), implicit_penalty(values)
        return {
            "edge_fraction": jnp.mean(edge.astype(spread.dtype)),
            "spread_edge": _mean(spread, edge),
            "spread_within": _mean(spread, ~edge),
            "penalty_edge": _mean(penalty, edge),
            "penalty_within": _mean(penalty, ~edge),
        }


def _mean(values: Float[Array, " batch"], chosen: Bool[Array, " batch"]) -> Float[Array, ""]:
    return jnp.sum(jnp.where(chosen, values, 0.0)) / jnp.sum(chosen)  # NaN if none is chosen: not measured


def edge_statistics(
    reached: Any,
    state_of: Callable[[Float[Array, " obs"]], Float[Array, " dims"]],
    rows: int = 4_096,
    every: Any = 1,
) -> Probe:
    """Record the critics' disagreement at the targets of model transitions, apart for those at the edge of reach.

    Args:
        reached: a module with `holds(states)`, such as `Coverage`.
        state_of: `observation -> state`; a bound method of the environment.
        rows: model transitions that are drawn.
        every: cadence, as in `Probe`.

    Returns:
        A probe for a process fed by `ModelBuffer`. It records `edge_fraction`, and `spread` and `penalty` (see
        `ensemble_spread` and `implicit_penalty`) as `_edge` and `_within`; NaN where there is no such state.
    """
    attrs = {"edge_fraction": {"units": "1", "long_name": "share of targets at the edge of reach"}}
    for place, words in (("edge", "at the edge of reach"), ("within", "within reach")):
        attrs[f"spread_{place}"] = {"units": "reward", "long_name": f"standard deviation over critics {words}"}
        attrs[f"penalty_{place}"] = {"units": "reward", "long_name": f"mean minus least value over critics {words}"}
    return Probe(_AtEdge(reached, state_of, rows), every=every, attrs=attrs, name="edge")


class _Targets(eqx.Module):
    reached: Any
    state_of: Callable[[Float[Array, " obs"]], Float[Array, " dims"]]
    rows: int = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        states = jax.vmap(self.state_of)(_made(transition, self.rows, key).next_observation)
        return {"target_state": states, "target_edge": (~self.reached.holds(states)).astype(states.dtype)}


def edge_targets(
    reached: Any,
    state_of: Callable[[Float[Array, " obs"]], Float[Array, " dims"]],
    rows: int = 1_000,
    every: Any = 1,
) -> Probe:
    """Record where model transitions end, and which of these states are at the edge of reach, to draw them.

    Args:
        reached: a module with `holds(states)`, such as `Coverage`.
        state_of: `observation -> state`; a bound method of the environment.
        rows: model transitions that are drawn.
        every: cadence, as in `Probe`.

    Returns:
        A probe for a process fed by `ModelBuffer`; it records `target_state` and `target_edge`, 1 at the edge.
    """
    dims = {"target_state": ("target", "coordinate"), "target_edge": ("target",)}
    attrs = {
        "target_state": {"units": "1", "long_name": "state in which a model transition ends"},
        "target_edge": {"units": "1", "long_name": "whether that state is at the edge of reach"},
    }
    return Probe(_Targets(reached, state_of, rows), every=every, dims=dims, attrs=attrs, name="edge-targets")


class _Returns(eqx.Module):
    env: AbstractEnv
    episodes: int = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        policy = greedy(transition.after.agent.policy)
        return {"return": jnp.mean(evaluate(self.env, policy, key, self.episodes))}


def returns(env: AbstractEnv, episodes: int = 10, every: Any = 1) -> Probe:
    """Record the mean undiscounted return of the policy's mode, from the environment's own starts.

    Args:
        env: the environment.
        episodes: at each record.
        every: cadence, as in `Probe`.

    Returns:
        A probe that records `return`.
    """
    attrs = {"return": {"units": "reward", "long_name": "mean return of the policy's mode"}}
    return Probe(_Returns(env, episodes), every=every, attrs=attrs, name="returns")


class _Map(eqx.Module):
    observation: Float[Array, "rows columns obs"]

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        del key
        agent, shape = transition.after.agent, self.observation.shape
        flat = self.observation.reshape(-1, shape[-1])
        values = agent.critic(flat, agent.policy.mode(flat))
        maps = {"value_map": jnp.mean(values, axis=0), "spread_map": ensemble_spread(values)}
        return {name: found.reshape(shape[:-1]) for name, found in maps.items()}


def value_map(
    observation: Float[Array, "rows columns obs"], dims: tuple[str, str] = ("row", "column"), every: Any = 1
) -> Probe:
    """Record what the critics give to the policy's actions over a plane of states: mean and standard deviation.

    Args:
        observation: of every point of a grid.
        dims: names of the grid's axes.
        every: cadence, as in `Probe`.

    Returns:
        A probe that records `value_map` and `spread_map`, each of shape `(rows, columns)`.
    """
    attrs = {
        "value_map": {"units": "reward", "long_name": "value that the critics give to the policy's actions"},
        "spread_map": {"units": "reward", "long_name": "standard deviation over critics of that value"},
    }
    return Probe(_Map(observation), every=every, dims=dict.fromkeys(attrs, dims), attrs=attrs, name="value-map")


class _PenaltyCorrelation(eqx.Module):
    model: Any
    penalty: Callable[..., Float[Array, ""]]
    rows: int = eqx.field(static=True)
    prefix: str = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        agent = transition.after.agent
        made = _made(transition, self.rows, key)

        def uncertainty(observation, action, after, reward):
            outcome = jnp.append(after - observation, reward)
            return self.penalty(*self.model.predict(observation, action), outcome, key)

        dynamics = jax.vmap(uncertainty)(made.observation, made.action, made.next_observation, made.reward)
        values = agent.critic(made.next_observation, agent.policy.mode(made.next_observation))
        found = (dynamics, implicit_penalty(values), ensemble_spread(values))
        ranks = [jnp.argsort(jnp.argsort(x)).astype(dynamics.dtype) for x in found]
        correlation = jnp.corrcoef(jnp.stack(ranks))[0]
        return {f"{self.prefix}_correlation": correlation[1], f"{self.prefix}_spread_correlation": correlation[2]}


def penalty_correlation(
    model: Any,
    penalty: Callable[..., Float[Array, ""]],
    rows: int = 2_048,
    every: Any = 1,
    prefix: str = "penalty",
) -> Probe:
    """Record the rank correlations of a dynamics penalty with the critics' disagreement, over model transitions.

    The penalty is that of the transition, the disagreement that of its target: at `(s, a)` and at `(s', policy(s'))`.

    Args:
        model: with `predict`.
        penalty: of `separatrix.rl.penalties`.
        rows: model transitions that are drawn.
        every: cadence, as in `Probe`.
        prefix: of the recorded names, for several penalties in one run.

    Returns:
        A probe for a process fed by `ModelBuffer`; it records `{prefix}_correlation`, with `implicit_penalty`, and
        `{prefix}_spread_correlation`, with `ensemble_spread`. For two critics these are equal.
    """
    words = getattr(penalty, "__name__", prefix)
    attrs = {
        f"{prefix}_correlation": {"units": "1", "long_name": f"rank correlation of {words} and implicit penalty"},
        f"{prefix}_spread_correlation": {"units": "1", "long_name": f"rank correlation of {words} and critics' spread"},
    }
    measure = _PenaltyCorrelation(model, penalty, rows, prefix)
    return Probe(measure, every=every, attrs=attrs, name=f"{prefix}-correlation")
