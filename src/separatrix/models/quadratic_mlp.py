"""Two layers with a quadratic activation on a pair of integers, for which the weights that generalise are known.

`f(a, b) = W (U_a + V_b)^2` with one row of U and V for each integer. On addition modulo p, cosines of one frequency a
neuron solve the task exactly in the limit of many neurons (`modular_addition_teacher`); training finds such weights.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Bool, Float, Int, PRNGKeyArray

from separatrix.models.batch_norm import BatchNorm, BatchStatistics
from separatrix.numerics.rounding import resolve_float_dtype

__all__ = [
    "BatchNormMLP",
    "PreactivationDropout",
    "QuadraticMLP",
    "batch_norm_evaluate",
    "batch_norm_forward",
    "modular_addition_teacher",
]


class QuadraticMLP(eqx.Module):
    """Bias-free network of one hidden layer with the activation `h -> h^2`; its first layer is two look-ups.

    Rows of `first` and `second` are added, which equals the product of a weight matrix with concatenated one-hot codes
    and is several times faster. The network is homogeneous of degree 3 in its weights.

    Args:
        key: drives the initial weights, normal with standard deviation `init_scale (2 width)^(-1/3)` in both layers.
        p: number of values of each integer, and of classes.
        width: number of hidden neurons N.
        init_scale: 0.5 goes with a learning rate of 0.01 for Adam and a loss averaged over the outputs.
        dtype: float dtype of the parameters.

    Attributes:
        first: U, `(p, width)`.
        second: V, `(p, width)`.
        readout: W, `(width, p)`.

    Raises:
        ValueError: if `p` or `width` is not positive.

    References:
        Gromov (2023), arXiv 2301.02679.
        Doshi, Das, He, Gromov (2024), ICLR, arXiv 2310.13061, section 2.

    Example:
        >>> model = QuadraticMLP(jr.key(0), p=7, width=16)
        >>> out = model(jnp.array([3, 5]))
        >>> doubled = jax.tree.map(lambda w: 2 * w, model)
        >>> out.shape, bool(jnp.allclose(doubled(jnp.array([3, 5])), 8 * out, rtol=1e-5))
        ((7,), True)
    """

    first: Float[Array, "p width"]
    second: Float[Array, "p width"]
    readout: Float[Array, "width p"]

    def __init__(
        self,
        key: PRNGKeyArray,
        p: int = 97,
        width: int = 500,
        init_scale: float = 0.5,
        dtype: DTypeLike = jnp.float32,
    ):
        if p < 1 or width < 1:
            raise ValueError(f"`p` and `width` must be at least 1; got {p} and {width}.")
        dtype = resolve_float_dtype(dtype)
        std = init_scale * (2 * width) ** (-1 / 3)
        draw = lambda index, shape: std * jr.normal(jr.fold_in(key, index), shape, dtype)  # noqa: E731
        self.first, self.second, self.readout = draw(0, (p, width)), draw(1, (p, width)), draw(2, (width, p))

    def preactivations(self, pair: Int[Array, " 2"]) -> Float[Array, " width"]:
        """Inputs of the activation for one pair; integers must lie in [0, p)."""
        return self.first[pair[0]] + self.second[pair[1]]

    def read_out(self, preactivations: Float[Array, " width"]) -> Float[Array, " p"]:
        """Outputs from the inputs of the activation."""
        return preactivations**2 @ self.readout

    def __call__(self, pair: Int[Array, " 2"]) -> Float[Array, " p"]:
        """Outputs for one pair of integers."""
        return self.read_out(self.preactivations(pair))

    def mask_neurons(self, keep: Bool[Array, " width"]) -> "QuadraticMLP":
        """Return the network with the weights into and out of the neurons that are not kept set to zero."""
        masked = [
            jnp.where(k, w, 0) for k, w in ((keep, self.first), (keep, self.second), (keep[:, None], self.readout))
        ]
        return eqx.tree_at(lambda m: (m.first, m.second, m.readout), self, masked)


class PreactivationDropout(eqx.Module):
    """A `forward` for `Supervised` that drops inputs of the activation while training and none when evaluating.

    Works with any model of one example that has `preactivations` and `read_out`.

    Attributes:
        rate: probability in [0, 1) to drop one; traced, so that a grid of rates needs no new compilation.

    Example:
        >>> model = QuadraticMLP(jr.key(0), p=7, width=16)
        >>> pairs = jnp.array([[1, 2], [3, 4]])
        >>> forward = PreactivationDropout(0.6)
        >>> evaluated = forward(model, pairs, None)
        >>> bool(jnp.allclose(evaluated, jax.vmap(model)(pairs))), forward(model, pairs, jr.key(1)).shape
        (True, (2, 7))
    """

    rate: ArrayLike

    def __call__(
        self, model: QuadraticMLP, pairs: Int[Array, "batch 2"], key: PRNGKeyArray | None
    ) -> Float[Array, "batch p"]:
        """Outputs on a batch, with dropout if there is a key."""
        hidden = jax.vmap(model.preactivations)(pairs)
        if key is not None:
            keep = jr.bernoulli(key, 1 - jnp.asarray(self.rate, hidden.dtype), hidden.shape)
            hidden = jnp.where(keep, hidden / (1 - self.rate), 0)
        return jax.vmap(model.read_out)(hidden)


class BatchNormMLP(eqx.Module):
    """`QuadraticMLP` with batch normalisation of the activations: `W norm((U_a + V_b)^2)`.

    Its outputs depend on the batch (`batch_norm_forward`) or on running statistics (`batch_norm_evaluate`), which are
    no part of the model: they are the state of the process that trains it.

    Args:
        key: as for `QuadraticMLP`.
        p: as for `QuadraticMLP`.
        width: as for `QuadraticMLP`.
        init_scale: as for `QuadraticMLP`.
        dtype: as for `QuadraticMLP`.

    Attributes:
        net: the network.
        norm: scale and shift of each neuron.

    Example:
        >>> model = BatchNormMLP(jr.key(0), p=7, width=16)
        >>> outputs, statistics = batch_norm_forward(model, BatchStatistics.standard(16), jnp.array([[1, 2], [3, 4]]))
        >>> outputs.shape, statistics.mean.shape
        ((2, 7), (16,))
    """

    net: QuadraticMLP
    norm: BatchNorm

    def __init__(
        self,
        key: PRNGKeyArray,
        p: int = 97,
        width: int = 500,
        init_scale: float = 0.5,
        dtype: DTypeLike = jnp.float32,
    ):
        self.net = QuadraticMLP(key, p, width, init_scale, dtype)
        self.norm = BatchNorm(width, dtype=dtype)

    def mask_neurons(self, keep: Bool[Array, " width"]) -> "BatchNormMLP":
        """Return the network with the weights into and out of the neurons that are not kept set to zero."""
        return eqx.tree_at(lambda m: m.net, self, self.net.mask_neurons(keep))


def _activations(model: BatchNormMLP, pairs: Int[Array, "batch 2"]) -> Float[Array, "batch width"]:
    return jax.vmap(model.net.preactivations)(pairs) ** 2


def batch_norm_forward(
    model: BatchNormMLP, statistics: BatchStatistics, pairs: Int[Array, "batch 2"], key: PRNGKeyArray | None = None
) -> tuple[Float[Array, "batch p"], BatchStatistics]:
    """Outputs on a batch normalised by its own statistics: the `forward` of `SupervisedWithStatistics`.

    Args:
        model: the network.
        statistics: running statistics before this batch.
        pairs: inputs.
        key: not used.

    Returns:
        The outputs and the running statistics after this batch.
    """
    del key
    normalised, statistics = model.norm(_activations(model, pairs), statistics)
    return normalised @ model.net.readout, statistics


def batch_norm_evaluate(
    model: BatchNormMLP, statistics: BatchStatistics, pairs: Int[Array, "batch 2"]
) -> Float[Array, "batch p"]:
    """Outputs normalised by the running statistics: the `evaluate` of `SupervisedWithStatistics`.

    Args:
        model: the network.
        statistics: running statistics.
        pairs: inputs.

    Returns:
        The outputs; those of one example do not depend on the others.
    """
    return model.norm.evaluate(_activations(model, pairs), statistics) @ model.net.readout


def modular_addition_teacher(
    key: PRNGKeyArray, p: int = 97, width: int = 500, dtype: DTypeLike = jnp.float32
) -> QuadraticMLP:
    """The analytical network for addition modulo p: cosines of one frequency a neuron, with random phases.

    `U_ak = cos(2 pi s_k a / p + phi_k)`, `V_bk = cos(2 pi s_k b / p + psi_k)` and
    `W_kq = cos(2 pi s_k q / p + phi_k + psi_k)`. The cross term of the square adds up to p/2 deltas at `q = a + b`; all
    other terms carry random phases and average out as the width grows. Frequencies s_k cycle through 1..(p - 1)/2.

    Args:
        key: drives the phases, uniform in [0, 2 pi).
        p: odd modulus, at least 3.
        width: number of neurons; at p = 97 the accuracy is 0.8 to 0.9 with 48 and 1 from 192 on.
        dtype: float dtype of the weights.

    Returns:
        The network.

    Raises:
        ValueError: if `p` is even or less than 3.

    References:
        Gromov (2023), arXiv 2301.02679.

    Example:
        >>> model = modular_addition_teacher(jr.key(0), p=11, width=300)
        >>> int(jnp.argmax(model(jnp.array([9, 5]))))
        3
    """
    if p < 3 or p % 2 == 0:
        raise ValueError(f"`p` must be odd and at least 3, so that frequencies come in pairs; got {p}.")
    phases = jr.uniform(key, (2, width), resolve_float_dtype(dtype), maxval=2 * math.pi)
    frequencies = jnp.arange(width) % ((p - 1) // 2) + 1
    # reduced before the multiplication, which keeps the argument small and the cosine exact to rounding
    angles = (jnp.arange(p)[:, None] * frequencies % p).astype(phases.dtype) * (2 * math.pi / p)
    model = QuadraticMLP(key, p, width, dtype=dtype)
    weights = (jnp.cos(angles + phases[0]), jnp.cos(angles + phases[1]), jnp.cos(angles + phases.sum(0)).T)
    return eqx.tree_at(lambda m: (m.first, m.second, m.readout), model, weights)
