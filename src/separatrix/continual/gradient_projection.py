"""Gradients that do not raise the loss of old tasks: GEM and A-GEM."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, ArrayLike, Bool, Float, PyTree

from separatrix._core.intervention import Intervention
from separatrix._core.keys import named_key
from separatrix.continual.buffers import Balanced, Reservoir, Ring, draw
from separatrix.continual.learner import AbstractTerm, Learner, Stored, with_term
from separatrix.continual.replay import Replay, _one_example, _weighted_mean, task_examples

__all__ = ["AverageProjection", "Projection", "TaskMemory", "agem", "gem", "project_off", "project_onto_halfspaces"]

SWEEPS = 2_000


def project_onto_halfspaces(
    gradient: Float[Array, " dim"],
    others: Float[Array, "tasks dim"],
    active: Bool[Array, " tasks"] | None = None,
    *,
    margin: ArrayLike = 0.5,
    ridge: float = 1e-3,
    tolerance: float = 1e-7,
) -> Float[Array, " dim"]:
    """Move a gradient until it no longer opposes those of old tasks (GEM).

    If some `<g_t, g>` is negative, the dual quadratic programme `min 1/2 v'(GG' + ridge I)v + (G g)'v` over
    `v >= margin` gives `g + G'v`; otherwise the gradient is returned as it is. Without ridge and margin the result is
    the point nearest to `g` with `<g_t, result> >= 0` for each t.

    The problem has as many unknowns as there are tasks and is solved by coordinate descent, each step of which is
    exact, until no multiplier moves by more than `tolerance` of the largest.

    Args:
        gradient: g.
        others: rows g_t.
        active: which rows count; all by default.
        margin: the authors' memory strength, at least 0.
        ridge: added to the diagonal, as the authors do; 0 for the exact projection.
        tolerance: of the multipliers, relative.

    Returns:
        The gradient to follow.

    Examples:
        >>> project_onto_halfspaces(jnp.array([1.0, -1.0]), jnp.array([[0.0, 1.0]]), margin=0.0, ridge=0.0).tolist()
        [1.0, 0.0]

    References:
        Lopez-Paz, Ranzato (2017), NeurIPS, arXiv:1706.08840.
    """
    active = jnp.ones(len(others), bool) if active is None else active
    rows = jnp.where(active[:, None], others, 0.0)
    linear = rows @ gradient
    scale = jnp.maximum(jnp.max(jnp.sum(rows**2, axis=1)), jnp.finfo(gradient.dtype).tiny)
    matrix = rows @ rows.T + ridge * jnp.eye(len(rows), dtype=gradient.dtype)
    diagonal = jnp.where(active & (jnp.diag(matrix) > 1e-12 * scale), jnp.diag(matrix), jnp.inf)
    floor = jnp.where(active, jnp.asarray(margin, gradient.dtype), 0.0)
    conflict = jnp.any(active & (linear < 0))

    def coordinate(i, v):
        return v.at[i].set(jnp.maximum(floor[i], v[i] - (matrix[i] @ v + linear[i]) / diagonal[i]))

    def sweep(carry):
        v, _, count = carry
        new = jax.lax.fori_loop(0, len(rows), coordinate, v)
        return new, jnp.max(jnp.abs(new - v)), count + 1

    def unfinished(carry):
        v, moved, count = carry
        return conflict & (moved > tolerance * jnp.maximum(jnp.max(v), 1e-30)) & (count < SWEEPS)

    start = (floor, jnp.asarray(jnp.inf, gradient.dtype), jnp.int32(0))
    multipliers, _, _ = jax.lax.while_loop(unfinished, sweep, start)
    return jnp.where(conflict, gradient + multipliers @ rows, gradient)


def project_off(gradient: PyTree, reference: PyTree) -> PyTree:
    """Take the part out of a gradient that opposes a reference (A-GEM): exact projection onto one half-space.

    Args:
        gradient: a pytree of arrays.
        reference: structured like it.

    Returns:
        The gradient, orthogonal to the reference where their product was negative.

    Examples:
        >>> project_off(jnp.array([1.0, -2.0]), jnp.array([0.0, 1.0])).tolist()
        [1.0, 0.0]

    References:
        Chaudhry, Ranzato, Rohrbach, Elhoseiny (2019), ICLR, arXiv:1812.00420.
    """
    dot = lambda a, b: sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))  # noqa: E731
    along, size = dot(gradient, reference), dot(reference, reference)
    factor = jnp.where((along < 0) & (size > 0), along / jnp.where(size > 0, size, 1.0), 0.0)
    return jax.tree.map(lambda g, r: g - factor * r, gradient, reference)


class TaskMemory(NamedTuple):
    """Memory of `Projection`.

    Attributes:
        items: stored examples, tasks on the first axis, examples on the second.
        weight: 1 for an example, 0 for an empty place; shape `(tasks, examples)`.
    """

    items: Stored
    weight: Float[Array, "tasks examples"]


class Projection(AbstractTerm):
    """GEM: gradients of every past task on its own memory, and a quadratic programme; see `gem`.

    Attributes:
        num_tasks: how many tasks will ever come.
        per_task: examples stored for each.
        margin: the authors' memory strength, traced.
        ridge: added to the diagonal of the programme.
    """

    num_tasks: int = eqx.field(static=True)
    per_task: int = eqx.field(static=True)
    margin: ArrayLike = 0.5
    ridge: float = eqx.field(static=True, default=1e-3)

    def init(self, learner, params, key):
        """Return an empty memory; refuse a stream of more tasks than it has room for."""
        del key
        coming = getattr(getattr(learner.stream, "tasks", None), "num_tasks", 0)
        if coming > self.num_tasks:
            raise ValueError(
                f"`num_tasks` of `gem` must be at least {coming}, the stream's tasks; got {self.num_tasks}."
            )
        shape = lambda a: jnp.zeros((self.num_tasks, self.per_task, *a.shape[1:]), a.dtype)  # noqa: E731
        items = jax.tree.map(shape, _one_example(learner, params, outputs=False))
        return TaskMemory(items, jnp.zeros((self.num_tasks, self.per_task)))

    def task_gradients(self, learner: Learner, memory: TaskMemory, params, x, key):
        """Return one flat gradient for each task, zero where nothing is stored."""

        def gradient(items, weight):
            def loss(p):
                given = learner.apply(p, items.inputs, items.task, x.task, named_key(key, "forward"))
                return _weighted_mean(learner.loss(given, items.targets), weight)

            return ravel_pytree(jax.grad(loss)(params))[0]

        return jax.vmap(gradient)(memory.items, memory.weight)

    def transform(self, learner, memory, gradient, params, x, key):
        """Project the gradient with respect to all past tasks."""
        flat, unravel = ravel_pytree(gradient)
        past = jnp.any(memory.weight > 0, axis=1) & (jnp.arange(self.num_tasks) != x.task)
        others = self.task_gradients(learner, memory, params, x, key)
        return unravel(project_onto_halfspaces(flat, others, past, margin=self.margin, ridge=self.ridge))

    def consolidate(self, learner, memory, params, x, key):
        """Store random examples of the finished task."""
        del params
        stored, weight = task_examples(learner, x)
        count = min(self.per_task, len(weight))
        _, rows = jax.lax.top_k(jnp.where(weight > 0, jr.uniform(key, weight.shape), -1.0), count)
        write = lambda old, new: old.at[x.task, :count].set(new[rows].astype(old.dtype))  # noqa: E731
        return TaskMemory(jax.tree.map(write, memory.items, stored), write(memory.weight, weight))


def gem(num_tasks: int, per_task: int, margin: ArrayLike = 0.5, ridge: float = 1e-3) -> Intervention:
    """Gradient episodic memory: follow the gradient nearest to the new one that opposes no past task's.

    Each past task's gradient is that on its whole memory, random examples stored when the task ended. The projected
    gradient is what the optimiser is given.

    Args:
        num_tasks: how many tasks will ever come.
        per_task: examples stored for each.
        margin: the authors' memory strength gamma, traced.
        ridge: added to the diagonal of the quadratic programme.

    Returns:
        An intervention.

    Raises:
        ValueError: if a size is not positive; when run, if the stream has more tasks.

    References:
        Lopez-Paz, Ranzato (2017), NeurIPS, arXiv:1706.08840.
    """
    if num_tasks < 1 or per_task < 1:
        raise ValueError(f"`num_tasks` and `per_task` must be at least 1; got {num_tasks} and {per_task}.")
    return with_term(Projection(num_tasks, per_task, margin, ridge))


class AverageProjection(AbstractTerm):
    """A-GEM: one reference gradient on a batch from the memory; see `agem`.

    Attributes:
        buffer: the memory.
        batch_size: examples of the reference; as many as are new when None.
    """

    buffer: Reservoir | Ring | Balanced
    batch_size: int | None = eqx.field(static=True, default=None)

    def _memory(self) -> Replay:
        return Replay(self.buffer)

    def init(self, learner, params, key):
        """Return an empty buffer."""
        return self._memory().init(learner, params, key)

    def transform(self, learner, memory, gradient, params, x, key):
        """Take out what opposes the reference."""
        count = len(jax.tree.leaves(x.inputs)[0]) if self.batch_size is None else self.batch_size
        old, weight = draw(memory, count, named_key(key, "draw"))

        def loss(p):
            given = learner.apply(p, old.inputs, old.task, x.task, named_key(key, "forward"))
            return _weighted_mean(learner.loss(given, old.targets), weight)

        return project_off(gradient, jax.grad(loss)(params))

    def observe(self, learner, memory, before, after, gradient, x, outputs, key):
        """Offer the new batch to the buffer."""
        return self._memory().observe(learner, memory, before, after, gradient, x, outputs, key)

    def consolidate(self, learner, memory, params, x, key):
        """Offer the finished task's examples to the buffer."""
        return self._memory().consolidate(learner, memory, params, x, key)


def agem(buffer: Reservoir | Ring | Balanced, batch_size: int | None = None) -> Intervention:
    """Averaged GEM: take out of the gradient what raises the loss on a random batch from the memory.

    With a buffer that is filled while training, the current task's own examples are among the old ones.

    Args:
        buffer: where old examples are kept; the authors' is `Balanced`.
        batch_size: examples of the reference; as many as are new by default.

    Returns:
        An intervention.

    References:
        Chaudhry, Ranzato, Rohrbach, Elhoseiny (2019), ICLR, arXiv:1812.00420.
    """
    return with_term(AverageProjection(buffer, batch_size))
