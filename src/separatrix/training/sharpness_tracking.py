"""Sharpness along training with a warm start: the eigenvector travels with the state.

A probe has no memory, so what remembers is an intervention. From one record to the next the top eigenvector turns
little, and a few Hessian-vector products bring it up to date where a fresh start takes tens.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Int, PyTree

from separatrix._core.intervention import Intervention
from separatrix._core.process import AbstractProcess
from separatrix.numerics.flat import FlatView
from separatrix.numerics.sharpness_measures import sharpness
from separatrix.training.curvature_probes import ProcessLoss

__all__ = ["track_sharpness"]


class TrackedState(NamedTuple):
    """State of a tracked process; probes see `inner`."""

    inner: PyTree
    vector: Float[Array, " dim"]
    value: Float[Array, ""]
    residual: Float[Array, ""]
    done: Int[Array, ""]


class _Tracked(AbstractProcess):
    inner: AbstractProcess
    every: int = eqx.field(static=True)
    tolerance: float = eqx.field(static=True)
    max_matvecs: int = eqx.field(static=True)
    chunk_size: int | None = eqx.field(static=True)

    @property
    def stream(self):
        return getattr(self.inner, "stream", None)

    def _begin(self, inner, done):
        view = FlatView(self.inner.view(inner).params)
        nan = jnp.full((), jnp.nan, view.dtype)
        return TrackedState(inner, jnp.zeros(view.dim, view.dtype), nan, nan, jnp.asarray(done, jnp.int32))

    def init(self, key):
        return self._begin(self.inner.init(key), 0)

    def step(self, state, x, key):
        after, info = self.inner.step(state.inner, x, key)
        done = state.done + 1

        def measure():
            seen: Any = self.inner.view(after)
            found = sharpness(
                ProcessLoss(self.inner.base(), seen),
                seen.params,
                x,
                start=state.vector,
                tolerance=self.tolerance,
                max_matvecs=self.max_matvecs,
                chunk_size=self.chunk_size,
                key=jr.fold_in(key, 0),
            )
            return found.vector, found.value, found.residual

        held = lambda: (state.vector, state.value, state.residual)  # noqa: E731
        vector, value, residual = jax.lax.cond(done % self.every == 0, measure, held)
        tracked = TrackedState(after, vector, value, residual, done)
        return tracked, {**info, "sharpness": value, "sharpness_residual": residual}

    def view(self, state):
        return self.inner.view(state.inner)

    def restore(self, state, done):
        return self._begin(self.inner.restore(state, done), done)

    def base(self):
        return self.inner.base()


def track_sharpness(
    every: int = 1, *, tolerance: float = 1e-3, max_matvecs: int = 100, chunk_size: int | None = None
) -> Intervention:
    """Follow the largest eigenvalue of the Hessian on the update's batch, with the last eigenvector as a warm start.

    The training is not changed. Apply it last, around other interventions.

    Args:
        every: measure after each multiple of this many updates; in between the last value is repeated.
        tolerance: relative residual at which the iteration stops.
        max_matvecs: Hessian-vector products at most.
        chunk_size: examples in memory at once.

    Returns:
        An intervention on any process with `value_and_gradient` and a state with `params`; the step then also reports
        `sharpness` and `sharpness_residual` (NaN before the first measurement), which `info_probe` records.

    Raises:
        ValueError: if `every` is below 1.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr, optax
        >>> from separatrix import FullBatch, info_probe, run
        >>> from separatrix.training import Batch, Supervised
        >>> process = Supervised(
        ...     model=lambda key: jnp.zeros(2),
        ...     loss=lambda outputs, targets: (outputs - targets) ** 2,
        ...     optimiser=optax.sgd(0.1),
        ...     stream=FullBatch(Batch(jnp.eye(2), jnp.array([1.0, 2.0]))),
        ...     forward=lambda w, x, key: x @ w,
        ... )
        >>> tracked = track_sharpness()(process)
        >>> _, records = run(tracked, jr.key(0), 3, probes=[info_probe("sharpness")])
        >>> records["sharpness"].round(3).tolist()
        [1.0, 1.0, 1.0]
    """
    if every < 1:
        raise ValueError(f"`every` must be at least 1; got {every}.")
    return lambda process: _Tracked(process, every, tolerance, max_matvecs, chunk_size)
