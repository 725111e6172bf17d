"""Arms on two rotations of the digits: replay at four angles, other methods at one, and the mechanism."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax.random as jr

from separatrix.continual.buffers import Balanced, by_task
from separatrix.continual.distillation import lwf
from separatrix.continual.gradient_parts import gradient_split_probe, old_data_gradient_probe
from separatrix.continual.gradient_projection import gem
from separatrix.continual.replay import experience_replay
from separatrix.continual.weight_penalties import ewc
from separatrix.data.images import digits
from separatrix.data.task_sets import rotated

from .learning import evaluated, learner
from .settings import Settings


def two_tasks(s: Settings, keys, method: Callable, angle: float, first: int | None = None, probes=()):
    """Digits upright, then rotated, with one head."""
    tasks = rotated(digits(jr.key(0), s.examples), (0.0, angle))
    tasks = replace(tasks, names=("upright", "rotated"))  # whatever the angle, so that all share a compiled program
    steps = (s.two_task_steps if first is None else first, s.two_task_steps)
    return evaluated(s, lambda s: method(s)(learner(s, tasks, steps)), keys, probes)


def full_replay(s: Settings):
    """Replay from all of the first task's examples."""
    return experience_replay(Balanced(s.examples, groups=1, group_of=by_task), s.two_task_lam)


def er_15(s: Settings, keys):
    """Replay of all old data, second task rotated by 15 degrees."""
    return two_tasks(s, keys, full_replay, 15.0)


def er_30(s: Settings, keys):
    """Replay of all old data, second task rotated by 30 degrees."""
    return two_tasks(s, keys, full_replay, 30.0)


def er_60(s: Settings, keys):
    """Replay of all old data, second task rotated by 60 degrees."""
    return two_tasks(s, keys, full_replay, 60.0)


def er_90(s: Settings, keys):
    """Replay of all old data, second task rotated by 90 degrees."""
    return two_tasks(s, keys, full_replay, 90.0)


class AfterSwitch(NamedTuple):
    """Cadence: the first updates after a switch."""

    switch: int
    updates: int = 21

    def __call__(self, steps: int) -> list[int]:
        """Return the recorded steps."""
        return list(range(self.switch + 1, min(self.switch + self.updates, steps) + 1))


def ewc_60(s: Settings, keys):
    """Elastic weight consolidation, second task rotated by 60 degrees."""
    split = gradient_split_probe(AfterSwitch(s.two_task_steps))
    return two_tasks(s, keys, lambda s: ewc(s.ewc_strength), 60.0, probes=[split])


def lwf_60(s: Settings, keys):
    """Learning without forgetting, second task rotated by 60 degrees."""
    split = gradient_split_probe(AfterSwitch(s.two_task_steps))
    return two_tasks(s, keys, lambda s: lwf(s.lwf_strength), 60.0, probes=[split])


def gem_60(s: Settings, keys):
    """Gradient episodic memory with all old data, second task rotated by 60 degrees."""
    return two_tasks(s, keys, lambda s: gem(2, s.examples, s.gem_margin), 60.0)


def er_mechanism(s: Settings, keys):
    """Replay after a long first task, with the gradient split into new and old data."""
    tasks = rotated(digits(jr.key(0), s.examples), (0.0,))
    old = (tasks.train_inputs[0], tasks.train_targets[0])
    probe = old_data_gradient_probe(*old, share=s.two_task_lam, every=AfterSwitch(s.long_steps))
    return two_tasks(s, keys, full_replay, 60.0, first=s.long_steps, probes=[probe])
