"""Lyapunov exponents of any process, from tangent vectors carried along and re-orthonormalised.

The same wrapper serves a flow on its attractor and a network under training: both are processes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from separatrix._core.probe import Probe
from separatrix._core.process import AbstractProcess
from separatrix._core.run import run
from separatrix._core.stream import Stream

__all__ = ["LyapunovSpectrum", "Tangent", "leading_exponent", "lyapunov_spectrum"]

Observable = Callable[[Any, PyTree], Float[Array, ""]]


class TangentState(NamedTuple):
    """State of `Tangent`."""

    inner: PyTree
    vectors: Float[Array, "dim k"]  # orthonormal columns
    log_growth: Float[Array, " k"]  # sums over the steps so far
    lost: Float[Array, " k"]  # what rounding took from the sums
    observed: Float[Array, ""]  # sum of the observable over the steps so far
    unseen: Float[Array, ""]  # what rounding took from it
    done: Array  # steps so far


class Tangent(AbstractProcess):
    """A process together with `k` tangent vectors of its linearisation.

    Floating-point leaves of the inner state carry the tangent; others are held. Noise and inputs are part of the map,
    so the exponents of a driven process are those of its random dynamical system.

    Attributes:
        inner: the process.
        k: number of tangent vectors; all dimensions of the state by default.
        every: steps between two QR decompositions.
        stream: input of the inner process.
        observable: function of process and state that is summed along the orbit, or None. Another program would leave
            a chaotic orbit after some rounding errors, so what is compared with exponents must be summed beside them.
    """

    inner: AbstractProcess
    k: int | None = eqx.field(static=True, default=None)
    every: int = eqx.field(static=True, default=1)
    stream: Stream | None = None
    observable: Observable | None = eqx.field(static=True, default=None)

    def init(self, key):
        """Start the process and draw random orthonormal vectors."""
        inner = self.inner.init(key)
        floats, _ = eqx.partition(inner, eqx.is_inexact_array)
        flat, _ = ravel_pytree(floats)
        dim = flat.size
        k = dim if self.k is None else self.k
        if not 1 <= k <= dim:
            raise ValueError(f"`k` must lie in 1..{dim}, the number of floating-point entries of the state; got {k}.")
        vectors = jnp.linalg.qr(jr.normal(jr.fold_in(key, 0), (dim, k), flat.dtype))[0]
        zeros, zero = jnp.zeros(k, flat.dtype), jnp.zeros((), flat.dtype)
        return TangentState(inner, vectors, zeros, zeros, zero, zero, jnp.array(0, jnp.int32))

    def step(self, state, x, key):
        """Advance the process and push the vectors through its derivative."""
        floats, rest = eqx.partition(state.inner, eqx.is_inexact_array)
        flat, unravel = ravel_pytree(floats)

        def flat_step(v):
            after, info = self.inner.step(eqx.combine(unravel(v), rest), x, key)
            after_floats, after_rest = eqx.partition(after, eqx.is_inexact_array)
            return ravel_pytree(after_floats)[0], (after, after_rest, info)

        def push(vector):
            value, tangent, (after, _, info) = jax.jvp(flat_step, (flat,), (vector,), has_aux=True)
            del value
            return tangent, after, info

        vectors, after, info = jax.vmap(push, in_axes=1, out_axes=(1, None, None))(state.vectors)
        done = state.done + 1

        def orthonormalise(v):
            q, r = jnp.linalg.qr(v)
            return q, jnp.log(jnp.abs(jnp.diagonal(r)))

        if self.every == 1:
            vectors, growth = orthonormalise(vectors)
        else:
            held = lambda v: (v, jnp.zeros_like(state.log_growth))  # noqa: E731
            vectors, growth = jax.lax.cond(done % self.every == 0, orthonormalise, held, vectors)
        total, lost = _add(state.log_growth, state.lost, growth)
        observed, unseen = state.observed, state.unseen
        if self.observable is not None:
            observed, unseen = _add(observed, unseen, self.observable(self.inner, state.inner))
        return TangentState(after, vectors, total, lost, observed, unseen, done), info


def _add(total, lost, value):
    """Kahan's summation: in float32 the plain sum of a million logarithms has no correct digit after the third."""
    value = value - lost
    after = total + value
    return after, jnp.where(jnp.isfinite(after), (after - total) - value, 0.0)


class LyapunovSpectrum(NamedTuple):
    """Lyapunov exponents with their uncertainty.

    Attributes:
        exponents: nats per step, largest first, shape `(*seeds, k)`.
        standard_errors: from the scatter of `blocks` consecutive means; it ignores correlations longer than a block.
        average: mean of the observable along the same orbit, shape `(*seeds,)`; None without one.
    """

    exponents: np.ndarray
    standard_errors: np.ndarray
    average: np.ndarray | None = None


def lyapunov_spectrum(
    process: AbstractProcess,
    key: Key[Array, "*seeds"],
    steps: int,
    *,
    discard: int = 0,
    k: int | None = None,
    every: int = 1,
    blocks: int = 20,
    stream: Stream | None = None,
    observable: Observable | None = None,
    label: str = "lyapunov",
) -> LyapunovSpectrum:
    """Lyapunov exponents of a process from `k` tangent vectors.

    Args:
        process: any process with a differentiable step.
        key: one key, or a vector of keys for several initial conditions.
        steps: number of steps, the discarded ones included.
        discard: initial transient left out of the mean, `0 <= discard < steps`.
        k: number of exponents; all by default.
        every: steps between two orthonormalisations; raise it where the QR costs more than the step.
        blocks: parts of the run whose scatter gives the standard errors; `steps - discard` must be a multiple of
            `blocks * every`.
        stream: the process's input; its own field `stream` by default.
        observable: function of process and state, such as the trace of its Jacobian, averaged along the same orbit.
        label: names the run for its monitor.

    Returns:
        Exponents in nats per step (divide by `dt` for nats per unit time), their standard errors, and the average of
        the observable if there is one.

    Raises:
        ValueError: if `discard`, `blocks`, `every` or `k` are out of range or do not fit.

    Examples:
        >>> import jax, jax.numpy as jnp, jax.random as jr
        >>> from separatrix.systems import LinearMap
        >>> with jax.enable_x64():
        ...     spectrum = lyapunov_spectrum(LinearMap(jnp.diag(jnp.array([2.0, 0.5]))), jr.key(0), 200, discard=100)
        >>> spectrum.exponents.round(6).tolist()
        [0.693147, -0.693147]

    References:
        Benettin, Galgani, Giorgilli, Strelcyn (1980), Meccanica 15, 9-20. Dieci, Russell, Van Vleck (1997), SIAM J.
        Numer. Anal. 34, 402-423.
    """
    if not 0 <= discard < steps:
        raise ValueError(f"`discard` must lie in 0..{steps - 1}; got {discard}.")
    if every < 1 or blocks < 1 or discard % every or (steps - discard) % (blocks * every):
        raise ValueError(
            f"`steps - discard` must be a multiple of `blocks * every` = {blocks * every} and `discard` of `every`; "
            f"got steps={steps}, discard={discard}."
        )
    stream = getattr(process, "stream", None) if stream is None else stream
    length = (steps - discard) // blocks
    probe = Probe(_sums, every=_Ends(discard, length), name="sums")
    records = run(Tangent(process, k, every, stream, observable), key, steps, probes=[probe], label=label).records
    growth, observed = records["log_growth"], records["observed"]
    if discard == 0:
        growth = np.concatenate([np.zeros_like(growth[..., :1, :]), growth], axis=-2)
        observed = np.concatenate([np.zeros_like(observed[..., :1]), observed], axis=-1)
    with np.errstate(invalid="ignore"):
        means = np.diff(growth, axis=-2) / length
        means[growth[..., 1:, :] == -np.inf] = -np.inf  # a superstable orbit maps a tangent vector to zero
        order = np.argsort(-means.mean(axis=-2), axis=-1)
        errors = means.std(axis=-2, ddof=1) / np.sqrt(blocks) if blocks > 1 else np.full(order.shape, np.nan)
        average = (observed[..., -1] - observed[..., 0]) / (steps - discard)
    take = lambda a: np.take_along_axis(a, order, axis=-1)  # noqa: E731
    return LyapunovSpectrum(take(means.mean(axis=-2)), take(errors), None if observable is None else average)


def leading_exponent(
    process: AbstractProcess,
    key: Key[Array, "*seeds"],
    steps: int,
    *,
    discard: int = 0,
    stream: Stream | None = None,
    label: str = "lyapunov",
) -> Float[np.ndarray, "*seeds"]:
    """Leading Lyapunov exponent of a process, from one tangent vector renormalised at each step.

    Args:
        process: any process; floating-point leaves of its state carry the tangent, others are held.
        key: drives the initial state and the process's own noise; a vector of keys gives one exponent each.
        steps: number of steps, the discarded ones included.
        discard: initial transient left out of the mean, `0 <= discard < steps`.
        stream: the process's input.
        label: names the run for its monitor.

    Returns:
        Exponents of shape `(*seeds,)` in nats per step (divide by the integrator's step for nats per unit time).

    References:
        Benettin, Galgani, Giorgilli, Strelcyn (1980), Meccanica 15, 9-20.
    """
    spectrum = lyapunov_spectrum(process, key, steps, discard=discard, k=1, blocks=1, stream=stream, label=label)
    return spectrum.exponents[..., 0]


def _sums(transition, key):
    del key
    return {"log_growth": transition.after.log_growth, "observed": transition.after.observed}


class _Ends(NamedTuple):  # a value, so that equal cadences compile once
    discard: int
    length: int

    def __call__(self, steps: int) -> list[int]:
        ends = list(range(self.discard + self.length, steps + 1, self.length))
        return [self.discard, *ends] if self.discard else ends
