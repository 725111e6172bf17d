"""Lifetimes of an agent: blocks of learning and of evaluation, run on the host and logged.

Environments have gymnasium's methods `reset(seed=...) -> (observation, info)` and `step(action) -> (observation,
reward, terminated, truncated, info)`; nothing of gymnasium is imported.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import jax.random as jr
import numpy as np
import pandas as pd
from jaxtyping import Array, Key

from separatrix._core.keys import named_key
from separatrix.continual.lifetime_log import LifetimeLog

__all__ = ["Agent", "Block", "InterleavedEvalCurriculum", "Step", "TaskVariant", "run_lifetime"]


class Step(NamedTuple):
    """One transition, as an agent receives it.

    Attributes:
        observation: before the action.
        action: that was taken.
        reward: None in an evaluation block, where rewards are hidden.
        done: whether the episode ended, by terminal state or by truncation.
        next_observation: after the action; the last one of an episode, not the first of the next.
        terminated: whether it ended in a terminal state.
    """

    observation: Any
    action: Any
    reward: float | None
    done: bool
    next_observation: Any
    terminated: bool = False


class Agent(Protocol):
    """What `run_lifetime` calls. Observations and transitions come in lists, one entry for each parallel environment.

    An entry is None where an environment has nothing left to do.
    """

    def block_start(self, is_learning_allowed: bool) -> None:
        """A block begins."""
        ...

    def block_end(self, is_learning_allowed: bool) -> None:
        """A block ends."""
        ...

    def task_start(self, label: str) -> None:
        """A task begins within the block."""
        ...

    def task_end(self, label: str) -> None:
        """A task ends."""
        ...

    def task_variant_start(self, label: str, variant: str) -> None:
        """A variant of the task begins."""
        ...

    def task_variant_end(self, label: str, variant: str) -> None:
        """A variant ends."""
        ...

    def choose_actions(self, observations: Sequence[Any]) -> Sequence[Any]:
        """Return an action for each observation, None where the observation is None."""
        ...

    def receive_transitions(self, transitions: Sequence[Step | None]) -> None:
        """Take in what came of the actions."""
        ...


@dataclass(frozen=True)
class TaskVariant:
    """A stay in one environment.

    Attributes:
        label: of the task; lower case without underscore.
        make: `(**params) -> environment`.
        params: of the environment.
        variant: name of the variant.
        episodes: number of episodes, or
        steps: number of steps, all environments together; an episode that is cut off is logged as incomplete.

    Raises:
        ValueError: if not exactly one of `episodes` and `steps` is given, or a name is not allowed.
    """

    label: str
    make: Callable[..., Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    variant: str = "default"
    episodes: int | None = None
    steps: int | None = None

    def __post_init__(self):
        if (self.episodes is None) == (self.steps is None) or min(self.episodes or 1, self.steps or 1) < 1:
            raise ValueError(
                f"a variant lasts a number of `episodes` or of `steps`, one of the two; got {self.episodes} and "
                f"{self.steps}."
            )
        is_lower = self.label == self.label.lower() and self.variant == self.variant.lower()
        if not self.label or "_" in self.label or not is_lower:
            raise ValueError(f"names are in lower case, the label without `_`; got {self.label!r}, {self.variant!r}.")

    @property
    def name(self) -> str:
        """Name of the task in the log, `label_variant`."""
        return f"{self.label}_{self.variant}"


@dataclass(frozen=True)
class Block:
    """A learning or an evaluation block.

    Attributes:
        variants: in order.
        is_learning_allowed: False in an evaluation block.
    """

    variants: tuple[TaskVariant, ...]
    is_learning_allowed: bool = True


@dataclass(frozen=True)
class InterleavedEvalCurriculum:
    """Evaluation, learning, evaluation, learning, ..., evaluation; the evaluation is the same every time.

    Any iterable of blocks is a curriculum; this is the usual one.

    Attributes:
        learning: variants of each learning block.
        evaluation: variants of every evaluation block, also those not learnt yet.
    """

    learning: tuple[tuple[TaskVariant, ...], ...]
    evaluation: tuple[TaskVariant, ...]

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks."""
        test = Block(tuple(self.evaluation), is_learning_allowed=False)
        for variants in self.learning:
            yield test
            yield Block(tuple(variants))
        yield test


def run_lifetime(
    agent: Agent,
    curriculum: Iterable[Block],
    key: Key[Array, ""],
    *,
    num_envs: int = 1,
    metric: str = "reward",
    **info: str,
) -> LifetimeLog:
    """Let an agent live through a curriculum; an experience is an episode, its performance the sum of rewards.

    The seeds of evaluation depend on the key and on the variant, not on the block, so every evaluation block poses the
    same problems. The agent's own randomness is its own business.

    Args:
        agent: see `Agent`.
        curriculum: blocks in order.
        key: drives the environments.
        num_envs: environments stepped side by side.
        metric: name of the performance column.
        info: of the scenario, for the log.

    Returns:
        The log.

    Raises:
        ValueError: if there is no block, or `num_envs` is not positive.
    """
    if num_envs < 1:
        raise ValueError(f"`num_envs` must be at least 1; got {num_envs}.")
    rows: list[dict[str, Any]] = []
    for number, block in enumerate(curriculum):
        learning = block.is_learning_allowed
        agent.block_start(learning)
        task = None
        for place, variant in enumerate(block.variants):
            if variant.label != task:
                if task is not None:
                    agent.task_end(task)
                task = variant.label
                agent.task_start(task)
            agent.task_variant_start(variant.label, variant.variant)
            where = named_key(key, f"learn {number} {place}" if learning else f"evaluate {variant.name} {place}")
            for total, complete in _stay(agent, variant, where, num_envs, learning):
                rows.append(
                    {
                        "block_num": number,
                        "block_type": "train" if learning else "test",
                        "exp_num": len(rows),
                        "task_name": variant.name,
                        "exp_status": "complete" if complete else "incomplete",
                        metric: total,
                    }
                )
            agent.task_variant_end(variant.label, variant.variant)
        if task is not None:
            agent.task_end(task)
        agent.block_end(learning)
    if not rows:
        raise ValueError("the curriculum holds no experience.")
    return LifetimeLog(pd.DataFrame(rows), (metric,), dict(info))


def _stay(agent: Agent, variant: TaskVariant, key, num_envs: int, learning: bool) -> list[tuple[float, bool]]:
    """Run one variant and return the return of each episode, and whether it came to its end."""
    seeds = np.random.default_rng(int(jr.bits(key, dtype="uint32")))
    envs = [variant.make(**variant.params) for _ in range(num_envs)]
    left_episodes = variant.episodes if variant.episodes is not None else np.inf
    left_steps = variant.steps if variant.steps is not None else np.inf
    observations: list[Any] = [None] * num_envs
    totals = [0.0] * num_envs
    finished: list[tuple[float, bool]] = []

    def begin(i: int) -> None:
        nonlocal left_episodes
        if left_episodes > 0:
            left_episodes -= 1
            observations[i], _ = envs[i].reset(seed=int(seeds.integers(2**31)))
            totals[i] = 0.0
        else:
            observations[i] = None

    for i in range(num_envs):
        begin(i)
    while any(o is not None for o in observations) and left_steps > 0:
        shown = [o if k < left_steps else None for k, o in _ranked(observations)]
        actions = agent.choose_actions(shown)
        seen: list[Step | None] = [None] * num_envs
        for i, observation in enumerate(shown):
            if observation is None:
                continue
            left_steps -= 1
            following, reward, terminated, truncated, _ = envs[i].step(actions[i])
            totals[i] += float(reward)
            done = bool(terminated or truncated)
            hidden = float(reward) if learning else None
            seen[i] = Step(observation, actions[i], hidden, done, following, bool(terminated))
            observations[i] = following
            if done:
                finished.append((totals[i], True))
                begin(i)
        agent.receive_transitions(seen)
    finished += [(totals[i], False) for i, o in enumerate(observations) if o is not None and variant.steps is not None]
    return finished


def _ranked(observations: Sequence[Any]) -> list[tuple[int, Any]]:
    """Number the environments that still have something to do."""
    rank, out = 0, []
    for observation in observations:
        out.append((rank, observation))
        rank += observation is not None
    return out
