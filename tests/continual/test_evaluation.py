"""Evaluation at every update, its cost, the gradient probes, resumption."""

import dataclasses

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import xarray as xr

from separatrix import Monitor, continual as c, monitored, run
from separatrix.continual.evaluation import SampledScores, chosen_examples
from separatrix.continual.metrics import AccuracyTrace
from separatrix.data import TaskStream

from .continual_cases import LOSS, SGD, small_learner, small_model, small_tasks


@pytest.fixture(scope="module")
def evaluated():
    process = c.experience_replay(c.Balanced(24, 3), 0.5)(small_learner())
    return process, c.continual_evaluation(process, jr.split(jr.key(0), 2))


def test_accuracy_of_every_step_equals_that_of_the_state_after_so_many_steps(evaluated):
    process, ds = evaluated
    for steps in (0, 5, 9, 12):
        state = run(process, jr.split(jr.key(0), 2)[1], steps).state
        for task in range(2):
            inputs, targets, _ = process.stream.tasks.tests(task)
            own = jnp.full(len(targets), task)
            right = jnp.mean(jnp.argmax(process.outputs(state, inputs, own=own), -1) == targets)
            value = float(ds.accuracy.sel(seed=1, step=steps, task=task))
            unseen = task == 1 and steps <= 6
            assert np.isnan(value) if unseen else value == pytest.approx(float(right), abs=0.051)


def test_what_was_recorded_is_a_trace(evaluated):
    _, ds = evaluated
    trace = c.trace_of(ds.accuracy, ds.attrs["boundaries"])
    assert isinstance(trace, AccuracyTrace)
    assert trace.values.shape == (13, 2, 2)
    assert np.all(trace.wc_acc() <= trace.acc())
    # tasks before they are learnt change no metric but forward transfer, which cannot be had without them
    whole = c.trace_of(ds.task_accuracy, ds.attrs["boundaries"])
    one, other = trace.summary(), whole.summary()
    assert np.isnan(one.fwt).all()
    second = ds.task_accuracy.sel(task=1)
    np.testing.assert_allclose(other.fwt, second.sel(step=6) - second.sel(step=0))
    xr.testing.assert_identical(one.drop_vars("fwt"), other.drop_vars("fwt"))
    np.testing.assert_allclose(one.bwt, -one.forg)
    assert ds.attrs["evaluated_per_trained_example"] == 40 / 8
    assert float(ds.accuracy_error.max()) == 0.0  # the whole test sets


def test_a_subset_is_fixed_and_its_error_reported():
    process = small_learner()
    ds = c.continual_evaluation(process, jr.key(0), subset=5)
    seen = ds.accuracy.values[~np.isnan(ds.accuracy.values)]
    np.testing.assert_allclose(seen * 5, np.round(seen * 5), atol=1e-5)
    p = ds.accuracy.isel(step=3, task=0)
    expected = np.sqrt(p * (1 - p) / 5 * (20 - 5) / 19)
    assert float(ds.accuracy_error.isel(step=3, task=0)) == pytest.approx(float(expected))


def test_the_error_is_that_of_any_score():
    # s^2 (n - m) / (m (n - 1)) with the spread of what the subset scores, here neither 0 nor 1
    process = small_learner()
    tasks = process.stream.tasks
    minus_loss = lambda outputs, targets: -LOSS(outputs, targets)  # noqa: E731
    scores = c.TaskScores(*chosen_examples(tasks, 5), minus_loss)
    sampled = SampledScores(scores, tasks.test_counts)

    @jax.jit
    def both(key):
        state = process.init(key)
        return sampled.of(process, state), scores.each(process, state)

    found, each = both(jr.key(0))
    np.testing.assert_allclose(found["task_accuracy"], np.mean(each, axis=1), rtol=1e-5)
    error = np.std(each, axis=1) * np.sqrt((20 - 5) / (5 * 19))
    np.testing.assert_allclose(found["task_accuracy_error"], error, rtol=1e-4)


def test_a_diverged_model_scores_nan_and_not_the_share_of_class_zero():
    nan = jnp.full((4, 3), jnp.nan)
    assert np.isnan(np.asarray(c.correct(nan, jnp.zeros(4, int)))).all()


def test_evaluation_changes_no_step_and_its_cost_is_a_share():
    process = small_learner()
    probe = c.task_evaluation(process.stream.tasks)
    plain, watched = (run(process, jr.key(0), 12, probes=p).state.params for p in ([], [probe]))
    jax.tree.map(np.testing.assert_array_equal, plain, watched)
    cost = c.evaluation_cost(process, jr.key(0), probe, steps=12, repeats=1)
    assert 0 <= cost["share"] < 1


def test_cadences_that_miss_the_end_of_a_task_are_refused():
    with pytest.raises(ValueError, match="must divide the updates of every block"):
        c.continual_evaluation(small_learner(), jr.key(0), every=4)


@pytest.mark.parametrize("order", [(1, 0), (0, 1, 0), (0,)])
def test_streams_that_visit_tasks_otherwise_than_once_in_order_are_refused(order):
    stream = TaskStream(small_tasks(), 6, 8, order)
    with pytest.raises(ValueError, match=r"once, in order; got .* use `supervised_lifetimes`"):
        c.continual_evaluation(dataclasses.replace(small_learner(), stream=stream), jr.key(0))


def test_gradient_parts_add_up_and_norms_and_cosines_are_those_of_vectors():
    process = c.experience_replay(c.Reservoir(24), 0.5)(small_learner())
    state = run(process, jr.key(0), 9).state
    x = process.stream(jnp.int32(9), jr.key(1))
    terms = {
        "new": lambda p, x: process.plasticity(state, p, x),
        "old": lambda p, x: process.stability(state, p, x, jr.key(0)),
    }
    parts = c.gradient_split(terms, state.params, x)
    _, whole = process.value_and_gradient(state, x, jr.key(0))
    jax.tree.map(lambda a, b, s: np.testing.assert_allclose(a + b, s, atol=1e-6), parts["new"], parts["old"], whole)
    found = c.norms_and_cosines({"a": jnp.array([3.0, 4.0]), "b": {"w": jnp.zeros(2)}["w"]})
    assert [float(v) for v in found.values()] == [5.0, 0.0, 0.0]


def test_old_data_gradient_is_that_of_the_loss_on_old_data():
    process = small_learner()
    tasks = process.stream.tasks
    probe = c.old_data_gradient_probe(tasks.train_inputs[0], tasks.train_targets[0], share=0.25, every=12)
    records = run(process, jr.key(0), 12, probes=[probe]).records
    before = run(process, jr.key(0), 11).state

    def loss(params):
        outputs = process.apply(params, tasks.train_inputs[0], jnp.zeros(48, int), 1)
        return 0.75 * jnp.mean(LOSS(outputs, tasks.train_targets[0]))

    norm = jnp.sqrt(sum(jnp.sum(g**2) for g in jax.tree.leaves(jax.grad(loss)(before.params))))
    assert records["norm_stability"][0] == pytest.approx(float(norm), rel=1e-5)


class Killed(Monitor):
    """Keeps a checkpoint and stops at the first look, once."""

    saved = None
    done = False

    def load(self, label):
        return self.saved

    def wants_checkpoint(self, label):
        return self.saved is None

    def save(self, label, data):
        self.saved = data

    def cancelled(self):
        stop, self.done = not self.done, True
        return stop


def test_a_run_with_memories_that_was_stopped_ends_with_the_same_bits():
    from separatrix import Cancelled

    process = c.experience_replay(c.Reservoir(16))(c.ewc(5.0)(small_learner(steps=20)))
    whole = run(process, jr.key(0), 40).state
    monitor = Killed()
    with monitored(monitor):
        with pytest.raises(Cancelled):
            run(process, jr.key(0), 40)
        assert monitor.saved is not None
        again = run(process, jr.key(0), 40).state
    jax.tree.map(np.testing.assert_array_equal, whole, again)


def test_supervised_probes_and_models_work_unchanged():
    from separatrix.training import Batch, accuracy

    tasks = small_tasks()
    held = Batch(tasks.test_inputs[0], tasks.test_targets[0])
    records = run(
        small_learner(held_out=held, model=small_model, optimiser=SGD), jr.key(0), 12, probes=[accuracy(12)]
    ).records
    assert records["test_accuracy"].shape == (1,)
