"""How a state is seen: observation models, and the states that they infer from data."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Bool, Float, Key

from separatrix._core.keys import named_key

__all__ = ["AffineObservation", "IdentityObservation"]


class IdentityObservation(eqx.Module):
    """The first N units are what is measured, `x = z_{1:N}`.

    With more units than measurements, data force the first N only, and the others start at `L x` with a learned L.

    Args:
        N: number of measured variables.
        M: number of units; N by default.
        key: drives the initial `L`, uniform within 1/sqrt(N); needed only if `M > N`.

    Attributes:
        L: shape `(M - N, N)`, or None.

    Raises:
        ValueError: if `M < N`, or a key is missing.

    Examples:
        >>> observation = IdentityObservation(2, 3, jr.key(0))
        >>> observation.start(jnp.ones(2)).shape, observation.infer(jnp.ones(2)).shape
        ((3,), (2,))
    """

    N: int = eqx.field(static=True)
    M: int = eqx.field(static=True)
    L: Float[Array, "extra N"] | None = None

    def __init__(self, N: int, M: int | None = None, key: Key[Array, ""] | None = None):
        self.N, self.M = N, N if M is None else M
        if self.M < N:
            raise ValueError(f"`M` must be at least `N`; got M={M} and N={N}. Use AffineObservation for fewer units.")
        if self.M > N and key is None:
            raise ValueError("more units than measurements start at a learned state: pass `key`.")
        bound = 1 / math.sqrt(N)
        self.L = (
            None
            if key is None or self.M == N
            else jr.uniform(named_key(key, "L"), (self.M - N, N), minval=-bound, maxval=bound)
        )

    def observe(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch N"]:
        """Return the measurements of states."""
        return z[..., : self.N]

    def infer(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch N"]:
        """Return the units that measurements determine, the first N."""
        return x

    def determined(self, observed: Bool[Array, "*batch N"]) -> Bool[Array, "*batch N"]:
        """Return which of the inferred units are known when some measurements are missing."""
        return observed

    def start(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch M"]:
        """Return whole states to start from."""
        return x if self.L is None else jnp.concatenate([x, x @ self.L.T], axis=-1)


class AffineObservation(eqx.Module):
    """`x = B z [+ b]`; states are inferred by the pseudo-inverse of B, through which gradients flow.

    Args:
        N: number of measured variables.
        M: number of units.
        key: drives the initial B, normal with variance 2 / M (Kaiming).
        bias: whether there is an offset b.

    Attributes:
        B: shape `(N, M)`.
        b: shape `(N,)`, or None.

    Examples:
        >>> observation = AffineObservation(3, 2, jr.key(0))
        >>> z = jnp.array([1.0, -2.0])
        >>> bool(jnp.allclose(observation.infer(observation.observe(z)), z, atol=1e-5))
        True
    """

    B: Float[Array, "N M"]
    b: Float[Array, " N"] | None = None

    def __init__(self, N: int, M: int, key: Key[Array, ""], bias: bool = False):
        self.B = jr.normal(named_key(key, "B"), (N, M)) * math.sqrt(2 / M)
        self.b = jnp.zeros(N) if bias else None

    def observe(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch N"]:
        """Return the measurements of states."""
        x = z @ self.B.T
        return x if self.b is None else x + self.b

    def infer(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch M"]:
        """Return the states of least norm that fit measurements best."""
        return (x if self.b is None else x - self.b) @ jnp.linalg.pinv(self.B).T

    def determined(self, observed: Bool[Array, "*batch N"]) -> Bool[Array, "*batch 1"]:
        """Return which of the inferred states are known when some measurements are missing: those with none missing."""
        return observed.all(axis=-1, keepdims=True)

    def start(self, x: Float[Array, "*batch N"]) -> Float[Array, "*batch M"]:
        """Return states to start from, the inferred ones."""
        return self.infer(x)

    def condition_penalty(self) -> Float[Array, ""]:
        """Return `(1 - sigma_max / sigma_min)^2` of B, which keeps the inference well conditioned."""
        values = jax.numpy.linalg.svd(self.B, compute_uv=False)
        return (1 - values[0] / (values[-1] + 1e-8)) ** 2
