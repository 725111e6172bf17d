"""Probes in a training loop that is not ours: plain JAX, Equinox, Flax, or any other.

`run` drives a process and shows probes its transitions. Here the loop is the user's, so the transition is put together
from what a loop has at hand, a loss function, parameters and a batch, and the same probes give the same numbers.
"""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from separatrix._core.probe import Info, Probe, Transition
from separatrix._core.process import AbstractProcess
from separatrix._core.program import all_finite, probe_key
from separatrix._core.records import Record, Records, axis_names
from separatrix._core.stream import FullBatch
from separatrix.training.supervised import Batch

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["ObservedModel", "ObservedState", "Observer", "observe"]


class ObservedState(NamedTuple):
    """What probes see of a loop's state.

    Attributes:
        params: the parameters.
        opt_state: state of the optimiser, or None.
    """

    params: PyTree
    opt_state: PyTree = None


class ObservedModel(eqx.Module):
    """Stands for the process that a loop does not have, with the fields and methods that probes use.

    Attributes:
        objective: `(params, batch) -> ` the mean loss, or the loss of each example.
        model_outputs: `(params, inputs) -> outputs` of a batch, or None.
        example_loss: `(outputs, targets) -> losses`, or None.
        held_out: a `Batch` for probes to evaluate on, or None.
        stream: its field `data` has all training examples.
        rest: what the parameters hold besides floating-point arrays.
    """

    objective: Callable[[PyTree, Any], Array]
    model_outputs: Callable[[PyTree, PyTree], PyTree] | None = None
    example_loss: Callable[[PyTree, PyTree], Array] | None = None
    held_out: Any = None
    stream: FullBatch | None = None
    rest: PyTree = None

    def loss(self, outputs: PyTree, targets: PyTree) -> Float[Array, " batch"]:
        """Return the loss of each example."""
        if self.example_loss is None:
            raise ValueError("this probe compares outputs with targets; give `observe` an `example_loss` function.")
        return self.example_loss(outputs, targets)

    def model_at(self, state: Any) -> PyTree:
        """Return the parameters as the loop has them."""
        return eqx.combine(state.params, self.rest)

    def outputs(self, state: Any, inputs: PyTree, key: Key[Array, ""] | None = None) -> PyTree:
        """Return the outputs on a batch of inputs."""
        return self.forward(self.model_at(state), inputs, key)

    def forward(self, model: PyTree, inputs: PyTree, key: Key[Array, ""] | None = None) -> PyTree:
        """Return the outputs of a model with the loop's kind of parameters."""
        del key
        if self.model_outputs is None:
            raise ValueError("this probe looks at the model's outputs; give `observe` an `outputs` function.")
        return self.model_outputs(model, inputs)

    def value_and_gradient(
        self, state: Any, x: Any, key: Key[Array, ""] | None = None
    ) -> tuple[Float[Array, ""], PyTree]:
        """Return the mean loss on a batch and its gradient with respect to the floating-point parameters."""
        del key
        mean = lambda params: jnp.mean(self.objective(eqx.combine(params, self.rest), x))  # noqa: E731
        return jax.value_and_grad(mean)(state.params)


class Observer:
    """Measures along a loop, and keeps what it measured; made by `observe`.

    Attributes:
        probes: what is measured.
    """

    def __init__(
        self,
        model: Any,
        probes: Sequence[Probe],
        *,
        key: Key[Array, ""],
        steps: int | None,
        compiled: bool,
        arm: str,
        seed: int,
    ):
        self.probes = tuple(probes)
        self._model, self._key, self._arm, self._seed = model, key, arm, seed
        self._due = [_cadence(probe, steps) for probe in self.probes]
        self._measure = eqx.filter_jit(_measure) if compiled else _measure
        self._rows: dict[str, dict[int, np.ndarray]] = {}
        self._labels: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {}
        self._before: PyTree = None
        self._last: int | None = None
        self._owners: dict[str, int] = {}
        self._dropped: dict[int, str] = {}
        self._diverged_at = -1

    def __call__(
        self,
        step: int,
        params: PyTree,
        batch: Any = None,
        *,
        opt_state: PyTree = None,
        info: Info | None = None,
        before: PyTree = None,
    ) -> dict[str, float]:
        """Show the observer where the training is; call it after each update.

        Args:
            step: number of completed updates; it must grow. 0 shows the initial parameters.
            params: the parameters after the update (or the whole state, if `observe` was given a process).
            batch: batch of the update. A pair becomes a `Batch`, which still unpacks as a pair.
            opt_state: state of the optimiser, for probes that read it.
            info: other arrays of the update, for `info_probe`.
            before: parameters before the update. By default those of the last call; at the first call, and where the
                loop has donated them since, they are NaN, and so is what compares with them.

        Returns:
            The scalars measured now, by name; empty when no probe was due.

        Raises:
            ValueError: if `step` does not grow, or the call is being traced (use `measure` inside `jax.jit`).
        """
        step = _checked_step(step, self._last, (params, batch, opt_state, info))
        after, x = self._state(params, opt_state), _as_batch(batch)
        earlier = self._before if before is None else self._state(before, None)
        due = [i for i, is_due in enumerate(self._due) if is_due(step) and i not in self._dropped]
        latest: dict[str, float] = {}
        if due:
            seen = _earlier(earlier, after)
            for i in due:
                values = self._try(i, step, seen, x, dict(info or {}), after)
                for name, value in values.items():
                    self._keep(i, name, step, np.asarray(value))
                    if np.ndim(value) == 0:
                        latest[name] = float(value)
            if self._diverged_at < 0 and not bool(all_finite(after)):
                self._diverged_at = step
        self._before, self._last = after, step
        return latest

    def measure(
        self,
        step: ArrayLike,
        params: PyTree,
        batch: Any = None,
        *,
        opt_state: PyTree = None,
        info: Info | None = None,
        before: PyTree = None,
    ) -> dict[str, Array]:
        """Measure everything, whatever is due, and keep nothing: a pure function, for use inside `jax.jit` and `scan`.

        Args:
            step: number of completed updates; may be traced.
            params: the parameters after the update.
            batch: batch of the update.
            opt_state: state of the optimiser.
            info: other arrays of the update.
            before: parameters before the update; NaN by default.

        Returns:
            What each probe returns, by variable name; `record` keeps it.
        """
        after = self._state(params, opt_state)
        seen = _earlier(None if before is None else self._state(before, None), after)
        step, x = jnp.asarray(step, jnp.int32), _as_batch(batch)
        values: dict[str, Array] = {}
        for probe in self.probes:
            values |= _measure(probe, self._model, step, seen, x, dict(info or {}), after, self._key)
        return values

    def record(self, steps: ArrayLike, values: dict[str, Array]) -> None:
        """Keep what `measure` returned inside a compiled function.

        Args:
            steps: one step, or a vector of steps if the values are stacked along their leading axis, as by `scan`.
            values: arrays by variable name; those of probes that are not due at a step are left out.

        Raises:
            ValueError: if a variable is not known to belong to a probe, because no shape of it was seen.
        """
        steps = np.asarray(steps)
        for name, value in values.items():
            stacked = np.asarray(value) if steps.ndim else np.asarray(value)[None]
            for step, row in zip(np.atleast_1d(steps), stacked, strict=True):
                owner = self._owner(name)
                if self._due[owner](int(step)):
                    self._keep(owner, name, int(step), row)
        self._last = max(int(steps.max()), self._last or 0)

    def dataset(self) -> "xr.Dataset":
        """Return everything measured so far.

        Returns:
            Dataset with dimensions `(arm, seed, step, ...)`, units and long names from the probes, NaN where a variable
            was not measured at a step, and `diverged_at`, the first measured step with a number that is not finite.
        """
        variables = {}
        for name, rows in self._rows.items():
            dims, attrs = self._labels[name]
            ordered = sorted(rows)
            stacked = np.stack([rows[step] for step in ordered])[None]
            variables[name] = Record(np.array(ordered, np.int64), stacked, dims, attrs)
        attrs = {"dropped_probes": "; ".join(self._dropped.values())} if self._dropped else {}
        records = Records(variables, np.array([self._diverged_at]), ("seed",), {}, attrs)
        return records.to_dataset(seeds=[self._seed]).expand_dims(arm=[self._arm])

    def _state(self, params: PyTree, opt_state: PyTree) -> Any:
        state = params if isinstance(self._model, AbstractProcess) else ObservedState(params, opt_state)
        return jax.tree.map(_as_array, state)  # a copy of the containers, which some frameworks edit in place

    def _try(self, i: int, step: int, before: Any, x: Any, info: Info, after: Any) -> dict[str, Array]:
        """Measure; a probe that has worked before and fails now is dropped, so that the training goes on."""
        probe = self.probes[i]
        try:
            values = self._measure(probe, self._model, jnp.int32(step), before, x, info, after, self._key)
            for name, value in values.items():
                shapes = {row.shape for row in self._rows.get(name, {}).values()}
                if shapes - {np.shape(value)}:
                    raise ValueError(f"{name!r} went from shape {shapes.pop()} to {np.shape(value)}.")
            return values
        except Exception as error:
            if i not in self._owners.values():
                raise
            self._dropped[i] = f"{probe.name} at step {step}: {type(error).__name__}: {error}"
            warnings.warn(f"probe {self._dropped[i]}; it is not measured from here on.", RuntimeWarning, stacklevel=3)
            return {}

    def _owner(self, name: str) -> int:
        if name in self._owners:
            return self._owners[name]
        named = [i for i, p in enumerate(self.probes) if name in dict(p.attrs) or name in dict(p.dims)]
        if len(named) == 1:
            return named[0]
        if len(self.probes) == 1:
            return 0
        raise ValueError(f"no probe names {name!r} in its `attrs` or `dims`, so its labels are unknown.")

    def _keep(self, i: int, name: str, step: int, value: np.ndarray) -> None:
        if self._owners.setdefault(name, i) != i:
            raise ValueError(f"two probes record {name!r}; give one of them another name.")
        if name not in self._labels:
            attrs = {k: dict(v) for k, v in self.probes[i].attrs}.get(name, {})
            self._labels[name] = (axis_names(self.probes[i], name, value.ndim), attrs)
        self._rows.setdefault(name, {})[step] = value


def observe(
    loss: Callable[[PyTree, Any], Array] | AbstractProcess,
    probes: Sequence[Probe],
    *,
    outputs: Callable[[PyTree, PyTree], PyTree] | None = None,
    example_loss: Callable[[PyTree, PyTree], Array] | None = None,
    held_out: Any = None,
    data: Any = None,
    steps: int | None = None,
    key: Key[Array, ""] | None = None,
    compiled: bool = True,
    arm: str = "observed",
    seed: int = 0,
) -> Observer:
    """Observe a training loop of your own.

    Args:
        loss: `(params, batch) -> ` the mean loss, or the loss of each example; for whatever parameters and batches the
            loop has. Or a process such as `Supervised` whose `step` the loop calls: then show the observer its states.
        probes: what to measure, and how often. A probe is due when its `every` divides the step, 0 included.
        outputs: `(params, inputs) -> outputs` of a batch, for probes that look at predictions.
        example_loss: `(outputs, targets) -> losses`, one for each example, for probes that evaluate it elsewhere.
        held_out: a pair of inputs and targets, for probes that evaluate on other data.
        data: a pair, or a batch of another kind, for probes that look at all training examples; the batch shown by
            default.
        steps: length of the loop; needed by a cadence that is a function, such as `log_spaced()`.
        key: drives the probes' own noise; fixed by default. With the key of a `run` the numbers are the same.
        compiled: compile each probe, once for each shape; switch it off for a loss that cannot be traced.
        arm: name of this training in the data set.
        seed: its seed there.

    Returns:
        An observer: call it as `observer(step, params, batch)` after each update, then `observer.dataset()`. A probe
        that fails when it is first due raises; one that fails later is dropped with a warning, the loop goes on.

    Raises:
        ValueError: if something is no probe, two probes have one name, or a cadence needs `steps`.

    Examples:
        >>> from separatrix.training import sharpness_probe
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2) / 2
        >>> w, batch = jnp.ones(2), jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> observer = observe(loss, [sharpness_probe(every=5)])
        >>> for step in range(1, 11):
        ...     w = w - 0.1 * jax.grad(loss)(w, batch)
        ...     latest = observer(step, w, batch)
        >>> ds = observer.dataset()
        >>> ds["sharpness"].squeeze().values.round(3).tolist(), ds["step"].values.tolist()
        ([2.0, 2.0], [5, 10])
    """
    for probe in probes:
        if not isinstance(probe, Probe):
            raise ValueError(f"`probes` must hold probes, such as `sharpness_probe()`; got {probe!r}.")
    names = [probe.name for probe in probes]
    if len(set(names)) < len(names):
        raise ValueError(f"probes must have distinct names, since their random keys come from them; got {names}.")
    if isinstance(loss, AbstractProcess):
        model = loss
    else:
        stream = None if data is None else FullBatch(_as_batch(data))
        model = ObservedModel(loss, outputs, example_loss, _as_batch(held_out), stream)
    key = jr.key(0) if key is None else key
    return Observer(model, probes, key=key, steps=steps, compiled=compiled, arm=arm, seed=seed)


def _measure(probe, model: Any, step, before, x, info, after, key) -> dict[str, Array]:
    if isinstance(model, ObservedModel):  # probes are shown trained arrays alone, as a process shows them
        params, rest = eqx.partition(after.params, eqx.is_inexact_array)
        model = dataclasses.replace(model, rest=rest, stream=model.stream or FullBatch(x))
        after = after._replace(params=params)
        before = before._replace(params=eqx.filter(before.params, eqx.is_inexact_array))
    seen = Transition(model, step, before, x, info, after)
    try:
        return probe.fn(seen, probe_key(key, probe, step))
    except AttributeError as error:
        if error.name in ("inputs", "targets"):
            raise ValueError(
                f"probe {probe.name!r} needs batches of inputs and targets, a pair; got {type(x).__name__}."
            ) from error
        raise


def _cadence(probe: Probe, steps: int | None) -> Callable[[int], bool]:
    every = probe.every
    if isinstance(every, int):
        return lambda step: step % every == 0
    if steps is None:
        raise ValueError(f"the cadence of probe {probe.name!r} depends on the length of the loop; pass `steps`.")
    due = frozenset(int(s) for s in every(steps))
    return lambda step: step in due


def _checked_step(step: Any, last: int | None, arrays: PyTree) -> int:
    traced = [leaf for leaf in jax.tree.leaves((step, arrays)) if isinstance(leaf, Tracer)]
    if traced:
        raise ValueError(
            "the observer was called inside a compiled function; call `observer.measure` there, return its values and "
            "give them to `observer.record` outside."
        )
    if last is not None and step <= last:
        raise ValueError(f"`step` counts completed updates and must grow; got {step} after {last}.")
    if step < 0:
        raise ValueError(f"`step` must not be negative; got {step}.")
    return int(step)


def _as_array(leaf: Any) -> Any:
    return jnp.asarray(leaf) if isinstance(leaf, float | np.ndarray | np.generic) else leaf


def _as_batch(batch: Any) -> Any:
    batch = jax.tree.map(_as_array, batch)
    is_pair = type(batch) in (tuple, list) and len(batch) == 2
    return Batch(*batch) if is_pair else batch


def _earlier(before: Any, after: Any) -> Any:
    """The state before, or one of NaN where it is unknown or its buffers are gone."""
    if before is not None and jax.tree.structure(before) == jax.tree.structure(after):
        gone = any(isinstance(leaf, jax.Array) and leaf.is_deleted() for leaf in jax.tree.leaves(before))
        if not gone:
            return before
    return jax.tree.map(lambda a: jnp.full_like(a, jnp.nan) if eqx.is_inexact_array(a) else a, after)
