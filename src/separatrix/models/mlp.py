"""Fully connected networks, bias-free by default, and their scaling.

Without biases and with a positively homogeneous activation, a network of L layers is homogeneous of degree L in its
parameters: `f(c theta) = c^L f(theta)` for `c > 0`. Weights are stored `(in, out)` and applied as `x @ w`. All models
act on one example; `jax.vmap` them over a batch.
"""

import itertools
import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["MLP", "PairMLP", "Scaled", "lazy_learning_rate", "scaled", "uniform_weights"]


def uniform_weights(
    key: PRNGKeyArray, shape: Sequence[int], fan_in: int, dtype: DTypeLike = jnp.float32
) -> Float[Array, "..."]:
    """Weights drawn uniformly between -1/sqrt(fan_in) and 1/sqrt(fan_in), PyTorch's default for linear layers.

    Args:
        key: random key.
        shape: shape of the result.
        fan_in: number of inputs of each unit.
        dtype: float dtype of the result.

    Returns:
        Array of variance 1 / (3 fan_in).

    Raises:
        ValueError: if `fan_in` is not positive, or `dtype` is `float64` while 64-bit types are disabled.

    Example:
        >>> w = uniform_weights(jr.key(0), (100, 50), fan_in=100)
        >>> bool(jnp.max(jnp.abs(w)) <= 0.1), w.shape
        (True, (100, 50))
    """
    if fan_in < 1:
        raise ValueError(f"`fan_in` must be at least 1; got {fan_in}.")
    bound = 1 / math.sqrt(fan_in)
    return jr.uniform(key, tuple(shape), resolve_float_dtype(dtype), minval=-bound, maxval=bound)


class MLP(eqx.Module):
    """Fully connected network `(sizes[0],) -> (sizes[-1],)`, with an activation between its linear layers.

    Args:
        key: drives the initial weights; layer i uses `fold_in(key, i)`.
        sizes: widths, input and output included; the default is that of the modular arithmetic experiments, modulo 113.
        use_bias: whether layers have a bias, initialised like the weights.
        activation: elementwise function, not applied to the output.
        dtype: float dtype of the parameters, whatever the default of JAX.

    Attributes:
        weights: one `(in, out)` array per layer.
        biases: one `(out,)` array per layer, or None.
        activation: elementwise function.

    Raises:
        ValueError: if there are fewer than two sizes or one is not positive, or `dtype` is no usable float format.

    Example:
        >>> net = MLP(jr.key(0), sizes=(8, 16, 16, 3))
        >>> x = jnp.ones(8)
        >>> doubled = jax.tree.map(lambda w: 2 * w, net)
        >>> net(x).shape, bool(jnp.allclose(doubled(x), 8 * net(x)))  # homogeneous of degree 3
        ((3,), True)
    """

    weights: tuple[Float[Array, "in out"], ...]
    biases: tuple[Float[Array, " out"], ...] | None
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        sizes: Sequence[int] = (226, 200, 200, 113),
        *,
        use_bias: bool = False,
        activation: Callable[[Array], Array] = jax.nn.relu,
        dtype: DTypeLike = jnp.float32,
    ):
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"`sizes` must list at least two positive widths; got {tuple(sizes)}.")
        fans = list(itertools.pairwise(sizes))
        keys = [jr.fold_in(key, layer) for layer in range(len(fans))]
        self.weights = tuple(
            uniform_weights(k, (into, out), into, dtype) for k, (into, out) in zip(keys, fans, strict=True)
        )
        self.biases = (
            tuple(
                uniform_weights(jr.fold_in(k, 1), (out,), into, dtype)
                for k, (into, out) in zip(keys, fans, strict=True)
            )
            if use_bias
            else None
        )
        self.activation = activation

    def __call__(self, x: Float[Array, " in"]) -> Float[Array, " out"]:
        """Output of the last layer, e.g. logits, for one example."""
        return self.propagate(x @ self.weights[0])[-1]

    def preactivations(self, x: Float[Array, " in"]) -> list[Float[Array, " width"]]:
        """Inputs of the activation in each hidden layer, first to last, for one example."""
        return self.propagate(x @ self.weights[0])[:-1]

    def propagate(self, first: Float[Array, " width"]) -> list[Float[Array, " width"]]:
        """Pre-activations of all layers, the output included, from the first product of inputs and weights.

        Args:
            first: `x @ weights[0]`, without the bias.

        Returns:
            One array per layer; the last is the output.
        """
        biases = [0] * len(self.weights) if self.biases is None else self.biases
        layers = [first + biases[0]]
        for weight, bias in zip(self.weights[1:], biases[1:], strict=True):
            layers.append(self.activation(layers[-1]) @ weight + bias)
        return layers


class PairMLP(eqx.Module):
    """The network on concatenated one-hot codes of two integers, with its first layer as two look-ups.

    Rows a and modulus + b of the first weight matrix are added, which equals its product with the concatenated
    one-hots of a and b and is several times faster. The matrix stays one leaf, `(2 modulus, width)`, so norms,
    projections and cosines per leaf are those of the network on one-hot inputs.

    Args:
        key: drives the initial weights, as for `MLP`.
        modulus: number of values of each integer.
        hidden: widths of the hidden layers.
        num_classes: number of outputs; `modulus` by default.
        use_bias: as for `MLP`.
        activation: as for `MLP`.
        dtype: as for `MLP`.

    Attributes:
        net: the `MLP` of sizes `(2 modulus, *hidden, num_classes)`, which accepts the one-hot codes.

    Raises:
        ValueError: as `MLP`.

    Example:
        >>> model = PairMLP(jr.key(0), modulus=5, hidden=(16,))
        >>> onehots = jnp.concatenate([jax.nn.one_hot(3, 5), jax.nn.one_hot(1, 5)])
        >>> bool(jnp.allclose(model(jnp.array([3, 1])), model.net(onehots), atol=1e-6))
        True
    """

    net: MLP

    def __init__(
        self,
        key: PRNGKeyArray,
        modulus: int = 113,
        hidden: Sequence[int] = (200, 200),
        num_classes: int | None = None,
        *,
        use_bias: bool = False,
        activation: Callable[[Array], Array] = jax.nn.relu,
        dtype: DTypeLike = jnp.float32,
    ):
        sizes = (2 * modulus, *hidden, modulus if num_classes is None else num_classes)
        self.net = MLP(key, sizes, use_bias=use_bias, activation=activation, dtype=dtype)

    def __call__(self, pair: Int[Array, " 2"]) -> Float[Array, " classes"]:
        """Logits for one pair of integers in `0..modulus-1`; others are clamped, as JAX indexing does."""
        return self.net.propagate(self._look_up(pair))[-1]

    def preactivations(self, pair: Int[Array, " 2"]) -> list[Float[Array, " width"]]:
        """Inputs of the activation in each hidden layer, first to last, for one pair."""
        return self.net.propagate(self._look_up(pair))[:-1]

    def _look_up(self, pair: Int[Array, " 2"]) -> Float[Array, " width"]:
        table = self.net.weights[0]
        first, second = table.reshape(2, table.shape[0] // 2, table.shape[1])
        return first[pair[0]] + second[pair[1]]  # a mask for integers out of range would cost 9 % of a training step


class Scaled(eqx.Module):
    """A model whose output is multiplied by a constant `alpha`; see `scaled`."""

    model: Callable[..., Array]
    alpha: float | Float[Array, ""]

    def __call__(self, *args, **kwargs) -> Array:
        """Output of the model times `alpha`, in the dtype of the model's output."""
        output = self.model(*args, **kwargs)
        return output * lax.stop_gradient(jnp.asarray(self.alpha, output.dtype))


def scaled(model: Callable[..., Array], alpha: float | Float[Array, ""]) -> Scaled:
    """Multiply the output of a model by `alpha`, which sets how lazily it learns.

    Args:
        model: any callable that returns an array.
        alpha: the factor, a leaf of the result: a grid of it is a `vmap`. It receives no gradient.

    Returns:
        A module with the same call.

    References:
        Chizat, Oyallon, Bach (2019), NeurIPS, arXiv 1812.07956.

    Example:
        >>> scaled(lambda x: x + 1, 10.0)(jnp.array([0.0, 1.0])).tolist()
        [10.0, 20.0]
    """
    return Scaled(model, alpha)


def lazy_learning_rate(rate: float | Float[Array, ""], alpha: float | Float[Array, ""]) -> float | Float[Array, ""]:
    """Learning rate at which a model scaled by `alpha` moves its outputs as fast as at `alpha = 1`: `rate / alpha^2`.

    Args:
        rate: learning rate for the unscaled model.
        alpha: output scale, non-zero.

    Returns:
        `rate / alpha**2`.

    References:
        Chizat, Oyallon, Bach (2019), NeurIPS, arXiv 1812.07956.

    Example:
        >>> lazy_learning_rate(1.0, 4.0)
        0.0625
    """
    return rate / alpha**2
