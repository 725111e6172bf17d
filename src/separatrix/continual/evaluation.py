"""Evaluation on every task after every update, compiled into the run."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key, PyTree

from separatrix._core.keys import named_key
from separatrix._core.probe import Probe, Transition
from separatrix._core.run import run
from separatrix.continual.accuracy_trace import AccuracyTrace
from separatrix.continual.learner import Learner
from separatrix.data.task_streams import TaskSet

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Cadence",
    "TaskScores",
    "chosen_examples",
    "continual_evaluation",
    "correct",
    "evaluation_cost",
    "seen",
    "task_evaluation",
    "task_means",
    "trace_of",
]

Cadence = int | Callable[[int], Sequence[int]]


def correct(outputs: Float[Array, "batch classes"], targets: Int[Array, " batch"]) -> Float[Array, " batch"]:
    """Return 1 where the largest logit is the target's; NaN where a logit is not finite.

    Without the last rule a diverged model scores the share of class 0, since the arg-max of NaN is 0.

    Args:
        outputs: logits.
        targets: classes.

    Returns:
        A number for each example.

    Examples:
        >>> correct(jnp.array([[1.0, 2.0], [jnp.nan, 0.0]]), jnp.array([1, 0])).tolist()
        [1.0, nan]
    """
    right = (jnp.argmax(outputs, axis=-1) == targets).astype(jnp.float32)
    return jnp.where(jnp.all(jnp.isfinite(outputs), axis=-1), right, jnp.nan)


class TaskScores(eqx.Module):
    """Mean score on a fixed subset of each task's test examples; a value for a probe.

    Attributes:
        inputs: tasks on the first axis, examples on the second.
        targets: their targets.
        counts: number of real examples of each task.
        score: `(outputs, targets) -> scores`, one for each example.
        name: of the recorded variable.
    """

    inputs: PyTree
    targets: PyTree
    counts: tuple[int, ...] = eqx.field(static=True)
    score: Callable[[PyTree, PyTree], Float[Array, " batch"]] = correct
    name: str = eqx.field(static=True, default="task_accuracy")

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        """Return the scores after the update."""
        del key
        return {self.name: self.of(transition.process, transition.after)}

    def of(self, process: Any, state: Any) -> Float[Array, " tasks"]:
        """Return the scores of a state of a `Learner`, or of a process with the method `outputs`."""
        return task_means(self.each(process, state), self.counts)

    def each(self, process: Any, state: Any) -> Float[Array, "tasks size"]:
        """Return the score of every example."""
        tasks, size = len(self.counts), jax.tree.leaves(self.targets)[0].shape[1]
        flat = jax.tree.map(lambda a: a.reshape(tasks * size, *a.shape[2:]), (self.inputs, self.targets))
        own = jnp.repeat(jnp.arange(tasks, dtype=jnp.int32), size, total_repeat_length=tasks * size)
        more = {"own": own} if isinstance(process, Learner) else {}
        return self.score(process.outputs(state, flat[0], **more), flat[1]).reshape(tasks, size)


class SampledScores(eqx.Module):
    """Mean score on each task with its standard error due to the subset; a value for a probe.

    Attributes:
        scores: on the subset.
        totals: number of test examples of each task, from which the subset was drawn without replacement.
    """

    scores: TaskScores
    totals: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        """Return scores and errors after the update."""
        del key
        return self.of(transition.process, transition.after)

    def of(self, process: Any, state: Any) -> dict[str, Float[Array, " tasks"]]:
        """Return scores and errors of a state."""
        each, counts = self.scores.each(process, state), self.scores.counts
        mean = task_means(each, counts)
        spread = task_means((each - mean[:, None]) ** 2, counts)
        m, n = np.asarray(counts, np.float32), np.asarray(self.totals, np.float32)
        error = jnp.sqrt(spread * ((n - m) / (m * np.maximum(n - 1, 1))))
        return {self.scores.name: mean, f"{self.scores.name}_error": error}


def task_means(values: Float[Array, "tasks size"], counts: Sequence[int]) -> Float[Array, " tasks"]:
    """Return the mean of each task over its real examples, which come first.

    Args:
        values: one for each example.
        counts: number of real examples of each task.

    Returns:
        One number for each task.
    """
    count, size = np.asarray(counts), values.shape[1]
    if (count == size).all():
        return jnp.mean(values, axis=1)
    real = jnp.arange(size) < count[:, None]
    return jnp.sum(jnp.where(real, values, 0.0), axis=1) / count.astype(np.float32)


def task_evaluation(
    tasks: TaskSet,
    every: Cadence = 1,
    *,
    subset: int | None = 1_000,
    key: Key[Array, ""] | None = None,
    score: Callable[[PyTree, PyTree], Float[Array, " batch"]] = correct,
    name: str = "task_accuracy",
) -> Probe:
    """Evaluate on every task, seen or not, on a subset of its test examples that is chosen once.

    Args:
        tasks: whose test examples are used.
        every: cadence; 1 for every update.
        subset: most examples of a task; all when None.
        key: chooses the subset; `key(0)` by default.
        score: one number for each example, larger for better.
        name: of the recorded variable.

    Returns:
        A probe recording `task_accuracy` with the axis `task`.

    Raises:
        ValueError: if the subset is empty.
    """
    scores = TaskScores(*chosen_examples(tasks, subset, key), score, name)
    attrs = {name: {"units": "1", "long_name": "test performance on each task"}}
    return Probe(scores, every=every, dims={name: ("task",)}, attrs=attrs, name=f"task_evaluation:{name}")


def chosen_examples(
    tasks: TaskSet, subset: int | None, key: Key[Array, ""] | None = None
) -> tuple[PyTree, PyTree, tuple[int, ...]]:
    """Choose test examples of every task, once and for all.

    Args:
        tasks: whose test examples are used.
        subset: most examples of a task; all when None.
        key: chooses them; `key(0)` by default.

    Returns:
        Inputs and targets of shape `(tasks, size, ...)`, and the number of real examples of each task; the rest of a
        row repeats them.

    Raises:
        ValueError: if the subset is empty.
    """
    if subset is not None and subset < 1:
        raise ValueError(f"`subset` must be at least 1; got {subset}.")
    key = jr.key(0) if key is None else key
    counts = tuple(n if subset is None else min(n, subset) for n in tasks.test_counts)
    rows = np.zeros((tasks.num_tasks, max(counts)), int)
    for task, (total, count) in enumerate(zip(tasks.test_counts, counts, strict=True)):
        own = np.asarray(jr.permutation(jr.fold_in(key, task), total))[:count] if count < total else np.arange(total)
        rows[task] = np.resize(own, max(counts))
    at = np.arange(tasks.num_tasks)[:, None]
    return tasks.test_inputs[at, rows], tasks.test_targets[at, rows], counts


def trace_of(accuracy: "xr.DataArray", boundaries: Sequence[int]) -> AccuracyTrace:
    """Take an accuracy with the dimensions `step` and `task` as a trace; all others become further axes.

    Args:
        accuracy: steps at which nothing was measured are left out. Performance on a task that is not seen yet counts
            for forward transfer only.
        boundaries: completed updates at the start and end of each task.

    Returns:
        The trace up to the last boundary.
    """
    accuracy = accuracy.dropna("step", how="all").transpose("step", "task", ...)
    accuracy = accuracy.isel(step=(accuracy["step"] <= boundaries[-1]).values)
    return AccuracyTrace(accuracy.values, boundaries, accuracy["step"].values)


def continual_evaluation(
    process: Learner,
    keys: Key[Array, "*seeds"],
    *,
    every: int = 1,
    subset: int | None = 1_000,
    score: Callable[[PyTree, PyTree], Float[Array, " batch"]] = correct,
    probes: Sequence[Probe] = (),
    label: str = "run",
    **population: Any,
) -> "xr.Dataset":
    """Run a learner through its task stream and evaluate on every task after every update, and once before the first.

    Args:
        process: a learner whose stream is a `data.TaskStream` that visits each task once, in order;
            `supervised_lifetimes` takes any other.
        keys: one key, or one for each seed.
        every: cadence, which must divide the steps of every block.
        subset: test examples of a task at most; they are chosen once.
        score: one number for each example, larger for better.
        probes: to record beside it.
        label: of the run, for its monitor.
        population: `over`, `vary` and `block` of `separatrix.run`.

    Returns:
        Dataset with `accuracy` (NaN for a task that is not seen yet), `accuracy_error`, the standard error due to the
        subset, and `task_accuracy`, that on all tasks, which forward transfer needs, of dimensions
        `(*grid, seed, step, task)`, and what the probes recorded. Its attributes report the cost: seconds, and test
        examples evaluated for each training example.

    Raises:
        ValueError: if `every` does not divide the steps of every block, or the stream visits tasks in another order,
            not at all or again.
    """
    stream = process.stream
    if any(steps % every for steps in stream.steps):
        raise ValueError(f"`every` must divide the updates of every block, {stream.steps}; got {every}.")
    if stream.order != tuple(range(stream.tasks.num_tasks)):
        raise ValueError(
            f"the stream must visit each of {stream.tasks.num_tasks} tasks once, in order; got {stream.order}. Reorder "
            "the tasks themselves, or use `supervised_lifetimes`."
        )
    scores = TaskScores(*chosen_examples(stream.tasks, subset), score)
    sampled = SampledScores(scores, stream.tasks.test_counts)
    names = {"task_accuracy": "test performance on each task", "task_accuracy_error": "its error due to the subset"}
    probe = Probe(
        sampled,
        every=every,
        dims=dict.fromkeys(names, ("task",)),
        attrs={name: {"units": "1", "long_name": text} for name, text in names.items()},
        name="task_evaluation:task_accuracy",
    )
    result = run(process, keys, stream.total_steps, probes=[probe, *probes], label=label, **population)
    ds = result.records.to_dataset()
    # before the first update no hyper-parameter has acted, so one evaluation a seed serves a whole grid
    ds = ds.reindex(step=[0, *ds["step"].values.tolist()])
    for name, start in scores_at_start(sampled, process, keys).items():
        ds[name].loc[{"step": 0}] = np.broadcast_to(np.asarray(start), ds[name].sel(step=0).shape)
    marks = np.asarray(stream.boundaries)
    is_seen = seen(ds["step"], marks)
    ds["accuracy"] = ds["task_accuracy"].where(is_seen)
    ds["accuracy_error"] = ds["task_accuracy_error"].where(is_seen)
    ds = ds.drop_vars("task_accuracy_error")
    tasks = {"names": ", ".join(stream.tasks.names)}
    ds = ds.assign_coords(task=("task", np.arange(len(scores.counts)), tasks))
    ds.attrs |= {
        "boundaries": marks.tolist(),
        "evaluated_per_trained_example": float(sum(scores.counts) / every / stream.batch_size),
    }
    return ds


@eqx.filter_jit
def scores_at_start(scores: TaskScores | SampledScores, process: Learner, keys: Key[Array, "*seeds"]) -> Any:
    """Return the scores of the states that a run starts from, seeds on the first axis."""
    one = lambda key: scores.of(process, process.init(named_key(key, "init")))  # noqa: E731
    return jax.vmap(one)(keys) if keys.ndim else one(keys)


def seen(steps: "xr.DataArray", boundaries: Sequence[int] | np.ndarray) -> "xr.DataArray":
    """Say which tasks count at which evaluation: the first from the start, the others from their first update on.

    Args:
        steps: completed updates.
        boundaries: completed updates at the start and end of each task.

    Returns:
        Booleans with the dimensions `step` and `task`.
    """
    import xarray as xr

    begin = xr.DataArray(np.asarray(boundaries)[:-1], dims="task")
    return (steps > begin) | (begin == begin[0])


def evaluation_cost(
    process: Any, key: Key[Array, ""], probe: Probe, *, steps: int = 200, repeats: int = 3
) -> dict[str, float]:
    """Time a run with and without an evaluation, compilation apart.

    Args:
        process: any process with a stream.
        key: drives the run.
        probe: the evaluation; its own cadence is used.
        steps: updates of a run, a multiple of the cadence.
        repeats: timed runs; the quickest counts.

    Returns:
        `seconds_per_step`, `seconds_per_step_without`, and the evaluation's `share` of the time.
    """
    seconds = []
    for probes in ([probe], []):
        times = []
        for _ in range(repeats + 1):
            began = time.perf_counter()
            jax.block_until_ready(run(process, key, steps, probes=probes).state)
            times.append(time.perf_counter() - began)
        seconds.append(min(times[1:]) / steps)
    return {
        "seconds_per_step": seconds[0],
        "seconds_per_step_without": seconds[1],
        "share": max(0.0, 1 - seconds[1] / seconds[0]),
    }
