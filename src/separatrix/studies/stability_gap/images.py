"""The paper's image streams, for those who have the files and a GPU: a slim ResNet18 on three data sets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax.random as jr
import numpy as np
import optax

from separatrix.continual.buffers import Balanced, by_class, by_task
from separatrix.continual.distillation import lwf
from separatrix.continual.evaluation import continual_evaluation
from separatrix.continual.gradient_projection import gem
from separatrix.continual.learner import Learner, finetune
from separatrix.continual.replay import experience_replay
from separatrix.continual.running_statistics import NormalisedLearner
from separatrix.continual.weight_penalties import ewc
from separatrix.data.cifar import cifar10
from separatrix.data.image_folders import image_folder
from separatrix.data.task_sets import class_incremental, domain_incremental
from separatrix.data.task_streams import TaskSet, TaskStream
from separatrix.models.slim_resnet import SlimResNet18

from .settings import ImageSettings

FISHER_SAMPLES = 2_000  # one backward pass each


class Images(NamedTuple):
    """A row of the paper's table: its tasks, and how they are learnt.

    Attributes:
        tasks: `folder -> TaskSet`.
        side: of an image, in pixels.
        colours_last: whether the pixels are stored place by place, and not colour by colour.
        pool: window of the network's last pooling.
        batch: examples in a batch, and of the memory beside it.
        epochs: of each task, or None.
        steps: of each task where there are no epochs.
    """

    tasks: Callable[[Path], TaskSet]
    side: int
    colours_last: bool
    pool: int | None
    batch: int
    epochs: int | None = None
    steps: int = 300


def cifar_tasks(folder: Path) -> TaskSet:
    """Five tasks of two classes."""
    return class_incremental(cifar10(jr.key(0), folder=folder))


def imagenet_tasks(folder: Path) -> TaskSet:
    """Twenty tasks of five classes."""
    return class_incremental(image_folder(jr.key(0), folder / "mini-imagenet", side=84), classes_per_task=5)


def domain_tasks(folder: Path) -> TaskSet:
    """One task for each subfolder, all with the same classes."""
    root = folder / "mini-domainnet"
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {root}; give it a subfolder for each domain.")
    domains = sorted(path for path in root.iterdir() if path.is_dir())
    return domain_incremental([image_folder(jr.key(0), path, side=96) for path in domains], [p.name for p in domains])


STREAMS = {
    "cifar10": Images(cifar_tasks, side=32, colours_last=True, pool=None, batch=256, epochs=10),
    "mini-imagenet": Images(imagenet_tasks, side=84, colours_last=False, pool=4, batch=128, epochs=10),
    "mini-domainnet": Images(domain_tasks, side=96, colours_last=False, pool=None, batch=128),
}


class Network(eqx.Module):
    """Draws the weights; a value, so that arms share compiled programs."""

    classes: int = eqx.field(static=True)
    pool: int | None = eqx.field(static=True)
    side: int = eqx.field(static=True)
    maps: int = eqx.field(static=True, default=20)

    def __call__(self, key):
        """Draw the weights."""
        return SlimResNet18(key, self.classes, maps=self.maps, pool=self.pool, side=self.side)


class Pictures(NamedTuple):
    """From rows of pixels to images, colours last."""

    side: int
    colours_last: bool

    def __call__(self, rows):
        """Return images."""
        if self.colours_last:
            return rows.reshape(-1, self.side, self.side, 3)
        return rows.reshape(-1, 3, self.side, self.side).transpose(0, 2, 3, 1)


def learn_images(keys, stream: Images, tasks: TaskSet, method, rate: float, *, maps: int = 20, subset: int = 1_000):
    """Run a method on a stream and evaluate every task after every update."""
    smallest = min(tasks.train_counts)
    steps = stream.steps if stream.epochs is None else stream.epochs * (smallest // stream.batch)
    network = Network(tasks.num_classes, stream.pool, stream.side, maps)
    pictures = Pictures(stream.side, stream.colours_last)
    learner = Learner(
        model=network,
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=optax.sgd(rate, momentum=0.9),
        stream=TaskStream(tasks, steps, stream.batch),
    )
    process: Any = NormalisedLearner(
        method(learner),
        statistics=network(jr.key(0)).statistics(),
        train=lambda model, statistics, rows, key: model(pictures(rows), statistics),
        evaluate=lambda model, statistics, rows: model.evaluate(pictures(rows), statistics),
    )
    ds = continual_evaluation(process, keys, subset=subset).drop_vars(["accuracy_error", "task_accuracy"])
    ends = np.broadcast_to(np.asarray(process.stream.boundaries[1:], float), (len(keys), ds.sizes["task"]))
    ds["task_ends"] = (("seed", "task"), ends, {"units": "step", "long_name": "last update of each task"})
    return ds


def _arm(name: str, words: str, make: Callable, rate: float):
    def arm(s: ImageSettings, keys):
        tasks = STREAMS[name].tasks(Path(s.data))
        return learn_images(keys, STREAMS[name], tasks, make(tasks), rate)

    arm.__doc__ = f"{words}, slim ResNet18; needs `full` with the setting `data`."
    return arm


def _by_class(capacity: int, lam: float):
    return lambda tasks: experience_replay(Balanced(capacity, groups=tasks.num_classes, group_of=by_class), lam)


def _by_domain(tasks: TaskSet):
    return experience_replay(Balanced(1_000, groups=tasks.num_tasks, group_of=by_task), 0.3)


IMAGE_ARMS = {
    "cifar10-er": _arm("cifar10", "Replay of 1,000 images on Split-CIFAR10", _by_class(1_000, 0.7), 0.1),
    "cifar10-finetune": _arm("cifar10", "Nothing to remember on Split-CIFAR10", lambda tasks: finetune(), 0.1),
    "cifar10-gem": _arm("cifar10", "Gradient episodic memory of 1,000 images on Split-CIFAR10",
                        lambda tasks: gem(tasks.num_tasks, 1_000 // tasks.num_tasks, 0.5), 0.001),
    "mini-imagenet-er": _arm("mini-imagenet", "Replay of 10,000 images on Split-MiniImageNet",
                             _by_class(10_000, 0.5), 0.1),
    "domainnet-er": _arm("mini-domainnet", "Replay of 1,000 images on Mini-DomainNet", _by_domain, 0.1),
    "domainnet-ewc": _arm("mini-domainnet", "Elastic weight consolidation on Mini-DomainNet",
                          lambda tasks: ewc(1.0, samples=FISHER_SAMPLES), 0.01),
    "domainnet-lwf": _arm("mini-domainnet", "Learning without forgetting on Mini-DomainNet",
                          lambda tasks: lwf(1.0), 0.01),
}  # fmt: skip
