"""Gradient descent and Polyak's heavy ball on any loss, as a process."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from separatrix._core.process import AbstractProcess

__all__ = ["HeavyBall", "HeavyBallState"]


class HeavyBallState(NamedTuple):
    """State of `HeavyBall`.

    Attributes:
        params: what the loss is a function of.
        velocity: the last move, structured like `params`.
    """

    params: PyTree[Float[Array, "..."]]
    velocity: PyTree[Float[Array, "..."]]


class HeavyBall(AbstractProcess):
    """Polyak's iteration `v <- momentum v - rate grad(w)`, `w <- w + v`, started at rest; full-batch, deterministic.

    Along an eigendirection of a quadratic with curvature c it is the linear map whose characteristic polynomial is
    `z^2 - (1 + momentum - rate c) z + momentum`. So it is stable for `0 < rate c < 2 (1 + momentum)`, and where the
    roots are complex it contracts by `sqrt(momentum)` a step, whatever the rate.

    Attributes:
        loss: `params -> scalar`.
        initial: `key -> params`, a pytree of floating-point arrays.
        rate: learning rate, positive.
        momentum: in [0, 1); 0 is gradient descent.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix import info_probe, run
        >>> bowl = HeavyBall(lambda w: 0.5 * w @ w, lambda key: jnp.ones(2), rate=0.5)
        >>> state, records = run(bowl, jr.key(0), 3, probes=[info_probe("loss")])
        >>> records["loss"].tolist(), state.params.tolist()
        ([1.0, 0.25, 0.0625], [0.125, 0.125])

    References:
        Polyak (1964), USSR Comput. Math. Math. Phys. 4(5), 1-17.
    """

    loss: Callable[[PyTree], Float[Array, ""]]
    initial: Callable[[Key[Array, ""]], PyTree]
    rate: ArrayLike
    momentum: ArrayLike = 0.0

    def init(self, key):
        """Draw the parameters; the velocity is zero."""
        params = self.initial(key)
        return HeavyBallState(params, jax.tree.map(jnp.zeros_like, params))

    def step(self, state, x, key):
        """Move once; `info` has the `loss` before the move."""
        del x, key
        value, slope = jax.value_and_grad(self.loss)(state.params)
        velocity = jax.tree.map(lambda v, g: self.momentum * v - self.rate * g, state.velocity, slope)
        return HeavyBallState(jax.tree.map(jnp.add, state.params, velocity), velocity), {"loss": value}
