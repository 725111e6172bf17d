"""Probes of the sharpness and the norms that the stability of SGD bounds, for any process like `Supervised`.

Such a process has `outputs(state, inputs)`, a state with a field `params`, and a stream with a field `data`, as
`FullBatch` and `MiniBatches`; or else give the data to the probe.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from separatrix._core.probe import Probe, Transition
from separatrix.models.norm_equivalence import balance_score, path_norm
from separatrix.numerics.curvature_noise import estimate_non_uniformity
from separatrix.numerics.gauss_newton import estimate_sharpness, sharpness_summary

__all__ = ["curvature_noise", "gauss_newton_estimates", "gauss_newton_sharpness", "noise_trace", "path_norms"]

Cadence = int | Callable[[int], Sequence[int]]
_SHARPNESS = {
    "gn_trace": {"units": "1", "long_name": "trace of the Gauss-Newton matrix"},
    "gn_frobenius": {"units": "1", "long_name": "Frobenius norm of the Gauss-Newton matrix"},
    "gn_lambda_max": {"units": "1", "long_name": "largest eigenvalue of the Gauss-Newton matrix"},
}


def _examples(tr: Transition, data: Any) -> Any:
    process: Any = tr.process
    return process.stream.data if data is None else data


def _model(tr: Transition) -> Callable[[Any, Any], Any]:
    """The process's model of one example, `(params, x) -> output`, in evaluation mode."""
    process: Any = tr.process

    def f(params, x):
        outputs = process.outputs(tr.after._replace(params=params), jax.tree.map(lambda a: a[None], x))
        return outputs[0]

    return f


class _Sharpness(eqx.Module):
    data: Any
    chunk: int | None = eqx.field(static=True)

    def __call__(self, tr, key):
        del key
        inputs = _examples(tr, self.data).inputs
        summary = sharpness_summary(_model(tr), tr.after.params, inputs, chunk=self.chunk)
        return dict(zip(_SHARPNESS, summary[:3], strict=True))


def gauss_newton_sharpness(data: Any = None, *, chunk: int | None = None, every: Cadence = 1) -> Probe:
    """Trace, Frobenius norm and largest eigenvalue of the Gauss-Newton matrix of half the squared error, exactly.

    It forms the Jacobian of all examples; for large models see `gauss_newton_estimates`.

    Args:
        data: a `Batch`; by default the data of the process's stream.
        chunk: examples differentiated at once; all by default.
        every: cadence.

    Returns:
        A probe recording `gn_trace`, `gn_frobenius` and `gn_lambda_max`.
    """
    return Probe(_Sharpness(data, chunk), every=every, name="gauss_newton_sharpness", attrs=_SHARPNESS)


class _Estimates(eqx.Module):
    data: Any
    num_samples: int = eqx.field(static=True)
    num_iterations: int = eqx.field(static=True)

    def __call__(self, tr, key):
        inputs = _examples(tr, self.data).inputs
        summary = estimate_sharpness(
            _model(tr),
            tr.after.params,
            inputs,
            key,
            num_samples=self.num_samples,
            num_iterations=self.num_iterations,
        )
        return dict(zip(_SHARPNESS, summary[:3], strict=True))


def gauss_newton_estimates(
    data: Any = None, *, num_samples: int = 32, num_iterations: int = 32, every: Cadence = 1
) -> Probe:
    """What `gauss_newton_sharpness` records, estimated from products with the kernel (`estimate_sharpness`).

    Args:
        data: a `Batch`; by default the data of the process's stream.
        num_samples: random sign vectors.
        num_iterations: Lanczos steps.
        every: cadence.

    Returns:
        A probe recording `gn_trace`, `gn_frobenius` and `gn_lambda_max`.
    """
    fn = _Estimates(data, num_samples, num_iterations)
    return Probe(fn, every=every, name="gauss_newton_estimates", attrs=_SHARPNESS)


class _CurvatureNoise(eqx.Module):
    data: Any
    num_iterations: int = eqx.field(static=True)
    chunk: int | None = eqx.field(static=True)

    def __call__(self, tr, key):
        inputs = _examples(tr, self.data).inputs
        value = estimate_non_uniformity(
            _model(tr), tr.after.params, inputs, key, num_iterations=self.num_iterations, chunk=self.chunk
        )
        return {"non_uniformity": value}


def curvature_noise(
    data: Any = None, *, num_iterations: int = 24, chunk: int | None = None, every: Cadence = 1
) -> Probe:
    """How much the examples' curvatures differ (`estimate_non_uniformity`).

    Args:
        data: a `Batch`; by default the data of the process's stream.
        num_iterations: Lanczos steps.
        chunk: examples whose Jacobians are held at once; all by default.
        every: cadence.

    Returns:
        A probe recording `non_uniformity`.
    """
    attrs = {"non_uniformity": {"units": "1", "long_name": "non-uniformity of the examples' curvature"}}
    fn = _CurvatureNoise(data, num_iterations, chunk)
    return Probe(fn, every=every, name="curvature_noise", attrs=attrs)


class _NoiseTrace(eqx.Module):
    data: Any
    chunk: int | None = eqx.field(static=True)

    def __call__(self, tr, key):
        del key
        process: Any = tr.process
        batch = _examples(tr, self.data)
        f = _model(tr)

        def one(example):
            targets = jax.tree.map(lambda a: a[None], example.targets)
            own = lambda params: process.loss(f(params, example.inputs)[None], targets)[0]  # noqa: E731
            value, gradient = jax.value_and_grad(own)(tr.after.params)
            return value, optax.tree.norm(gradient, squared=True), gradient

        if self.chunk is None:
            losses, squares, gradients = jax.vmap(one)(batch)
            mean = jax.tree.map(lambda g: jnp.mean(g, axis=0), gradients)
        else:
            losses, squares = jax.lax.map(lambda e: one(e)[:2], batch, batch_size=self.chunk)
            _, mean = process.value_and_gradient(tr.after, batch)
        covariance = jnp.mean(squares) - optax.tree.norm(mean, squared=True)
        return {"noise_trace": covariance / (2 * jnp.mean(losses))}


def noise_trace(data: Any = None, *, chunk: int | None = None, every: Cadence = 1) -> Probe:
    """Trace of the covariance of the examples' gradients over twice the loss: the sharpness that SGD's noise feels.

    With half the squared error it is the mean of `|g_i|^2` weighted by the squared residuals, less a term that vanishes
    at an interpolating minimum; where residuals and gradients are unrelated it equals the Gauss-Newton trace. It needs
    one gradient for each example and no second derivative, for any loss whose minimum is zero.

    Args:
        data: a `Batch`; by default the data of the process's stream.
        chunk: examples differentiated at once; all by default.
        every: cadence.

    Returns:
        A probe recording `noise_trace`; NaN where the loss is exactly zero.
    """
    attrs = {"noise_trace": {"units": "1", "long_name": "trace of the gradient noise over twice the loss"}}
    return Probe(_NoiseTrace(data, chunk), every=every, name="noise_trace", attrs=attrs)


def _measure_path_norms(tr: Transition, key):
    del key
    params = tr.after.params
    return {"path_norm": path_norm(params), "balance": balance_score(params)}


def path_norms(every: Cadence = 1) -> Probe:
    """Path norm and balance score of a network that knows them (`HasPathNorm`).

    Args:
        every: cadence.

    Returns:
        A probe recording `path_norm` and `balance`.
    """
    attrs = {
        "path_norm": {"units": "1", "long_name": "path norm"},
        "balance": {"units": "1", "long_name": "balance score"},
    }
    return Probe(_measure_path_norms, every=every, name="path_norms", attrs=attrs)
