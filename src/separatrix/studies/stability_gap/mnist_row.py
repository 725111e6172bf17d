"""The paper's Split-MNIST row: a plain network of two hidden layers of 400 on images of 28 x 28 pixels."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax.random as jr

from separatrix.continual.buffers import Balanced, by_task
from separatrix.continual.learner import finetune
from separatrix.continual.replay import experience_replay
from separatrix.data.images import fashion_mnist, mnist
from separatrix.data.task_sets import class_incremental, permuted
from separatrix.data.task_streams import TaskSet

from .five_tasks import replay
from .learning import evaluated, learner
from .settings import FullSettings, Settings

EPOCHS = 10


def mnist_row(s: Settings, keys, tasks: TaskSet, method: Callable):
    """Ten epochs of each task in batches of 256 at a rate of 0.01, with 2,000 stored examples."""
    s = replace(s, hidden=400, rate=0.01, batch=256, capacity=2_000)
    steps = EPOCHS * (min(tasks.train_counts) // s.batch)
    return evaluated(s, lambda s: method(s)(learner(s, tasks, steps)), keys)


def fashion_er(s: Settings, keys):
    """Experience replay on Split-Fashion-MNIST, five tasks of two classes; needs `full`."""
    return mnist_row(s, keys, class_incremental(fashion_mnist(jr.key(0))), replay)


def fashion_finetuning(s: Settings, keys):
    """Nothing to remember on Split-Fashion-MNIST; needs `full`."""
    return mnist_row(s, keys, class_incremental(fashion_mnist(jr.key(0))), lambda s: finetune())


def mnist_er(s: FullSettings, keys):
    """Experience replay on Split-MNIST; needs `full` with the setting `data`."""
    return mnist_row(s, keys, class_incremental(mnist(jr.key(0), folder=Path(s.data) / "mnist")), replay)


def permuted_mnist_er(s: FullSettings, keys):
    """Experience replay on five permutations of MNIST, as on Split-MNIST; needs `full` with the setting `data`."""
    tasks = permuted(jr.key(1), mnist(jr.key(0), folder=Path(s.data) / "mnist"), 5)
    by_domain = lambda s: experience_replay(Balanced(s.capacity, tasks.num_tasks, by_task), s.lam)  # noqa: E731
    return mnist_row(s, keys, tasks, by_domain)


FASHION_ARMS = {"fashion-er": fashion_er, "fashion-finetune": fashion_finetuning}
MNIST_ARMS = {"mnist-er": mnist_er, "permuted-mnist-er": permuted_mnist_er}
