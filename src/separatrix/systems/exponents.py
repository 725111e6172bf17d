"""Lyapunov exponents of flows, delay flows and maps in natural units, with errors, and what follows from them."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix._core.program import freeze, merge
from separatrix.numerics.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from separatrix.systems.delay_flow import DelayFlow
from separatrix.systems.expressions import Equations
from separatrix.systems.flow import Flow
from separatrix.systems.maps import Map

__all__ = ["for_exponents", "kaplan_yorke", "lyapunov", "mean_divergence", "pesin"]

_DELAY_LIMIT = 200  # intervals of a delay; tangent vectors live on the whole history, so a fine grid is dear


def lyapunov(
    system: Flow | DelayFlow | Map,
    *,
    periods: float = 200,
    transient: float | None = None,
    k: int | None = None,
    steps_per_period: int | None = None,
    every: int = 10,
    blocks: int = 10,
    initial: Float[ArrayLike, " dim"] | None = None,
    key: Key[Array, "*seeds"] | None = None,
) -> LyapunovSpectrum:
    """Lyapunov spectrum of a system, in nats per unit time (per iteration for a map), in float64.

    State and tangent vectors go through the same fourth-order Runge-Kutta step, so that the sum of all exponents is the
    mean divergence along the same orbit (`average`) up to the order of the step, and one exponent of an autonomous flow
    is 0 within its error: look at both before believing the first. Right-hand sides that jump (`sign`, `step`) are
    smoothed over a narrow layer, for the derivative of a jump is lost otherwise.

    Args:
        system: any system.
        periods: dominant periods in the average (1000 iterations each for a map, `1000 dt` for a flow without period).
        transient: periods before it; by default what the catalogue says, 30 for other systems.
        k: leading exponents wanted; all by default, and ten for a delay flow, whose history has infinitely many.
        steps_per_period: steps in one period of a flow; by default what the catalogue says, 1000 for other systems.
        every: steps between two orthonormalisations.
        blocks: parts of the average whose scatter gives the standard errors.
        initial: state at the start; the system's own by default. For a delay flow the constant history.
        key: one key or a vector of keys, for systems with a `spread`, one spectrum each.

    Returns:
        Exponents, largest first, and standard errors, each of shape `(*seeds, k)`; and as `average` the mean along the
        orbit of the trace of the Jacobian (for a map of `log |det|`), None for a delay flow, which has none.

    Raises:
        ValueError: if `k` does not fit the system.

    References:
        Benettin, Galgani, Giorgilli, Strelcyn (1980), Meccanica 15, 9-20. Farmer (1982), Physica D 4, 366-393, for
        delay equations.

    Examples:
        >>> from separatrix.systems import get
        >>> spectrum = lyapunov(get("Baker"), periods=2, transient=1)
        >>> [round(float(e), 4) for e in spectrum.exponents]
        [0.6931, -0.6931]
    """
    key = jr.key(0) if key is None else key
    with jax.enable_x64():
        system, period_steps = for_exponents(system, steps_per_period)
        if initial is not None:
            system = dataclasses.replace(system, initial=np.asarray(initial, float))
        if isinstance(system, DelayFlow):
            k = 10 if k is None else k
        if transient is None:
            transient = system.facts.transient if system.facts else 30.0
        scale = 1.0 if isinstance(system, Map) else float(system.dt)
        discard = math.ceil(transient * period_steps / every) * every
        steps = math.ceil(periods * period_steps / (blocks * every)) * blocks * every
        result = lyapunov_spectrum(
            _float64(system),
            key,
            discard + steps,
            discard=discard,
            k=k,
            every=every,
            blocks=blocks,
            observable=None if isinstance(system, DelayFlow) else _divergence,
        )
    return LyapunovSpectrum(result.exponents / scale, result.standard_errors / scale, result.average)


def for_exponents(system: Any, steps_per_period: int | None = None) -> tuple[Any, float]:
    """Prepare a system for tangent vectors: set its step, coarsen a delay's grid, smooth jumps.

    Args:
        system: any system.
        steps_per_period: steps in one period of a flow; by default what the catalogue says, or 1000.

    Returns:
        The system, and the number of its steps in one period (1000 iterations for a map).
    """
    if isinstance(system, Map):
        return system, 1_000.0
    if isinstance(system, DelayFlow):
        system = dataclasses.replace(system, intervals=min(system.intervals, _DELAY_LIMIT))
        return system, (system.period or float(system.delay)) / float(system.dt)
    facts = system.facts
    count = steps_per_period or (facts.steps if facts else 1_000)
    if system.period is not None:
        system = dataclasses.replace(system, dt=system.period / count)
    if isinstance(system.field, Equations) and facts is not None and facts.layer:
        system = dataclasses.replace(system, field=dataclasses.replace(system.field, layer=facts.layer))
    return system, float(count)


def mean_divergence(
    system: Flow | Map, *, periods: float = 200, transient: float | None = None, steps_per_period: int | None = None
) -> float:
    """Mean of the trace of the Jacobian along an orbit: the sum of all exponents of a flow.

    For a map it is the mean of `log |det|` of the Jacobian, which is the sum of its exponents. The orbit is one of its
    own, which rounding separates from that of `lyapunov`: the two means agree as averages over long times do, and the
    identity holds with the `average` that `lyapunov` returns.

    Args:
        system: a flow or a map.
        periods: length of the average.
        transient: periods before it; by default what the catalogue says, 30 for other systems.
        steps_per_period: steps in one period of a flow.

    Returns:
        Nats per unit time, or per iteration for a map.

    Examples:
        >>> from separatrix.systems import get
        >>> round(mean_divergence(get("Rucklidge"), periods=1, transient=0), 10)  # constant: -a - 1
        -3.0
    """
    with jax.enable_x64():
        system, period_steps = for_exponents(system, steps_per_period)
        if transient is None:
            transient = system.facts.transient if system.facts else 30.0
        leaves, frozen = freeze(_float64(system))
        discard, steps = (math.ceil(c * period_steps) for c in (transient, periods))
        return float(_mean_divergence(frozen, leaves, discard, steps))


@functools.partial(jax.jit, static_argnums=0)
def _mean_divergence(frozen, leaves, discard, steps):
    system = merge(leaves, frozen)

    def advance(_, x):
        return system.step(x, None, None)[0]

    def add(_, carry):
        x, total = carry
        return advance(_, x), total + _divergence(system, x)

    start = jax.lax.fori_loop(0, discard, advance, jnp.asarray(system.initial))
    return jax.lax.fori_loop(0, steps, add, (start, jnp.zeros((), start.dtype)))[1] / steps


def _divergence(system, x):
    jacobian = system.jacobian(x)
    return jnp.linalg.slogdet(jacobian)[1] if isinstance(system, Map) else jnp.trace(jacobian)


def _float64(system):
    return dataclasses.replace(system, initial=jnp.asarray(system.initial, jnp.float64))


def kaplan_yorke(exponents: Float[ArrayLike, " k"], *, rounding: float = 1e-6) -> float:
    """Kaplan-Yorke (Lyapunov) dimension of a spectrum.

    With exponents in descending order and `j` the largest number of them whose sum is not negative, it is
    `j + (sum of the first j) / |exponent j + 1|`.

    Args:
        exponents: a spectrum, in any order.
        rounding: a sum this small, as a share of the sum of absolute values, counts as 0.

    Returns:
        The dimension; 0 if all exponents are negative; NaN without exponents, and when the sum never becomes negative,
        as it must in a dissipative system (a conservative one fills its phase space, and a truncated spectrum says
        nothing).

    References:
        Kaplan, Yorke (1979), in: Functional Differential Equations and Approximation of Fixed Points, 204-227.

    Examples:
        >>> round(kaplan_yorke([0.906, 0.0, -14.572]), 3)
        2.062
    """
    ordered = np.sort(np.asarray(exponents, float))[::-1]
    sums = np.cumsum(ordered)
    if not len(sums) or np.isnan(sums).any() or sums[-1] >= -rounding * np.abs(ordered).sum():
        return math.nan
    if ordered[0] < 0:
        return 0.0
    last = int(np.nonzero(sums >= 0)[0][-1])
    return float(last + 1 + sums[last] / abs(ordered[last + 1]))


def pesin(exponents: Float[ArrayLike, " k"]) -> float:
    """Sum of the positive exponents, which bounds the Kolmogorov-Sinai entropy and equals it for nice measures.

    Args:
        exponents: a spectrum, in any order.

    Returns:
        Nats per unit of the exponents' time.

    References:
        Pesin (1977), Russian Mathematical Surveys 32 (4), 55-114.

    Examples:
        >>> pesin([0.5, 0.25, 0.0, -3.0])
        0.75
    """
    return float(np.maximum(np.asarray(exponents, float), 0).sum())
