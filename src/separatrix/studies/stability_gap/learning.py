"""The learner that every arm changes, and its evaluation after every update."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import equinox as eqx
import numpy as np
import optax
import xarray as xr

from separatrix.continual.evaluation import continual_evaluation
from separatrix.continual.learner import Learner, bare, with_own_task
from separatrix.data.task_streams import TaskStream
from separatrix.models.heads import MaskedHead
from separatrix.models.mlp import MLP
from separatrix.study.sweep import along_points, first_point

from .settings import Settings


class Network(eqx.Module):
    """The plain network, or one that hides the classes of other tasks."""

    sizes: tuple[int, ...] = eqx.field(static=True)
    visible: Any = None

    def __call__(self, key):
        """Draw the weights."""
        net = MLP(key, self.sizes, use_bias=True)
        return net if self.visible is None else MaskedHead(net, self.visible)


def learner(s: Settings, tasks, steps: int | Sequence[int], own_head: bool = False) -> Learner:
    """Plain training on a task set, the same for every method."""
    visible = tasks.class_mask() if own_head else None
    return Learner(
        model=Network((tasks.train_inputs.shape[-1], s.hidden, s.hidden, 10), visible),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=optax.sgd(s.rate, momentum=s.momentum),
        stream=TaskStream(tasks, steps, s.batch),
        present=with_own_task if own_head else bare,
    )


def evaluated(s: Settings, build: Callable, keys, probes=()) -> xr.Dataset:
    """Run and evaluate every task after every update; keep where tasks end. `build` makes a learner from settings."""
    process, points = build(first_point(s)), along_points(s)
    vary = (lambda process, values: build(replace(s, **values))) if points else None
    ds = continual_evaluation(process, keys, subset=s.subset, probes=probes, over=points, vary=vary)
    ds = ds.drop_vars(["accuracy_error", "task_accuracy"])
    ends = np.broadcast_to(np.asarray(process.stream.boundaries[1:], float), (len(keys), ds.sizes["task"]))
    ds["task_ends"] = (("seed", "task"), ends, {"units": "step", "long_name": "last update of each task"})
    return ds
