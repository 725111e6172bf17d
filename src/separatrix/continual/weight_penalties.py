"""Quadratic penalties on moving weights: EWC in three bookkeepings, synaptic intelligence, MAS, and plain L2.

All are `strength x sum_j F_j (theta_j - anchor_j)^2` without a factor of one half; they differ in the importance F. A
sum of such penalties with an anchor for each task equals, up to a constant, one penalty whose anchor is the mean of the
anchors weighted by F, so its memory does not grow with the number of tasks.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Int, PyTree

from separatrix._core.intervention import Intervention
from separatrix.continual.importance import empirical_fisher, output_sensitivity
from separatrix.continual.learner import AbstractTerm, Learner, with_term
from separatrix.continual.replay import task_examples

__all__ = [
    "Anchored",
    "PathIntegral",
    "QuadraticPenalty",
    "accumulate",
    "ewc",
    "fisher_of_task",
    "l2_to_anchor",
    "mas",
    "online",
    "quadratic",
    "running_mean",
    "sensitivity_of_task",
    "separate",
    "synaptic_intelligence",
]


class Anchored(NamedTuple):
    """Memory of a weight penalty.

    Attributes:
        importance: structured like the parameters, not negative.
        anchor: structured like the parameters.
        constant: what the penalty is at the anchor, before the strength.
        num_tasks: how many were consolidated.
    """

    importance: PyTree
    anchor: PyTree
    constant: Float[Array, ""]
    num_tasks: Int[Array, ""]


def quadratic(importance: PyTree, anchor: PyTree, params: PyTree) -> Float[Array, ""]:
    """Return `sum_j F_j (theta_j - anchor_j)^2`.

    Args:
        importance: F.
        anchor: structured like it.
        params: structured like it.

    Returns:
        A scalar.

    Examples:
        >>> quadratic(jnp.array([1.0, 2.0]), jnp.zeros(2), jnp.array([3.0, 1.0])).item()
        11.0
    """
    parts = jax.tree.map(lambda f, a, p: jnp.sum(f * (p - a) ** 2), importance, anchor, params)
    return sum(jax.tree.leaves(parts), jnp.zeros(()))


Rule = Callable[[Anchored, PyTree, PyTree], Anchored]
"""`(memory, importance of the finished task, its parameters) -> memory`"""


def running_mean(memory: Anchored, importance: PyTree, params: PyTree) -> Anchored:
    """Average the importance over tasks; the anchor is the last task's end."""
    weight = 1.0 / (memory.num_tasks + 1)
    mean = jax.tree.map(lambda old, new: old + (weight * (new - old)).astype(old.dtype), memory.importance, importance)
    return Anchored(mean, params, memory.constant, memory.num_tasks + 1)


def accumulate(memory: Anchored, importance: PyTree, params: PyTree) -> Anchored:
    """Add the importance up over tasks; the anchor is the last task's end."""
    return Anchored(jax.tree.map(jnp.add, memory.importance, importance), params, memory.constant, memory.num_tasks + 1)


class online(eqx.Module):
    """Let old importance fade: `F <- decay F + F_new`; the anchor is the last task's end.

    Attributes:
        decay: in [0, 1].
    """

    decay: ArrayLike = 0.9

    def __call__(self, memory: Anchored, importance: PyTree, params: PyTree) -> Anchored:
        """Consolidate one task."""
        total = jax.tree.map(lambda old, new: self.decay * old + new, memory.importance, importance)
        return Anchored(total, params, memory.constant, memory.num_tasks + 1)


def separate(memory: Anchored, importance: PyTree, params: PyTree) -> Anchored:
    """Keep a penalty for each task, each with its own anchor, in the memory of one.

    `F (t - a)^2 + G (t - b)^2 = (F + G)(t - m)^2 + F G / (F + G) (a - b)^2` with `m = (F a + G b) / (F + G)`.
    """
    total = jax.tree.map(jnp.add, memory.importance, importance)
    safe = jax.tree.map(lambda t: jnp.where(t > 0, t, 1.0), total)
    move = jax.tree.map(lambda g, t, b, a: g / t * (b - a), importance, safe, params, memory.anchor)
    # where nothing mattered so far the anchor is the new one, to the bit
    anchor = jax.tree.map(lambda f, a, m, b: jnp.where(f > 0, a + m, b), memory.importance, memory.anchor, move, params)
    gap = jax.tree.map(lambda f, m, b, a: jnp.sum(f * m * (b - a)), memory.importance, move, params, memory.anchor)
    return Anchored(total, anchor, memory.constant + sum(jax.tree.leaves(gap)), memory.num_tasks + 1)


Importance = Callable[[Learner, PyTree, Any, Any], PyTree]
"""`(learner, params, last batch, key) -> importance` of the task that ends"""


def _chosen(learner: Learner, x, key, samples: int | None):
    stored, weight = task_examples(learner, x)
    if samples is not None and samples < len(weight):
        _, rows = jax.lax.top_k(jnp.where(weight > 0, jr.uniform(key, weight.shape), -1.0), samples)
        stored, weight = jax.tree.map(lambda a: a[rows], (stored, weight))
    return stored, weight


class fisher_of_task(eqx.Module):
    """Empirical Fisher of the finished task: mean over its examples of the squared gradient of each one's loss.

    Attributes:
        samples: random examples used; all when None.
    """

    samples: int | None = eqx.field(static=True, default=None)

    def __call__(self, learner, params, x, key):
        """Return the importance."""
        stored, weight = _chosen(learner, x, key, self.samples)

        def loss(p, one, target):
            inputs, targets = jax.tree.map(lambda a: a[None], (one, target))
            return learner.loss(learner.apply(p, inputs, stored.task[:1], x.task), targets)[0]

        return empirical_fisher(loss, params, stored.inputs, stored.targets, weight)


class sensitivity_of_task(eqx.Module):
    """Mean over the finished task's inputs of `|d |outputs|^2|`; see `output_sensitivity`.

    Attributes:
        samples: random examples used; all when None.
    """

    samples: int | None = eqx.field(static=True, default=None)

    def __call__(self, learner, params, x, key):
        """Return the importance."""
        stored, weight = _chosen(learner, x, key, self.samples)
        batch = lambda one: jax.tree.map(lambda a: a[None], one)  # noqa: E731
        outputs = lambda p, one: learner.apply(p, batch(one), stored.task[:1], x.task)[0]  # noqa: E731
        return output_sensitivity(outputs, params, stored.inputs, weight)


def _ones(learner, params, x, key):
    del learner, x, key
    return jax.tree.map(jnp.ones_like, params)


def _masked(importance: PyTree, where: Callable[[PyTree], PyTree] | None) -> PyTree:
    """Set the importance of parameters outside a filter to zero."""
    if where is None:
        return importance
    return jax.tree.map(lambda f, m: f * m, importance, where(importance))


class QuadraticPenalty(AbstractTerm):
    """A weight penalty consolidated at the end of each task; see `ewc`, `mas` and `l2_to_anchor`.

    Attributes:
        importance: of the finished task.
        rule: how it joins that of earlier tasks.
        strength: factor of the penalty, traced.
        where: from a pytree like the parameters to one of 0 and 1 (numbers or arrays); all parameters when None.
    """

    importance: Importance
    rule: Rule
    strength: ArrayLike = 1.0
    where: Callable[[PyTree], PyTree] | None = None

    def init(self, learner, params, key):
        """Return an importance of zero."""
        del learner, key
        zeros = jax.tree.map(jnp.zeros_like, params)
        return Anchored(zeros, params, jnp.zeros((), _dtype(params)), jnp.zeros((), jnp.int32))

    def penalty(self, learner, memory, params, x, outputs, key):
        """Return the penalty of the tasks consolidated so far."""
        del learner, x, outputs, key
        return self.strength * (quadratic(memory.importance, memory.anchor, params) + memory.constant)

    def consolidate(self, learner, memory, params, x, key):
        """Take the finished task's importance in."""
        new = _masked(self.importance(learner, params, x, key), self.where)
        return self.rule(memory, new, params)


def _dtype(params: PyTree):
    return jnp.result_type(*jax.tree.leaves(params))


def ewc(
    strength: ArrayLike,
    rule: Rule = running_mean,
    *,
    samples: int | None = None,
    where: Callable[[PyTree], PyTree] | None = None,
    importance: Importance | None = None,
) -> Intervention:
    """Elastic weight consolidation: `strength x sum_j F_j (theta_j - anchor_j)^2`.

    F is the mean over examples of squared per-example gradients at the true labels; there is no factor of one half.
    The step is unstable where `learning rate x 2 strength x max F > 2`.

    Args:
        strength: lambda, traced.
        rule: how tasks join: `running_mean`, `accumulate`, `separate` or `online(decay)`.
        samples: random examples for the Fisher; all of the task's when None.
        where: parameters that are held, such as those of the trunk.
        importance: another importance, in place of the Fisher.

    Returns:
        An intervention.

    References:
        Kirkpatrick et al. (2017), PNAS 114, 3521, arXiv:1612.00796; Schwarz et al. (2018), arXiv:1805.06370 (online).

    Examples:
        >>> import optax
        >>> from separatrix import run
        >>> from separatrix.continual import Learner
        >>> from separatrix.data import TaskStream, gaussian_tasks
        >>> from separatrix.models import MLP
        >>> plain = Learner(
        ...     model=lambda key: MLP(key, (2, 16, 2)),
        ...     loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        ...     optimiser=optax.sgd(0.1),
        ...     stream=TaskStream(gaussian_tasks(jr.key(0), 2), steps=20, batch_size=8),
        ... )
        >>> state, _ = run(ewc(100.0)(plain), jr.key(1), 40)
        >>> int(state.memories[0].num_tasks)
        2
    """
    return with_term(QuadraticPenalty(importance or fisher_of_task(samples), rule, strength, where))


def mas(
    strength: ArrayLike,
    rule: Rule = accumulate,
    *,
    samples: int | None = None,
    where: Callable[[PyTree], PyTree] | None = None,
) -> Intervention:
    """Memory-aware synapses: the importance is the sensitivity of the outputs' squared norm, without labels.

    Args:
        strength: traced.
        rule: how tasks join.
        samples: random examples; all of the task's when None.
        where: parameters that are held.

    Returns:
        An intervention.

    References:
        Aljundi, Babiloni, Elhoseiny, Rohrbach, Tuytelaars (2018), ECCV, arXiv:1711.09601.
    """
    return with_term(QuadraticPenalty(sensitivity_of_task(samples), rule, strength, where))


def _last(memory: Anchored, importance: PyTree, params: PyTree) -> Anchored:
    return Anchored(importance, params, memory.constant, memory.num_tasks + 1)


def l2_to_anchor(strength: ArrayLike, where: Callable[[PyTree], PyTree] | None = None) -> Intervention:
    """Pull every parameter towards its value at the end of the last task: EWC with an importance of one.

    Args:
        strength: traced.
        where: parameters that are held.

    Returns:
        An intervention.
    """
    return with_term(QuadraticPenalty(_ones, _last, strength, where))


class PathState(NamedTuple):
    """Memory of `PathIntegral`.

    Attributes:
        held: importance and anchor.
        path: contribution of each parameter to the fall of the loss in this task.
        start: parameters at the start of this task.
    """

    held: Anchored
    path: PyTree
    start: PyTree


class PathIntegral(AbstractTerm):
    """Synaptic intelligence; see `synaptic_intelligence`.

    Attributes:
        strength: factor of the penalty, traced.
        damping: added to the squared displacement that a contribution is divided by.
        where: parameters that are held; all when None.
    """

    strength: ArrayLike = 1.0
    damping: ArrayLike = 0.1
    where: Callable[[PyTree], PyTree] | None = None

    def init(self, learner, params, key):
        """Return an importance of zero, with the path starting here."""
        del learner, key
        zeros = jax.tree.map(jnp.zeros_like, params)
        held = Anchored(zeros, params, jnp.zeros((), _dtype(params)), jnp.zeros((), jnp.int32))
        return PathState(held, zeros, params)

    def penalty(self, learner, memory, params, x, outputs, key):
        """Return the penalty of the tasks consolidated so far."""
        del learner, x, outputs, key
        return self.strength * quadratic(memory.held.importance, memory.held.anchor, params)

    def observe(self, learner, memory, before, after, gradient, x, outputs, key):
        """Add `-gradient x move` to the path, with the gradient of the objective without this penalty."""
        own = jax.grad(lambda p: self.penalty(learner, memory, p, x, outputs, key))(before)
        path = jax.tree.map(lambda w, g, o, a, b: w - (g - o) * (a - b), memory.path, gradient, own, after, before)
        return memory._replace(path=path)

    def consolidate(self, learner, memory, params, x, key):
        """Divide the path by the squared displacement, add it to the importance and start a new path."""
        del learner, x, key
        share = lambda w, p, s: jnp.maximum(w, 0.0) / ((p - s) ** 2 + self.damping)  # noqa: E731
        new = _masked(jax.tree.map(share, memory.path, params, memory.start), self.where)
        return PathState(accumulate(memory.held, new, params), jax.tree.map(jnp.zeros_like, params), params)


def synaptic_intelligence(
    strength: ArrayLike, damping: ArrayLike = 0.1, where: Callable[[PyTree], PyTree] | None = None
) -> Intervention:
    """Synaptic intelligence (SI): parameters matter by what they contributed to the fall of the loss.

    The contribution is the path integral `-sum gradient x move` within a task, of the objective without the penalty;
    its negative parts are set to zero, and it is divided by the squared displacement plus `damping`.

    Args:
        strength: c, traced.
        damping: xi.
        where: parameters that are held.

    Returns:
        An intervention; it needs no examples of finished tasks.

    References:
        Zenke, Poole, Ganguli (2017), ICML, arXiv:1703.04200.
    """
    return with_term(PathIntegral(strength, damping, where))
