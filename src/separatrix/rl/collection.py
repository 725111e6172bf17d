"""Make data sets of known quality: train one's own agent on an environment and keep what it was on the way."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, Key, PyTree

from separatrix._core.keys import named_key
from separatrix._core.probe import Probe, Transition
from separatrix._core.run import run
from separatrix.data.offline_logs import write_minari
from separatrix.data.transitions import LoggedEpisodes, checked_log
from separatrix.envs.environment import AbstractEnv
from separatrix.envs.episodes import evaluate, roll_out

from .model_free import sac
from .policies import sampling
from .transitions import Transitions, logged

__all__ = ["LEVELS", "Collected", "collect", "to_minari"]

LEVELS = ("random", "medium", "medium-replay", "medium-expert", "expert")


class Collected(NamedTuple):
    """Data of five levels from one training run.

    Attributes:
        levels: transitions by level, see `LEVELS`: what learners are fed.
        logs: the same rows in the order of time, with the ends of episodes: what is audited and stored.
        policies: of the levels medium and expert.
        random_return: mean return of the random episodes, the score 0.
        expert_return: mean return of the expert's episodes, the score 100.
        steps: of the training run at each snapshot.
        returns: of the stochastic policy at each snapshot.
        medium_step: the snapshot that is `medium`.
    """

    levels: dict[str, Transitions]
    logs: dict[str, LoggedEpisodes]
    policies: dict[str, PyTree]
    random_return: float
    expert_return: float
    steps: Int[np.ndarray, " snapshots"]
    returns: Float[np.ndarray, " snapshots"]
    medium_step: int


class _Snapshot(eqx.Module):
    env: AbstractEnv
    episodes: int = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        policy = transition.after.agent.policy
        earned = jnp.mean(evaluate(self.env, sampling(policy), key, self.episodes))
        return {"return": earned, "parameters": ravel_pytree(policy)[0]}


class _Uniform(NamedTuple):
    size: int

    def __call__(self, observation, key):
        return jr.uniform(key, (self.size,), observation.dtype, minval=-1.0)


_roll_out = eqx.filter_jit(roll_out)


def collect(
    env: AbstractEnv,
    key: Key[Array, ""],
    *,
    steps: int = 8_000,
    every: int = 500,
    episodes: int = 50,
    share: float = 0.5,
    evaluations: int = 10,
    hidden: tuple[int, ...] = (64, 64),
    batch_size: int = 128,
    warmup: int = 500,
    rate: float = 1e-3,
    **settings: Any,
) -> Collected:
    """Train soft actor-critic on an environment and make data of five levels.

    `expert` is the final stochastic policy; `medium` the stochastic policy of the snapshot, the last one left out,
    whose return is nearest to `random + share (expert - random)`; `medium-replay` all that the training run had seen by
    then; `medium-expert` half of each; `random` uniform actions. The end of an episode's time is never terminal.

    Args:
        env: the environment.
        key: random.
        steps: of the environment, `warmup` included.
        every: steps between snapshots; `steps - warmup` is a multiple of it.
        episodes: of each level.
        share: where `medium` lies between random and expert.
        evaluations: episodes that measure the return of a snapshot.
        hidden: widths of the hidden layers.
        batch_size: rows in a batch.
        warmup: steps of uniform actions in front.
        rate: learning rate of everything.
        settings: others of `separatrix.rl.sac`.

    Returns:
        Transitions, logs and reference returns.

    Raises:
        ValueError: if there are fewer than two snapshots or two episodes.

    References:
        Fu et al. (2020), D4RL, arXiv 2004.07219, for the levels.
    """
    if (steps - warmup) // every < 2 or episodes < 2:
        raise ValueError(
            f"`steps - warmup` must hold two snapshots, 2 x {every}, and `episodes` be 2 or more; got "
            f"{steps - warmup} and {episodes}."
        )
    process = sac(env, hidden=hidden, batch_size=batch_size, warmup=warmup, capacity=steps, rate=rate, **settings)
    snapshots = Probe(_Snapshot(env, evaluations), every=every, name="snapshot")
    state, records = run(process, named_key(key, "train"), steps - warmup, probes=[snapshots], label="collect")
    returns, recorded = records["return"], records.variables["return"].steps + warmup
    expert = state.agent.policy
    unravel = ravel_pytree(expert)[1]

    def play(policy, name):
        return _roll_out(env, policy, named_key(key, name), episodes)

    played = {"random": play(_Uniform(env.action_size), "random"), "expert": play(sampling(expert), "expert")}
    low, high = (float(played[level].reward.sum(axis=1).mean()) for level in ("random", "expert"))
    chosen = int(np.argmin(np.abs(returns[:-1] - (low + share * (high - low)))))
    medium = unravel(jnp.asarray(records["parameters"][chosen]))
    played["medium"] = play(sampling(medium), "medium")
    played["medium-expert"] = jax.tree.map(
        lambda *a: jnp.concatenate([half[: episodes // 2] for half in a]), played["medium"], played["expert"]
    )
    logs = {level: logged(found, level) for level, found in played.items()}
    seen = slice(0, int(recorded[chosen]))  # the buffer holds all steps, so its first rows are the first steps
    replay = (np.asarray(a[seen]) for a in (*state.memory.rows, state.memory.timeout))
    logs["medium-replay"] = checked_log(LoggedEpisodes(*replay, name="medium-replay"))
    return Collected(
        {level: Transitions(*map(jnp.asarray, logs[level][:5])) for level in LEVELS},
        {level: logs[level] for level in LEVELS},
        {"medium": medium, "expert": expert},
        low,
        high,
        recorded,
        returns,
        int(recorded[chosen]),
    )


def to_minari(collected: Collected, prefix: str, *, action_range: tuple[Any, Any] | None = None) -> list[str]:
    """Store all levels as Minari data sets, with the reference returns of the collection.

    Args:
        collected: of `collect`.
        prefix: of their ids, such as `pendulum`; the level and `-v0` follow.
        action_range: `(low, high)` of the environment's own actions, to which they are scaled back; [-1, 1] by default.

    Returns:
        The ids; `separatrix.data.read_log(id)` reads one back.

    Raises:
        ValueError: if Minari refuses a data set, such as one that exists.
    """
    scores = collected.random_return, collected.expert_return
    names = {level: f"{prefix}/{level}-v0" for level in collected.logs}
    for level, name in names.items():
        words = f"level {level} of an own soft actor-critic"
        write_minari(collected.logs[level], name, action_range=action_range, scores=scores, description=words)
    return list(names.values())
