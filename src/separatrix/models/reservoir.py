"""Echo state networks: a fixed random recurrent network whose readout is fitted by ridge regression."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.keys import named_key

__all__ = ["EchoState", "fit_echo_state"]


class EchoState(eqx.Module):
    """A leaky reservoir on the state `[output (N), r (size)]` that reads its own last output.

    `r' = (1 - leak) r + leak tanh(W_in x + W r)`, `x' = readout [1, r']`.

    Args:
        N: number of variables.
        size: number of units of the reservoir.
        key: drives the random weights.
        spectral_radius: of the recurrent matrix W.
        input_scaling: standard deviation of the non-zero input weights.
        connectivity: share of non-zero recurrent weights.
        input_connectivity: share of non-zero input weights.
        leak: of each unit, in (0, 1]; above 1 the state may blow up.

    Attributes:
        W: shape `(size, size)`.
        W_in: shape `(size, N)`.
        readout: shape `(N, size + 1)`, zero until fitted.
        leak: as given.

    References:
        Jaeger (2001), GMD report 148. Defaults of Gilpin (2023), Phys. Rev. Research 5, 043252.

    Examples:
        >>> EchoState(3, 20, jr.key(0)).step(jnp.zeros(23)).shape
        (23,)
    """

    W: Float[Array, "size size"]
    W_in: Float[Array, "size N"]
    readout: Float[Array, "N wide"]
    leak: ArrayLike

    def __init__(
        self,
        N: int,
        size: int,
        key: Key[Array, ""],
        *,
        spectral_radius: ArrayLike = 0.99,
        input_scaling: ArrayLike = 1.0,
        connectivity: float = 0.1,
        input_connectivity: float = 0.2,
        leak: ArrayLike = 1.0,
    ):
        w = jr.normal(named_key(key, "W"), (size, size))
        w = w * jr.bernoulli(named_key(key, "mask"), connectivity, w.shape)
        self.W = w * (spectral_radius / _spectral_radius(w))
        inputs = jr.normal(named_key(key, "W_in"), (size, N))
        self.W_in = (
            jnp.asarray(input_scaling)
            * inputs
            * jr.bernoulli(named_key(key, "mask_in"), input_connectivity, inputs.shape)
        )
        self.readout = jnp.zeros((N, size + 1))
        self.leak = leak

    @property
    def dim(self) -> int:
        """Length of the state."""
        return sum(self.W_in.shape)

    def drive(self, r: Float[Array, "*batch size"], x: Float[Array, "*batch N"]) -> Float[Array, "*batch size"]:
        """Return the reservoir's next state under the input `x`."""
        leak = jnp.asarray(self.leak)
        return (1 - leak) * r + leak * jnp.tanh(x @ self.W_in.T + r @ self.W.T)

    def step(self, z: Float[Array, "*batch M"]) -> Float[Array, "*batch M"]:
        """Advance states by one step."""
        N = len(self.readout)
        r = self.drive(z[..., N:], z[..., :N])
        return jnp.concatenate([self.readout[:, 0] + r @ self.readout[:, 1:].T, r], axis=-1)


def _spectral_radius(w: Float[Array, "n n"]) -> Float[Array, ""]:
    # power iteration on blocks would miss complex pairs; Gelfand's formula by repeated squaring does not care
    def square(carry, _):
        matrix, log = carry
        size = jnp.linalg.norm(matrix)
        matrix = matrix / size
        return (matrix @ matrix, 2 * (log + jnp.log(size))), None

    (matrix, log), _ = jax.lax.scan(square, (w, jnp.zeros(())), length=12)
    return jnp.exp((log + jnp.log(jnp.linalg.norm(matrix))) / 2**12)


def fit_echo_state(
    reservoir: EchoState, x: Float[Array, "T N"], ridge: ArrayLike = 1e-4, washout: int | None = None
) -> EchoState:
    """Fit the readout to predict the next measurement, with the reservoir driven by the data.

    Args:
        reservoir: with any readout.
        x: measurements at consecutive times.
        ridge: penalty on the readout, added to the matrix of second moments (means over samples, not sums).
        washout: first steps left out; the smaller of 100 and a tenth by default.

    Returns:
        The reservoir with its readout.

    Raises:
        ValueError: if nothing is left to fit.

    Examples:
        >>> x = jnp.stack([jnp.sin(0.2 * jnp.arange(400)), jnp.cos(0.2 * jnp.arange(400))], axis=1)
        >>> model = fit_echo_state(EchoState(2, 50, jr.key(0)), x, ridge=1e-6)
        >>> model.readout.shape
        (2, 51)
    """
    washout = min(100, len(x) // 10) if washout is None else washout
    if len(x) - 1 <= washout:
        raise ValueError(f"{len(x)} measurements are too few for a washout of {washout}; pass more, or less washout.")

    def body(r, inputs):
        r = reservoir.drive(r, inputs)
        return r, r

    states = jax.lax.scan(body, jnp.zeros(len(reservoir.W), x.dtype), x[:-1])[1][washout:]
    features = jnp.concatenate([jnp.ones_like(states[:, :1]), states], axis=1)
    gram = features.T @ features / len(features)
    moment = features.T @ x[washout + 1 :] / len(features)
    readout = jnp.linalg.solve(gram + ridge * jnp.eye(len(gram), dtype=gram.dtype), moment).T
    return eqx.tree_at(lambda m: m.readout, reservoir, readout)
