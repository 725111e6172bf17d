"""What every task goes through at every update, beside its accuracy: loss, gradient, and movement of its features.

Each is a probe on a subset of every task's test examples that is chosen once, seen tasks or not, as in
`task_evaluation`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key, PyTree

from separatrix._core.probe import Probe, Transition
from separatrix.continual.evaluation import Cadence, TaskScores, chosen_examples, task_means
from separatrix.continual.learner import Learner
from separatrix.data.task_streams import TaskSet

__all__ = ["feature_drift", "task_gradient_norms", "task_losses"]


class _Losses(eqx.Module):
    scores: TaskScores

    def __call__(self, tr: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        del key
        process: Any = tr.process
        scores = dataclasses.replace(self.scores, score=process.loss)
        return {"task_loss": scores.of(process, tr.after)}


def task_losses(
    tasks: TaskSet, every: Cadence = 1, *, subset: int | None = 1_000, key: Key[Array, ""] | None = None
) -> Probe:
    """Mean loss on every task after the update, without penalties.

    Args:
        tasks: whose test examples are used.
        every: cadence.
        subset: most examples of a task; all when None.
        key: chooses the subset; `key(0)`, which `task_evaluation` takes too, by default.

    Returns:
        A probe of a `Learner` or `training.Supervised` recording `task_loss` with the axis `task`, in units of the
        process's loss.

    Raises:
        ValueError: if the subset is empty.
    """
    scores = TaskScores(*chosen_examples(tasks, subset, key))
    return _probe(_Losses(scores), every, "task_loss", "test loss on each task")


class _GradientNorms(eqx.Module):
    inputs: PyTree
    targets: PyTree
    counts: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        del key
        process: Any = tr.process
        size = jax.tree.leaves(self.targets)[0].shape[1]

        def norm(examples):
            inputs, targets, task, count = examples
            more = {"own": jnp.full(size, task)} if isinstance(process, Learner) else {}

            def loss(params):
                losses = process.loss(process.outputs(tr.after._replace(params=params), inputs, **more), targets)
                return jnp.sum(jnp.where(jnp.arange(size) < count, losses, 0.0)) / count.astype(losses.dtype)

            return optax.tree.norm(jax.grad(loss)(tr.after.params))

        numbers = jnp.arange(len(self.counts), dtype=jnp.int32), jnp.asarray(np.array(self.counts, np.int32))
        return {"task_gradient_norm": jax.lax.map(norm, (self.inputs, self.targets, *numbers))}


def task_gradient_norms(
    tasks: TaskSet, every: Cadence = 1, *, subset: int | None = 1_000, key: Key[Array, ""] | None = None
) -> Probe:
    """Norm of the gradient of the mean loss on every task, at the parameters after the update.

    It says how far a task is from a stationary point: at the end of a task its norm is small, and the step that the
    next task takes first cannot see it. `gradient_split_probe` records the norm of the part that the learner uses to
    hold old tasks (`norm_stability`). Each record costs one gradient for each task.

    Args:
        tasks: whose test examples are used.
        every: cadence.
        subset: most examples of a task; all when None.
        key: chooses the subset; `key(0)` by default.

    Returns:
        A probe of a `Learner` or `training.Supervised` recording `task_gradient_norm` with the axis `task`.

    Raises:
        ValueError: if the subset is empty.
    """
    norms = _GradientNorms(*chosen_examples(tasks, subset, key))
    return _probe(norms, every, "task_gradient_norm", "norm of the gradient of each task's test loss")


class _Drift(eqx.Module):
    features: Callable[[Any, PyTree], Float[Array, "..."]]
    inputs: PyTree
    counts: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        del key
        process: Any = tr.process
        tasks, size = len(self.counts), jax.tree.leaves(self.inputs)[0].shape[1]
        inputs = jax.tree.map(lambda a: a.reshape(tasks * size, *a.shape[2:]), self.inputs)
        if isinstance(process, Learner):  # one and the same identity of the task before and after
            own = jnp.repeat(jnp.arange(tasks, dtype=jnp.int32), size, total_repeat_length=tasks * size)
            inputs = process.present(inputs, own, tr.after.task)

        def of(params):
            model = process.model_at(tr.after._replace(params=params))
            return jax.vmap(lambda x: self.features(model, x))(inputs)

        moved = of(tr.after.params) - of(tr.before.params)
        squared = jnp.sum(moved.reshape(tasks, size, -1) ** 2, axis=-1)
        return {"feature_drift": task_means(squared, self.counts)}


def feature_drift(
    tasks: TaskSet,
    features: Callable[[Any, PyTree], Float[Array, "..."]],
    every: Cadence = 1,
    *,
    subset: int | None = 1_000,
    key: Key[Array, ""] | None = None,
) -> Probe:
    """How far one update moves the features of every task, `mean |phi_n(x) - phi_{n-1}(x)|^2`.

    Args:
        tasks: whose test examples are used.
        features: `(model, input) -> array` of one example, such as the last hidden layer of an `MLP`:
            `lambda model, x: jax.nn.relu(model.preactivations(x)[-1])`. The input is what the learner shows its model.
        every: cadence; each record is about one update, however many lie between records.
        subset: most examples of a task; all when None.
        key: chooses the subset; `key(0)` by default.

    Returns:
        A probe of a `Learner` or `training.Supervised` recording `feature_drift` with the axis `task`, in squared
        units of the features.

    Raises:
        ValueError: if the subset is empty.

    References:
        De Lange, van de Ven, Tuytelaars (2023), Continual evaluation for lifelong learning, ICLR, arXiv:2205.13452.
    """
    inputs, _, counts = chosen_examples(tasks, subset, key)
    return _probe(_Drift(features, inputs, counts), every, "feature_drift", "mean squared movement of the features")


def _probe(fn: Callable[..., dict[str, Array]], every: Cadence, name: str, long_name: str) -> Probe:
    return Probe(
        fn, every=every, name=name, dims={name: ("task",)}, attrs={name: {"units": "1", "long_name": long_name}}
    )
