"""Run a process step by step on the host: for environments that cannot be compiled, and as the driver's slow twin."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from . import checkpoint
from .keys import named_key
from .monitor import Cancelled, current_monitor
from .probe import Probe
from .process import AbstractProcess
from .program import Carry, all_finite, probe_key, run_keys, single_step, transition
from .records import Record, Records
from .run import Run
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
    are all arrays.

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
    if key.ndim > 1 or (key.ndim and not len(key)):
        raise ValueError(f"`key` must be one key or a non-empty vector of keys; got shape {key.shape}.")
    if state is not None and key.ndim:
        raise ValueError("`state` continues a single run; it does not go with several keys.")
    stream = getattr(process, "stream", None) if stream is None else stream
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


def _one(process, key, schedule: Schedule, stream, probes, state, start: int, label: str) -> Run:
    monitor = current_monitor()
    monitor.begin(label, schedule.steps, 1)
    keys = run_keys(key)
    if state is None:
        state = process.init(named_key(key, "init"))
    carry = Carry(state, state, {}, jnp.array(-1, jnp.int32))
    rows: list[dict[str, list[np.ndarray]]] = [{} for _ in probes]
    done = 0
    saved = monitor.load(label)
    if saved:
        done, carry, rows = _resume(saved, carry, rows, monitor, label)
    for row in schedule.chunk(done, schedule.num_marks, schedule.steps):
        for _ in range(row.stride):
            after, info = single_step(process, stream, keys, carry.state, start + done)
            carry = Carry(after, carry.state, info, carry.diverged_at)
            done += 1
            if done < schedule.steps and (monitor.cancelled() or monitor.wants_checkpoint(label)):
                _save(monitor, label, carry, rows, done)
                if monitor.cancelled():
                    raise Cancelled(f"{label} stopped at step {start + done}.")
        step = start + done
        for probe, kept, due in zip(probes, rows, row.due, strict=True):
            if due:
                seen = transition(process, stream, keys, carry, step)
                for name, value in probe.fn(seen, probe_key(key, probe, step)).items():
                    kept.setdefault(name, []).append(np.asarray(value))
        if int(carry.diverged_at) < 0 and not bool(all_finite(carry.state)):
            carry = carry._replace(diverged_at=jnp.array(step, jnp.int32))
        latest = {n: float(v[-1]) for kept in rows for n, v in kept.items() if v[-1].ndim == 0}
        monitor.advance(label, step, latest)
    variables: dict[str, Record] = {}
    for probe, kept, steps in zip(probes, rows, schedule.per_probe, strict=True):
        for name, values in kept.items():
            if name in variables:
                raise ValueError(f"two probes record {name!r}; give one of them another name.")
            dims = dict(probe.dims).get(name, tuple(f"{name}_{axis}" for axis in range(values[0].ndim)))
            attrs = {k: dict(v) for k, v in probe.attrs}.get(name, {})
            variables[name] = Record(steps + start, np.stack(values), dims, attrs)
    return Run(process.view(carry.state), Records(variables, np.asarray(carry.diverged_at), (), {}, {}))


def _save(monitor, label: str, carry: Carry, rows: list[dict[str, list[np.ndarray]]], done: int) -> None:
    kept = [{name: np.stack(values) for name, values in probe.items()} for probe in rows]
    shapes: Any = [{name: [str(a.dtype), list(a.shape)] for name, a in probe.items()} for probe in kept]
    info = {name: [str(jnp.asarray(a).dtype), list(jnp.shape(a))] for name, a in carry.info.items()}
    tree = {"carry": carry, "kept": kept}
    monitor.save(label, checkpoint.encode(tree, {"done": done, "kept": shapes, "info": info}))


def _resume(data: bytes, carry: Carry, rows, monitor, label: str):
    try:
        meta = checkpoint.read_meta(data)
        kept = [{n: np.zeros(shape, dtype) for n, (dtype, shape) in probe.items()} for probe in meta["kept"]]
        info = {n: jnp.zeros(shape, dtype) for n, (dtype, shape) in meta["info"].items()}
        tree = checkpoint.decode(data, {"carry": carry._replace(info=info), "kept": kept})
    except checkpoint.CheckpointError as error:
        monitor.warn(f"{label}: {error} Starting over.")
        return 0, carry, rows
    return meta["done"], tree["carry"], [{n: list(a) for n, a in probe.items()} for probe in tree["kept"]]
