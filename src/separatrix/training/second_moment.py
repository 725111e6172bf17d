"""Growth of the second moment of linearised SGD by simulation, where a plain average would miss it.

Just above its threshold in mean square SGD shrinks on almost every path, and the second moment grows by rare paths that
no plain sample contains. Here particles carry unit directions; after each step they are resampled in proportion to the
squared lengths that the step gave them, and the logarithms of the mean squared lengths add up (cloning).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Int, Key

from separatrix._core.probe import info_probe
from separatrix._core.process import AbstractProcess
from separatrix._core.run import run
from separatrix.training.sgd_stability import check_jacobian, sampling_noise

__all__ = ["LinearisedSGD", "simulated_growth"]


class LinearisedSGD(AbstractProcess):
    """Particles of `delta <- (I - rate H_S) delta`, resampled by squared length; the state is unit vectors.

    The mean of the product of its mean squared lengths is exactly the second moment, for any number of particles.

    Attributes:
        jacobian: per-example Jacobians, shape `(n, k, p)`.
        rate: learning rate.
        batch_size: examples in a batch.
        replace: whether they are drawn independently.
        num_particles: number of particles.
    """

    jacobian: Float[Array, "n k p"]
    rate: ArrayLike
    batch_size: int = eqx.field(static=True)
    replace: bool = eqx.field(static=True, default=False)
    num_particles: int = eqx.field(static=True, default=2_000)

    def init(self, key: Key[Array, ""]) -> Float[Array, "particles p"]:
        """Draw directions from the span of the gradients."""
        rows = self.jacobian.reshape(-1, self.jacobian.shape[-1])
        weights = jr.normal(key, (self.num_particles, len(rows)), rows.dtype)
        return _unit(weights @ rows)

    def step(self, state, x, key):
        """Move each particle by a batch of its own, then resample; `info` has `growth`, the log of the mean square."""
        del x
        keys = jr.split(jr.fold_in(key, 0), self.num_particles)
        batches = jax.vmap(self._batch)(keys)

        def move(delta, batch):
            rows = self.jacobian[batch].reshape(-1, delta.size)
            return delta - self.rate / self.batch_size * (rows @ delta) @ rows

        moved = jax.vmap(move)(state, batches)
        squares = jnp.sum(moved**2, axis=1)
        chosen = _systematic(jr.fold_in(key, 1), squares)
        return _unit(moved[chosen]), {"growth": jnp.log(jnp.mean(squares))}

    def _batch(self, key: Key[Array, ""]) -> Int[Array, " batch"]:
        n = len(self.jacobian)
        if self.replace:
            return jr.randint(key, (self.batch_size,), 0, n)
        return jr.permutation(key, n)[: self.batch_size]


def _unit(vectors: Float[Array, "particles p"]) -> Float[Array, "particles p"]:
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def _systematic(key: Key[Array, ""], weights: Float[Array, " particles"]) -> Int[Array, " particles"]:
    count = weights.size
    edges = jnp.cumsum(weights) / jnp.sum(weights)
    places = (jnp.arange(count, dtype=weights.dtype) + jr.uniform(key, (), weights.dtype)) / count
    return jnp.minimum(jnp.searchsorted(edges, places), count - 1)


def simulated_growth(
    jacobian: Float[Array, "n *k p"],
    rate: ArrayLike,
    batch_size: int,
    key: Key[Array, "*seeds"],
    *,
    replace: bool = False,
    steps: int = 300,
    discard: int = 100,
    num_particles: int = 2_000,
) -> Float[Array, "*seeds"]:
    """Growth rate of `E |delta|^2` of SGD at a minimum, from simulated steps.

    It estimates the logarithm of `mean_square_radius`, which it does not use.

    Args:
        jacobian: per-example Jacobians at the minimum, shape `(n, p)` or `(n, k, p)`.
        rate: learning rate, traced.
        batch_size: examples in a batch.
        key: one key, or several for independent estimates.
        replace: whether examples are drawn independently.
        steps: number of steps, the discarded ones included.
        discard: initial transient left out, `0 <= discard < steps`.
        num_particles: number of particles; the bias falls as its inverse.

    Returns:
        Nats per step, positive where SGD is unstable in mean square.

    Raises:
        ValueError: if a shape, the batch size or `discard` is out of range.

    References:
        Giardina, Kurchan, Peliti (2006), Phys. Rev. Lett. 96, 120603 (cloning).

    Example:
        >>> growth = simulated_growth(jnp.eye(2), 1.0, 1, jr.key(0))  # each step zeroes one of two coordinates
        >>> round(float(growth), 1), round(float(jnp.log(0.5)), 1)
        (-0.7, -0.7)
    """
    jacobian = check_jacobian(jacobian)
    sampling_noise(len(jacobian), batch_size, replace)
    if not 0 <= discard < steps:
        raise ValueError(f"`discard` must lie in 0..{steps - 1}; got {discard}.")
    process = LinearisedSGD(jacobian, jnp.asarray(rate, jacobian.dtype), batch_size, replace, num_particles)
    records = run(process, key, steps, probes=[info_probe("growth")]).records
    return jnp.mean(jnp.asarray(records["growth"])[..., discard:], axis=-1)
