"""Loss, gradient norm and movement of features of every task are those of the states before and after an update."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import continual as c, run
from separatrix.continual.evaluation import task_means
from separatrix.training import Supervised

from .continual_cases import LOSS, SGD, small_learner, small_model, small_tasks

KEY, STEPS = jr.key(0), 8  # the sixth update ends the first task


def hidden(model, x):
    return jnp.tanh(model.preactivations(x)[0])


def tracks(tasks, every, **options):
    features = c.feature_drift(tasks, hidden, every, **options)
    return [c.task_losses(tasks, every, **options), c.task_gradient_norms(tasks, every, **options), features]


@pytest.fixture(scope="module")
def watched():
    process = c.ewc(5.0)(small_learner())
    found = run(process, KEY, STEPS, probes=tracks(process.stream.tasks, every=4))
    before, after = (run(process, KEY, steps).state for steps in (STEPS - 1, STEPS))
    return process, found, before, after


def own_loss(process, params, state, task):
    inputs, targets, _ = process.stream.tasks.tests(task)
    outputs = process.apply(params, inputs, jnp.full(len(targets), task), state.task)
    return jnp.mean(LOSS(outputs, targets))


def test_losses_and_gradient_norms_are_those_of_each_task_without_penalties(watched):
    process, found, _, after = watched
    for task in range(2):
        value, gradient = jax.value_and_grad(lambda p, task=task: own_loss(process, p, after, task))(after.params)
        norm = np.sqrt(sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient)))
        assert found.records["task_loss"][-1, task] == pytest.approx(float(value), rel=1e-5)
        assert found.records["task_gradient_norm"][-1, task] == pytest.approx(norm, rel=1e-4)


def test_drift_is_the_movement_of_one_update_whatever_the_cadence(watched):
    process, found, before, after = watched
    for task in range(2):
        inputs = process.stream.tasks.tests(task)[0]
        models = process.model_at(before), process.model_at(after)
        old, new = (jax.vmap(hidden, (None, 0))(model, inputs) for model in models)
        expected = float(jnp.mean(jnp.sum((new - old) ** 2, axis=-1)))
        assert expected > 0
        assert found.records["feature_drift"][-1, task] == pytest.approx(expected, rel=1e-3)


def test_drift_of_a_linear_map_is_that_of_its_weights():
    process = small_learner(model=lambda key: {"w": jr.normal(key, (2, 3))}, forward=lambda m, x, key: x @ m["w"])
    probe = c.feature_drift(process.stream.tasks, lambda model, x: x @ model["w"], every=1)
    found = run(process, KEY, 1, probes=[probe])
    moved = found.state.params["w"] - run(process, KEY, 0).state.params["w"]
    x = process.stream.tasks.tests(1)[0]
    second_moment = x.T @ x / len(x)
    assert found.records["feature_drift"][0, 1] == pytest.approx(
        float(jnp.vdot(moved, second_moment @ moved)), rel=1e-4
    )


def test_what_does_not_depend_on_the_parameters_does_not_drift():
    process = small_learner()
    probe = c.feature_drift(process.stream.tasks, lambda model, x: x, every=2)
    np.testing.assert_array_equal(run(process, KEY, 4, probes=[probe]).records["feature_drift"], 0.0)


def test_tracks_change_no_step_and_serve_plain_training(watched):
    process, found, _, after = watched
    jax.tree.map(np.testing.assert_array_equal, found.state, after)
    plain = Supervised(small_model, LOSS, SGD, process.stream)
    bare = run(small_learner(), KEY, 4, probes=tracks(process.stream.tasks, every=4))
    same = run(plain, KEY, 4, probes=tracks(process.stream.tasks, every=4))
    for name in ("task_loss", "task_gradient_norm", "feature_drift"):
        np.testing.assert_allclose(same.records[name], bare.records[name], rtol=1e-5)


def test_repeated_examples_that_fill_a_row_do_not_count():
    values = jnp.array([[1.0, 2.0, 9.0], [3.0, 4.0, 5.0]])
    assert task_means(values, (2, 3)).tolist() == [1.5, 4.0]
    tasks = small_tasks()
    shorter = dataclasses.replace(tasks, test_counts=(7, 20))
    process = small_learner()
    found = run(process, KEY, 2, probes=tracks(shorter, every=2)).records
    state = run(process, KEY, 2).state

    def loss(params):
        outputs = process.apply(params, tasks.test_inputs[0, :7], jnp.zeros(7, int), state.task)
        return jnp.mean(LOSS(outputs, tasks.test_targets[0, :7]))

    value, gradient = jax.value_and_grad(loss)(state.params)
    norm = np.sqrt(sum(float(jnp.sum(g**2)) for g in jax.tree.leaves(gradient)))
    assert found["task_loss"][0, 0] == pytest.approx(float(value), rel=1e-5)
    assert found["task_gradient_norm"][0, 0] == pytest.approx(norm, rel=1e-4)


def test_an_empty_subset_is_refused():
    for probe in (c.task_losses, c.task_gradient_norms):
        with pytest.raises(ValueError, match="`subset` must be at least 1; got 0"):
            probe(small_tasks(), subset=0)
    with pytest.raises(ValueError, match="`subset` must be at least 1; got 0"):
        c.feature_drift(small_tasks(), hidden, subset=0)
