"""Teacher forcing around any step function: states are pulled towards those inferred from data, by degrees.

A rollout predicts `zhat_t = step(z_{t-1})` and then mixes, `z_t = zhat_t + w_t (zbar_t - zhat_t)`, on the units that
the data say something about. Every Jacobian in the backward product then carries a factor `1 - w_t`. Constant weights
give generalised teacher forcing, ones at every tau-th step sparse teacher forcing, ones full teacher forcing, and
zeros free-running backpropagation through time. Predictions are those before the mixing.

The gradient is computed by an adjoint of its own: only the cotangent of the state goes backwards step by step; the
gradient of the parameters is one product over all times at once. It equals that of the plain loop to rounding.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int, PyTree

__all__ = ["forced_rollout", "full", "gtf", "sparse", "sparse_weights", "unforced"]

Step = Callable[..., Float[Array, "*batch M"]]


def _mix(zhat, zbar, weight):
    k = zbar.shape[-1]
    if k == zhat.shape[-1]:
        return zhat + weight * (zbar - zhat)
    head = zhat[..., :k]
    return jnp.concatenate([head + weight * (zbar - head), zhat[..., k:]], axis=-1)


def _damp(cotangent, weight, k):
    if k == cotangent.shape[-1]:
        return (1 - weight) * cotangent
    return jnp.concatenate([(1 - weight) * cotangent[..., :k], cotangent[..., k:]], axis=-1)


def _call(step, z, s):
    return step(z) if s is None else step(z, s)


def _states(step, start, zbar, weights, inputs):
    def body(z, x):
        target, weight, s = x
        zhat = _call(step, z, s)
        return _mix(zhat, target, weight), (zhat, z)

    return jax.lax.scan(body, start, (zbar, weights, inputs))[1]


@eqx.filter_custom_vjp
def _rollout(differentiated, jacobian):
    del jacobian
    return _states(*differentiated)[0]


@_rollout.def_fwd
def _rollout_fwd(perturbed, differentiated, jacobian):
    del perturbed, jacobian
    zhat, before = _states(*differentiated)
    return zhat, (zhat, before)


@_rollout.def_bwd
def _rollout_bwd(residuals, cotangents, perturbed, differentiated, jacobian):
    del perturbed
    zhat, before = residuals
    step, _, zbar, weights, inputs = differentiated
    k = zbar.shape[-1]

    matrices = None if jacobian is None else jacobian(before)

    def body(mu, x):  # mu: cotangent of the state after mixing
        g, weight, z, s, matrix = x
        v = g + _damp(mu, weight, k)
        if matrix is None:
            pulled = jax.vjp(lambda z: _call(step, z, s), z)[1](v)[0]
        else:
            pulled = (v[..., None, :] @ matrix)[..., 0, :]
        return pulled, (v, mu)

    xs = (cotangents, weights, before, inputs, matrices)
    first, (v, mu) = jax.lax.scan(body, jnp.zeros_like(before[0]), xs, reverse=True)
    arrays, rest = eqx.partition(step, eqx.is_inexact_array)

    def bulk(arrays, inputs):
        whole = eqx.combine(arrays, rest)
        return jax.vmap(lambda z, s: _call(whole, z, s))(before, inputs)

    step_bar, inputs_bar = jax.vjp(bulk, arrays, inputs)[1](v)
    pulled = mu[..., :k]
    zbar_bar = weights * pulled
    weights_bar = _sum_to(pulled * (zbar - zhat[..., :k]), weights.shape)
    return step_bar, first, zbar_bar, weights_bar, inputs_bar


def _sum_to(array, shape):
    lead = array.ndim - len(shape)
    array = array.sum(tuple(range(lead))) if lead else array
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and array.shape[i] != 1)
    return array.sum(axes, keepdims=True)


def forced_rollout(
    step: Step,
    start: Float[Array, "*batch M"],
    zbar: Float[Array, "T *batch K"],
    weights: Float[ArrayLike, "..."],
    inputs: Float[Array, "T *batch P"] | None = None,
    *,
    jacobian: Callable[[Float[Array, "T *batch M"]], Float[Array, "T *batch M M"]] | None = None,
) -> Float[Array, "T *batch M"]:
    """Roll a step function out under forcing of given strength at each time.

    Args:
        step: `z -> z'`, or `(z, s) -> z'` with inputs; it must accept batches along leading axes. The arrays it holds,
            also those that a lambda closes over, receive gradients.
        start: first states.
        zbar: states inferred from data for the times 1..T, of the first `K <= M` units; the others are never forced.
        weights: strength of forcing in [0, 1]: a scalar, one for each time, or anything that broadcasts with `zbar`
            (a missing measurement is a zero).
        inputs: external inputs of each step.
        jacobian: derivative of the step by the state at a batch of states. When given, the backward pass multiplies by
            these matrices instead of differentiating the step at each time, which is quicker where M is small.

    Returns:
        Predictions before forcing, `zhat_1 ... zhat_T`.

    Raises:
        ValueError: if `zbar` has more units than the state.

    Examples:
        Half-forced doubling, pulled to zero:

        >>> forced_rollout(lambda z: 2 * z, jnp.ones(1), jnp.zeros((3, 1)), 0.5)[:, 0].tolist()
        [2.0, 2.0, 2.0]

    References:
        Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406.
    """
    if zbar.shape[-1] > start.shape[-1]:
        raise ValueError(f"`zbar` has {zbar.shape[-1]} units and the state only {start.shape[-1]}.")
    weights = jnp.asarray(weights, zbar.dtype)
    if weights.ndim == 0:
        weights = jnp.broadcast_to(weights, zbar.shape[:1])
    weights = weights.reshape(*weights.shape, *(1,) * (zbar.ndim - weights.ndim))
    example = (start,) if inputs is None else (start, inputs[0])
    step = eqx.filter_closure_convert(step, *example)
    if jacobian is not None:
        shape = jax.ShapeDtypeStruct((len(zbar), *start.shape), start.dtype)
        jacobian = eqx.filter_closure_convert(jacobian, shape)
        jacobian = jax.tree.map(lambda a: jax.lax.stop_gradient(a) if eqx.is_inexact_array(a) else a, jacobian)
    return _rollout((step, start, zbar, weights, inputs), jacobian)


def gtf(
    step: Step, observation: Any, x: Float[Array, "T1 *batch N"], alpha: ArrayLike, inputs: PyTree = None
) -> Float[Array, "T *batch M"]:
    """Generalised teacher forcing, `z = (1 - alpha) zhat + alpha zbar`.

    Args:
        step: `z -> z'`, any model's.
        observation: infers states from data, such as `IdentityObservation` or `AffineObservation`.
        x: measurements at T + 1 consecutive times, time first.
        alpha: strength in [0, 1].
        inputs: external inputs of each step, or None.

    Returns:
        Predictions of the states at the last T times, before forcing.

    Examples:
        >>> from separatrix.models import IdentityObservation
        >>> gtf(lambda z: 2 * z, IdentityObservation(1), jnp.ones((3, 1)), alpha=1.0)[:, 0].tolist()
        [2.0, 2.0]
    """
    return forced_rollout(step, observation.start(x[0]), observation.infer(x[1:]), alpha, inputs)


def sparse_weights(length: int, tau: ArrayLike) -> Float[Array, " T"]:
    """Weights of sparse teacher forcing: one at every tau-th time, zero elsewhere.

    Args:
        length: number of times T.
        tau: interval, traced.

    Returns:
        Weights for the times 1..T.

    Examples:
        >>> sparse_weights(6, 3).tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """
    return (jnp.arange(1, length + 1) % tau == 0).astype(float)


def sparse(
    step: Step,
    observation: Any,
    x: Float[Array, "T1 *batch N"],
    tau: int | Int[Array, ""],
    inputs: PyTree = None,
) -> Float[Array, "T *batch M"]:
    """Sparse teacher forcing: the state is replaced at every tau-th time and runs free in between.

    Args:
        step: as in `gtf`.
        observation: as in `gtf`.
        x: as in `gtf`.
        tau: interval between two replacements.
        inputs: as in `gtf`.

    Returns:
        Predictions before forcing.

    References:
        Mikhaeil, Monfared, Durstewitz (2022), NeurIPS. Brenner et al. (2022), ICML.
    """
    return gtf(step, observation, x, sparse_weights(len(x) - 1, tau), inputs)


def full(step: Step, observation: Any, x: Float[Array, "T1 *batch N"], inputs: PyTree = None):
    """Full teacher forcing: every prediction starts from data; gradients see one step only.

    Args:
        step: as in `gtf`.
        observation: as in `gtf`.
        x: as in `gtf`.
        inputs: as in `gtf`.

    Returns:
        Predictions, shape `(T, *batch, M)`.
    """
    return gtf(step, observation, x, 1.0, inputs)


def unforced(step: Step, observation: Any, x: Float[Array, "T1 *batch N"], inputs: PyTree = None):
    """Free-running backpropagation through time: only the first state comes from data.

    Args:
        step: as in `gtf`.
        observation: as in `gtf`.
        x: as in `gtf`.
        inputs: as in `gtf`.

    Returns:
        Predictions, shape `(T, *batch, M)`.
    """
    return gtf(step, observation, x, 0.0, inputs)
