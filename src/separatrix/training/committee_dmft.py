"""Dynamical mean-field theory of a committee of few quadratic neurons, for many inputs and examples.

With P = nu D examples and D to infinity, training is described by order parameters alone: the overlaps C of the
weights at two times, their overlap m with the teacher, and the response R of the weights to a force. Examples become
independent draws of one random process with a memory, whose averages feed back into the order parameters.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float, Key

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["CommitteeField", "dmft_committee"]


class CommitteeField(NamedTuple):
    """Solution of the mean-field equations at the times 0..T.

    Attributes:
        train_mse: mean square training error, `(T+1,)`.
        test_mse: mean square population error, `(T+1,)`.
        overlap: `<w_k(t) . w_l(s)> / D`, `(T+1, T+1, K, K)`; `overlap[t, s]` is the transpose of `overlap[s, t]`.
        teacher: `<w_k(t) . beta> / D`, `(T+1, K)`.
        response: of `w_k(t)` to a force on neuron l in the step from s to s + 1, `(T+1, T+1, K, K)`; zero for s >= t.
    """

    train_mse: Float[Array, " times"]
    test_mse: Float[Array, " times"]
    overlap: Float[Array, "times times neurons neurons"]
    teacher: Float[Array, "times neurons"]
    response: Float[Array, "times times neurons neurons"]


class _Memory(NamedTuple):
    """What the solver carries from one time to the next."""

    overlap: Array  # (T+1, T+1, K, K)
    teacher: Array  # (T+1, K)
    response: Array  # (T+1, T+1, K, K)
    force: Array  # g: (T+1, K, S)
    tangent: Array  # dg(r)/du(s), stored (r, k, s, l, S): (T+1, K, T+1, K, S)
    slope: Array  # dg(r)/da: (T+1, K, S)


@functools.partial(jax.jit, static_argnames=("num_neurons", "steps", "samples", "dtype"))
def dmft_committee(
    key: Key[Array, ""],
    nu: ArrayLike,
    num_neurons: int,
    *,
    alpha: ArrayLike = 1.0,
    eps: ArrayLike = 0.5,
    eta: ArrayLike = 0.15,
    steps: int = 25,
    samples: int = 20_000,
    overlap: ArrayLike = 0.0,
    dtype: DTypeLike | None = None,
) -> CommitteeField:
    """Solve the mean-field equations of `f = (alpha/K) sum_k phi(w_k . x)`, `phi(h) = h + (eps/2) h^2`, not centred.

    Full-batch gradient descent `w_k <- w_k + eta sum_mu (y_mu - f_mu) phi'(w_k . x_mu) x_mu` from standard normal
    weights (but for `overlap`), on inputs `x ~ N(0, I/D)` and the target `(beta . x)^2 / 2` with `|beta|^2 = D`.
    Expectations are averages over samples in pairs of opposite `beta . x`. By this symmetry an overlap with the teacher
    that is zero stays exactly zero: with a number of examples proportional to D an even target is not found.

    Time grows as `steps^3 K^3 samples`, memory as `steps^2 K^2 samples`; take at most about 60 steps and 5 neurons.

    Args:
        key: drives the samples.
        nu: examples per input dimension, P/D.
        num_neurons: K.
        alpha: output scale.
        eps: curvature of the activation.
        eta: step size; for `CommitteeDynamics` it is `rate / (alpha P)`.
        steps: T.
        samples: number of samples, even.
        overlap: initial overlap of each neuron with the teacher, `<w_k(0) . beta> / D`, in (-1, 1).
        dtype: float dtype, by default the widest that is enabled. The draws at neighbouring times are nearly collinear,
            which `float32` stands for a few steps only.

    Returns:
        Losses and order parameters at the times 0..T.

    Raises:
        ValueError: if a size is out of range.

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.
        Mignacco, Krzakala, Urbani, Zdeborová (2020), NeurIPS, arXiv 2006.06098, for the method.

    Example:
        >>> field = dmft_committee(jr.key(0), 3.0, 2, steps=2, samples=2_000)
        >>> bool(abs(field.train_mse[0] - 1.125) < 0.2), bool(field.train_mse[2] < field.train_mse[0])
        (True, True)
    """
    if num_neurons < 1 or steps < 0 or samples < 2 or samples % 2:
        raise ValueError(
            f"`num_neurons` must be positive, `steps` not negative and `samples` even and positive; got {num_neurons}, "
            f"{steps} and {samples}."
        )
    dtype = jnp.result_type(float) if dtype is None else resolve_float_dtype(dtype)
    times, n, size = steps + 1, num_neurons, 1 + (steps + 1) * num_neurons
    eye = jnp.eye(n, dtype=dtype)
    alpha, eps, eta, nu = (jnp.asarray(v, dtype) for v in (alpha, eps, eta, nu))
    sources = _normal_draws(key, size, samples, dtype)  # of (a, u(0), u(1), ...)
    a = sources[0]
    y = a**2 / 2
    jitter = max(1e-9, 4 * float(jnp.finfo(dtype).eps))

    def fields(memory: _Memory, t: Array) -> Array:
        """Draw u(t) given a and the earlier u: the rows of a growing Cholesky factor."""
        flat = jnp.swapaxes(memory.overlap, 1, 2).reshape(times * n, times * n)
        cross = memory.teacher.reshape(-1)
        covariance = jnp.block([[jnp.ones((1, 1), dtype), cross[None]], [cross[:, None], flat]])
        known = jnp.arange(size) < 1 + (t + 1) * n
        covariance = jnp.where(known[:, None] & known[None, :], covariance, 0)
        covariance = covariance + jnp.diag(jnp.where(known, jitter, 1))
        factor = jnp.linalg.cholesky(covariance)
        return jax.lax.dynamic_slice_in_dim(factor, 1 + t * n, n) @ sources  # (K, S)

    def step(memory: _Memory, t: Array):
        both, teacher, response, force, tangent, slope = memory
        now = jnp.arange(times) == t
        past = jnp.einsum("rkj,rjs->ks", response[t], force)
        h = fields(memory, t) + eta * past
        phi_slope = 1 + eps * h
        delta = y - alpha / n * jnp.sum(h + eps / 2 * h**2, axis=0)
        g = delta * phi_slope
        local = delta * eps * eye[..., None] - alpha / n * phi_slope[:, None] * phi_slope[None]  # dg/dh: (K, K, S)

        inner = eta * jnp.einsum("rkj,rjtls->ktls", response[t], tangent)
        inner = inner + eye[:, None, :, None] * now[None, :, None, None]
        own = jnp.einsum("kjs,jtls->ktls", local, inner)
        own_slope = a * phi_slope + jnp.einsum("kjs,js->ks", local, eta * jnp.einsum("rkj,rjs->ks", response[t], slope))
        force, tangent, slope = force.at[t].set(g), tangent.at[t].set(own), slope.at[t].set(own_slope)

        gain = jnp.swapaxes(jnp.mean(own, axis=-1), 0, 1)  # R_g(t, s): (T+1, K, K)
        gain_teacher = jnp.mean(own_slope, axis=-1)  # R_a(t)
        noise_now = jnp.einsum("ks,tls->tkl", g, force) / samples  # C_g(t, s)

        after_teacher = teacher[t] + eta * nu * (jnp.einsum("skl,sl->k", gain, teacher) + gain_teacher)
        after_response = response[t] + now[:, None, None] * eye
        after_response = after_response + eta * nu * jnp.einsum("rkj,rsjl->skl", gain, response)
        memory_force = nu * eta * jnp.einsum("rkj,srlj->skl", noise_now, response)  # Z(t, s)
        after = both[t] + eta * (
            memory_force
            + nu * jnp.einsum("rkj,rsjl->skl", gain, both)
            + nu * gain_teacher[None, :, None] * teacher[:, None, :]
        )
        after = jnp.where((jnp.arange(times) <= t)[:, None, None], after, 0)  # C(t+1, s), s <= t
        latest = nu * eta * jnp.einsum("rkj,rlj->kl", noise_now, after_response)  # Z(t, t+1)
        diagonal = jnp.sum(jnp.where(now[:, None, None], after, 0), axis=0) + eta * (
            latest.T + nu * jnp.einsum("rkj,rlj->kl", after, gain) + nu * after_teacher[:, None] * gain_teacher[None, :]
        )
        # what lies beyond the last time is dropped
        both = both.at[t + 1].set(after, mode="drop").at[:, t + 1].set(jnp.swapaxes(after, 1, 2), mode="drop")
        both = both.at[t + 1, t + 1].set((diagonal + diagonal.T) / 2, mode="drop")
        response = response.at[t + 1].set(after_response, mode="drop")
        teacher = teacher.at[t + 1].set(after_teacher, mode="drop")
        losses = jnp.mean(delta**2), _population_loss(memory.overlap[t, t], memory.teacher[t], alpha, eps)
        return _Memory(both, teacher, response, force, tangent, slope), losses

    first = jnp.broadcast_to(jnp.asarray(overlap, dtype), (n,))
    start = _Memory(
        overlap=jnp.zeros((times, times, n, n), dtype).at[0, 0].set(eye + first[:, None] * first * (1 - eye)),
        teacher=jnp.zeros((times, n), dtype).at[0].set(first),
        response=jnp.zeros((times, times, n, n), dtype),
        force=jnp.zeros((times, n, samples), dtype),
        tangent=jnp.zeros((times, n, times, n, samples), dtype),
        slope=jnp.zeros((times, n, samples), dtype),
    )
    end, (train, test) = jax.lax.scan(step, start, jnp.arange(times))
    return CommitteeField(train, test, end.overlap, end.teacher, end.response)


def _normal_draws(key: Key[Array, ""], dims: int, samples: int, dtype: DTypeLike) -> Array:
    """Standard normal draws of shape (dims, samples), in pairs that differ by the sign of the first coordinate.

    Their second moments are made exact, which takes out part of the sampling noise.
    """
    draws = jr.normal(key, (dims, samples // 2), dtype)
    first = draws[:1] / jnp.sqrt(jnp.mean(draws[:1] ** 2))
    rest = draws[1:]
    if samples // 2 > dims:
        rest = rest - jnp.mean(rest, axis=1, keepdims=True)
        factor = jnp.linalg.cholesky(2 * rest @ rest.T / samples)
        rest = jax.scipy.linalg.solve_triangular(factor, rest, lower=True)
    return jnp.concatenate([jnp.concatenate([first, -first], axis=1), jnp.concatenate([rest, rest], axis=1)])


def _population_loss(overlap: Array, teacher: Array, alpha: Array, eps: Array) -> Array:
    """Exact `E (y - f)^2` for jointly Gaussian (a, u) with covariances 1, m and C (Isserlis)."""
    n = len(teacher)
    covariance = jnp.block([[jnp.ones((1, 1), overlap.dtype), teacher[None]], [teacher[:, None], overlap]])
    quadratic = jnp.concatenate([jnp.full(1, 0.5, overlap.dtype), jnp.full(n, -alpha * eps / (2 * n))])
    linear = jnp.concatenate([jnp.zeros(1, overlap.dtype), jnp.full(n, -alpha / n)])
    spread = quadratic[:, None] * covariance
    return 2 * jnp.trace(spread @ spread) + jnp.trace(spread) ** 2 + linear @ covariance @ linear
