"""What is measured: a probe reads one transition and changes nothing."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
from jaxtyping import Array, Int, Key, PyTree

from .process import AbstractProcess, Info

__all__ = ["Probe", "Transition", "info_probe"]


class Transition(NamedTuple):
    """One step of a process, as probes see it.

    Attributes:
        process: the process of this member of the population, its traced hyper-parameters and data included.
        step: number of completed updates, 1 after the first.
        before: state before the update.
        x: input of the update.
        info: what the update reported.
        after: state after the update.
    """

    process: AbstractProcess
    step: Int[Array, ""]
    before: PyTree
    x: Any
    info: Info
    after: PyTree


class Probe(eqx.Module):
    """A named measurement with a cadence.

    Attributes:
        fn: `(transition, key) -> {name: array}`. Arrays that it needs (a test set, say) belong in a module passed as
            `fn`, not in a closure, so that the compiler receives them as data.
        every: record after each multiple of this many steps, or a function from the total number of steps to the
            increasing sequence of recorded steps, such as `log_spaced()`.
        dims: names of the trailing axes of each array by its name; axes without a name get one from the variable's.
        attrs: `units`, `long_name` and the like of each variable by its name.
        name: distinguishes the probe's random keys; change it and the probe's own noise changes, nothing else.
    """

    fn: Callable[[Transition, Key[Array, ""]], dict[str, Array]]
    every: int | Callable[[int], Sequence[int]] = eqx.field(static=True, default=1)
    dims: tuple[tuple[str, tuple[str, ...]], ...] = eqx.field(
        static=True, default=(), converter=lambda d: tuple((k, tuple(v)) for k, v in dict(d).items())
    )
    attrs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = eqx.field(
        static=True, default=(), converter=lambda a: tuple((k, tuple(dict(v).items())) for k, v in dict(a).items())
    )
    name: str = eqx.field(static=True, default="probe")

    def __check_init__(self):
        """Refuse a cadence that never comes due."""
        if isinstance(self.every, int) and self.every < 1:
            raise ValueError(f"`every` must be at least 1; got {self.every}.")


class _ReadInfo(eqx.Module):  # a value, not a closure, so that equal probes compile once
    names: tuple[str, ...] = eqx.field(static=True)

    def __call__(self, transition: Transition, key: Key[Array, ""]) -> dict[str, Array]:
        del key
        missing = [name for name in self.names if name not in transition.info]
        if missing:
            raise ValueError(f"the step reports {sorted(transition.info)}; it has no {missing[0]!r}.")
        return {name: transition.info[name] for name in self.names}


def info_probe(*names: str, every: int | Callable[[int], Sequence[int]] = 1, attrs: Any = ()) -> Probe:
    """Record entries of the step's `info` as they are.

    Args:
        names: keys of `info`.
        every: cadence, as in `Probe`.
        attrs: attributes by variable name.

    Returns:
        A probe that records each named entry under its own name.
    """
    return Probe(_ReadInfo(names), every=every, attrs=attrs, name="info:" + ",".join(names))
