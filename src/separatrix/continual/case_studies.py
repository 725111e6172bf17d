"""Five small lifetimes of different kinds, each with a full lifelong report, in seconds.

Digits to classify, digits to rate (regression), a pole to balance under changing gravity and length, a contextual
bandit whose arms drift, and the dynamics of pendulums to model. They show that the metrics need nothing but a log, and
are small models for lifetimes of your own.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from separatrix._core.intervention import Intervention
from separatrix.continual.batch_lifetimes import expert_curves, lifetime_logs, supervised_lifetimes
from separatrix.continual.buffers import Balanced, Reservoir, by_task
from separatrix.continual.case_environments import CartPole, DriftingBandit
from separatrix.continual.curriculum import Block, InterleavedEvalCurriculum, TaskVariant, run_lifetime
from separatrix.continual.evaluation import correct
from separatrix.continual.learner import Learner
from separatrix.continual.lifelong_report import LifelongReport, lifelong_metrics
from separatrix.continual.linear_agents import LinearActorCritic, LinearBanditAgent
from separatrix.continual.replay import experience_replay
from separatrix.data.images import digits
from separatrix.data.task_sets import rotated
from separatrix.data.task_streams import TaskSet, TaskStream, stack_tasks
from separatrix.models.mlp import MLP

__all__ = [
    "CASE_STUDIES",
    "bandit_lifetime",
    "cartpole_lifetime",
    "digit_classification_lifetime",
    "digit_regression_lifetime",
    "pendulum_model_lifetime",
    "pendulum_transitions",
]


VISITS = 3  # of each task: performance recovery needs two recoveries


# What lifetimes share is made once, so that all of them share their compiled programs.
_OPTIMISER = optax.chain(optax.clip_by_global_norm(5.0), optax.sgd(0.03, momentum=0.9))


@functools.cache
def _network(sizes: tuple[int, ...]) -> Callable[[Key[Array, ""]], MLP]:
    return lambda key: MLP(key, sizes, use_bias=True)


def _squared(outputs: Array, targets: Array) -> Array:
    return jnp.mean((outputs - targets) ** 2, axis=-1)


def _minus_error(outputs: Array, targets: Array) -> Array:
    return -_squared(outputs, targets)


def _supervised(key, tasks: TaskSet, sizes, loss, score, steps: int, method: Intervention | None, label: str):
    order = (*range(tasks.num_tasks),) * VISITS
    learner = Learner(
        model=_network(sizes),
        loss=loss,
        optimiser=_OPTIMISER,
        stream=TaskStream(tasks, steps, batch_size=32, order=order),
    )
    method = experience_replay(Balanced(40 * tasks.num_tasks, tasks.num_tasks, by_task)) if method is None else method
    keys = key[None]
    lifetimes = supervised_lifetimes(method(learner), keys, score=score, label=label)  # pyright: ignore[reportArgumentType]
    experts = expert_curves(learner, keys, VISITS * steps, score=score, label=f"{label} experts")
    log = lifetime_logs(lifetimes, learner.stream)[0]
    curves = {f"task{t}": [experts.isel(expert=t, seed=0).values] for t in range(tasks.num_tasks)}
    return lifelong_metrics(log, curves)


def digit_classification_lifetime(
    key: Key[Array, ""], *, steps: int = 60, method: Intervention | None = None, label: str = "run"
) -> LifelongReport:
    """Classify digits rotated by 0, 60 and 120 degrees, each learnt three times.

    Args:
        key: drives weights and batches.
        steps: updates of a learning block.
        method: a continual method; experience replay when None.
        label: of the run, for its monitor.

    Returns:
        The report of one lifetime; performance is accuracy.
    """
    tasks = rotated(digits(jr.key(0), 1257), (0.0, 60.0, 120.0))
    loss = optax.losses.softmax_cross_entropy_with_integer_labels
    return _supervised(key, tasks, (64, 100, 100, 10), loss, correct, steps, method, label)


def digit_regression_lifetime(
    key: Key[Array, ""], *, steps: int = 60, method: Intervention | None = None, label: str = "run"
) -> LifelongReport:
    """Rate digits, as numbers from 0 to 1, under three rotations, each learnt three times.

    Args:
        key: drives weights and batches.
        steps: updates of a learning block.
        method: a continual method; experience replay when None.
        label: of the run, for its monitor.

    Returns:
        The report of one lifetime; performance is minus the squared error.
    """
    turned = rotated(digits(jr.key(0), 1257), (0.0, 60.0, 120.0))
    pairs = [
        [(np.asarray(x[t]), np.asarray(y[t], np.float32)[:, None] / 9) for t in range(turned.num_tasks)]
        for x, y in ((turned.train_inputs, turned.train_targets), (turned.test_inputs, turned.test_targets))
    ]
    tasks = stack_tasks(pairs[0], pairs[1], num_classes=0)
    buffer = Reservoir(40 * tasks.num_tasks)
    method = experience_replay(buffer) if method is None else method
    return _supervised(key, tasks, (64, 100, 100, 1), _squared, _minus_error, steps, method, label)


def pendulum_transitions(
    key: Key[Array, ""], count: int, *, gravity: float = 10.0, length: float = 1.0, dt: float = 0.05
) -> tuple[Float[Array, "count 4"], Float[Array, "count 2"]]:
    """Draw transitions of a torque-driven pendulum from uniformly distributed states and torques.

    The pendulum of unit mass obeys `angle'' = 3 g / (2 l) sin(angle) + 3 torque / l^2` with the angle from upright,
    stepped semi-implicitly.

    Args:
        key: drives states and torques.
        count: number of transitions.
        gravity: g.
        length: l.
        dt: length of the step, s.

    Returns:
        Inputs `(cos angle, sin angle, velocity / 8, torque / 2)` and targets
        `(velocity after dt / 8, acceleration / 8)`.
    """
    angle = jr.uniform(jr.fold_in(key, 0), (count,), minval=-jnp.pi, maxval=jnp.pi)
    velocity = jr.uniform(jr.fold_in(key, 1), (count,), minval=-8.0, maxval=8.0)
    torque = jr.uniform(jr.fold_in(key, 2), (count,), minval=-2.0, maxval=2.0)
    acceleration = 1.5 * gravity / length * jnp.sin(angle) + 3.0 * torque / length**2
    after = velocity + dt * acceleration
    inputs = jnp.stack([jnp.cos(angle), jnp.sin(angle), velocity / 8, torque / 2], axis=-1)
    return inputs, jnp.stack([after / 8, acceleration / 8], axis=-1)


def pendulum_model_lifetime(
    key: Key[Array, ""], *, steps: int = 60, method: Intervention | None = None, label: str = "run"
) -> LifelongReport:
    """Learn the dynamics of pendulums of three lengths, each three times.

    Args:
        key: drives weights and batches.
        steps: updates of a learning block.
        method: a continual method; experience replay when None.
        label: of the run, for its monitor.

    Returns:
        The report of one lifetime; performance is minus the squared error of the predicted change.
    """
    draw = lambda i, n, length: pendulum_transitions(jr.key(i), n, length=length)  # noqa: E731
    lengths = (1.0, 0.5, 1.5)
    train = [draw(i, 1_000, length) for i, length in enumerate(lengths)]
    tasks = stack_tasks(train, [draw(10 + i, 300, length) for i, length in enumerate(lengths)], num_classes=0)
    method = experience_replay(Reservoir(40 * tasks.num_tasks)) if method is None else method
    return _supervised(key, tasks, (4, 64, 64, 2), _squared, _minus_error, steps, method, label)


def _lifetime(make_agent: Callable[[np.random.Generator], Any], learning, evaluation, key) -> LifelongReport:
    """One lifetime and one expert for each variant, all from one key."""
    seed = lambda i: np.random.default_rng(int(jr.bits(jr.fold_in(key, i), dtype="uint32")))  # noqa: E731
    curriculum = InterleavedEvalCurriculum(learning, evaluation)
    log = run_lifetime(make_agent(seed(0)), curriculum, key)
    experts = {}
    for i, variants in enumerate(learning[: len(evaluation)]):
        alone = run_lifetime(make_agent(seed(i + 1)), [Block(variants * VISITS)], jr.fold_in(key, 100 + i))
        experts[variants[0].name] = [np.concatenate([r.values for r in alone.regimes()])]
    return lifelong_metrics(log, experts)


def cartpole_lifetime(key: Key[Array, ""], *, episodes: int = 60, evaluations: int = 10) -> LifelongReport:
    """Balance three variants of the cart-pole, each learnt three times, with a linear actor-critic.

    Args:
        key: drives environments and agent.
        episodes: of a learning block.
        evaluations: episodes of a variant in an evaluation block.

    Returns:
        The report of one lifetime; performance is the length of an episode.
    """
    variants = {
        "standard": {},
        "heavy": {"gravity": 25.0, "length": 1.0},
        "long": {"gravity": 9.8, "length": 3.0},
    }
    stay = lambda name, n: TaskVariant("cartpole", CartPole, variants[name], name, episodes=n)  # noqa: E731
    learning = tuple((stay(name, episodes),) for name in list(variants) * VISITS)
    return _lifetime(LinearActorCritic, learning, tuple(stay(name, evaluations) for name in variants), key)


def bandit_lifetime(key: Key[Array, ""], *, episodes: int = 60, evaluations: int = 10) -> LifelongReport:
    """Pull the arms of a contextual bandit whose weights turn by 0, 60 and 120 degrees, each stage met three times.

    Args:
        key: drives bandit and agent.
        episodes: of a learning block, 20 pulls each.
        evaluations: episodes of a variant in an evaluation block.

    Returns:
        The report of one lifetime; performance is the mean reward of an episode.
    """
    angles = {"early": 0.0, "middle": 60.0, "late": 120.0}
    stay = lambda name, n: TaskVariant("bandit", DriftingBandit, {"angle": angles[name]}, name, episodes=n)  # noqa: E731
    learning = tuple((stay(name, episodes),) for name in list(angles) * VISITS)
    return _lifetime(LinearBanditAgent, learning, tuple(stay(name, evaluations) for name in angles), key)


CASE_STUDIES: dict[str, Callable[..., LifelongReport]] = {
    "digit classification": digit_classification_lifetime,
    "digit regression": digit_regression_lifetime,
    "cart-pole variants": cartpole_lifetime,
    "drifting bandit": bandit_lifetime,
    "pendulum models": pendulum_model_lifetime,
}
"""Lifetimes by name, each `(key) -> LifelongReport`."""
