"""Supervised training as lifetimes: an experience is a batch, and every block is followed by an evaluation."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from separatrix._core.intervention import replace
from separatrix._core.probe import Probe, Transition
from separatrix._core.run import run
from separatrix.continual.evaluation import TaskScores, correct, scores_at_start, task_evaluation
from separatrix.continual.learner import Learner
from separatrix.continual.lifetime_log import LifetimeLog
from separatrix.data.task_streams import OneTask

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "BatchScore",
    "at_boundaries",
    "batch_performance",
    "expert_curves",
    "lifetime_logs",
    "noisy_tests",
    "supervised_lifetimes",
]

Score = Callable[[PyTree, PyTree], Float[Array, " batch"]]


class BatchScore(eqx.Module):
    """Mean score on the batch before the update on it; a value for a probe.

    Attributes:
        score: `(outputs, targets) -> scores`, one for each example.
    """

    score: Score = correct

    def __call__(self, tr: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        """Return the score."""
        del key
        process: Any = tr.process
        state = tr.before._replace(task=jnp.asarray(tr.x.task, jnp.int32))
        return {"batch_performance": jnp.mean(self.score(process.outputs(state, tr.x.inputs), tr.x.targets))}


def batch_performance(score: Score = correct) -> Probe:
    """Performance on each batch before the update on it: what a learning experience is worth.

    Args:
        score: one number for each example, larger for better.

    Returns:
        A probe recording `batch_performance` at every step.
    """
    attrs = {"batch_performance": {"units": "1", "long_name": "performance on the batch before the update"}}
    return Probe(BatchScore(score), attrs=attrs, name="batch_performance")


class at_boundaries(NamedTuple):
    """Cadence: at the end of each block.

    Attributes:
        boundaries: of a `data.TaskStream`.
    """

    boundaries: tuple[int, ...]

    def __call__(self, steps: int) -> list[int]:
        """Return the recorded steps."""
        return [b for b in self.boundaries if 0 < b <= steps]


def supervised_lifetimes(
    process: Learner,
    keys: Key[Array, " seeds"],
    *,
    score: Score = correct,
    probes: Sequence[Probe] = (),
    label: str = "run",
    **population: Any,
) -> "xr.Dataset":
    """Run lifetimes: one for each key, and for each point of a grid.

    Args:
        process: a learner whose stream is a `data.TaskStream`; its `order` may visit tasks again.
        keys: one for each lifetime.
        score: one number for each example, larger for better.
        probes: to record beside it.
        label: of the run, for its monitor.
        population: `over`, `vary` and `block` of `separatrix.run`.

    Returns:
        Dataset with `batch_performance` `(*grid, seed, step)`, and `task_performance` `(*grid, seed, step, task)` at
        the boundaries, step 0 included.
    """
    stream = process.stream
    evaluation = task_evaluation(
        stream.tasks, at_boundaries(stream.boundaries), subset=None, score=score, name="task_performance"
    )
    probes = [batch_performance(score), evaluation, *probes]
    ds = run(process, keys, stream.total_steps, probes=probes, label=label, **population).records.to_dataset()
    fn: Any = evaluation.fn
    start = np.asarray(scores_at_start(TaskScores(fn.inputs, fn.targets, fn.counts, score), process, keys))
    ds = ds.reindex(step=[0, *ds["step"].values.tolist()])
    ds["task_performance"].loc[{"step": 0}] = np.broadcast_to(start, ds["task_performance"].sel(step=0).shape)
    return ds


def expert_curves(
    process: Learner,
    keys: Key[Array, " seeds"],
    steps: int,
    *,
    score: Score = correct,
    label: str = "experts",
    **population: Any,
) -> "xr.DataArray":
    """Train single-task experts: the same model, loss and optimiser, one task each, nothing to remember.

    Args:
        process: the learner; its terms are taken off.
        keys: one for each lifetime.
        steps: updates of an expert.
        score: one number for each example, larger for better.
        label: of the run, for its monitor.
        population: `over`, `vary` and `block` of `separatrix.run`, a grid beside that of the tasks.

    Returns:
        Performance on each batch before the update, dimensions `(expert, *grid, seed, step)`.
    """
    stream = process.stream
    alone = dataclasses.replace(process, terms=(), stream=OneTask(stream.tasks, jnp.int32(0), stream.batch_size))
    more, change = dict(population.pop("over", {})), population.pop("vary", None)
    over = {"expert": np.arange(stream.tasks.num_tasks, dtype=np.int32), **more}
    vary = _OfTask(change)
    records = run(
        alone, keys, steps, probes=[batch_performance(score)], over=over, vary=vary, label=label, **population
    ).records
    return records.to_dataset()["batch_performance"]


class _OfTask(NamedTuple):
    change: Any

    def __call__(self, process: Any, values: dict[str, Array]) -> Learner:
        rest = {name: value for name, value in values.items() if name != "expert"}
        if rest:
            process = replace(**rest)(process) if self.change is None else self.change(process, rest)
        return dataclasses.replace(process, stream=dataclasses.replace(process.stream, task=values["expert"]))


def lifetime_logs(lifetimes: "xr.Dataset", stream: Any, names: Sequence[str] | None = None) -> list[LifetimeLog]:
    """Make a log of each lifetime of one grid point.

    Args:
        lifetimes: from `supervised_lifetimes`, with the dimensions `seed`, `step` and `task` only.
        stream: the task stream.
        names: of the tasks in the log.

    Returns:
        One log for each seed.
    """
    logs = []
    for seed in range(lifetimes.sizes["seed"]):
        one = lifetimes.isel(seed=seed)
        evaluations = one["task_performance"].dropna("step", how="all").transpose("step", "task")
        training = one["batch_performance"].dropna("step").values
        logs.append(
            LifetimeLog.from_trace(
                evaluations.values,
                stream.boundaries,
                order=stream.order,
                training=training,
                steps=evaluations["step"].values,
                names=names,
            )
        )
    return logs


def noisy_tests(key: Key[Array, ""], tasks: Any, scale: float) -> Any:
    """Return the task set with Gaussian noise on its test inputs, the same for everybody.

    Args:
        key: drives the noise.
        tasks: a `data.TaskSet` with floating-point inputs.
        scale: standard deviation.

    Returns:
        The changed copy.
    """
    noise = scale * jr.normal(key, tasks.test_inputs.shape, tasks.test_inputs.dtype)
    return dataclasses.replace(tasks, test_inputs=tasks.test_inputs + noise)
