"""Statistics that run along: they touch no method, follow the batches, and see what a memory replays."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from separatrix import run
from separatrix.continual import Balanced, Learner, NormalisedLearner, by_task, continual_evaluation, experience_replay
from separatrix.data import TaskStream, stack_tasks
from separatrix.models import MLP, BatchNorm, BatchStatistics

from .continual_cases import LOSS, small_learner

NORM = BatchNorm(1, momentum=0.5)


def plain(model, statistics, inputs, key):
    del key
    return jax.vmap(model)(inputs), statistics


def normalised_train(net, statistics, inputs, key):
    del key
    x, moved = NORM(inputs, statistics)
    return jax.vmap(net)(x), moved


def normalised_evaluate(net, statistics, inputs):
    return jax.vmap(net)(NORM.evaluate(inputs, statistics))


def constant_tasks(*values, rows=8):
    """Tasks whose inputs are all one number."""
    part = lambda value: (np.full((rows, 1), value, np.float32), np.arange(rows, dtype=np.int32) % 2)  # noqa: E731
    parts = [part(value) for value in values]
    return stack_tasks(parts, parts, num_classes=2)


def learner(steps, *values):
    return Learner(
        model=lambda key: MLP(key, (1, 2)),
        loss=LOSS,
        optimiser=optax.sgd(0.1),
        stream=TaskStream(constant_tasks(*values), steps, 4),
    )


def wrapped(inner):
    return NormalisedLearner(inner, BatchStatistics.standard(1), normalised_train, normalised_evaluate)


def test_a_model_without_statistics_learns_as_without_the_wrapper():
    inner = experience_replay(Balanced(12, groups=2, group_of=by_task), 0.5)(small_learner())
    process = NormalisedLearner(inner, (), plain, lambda model, statistics, x: jax.vmap(model)(x))
    x = inner.stream(jnp.int32(0), jr.key(1))
    after = [jax.jit(lambda key, p=p: p.step(p.init(key), x, jr.key(2))[0])(jr.key(0)) for p in (inner, process)]
    for a, b in zip(jax.tree.leaves(after[0]), jax.tree.leaves(after[1].learner), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_statistics_follow_the_new_batches_geometrically():
    state = run(wrapped(learner(3, 2.0, 6.0)), jr.key(0), 4).state
    expected = 0.5 * (2.0 * (1 - 0.5**3)) + 0.5 * 6.0  # three updates on the first task, one on the second
    np.testing.assert_allclose(state.statistics.mean, [expected], rtol=1e-6)
    np.testing.assert_allclose(state.statistics.variance, [0.5**4], rtol=1e-5)


def test_replayed_examples_count_in_the_statistics():
    method = experience_replay(Balanced(8, groups=2, group_of=by_task), 0.5)
    state = run(wrapped(method(learner(3, 2.0, 6.0))), jr.key(0), 4).state
    first = 2.0 * (1 - 0.5**3)  # the memory is still empty
    np.testing.assert_allclose(state.statistics.mean, [0.5 * first + 0.5 * (6.0 + 2.0) / 2], rtol=1e-6)


def test_every_update_can_be_evaluated():
    process = wrapped(learner(3, 2.0, 6.0))
    ds = continual_evaluation(process, jr.split(jr.key(0), 2))
    assert ds.accuracy.sizes == {"seed": 2, "step": 7, "task": 2}
    assert bool(jnp.isfinite(ds.accuracy.isel(task=0).values).all())
