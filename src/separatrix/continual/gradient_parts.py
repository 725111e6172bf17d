"""The gradient split into plasticity and stability: what the new batch asks for, and what holds the old tasks."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from separatrix._core.probe import Probe, Transition
from separatrix.continual.learner import Learner

__all__ = ["OldDataGradient", "gradient_split", "gradient_split_probe", "norms_and_cosines", "old_data_gradient_probe"]

Cadence = int | Callable[[int], Sequence[int]]


def gradient_split(
    loss_terms: Mapping[str, Callable[[PyTree, Any], Float[Array, ""]]], params: PyTree, batch: Any
) -> dict[str, PyTree]:
    """Return the gradient of each term of an objective.

    Args:
        loss_terms: `(params, batch) -> scalar` by name.
        params: a pytree of floating-point arrays.
        batch: handed on.

    Returns:
        A pytree like `params` by name; their sum is the gradient of the sum.

    Examples:
        >>> terms = {"new": lambda w, x: jnp.sum((w - x) ** 2), "old": lambda w, x: jnp.sum(w**2)}
        >>> {name: g.tolist() for name, g in gradient_split(terms, jnp.array([1.0]), 3.0).items()}
        {'new': [-4.0], 'old': [2.0]}
    """
    return {name: jax.grad(term)(params, batch) for name, term in loss_terms.items()}


def norms_and_cosines(gradients: Mapping[str, PyTree]) -> dict[str, Float[Array, ""]]:
    """Return the length of each gradient and the cosine between each two.

    Args:
        gradients: pytrees of one structure by name.

    Returns:
        `norm_<name>` and `cosine_<one>_<other>`; a cosine with a zero gradient is 0.

    Examples:
        >>> found = norms_and_cosines({"new": jnp.array([-4.0]), "old": jnp.array([2.0])})
        >>> {name: float(value) for name, value in found.items()}
        {'norm_new': 4.0, 'norm_old': 2.0, 'cosine_new_old': -1.0}
    """
    dot = lambda a, b: sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)), jnp.zeros(()))  # noqa: E731
    norms = {name: jnp.sqrt(dot(g, g)) for name, g in gradients.items()}
    out = {f"norm_{name}": norm for name, norm in norms.items()}
    for one, other in combinations(gradients, 2):
        product = norms[one] * norms[other]
        cosine = dot(gradients[one], gradients[other]) / jnp.where(product > 0, product, 1.0)
        out[f"cosine_{one}_{other}"] = cosine
    return out


_NAMES = {
    "norm_plasticity": "norm of the plasticity gradient",
    "norm_stability": "norm of the stability gradient",
    "cosine_plasticity_stability": "cosine between plasticity and stability gradients",
}
_ATTRS = {name: {"units": "1", "long_name": text} for name, text in _NAMES.items()}


def _split(tr: Transition, key):
    process: Any = tr.process
    if not isinstance(process, Learner):
        raise ValueError(f"the gradient split is that of a `Learner`; the process is a {type(process).__name__}.")
    state = tr.before
    new = jax.grad(lambda p: process.plasticity(state, p, tr.x))(state.params)
    held = jax.grad(lambda p: process.stability(state, p, tr.x, key))(state.params)
    direction = total = jax.tree.map(jnp.add, new, held)
    for term, memory in zip(process.terms, state.memories, strict=True):
        direction = term.transform(process, memory, direction, state.params, tr.x, key)
    # what a projection does to the gradient counts as stability
    held = jax.tree.map(lambda h, d, t: h + (d - t), held, direction, total)
    return norms_and_cosines({"plasticity": new, "stability": held})


def gradient_split_probe(every: Cadence = 1) -> Probe:
    """Norms of the two parts of the objective's gradient before the update, and their cosine.

    Plasticity is the gradient of the new batch's loss with its share; stability that of all penalties, and what a
    projection (GEM, A-GEM) adds. At the first update after a switch stability is exactly zero for EWC, whose parameters
    are the anchor, and zero to rounding for LwF: teacher and student are one network there, but compiled apart, so that
    their logits may differ in the last bit. Where a method draws from a memory the probe draws for itself. It costs two
    more gradients for each record.

    Args:
        every: cadence.

    Returns:
        A probe of a `Learner` recording `norm_plasticity`, `norm_stability` and `cosine_plasticity_stability`.
    """
    return Probe(_split, every=every, name="gradient_split", attrs=_ATTRS)


class OldDataGradient(eqx.Module):
    """Compare the new batch's gradient with that of the loss on given old examples; a value for a probe.

    Attributes:
        inputs: old examples.
        targets: their targets.
        task: the task that they come from.
        share: factor of the new batch's loss; the old loss has `1 - share`.
    """

    inputs: PyTree
    targets: PyTree
    task: int = eqx.field(static=True)
    share: float = 0.5

    def __call__(self, tr: Transition, key) -> dict[str, Array]:
        """Return norms and cosine at the parameters before the update."""
        del key
        process: Any = tr.process
        own = jnp.full(len(jax.tree.leaves(self.inputs)[0]), self.task, jnp.int32)

        def old(params, x):
            outputs = process.apply(params, self.inputs, own, x.task)
            return (1 - self.share) * jnp.mean(process.loss(outputs, self.targets))

        terms = {"plasticity": lambda p, x: self.share * process.new_loss(p, x)[0], "stability": old}
        return norms_and_cosines(gradient_split(terms, tr.before.params, tr.x))


def old_data_gradient_probe(
    inputs: PyTree, targets: PyTree, task: int = 0, share: float = 0.5, every: Cadence = 1
) -> Probe:
    """The split of replay's gradient with all old examples in place of a batch of them.

    Args:
        inputs: old examples.
        targets: their targets.
        task: the task that they come from.
        share: factor of the new batch's loss.
        every: cadence; each record costs a gradient on all old examples.

    Returns:
        A probe of a `Learner` recording what `gradient_split_probe` does.
    """
    return Probe(OldDataGradient(inputs, targets, task, share), every=every, name="old_data_gradient", attrs=_ATTRS)
