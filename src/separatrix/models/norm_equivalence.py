"""Norms that the trace of the Gauss-Newton matrix bounds, for networks that know them in closed form.

Where the population trace is at least a constant times a norm of the predictor, a bound on the trace, such as the one
that SGD's stability implies, is a bound on the norm. A network of your own takes part by having the three methods.
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Array, Float

__all__ = ["HasPathNorm", "balance_score", "path_norm"]


@runtime_checkable
class HasPathNorm(Protocol):
    """A network with a path norm and a population trace, such as `DiagonalLinear` and `TwoLayerReLU`."""

    def path_norm(self) -> Float[Array, ""]:
        """Return the norm of the predictor."""
        ...

    def population_trace(self) -> Float[Array, ""]:
        """Return the trace of the population Gauss-Newton matrix."""
        ...

    def balance_score(self) -> Float[Array, ""]:
        """Return the trace over its lower bound in terms of the norm."""
        ...


def _check(params: HasPathNorm) -> None:
    if not isinstance(params, HasPathNorm):
        raise ValueError(
            f"`params` must have the methods of HasPathNorm, as DiagonalLinear and TwoLayerReLU have; got "
            f"{type(params).__name__}."
        )


def path_norm(params: HasPathNorm) -> Float[Array, ""]:
    """Path norm of a network: `sum_j |a_j| |w_j|` of a two-layer one, the predictor's l1 norm of a diagonal linear one.

    Args:
        params: the network, which is also its parameters.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: for another kind of parameters.

    References:
        Neyshabur, Tomioka, Srebro (2015), COLT, arXiv 1503.00036.

    Example:
        >>> import equinox as eqx, jax.numpy as jnp, jax.random as jr
        >>> from separatrix.models.diagonal_linear import DiagonalLinear
        >>> net = eqx.tree_at(lambda m: (m.a, m.b), DiagonalLinear(jr.key(0), 2), (jnp.array([1.0, 2.0]), -jnp.ones(2)))
        >>> float(path_norm(net))
        3.0
    """
    _check(params)
    return params.path_norm()


def balance_score(params: HasPathNorm) -> Float[Array, ""]:
    """Population trace of the Gauss-Newton matrix over its lower bound: how unevenly layers share the predictor.

    Args:
        params: the network, which is also its parameters.

    Returns:
        Scalar >= 1, and 1 if and only if the layers are balanced; NaN for a predictor of norm zero.

    Raises:
        ValueError: for another kind of parameters.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490.

    Example:
        >>> import equinox as eqx, jax.numpy as jnp, jax.random as jr
        >>> from separatrix.models.diagonal_linear import DiagonalLinear
        >>> net = eqx.tree_at(lambda m: (m.a, m.b), DiagonalLinear(jr.key(0), 2), (jnp.ones(2), 3 * jnp.ones(2)))
        >>> round(float(balance_score(net)), 6)  # (2 + 18) / (2 * 6)
        1.666667
    """
    _check(params)
    return params.balance_score()
