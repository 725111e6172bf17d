"""Free-running orbits of trained maps, and their Lyapunov exponents."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.process import AbstractProcess
from separatrix.dynamics.forcing import forced_rollout
from separatrix.numerics.lyapunov import LyapunovSpectrum, lyapunov_spectrum

__all__ = ["TrainedMap", "generate", "lyapunov_of_map", "warm_up"]


def generate(
    step: Callable[[Float[Array, "*batch M"]], Float[Array, "*batch M"]], start: Float[Array, "*batch M"], n: int
) -> Float[Array, "n *batch M"]:
    """Free-running orbit of a step function.

    Args:
        step: `z -> z'`.
        start: states to start from; not part of the result.
        n: number of steps.

    Returns:
        States after 1, ..., n steps. A diverging orbit gives infinities, not an error.

    Examples:
        >>> generate(lambda z: z / 2, jnp.ones(1), 3)[:, 0].tolist()
        [0.5, 0.25, 0.125]
    """

    def body(z, _):
        z = step(z)
        return z, z

    return jax.lax.scan(body, start, length=n)[1]


def warm_up(
    step: Callable[[Float[Array, "*batch M"]], Float[Array, "*batch M"]],
    observation: Any,
    x: Float[Array, "T *batch N"],
) -> Float[Array, "*batch M"]:
    """State of a model with memory after it has read a stretch of measurements.

    Args:
        step: `z -> z'`.
        observation: infers (part of) the state from measurements.
        x: measurements; the last one is where a forecast then starts.

    Returns:
        States at the time of the last measurement, with the measured part set to it.
    """
    start, zbar = observation.start(x[0]), observation.infer(x[1:])
    if not len(zbar):
        return start
    last = forced_rollout(step, start, zbar, 1.0)[-1]
    k = zbar.shape[-1]
    return jnp.concatenate([zbar[-1], last[..., k:]], axis=-1)


class TrainedMap(AbstractProcess):
    """A trained model as an autonomous process.

    Attributes:
        model: with `step(z)`.
        start: first state, shape `(M,)`.
        spread: standard deviation of the Gaussian added to it, so that seeds differ.
    """

    model: Any
    start: Float[Array, " M"]
    spread: ArrayLike = 0.0

    def init(self, key: Key[Array, ""]):
        """Return the first state, perturbed by `spread`."""
        return self.start + self.spread * jr.normal(key, self.start.shape, self.start.dtype)

    def step(self, state, x, key):
        """Apply the map once."""
        del x, key
        return self.model.step(state), {}


def lyapunov_of_map(
    model: Any,
    z0: Float[ArrayLike, " M"],
    n: int = 20_000,
    *,
    discard: int = 1_000,
    dt: float = 1.0,
    k: int | None = None,
    label: str = "lyapunov of map",
) -> LyapunovSpectrum:
    """Lyapunov exponents of a trained map, in float64.

    Args:
        model: with `step(z)`; its arrays are taken to float64.
        z0: a state near the attractor.
        n: number of steps after the transient, a multiple of 20.
        discard: steps of the transient.
        dt: time between two steps; the exponents are then per unit time.
        k: number of exponents; all by default.
        label: names the run for its monitor.

    Returns:
        Exponents in nats per unit time, largest first, and their standard errors.

    Examples:
        >>> from separatrix.models import PLRNN
        >>> model = PLRNN(2, jr.key(0))
        >>> model = eqx.tree_at(lambda m: (m.A, m.W), model, (jnp.array([0.5, 0.25]), jnp.zeros((2, 2))))
        >>> lyapunov_of_map(model, [1.0, 1.0], n=100, discard=20).exponents.round(4).tolist()
        [-0.6931, -1.3863]
    """
    with jax.enable_x64():
        double = lambda a: jnp.asarray(a, jnp.float64) if eqx.is_inexact_array(a) else a  # noqa: E731
        process = TrainedMap(jax.tree.map(double, model), jnp.asarray(z0, jnp.float64))
        spectrum = lyapunov_spectrum(process, jr.key(0), n + discard, discard=discard, k=k, label=label)
    return LyapunovSpectrum(spectrum.exponents / dt, spectrum.standard_errors / dt)
