"""Run a process step by step on the host: for environments that cannot be compiled, and as the driver's slow twin."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from . import checkpoint
from .keys import check_keys
from .monitor import Cancelled, current_monitor
from .probe import Probe
from .process import AbstractProcess
from .program import (
    Carry,
    all_finite,
    first_state,
    freeze,
    is_inexact,
    looked_at,
    probe_key,
    run_keys,
    single_step,
    stream_of,
    transition,
)
from .records import Record, Records, axis_names
from .run import Run, identity
from .schedule import Schedule
from .stream import Stream

__all__ = ["run_on_host"]


def run_on_host(
    process: AbstractProcess,
    key: Key[Array, "*seeds"],
    steps: int,
    *,
    stream: Stream | None = None,
    probes: Sequence[Probe] = (),
    state: PyTree = None,
    start: int = 0,
    label: str = "run",
) -> Run:
    """Advance a process in a Python loop, with the keys, cadences and records of `run`.

    Nothing is compiled here; a process may jit the parts of its step that can be. Checkpoints need a state whose leaves
    are all arrays or numbers.

    Args:
        process: the process; its step may do anything Python can.
        key: one key, or a vector of keys, run one after the other.
        steps: number of steps.
        stream: `(step, key) -> x`; the process's own field `stream` by default.
        probes: what to record, and how often.
        state: start from this state instead of `process.init` (single runs only).
        start: completed steps that `state` stands for.
        label: names the run for its monitor.

    Returns:
        Final state and records, as from `run`.

    Raises:
        ValueError: if a cadence does not fit `steps`.
        Cancelled: if the monitor stopped the run.
    """
    check_keys(key)
    if state is not None and key.ndim:
        raise ValueError("`state` continues a single run; it does not go with several keys.")
    stream, probes = stream_of(process, stream), tuple(probes)
    schedule = Schedule(probes, steps)
    if key.ndim == 0:
        return _one(process, key, schedule, stream, probes, state, start, label)
    members = [_one(process, k, schedule, stream, probes, None, start, f"{label}/{i}") for i, k in enumerate(key)]
    first = members[0].records
    variables = {
        name: record._replace(values=np.stack([m.records[name] for m in members]))
        for name, record in first.variables.items()
    }
    diverged = np.stack([m.records.diverged_at for m in members])
    states = jax.tree.map(lambda *a: jnp.stack(a), *[m.state for m in members])
    return Run(states, Records(variables, diverged, ("seed",), {}, first.attrs))


_all_finite = jax.jit(all_finite)


def _one(process, key, schedule: Schedule, stream, probes, state, start: int, label: str) -> Run:
    monitor = current_monitor()
    monitor.begin(label, schedule.steps, 1)
    keys = run_keys(key)
    state = first_state(process, key, None if state is None else (state, start))
    carry = Carry(state, state, {}, jnp.array(-1, jnp.int32))
    rows: list[dict[str, list[np.ndarray]]] = [{} for _ in probes]
    this_run = ["host", *identity(schedule, probes, start, (freeze((process, stream, probes))[0], key, state))]
    done = 0
    saved = monitor.load(label)
    if saved:
        done, carry, rows = _resume(saved, carry, rows, this_run, monitor, label)
    for stride, due in zip(*schedule.chunk(done, schedule.num_marks, schedule.steps), strict=True):
        for left in reversed(range(stride)):
            after, info = single_step(process, stream, keys, carry.state, jnp.int32(start + done))
            done += 1
            look = done == schedule.steps or bool(looked_at(after, start + done))
            bad = look and int(carry.diverged_at) < 0 and not _all_finite(eqx.filter(after, is_inexact))
            diverged_at = jnp.array(start + done, jnp.int32) if bad else carry.diverged_at
            carry = Carry(after, carry.state, info, diverged_at)
            if left == 0:
                latest = _measure(process, stream, keys, key, probes, carry, start + done, due, rows)
                monitor.advance(label, start + done, latest)
            if done == schedule.steps:
                break
            stop = monitor.cancelled()
            if stop or monitor.wants_checkpoint(label):
                monitor.save(label, _encode(carry, rows, {"run": this_run, "done": done}))
            if stop:
                raise Cancelled(f"{label} stopped at step {start + done}.")
    variables: dict[str, Record] = {}
    for probe, kept, steps in zip(probes, rows, schedule.per_probe, strict=True):
        for name, values in kept.items():
            attrs = {k: dict(v) for k, v in probe.attrs}.get(name, {})
            variables[name] = Record(steps + start, np.stack(values), axis_names(probe, name, values[0].ndim), attrs)
    return Run(process.view(carry.state), Records(variables, np.asarray(carry.diverged_at), (), {}, {}))


def _measure(process, stream, keys, key, probes, carry: Carry, step: int, due, rows) -> dict[str, float]:
    """Append what the probes that are due return; return the last of all scalars."""
    for probe, kept, is_due in zip(probes, rows, due, strict=True):
        if is_due:
            counted = jnp.int32(step)
            seen = transition(process, stream, keys, carry, counted)
            for name, value in probe.fn(seen, probe_key(key, probe, counted)).items():
                if any(name in other for other in rows if other is not kept):
                    raise ValueError(f"two probes record {name!r}; give one of them another name.")
                kept.setdefault(name, []).append(np.asarray(value))
                axis_names(probe, name, np.ndim(value))
    scalars = {n: v[-1] for kept in rows for n, v in kept.items() if v[-1].ndim == 0}
    return {n: float(v) for n, v in scalars.items() if not np.iscomplexobj(v)}


def _encode(carry: Carry, rows: list[dict[str, list[np.ndarray]]], meta: dict[str, Any]) -> bytes:
    kept = [{name: np.stack(values) for name, values in probe.items()} for probe in rows]
    shapes = [{name: [str(a.dtype), list(a.shape)] for name, a in probe.items()} for probe in kept]
    tree = (carry.state, carry.diverged_at, kept)
    return checkpoint.encode(tree, {**meta, "kept": shapes})


def _resume(data: bytes, carry: Carry, rows, this_run: list[Any], monitor, label: str):
    try:
        meta = checkpoint.read_meta(data)
        if meta.get("run") != this_run:
            raise checkpoint.CheckpointError("the checkpoint belongs to another run.")
        kept = [{n: np.zeros(s, jnp.dtype(dtype)) for n, (dtype, s) in probe.items()} for probe in meta["kept"]]
        state, diverged_at, kept = checkpoint.decode(data, (carry.state, carry.diverged_at, kept))
    except checkpoint.CheckpointError as error:
        monitor.warn(f"{label}: {error} Starting over.")
        return 0, carry, rows
    return meta["done"], Carry(state, state, {}, diverged_at), [{n: list(a) for n, a in p.items()} for p in kept]
