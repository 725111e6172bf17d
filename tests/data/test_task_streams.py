"""Task streams and task sets."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data import (
    OneTask,
    Split,
    TaskStream,
    class_incremental,
    domain_incremental,
    gaussian_tasks,
    permuted,
    rotate_images,
    rotated,
    stack_tasks,
    task_incremental,
)


def numbered(counts, offset=100):
    train = [
        (offset * t + np.arange(n, dtype=np.float32)[:, None], np.full(n, t, np.int32)) for t, n in enumerate(counts)
    ]
    return stack_tasks(train, train, num_classes=len(counts))


def blocks(stream, key=0):
    fetch = jax.jit(lambda step: stream(step, jr.key(key)))
    return [fetch(jnp.int32(n)) for n in range(stream.total_steps)]


@pytest.mark.parametrize("counts", [(12, 12), (12, 9), (600, 520)])
def test_each_example_comes_once_an_epoch_and_only_in_its_own_block(counts):
    tasks = numbered(counts, offset=1_000)
    size = 3
    stream = TaskStream(tasks, [2 * (n // size) for n in counts], size)
    batches = blocks(stream)
    for task, n in enumerate(counts):
        own = [b.inputs[:, 0] for b in batches if int(b.task) == task]
        for epoch in (own[: n // size], own[n // size :]):
            rows = np.sort(np.concatenate(epoch)) - 1_000 * task
            assert len(set(rows)) == (n // size) * size
            assert set(rows) <= set(range(n))


def test_blocks_follow_their_order_and_say_where_they_end():
    stream = TaskStream(numbered((4, 4, 4)), [2, 1, 3], 2, order=(2, 0, 2))
    batches = blocks(stream)
    assert [int(b.task) for b in batches] == [2, 2, 0, 2, 2, 2]
    assert [bool(b.ends) for b in batches] == [False, True, True, False, False, True]
    assert stream.boundaries == (0, 2, 3, 6)


def test_a_second_visit_of_a_task_is_shuffled_anew():
    stream = TaskStream(numbered((40,)), 4, 10, order=(0, 0))
    first, second = (np.concatenate([b.inputs[:, 0] for b in blocks(stream)[i : i + 4]]) for i in (0, 4))
    assert set(first) == set(second)
    assert not np.array_equal(first, second)


def test_fillers_have_no_weight_and_are_never_drawn():
    tasks = numbered((5, 3))
    examples = tasks.examples(jnp.int32(1))
    assert examples.weight.tolist() == [1, 1, 1, 0, 0]
    drawn, _ = tasks.draw(jnp.ones(500, jnp.int32), jr.key(0))
    counts = np.bincount(np.asarray(drawn[:, 0], int) - 100)
    assert len(counts) == 3
    assert counts.min() > 120
    alone = OneTask(tasks, jnp.int32(1), 6)(jnp.int32(0), jr.key(0))
    assert set(alone.targets.tolist()) == {1}


def small_split():
    x = np.arange(24, dtype=np.float32).reshape(12, 2)
    y = np.arange(12, dtype=np.int32) % 4
    return Split(jnp.asarray(x), jnp.asarray(y), jnp.asarray(x), jnp.asarray(y), 4)


def test_class_and_task_incremental_differ_in_labels_only():
    one, other = class_incremental(small_split(), 2, (3, 1, 0, 2)), task_incremental(small_split(), 2, (3, 1, 0, 2))
    np.testing.assert_array_equal(one.train_inputs, other.train_inputs)
    assert set(one.train_targets[0].tolist()) == {1, 3}
    assert [np.unique(other.train_targets[t]).tolist() for t in range(2)] == [[0, 1], [0, 1]]
    assert (other.train_targets[0] == (one.train_targets[0] == 1)).all()  # class 3 comes first
    assert one.class_mask().tolist() == [[False, True, False, True], [True, False, True, False]]


def test_rotations_by_a_quarter_are_exact_and_four_of_them_the_identity():
    images = jr.uniform(jr.key(0), (3, 49))
    turned = images
    for _ in range(4):
        turned = rotate_images(turned, 90.0)
    np.testing.assert_allclose(turned, images, atol=1e-6)
    np.testing.assert_allclose(
        rotate_images(images, 90.0)[0].reshape(7, 7), np.rot90(images[0].reshape(7, 7)), atol=1e-6
    )


def test_domains_share_labels_and_permutations_keep_the_entries():
    tasks = permuted(jr.key(0), small_split(), 3)
    np.testing.assert_array_equal(tasks.train_inputs[0], small_split().train_inputs)
    np.testing.assert_array_equal(
        np.sort(tasks.train_inputs, -1), np.sort(np.stack([small_split().train_inputs] * 3), -1)
    )
    assert (tasks.train_targets == small_split().train_targets).all()
    turned = rotated(Split(*[jr.uniform(jr.key(1), (4, 9)), jnp.zeros(4, int)] * 2, 1), (0.0, 30.0))
    assert turned.names == ("0 degrees", "30 degrees")


def test_gaussian_tasks_without_shift_have_the_same_centres():
    tasks = gaussian_tasks(jr.key(0), 2, shift=0.0, spread=0.01, num_train=400)
    means = [[tasks.train_inputs[t][tasks.train_targets[t] == c].mean(0) for c in range(2)] for t in range(2)]
    np.testing.assert_allclose(means[0], means[1], atol=5e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: stack_tasks([], [], 2), "at least one"),
        (
            lambda: stack_tasks([(np.zeros((2, 1)), np.zeros(3))], [(np.zeros((2, 1)), np.zeros(2))], 2),
            "as many inputs",
        ),
        (
            lambda: stack_tasks([(np.zeros((2, 1)), np.array([0, 2]))], [(np.zeros((2, 1)), np.zeros(2))], 2),
            r"labels of `train` of task 0 must be in 0\.\.1; got 0 to 2",
        ),
        (lambda: TaskStream(numbered((4,)), 1, 5), r"must lie in 1\.\.4"),
        (lambda: TaskStream(numbered((4,)), 0, 2), "at least one update"),
        (lambda: TaskStream(numbered((4,)), 1, 2, order=(1,)), "must list tasks"),
        (lambda: class_incremental(small_split(), 3), "must divide 4"),
        (lambda: class_incremental(small_split(), 2, (0, 0, 1, 2)), "permutation"),
        (lambda: rotate_images(np.zeros((1, 8)), 3.0), "side \\* side"),
        (lambda: domain_incremental([]), "must share classes"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("counts", [(12, 9), (600, 520)])
def test_access_is_random_and_compiled_equals_eager(counts):
    stream = TaskStream(numbered(counts), 5, 3)
    compiled = jax.jit(lambda step: stream(step, jr.key(1)))
    for step in (9, 0, 5, 1_000_003):
        jax.tree.map(np.testing.assert_array_equal, stream(jnp.int32(step), jr.key(1)), compiled(jnp.int32(step)))
