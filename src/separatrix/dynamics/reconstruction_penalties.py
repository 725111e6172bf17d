"""Penalties on the weights of a reconstruction: `(model, observation) -> number`."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

__all__ = ["ConditionPenalty", "LatentPenalty", "ManifoldAttractorPenalty"]


class LatentPenalty(eqx.Module):
    """`strength * (|target - A|^2 + sum of |W|^2 over the other weights)`.

    The published penalty has the target 1 (the default here, so that numbers compare): it pulls the diagonal to 1,
    where the clipped model loses its bound. Target 0 is plain weight decay.

    Attributes:
        strength: lambda.
        target: where the diagonal is pulled.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.models import ClippedShallowPLRNN
        >>> model = ClippedShallowPLRNN(3, 5, jr.key(0))
        >>> float(LatentPenalty(1e-5)(model, None)) > 0
        True
    """

    strength: ArrayLike
    target: ArrayLike = 1.0

    def __call__(self, model: Any, observation: Any) -> Float[Array, ""]:
        """Return the penalty."""
        del observation
        total = jnp.sum((self.target - model.A) ** 2)
        for weights in model.couplings():
            total += jnp.sum(weights**2)
        return jnp.asarray(self.strength) * total


class ConditionPenalty(eqx.Module):
    """`strength * (1 - sigma_max / sigma_min)^2` of the observation matrix; zero where there is none.

    Attributes:
        strength: lambda.
    """

    strength: ArrayLike

    def __call__(self, model: Any, observation: Any) -> Float[Array, ""]:
        """Return the penalty."""
        del model
        measure = getattr(observation, "condition_penalty", None)
        return jnp.zeros(()) if measure is None else jnp.asarray(self.strength) * measure()


class ManifoldAttractorPenalty(eqx.Module):
    """Pulls some units towards perfect memory: diagonal one, no incoming coupling, no bias.

    Attributes:
        strength: tau of the paper.
        fraction: share of the units, the first ones, in [0, 1].

    References:
        Schmidt, Koppe, Monfared, Beutelspacher, Durstewitz (2021), ICLR, arXiv:1910.03471.
    """

    strength: ArrayLike
    fraction: float = eqx.field(static=True, default=0.5)

    def __check_init__(self):
        """Refuse a share that is none."""
        if not 0 <= self.fraction <= 1:
            raise ValueError(f"`fraction` must lie in [0, 1]; got {self.fraction}.")

    def __call__(self, model: Any, observation: Any) -> Float[Array, ""]:
        """Return the penalty."""
        del observation
        k = round(self.fraction * len(model.A))
        incoming, bias = model.couplings()[0], getattr(model, "h1", None)
        bias = model.h if bias is None else bias
        terms = [jnp.sum((1 - model.A[:k]) ** 2), jnp.sum(incoming[:k] ** 2), jnp.sum(bias[:k] ** 2)]
        return jnp.asarray(self.strength) * (terms[0] + terms[1] + terms[2])
