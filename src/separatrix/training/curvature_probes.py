"""Probes of curvature along training, for `Supervised` and any process with a `value_and_gradient`.

All are taken after the update, at the parameters `state.params`, on the update's own batch: with mini-batches they are
the curvature that this batch saw. Each records how far it can be trusted, as a residual or a standard error.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from separatrix._core.probe import Probe, Transition
from separatrix.numerics.lanczos_quadrature import spectral_density
from separatrix.numerics.operators import hessian_operator
from separatrix.numerics.per_example import per_example_gradients, per_example_losses
from separatrix.numerics.sharpness_measures import (
    adam_preconditioner,
    hessian_trace,
    norm_of,
    preconditioned_sharpness,
    sharpness,
)
from separatrix.numerics.trace_estimators import Estimate, hutchinson_trace

__all__ = [
    "hessian_norm_probe",
    "hessian_trace_probe",
    "loss_scaled_trace_probe",
    "preconditioned_sharpness_probe",
    "sharpness_probe",
    "spectral_density_probe",
]

Cadence = int | Callable[[int], Sequence[int]]


class ProcessLoss(eqx.Module):
    """The mean loss of a process as a function `(params, batch)`, the rest of the state as it is."""

    process: Any
    state: Any

    def __call__(self, params: PyTree, batch: PyTree) -> Float[Array, ""]:
        """Return the loss of the batch."""
        return self.process.value_and_gradient(self.state._replace(params=params), batch)[0]


def _loss_of(tr: Transition) -> ProcessLoss:
    return ProcessLoss(tr.process, tr.after)


class _Sharpness(eqx.Module):
    tolerance: float = eqx.field(static=True)
    max_matvecs: int = eqx.field(static=True)
    chunk_size: int | None = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]):
        found = sharpness(
            _loss_of(tr),
            _params(tr),
            tr.x,
            tolerance=self.tolerance,
            max_matvecs=self.max_matvecs,
            chunk_size=self.chunk_size,
            key=key,
        )
        return {"sharpness": found.value, "sharpness_residual": found.residual}


def sharpness_probe(
    every: Cadence = 1, *, tolerance: float = 1e-3, max_matvecs: int = 100, chunk_size: int | None = None
) -> Probe:
    """Largest eigenvalue of the Hessian after the update; `track_sharpness` is the one with a warm start.

    Args:
        every: cadence.
        tolerance: relative residual at which the iteration stops.
        max_matvecs: Hessian-vector products at most.
        chunk_size: examples in memory at once.

    Returns:
        A probe recording `sharpness` and `sharpness_residual`, within which an eigenvalue lies.
    """
    attrs = {
        "sharpness": {"units": "1", "long_name": "largest eigenvalue of the Hessian"},
        "sharpness_residual": {"units": "1", "long_name": "residual of the largest eigenvalue"},
    }
    return Probe(_Sharpness(tolerance, max_matvecs, chunk_size), every=every, name="sharpness", attrs=attrs)


class _Preconditioned(eqx.Module):
    b1: float = eqx.field(static=True)
    b2: float = eqx.field(static=True)
    eps: float = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    max_matvecs: int = eqx.field(static=True)
    chunk_size: int | None = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]):
        state: Any = tr.after
        found = preconditioned_sharpness(
            _loss_of(tr),
            _params(tr),
            tr.x,
            adam_preconditioner(state.opt_state, b1=self.b1, b2=self.b2, eps=self.eps),
            tolerance=self.tolerance,
            max_matvecs=self.max_matvecs,
            chunk_size=self.chunk_size,
            key=key,
        )
        return {"preconditioned_sharpness": found.value, "preconditioned_sharpness_residual": found.residual}


def preconditioned_sharpness_probe(
    every: Cadence = 1,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
    tolerance: float = 1e-3,
    max_matvecs: int = 100,
    chunk_size: int | None = None,
) -> Probe:
    """Largest eigenvalue of the Hessian as Adam sees it, from the state's `opt_state`; 38 / rate is its edge for .9.

    Args:
        every: cadence.
        b1: decay of Adam's mean, as given to the optimiser.
        b2: decay of its mean square.
        eps: added to its root.
        tolerance: relative residual at which the iteration stops.
        max_matvecs: Hessian-vector products at most.
        chunk_size: examples in memory at once.

    Returns:
        A probe recording `preconditioned_sharpness` and `preconditioned_sharpness_residual`.

    References:
        Cohen et al. (2022), arXiv:2207.14484.
    """
    attrs = {
        "preconditioned_sharpness": {"units": "1", "long_name": "largest eigenvalue of the preconditioned Hessian"},
        "preconditioned_sharpness_residual": {"units": "1", "long_name": "residual of the largest eigenvalue"},
    }
    return Probe(
        _Preconditioned(b1, b2, eps, tolerance, max_matvecs, chunk_size),
        every=every,
        name="preconditioned_sharpness",
        attrs=attrs,
    )


class _Trace(eqx.Module):
    num_matvecs: int = eqx.field(static=True)
    chunk_size: int | None = eqx.field(static=True)
    estimator: Callable[..., Estimate] = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]):
        found = hessian_trace(
            _loss_of(tr),
            _params(tr),
            tr.x,
            key,
            num_matvecs=self.num_matvecs,
            chunk_size=self.chunk_size,
            estimator=self.estimator,
        )
        return {"hessian_trace": found.value, "hessian_trace_error": found.standard_error}


def hessian_trace_probe(
    every: Cadence = 1,
    *,
    num_matvecs: int = 10,
    chunk_size: int | None = None,
    estimator: Callable[..., Estimate] = hutchinson_trace,
) -> Probe:
    """Trace of the Hessian after the update.

    Args:
        every: cadence.
        num_matvecs: Hessian-vector products.
        chunk_size: examples in memory at once.
        estimator: `hutchinson_trace`, `hutch_pp_trace` or `xtrace`.

    Returns:
        A probe recording `hessian_trace` and `hessian_trace_error`, its standard error.
    """
    attrs = {
        "hessian_trace": {"units": "1", "long_name": "trace of the Hessian"},
        "hessian_trace_error": {"units": "1", "long_name": "standard error of the trace"},
    }
    return Probe(_Trace(num_matvecs, chunk_size, estimator), every=every, name="hessian_trace", attrs=attrs)


class _Norm(eqx.Module):
    num_matvecs: int = eqx.field(static=True)
    chunk_size: int | None = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]):
        operator = hessian_operator(_loss_of(tr), _params(tr), tr.x, chunk_size=self.chunk_size)
        found = norm_of(operator, key, self.num_matvecs)
        return {"hessian_norm": found.value, "hessian_norm_error": found.standard_error}


def hessian_norm_probe(every: Cadence = 1, *, num_matvecs: int = 10, chunk_size: int | None = None) -> Probe:
    """Frobenius norm of the Hessian after the update.

    Args:
        every: cadence.
        num_matvecs: Hessian-vector products.
        chunk_size: examples in memory at once.

    Returns:
        A probe recording `hessian_norm` and `hessian_norm_error`, its standard error.
    """
    attrs = {
        "hessian_norm": {"units": "1", "long_name": "Frobenius norm of the Hessian"},
        "hessian_norm_error": {"units": "1", "long_name": "standard error of the norm"},
    }
    return Probe(_Norm(num_matvecs, chunk_size), every=every, name="hessian_norm", attrs=attrs)


class _Density(eqx.Module):
    num_probes: int = eqx.field(static=True)
    num_steps: int = eqx.field(static=True)
    num_points: int = eqx.field(static=True)
    chunk_size: int | None = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]):
        operator = hessian_operator(_loss_of(tr), _params(tr), tr.x, chunk_size=self.chunk_size)
        found = spectral_density(
            operator, key, num_probes=self.num_probes, num_steps=self.num_steps, num_points=self.num_points
        )
        return {"spectral_density": found.density, "spectral_grid": found.grid}


def spectral_density_probe(
    every: Cadence = 1,
    *,
    num_probes: int = 4,
    num_steps: int = 40,
    num_points: int = 128,
    chunk_size: int | None = None,
) -> Probe:
    """Density of the Hessian's eigenvalues after the update, on a grid of its own at each record.

    Args:
        every: cadence.
        num_probes: random vectors.
        num_steps: Hessian-vector products for each.
        num_points: grid points.
        chunk_size: examples in memory at once.

    Returns:
        A probe recording `spectral_density` and `spectral_grid`, the eigenvalues it stands at, with the axis
        `eigenvalue`.
    """
    return Probe(
        _Density(num_probes, num_steps, num_points, chunk_size),
        every=every,
        name="spectral_density",
        dims={"spectral_density": ("eigenvalue",), "spectral_grid": ("eigenvalue",)},
        attrs={
            "spectral_density": {"units": "1", "long_name": "density of eigenvalues of the Hessian"},
            "spectral_grid": {"units": "1", "long_name": "eigenvalues of the Hessian"},
        },
    )


class _ScaledTrace(eqx.Module):
    chunk_size: int | None = eqx.field(static=True)

    def __call__(self, tr: Transition, key: Key[Array, ""]):
        del key
        loss, params = _loss_of(tr), _params(tr)
        squares = per_example_gradients(loss, params, tr.x, chunk_size=self.chunk_size, flat=True, reduce=_square)
        scale = 2 * jnp.mean(per_example_losses(loss, params, tr.x, chunk_size=self.chunk_size))
        return {"loss_scaled_trace": jnp.where(scale > 0, jnp.mean(squares) / scale, jnp.nan)}


def loss_scaled_trace_probe(every: Cadence = 1, *, chunk_size: int | None = None) -> Probe:
    """Trace of the empirical Fisher matrix divided by twice the loss, exact, by per-example gradients.

    With half the squared error it is the mean of `|grad f_i|^2` weighted by the squared residuals: the trace of the
    Gauss-Newton matrix where large gradients and large residuals are unrelated, which is what the stability of SGD
    bounds by 2 / rate near a minimum. Undefined, and NaN, where the loss is zero.

    Args:
        every: cadence.
        chunk_size: examples in memory at once.

    Returns:
        A probe recording `loss_scaled_trace`.

    References:
        Wu, Su (2023), ICML, arXiv:2305.17490.
    """
    attrs = {"loss_scaled_trace": {"units": "1", "long_name": "trace of the empirical Fisher matrix / (2 loss)"}}
    return Probe(_ScaledTrace(chunk_size), every=every, name="loss_scaled_trace", attrs=attrs)


def _square(gradient: Float[Array, " dim"]) -> Float[Array, ""]:
    return gradient @ gradient


def _params(tr: Transition) -> PyTree:
    state: Any = tr.after
    return state.params
