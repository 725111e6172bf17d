"""Piecewise-linear recurrent networks whose units sum several rectifiers, as dendrites do."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from separatrix._core.keys import named_key
from separatrix.models.plrnn_pieces import initial_coupling, input_matrix, spectral_norm, uniform, with_input

__all__ = ["ClippedDendPLRNN", "DendPLRNN"]


class DendPLRNN(eqx.Module):
    """`z' = A z + W phi(z) + h [+ C s]` with `phi(z)_i = sum_b a_b relu(z_i - H_ib)`.

    Args:
        M: number of units.
        B: number of rectifiers (dendrites) a unit.
        key: drives the initial weights: A and W as in `PLRNN`; slopes `a` uniform in 1/sqrt(B) and thresholds `H`
            standard normal, the scale of standardised data (our choice; the paper's is not stated on the card).
        num_inputs: number of external inputs; none by default.

    Attributes:
        A: diagonal of the linear part, shape `(M,)`.
        W: coupling, shape `(M, M)`, whole.
        h: shape `(M,)`.
        a: slopes, shape `(B,)`.
        H: thresholds, shape `(M, B)`.
        C: shape `(M, num_inputs)`, or None.

    References:
        Brenner et al. (2022), ICML, arXiv:2207.02542.

    Examples:
        >>> DendPLRNN(3, 5, jr.key(0)).step(jnp.zeros((2, 3))).shape
        (2, 3)
    """

    A: Float[Array, " M"]
    W: Float[Array, "M M"]
    h: Float[Array, " M"]
    a: Float[Array, " B"]
    H: Float[Array, "M B"]
    C: Float[Array, "M P"] | None = None

    def __init__(self, M: int, B: int, key: Key[Array, ""], num_inputs: int = 0):
        k = initial_coupling(M, key)
        self.A = jnp.diagonal(k)
        self.W = k - jnp.diag(self.A)
        self.h = jnp.zeros_like(self.A)
        self.a = uniform(named_key(key, "a"), (B,))
        self.H = jr.normal(named_key(key, "H"), (M, B))
        self.C = input_matrix(M, num_inputs, key)

    def step(self, z: Float[Array, "*batch M"], s: Float[Array, "*batch P"] | None = None) -> Float[Array, "*batch M"]:
        """Advance states by one step, with external inputs `s` if the model has them."""
        hidden = jax.nn.relu(z[..., None] - self.H) @ self.a
        return with_input(self.A * z + hidden @ self.W.T + self.h, self.C, s)

    def gates(self, z: Float[Array, "*batch M"]) -> Bool[Array, "*batch M B"]:
        """Return which rectifiers are open."""
        return z[..., None] > self.H

    def gate_options(self) -> list[Bool[np.ndarray, "options B"]]:
        """Return, for each unit, the patterns that its gates can show: one for each interval between thresholds."""
        return [_intervals(row) for row in np.asarray(self.H)]

    def piece(self, gates: Bool[Array, "*batch M B"]) -> tuple[Float[Array, "*batch M M"], Float[Array, "*batch M"]]:
        """Return matrix and offset of the affine map that holds where the gates are as given (without input)."""
        opened = gates.astype(self.A.dtype)
        matrix = self.W * (opened @ self.a)[..., None, :] + jnp.diag(self.A)
        return matrix, self.h - ((opened * self.H) @ self.a) @ self.W.T

    def jacobian(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M M"]:
        """Return the derivative of the step by the state."""
        return self.piece(self.gates(z))[0]

    def norm_bound(self) -> Float[Array, ""]:
        """Return a bound on the spectral norm of the Jacobian that holds everywhere."""
        slope = jnp.maximum(jax.nn.relu(self.a).sum(), jax.nn.relu(-self.a).sum())
        return jnp.max(jnp.abs(self.A)) + slope * spectral_norm(self.W)

    def couplings(self) -> tuple[Float[Array, "..."], ...]:
        """Return the arrays that the regulariser pulls to zero."""
        return (self.W, self.h)


class ClippedDendPLRNN(eqx.Module):
    """`z' = A z + W phi(z) + h [+ C s]` with `phi(z)_i = sum_b a_b [relu(z_i - H_ib) - relu(z_i)]`, which is bounded.

    Args:
        M: number of units.
        B: number of rectifiers (dendrites) a unit.
        key: drives the initial weights, as in `DendPLRNN`.
        num_inputs: number of external inputs; none by default.

    Attributes:
        A: diagonal of the linear part, shape `(M,)`.
        W: coupling, shape `(M, M)`, whole.
        h: shape `(M,)`.
        a: slopes, shape `(B,)`.
        H: thresholds, shape `(M, B)`.
        C: shape `(M, num_inputs)`, or None.

    References:
        Brenner et al. (2022), ICML, arXiv:2207.02542.

    Examples:
        >>> model = ClippedDendPLRNN(3, 5, jr.key(0))
        >>> bool(jnp.all(jnp.abs(model.step(1e6 * jnp.ones(3)) - model.A * 1e6) < 100))
        True
    """

    A: Float[Array, " M"]
    W: Float[Array, "M M"]
    h: Float[Array, " M"]
    a: Float[Array, " B"]
    H: Float[Array, "M B"]
    C: Float[Array, "M P"] | None = None

    def __init__(self, M: int, B: int, key: Key[Array, ""], num_inputs: int = 0):
        k = initial_coupling(M, key)
        self.A = jnp.diagonal(k)
        self.W = k - jnp.diag(self.A)
        self.h = jnp.zeros_like(self.A)
        self.a = uniform(named_key(key, "a"), (B,))
        self.H = jr.normal(named_key(key, "H"), (M, B))
        self.C = input_matrix(M, num_inputs, key)

    def step(self, z: Float[Array, "*batch M"], s: Float[Array, "*batch P"] | None = None) -> Float[Array, "*batch M"]:
        """Advance states by one step, with external inputs `s` if the model has them."""
        hidden = (jax.nn.relu(z[..., None] - self.H) - jax.nn.relu(z)[..., None]) @ self.a
        return with_input(self.A * z + hidden @ self.W.T + self.h, self.C, s)

    def gates(self, z: Float[Array, "*batch M"]) -> Bool[Array, "*batch M B1"]:
        """Return which rectifiers are open, the unshifted one last."""
        return jnp.concatenate([z[..., None] > self.H, (z > 0)[..., None]], axis=-1)

    def gate_options(self) -> list[Bool[np.ndarray, "options B1"]]:
        """Return, for each unit, the patterns that its gates can show: one for each interval between thresholds."""
        return [_intervals(np.append(row, 0.0)) for row in np.asarray(self.H)]

    def piece(self, gates: Bool[Array, "*batch M B1"]) -> tuple[Float[Array, "*batch M M"], Float[Array, "*batch M"]]:
        """Return matrix and offset of the affine map that holds where the gates are as given (without input)."""
        opened = gates.astype(self.A.dtype)
        shifted, plain = opened[..., :-1], opened[..., -1:]
        matrix = self.W * ((shifted - plain) @ self.a)[..., None, :] + jnp.diag(self.A)
        return matrix, self.h - ((shifted * self.H) @ self.a) @ self.W.T

    def jacobian(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M M"]:
        """Return the derivative of the step by the state."""
        return self.piece(self.gates(z))[0]

    def norm_bound(self) -> Float[Array, ""]:
        """Return a bound on the spectral norm of the Jacobian that holds everywhere."""
        return jnp.max(jnp.abs(self.A)) + jnp.abs(self.a).sum() * spectral_norm(self.W)

    def orbit_bound(self) -> Float[Array, ""]:
        """Return the norm that no orbit without input exceeds in the long run; infinite unless all `|A_i| < 1`."""
        largest = jnp.max(jnp.abs(self.A))
        push = spectral_norm(self.W) * jnp.linalg.norm(jnp.abs(self.H) @ jnp.abs(self.a)) + jnp.linalg.norm(self.h)
        return jnp.where(largest < 1, push / (1 - largest), jnp.inf)

    def couplings(self) -> tuple[Float[Array, "..."], ...]:
        """Return the arrays that the regulariser pulls to zero."""
        return (self.W, self.h)


def _intervals(thresholds: np.ndarray) -> np.ndarray:
    ends = np.unique(thresholds)
    inside = np.concatenate([[ends[0] - 1], (ends[1:] + ends[:-1]) / 2, [ends[-1] + 1]])
    return inside[:, None] > thresholds[None]
