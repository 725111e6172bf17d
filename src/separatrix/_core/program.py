"""The compiled part of a run: one member of a population, a chunk of rows.

Two programs exist for each process: `initialise` and `advance`. The number of steps in each row is traced, so one
compilation serves every cadence and every length.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Int, Key, PyTree

from .keys import named_key
from .probe import Probe, Transition
from .process import AbstractProcess, Info

__all__ = ["Carry", "Frozen", "Program", "advance", "check_step", "freeze", "initialise", "merge", "one_step"]


SMALL_STATE = 4_096  # numbers; larger states are looked at for divergence at every 32nd step only,
STEPS_BETWEEN_LOOKS = 32  # because a look costs as much as a third of a quick training step (measured)


class Frozen(NamedTuple):
    """The part of a tree that is fixed at compile time; hashable."""

    treedef: Any
    static: tuple[Any, ...]


class _Hole:  # stands where a traced leaf goes
    def __repr__(self) -> str:
        return "<traced>"


_HOLE = _Hole()


def _is_traced(leaf: Any) -> bool:
    # Floats are hyper-parameters, so they are traced; whole numbers and booleans choose shapes and branches.
    return isinstance(leaf, jax.Array | np.ndarray | np.generic | float | complex)


def freeze(tree: PyTree) -> tuple[list[Any], Frozen]:
    """Split a tree into its traced leaves and the hashable rest.

    Args:
        tree: any pytree.

    Returns:
        The traced leaves in order, and what `merge` needs to put them back.

    Raises:
        TypeError: if a leaf is neither an array, a float nor hashable.
    """
    leaves, treedef = jax.tree.flatten(tree)
    static = tuple(_HOLE if _is_traced(leaf) else leaf for leaf in leaves)
    for leaf in static:
        try:
            hash(leaf)
        except TypeError:
            raise TypeError(f"a field holds {leaf!r}, which is neither an array nor hashable.") from None
    return [leaf for leaf in leaves if _is_traced(leaf)], Frozen(treedef, static)


def merge(traced: list[Any], frozen: Frozen) -> PyTree:
    """Undo `freeze`.

    Args:
        traced: leaves, or tracers in their place.
        frozen: the fixed part.

    Returns:
        The tree.
    """
    rest = iter(traced)
    return jax.tree.unflatten(frozen.treedef, [next(rest) if leaf is _HOLE else leaf for leaf in frozen.static])


class Program(NamedTuple):
    """All that is fixed at compile time.

    Attributes:
        process: the process without its traced leaves.
        rest: stream and probes without theirs.
        vary: `(process, values) -> process` applied inside the program, or None.
    """

    process: Frozen
    rest: Frozen
    vary: Callable[[AbstractProcess, dict[str, Array]], AbstractProcess] | None


class Carry(NamedTuple):
    """What goes from chunk to chunk for one member."""

    state: PyTree
    before: PyTree
    info: Info
    diverged_at: Int[Array, ""]


class Keys(NamedTuple):
    step: Key[Array, ""]
    stream: Key[Array, ""]


def run_keys(key: Key[Array, ""]) -> Keys:
    """Derive the keys that drive the steps and the stream of a run."""
    return Keys(named_key(key, "step"), named_key(key, "stream"))


def strengthen(tree: PyTree) -> PyTree:
    """Turn weakly typed leaves into arrays of their dtype, so that one step's output has its input's type."""

    def fix(leaf):
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return leaf
        leaf = jnp.asarray(leaf)
        return jax.lax.convert_element_type(leaf, leaf.dtype)

    return jax.tree.map(fix, tree)


def stream_of(process: AbstractProcess, stream: Any) -> Any:
    """Return the stream in use: the one given to the run, or else the process's own (which may differ by member)."""
    return getattr(process, "stream", None) if stream is None else stream


def first_state(process: AbstractProcess, key: Key[Array, ""], given: tuple[PyTree, Any] | None) -> PyTree:
    """Return the initial state, or the given one (as probes see it) put back into the process's wrappers."""
    return process.init(named_key(key, "init")) if given is None else process.restore(*given)


def single_step(process: AbstractProcess, stream, keys: Keys, state: PyTree, index) -> tuple[PyTree, Info]:
    """Take the step with the given index, counted from 0."""
    x = None if stream is None else stream(index, keys.stream)
    return process.step(state, x, jr.fold_in(keys.step, index))


def transition(process: AbstractProcess, stream, keys: Keys, carry: Carry, step) -> Transition:
    """Assemble what probes see after `step` completed updates; the input is looked up again, not carried."""
    x = None if stream is None else stream(step - 1, keys.stream)
    return Transition(process.base(), step, process.view(carry.before), x, carry.info, process.view(carry.state))


def probe_key(key: Key[Array, ""], probe: Probe, step) -> Key[Array, ""]:
    """Derive the probe's own key for a step."""
    return jr.fold_in(named_key(key, "probe:" + probe.name), step)


def is_inexact(leaf: Any) -> bool:
    """Say whether a leaf is a floating-point or complex array or number."""
    return isinstance(leaf, float | complex) or eqx.is_inexact_array(leaf)


def all_finite(tree: PyTree) -> Bool[Array, ""]:
    """Say whether every floating-point leaf is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if is_inexact(leaf)]
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves])) if leaves else jnp.array(True)


def looked_at(state: PyTree, step) -> Bool[Array, ""]:
    """Say whether divergence is looked for after `step` completed updates.

    The times depend on the size of the state alone, so `diverged_at` depends neither on probes nor on chunks.
    """
    size = sum(np.size(leaf) for leaf in jax.tree.leaves(state) if is_inexact(leaf))
    return jnp.asarray(True) if size <= SMALL_STATE else step % STEPS_BETWEEN_LOOKS == 0


def _unpack(program: Program, process_leaves, rest_leaves, values):
    process = merge(process_leaves, program.process)
    if program.vary is not None:
        process = program.vary(process, values)
    stream, probes = merge(rest_leaves, program.rest)
    return process, stream_of(process, stream), probes


def initialise(program: Program, process_leaves, rest_leaves, values, key, given) -> Carry:
    """Build the first carry; `given` is None, or the state to start from and its completed steps."""
    process, stream, _ = _unpack(program, process_leaves, rest_leaves, values)
    state = strengthen(first_state(process, key, given))
    step = lambda s: strengthen(single_step(process, stream, run_keys(key), s, jnp.int32(0))[1])  # noqa: E731
    info = jax.eval_shape(step, state)
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), info)
    return Carry(state, state, zeros, jnp.array(-1, jnp.int32))


def advance(program: Program, process_leaves, rest_leaves, values, key, carry: Carry, start, strides, due):
    """Advance one member by the rows of a chunk.

    Args:
        program: the fixed part.
        process_leaves: traced leaves of the process.
        rest_leaves: traced leaves of stream and probes.
        values: this member's grid point, `{name: scalar}`.
        key: this member's key.
        carry: from the last chunk.
        start: completed steps, int32.
        strides: steps in each row, shape `(rows,)`; 0 in a row that only fills up.
        due: which probes record after each row, shape `(rows, probes)`.

    Returns:
        The carry and, for each probe, `{name: (rows, ...)}` with zeros where it was not due.
    """
    process, stream, probes = _unpack(program, process_leaves, rest_leaves, values)
    keys = run_keys(key)

    def step_once(i, carry_and_start):
        carry, base = carry_and_start
        state, info = strengthen(single_step(process, stream, keys, carry.state, base + i))
        done = base + i + 1
        bad = jax.lax.cond(looked_at(state, done), lambda s: ~all_finite(s), lambda s: jnp.array(False), state)
        diverged_at = jnp.where(bad & (carry.diverged_at < 0), done, carry.diverged_at)
        return Carry(state, carry.state, info, diverged_at), base

    def row(carry_and_step, row_input):
        carry, step = carry_and_step
        stride, row_due = row_input
        carry, _ = jax.lax.fori_loop(0, stride, step_once, (carry, step))
        step = step + stride
        measured = []
        for i, probe in enumerate(probes):

            def measure(probe=probe, carry=carry, step=step):
                return strengthen(probe.fn(transition(process, stream, keys, carry, step), probe_key(key, probe, step)))

            shapes = jax.eval_shape(measure)
            blank = lambda shapes=shapes: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)  # noqa: E731
            measured.append(jax.lax.cond(row_due[i], measure, blank))
        return (carry, step), tuple(measured)

    (carry, _), measured = jax.lax.scan(row, (carry, start), (strides, due))
    return carry, measured


def one_step(program: Program, process_leaves, rest_leaves, values, key, carry: Carry):
    """Take one step and evaluate every probe; traced, never computed."""
    process, stream, probes = _unpack(program, process_leaves, rest_leaves, values)
    keys = run_keys(key)
    state, _ = strengthen(single_step(process, stream, keys, carry.state, jnp.int32(0)))
    seen = transition(process, stream, keys, carry, jnp.int32(1))
    return state, [strengthen(probe.fn(seen, probe_key(key, probe, jnp.int32(1)))) for probe in probes]


def check_step(program: Program, carry: Carry, after: PyTree, measured: list[Any]) -> None:
    """Check the types that `one_step` returned.

    Args:
        program: names the process in messages.
        carry: what the step was given.
        after: the state that it returned.
        measured: what each probe returned.

    Raises:
        ValueError: if a step changes the state's structure, a shape or a dtype, if a probe does not return a
            dictionary, or if two probes share a variable's name.
    """
    holes = [None] * sum(leaf is _HOLE for leaf in program.process.static)
    name = type(merge(holes, program.process).base()).__name__
    if jax.tree.structure(after) != jax.tree.structure(carry.state):
        raise ValueError(
            f"{name}.step must keep the structure of the state; it got {jax.tree.structure(carry.state)} and "
            f"returned {jax.tree.structure(after)}."
        )
    pairs = zip(jax.tree_util.tree_leaves_with_path(carry.state), jax.tree.leaves(after), strict=True)
    for (path, old), new in pairs:
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"{name}.step must keep shapes and dtypes; the state's {jax.tree_util.keystr(path) or 'only leaf'} "
                f"went from {old.dtype}{list(old.shape)} to {new.dtype}{list(new.shape)}."
            )
    names: set[str] = set()
    for outputs in measured:
        if not isinstance(outputs, dict):
            raise ValueError(f"a probe must return a dictionary of arrays; got {type(outputs).__name__}.")
        if names & outputs.keys():
            raise ValueError(f"two probes record {sorted(names & outputs.keys())[0]!r}; give one of them another name.")
        names |= outputs.keys()
