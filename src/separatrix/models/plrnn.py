"""Piecewise-linear recurrent networks whose rectifiers sit on the units of the state."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from separatrix.models.plrnn_pieces import initial_coupling, input_matrix, spectral_norm, with_input

__all__ = ["PLRNN", "MeanCentredPLRNN"]


def _off_diagonal(W: Float[Array, "M M"]) -> Float[Array, "M M"]:
    return W * (1 - jnp.eye(len(W), dtype=W.dtype))


class PLRNN(eqx.Module):
    """`z' = A z + W relu(z) + h [+ C s]`; the diagonal of W is not used.

    Args:
        M: number of units.
        key: drives the initial weights, diagonal and rest of a normalised positive-definite matrix.
        num_inputs: number of external inputs; none by default.

    Attributes:
        A: diagonal of the linear part, shape `(M,)`.
        W: coupling, shape `(M, M)`.
        h: shape `(M,)`.
        C: shape `(M, num_inputs)`, or None.

    References:
        Durstewitz (2017), PLoS Comput. Biol. 13, e1005542.

    Examples:
        >>> import jax.random as jr
        >>> PLRNN(3, jr.key(0)).step(jnp.zeros(3)).tolist()
        [0.0, 0.0, 0.0]
    """

    A: Float[Array, " M"]
    W: Float[Array, "M M"]
    h: Float[Array, " M"]
    C: Float[Array, "M P"] | None = None

    def __init__(self, M: int, key: Key[Array, ""], num_inputs: int = 0):
        k = initial_coupling(M, key)
        self.A, self.W = jnp.diagonal(k), _off_diagonal(k)
        self.h = jnp.zeros_like(self.A)
        self.C = input_matrix(M, num_inputs, key)

    def step(self, z: Float[Array, "*batch M"], s: Float[Array, "*batch P"] | None = None) -> Float[Array, "*batch M"]:
        """Advance states by one step, with external inputs `s` if the model has them."""
        return with_input(self.A * z + jax.nn.relu(z) @ _off_diagonal(self.W).T + self.h, self.C, s)

    def gates(self, z: Float[Array, "*batch M"]) -> Bool[Array, "*batch M 1"]:
        """Return which rectifiers are open."""
        return (z > 0)[..., None]

    def gate_options(self) -> list[Bool[np.ndarray, "options 1"]]:
        """Return, for each unit, the patterns that its gates can show."""
        return [np.array([[False], [True]])] * len(self.A)

    def piece(self, gates: Bool[Array, "*batch M 1"]) -> tuple[Float[Array, "*batch M M"], Float[Array, "*batch M"]]:
        """Return matrix and offset of the affine map that holds where the gates are as given (without input)."""
        slopes = gates[..., 0].astype(self.A.dtype)
        matrix = _off_diagonal(self.W) * slopes[..., None, :] + jnp.diag(self.A)
        return matrix, jnp.broadcast_to(self.h, slopes.shape)

    def jacobian(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M M"]:
        """Return the derivative of the step by the state."""
        return self.piece(self.gates(z))[0]

    def norm_bound(self) -> Float[Array, ""]:
        """Return a bound on the spectral norm of the Jacobian that holds everywhere."""
        return jnp.max(jnp.abs(self.A)) + spectral_norm(_off_diagonal(self.W))

    def couplings(self) -> tuple[Float[Array, "..."], ...]:
        """Return the arrays that the regulariser pulls to zero."""
        return (_off_diagonal(self.W), self.h)


class MeanCentredPLRNN(eqx.Module):
    """`z' = A z + W relu(z - mean(z)) + h [+ C s]`: a layer normalisation that keeps the map piecewise linear.

    Args:
        M: number of units.
        key: drives the initial weights, as in `PLRNN`.
        num_inputs: number of external inputs; none by default.

    Attributes:
        A: diagonal of the linear part, shape `(M,)`.
        W: coupling, shape `(M, M)`; its diagonal is not used.
        h: shape `(M,)`.
        C: shape `(M, num_inputs)`, or None.

    References:
        Brenner et al. (2022), ICML, arXiv:2207.02542.

    Examples:
        >>> import jax.random as jr
        >>> model = MeanCentredPLRNN(3, jr.key(0))
        >>> bool(jnp.allclose(model.step(jnp.ones(3)), model.A))  # no unit is above the mean
        True
    """

    A: Float[Array, " M"]
    W: Float[Array, "M M"]
    h: Float[Array, " M"]
    C: Float[Array, "M P"] | None = None

    def __init__(self, M: int, key: Key[Array, ""], num_inputs: int = 0):
        k = initial_coupling(M, key)
        self.A, self.W = jnp.diagonal(k), _off_diagonal(k)
        self.h = jnp.zeros_like(self.A)
        self.C = input_matrix(M, num_inputs, key)

    def step(self, z: Float[Array, "*batch M"], s: Float[Array, "*batch P"] | None = None) -> Float[Array, "*batch M"]:
        """Advance states by one step, with external inputs `s` if the model has them."""
        hidden = jax.nn.relu(z - z.mean(-1, keepdims=True))
        return with_input(self.A * z + hidden @ _off_diagonal(self.W).T + self.h, self.C, s)

    def gates(self, z: Float[Array, "*batch M"]) -> Bool[Array, "*batch M 1"]:
        """Return which rectifiers are open."""
        return (z > z.mean(-1, keepdims=True))[..., None]

    def gate_options(self) -> list[Bool[np.ndarray, "options 1"]]:
        """Return, for each unit, the patterns that its gates can show."""
        return [np.array([[False], [True]])] * len(self.A)

    def piece(self, gates: Bool[Array, "*batch M 1"]) -> tuple[Float[Array, "*batch M M"], Float[Array, "*batch M"]]:
        """Return matrix and offset of the affine map that holds where the gates are as given (without input)."""
        slopes = gates[..., 0].astype(self.A.dtype)
        weighted = _off_diagonal(self.W) * slopes[..., None, :]
        matrix = weighted - weighted.mean(-1, keepdims=True) + jnp.diag(self.A)
        return matrix, jnp.broadcast_to(self.h, slopes.shape)

    def jacobian(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M M"]:
        """Return the derivative of the step by the state."""
        return self.piece(self.gates(z))[0]

    def norm_bound(self) -> Float[Array, ""]:
        """Return a bound on the spectral norm of the Jacobian; subtracting the mean is a projection, of norm one."""
        return jnp.max(jnp.abs(self.A)) + spectral_norm(_off_diagonal(self.W))

    def couplings(self) -> tuple[Float[Array, "..."], ...]:
        """Return the arrays that the regulariser pulls to zero."""
        return (_off_diagonal(self.W), self.h)
