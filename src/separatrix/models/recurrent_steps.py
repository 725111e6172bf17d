"""Gated recurrent networks as maps of one state vector, so that forcing and generation know no special case.

The state is `[output, memory]`: a network reads its own last output as its input. Forcing the output towards data with
weight one is the usual training of a one-step predictor; weight zero is free running.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import uniform

__all__ = ["GRUStep", "LSTMStep"]


class LSTMStep(eqx.Module):
    """Long short-term memory on the state `[output (N), h (size), c (size)]`.

    Args:
        N: number of variables.
        size: number of memory cells.
        key: drives the initial weights, uniform within 1/sqrt(size).

    Attributes:
        weights: of input and memory to the gates (input, forget, cell, output), shape `(4 size, size + N)`.
        bias: shape `(4 size,)`, with 1 for the forget gates.
        readout: shape `(N, size)`.
        offset: shape `(N,)`.

    References:
        Hochreiter and Schmidhuber (1997), Neural Comput. 9, 1735-1780.

    Examples:
        >>> import jax.random as jr
        >>> model = LSTMStep(3, 8, jr.key(0))
        >>> model.dim, model.step(jnp.zeros((5, model.dim))).shape
        (19, (5, 19))
    """

    weights: Float[Array, "gates wide"]
    bias: Float[Array, " gates"]
    readout: Float[Array, "N size"]
    offset: Float[Array, " N"]

    def __init__(self, N: int, size: int, key: Key[Array, ""]):
        self.weights = uniform(named_key(key, "weights"), (4 * size, N + size), fan=size)
        self.bias = jnp.zeros(4 * size).at[size : 2 * size].set(1.0)
        self.readout = uniform(named_key(key, "readout"), (N, size))
        self.offset = jnp.zeros(N)

    @property
    def dim(self) -> int:
        """Length of the state."""
        return len(self.offset) + len(self.bias) // 2

    def step(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M"]:
        """Advance states by one step."""
        N, size = self.readout.shape
        memory = z[..., N + size :]
        gates = z[..., : N + size] @ self.weights.T + self.bias
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        memory = jax.nn.sigmoid(f) * memory + jax.nn.sigmoid(i) * jnp.tanh(g)
        hidden = jax.nn.sigmoid(o) * jnp.tanh(memory)
        return jnp.concatenate([hidden @ self.readout.T + self.offset, hidden, memory], axis=-1)


class GRUStep(eqx.Module):
    """Gated recurrent unit on the state `[output (N), h (size)]`.

    Args:
        N: number of variables.
        size: number of memory cells.
        key: drives the initial weights, uniform within 1/sqrt(size).

    Attributes:
        gates: weights of input and memory to reset and update gates, shape `(2 size, N + size)`.
        gates_bias: shape `(2 size,)`.
        candidate: weights of input and reset memory to the candidate, shape `(size, N + size)`.
        candidate_bias: shape `(size,)`.
        readout: shape `(N, size)`.
        offset: shape `(N,)`.

    References:
        Cho et al. (2014), EMNLP, arXiv:1406.1078.

    Examples:
        >>> import jax.random as jr
        >>> GRUStep(3, 8, jr.key(0)).step(jnp.zeros(11)).shape
        (11,)
    """

    gates: Float[Array, "gates wide"]
    gates_bias: Float[Array, " gates"]
    candidate: Float[Array, "size wide"]
    candidate_bias: Float[Array, " size"]
    readout: Float[Array, "N size"]
    offset: Float[Array, " N"]

    def __init__(self, N: int, size: int, key: Key[Array, ""]):
        self.gates = uniform(named_key(key, "gates"), (2 * size, N + size), fan=size)
        self.gates_bias = jnp.zeros(2 * size)
        self.candidate = uniform(named_key(key, "candidate"), (size, N + size), fan=size)
        self.candidate_bias = jnp.zeros(size)
        self.readout = uniform(named_key(key, "readout"), (N, size))
        self.offset = jnp.zeros(N)

    @property
    def dim(self) -> int:
        """Length of the state."""
        return len(self.offset) + len(self.candidate_bias)

    def step(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M"]:
        """Advance states by one step."""
        N = len(self.offset)
        x, h = z[..., :N], z[..., N:]
        reset, update = jnp.split(jax.nn.sigmoid(z @ self.gates.T + self.gates_bias), 2, axis=-1)
        new = jnp.tanh(jnp.concatenate([x, reset * h], axis=-1) @ self.candidate.T + self.candidate_bias)
        h = (1 - update) * new + update * h
        return jnp.concatenate([h @ self.readout.T + self.offset, h], axis=-1)
