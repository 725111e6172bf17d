"""Small learners shared by the tests of this folder."""

import jax.random as jr
import optax

from separatrix.continual import Learner
from separatrix.data import TaskStream, gaussian_tasks
from separatrix.models import MLP


def small_model(key):
    return MLP(key, (2, 8, 3), use_bias=True)


SGD = optax.sgd(0.1, momentum=0.9)
LOSS = optax.losses.softmax_cross_entropy_with_integer_labels


def small_tasks(num_tasks=2):
    return gaussian_tasks(jr.key(0), num_tasks, num_classes=3, num_train=48, num_test=20)


def small_learner(num_tasks=2, steps=6, batch=8, **fields):
    fields = {"model": small_model, "loss": LOSS, "optimiser": SGD, **fields}
    return Learner(stream=TaskStream(small_tasks(num_tasks), steps, batch), **fields)
