"""Who takes part in a run: members on a grid of traced hyper-parameters, each with its key."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .dependence import dependence
from .intervention import holder_of, replace
from .keys import check_keys, named_key
from .probe import Probe
from .process import AbstractProcess
from .program import Program, freeze, merge

__all__ = ["Population", "set_fields"]


def set_fields(process: AbstractProcess, values: Mapping[str, Array]) -> AbstractProcess:
    """Replace fields of a process by name, those of a wrapped process included.

    Args:
        process: any process.
        values: new values by field name.

    Returns:
        The changed copy.

    Raises:
        ValueError: if the process has no such field.
    """
    for name in values:
        if holder_of(process, name) is None:
            raise ValueError(f"{type(process).__name__} has no field {name!r}; pass `vary` to say where it goes.")
    return replace(**values)(process)


def _length(axis: str, group: Mapping[str, np.ndarray]) -> int:
    shapes = {values.shape for values in group.values()}
    if len(shapes) != 1 or any(len(shape) != 1 or not shape[0] for shape in shapes):
        found = ", ".join(str(shape) for shape in sorted(shapes))
        raise ValueError(f"`over` needs non-empty vectors of one length for {axis!r}; got {found or 'nothing'}.")
    return shapes.pop()[0]


class Population:
    """The members of a run: their keys, grid points and traced leaves."""

    def __init__(self, process, key, stream, probes, over, vary, state, start):
        check_keys(key)
        self.keys = key.reshape(-1)
        self.seeded = key.ndim > 0
        if state is not None and (self.seeded or over):
            raise ValueError("`state` continues a single run; it does not go with `over` or with several keys.")
        along = {axis: dict(v) if isinstance(v, Mapping) else {axis: v} for axis, v in over.items()}
        fields = {axis: {name: np.asarray(v) for name, v in group.items()} for axis, group in along.items()}
        self.grid = {axis: tuple(group) for axis, group in fields.items()}
        counts = [_length(axis, group) for axis, group in fields.items()]
        self.coords = {
            axis: group.get(axis, np.arange(n)) for (axis, group), n in zip(fields.items(), counts, strict=True)
        }
        places = [place.reshape(-1) for place in np.indices(counts)]  # of each member's value along each axis
        self.points = {
            name: jnp.asarray(values[place])
            for group, place in zip(fields.values(), places, strict=True)
            for name, values in group.items()
        }
        self.num_points = int(np.prod(counts))
        self.size = self.num_points * len(self.keys)
        self.shape = (*(len(v) for v in self.coords.values()), *((len(self.keys),) if self.seeded else ()))
        self.dims = (*self.coords, *(("seed",) if self.seeded else ()))
        self.probes = probes
        self.given = None if state is None else (state, np.int32(start))
        self.own = not isinstance(process, AbstractProcess)
        if self.own:
            processes = _one_for_each(process, self.keys)
            process = processes[0]
            built = [freeze(p) for p in processes]
            self.process_leaves, frozen = [leaves for leaves, _ in built], built[0][1]
            if any(other != frozen for _, other in built):
                raise ValueError(
                    "the processes of a population may differ in their arrays only; let them share functions."
                )
        else:
            leaves, frozen = freeze(process)
            self.process_leaves = [leaves]
        measures = tuple(Probe(probe.fn, name=probe.name) for probe in probes)  # cadence and labels need no compilation
        self.rest_leaves, frozen_rest = freeze((stream, measures))
        self.program = Program(frozen, frozen_rest, (vary or set_fields) if over else None)

    def first_process(self) -> AbstractProcess:
        """Return the process of the first member."""
        process = merge(self.process_leaves[0], self.program.process)
        vary = self.program.vary
        return process if vary is None else vary(process, {name: values[0] for name, values in self.points.items()})

    def dependence(self) -> frozenset[str]:
        """Tell which values of the grid have an effect."""
        return dependence(self.program, self.arguments(np.arange(1), 1), self.given)

    def axes(self, block: int):
        return None if block == 1 else (0 if self.own else None, None, 0, 0)

    def arguments(self, members: np.ndarray, block: int) -> tuple[Any, ...]:
        """Return process leaves, rest leaves, grid values and keys of one block of members."""
        points, seeds = members // len(self.keys), members % len(self.keys)
        if block == 1:
            points, seeds = points[0], seeds[0]
            leaves = self.process_leaves[seeds if self.own else 0]
        elif self.own:
            leaves = jax.tree.map(lambda *a: jnp.stack(a), *[self.process_leaves[s] for s in seeds])
        else:
            leaves = self.process_leaves[0]
        return leaves, self.rest_leaves, {k: v[points] for k, v in self.points.items()}, self.keys[seeds]


def _one_for_each(process, keys) -> list[AbstractProcess]:
    if callable(process):
        build = eqx.filter_jit(process)
        processes: list[Any] = [build(named_key(k, "process")) for k in keys]
    else:
        processes = list(process)
    if len(processes) != len(keys):
        raise ValueError(f"there must be one process for each key; got {len(processes)} for {len(keys)}.")
    for p in processes:
        if not isinstance(p, AbstractProcess):
            raise ValueError(f"`process` must be a process, or give some; it gave {type(p).__name__}.")
    return processes
