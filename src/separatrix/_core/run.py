"""Run a process, or a population of them, in compiled chunks."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Key, PyTree

from . import checkpoint
from .layout import blocks_of, candidates, num_workers, run_blocks, shard
from .memory import check_fits, forget_programs, tree_bytes
from .monitor import Cancelled, Monitor, current_monitor
from .population import Population
from .probe import Probe
from .process import AbstractProcess
from .program import Program, advance, all_finite, check_step, initialise, one_step
from .records import Record, Records, axis_names
from .schedule import Schedule
from .stream import Stream

__all__ = ["Run", "run"]

ROWS_PER_CHUNK = 1_024  # enough that the cost of a dispatch vanishes beside the cheapest rows
RECORD_BYTES_PER_CHUNK = 32 * 2**20
SECONDS_PER_CHUNK = 1.0  # between looks at progress, checkpoint and cancellation
SECONDS_WORTH_MEASURING = 30.0  # shorter runs take the plain layout: compiling a second one would cost more


class Run(NamedTuple):
    """Result of `run`.

    Attributes:
        state: final state as probes see it, each leaf with the population's axes in front.
        records: what the probes measured.
    """

    state: PyTree
    records: Records


@functools.partial(jax.jit, static_argnums=(0, 1))
def _advance(program: Program, axes, *arguments):
    return (advance if axes is None else jax.vmap(advance, in_axes=(None, *axes)))(program, *arguments)


@functools.partial(jax.jit, static_argnums=1)
def _all_finite(state, blocked: bool):
    return jax.vmap(all_finite)(state) if blocked else all_finite(state)


_one_step = jax.jit(one_step, static_argnums=0)  # traced only, to know the types


@functools.partial(jax.jit, static_argnums=(0, 1))
def _initialise(program: Program, axes, *arguments):
    return (initialise if axes is None else jax.vmap(initialise, in_axes=(None, *axes)))(program, *arguments)


def run(
    process: AbstractProcess | Callable[[Key[Array, ""]], AbstractProcess] | Sequence[AbstractProcess],
    key: Key[Array, "*seeds"],
    steps: int,
    *,
    stream: Stream | None = None,
    probes: Sequence[Probe] = (),
    over: Mapping[str, ArrayLike | Mapping[str, ArrayLike]] | None = None,
    vary: Callable[[AbstractProcess, dict[str, Array]], AbstractProcess] | None = None,
    state: PyTree = None,
    start: int = 0,
    block: int | None = None,
    label: str = "run",
) -> Run:
    """Advance a process by `steps` steps and record what the probes measure.

    The work is compiled once, whatever the number of steps, and carried out in chunks of about a second; between them
    the monitor in force shows progress, keeps checkpoints and may stop the run (`separatrix.checkpointing`). A run that
    was killed and is started again ends with the same bits.

    Args:
        process: the process; or, when each seed has its own (its own data split, say), a traceable function from a
            key to a process, or a sequence with one process for each key, alike but for their arrays.
        key: one key, or an array of keys of shape `(seeds,)` for a population.
        steps: number of steps.
        stream: `(step, key) -> x`; the process's own field `stream` by default.
        probes: what to record, and how often.
        over: a grid of traced hyper-parameters, `{name: values}`; every combination runs with every key. For some that
            vary together, `{axis: {name: values, ...}}`.
        vary: `(process, {name: scalar}) -> process`, how a grid point changes the process; replaces the fields of the
            same names by default.
        state: start from this state instead of `process.init` (single runs only).
        start: completed steps that `state` stands for.
        block: members vmapped together; chosen by a short measurement when None. Rounding may depend on it.
        label: names the run for its monitor; distinct runs within one monitor need distinct labels.

    Returns:
        Final state and records; the population's axes are `(*over, seed)`, those that were given.

    Raises:
        ValueError: if a cadence does not fit `steps`, the step changes the state's type, or the population does not fit
            into memory.
        Cancelled: if the monitor stopped the run; a checkpoint was offered to it first.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix import Probe, run
        >>> from separatrix.systems import LogisticMap
        >>> height = Probe(lambda tr, key: {"x": tr.after}, every=50)
        >>> state, records = run(LogisticMap(2.0), jr.key(0), 100, probes=[height])
        >>> records["x"].tolist()
        [0.5, 0.5]
    """
    if block is not None and block < 1:
        raise ValueError(f"`block` must be at least 1; got {block}.")
    monitor = current_monitor()
    forget_programs()
    population = Population(process, key, stream, tuple(probes), dict(over or {}), vary, state, start)
    schedule = Schedule(population.probes, steps)
    driver = _Driver(population, schedule, monitor, label, start)
    if population.points:
        monitor.varies(label, population.grid, population.dependence)
    monitor.begin(label, steps, population.size)
    saved = monitor.load(label)
    if not (saved and driver.resume(saved)):
        driver.start_with(block) if block else driver.settle()
    driver.finish()
    return driver.result()


def identity(schedule: Schedule, probes: Sequence[Probe], start: int, inputs: Any) -> list[Any]:
    """Tell a run from others that have states and records of the same shape.

    Args:
        schedule: of the run.
        probes: of the run.
        start: its first step.
        inputs: a pytree of all else that determines it.

    Returns:
        Something that JSON holds.
    """
    names = [probe.name for probe in probes]
    return [schedule.steps, start, names, checkpoint.fingerprint((schedule.per_probe, inputs))]


class _Driver:
    """The host's loop over chunks."""

    def __init__(self, population: Population, schedule: Schedule, monitor: Monitor, label: str, start: int):
        self.population, self.schedule, self.monitor, self.label, self.start = (
            population,
            schedule,
            monitor,
            label,
            start,
        )
        self.done = 0
        self.compile_seconds = self.run_seconds = 0.0
        first = population.arguments(np.arange(1), 1)
        carry = _initialise.eval_shape(population.program, None, *first, population.given)
        after, outputs = _one_step.eval_shape(population.program, *first, carry)
        check_step(population.program, carry, after, outputs)
        self.dims = [
            {name: axis_names(probe, name, len(s.shape)) for name, s in out.items()}
            for probe, out in zip(population.probes, outputs, strict=True)
        ]
        row_bytes = sum(s.size * s.dtype.itemsize for out in outputs for s in out.values()) + 1
        recorded = sum(len(due) * tree_bytes(out) for out, due in zip(outputs, schedule.per_probe, strict=True))
        # a chunk reads the old carries while it writes the new ones
        check_fits(population.size * (2 * tree_bytes(carry) + recorded), population.size)
        fit = RECORD_BYTES_PER_CHUNK // (row_bytes * max(1, min(population.size, 64)))
        self.rows = max(1, min(ROWS_PER_CHUNK, schedule.num_marks, fit))
        self.values = [
            {k: np.zeros((population.size, len(due), *s.shape), s.dtype) for k, s in out.items()}
            for out, due in zip(outputs, schedule.per_probe, strict=True)
        ]

    def _lay_out(self, block: int) -> None:
        self.block = block
        self.members = blocks_of(self.population.size, block)
        self.arguments = [self.population.arguments(members, block) for members in self.members]
        self.axes = self.population.axes(block)
        if self.axes is not None:
            self.arguments = [shard(arguments, self.axes, block) for arguments in self.arguments]

    def settle(self) -> None:
        """Choose the layout, unless this work has one, and build the carries at step 0."""
        known = self.monitor.layout(self.label)
        options = [known] if known else candidates(self.population.size)
        self.start_with(options[0])
        if len(options) > 1 and self.schedule.steps:
            seconds = self._seconds_for(self._trial_steps(options[0]))
            if seconds.total > SECONDS_WORTH_MEASURING:
                self.start_with(options[1])
                if self._seconds_for(seconds.steps).total >= seconds.total:
                    self.start_with(options[0])
        settled = self.monitor.settle(self.label, self.block)
        if self._fitting(settled) != self.block:  # another process was quicker to settle the same work
            self.start_with(settled)

    def _fitting(self, block: int) -> int:
        return block if jax.local_device_count() > 1 else min(block, self.population.size)

    def start_with(self, block: int) -> None:
        """Lay the population out in blocks of this size and build the carries at step 0."""
        self._lay_out(self._fitting(block))
        began = time.perf_counter()
        axes = None if self.axes is None else (*self.axes, None)
        given = self.population.given
        initialise_blocks = functools.partial(_initialise, self.population.program, axes)
        self.carries = run_blocks(initialise_blocks, [(*a, given) for a in self.arguments], num_workers())
        self._chunk([0] * self.rows, np.zeros((self.rows, len(self.population.probes)), bool), only=1)  # compiles
        self.compile_seconds += time.perf_counter() - began

    class _Trial(NamedTuple):
        steps: int
        total: float

    def _trial_steps(self, block: int) -> int:
        """Find a number of steps that takes long enough to be timed."""
        steps = 1
        while steps < self.schedule.steps:
            if self._seconds_for(steps).total * steps / self.schedule.steps > 0.2 * len(self.members) / num_workers():
                break
            steps *= 4
        return min(steps, self.schedule.steps)

    def _seconds_for(self, steps: int) -> "_Driver._Trial":
        """Time `steps` steps of a few blocks without keeping them, and project to the whole run."""
        few = min(len(self.members), num_workers())
        strides = [steps] + [0] * (self.rows - 1)
        began = time.perf_counter()
        self._chunk(strides, np.zeros((self.rows, len(self.population.probes)), bool), only=few)
        spent = time.perf_counter() - began
        self.run_seconds += spent
        return self._Trial(steps, spent * self.schedule.steps / steps * -(-len(self.members) // few))

    def _chunk(self, strides: Sequence[int] | np.ndarray, due: np.ndarray, only: int | None = None) -> list[Any]:
        """Run one chunk of rows for the blocks and return their carries and records."""
        rows = (np.int32(self.start + self.done), np.asarray(strides, np.int32), due)
        axes = None if self.axes is None else (*self.axes, 0, None, None, None)
        arguments = [(*a, carry, *rows) for a, carry in zip(self.arguments, self.carries, strict=True)]
        advance_blocks = functools.partial(_advance, self.population.program, axes)
        return run_blocks(advance_blocks, arguments[:only], num_workers())

    def finish(self) -> None:
        """Run the chunks that are left."""
        budget, steps = 16, self.schedule.steps
        while self.done < steps:
            rows = self.schedule.chunk(self.done, self.rows, budget)
            strides, due = np.zeros(self.rows, np.int32), np.zeros((self.rows, len(self.population.probes)), bool)
            strides[: len(rows.strides)], due[: len(rows.due)] = rows
            taken = int(strides.sum())
            began = time.perf_counter()
            results = self._chunk(strides, due)
            spent = time.perf_counter() - began
            self.run_seconds += spent
            self.carries = [carry for carry, _ in results]
            latest = self._keep(results, due)
            self.done += taken
            # from the steps taken, which may be fewer than allowed: where records grow sparse, chunks must not explode
            budget = max(1, int(taken * min(8.0, SECONDS_PER_CHUNK / max(spent, 1e-6))))
            self.monitor.advance(self.label, self.start + self.done, latest)
            stop = self.monitor.cancelled() and self.done < steps
            if stop or (self.done < steps and self.monitor.wants_checkpoint(self.label)):
                self.monitor.save(self.label, self._checkpoint())
            if stop:
                raise Cancelled(f"{self.label} stopped at step {self.start + self.done}.")
        self.monitor.timed(self.compile_seconds, self.run_seconds)

    def _keep(self, results: list[Any], due: np.ndarray) -> dict[str, float]:
        """File the records of a chunk; return the population mean of the last scalars."""
        latest: dict[str, float] = {}
        for i, kept in enumerate(self.values):
            rows = np.flatnonzero(due[:, i])
            if not rows.size:
                continue
            first = int(np.searchsorted(self.schedule.per_probe[i], self.done, side="right"))
            for (_, measured), members in zip(results, self.members, strict=True):
                for name, array in measured[i].items():
                    array = np.asarray(array)
                    where = slice(first, first + len(rows))
                    if self.block == 1:
                        kept[name][members[0], where] = array[rows]
                    else:
                        kept[name][members, where] = array[:, rows]
            for name, values in kept.items():
                if values.ndim == 2 and not np.iscomplexobj(values):
                    with np.errstate(all="ignore"):  # a diverged member is no reason to complain
                        latest[name] = float(values[:, first + len(rows) - 1].mean())
        return latest

    def _like(self) -> Any:
        return {"carries": self.carries, "values": self.values}

    def _checkpoint(self) -> bytes:
        return checkpoint.encode(self._like(), {"run": self._identity, "done": self.done, "block": self.block})

    @functools.cached_property
    def _identity(self) -> list[Any]:
        """Tell this run from others of the same shape, by the values of all that is traced."""
        population = self.population
        inputs = (population.process_leaves, population.rest_leaves, population.points, population.keys)
        return identity(self.schedule, population.probes, self.start, (inputs, population.given))

    def resume(self, data: bytes) -> bool:
        """Take up a checkpoint; return False, with a warning, if it is damaged or not of this run."""
        try:
            meta = checkpoint.read_meta(data)
            if meta.get("run") != self._identity:
                raise checkpoint.CheckpointError("the checkpoint belongs to another run.")
            if self._fitting(self.monitor.settle(self.label, meta["block"])) != meta["block"]:
                raise checkpoint.CheckpointError("the checkpoint has another layout.")
            self.start_with(meta["block"])
            tree = checkpoint.decode(data, self._like())
        except checkpoint.CheckpointError as error:
            self.monitor.warn(f"{self.label}: {error} Starting over.")
            return False
        self.carries, self.values, self.done = tree["carries"], tree["values"], meta["done"]
        return True

    def result(self) -> Run:
        """Gather states and records along the population's axes."""
        population = self.population
        shape, size = population.shape, population.size

        def gather(*blocks):
            # on the host: XLA would compile a concatenation of hundreds of operands for each leaf
            keys = jnp.issubdtype(blocks[0].dtype, jax.dtypes.prng_key)
            parts, numpy = (blocks, jnp) if keys else ([np.asarray(b) for b in blocks], np)
            stacked = numpy.stack(parts) if self.block == 1 else numpy.concatenate(parts)[:size]
            return jnp.asarray(stacked.reshape((*shape, *stacked.shape[1:])))

        view = population.first_process().view
        state = jax.tree.map(gather, *[view(carry.state) for carry in self.carries])
        diverged = np.array(gather(*[carry.diverged_at for carry in self.carries]))
        if self.schedule.steps:  # the last step is always looked at
            last = np.asarray(gather(*[_all_finite(carry.state, self.block > 1) for carry in self.carries]))
            diverged[(diverged < 0) & ~last] = self.start + self.schedule.steps
        variables = {}
        for i, (probe, due) in enumerate(zip(population.probes, self.schedule.per_probe, strict=True)):
            attrs = {k: dict(v) for k, v in probe.attrs}
            for name, values in self.values[i].items():
                reshaped = values.reshape(*shape, *values.shape[1:])
                variables[name] = Record(due + self.start, reshaped, self.dims[i][name], attrs.get(name, {}))
        attrs = {
            "block": self.block,
            "compile_seconds": round(self.compile_seconds, 3),
            "run_seconds": round(self.run_seconds, 3),
        }
        return Run(state, Records(variables, diverged, population.dims, population.coords, attrs))
