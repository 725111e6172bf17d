"""How initial weights, multipliers and learning rates depend on width, in four parametrisations.

A layer computes `multiplier * (x @ w)` with `w ~ Normal(0, std^2)` and learns at `rate * sgd_rate` (or `rate *
adam_rate`). The parametrisation decides what survives at large width: with the standard one the stable learning rate
shrinks with width, in the tangent-kernel one features stop moving (lazy), in the mean-field and maximal-update ones
features move at a rate that does not depend on width (rich).
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from separatrix.models.mlp import MLP
from separatrix.numerics.rounding import resolve_float_dtype

__all__ = [
    "LayerScale",
    "Parametrisation",
    "ParametrisedMLP",
    "mean_field_parametrisation",
    "mup_parametrisation",
    "ntk_parametrisation",
    "scale_by_layer",
    "standard_parametrisation",
]


class LayerScale(NamedTuple):
    """Scales of one layer.

    Attributes:
        multiplier: factor of the layer's product.
        std: standard deviation of its initial weights.
        sgd_rate: factor of the learning rate under (momentum) SGD.
        adam_rate: factor of the learning rate under Adam, whose steps do not depend on the gradient's size.
    """

    multiplier: float
    std: float
    sgd_rate: float = 1.0
    adam_rate: float = 1.0


Parametrisation = Callable[[int, Sequence[int]], LayerScale]
"""`(layer, sizes) -> LayerScale`: layer counts from 0, sizes are the widths with input and output."""


def standard_parametrisation(layer: int, sizes: Sequence[int]) -> LayerScale:
    """Standard parametrisation: variance 1/fan_in, one learning rate.

    Args:
        layer: from 0.
        sizes: widths, input and output included.

    Returns:
        The layer's scales.

    Example:
        >>> standard_parametrisation(1, (10, 64, 1))
        LayerScale(multiplier=1.0, std=0.125, sgd_rate=1.0, adam_rate=1.0)
    """
    return LayerScale(1.0, sizes[layer] ** -0.5)


def ntk_parametrisation(layer: int, sizes: Sequence[int]) -> LayerScale:
    """Tangent-kernel (NTK) parametrisation: unit weights, products over sqrt(fan_in), one learning rate.

    Args:
        layer: from 0.
        sizes: widths, input and output included.

    Returns:
        The layer's scales.

    References:
        Jacot, Gabriel, Hongler (2018), NeurIPS, arXiv 1806.07572.

    Example:
        >>> ntk_parametrisation(1, (10, 64, 1)).multiplier
        0.125
    """
    return LayerScale(sizes[layer] ** -0.5, 1.0)


def mean_field_parametrisation(layer: int, sizes: Sequence[int]) -> LayerScale:
    """Mean-field parametrisation at any depth: as `ntk_parametrisation`, but the output is over fan_in.

    The learning rate of SGD is multiplied by the last hidden width, and the kernel then moves at a rate that does not
    depend on width.

    Args:
        layer: from 0.
        sizes: widths, input and output included.

    Returns:
        The layer's scales.

    References:
        Mei, Montanari, Nguyen (2018), PNAS 115, E7665; Bordelon, Pehlevan (2022), NeurIPS, arXiv 2205.09653.

    Example:
        >>> mean_field_parametrisation(1, (10, 64, 1))[:3]
        (0.015625, 1.0, 64.0)
    """
    last = layer == len(sizes) - 2
    multiplier = 1 / sizes[layer] if last else sizes[layer] ** -0.5
    adam = sizes[layer] ** -0.5 if layer > 0 and not last else 1.0
    return LayerScale(multiplier, 1.0, float(sizes[-2]), adam)


def mup_parametrisation(layer: int, sizes: Sequence[int]) -> LayerScale:
    """Maximal-update parametrisation (muP): the largest learning rates at which no layer's output grows with width.

    Input: variance 1/fan_in, rates fan_out (SGD) and 1 (Adam); hidden: 1/fan_in, 1 and 1/fan_in; output: 1/fan_in^2,
    1/fan_in and 1/fan_in.

    Args:
        layer: from 0.
        sizes: widths, input and output included.

    Returns:
        The layer's scales.

    References:
        Yang, Hu, Babuschkin, Sidor, et al. (2021), NeurIPS, arXiv 2203.03466, table 3.

    Example:
        >>> mup_parametrisation(1, (10, 64, 1))
        LayerScale(multiplier=1.0, std=0.015625, sgd_rate=0.015625, adam_rate=0.015625)
    """
    fan_in, fan_out = sizes[layer], sizes[layer + 1]
    if layer == len(sizes) - 2:
        return LayerScale(1.0, 1 / fan_in, 1 / fan_in, 1 / fan_in)
    if layer == 0:
        return LayerScale(1.0, fan_in**-0.5, float(fan_out), 1.0)
    return LayerScale(1.0, fan_in**-0.5, 1.0, 1 / fan_in)


class ParametrisedMLP(eqx.Module):
    """A bias-free `MLP` whose layers are scaled by a parametrisation.

    Args:
        key: drives the initial weights; layer i uses `fold_in(key, i)`.
        sizes: widths, input and output included; at least one hidden layer.
        parametrisation: the scales of each layer.
        activation: elementwise function, not applied to the output.
        dtype: float dtype of the parameters.

    Attributes:
        net: the `MLP` of the raw weights.
        scales: one `LayerScale` a layer, static.

    Raises:
        ValueError: if there is no hidden layer, or as `MLP`.

    Example:
        >>> model = ParametrisedMLP(jr.key(0), (4, 32, 1), ntk_parametrisation)
        >>> x = jnp.ones(4)
        >>> hidden = jax.nn.relu(x @ model.net.weights[0] / 2)
        >>> bool(jnp.allclose(model(x), hidden @ model.net.weights[1] / 32**0.5))
        True
    """

    net: MLP
    scales: tuple[LayerScale, ...] = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        sizes: Sequence[int],
        parametrisation: Parametrisation = standard_parametrisation,
        *,
        activation: Callable[[Array], Array] = jax.nn.relu,
        dtype: DTypeLike = jnp.float32,
    ):
        if len(sizes) < 3:
            raise ValueError(f"`sizes` must have a hidden width between input and output; got {tuple(sizes)}.")
        self.scales = tuple(parametrisation(layer, tuple(sizes)) for layer in range(len(sizes) - 1))
        dtype = resolve_float_dtype(dtype)
        weights = tuple(
            scale.std * jr.normal(jr.fold_in(key, layer), shape, dtype)
            for layer, (scale, shape) in enumerate(zip(self.scales, itertools.pairwise(sizes), strict=True))
        )
        net = MLP(key, sizes, activation=activation, dtype=dtype)
        self.net = eqx.tree_at(lambda n: n.weights, net, weights)

    def effective(self) -> MLP:
        """Return the plain network that computes the same function: multipliers taken into the weights."""
        weights = tuple(s.multiplier * w for s, w in zip(self.scales, self.net.weights, strict=True))
        return eqx.tree_at(lambda n: n.weights, self.net, weights)

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        """Output for one example."""
        return self.effective()(x)

    def preactivations(self, x: Float[Array, " in"]) -> list[Float[Array, " width"]]:
        """Inputs of the activation in each hidden layer for one example."""
        return self.effective().preactivations(x)


def scale_by_layer(scales: Sequence[LayerScale], adam: bool = False) -> optax.GradientTransformation:
    """Multiply the update of each weight matrix by its layer's rate; put it last, or before the global rate.

    Args:
        scales: of a `ParametrisedMLP`; the updates must have one array a layer, in their order.
        adam: use the factors for Adam.

    Returns:
        A transformation without state.

    Raises:
        ValueError: by `update`, if the number of arrays is not that of the layers.

    Example:
        >>> model = ParametrisedMLP(jr.key(0), (4, 32, 1), mean_field_parametrisation)
        >>> optimiser = optax.chain(optax.sgd(0.1), scale_by_layer(model.scales))
        >>> grads = jax.tree.map(jnp.ones_like, eqx.filter(model, eqx.is_inexact_array))
        >>> updates, _ = optimiser.update(grads, optimiser.init(grads))
        >>> round(float(updates.net.weights[1][0, 0]), 4)
        -3.2
    """
    rates = [scale.adam_rate if adam else scale.sgd_rate for scale in scales]

    def update(updates: PyTree, state: optax.OptState, params: PyTree = None):
        del params
        leaves, structure = jax.tree.flatten(updates)
        if len(leaves) != len(rates):
            raise ValueError(f"`scale_by_layer` has {len(rates)} layers; the updates have {len(leaves)} arrays.")
        return jax.tree.unflatten(structure, [rate * u for rate, u in zip(rates, leaves, strict=True)]), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
