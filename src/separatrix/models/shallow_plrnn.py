"""Shallow piecewise-linear recurrent networks: a diagonal linear part and one hidden layer of rectifiers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import initial_diagonal, input_matrix, spectral_norm, uniform, with_input

__all__ = ["ClippedShallowPLRNN", "ShallowPLRNN"]


class ShallowPLRNN(eqx.Module):
    """`z' = A z + W1 relu(W2 z + h2) + h1 [+ C s]`.

    Args:
        M: number of units of the state.
        H: number of hidden units.
        key: drives the initial weights: `A` from a normalised positive-definite matrix, `W1` uniform in 1/sqrt(H),
            `W2` in 1/sqrt(M), biases zero.
        num_inputs: number of external inputs; none by default.

    Attributes:
        A: diagonal of the linear part, shape `(M,)`.
        W1: shape `(M, H)`.
        W2: shape `(H, M)`.
        h1: shape `(M,)`.
        h2: shape `(H,)`.
        C: shape `(M, num_inputs)`, or None.

    References:
        Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406.

    Examples:
        >>> import jax.random as jr
        >>> model = ShallowPLRNN(3, 50, jr.key(0))
        >>> model.step(jnp.zeros((7, 3))).shape, model.jacobian(jnp.zeros(3)).shape
        ((7, 3), (3, 3))
    """

    A: Float[Array, " M"]
    W1: Float[Array, "M H"]
    W2: Float[Array, "H M"]
    h1: Float[Array, " M"]
    h2: Float[Array, " H"]
    C: Float[Array, "M P"] | None = None

    def __init__(self, M: int, H: int, key: Key[Array, ""], num_inputs: int = 0):
        self.A = initial_diagonal(M, key)
        self.W1 = uniform(named_key(key, "W1"), (M, H))
        self.W2 = uniform(named_key(key, "W2"), (H, M))
        self.h1 = jnp.zeros_like(self.A)
        self.h2 = jnp.zeros(H, self.A.dtype)
        self.C = input_matrix(M, num_inputs, key)

    def step(self, z: Float[Array, "*batch M"], s: Float[Array, "*batch P"] | None = None) -> Float[Array, "*batch M"]:
        """Advance states by one step, with external inputs `s` if the model has them."""
        hidden = jax.nn.relu(z @ self.W2.T + self.h2)
        return with_input(self.A * z + hidden @ self.W1.T + self.h1, self.C, s)

    def gates(self, z: Float[Array, "*batch M"]) -> Bool[Array, "*batch H 1"]:
        """Return which rectifiers are open."""
        return (z @ self.W2.T + self.h2 > 0)[..., None]

    def gate_options(self) -> list[Bool[np.ndarray, "options 1"]]:
        """Return, for each hidden unit, the patterns that its gates can show."""
        return [np.array([[False], [True]])] * len(self.h2)

    def piece(self, gates: Bool[Array, "*batch H 1"]) -> tuple[Float[Array, "*batch M M"], Float[Array, "*batch M"]]:
        """Return matrix and offset of the affine map that holds where the gates are as given (without input)."""
        slopes = gates[..., 0].astype(self.A.dtype)
        return _matrix(self, slopes), (slopes * self.h2) @ self.W1.T + self.h1

    def jacobian(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M M"]:
        """Return the derivative of the step by the state."""
        return _matrix(self, self.gates(z)[..., 0].astype(self.A.dtype))

    def norm_bound(self) -> Float[Array, ""]:
        """Return a bound on the spectral norm of the Jacobian that holds everywhere."""
        return jnp.max(jnp.abs(self.A)) + spectral_norm(self.W1) * spectral_norm(self.W2)

    def couplings(self) -> tuple[Float[Array, "..."], ...]:
        """Return the arrays that the regulariser pulls to zero."""
        return (self.W1, self.W2, self.h1, self.h2)


class ClippedShallowPLRNN(eqx.Module):
    """`z' = A z + W1 [relu(W2 z + h2) - relu(W2 z)] + h1 [+ C s]`; its orbits are bounded if all `|A_i| < 1`.

    Args:
        M: number of units of the state.
        H: number of hidden units.
        key: drives the initial weights, as in `ShallowPLRNN` but for `h2`, uniform in 1/sqrt(H).
        num_inputs: number of external inputs; none by default.

    Attributes:
        A: diagonal of the linear part, shape `(M,)`.
        W1: shape `(M, H)`.
        W2: shape `(H, M)`.
        h1: shape `(M,)`.
        h2: shape `(H,)`.
        C: shape `(M, num_inputs)`, or None.

    References:
        Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406.

    Examples:
        >>> import jax.random as jr
        >>> model = ClippedShallowPLRNN(3, 50, jr.key(0))
        >>> sum(a.size for a in jax.tree.leaves(model))
        356
    """

    A: Float[Array, " M"]
    W1: Float[Array, "M H"]
    W2: Float[Array, "H M"]
    h1: Float[Array, " M"]
    h2: Float[Array, " H"]
    C: Float[Array, "M P"] | None = None

    def __init__(self, M: int, H: int, key: Key[Array, ""], num_inputs: int = 0):
        self.A = initial_diagonal(M, key)
        self.W1 = uniform(named_key(key, "W1"), (M, H))
        self.W2 = uniform(named_key(key, "W2"), (H, M))
        self.h1 = jnp.zeros_like(self.A)
        self.h2 = uniform(named_key(key, "h2"), (H,))
        self.C = input_matrix(M, num_inputs, key)

    def step(self, z: Float[Array, "*batch M"], s: Float[Array, "*batch P"] | None = None) -> Float[Array, "*batch M"]:
        """Advance states by one step, with external inputs `s` if the model has them."""
        drive = z @ self.W2.T
        hidden = jax.nn.relu(drive + self.h2) - jax.nn.relu(drive)
        return with_input(self.A * z + hidden @ self.W1.T + self.h1, self.C, s)

    def gates(self, z: Float[Array, "*batch M"]) -> Bool[Array, "*batch H 2"]:
        """Return which rectifiers are open, the shifted one first."""
        drive = z @ self.W2.T
        return jnp.stack([drive + self.h2 > 0, drive > 0], axis=-1)

    def gate_options(self) -> list[Bool[np.ndarray, "options 2"]]:
        """Return, for each hidden unit, the patterns that its gates can show."""
        up, down = np.array([[0, 0], [1, 0], [1, 1]], bool), np.array([[0, 0], [0, 1], [1, 1]], bool)
        return [up if shift > 0 else down for shift in np.asarray(self.h2)]

    def piece(self, gates: Bool[Array, "*batch H 2"]) -> tuple[Float[Array, "*batch M M"], Float[Array, "*batch M"]]:
        """Return matrix and offset of the affine map that holds where the gates are as given (without input)."""
        opened = gates.astype(self.A.dtype)
        offset = (opened[..., 0] * self.h2) @ self.W1.T + self.h1
        return _matrix(self, opened[..., 0] - opened[..., 1]), offset

    def jacobian(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M M"]:
        """Return the derivative of the step by the state."""
        drive = z @ self.W2.T
        slopes = (drive + self.h2 > 0).astype(z.dtype) - (drive > 0).astype(z.dtype)
        return _matrix(self, slopes)

    def norm_bound(self) -> Float[Array, ""]:
        """Return a bound on the spectral norm of the Jacobian that holds everywhere."""
        return jnp.max(jnp.abs(self.A)) + spectral_norm(self.W1) * spectral_norm(self.W2)

    def orbit_bound(self) -> Float[Array, ""]:
        """Return the norm that no orbit without input exceeds in the long run; infinite unless all `|A_i| < 1`."""
        largest = jnp.max(jnp.abs(self.A))
        push = spectral_norm(self.W1) * jnp.linalg.norm(self.h2) + jnp.linalg.norm(self.h1)
        return jnp.where(largest < 1, push / (1 - largest), jnp.inf)

    def couplings(self) -> tuple[Float[Array, "..."], ...]:
        """Return the arrays that the regulariser pulls to zero."""
        return (self.W1, self.W2, self.h1, self.h2)


def _matrix(model, slopes: Float[Array, "*batch H"]) -> Float[Array, "*batch M M"]:
    # diag(A) + W1 diag(slopes) W2 for a whole batch is one matrix product
    M, H = model.W1.shape
    outer = model.W1.T[:, :, None] * model.W2[:, None, :]
    return (slopes @ outer.reshape(H, M * M)).reshape(*slopes.shape[:-1], M, M) + jnp.diag(model.A)
