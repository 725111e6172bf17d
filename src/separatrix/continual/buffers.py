"""Memories of past examples with a fixed shape, so that they live inside a compiled run.

A buffer is a few settings; its state is a `Slots`. All of them can be sampled by `draw`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, Key, PyTree

__all__ = ["Balanced", "Reservoir", "Ring", "Slots", "by_class", "by_task", "draw"]


class Slots(NamedTuple):
    """State of a buffer.

    Attributes:
        items: a pytree with the slots on the first axis.
        group: group of each item, -1 where a slot is empty.
        offered: number of items that were ever offered.
        lot: number drawn when an item was offered, by which `Balanced` chooses.
    """

    items: PyTree
    group: Int[Array, " slots"]
    offered: Int[Array, ""]
    lot: Int[Array, " slots"]


def by_class(item: Any) -> Int[Array, " examples"]:
    """Group stored examples by their target."""
    return jnp.asarray(item.targets, jnp.int32)


def by_task(item: Any) -> Int[Array, " examples"]:
    """Group stored examples by the task that they come from."""
    return jnp.asarray(item.task, jnp.int32)


def _empty(example: PyTree, capacity: int) -> Slots:
    zeros = lambda a: jnp.zeros((capacity, *a.shape[1:]), a.dtype)  # noqa: E731
    items, lot = jax.tree.map(zeros, example), jnp.zeros(capacity, jnp.int32)
    return Slots(items, jnp.full(capacity, -1, jnp.int32), jnp.zeros((), jnp.int32), lot)


def _check(capacity: int) -> None:
    if capacity < 1:
        raise ValueError(f"`capacity` must be at least 1; got {capacity}.")


def _put(slots: Slots, places: Int[Array, " batch"], batch: PyTree, group: Int[Array, " batch"]) -> Slots:
    """Write a batch into slots; a place beyond the last is dropped, and of two equal places the later one counts."""
    count = len(group)
    later = (places[:, None] == places[None, :]) & (jnp.arange(count)[None, :] > jnp.arange(count)[:, None])
    places = jnp.where(jnp.any(later, axis=1), slots.group.shape[0], places)
    write = lambda old, new: old.at[places].set(new.astype(old.dtype), mode="drop")  # noqa: E731
    items = jax.tree.map(write, slots.items, batch)
    return slots._replace(items=items, group=write(slots.group, group), offered=slots.offered + count)


class Reservoir(eqx.Module):
    """A uniform sample of all that was ever offered: the n-th item stays with probability `capacity / n`.

    Attributes:
        capacity: number of slots.
        group_of: from a batch of items to their groups.

    Examples:
        >>> buffer = Reservoir(3, group_of=lambda item: item)
        >>> slots = buffer.add(buffer.init(jnp.zeros(1, int)), jnp.arange(2), jr.key(0))
        >>> slots.items.tolist(), slots.group.tolist()
        ([0, 1, 0], [0, 1, -1])

    References:
        Vitter (1985), ACM Trans. Math. Softw. 11(1), 37-57, algorithm R.
    """

    capacity: int = eqx.field(static=True)
    group_of: Callable[[Any], Int[Array, " batch"]] = by_task

    def __check_init__(self):
        """Refuse a buffer without slots."""
        _check(self.capacity)

    def init(self, example: PyTree) -> Slots:
        """Return an empty buffer for items like those of the batch `example`."""
        return _empty(example, self.capacity)

    def add(self, slots: Slots, batch: PyTree, key: Key[Array, ""]) -> Slots:
        """Offer a batch, item by item."""
        group = self.group_of(batch)
        number = slots.offered + jnp.arange(len(group))  # items offered before this one
        drawn = jr.randint(key, group.shape, 0, number + 1)
        places = jnp.where(number < self.capacity, number, jnp.where(drawn < self.capacity, drawn, self.capacity))
        return _put(slots, places, batch, group)

    def refill(self, slots: Slots, batch: PyTree, weight: Float[Array, " examples"], key: Key[Array, ""]) -> Slots:
        """Do nothing at the end of a task: a reservoir is filled while training."""
        del batch, weight, key
        return slots


class Ring(eqx.Module):
    """The last items that were offered.

    Attributes:
        capacity: number of slots.
        group_of: from a batch of items to their groups.

    Examples:
        >>> buffer = Ring(3, group_of=lambda item: item)
        >>> slots = buffer.add(buffer.init(jnp.zeros(1, int)), jnp.arange(5), jr.key(0))
        >>> sorted(slots.items.tolist())
        [2, 3, 4]
    """

    capacity: int = eqx.field(static=True)
    group_of: Callable[[Any], Int[Array, " batch"]] = by_task

    def __check_init__(self):
        """Refuse a buffer without slots."""
        _check(self.capacity)

    def init(self, example: PyTree) -> Slots:
        """Return an empty buffer for items like those of the batch `example`."""
        return _empty(example, self.capacity)

    def add(self, slots: Slots, batch: PyTree, key: Key[Array, ""]) -> Slots:
        """Put a batch in place of the oldest items."""
        del key
        group = self.group_of(batch)
        return _put(slots, (slots.offered + jnp.arange(len(group))) % self.capacity, batch, group)

    def refill(self, slots: Slots, batch: PyTree, weight: Float[Array, " examples"], key: Key[Array, ""]) -> Slots:
        """Do nothing at the end of a task: a ring is filled while training."""
        del batch, weight, key
        return slots


class Balanced(eqx.Module):
    """A random choice of equally many examples of each group, filled at the end of a task.

    Within a group it is a uniform sample of all that was ever offered, however many tasks the group comes in: every
    example draws a lot when it is offered, and a group keeps those with the lowest. An example that is offered twice
    counts twice.

    Attributes:
        capacity: number of slots.
        groups: number of groups that will ever come; each has `capacity // groups` slots from the start. None: the
            slots are divided among the groups seen so far, and old groups shrink.
        group_of: from a batch of items to their groups.

    Examples:
        >>> buffer = Balanced(4, group_of=lambda item: item // 10)
        >>> slots = buffer.init(jnp.zeros(1, int))
        >>> for items in (jnp.arange(6), 10 + jnp.arange(6)):
        ...     slots = buffer.refill(slots, items, jnp.ones(6), jr.key(0))
        >>> sorted(slots.group.tolist())
        [0, 0, 1, 1]
    """

    capacity: int = eqx.field(static=True)
    groups: int | None = eqx.field(static=True, default=None)
    group_of: Callable[[Any], Int[Array, " batch"]] = by_class

    def __check_init__(self):
        """Refuse a buffer without slots for each group."""
        _check(self.capacity if self.groups is None else self.capacity // max(self.groups, 1))

    def init(self, example: PyTree) -> Slots:
        """Return an empty buffer for items like those of the batch `example`."""
        return _empty(example, self.capacity)

    def add(self, slots: Slots, batch: PyTree, key: Key[Array, ""]) -> Slots:
        """Do nothing while training: the buffer is filled at the end of a task."""
        del batch, key
        return slots

    def refill(self, slots: Slots, batch: PyTree, weight: Float[Array, " examples"], key: Key[Array, ""]) -> Slots:
        """Take a finished task's examples in; those of weight 0 are no examples."""
        incoming = jnp.where(weight > 0, self.group_of(batch), -1)
        last = jnp.iinfo(jnp.int32).max
        # whole numbers, since the floating-point type of a state is the model's; as many as a uniform float32 has
        drawn = (jr.bits(key, incoming.shape, jnp.uint32) >> 9).astype(jnp.int32)
        drawn = jnp.where(incoming >= 0, drawn, last)
        order = jnp.argsort(drawn)
        lot = jnp.concatenate([slots.lot, drawn[order]])
        group = jnp.concatenate([slots.group, incoming[order]])
        by_group = jnp.lexsort((lot, jnp.where(group < 0, last, group)))
        sorted_group = group[by_group]
        is_first = jnp.concatenate([jnp.ones(1, bool), sorted_group[1:] != sorted_group[:-1]])
        start = jax.lax.cummax(jnp.where(is_first, jnp.arange(len(group)), 0))
        rank = jnp.zeros_like(group).at[by_group].set((jnp.arange(len(group)) - start).astype(group.dtype))
        seen = jnp.sum(is_first & (sorted_group >= 0)) if self.groups is None else self.groups
        keep = (group >= 0) & (rank < self.capacity // jnp.maximum(seen, 1))
        chosen = jnp.argsort(~keep, stable=True)[: self.capacity]
        gather = lambda old, new: jnp.concatenate([old, new[order].astype(old.dtype)])[chosen]  # noqa: E731
        items = jax.tree.map(gather, slots.items, batch)
        kept = jnp.where(keep[chosen], group[chosen], -1)
        return Slots(items, kept, slots.offered + jnp.sum(incoming >= 0).astype(jnp.int32), lot[chosen])


def draw(slots: Slots, count: int, key: Key[Array, ""]) -> tuple[PyTree, Float[Array, " count"]]:
    """Draw a batch without replacement in which every group is equally likely at the first draw.

    Args:
        slots: a buffer's state.
        count: examples in the batch, at most the number of slots.
        key: drives the choice.

    Returns:
        Items, and a weight of 1 for each, 0 where the buffer held too few.

    Raises:
        ValueError: if `count` exceeds the number of slots.
    """
    capacity = slots.group.shape[0]
    if count > capacity:
        raise ValueError(f"a batch of {count} cannot be drawn from {capacity} slots; take a larger `capacity`.")
    taken = slots.group >= 0
    same = (
        jnp.sum((slots.group[:, None] == slots.group[None, :]) & taken[None, :], axis=1)
        if capacity <= 512
        else (_group_sizes(slots.group))
    )
    score = jr.gumbel(key, (capacity,)) - jnp.log(jnp.maximum(same, 1).astype(jnp.float32))
    best, rows = jax.lax.top_k(jnp.where(taken, score, -jnp.inf), count)
    return jax.tree.map(lambda a: a[rows], slots.items), jnp.isfinite(best).astype(jnp.float32)


def _group_sizes(group: Int[Array, " slots"]) -> Int[Array, " slots"]:
    """Number of items in the group of each slot, in `slots log slots` operations."""
    ordered = jnp.sort(group)
    return jnp.searchsorted(ordered, group, side="right") - jnp.searchsorted(ordered, group, side="left")
