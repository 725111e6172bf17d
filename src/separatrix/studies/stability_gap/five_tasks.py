"""Arms on five class-incremental tasks of the digits."""

import jax.random as jr

from separatrix.continual.buffers import Balanced, by_class
from separatrix.continual.learner import finetune
from separatrix.continual.replay import experience_replay
from separatrix.data.images import digits
from separatrix.data.task_sets import class_incremental

from .learning import evaluated, learner
from .settings import Settings


def five_tasks(s: Settings, keys, method, own_head: bool = False):
    """Five tasks of two classes each."""
    tasks = class_incremental(digits(jr.key(0), s.examples))
    return evaluated(s, lambda s: method(s)(learner(s, tasks, s.steps, own_head)), keys)


def replay(s: Settings):
    """Replay of a fixed number of examples of each class."""
    return experience_replay(Balanced(s.capacity, groups=10, group_of=by_class), s.lam)


def er(s: Settings, keys):
    """Experience replay on five class-incremental tasks."""
    return five_tasks(s, keys, replay)


def finetuning(s: Settings, keys):
    """Nothing to remember: the new batch alone."""
    return five_tasks(s, keys, lambda s: finetune())


def er_task_incremental(s: Settings, keys):
    """Experience replay where the task is known, so that logits of other tasks are hidden."""
    return five_tasks(s, keys, replay, own_head=True)
