"""Lifetimes: curricula on the host, supervised lifetimes, the estimator."""

import jax.random as jr
import numpy as np
import pytest
from sklearn.base import clone

from separatrix import continual as c
from separatrix.continual.case_environments import CartPole
from separatrix.continual.case_studies import bandit_lifetime
from separatrix.data import TaskStream

from .continual_cases import small_learner, small_tasks


class Counter:
    """An environment of `length` steps with a reward of 1 each; it notes its seeds."""

    seeds: list[int] = []  # noqa: RUF012

    def __init__(self, length=3):
        self.length = length

    def reset(self, seed=None):
        self.seeds.append(seed)
        self.left = self.length
        return 0, {}

    def step(self, action):
        self.left -= 1
        return self.length - self.left, 1.0, self.left == 0, False, {}


class Recorder:
    """An agent that writes down what happens."""

    def __init__(self):
        self.events, self.rewards, self.shown = [], [], []

    def block_start(self, is_learning_allowed):
        self.events.append(f"block {is_learning_allowed}")

    def block_end(self, is_learning_allowed):
        self.events.append("end")

    def task_start(self, label):
        self.events.append(label)

    def task_end(self, label):
        self.events.append(f"/{label}")

    def task_variant_start(self, label, variant):
        self.events.append(f"{label}.{variant}")

    def task_variant_end(self, label, variant):
        self.events.append(f"/{label}.{variant}")

    def choose_actions(self, observations):
        self.shown.append([o is not None for o in observations])
        return [None if o is None else 0 for o in observations]

    def receive_transitions(self, transitions):
        self.rewards += [t.reward for t in transitions if t is not None]


def test_events_come_in_order_and_rewards_are_hidden_in_evaluation():
    agent = Recorder()
    one = c.TaskVariant("a", Counter, {"length": 2}, "x", episodes=1)
    curriculum = c.InterleavedEvalCurriculum(((one,),), (one,))
    log = c.run_lifetime(agent, curriculum, jr.key(0))
    stay = ["a", "a.x", "/a.x", "/a", "end"]
    assert agent.events == ["block False", *stay, "block True", *stay, "block False", *stay]
    assert agent.rewards == [None, None, 1.0, 1.0, None, None]
    assert log.table["block_type"].tolist() == ["test", "train", "test"]
    assert log.table["reward"].tolist() == [2.0, 2.0, 2.0]
    assert set(log.table["task_name"]) == {"a_x"}


def test_every_evaluation_has_the_same_seeds_and_learning_has_others():
    Counter.seeds = []
    one = c.TaskVariant("a", Counter, episodes=2)
    c.run_lifetime(Recorder(), c.InterleavedEvalCurriculum(((one,), (one,)), (one,)), jr.key(0))
    first, learn, second, more, third = np.reshape(Counter.seeds, (5, 2)).tolist()
    assert first == second == third
    assert first != learn != more


def test_surplus_environments_are_masked_and_cut_episodes_incomplete():
    agent = Recorder()
    three = c.TaskVariant("a", Counter, episodes=3)
    c.run_lifetime(agent, [c.Block((three,))], jr.key(0), num_envs=2)
    assert agent.shown == [[True, True]] * 3 + [[True, False]] * 3
    steps = c.TaskVariant("a", Counter, steps=4)
    log = c.run_lifetime(Recorder(), [c.Block((steps,))], jr.key(0))
    assert log.table["exp_status"].tolist() == ["complete", "incomplete"]
    assert log.table["reward"].tolist() == [3.0, 1.0]


def test_cart_pole_falls_as_that_of_gymnasium():
    theirs = pytest.importorskip("gymnasium").make("CartPole-v1").unwrapped
    theirs.reset(seed=0)
    theirs.gravity, theirs.length, theirs.polemass_length = 25.0, 1.5, 0.1 * 1.5  # its length is half of the pole's
    ours = CartPole(gravity=25.0, length=3.0)
    ours.reset(seed=0)
    ours.state = np.array(theirs.state)
    fallen, steps = False, 0
    while not fallen:
        action = int(steps % 4 > 0)  # more often to the right
        (a, one, fallen, *_), (b, other, down, *_) = ours.step(action), theirs.step(action)
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert (one, fallen) == (other, down)
        steps += 1
    assert steps > 10


def test_a_lifetime_that_visits_each_task_three_times_has_every_metric():
    report = bandit_lifetime(jr.key(0), episodes=20, evaluations=5)
    assert all(np.isfinite(float(v)) for v in report.lifetime.values())
    assert set(report.demonstrates()) == {"pr", "pm", "ft_ratio", "bt_ratio", "rp", "se"}


def test_supervised_lifetimes_become_logs_and_experts_train_on_one_task_each():
    learner = small_learner()
    stream = TaskStream(small_tasks(), 6, 8, order=(0, 1, 0))
    from dataclasses import replace

    learner = replace(learner, stream=stream)
    keys = jr.split(jr.key(0), 2)
    ds = c.supervised_lifetimes(learner, keys)
    logs = c.lifetime_logs(ds, stream, ["a", "b"])
    kinds = [(r.is_training, r.task, len(r.values)) for r in logs[0].regimes()]
    test = [(False, "a", 1), (False, "b", 1)]
    assert kinds == [*test, (True, "a", 6), *test, (True, "b", 6), *test, (True, "a", 6), *test]
    experts = c.expert_curves(learner, keys, 30)
    assert experts.dims == ("expert", "seed", "step")
    assert float(experts.isel(step=slice(20, None)).mean()) > 0.7


@pytest.fixture(scope="module")
def fed():
    tasks = small_tasks()
    model = c.ContinualClassifier(hidden=(8,), epochs=6, batch_size=8)
    for t in range(2):
        model.partial_fit(tasks.train_inputs[t], tasks.train_targets[t], classes=[0, 1, 2])
    return model, tasks


def test_estimator_learns_task_after_task_and_predicts_probabilities(fed):
    model, tasks = fed
    assert model.n_tasks_ == 2
    p = model.predict_proba(tasks.test_inputs[1])
    np.testing.assert_allclose(p.sum(1), 1.0, atol=1e-5)
    assert model.score(tasks.test_inputs[1], tasks.test_targets[1]) > 0.6
    assert int((model.state_.memories[0].group >= 0).sum()) == 96
    copy = clone(model)
    assert not hasattr(copy, "classes_")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.partial_fit(np.zeros((3, 2)), np.zeros(2)), "one label for each"),
        (lambda m: m.partial_fit(np.zeros((3, 3)), np.zeros(3)), "must have 2 features"),
        (lambda m: m.partial_fit(np.full((3, 2), np.nan), np.zeros(3)), "must be finite"),
        (lambda m: m.partial_fit(np.zeros((1, 2)), [7]), "label 7 is not among the classes"),
        (lambda m: m.predict(np.zeros(2)), "shape \\(n, features\\)"),
        (lambda m: c.ContinualClassifier().predict(np.zeros((1, 2))), "learnt nothing yet"),
        (lambda m: c.ContinualClassifier(c.joint()).fit(np.zeros((2, 2)), [0, 1]), "`fit` a `ContinualClassifier`"),
        (lambda m: m.set_params(method=c.gem(2, 4)).partial_fit(np.zeros((2, 2)), [0, 1]), "has room for 2 tasks"),
    ],
)
def test_estimator_says_what_does_not_fit(fed, call, message):
    with pytest.raises(ValueError, match=message):
        call(fed[0])


def test_variants_need_a_length_and_proper_names():
    with pytest.raises(ValueError, match="one of the two"):
        c.TaskVariant("a", Counter)
    with pytest.raises(ValueError, match="lower case"):
        c.TaskVariant("A_b", Counter, episodes=1)
