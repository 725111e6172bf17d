"""Buffers: what they keep, and how they are sampled."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.continual import Balanced, Reservoir, Ring, draw

itself = lambda item: item  # noqa: E731


def feed(buffer, total, batch, key):
    def step(slots, i):
        return buffer.add(slots, i * batch + jnp.arange(batch), jr.fold_in(key, i)), None

    return jax.lax.scan(step, buffer.init(jnp.zeros(1, jnp.int32)), jnp.arange(total // batch))[0]


@pytest.mark.parametrize("batch", [1, 4])
def test_every_item_stays_in_a_reservoir_with_the_same_probability(batch):
    total, capacity, runs = 40, 10, 2_000
    buffer = Reservoir(capacity, itself)
    kept = jax.jit(jax.vmap(lambda k: feed(buffer, total, batch, k).items))(jr.split(jr.key(0), runs))
    counts = np.bincount(np.asarray(kept).ravel(), minlength=total)
    expected, spread = runs * capacity / total, np.sqrt(runs * 0.25 * 0.75)
    assert counts.sum() == runs * capacity
    assert np.abs(counts - expected).max() < 4 * spread
    assert all(len(set(row)) == capacity for row in np.asarray(kept)[:50].tolist())


@pytest.mark.parametrize(("total", "batch"), [(12, 4), (15, 5), (40, 10)])
def test_a_ring_holds_the_last_items(total, batch):
    slots = feed(Ring(7, itself), total, batch, jr.key(0))
    assert sorted(slots.items.tolist()) == list(range(total - 7, total))


def refill(buffer, groups, per_group=20):
    slots = buffer.init(jnp.zeros(1, jnp.int32))
    for g in groups:
        slots = buffer.refill(slots, 100 * g + jnp.arange(per_group), jnp.ones(per_group), jr.key(g))
    return slots


def test_balanced_buffer_shares_its_slots_among_groups_seen_or_among_all_that_will_come():
    hundred = lambda item: item // 100  # noqa: E731
    shrinking = refill(Balanced(12, None, hundred), (0, 1, 2))
    assert np.bincount(shrinking.group).tolist() == [4, 4, 4]
    fixed = refill(Balanced(12, 4, hundred), (0, 1, 2))
    assert np.bincount(fixed.group[fixed.group >= 0]).tolist() == [3, 3, 3]
    assert (fixed.items // 100 == fixed.group)[fixed.group >= 0].all()
    assert int(fixed.offered) == 60


def test_examples_without_weight_are_not_kept():
    buffer = Balanced(6, None, lambda item: 0 * item)
    weight = (jnp.arange(10) < 3).astype(jnp.float32)
    slots = buffer.refill(buffer.init(jnp.zeros(1, jnp.int32)), jnp.arange(10), weight, jr.key(0))
    assert sorted(slots.items[slots.group >= 0].tolist()) == [0, 1, 2]


def test_a_group_that_comes_again_is_a_uniform_sample_of_all_that_was_offered():
    # three times 20 examples of group 0, and once 20 of group 1, whose coming takes half of the slots
    buffer = Balanced(12, None, lambda item: item // 100)
    offers = [jnp.arange(20), 100 + jnp.arange(20), 20 + jnp.arange(20), 40 + jnp.arange(20)]

    def one(key):
        slots = buffer.init(jnp.zeros(1, jnp.int32))
        for i, items in enumerate(offers):
            slots = buffer.refill(slots, items, jnp.ones(20), jr.fold_in(key, i))
        return slots.items

    runs = 2_000
    kept = np.asarray(jax.jit(jax.vmap(one))(jr.split(jr.key(1), runs)))
    assert all(len(set(row)) == 12 for row in kept[:50].tolist())
    counts = np.bincount(kept.ravel(), minlength=120)
    for offered, first in ((60, 0), (20, 100)):
        p = 6 / offered
        assert np.abs(counts[first : first + offered] - runs * p).max() < 4 * np.sqrt(runs * p * (1 - p))


@pytest.mark.parametrize("capacity", [12, 600])
def test_draws_are_without_replacement_and_groups_equally_likely_at_first(capacity):
    buffer = Ring(capacity, lambda item: (item >= 9).astype(jnp.int32))
    slots = buffer.add(
        buffer.init(jnp.zeros(1, jnp.int32)), jnp.arange(12), jr.key(0)
    )  # 9 of one group, 3 of the other
    items, weight = jax.jit(jax.vmap(lambda k: draw(slots, 6, k)))(jr.split(jr.key(2), 2_000))
    assert all(len(set(row)) == 6 for row in np.asarray(items)[:100].tolist())
    assert float(weight.min()) == 1.0
    assert float(np.mean(np.asarray(items)[:, 0] >= 9)) == pytest.approx(0.5, abs=0.05)


def test_draws_beyond_what_is_stored_have_no_weight():
    buffer = Ring(8, itself)
    slots = buffer.add(buffer.init(jnp.zeros(1, jnp.int32)), jnp.arange(3), jr.key(0))
    _, weight = draw(slots, 5, jr.key(0))
    assert sorted(weight.tolist()) == [0, 0, 1, 1, 1]
