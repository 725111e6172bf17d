"""Remove neurons by a score and see what the network still knows."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, PyTree

__all__ = ["kept_neurons", "mask_hidden_layer", "prune_neurons", "pruning_curve"]

Order = Literal["ascending", "descending"]
Mask = Callable[[Any, Bool[Array, " width"]], Any]


def _own_mask(model: Any, keep: Bool[Array, " width"]) -> Any:
    if not hasattr(model, "mask_neurons"):
        raise ValueError(
            f"{type(model).__name__} has no `mask_neurons`; say how neurons are masked, as with "
            "`mask=mask_hidden_layer(0)` for an MLP."
        )
    return model.mask_neurons(keep)


def mask_hidden_layer(layer: int) -> Mask:
    """Mask neurons of one hidden layer of an `MLP`: the weights into them, their biases, and the weights out of them.

    Args:
        layer: index of the hidden layer, 0 for the first.

    Returns:
        A function `(model, keep) -> model` for `prune_neurons`.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.models import MLP
        >>> net = mask_hidden_layer(0)(MLP(jr.key(0), (3, 4, 2)), jnp.array([True, False, True, True]))
        >>> net.weights[0][:, 1].tolist(), net.weights[1][1].tolist()
        ([0.0, 0.0, 0.0], [0.0, 0.0])
    """

    def mask(model: Any, keep: Bool[Array, " width"]) -> Any:
        weights = list(model.weights)
        if not 0 <= layer < len(weights) - 1 or keep.shape != (weights[layer].shape[1],):
            widths = [w.shape[1] for w in weights[:-1]]
            raise ValueError(
                f"hidden layers of widths {widths} have no neurons to mask at layer {layer} with {len(keep)} scores."
            )
        weights[layer] = jnp.where(keep, weights[layer], 0)
        weights[layer + 1] = jnp.where(keep[:, None], weights[layer + 1], 0)
        model = eqx.tree_at(lambda m: m.weights, model, tuple(weights))
        if model.biases is None:
            return model
        return eqx.tree_at(lambda m: m.biases[layer], model, jnp.where(keep, model.biases[layer], 0))

    return mask


def kept_neurons(scores: Float[Array, " width"], fraction: ArrayLike, order: Order = "ascending") -> Bool[Array, "..."]:
    """Which neurons are left once a fraction of them is pruned in the order of their scores.

    Args:
        scores: one for each neuron.
        fraction: pruned part in [0, 1], traceable; `floor(fraction * width)` neurons.
        order: `"ascending"` prunes the lowest scores first, `"descending"` the highest. Ties go by index.

    Returns:
        True where a neuron is kept.

    Raises:
        ValueError: if `order` is neither.

    Examples:
        >>> kept_neurons(jnp.array([0.3, 0.1, 0.2]), 0.34).tolist()
        [True, False, True]
    """
    if order not in ("ascending", "descending"):
        raise ValueError(f'`order` must be "ascending" or "descending"; got {order!r}.')
    width = scores.shape[0]
    places = jnp.argsort(scores, stable=True, descending=order == "descending")
    rank = jnp.zeros(width, jnp.int32).at[places].set(jnp.arange(width, dtype=jnp.int32))
    if isinstance(fraction, int | float):
        return rank >= math.floor(fraction * width + 1e-9)
    product = jnp.asarray(fraction) * width
    return rank >= jnp.floor(product * (1 + 4 * jnp.finfo(product.dtype).eps))


def prune_neurons(
    model: Any,
    scores: Float[Array, " width"],
    fraction: ArrayLike,
    order: Order = "ascending",
    mask: Mask = _own_mask,
) -> Any:
    """Set the weights into and out of a fraction of the neurons to zero.

    Args:
        model: any model.
        scores: one for each neuron.
        fraction: pruned part in [0, 1], traceable.
        order: `"ascending"` prunes the lowest scores first, `"descending"` the highest.
        mask: `(model, keep) -> model`; by default the model's own `mask_neurons`. See `mask_hidden_layer`.

    Returns:
        The pruned model.

    Raises:
        ValueError: if the model cannot mask its neurons by itself, or an MLP has not as many as there are scores.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.models import QuadraticMLP
        >>> model = prune_neurons(QuadraticMLP(jr.key(0), p=5, width=4), jnp.array([0.4, 0.1, 0.3, 0.2]), 0.5)
        >>> (jnp.abs(model.readout).sum(axis=1) > 0).tolist()
        [True, False, True, False]
    """
    return mask(model, kept_neurons(scores, fraction, order))


def pruning_curve(
    model: Any,
    scores: Float[Array, " width"],
    evaluate: Callable[[Any], PyTree],
    fractions: Sequence[float] | Float[Array, " fractions"],
    order: Order = "ascending",
    mask: Mask = _own_mask,
) -> PyTree:
    """Evaluate a model with growing fractions of its neurons pruned.

    Args:
        model: any model.
        scores: one for each neuron.
        evaluate: `model -> pytree` of arrays, such as accuracies.
        fractions: pruned parts in [0, 1].
        order: as for `prune_neurons`.
        mask: as for `prune_neurons`.

    Returns:
        What `evaluate` returns, with one leading axis for the fractions. They are evaluated one after the other, in
        one compiled loop.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.models import modular_addition_teacher
        >>> teacher = modular_addition_teacher(jr.key(0), p=11, width=40)
        >>> alive = lambda model: jnp.sum(jnp.any(model.readout != 0, axis=1))
        >>> pruning_curve(teacher, jnp.arange(40.0), alive, [0.0, 0.25, 1.0]).tolist()
        [40, 30, 0]
    """

    def at(fraction):
        return evaluate(prune_neurons(model, scores, fraction, order, mask))

    return jax.lax.map(at, jnp.asarray(fractions, scores.dtype))
