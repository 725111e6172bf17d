"""What the piecewise-linear recurrent networks share: initial weights, external inputs, norms."""

import math

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key

from separatrix._core.keys import named_key

__all__ = ["initial_coupling", "initial_diagonal", "input_matrix", "spectral_norm", "uniform", "with_input"]


def initial_coupling(M: int, key: Key[Array, ""]) -> Float[Array, "M M"]:
    """A random positive-definite matrix of spectral norm one: `K = R^T R / M + I`, divided by its largest eigenvalue.

    Args:
        M: number of units, at least 1.
        key: drives R, standard normal.

    Returns:
        The matrix.

    Raises:
        ValueError: if `M` is below 1.

    Examples:
        >>> float(jnp.linalg.norm(initial_coupling(4, jr.key(0)), ord=2).round(5))
        1.0

    References:
        Talathi and Vartak (2015), arXiv:1511.03771.
    """
    if M < 1:
        raise ValueError(f"`M` must be at least 1; got {M}.")
    r = jr.normal(named_key(key, "A"), (M, M))
    k = r.T @ r / M + jnp.eye(M)
    return k / jnp.linalg.eigvalsh(k)[-1]


def initial_diagonal(M: int, key: Key[Array, ""]) -> Float[Array, " M"]:
    """Diagonal of `initial_coupling`.

    Args:
        M: number of units.
        key: drives it.

    Returns:
        Numbers in (0, 1].
    """
    return jnp.diagonal(initial_coupling(M, key))


def uniform(key: Key[Array, ""], shape: tuple[int, ...], fan: int | None = None) -> Float[Array, "..."]:
    """Uniform numbers within one over the root of the fan.

    Args:
        key: drives them.
        shape: of the array.
        fan: the last dimension by default.

    Returns:
        The array.

    Raises:
        ValueError: if a dimension is below 1.
    """
    if min(shape) < 1:
        raise ValueError(f"every dimension must be at least 1; got {shape}.")
    bound = 1 / math.sqrt(fan or shape[-1])
    return jr.uniform(key, shape, minval=-bound, maxval=bound)


def input_matrix(M: int, num_inputs: int, key: Key[Array, ""]) -> Float[Array, "M P"] | None:
    """Initial matrix of external inputs.

    Args:
        M: number of units.
        num_inputs: number of inputs.
        key: drives it.

    Returns:
        The matrix, or None without inputs.
    """
    return uniform(named_key(key, "C"), (M, num_inputs)) if num_inputs else None


def with_input(
    z: Float[Array, "*batch M"], C: Float[Array, "M P"] | None, s: Float[Array, "*batch P"] | None
) -> Float[Array, "*batch M"]:
    """Add external inputs.

    Args:
        z: next states without them.
        C: input matrix.
        s: inputs.

    Returns:
        Next states.

    Raises:
        ValueError: if a model without inputs is given some.
    """
    if s is None:
        return z
    if C is None:
        raise ValueError("the model has no external inputs; build it with `num_inputs`.")
    return z + s @ C.T


def spectral_norm(matrix: Float[Array, "m n"]) -> Float[Array, ""]:
    """Largest singular value.

    Args:
        matrix: any matrix.

    Returns:
        Its spectral norm.
    """
    return jnp.linalg.norm(matrix, ord=2)
