"""Methods against closed forms and independent twins."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from separatrix import chain, continual as c, run
from separatrix.continual.importance import mean_over_examples
from separatrix.continual.weight_penalties import Anchored, quadratic
from separatrix.training import Supervised

from .continual_cases import LOSS, SGD, small_learner, small_model

pytestmark = pytest.mark.slow


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def flat(tree):
    return np.asarray(ravel_pytree(tree)[0])


def state_after(process, steps, key=1):
    return run(process, jr.key(key), steps).state


def test_finetuning_takes_the_steps_of_supervised_training():
    learner = small_learner()
    plain = Supervised(small_model, LOSS, SGD, learner.stream)
    assert_same(state_after(plain, 12).params, state_after(c.finetune()(plain), 12).params)


# GEM


def test_projected_gradient_opposes_no_task_and_is_the_nearest_such_point(x64):
    rng = np.random.default_rng(0)
    for _ in range(20):
        g, others = jnp.asarray(rng.normal(size=12)), jnp.asarray(rng.normal(size=(4, 12)))
        out = c.project_onto_halfspaces(g, others, margin=0.0, ridge=0.0)
        assert float((others @ out).min()) >= -1e-6
        for _ in range(50):  # any other feasible point is farther away
            point = out + jnp.asarray(rng.normal(size=12))
            if float((others @ point).min()) >= 0:
                assert float(jnp.linalg.norm(point - g)) >= float(jnp.linalg.norm(out - g)) - 1e-9


def test_dual_programme_agrees_with_a_general_solver(x64):
    from scipy.optimize import minimize

    rng = np.random.default_rng(1)
    g, others = rng.normal(size=8), rng.normal(size=(3, 8))
    if (others @ g).min() >= 0:
        others[0] *= -1
    matrix = others @ others.T + 1e-3 * np.eye(3)
    found = minimize(lambda v: v @ matrix @ v / 2 + (others @ g) @ v, np.ones(3), bounds=[(0.5, None)] * 3, tol=1e-14)
    out = c.project_onto_halfspaces(jnp.asarray(g), jnp.asarray(others), margin=0.5)
    np.testing.assert_allclose(out, g + found.x @ others, atol=1e-5)


def test_gradients_that_agree_are_left_alone_and_inactive_tasks_do_not_count():
    g, others = jnp.array([1.0, 1.0]), jnp.array([[1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_array_equal(c.project_onto_halfspaces(g, others, jnp.array([True, False])), g)


def test_averaged_projection_equals_the_exact_one_for_a_single_task(x64):
    rng = np.random.default_rng(2)
    g, r = jnp.asarray(rng.normal(size=6)), jnp.asarray(rng.normal(size=6))
    r = jnp.where(g @ r < 0, r, -r)
    exact = c.project_onto_halfspaces(g, r[None], margin=0.0, ridge=0.0)
    np.testing.assert_allclose(c.project_off(g, r), exact, atol=1e-12)
    assert float(jnp.abs(c.project_off(g, r) @ r)) < 1e-12


def test_gem_never_steps_against_a_stored_task():
    process = c.gem(2, 48, margin=0.0, ridge=0.0)(small_learner())
    state = state_after(process, 8)
    x = process.stream(jnp.int32(8), jr.key(3))
    term, memory = process.terms[0], state.memories[0]
    _, gradient = process.value_and_gradient(state, x)
    out = term.transform(process, memory, gradient, state.params, x, jr.key(0))
    old = term.task_gradients(process, memory, state.params, x, jr.key(0))
    assert float(old[0] @ flat(out)) >= -1e-5
    assert float(jnp.sum(memory.weight[0])) == 48


# Weight penalties


def linear_fisher(loss, params, inputs, targets):
    rows = [jax.tree.map(lambda g: g**2, jax.grad(loss)(params, x, y)) for x, y in zip(inputs, targets, strict=True)]
    return jax.tree.map(lambda *r: sum(r) / len(r), *rows)


def test_fisher_is_the_mean_of_squared_per_example_gradients_not_the_square_of_their_mean():
    params = small_model(jr.key(0))
    arrays, rest = jax.tree.flatten(params)
    x, y = jr.normal(jr.key(1), (11, 2)), jnp.arange(11) % 3
    loss = lambda p, a, b: LOSS(jax.tree.unflatten(rest, p)(a), b)  # noqa: E731
    fisher = c.empirical_fisher(loss, arrays, x, y)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-8), fisher, linear_fisher(loss, arrays, x, y)
    )
    batch = jax.grad(lambda p: jnp.mean(jax.vmap(lambda a, b: loss(p, a, b))(x, y)))(arrays)
    assert flat(fisher).sum() > 2 * (flat(batch) ** 2).sum()


@pytest.mark.parametrize("count", [1, 63, 64, 65, 130])
def test_means_over_examples_do_not_depend_on_chunks_and_fillers(count):
    values = jr.normal(jr.key(0), (count,))
    weight = (jnp.arange(count) < max(1, count // 2)).astype(jnp.float32)
    found = mean_over_examples(lambda v: v, values, weight)
    assert float(found) == pytest.approx(float(jnp.sum(values * weight) / weight.sum()), abs=1e-6)


def test_exact_fisher_is_the_expectation_of_the_empirical_one_under_the_model():
    weights, x = jr.normal(jr.key(0), (2, 3)), jr.normal(jr.key(1), (5, 2))
    logits = lambda w, a: a @ w  # noqa: E731
    loss = lambda w, a, b: LOSS(logits(w, a), b)  # noqa: E731
    p = jax.nn.softmax(x @ weights)
    each = jnp.stack(
        [c.empirical_fisher(loss, weights, x[i : i + 1], jnp.array([k])) for i in range(5) for k in range(3)]
    )
    expected = jnp.tensordot(p.reshape(-1) / 5, each, 1)
    np.testing.assert_allclose(c.exact_fisher(logits, weights, x), expected, rtol=1e-5)


def fake(seed):
    return {"a": jr.uniform(jr.fold_in(jr.key(seed), 0), (4,)), "b": jr.uniform(jr.fold_in(jr.key(seed), 1), ())}


def empty():
    zeros = jax.tree.map(jnp.zeros_like, fake(0))
    return Anchored(zeros, fake(9), jnp.zeros(()), jnp.int32(0))


def test_separate_penalties_in_the_memory_of_one_equal_their_sum():
    memory, point = empty(), fake(5)
    total = 0.0
    for task in range(4):
        importance, anchor = fake(20 + task), fake(40 + task)
        memory = c.separate(memory, importance, anchor)
        total += float(quadratic(importance, anchor, point))
        assert float(quadratic(memory.importance, memory.anchor, point) + memory.constant) == pytest.approx(
            total, rel=1e-5
        )


def test_rules_of_consolidation():
    memory = empty()
    fishers = [fake(i) for i in range(3)]
    for rule, expected in (
        (c.running_mean, lambda a, b, d: (a + b + d) / 3),
        (c.accumulate, lambda a, b, d: a + b + d),
        (c.online(0.5), lambda a, b, d: 0.25 * a + 0.5 * b + d),
    ):
        m = memory
        for i, f in enumerate(fishers):
            m = rule(m, f, fake(30 + i))
        jax.tree.map(
            lambda got, *f, e=expected: np.testing.assert_allclose(got, e(*f), rtol=1e-6), m.importance, *fishers
        )
        assert_same(m.anchor, fake(32))


@pytest.mark.parametrize(
    "method",
    [c.ewc(50.0), c.ewc(50.0, c.separate), c.mas(1.0), c.synaptic_intelligence(1.0),
     c.l2_to_anchor(1.0)],
)  # fmt: skip
def test_stability_gradient_is_exactly_zero_at_the_first_update_after_a_switch_and_not_later(method):
    process = method(small_learner(steps=20))
    records = run(process, jr.key(0), 40, probes=[c.gradient_split_probe()]).records
    assert records["norm_stability"][:21].max() == 0.0
    assert records["norm_stability"][21:].min() > 0.0
    assert records["norm_plasticity"].min() > 0.0


def test_distillation_gradient_is_zero_to_rounding_at_the_first_update_after_a_switch():
    # teacher and student are compiled apart, so that their logits may differ in the last bit
    records = run(c.lwf(2.0)(small_learner(steps=20)), jr.key(0), 40, probes=[c.gradient_split_probe()]).records
    assert records["norm_stability"][:20].max() == 0.0
    assert records["norm_stability"][20] < 1e-6 < records["norm_stability"][21:].min()


def test_path_integral_of_one_task_adds_up_to_the_fall_of_a_quadratic_loss():
    # sum_j of -gradient x move approaches loss(start) - loss(end) as the rate goes to 0
    term = c.PathIntegral(strength=0.0)
    learner = small_learner()
    params = {"w": jnp.array([1.0, -2.0])}
    memory, start = term.init(learner, params, jr.key(0)), params
    loss = lambda p: jnp.sum(jnp.array([1.0, 3.0]) * p["w"] ** 2)  # noqa: E731

    def step(carry, _):
        p, held = carry
        g = jax.grad(loss)(p)
        after = jax.tree.map(lambda a, d: a - 1e-3 * d, p, g)
        return (after, term.observe(learner, held, p, after, g, None, None, jr.key(0))), None

    (params, memory), _ = jax.lax.scan(step, (params, memory), length=2_000)
    assert float(jnp.sum(memory.path["w"])) == pytest.approx(float(loss(start) - loss(params)), rel=5e-3)


def test_parameters_outside_the_filter_are_free():
    where = lambda p: jax.tree.map(lambda a: float(a.ndim == 2), p)  # noqa: E731
    state = state_after(c.ewc(1.0, where=where)(small_learner()), 12)
    importance = state.memories[0].importance
    assert all(float(jnp.abs(b).max()) == 0 for b in importance.biases)
    assert all(float(w.max()) > 0 for w in importance.weights)


# Distillation and replay


def test_distillation_is_the_divergence_and_its_gradient_the_difference_of_softmaxes():
    old, new = jr.normal(jr.key(0), (4, 5)), jr.normal(jr.key(1), (4, 5))
    known = jnp.array([True, True, False, True, False])
    kept = np.flatnonzero(known)
    p, q = (jax.nn.softmax(a[:, kept] / 2, axis=-1) for a in (old, new))
    np.testing.assert_allclose(c.distillation_loss(old, new, 2.0, known), jnp.sum(p * jnp.log(p / q), -1), atol=1e-6)
    slope = jax.grad(lambda z: jnp.sum(c.distillation_loss(old, z, 2.0, known)))(new)
    np.testing.assert_allclose(slope[:, kept], (q - p) / 2, atol=1e-6)
    np.testing.assert_array_equal(slope[:, ~known], 0.0)
    assert float(jnp.abs(jax.grad(lambda z: jnp.sum(c.distillation_loss(z, z, 2.0)))(old)).max()) == 0.0


def test_replay_mixes_the_two_losses_with_its_weight_and_only_once_it_has_a_memory():
    process = c.experience_replay(c.Balanced(24, groups=3), lam=0.3)(small_learner())
    state = state_after(process, 3)
    x = process.stream(jnp.int32(3), jr.key(0))
    plain = float(process.new_loss(state.params, x)[0])
    assert float(process.value_and_gradient(state, x)[0]) == pytest.approx(plain, rel=1e-6)
    state = state_after(process, 6)
    x = process.stream(jnp.int32(6), jr.key(0))
    parts = [
        float(process.plasticity(state, state.params, x)),
        float(process.stability(state, state.params, x, jr.key(0))),
    ]
    assert parts[0] == pytest.approx(0.3 * float(process.new_loss(state.params, x)[0]), rel=1e-6)
    whole = float(process.value_and_gradient(state, x, jr.key(0))[0])
    assert whole == pytest.approx(sum(parts), rel=1e-6)


def test_dark_replay_stores_the_outputs_that_the_model_gave():
    process = c.dark_experience_replay(c.Ring(8), alpha=1.0)(small_learner())
    before = state_after(process, 4)
    after = state_after(process, 5)
    memory = after.memories[0].items
    given = process.outputs(before, memory.inputs)
    np.testing.assert_allclose(memory.outputs, given, atol=1e-5)


def test_dark_replay_is_a_mean_over_outputs():
    term = c.DarkReplay(c.Ring(8), alpha=2.0)
    process = small_learner(terms=(term,))
    state = state_after(process, 2)
    x = process.stream(jnp.int32(2), jr.key(0))
    memory = state.memories[0]
    shifted = memory._replace(items=memory.items._replace(outputs=process.outputs(state, memory.items.inputs) + 0.5))
    assert float(term.penalty(process, shifted, state.params, x, None, jr.key(0))) == pytest.approx(
        2.0 * 0.25, rel=1e-5
    )


def test_joint_training_estimates_the_mean_loss_over_tasks_seen():
    process = c.joint(batch_size=4_000)(small_learner(num_tasks=3))
    state = state_after(process, 12)
    assert state.memories[0].tolist() == [True, True, False]
    x = process.stream(jnp.int32(12), jr.key(0))
    losses = []
    for task in range(2):
        inputs, targets, _ = process.stream.examples(task)
        own = jnp.full(len(targets), task)
        losses.append(float(jnp.mean(LOSS(process.apply(state.params, inputs, own, x.task), targets))))
    held = float(process.stability(state, state.params, x, jr.key(0)))
    assert held == pytest.approx(sum(losses) / 3, rel=0.05)
    assert float(process.plasticity(state, state.params, x)) == pytest.approx(
        float(process.new_loss(state.params, x)[0]) / 3
    )


def test_methods_compose_and_a_grid_over_their_strengths_is_one_run():
    process = chain(c.experience_replay(c.Reservoir(16)), c.ewc(1.0))(small_learner())
    assert len(process.terms) == 2
    grid = run(process, jr.split(jr.key(0), 2), 12, over={"strength": [0.0, 5.0]}, vary=c.tune, block=1)
    single = run(
        chain(c.experience_replay(c.Reservoir(16)), c.ewc(5.0))(small_learner()), jr.split(jr.key(0), 2), 12, block=1
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, atol=1e-6), grid.state.params, single.state.params)
    with pytest.raises(ValueError, match="exactly one term"):
        c.tune(process, {"nothing": jnp.zeros(())})


def test_expert_knowledge_of_the_task_hides_other_classes():
    from separatrix.models import MaskedHead

    visible = jnp.array([[True, True, False], [False, True, True]])
    model = lambda key: MaskedHead(small_model(key), visible)  # noqa: E731
    process = small_learner(model=model, present=c.with_own_task)
    state = state_after(process, 6)
    logits = process.outputs(state, jnp.ones((2, 2)), own=jnp.array([0, 1]))
    assert (logits > -1e8).tolist() == visible.tolist()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: c.ewc(1.0)(object()), "changes a process with the fields"),
        (lambda: c.dark_experience_replay(c.Balanced(4)), "stores outputs while training"),
        (lambda: c.gem(0, 5), "at least 1"),
        (lambda: run(c.gem(2, 5)(small_learner(num_tasks=3)), jr.key(0), 1), "must be at least 3"),
        (lambda: c.Reservoir(0), "at least 1"),
        (lambda: c.draw(c.Ring(2).init(jnp.zeros(1)), 3, jr.key(0)), "cannot be drawn from 2 slots"),
    ],
)
def test_misuse_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_streams_without_tasks_or_examples_are_refused_by_name():
    from separatrix import FullBatch
    from separatrix.data import TaskBatch
    from separatrix.training import Batch

    data = Batch(jnp.ones((4, 2)), jnp.zeros(4, int))
    plain = Supervised(small_model, LOSS, SGD, FullBatch(data))
    with pytest.raises(ValueError, match="`task` and `ends`"):
        run(c.finetune()(plain), jr.key(0), 1)
    tasked = Supervised(small_model, LOSS, SGD, FullBatch(TaskBatch(*data, jnp.int32(0), jnp.asarray(True))))
    with pytest.raises(ValueError, match="needs the examples of a finished task"):
        run(c.ewc(1.0)(tasked), jr.key(0), 1)
    run(c.synaptic_intelligence(1.0)(tasked), jr.key(0), 1)
