"""Change a process without editing it: interventions map a process to a process, so they compose."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Int, Key, PyTree

from .process import AbstractProcess, Info

__all__ = ["Intervention", "at_step", "between", "chain", "holder_of", "replace", "wrap_step"]

Intervention = Callable[[AbstractProcess], AbstractProcess]
Step = Callable[[PyTree, Any, Key[Array, ""]], tuple[PyTree, Info]]


def chain(*interventions: Intervention) -> Intervention:
    """Apply interventions from left to right.

    Args:
        interventions: any number; none gives the identity.

    Returns:
        Their composition.
    """

    def apply(process: AbstractProcess) -> AbstractProcess:
        for intervention in interventions:
            process = intervention(process)
        return process

    return apply


def replace(**fields: Any) -> Intervention:
    """Replace fields of the process, such as `loss`, `optimiser` or `stream`.

    Args:
        fields: new values by field name.

    Returns:
        The intervention; it raises ValueError for a process without such a field.

    Examples:
        >>> from separatrix.systems import LogisticMap
        >>> replace(rate=3.9)(LogisticMap(2.0)).rate
        3.9
    """

    def apply(process: AbstractProcess) -> AbstractProcess:
        for name, value in fields.items():
            holder = holder_of(process, name)
            if holder is None:
                raise ValueError(
                    f"{type(process).__name__} has no field {name!r} to replace; a process changed by `between` must "
                    f"have its fields replaced before."
                )
            process = eqx.tree_at(lambda p, h=holder, n=name: getattr(h(p), n), process, value, is_leaf=_is_none)
        return process

    return apply


def _is_none(x: Any) -> bool:
    return x is None


def holder_of(process: AbstractProcess, name: str) -> Callable[[Any], Any] | None:
    """Return the path from a process to the one, itself or one that it wraps, that has a field; None if there is none.

    Looking through wrappers makes `chain(at_step(...), replace(...))` work in either order.

    Args:
        process: any process.
        name: of the field.

    Returns:
        A function from the process, or one of its structure, to the holder.
    """
    if name in getattr(process, "__dataclass_fields__", {}):
        return lambda p: p
    if isinstance(process, _Wrapped) or (isinstance(process, _Counted) and process.changed is None):
        inner = holder_of(process.inner, name)
        return None if inner is None else lambda p: inner(p.inner)
    return None


class _Wrapped(AbstractProcess):
    inner: AbstractProcess
    wrap: Callable[[Step], Step]

    @property
    def stream(self):
        return getattr(self.inner, "stream", None)

    def init(self, key):
        return self.inner.init(key)

    def step(self, state, x, key):
        return self.wrap(self.inner.step)(state, x, key)

    def view(self, state):
        return self.inner.view(state)

    def restore(self, state, done):
        return self.inner.restore(state, done)

    def base(self):
        return self.inner.base()


def wrap_step(wrap: Callable[[Step], Step]) -> Intervention:
    """Wrap the step function.

    Args:
        wrap: from a step `(state, x, key) -> (state, info)` to another of the same type.

    Returns:
        The intervention.

    Examples:
        Halve each move of a process whose state is an array:

        >>> import jax.random as jr
        >>> from separatrix.systems import LogisticMap
        >>> def damped(step):
        ...     def half(state, x, key):
        ...         after, info = step(state, x, key)
        ...         return (state + after) / 2, info
        ...     return half
        >>> float(wrap_step(damped)(LogisticMap(2.0)).step(0.25, None, jr.key(0))[0])
        0.3125
    """

    def apply(process: AbstractProcess) -> AbstractProcess:
        if not isinstance(process, _Counted):
            return _Wrapped(process, wrap)
        # inside the counter, so that `wrap` sees the state of the process and not the count beside it
        changed = None if process.changed is None else apply(process.changed)
        return _Counted(apply(process.inner), changed, process.edit, process.first, process.last)

    return apply


class CountedState(NamedTuple):
    inner: PyTree
    done: Int[Array, ""]


class _Counted(AbstractProcess):
    """Applies `edit` to the state, and `change` to the process, while `first <= done < last`."""

    inner: AbstractProcess
    changed: AbstractProcess | None
    edit: Callable[[PyTree, Key[Array, ""]], PyTree] | None
    first: ArrayLike
    last: ArrayLike

    @property
    def stream(self):
        return getattr(self.inner, "stream", None)

    def init(self, key):
        return CountedState(self.inner.init(key), jnp.array(0, jnp.int32))

    def step(self, state, x, key):
        inside = (self.first <= state.done) & (state.done < self.last)
        before = state.inner
        if self.edit is not None:
            edit = self.edit
            apply = lambda s: self.inner.restore(edit(self.inner.view(s), key), state.done)  # noqa: E731
            before = jax.lax.cond(inside, apply, lambda s: s, before)
        if self.changed is None:
            after, info = self.inner.step(before, x, key)
        else:
            changed, inner = (
                self.changed,
                self.inner,
            )  # closures: jax would hash a bound method, and so its traced fields
            after, info = jax.lax.cond(inside, lambda *a: changed.step(*a), lambda *a: inner.step(*a), before, x, key)
        return CountedState(after, state.done + 1), info

    def view(self, state):
        return self.inner.view(state.inner)

    def restore(self, state, done):
        return CountedState(self.inner.restore(state, done), jnp.asarray(done, jnp.int32))

    def base(self):
        return self.inner.base()


def at_step(step: ArrayLike, edit: Callable[[PyTree, Key[Array, ""]], PyTree]) -> Intervention:
    """Edit the state once, just before the update that follows `step` completed updates.

    Args:
        step: number of completed updates, traced.
        edit: `(state, key) -> state` of the same structure, shapes and dtypes; it is given the state that probes see.

    Returns:
        The intervention; it wraps the process and keeps its own count.
    """
    step = _whole(step)
    return lambda process: _Counted(process, None, edit, step, step + 1)


def between(first: ArrayLike, last: ArrayLike, intervention: Intervention) -> Intervention:
    """Apply an intervention for the updates that follow `first`, ..., `last - 1` completed updates.

    The changed process must share state and info with the original.

    Args:
        first: completed updates when it begins, traced.
        last: completed updates when it ends, traced; `2**31 - 1` for never.
        intervention: what to apply in between.

    Returns:
        The intervention; it wraps the process and keeps its own count.
    """
    first, last = _whole(first), _whole(last)
    return lambda process: _Counted(process, intervention(process), None, first, last)


def _whole(step: ArrayLike) -> Int[Array, ""]:
    return jnp.asarray(step, jnp.int32)  # an array, so that it is traced and a grid over it needs no new compilation
