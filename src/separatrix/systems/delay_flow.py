"""Flows with one delay as processes, and their integration by the method of steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Float, Int

from separatrix._core.process import AbstractProcess
from separatrix.systems.facts import Facts
from separatrix.systems.flow import as_array, observe

__all__ = ["DelayFlow", "DelayState"]


class DelayState(NamedTuple):
    """State of a `DelayFlow`: a ring of past values.

    Attributes:
        ring: values at the grid times `t - j * dt`, `j = 0 .. intervals + 1`, shape `(intervals + 2, dim)`.
        head: row of the present value; the next row, cyclically, is the oldest.
    """

    ring: Float[Array, "rows dim"]
    head: Int[Array, ""]

    @property
    def now(self) -> Float[Array, " dim"]:
        """The present value."""
        return self.ring[self.head]


class DelayFlow(AbstractProcess):
    """A delay differential equation `x'(t) = field(x(t), x(t - tau), parameters)`, a step of `tau / intervals` each.

    The step is the fourth-order Runge-Kutta method; delayed values lie on the grid of past steps, and half-way between
    them they come from the cubic through four grid points, so that the whole is of fourth order, except for the step or
    two in which the delayed time passes the kink that a history may have at its end. The delay itself is traced, since
    a step divides it into a fixed number of intervals.

    Attributes:
        field: `(state, delayed state, parameters) -> derivative`, states of shape `(dim,)`.
        parameters: a dictionary with the delay under `"tau"`; its floats are traced.
        initial: value of the constant history, shape `(dim,)`.
        history: `time -> value` on `[-tau, 0]`, in place of the constant; times have the shape of `initial`'s scalars.
        intervals: steps in one delay.
        spread: standard deviation of the Gaussian added to the whole history, so that seeds differ.
        period: dominant period in units of time; None if unknown.
        embedding: number of delay coordinates that are reported, at lags `linspace(0, tau, embedding)`.
        states: names of the coordinates.
        reported: `(state, parameters) -> reported coordinates`; None for the state.
        facts: what the catalogue knows of the system; None for others.
    """

    field: Callable[[Float[Array, " dim"], Float[Array, " dim"], Any], Float[Array, " dim"]]
    parameters: dict[str, ArrayLike]
    initial: Float[Array, " dim"] = eqx.field(converter=as_array)
    history: Callable[[Any], Any] | None = None
    intervals: int = eqx.field(static=True, default=200)
    spread: ArrayLike = 0.0
    period: float | None = eqx.field(static=True, default=None)
    embedding: int = eqx.field(static=True, default=1)
    states: tuple[str, ...] = eqx.field(static=True, default=())
    reported: Callable | None = None
    facts: Facts | None = eqx.field(static=True, default=None)

    @property
    def delay(self) -> Any:
        """The delay, in units of time."""
        return self.parameters["tau"]

    @property
    def dt(self) -> Any:
        """The time step."""
        return self.delay / self.intervals

    def past(self, initial: Float[Array, " dim"] | None = None) -> Float[Array, "rows dim"]:
        """The history on the grid, latest row last.

        Args:
            initial: constant history; by default the system's own.

        Returns:
            Values at `-(intervals + 1) dt .. 0`.
        """
        rows = self.intervals + 2
        if initial is not None or self.history is None:
            value = jnp.asarray(self.initial if initial is None else initial)
            return jnp.broadcast_to(value, (rows, *value.shape))
        times = self.dt * jnp.arange(1 - rows, 1)
        history = self.history
        return jax.vmap(lambda t: jnp.reshape(jnp.asarray(history(t)), jnp.shape(self.initial)))(times)

    def init(self, key):
        """Return the history, moved as a whole by a Gaussian of size `spread`."""
        past = self.past()
        shift = self.spread * jr.normal(key, past.shape[1:], past.dtype)
        return DelayState(past + shift, jnp.array(past.shape[0] - 1, jnp.int32))

    def rhs(self, state: Float[Array, " dim"], delayed: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Time derivative at a state and a delayed state."""
        return self.field(state, delayed, self.parameters)

    def jacobian(self, state: Float[Array, " dim"], delayed: Float[Array, " dim"]) -> tuple[Array, Array]:
        """Derivatives of `rhs` by the state and by the delayed state, each of shape `(dim, dim)`."""
        return jax.jacfwd(self.rhs, argnums=(0, 1))(jnp.asarray(state), jnp.asarray(delayed))

    @property
    def invariants(self) -> dict[str, Any]:
        """Our stored invariants, by the names of `computed_invariants`; empty for other systems or parameters."""
        from separatrix.systems.computed import invariants_of  # the table is read when it is asked for

        return invariants_of(self)

    def observe(self, states: Float[ArrayLike, "*batch dim"]) -> Float[Array, "*batch reported"]:
        """Reported coordinates of states."""
        return observe(self, states)

    def advance(self, now: Float[Array, " dim"], window: Float[Array, "4 dim"]) -> Float[Array, " dim"]:
        """Advance the present value by `dt`.

        Args:
            now: value at time t.
            window: values at `t - tau - dt, t - tau, t - tau + dt, t - tau + 2 dt`.

        Returns:
            Value at `t + dt`.
        """
        h = self.dt
        middle = (9 * (window[1] + window[2]) - (window[0] + window[3])) / 16
        k1 = self.rhs(now, window[1])
        k2 = self.rhs(now + h / 2 * k1, middle)
        k3 = self.rhs(now + h / 2 * k2, middle)
        k4 = self.rhs(now + h * k3, window[2])
        return now + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    def step(self, state, x, key):
        """Advance time by `dt`."""
        del x, key
        rows = state.ring.shape[0]
        oldest = state.head + 1 + jnp.arange(4, dtype=state.head.dtype)
        after = self.advance(state.now, state.ring[oldest % rows])
        head = (state.head + 1) % rows
        return DelayState(state.ring.at[head].set(after), head), {}

    def solve(self, past: Float[Array, "rows dim"], steps: int) -> Float[Array, "steps dim"]:
        """Integrate by the method of steps; for `jit`, with `steps` fixed.

        Args:
            past: history on the grid, latest row last.
            steps: number of steps of `dt`.

        Returns:
            Values at `dt, 2 dt, ..., steps dt`.
        """
        rows = self.intervals + 2
        inner = self.intervals - 1  # the last windows of a longer stretch would reach into values not yet known

        def stretch(past, _):
            windows = jnp.stack([past[i : i + inner] for i in range(4)], axis=1)

            def one(now, window):
                after = self.advance(now, window)
                return after, after

            _, new = jax.lax.scan(one, past[-1], windows)
            return jnp.concatenate([past, new])[-rows:], new

        count = -(-steps // inner)
        _, values = jax.lax.scan(stretch, past, None, length=count)
        return values.reshape(count * inner, *past.shape[1:])[:steps]
