"""An optax optimiser whose hyper-parameters are data, so that a grid over them needs one compilation."""

from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import optax
from jaxtyping import ArrayLike, PyTree

__all__ = ["Traced", "traced"]


class Traced(eqx.Module):
    """Behaves as an `optax.GradientTransformation`; see `traced`.

    Attributes:
        make: the factory, static.
        hyperparameters: its keyword arguments.
    """

    make: Callable[..., optax.GradientTransformation] = eqx.field(static=True)
    hyperparameters: dict[str, ArrayLike]

    def init(self, params: PyTree) -> optax.OptState:
        """Return the first state of the optimiser."""
        return self.make(**self.hyperparameters).init(params)

    def update(self, updates: PyTree, state: optax.OptState, params: PyTree = None, **extra: Any):
        """Return the updates and the next state."""
        return optax.with_extra_args_support(self.make(**self.hyperparameters)).update(updates, state, params, **extra)


def traced(
    make: Callable[..., optax.GradientTransformation], **hyperparameters: ArrayLike
) -> optax.GradientTransformation:
    """Build an optimiser anew inside each step, from hyper-parameters that are leaves of the process.

    Two processes that differ in a learning rate or a weight decay then share one compiled program, and a grid over it
    is a `vmap`: `run(..., over={"decay": ...}, vary=...)`.

    Args:
        make: factory such as `optax.adamw`; a function that stays the same object, as it is compared by identity.
        hyperparameters: keyword arguments of `make` that it accepts as arrays.

    Returns:
        A module with the methods `init` and `update` of a `GradientTransformation`.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> optimiser = traced(optax.sgd, learning_rate=0.5)
        >>> state = optimiser.init(jnp.ones(2))
        >>> optimiser.update(jnp.ones(2), state)[0].tolist(), len(jax.tree.leaves(optimiser))
        ([-0.5, -0.5], 1)
    """
    return cast(optax.GradientTransformation, Traced(make, hyperparameters))
