"""Training on a sequence of tasks as a process: a classification loss, and terms that remember.

`objective = share x loss(new batch) + sum of penalties`; a term brings a penalty, a memory of fixed shape, a share of
the new loss, and may change the gradient. Each method is an intervention that adds one term, so methods compose:
`chain(experience_replay(...), ewc(...))(process)`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, ArrayLike, Float, Int, Key, PyTree

from separatrix._core.intervention import Intervention
from separatrix._core.keys import named_key
from separatrix._core.process import AbstractProcess
from separatrix.models.trained_arrays import put_back, trained_arrays, vmapped

__all__ = [
    "AbstractTerm",
    "ContinualState",
    "Learner",
    "Stored",
    "bare",
    "finetune",
    "tune",
    "with_current_task",
    "with_own_task",
    "with_term",
]


class Stored(NamedTuple):
    """Examples as memories keep them.

    Attributes:
        inputs: examples on the first axis.
        targets: their targets.
        task: the task that each comes from.
        outputs: what the model gave when it was stored, or None.
    """

    inputs: PyTree
    targets: PyTree
    task: Int[Array, " examples"]
    outputs: PyTree = None


class ContinualState(NamedTuple):
    """State of `Learner`.

    Attributes:
        params: the model with everything but its floating-point arrays taken out.
        opt_state: state of the optimiser; it is carried over from task to task.
        task: the task of the last update.
        memories: one for each term.
    """

    params: PyTree
    opt_state: PyTree
    task: Int[Array, ""]
    memories: tuple[PyTree, ...]


class AbstractTerm(eqx.Module):
    """One term of a continual objective. All methods are pure; a term overrides those that it needs.

    `learner` is the process, `x` the batch of the stream (`inputs`, `targets`, `task`, `ends`).
    """

    def init(self, learner: "Learner", params: PyTree, key: Key[Array, ""]) -> PyTree:
        """Return the memory before the first update; its shapes must never change."""
        del learner, params, key

    def share(self, memory: PyTree, x: Any) -> ArrayLike:
        """Return the factor of the new batch's loss."""
        del memory, x
        return 1.0

    def penalty(
        self, learner: "Learner", memory: PyTree, params: PyTree, x: Any, outputs: PyTree, key: Key[Array, ""]
    ) -> ArrayLike:
        """Return what is added to the objective; `outputs` are the model's on the new batch."""
        del learner, memory, params, x, outputs, key
        return 0.0

    def transform(
        self, learner: "Learner", memory: PyTree, gradient: PyTree, params: PyTree, x: Any, key: Key[Array, ""]
    ) -> PyTree:
        """Return the gradient that the optimiser is given."""
        del learner, memory, params, x, key
        return gradient

    def observe(
        self,
        learner: "Learner",
        memory: PyTree,
        before: PyTree,
        after: PyTree,
        gradient: PyTree,
        x: Any,
        outputs: PyTree,
        key: Key[Array, ""],
    ) -> PyTree:
        """Return the memory after an update; `gradient` is that of the objective at `before`, not transformed."""
        del learner, before, after, gradient, x, outputs, key
        return memory

    def consolidate(self, learner: "Learner", memory: PyTree, params: PyTree, x: Any, key: Key[Array, ""]) -> PyTree:
        """Return the memory at the end of a block."""
        del learner, params, x, key
        return memory


def bare(inputs: PyTree, own: Int[Array, " batch"], current: Int[Array, ""]) -> PyTree:
    """Show the model the inputs alone: class- and domain-incremental learning."""
    del own, current
    return inputs


def with_own_task(inputs: PyTree, own: Int[Array, " batch"], current: Int[Array, ""]) -> PyTree:
    """Show the model each input with the task that it comes from: task-incremental learning."""
    del current
    return inputs, own


def with_current_task(inputs: PyTree, own: Int[Array, " batch"], current: Int[Array, ""]) -> PyTree:
    """Show the model each input with the task that is being learnt: an expanding head."""
    return inputs, jnp.broadcast_to(current, own.shape)


class Learner(AbstractProcess):
    """Gradient training on a stream of tasks, with terms that remember what was learnt.

    It has the fields and methods of `training.Supervised`, so probes for that one work here. With no term and the same
    stream it takes the same steps.

    Attributes:
        model: `key -> model`, any pytree; its floating-point arrays are trained.
        loss: `(outputs, targets) -> losses`, one for each example; the mean is minimised.
        optimiser: any optax transform.
        stream: yields batches with `inputs`, `targets`, `task` and `ends`, such as `data.TaskStream`.
        terms: what remembers.
        held_out: a batch for probes of `training` to evaluate on, or None.
        forward: `(model, inputs, key) -> outputs` on a batch; `key` is None when evaluating.
        present: `(inputs, own_task, current_task) -> inputs`, what the model is shown of the task's identity: `bare`,
            `with_own_task` or `with_current_task`.

    Examples:
        >>> from separatrix import info_probe, run
        >>> from separatrix.data import TaskStream, gaussian_tasks
        >>> from separatrix.models import MLP
        >>> process = Learner(
        ...     model=lambda key: MLP(key, (2, 16, 2)),
        ...     loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        ...     optimiser=optax.sgd(0.1),
        ...     stream=TaskStream(gaussian_tasks(jr.key(0), 2), steps=50, batch_size=16),
        ... )
        >>> state, records = run(process, jr.key(1), 100, probes=[info_probe("loss", every=50)])
        >>> records["loss"].shape, int(state.task)
        ((2,), 1)
    """

    model: Callable[[Key[Array, ""]], PyTree]
    loss: Callable[[PyTree, PyTree], Float[Array, " batch"]]
    optimiser: optax.GradientTransformation
    stream: Any
    terms: tuple[AbstractTerm, ...] = ()
    held_out: Any = None
    forward: Callable[[PyTree, PyTree, Key[Array, ""] | None], PyTree] = vmapped
    present: Callable[[PyTree, Int[Array, " batch"], Int[Array, ""]], PyTree] = bare

    def init(self, key):
        """Initialise the model (as `training.Supervised` does), the optimiser and the memories."""
        params = trained_arrays(self.model(key))
        memories = tuple(term.init(self, params, named_key(key, f"term {i}")) for i, term in enumerate(self.terms))
        return ContinualState(params, self.optimiser.init(params), jnp.zeros((), jnp.int32), memories)

    def step(self, state, x, key):
        """Take one optimiser step; consolidate where a block ends. `info` has the losses before the step."""
        if not (hasattr(x, "task") and hasattr(x, "ends")):
            raise ValueError("the stream must yield batches with `task` and `ends`, such as `data.TaskStream`.")
        (value, (outputs, new, held)), gradient = self._differentiate(state, x, key)
        direction = gradient
        for i, (term, memory) in enumerate(zip(self.terms, state.memories, strict=True)):
            direction = term.transform(self, memory, direction, state.params, x, named_key(key, f"transform {i}"))
        updates, opt_state = self.optimiser.update(direction, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        seen = tuple(
            term.observe(self, memory, state.params, params, gradient, x, outputs, named_key(key, f"observe {i}"))
            for i, (term, memory) in enumerate(zip(self.terms, state.memories, strict=True))
        )
        # where every member of a population is at the same step the predicate is one for all, and stays a branch
        memories = jax.lax.cond(x.ends, lambda m: self.consolidated(m, params, x, key), lambda m: m, seen)
        after = ContinualState(params, opt_state, jnp.asarray(x.task, jnp.int32), memories)
        return after, {"loss": value, "new_loss": new, "penalty": held}

    def consolidated(self, memories: tuple[PyTree, ...], params: PyTree, x: Any, key: Key[Array, ""]) -> tuple:
        """Return the memories as a block that ends with the batch `x` leaves them."""
        pairs = enumerate(zip(self.terms, memories, strict=True))
        return tuple(
            term.consolidate(self, memory, params, x, named_key(key, f"consolidate {i}")) for i, (term, memory) in pairs
        )

    def _share(self, memories, x):
        share = 1.0  # Python numbers take the dtype of what they meet
        for term, memory in zip(self.terms, memories, strict=True):
            share = share * term.share(memory, x)
        return share

    def new_loss(self, params: PyTree, x: Any, key: Key[Array, ""] | None = None):
        """Return the mean loss on the new batch, and the model's outputs."""
        own = jnp.broadcast_to(jnp.asarray(x.task, jnp.int32), (len(jax.tree.leaves(x.inputs)[0]),))
        outputs = self.apply(params, x.inputs, own, x.task, key)
        return jnp.mean(self.loss(outputs, x.targets)), outputs

    def plasticity(self, state: ContinualState, params: PyTree, x: Any, key: Key[Array, ""] | None = None):
        """Return the part of the objective that the new batch brings, its share included."""
        return self._share(state.memories, x) * self.new_loss(params, x, key)[0]

    def stability(self, state: ContinualState, params: PyTree, x: Any, key: Key[Array, ""]):
        """Return the part of the objective that the terms bring."""
        return self._penalties(state.memories, params, x, self.new_loss(params, x)[1], key)

    def _penalties(self, memories, params, x, outputs, key):
        total = 0.0
        for i, (term, memory) in enumerate(zip(self.terms, memories, strict=True)):
            total = total + term.penalty(self, memory, params, x, outputs, named_key(key, f"penalty {i}"))
        return total

    def _differentiate(self, state, x, key):
        def objective(params):
            new, outputs = self.new_loss(params, x, named_key(key, "forward"))
            held = jnp.asarray(self._penalties(state.memories, params, x, outputs, key), new.dtype)
            return self._share(state.memories, x) * new + held, (outputs, new, held)

        return jax.value_and_grad(objective, has_aux=True)(state.params)

    def value_and_gradient(self, state: ContinualState, x: Any, key: Key[Array, ""] | None = None):
        """Return the objective on a batch and its gradient, structured like `state.params`."""
        (value, _), gradient = self._differentiate(state, x, jr.key(0) if key is None else key)
        return value, gradient

    def model_at(self, state: Any) -> PyTree:
        """Return the model with the parameters of `state` put back."""
        return put_back(self.model, state.params)

    def apply(
        self,
        params: PyTree,
        inputs: PyTree,
        own: Int[Array, " batch"],
        current: Int[Array, ""],
        key: Key[Array, ""] | None = None,
    ) -> PyTree:
        """Return the model's outputs on a batch.

        Args:
            params: structured like `state.params`.
            inputs: examples on the first axis.
            own: the task that each comes from.
            current: the task that is being learnt.
            key: for dropout and the like; evaluation mode when None.

        Returns:
            What `forward` returns.
        """
        model = put_back(self.model, params)
        return self.forward(model, self.present(inputs, own, current), key)

    def outputs(
        self,
        state: ContinualState,
        inputs: PyTree,
        key: Key[Array, ""] | None = None,
        own: Int[Array, " batch"] | None = None,
    ) -> PyTree:
        """Return the model's outputs on a batch; examples belong to the current task unless `own` says otherwise."""
        if own is None:
            own = jnp.broadcast_to(state.task, (len(jax.tree.leaves(inputs)[0]),))
        return self.apply(state.params, inputs, own, state.task, key)


def as_learner(process: Any) -> Learner:
    """Return the process as a `Learner`; its fields are taken over if it is a `training.Supervised` or alike.

    Args:
        process: any process with the fields `model`, `loss`, `optimiser` and `stream`.

    Returns:
        A learner without terms, or the learner that it was.

    Raises:
        ValueError: if it has not these fields.
    """
    if isinstance(process, Learner):
        return process
    names = ("model", "loss", "optimiser", "stream")
    missing = [name for name in names if not hasattr(process, name)]
    if missing or not isinstance(process, AbstractProcess) or not hasattr(process, "model_at"):
        raise ValueError(
            f"a continual method changes a process with the fields {', '.join(names)}, such as `training.Supervised`, "
            f"before it is wrapped; {type(process).__name__} is none."
        )
    optional = {name: getattr(process, name) for name in ("held_out", "forward", "present") if hasattr(process, name)}
    return Learner(*(getattr(process, name) for name in names), **optional)


def with_term(term: AbstractTerm) -> Intervention:
    """Add a term to the objective.

    Args:
        term: what is added; yours or one of this package's.

    Returns:
        An intervention on `Learner`, `training.Supervised` or any process with their fields.
    """

    def apply(process: AbstractProcess) -> Learner:
        learner = as_learner(process)
        return dataclasses.replace(learner, terms=(*learner.terms, term))

    return apply


def finetune() -> Intervention:
    """Train on the new batch alone: the lower baseline.

    Returns:
        An intervention that makes a `Learner` without adding a term.
    """
    return as_learner


def tune(process: Any, values: dict[str, Array]) -> Learner:
    """Set hyper-parameters of the terms by name: the `vary` of a grid over them.

    Args:
        process: a learner.
        values: new values by field name; each must be a field of exactly one term.

    Returns:
        The changed copy.

    Raises:
        ValueError: if no term, or more than one, has such a field.

    Examples:
        `run(learner, keys, steps, over={"strength": [0.0, 30.0, 300.0]}, vary=tune)` trains every strength in one
        compiled program.
    """
    terms = list(process.terms)
    for name, value in values.items():
        holders = [i for i, term in enumerate(terms) if name in {f.name for f in dataclasses.fields(term)}]
        if len(holders) != 1:
            raise ValueError(f"{name!r} must be a field of exactly one term; {len(holders)} of {len(terms)} have it.")
        terms[holders[0]] = dataclasses.replace(terms[holders[0]], **{name: value})
    return dataclasses.replace(process, terms=tuple(terms))
