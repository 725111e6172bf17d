"""How periodic the weights of a neuron are: the inverse participation ratio of their Fourier spectrum.

A neuron that generalises on modular arithmetic has weights of one frequency, a neuron that memorises has a flat
spectrum. The ratio is 1 for a single frequency and 1 / (number of frequencies) for a flat spectrum.
"""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

__all__ = ["constant_share", "gini", "inverse_participation_ratio", "neuron_periodicity", "primitive_root_powers"]


def inverse_participation_ratio(
    w: Float[Array, "..."],
    r: float = 2,
    axis: int = -1,
    transform: Literal["rfft"] | Callable[[Array], Array] | None = "rfft",
) -> Float[Array, "..."]:
    """Concentration of a vector in a basis, `sum_k (|F_k| / ||F||)^(2 r)`.

    Invariant under scaling and, in the Fourier basis, under cyclic shifts. A Gaussian vector of length p has about
    `2 / (p // 2 + 1)` in the Fourier basis. A constant vector has 1 as well as a cosine; `constant_share` tells them
    apart.

    Args:
        w: any weights.
        r: order, above 1; 2 is usual.
        axis: along which the vectors lie.
        transform: basis. `"rfft"`: Fourier, with each pair of conjugate frequencies counted once and the constant
            included, so that the cosine of an odd length has exactly one component. A function acts on the last
            axis. None: the vector as it is.

    Returns:
        Shape of `w` without `axis`, in [1 / components, 1]; NaN for a vector of zeros.

    Raises:
        ValueError: if `transform` is another string.

    References:
        Doshi, Das, He, Gromov (2024), ICLR, arXiv 2310.13061, section 3.

    Examples:
        >>> cosine = jnp.cos(2 * jnp.pi * 3 * jnp.arange(97) / 97)
        >>> round(float(inverse_participation_ratio(cosine)), 5)
        1.0
        >>> round(1 / float(inverse_participation_ratio(jnp.eye(97)[5])), 3)
        49.0
    """
    power = _power(jnp.moveaxis(jnp.asarray(w), axis, -1), transform)
    return jnp.sum((power / jnp.sum(power, axis=-1, keepdims=True)) ** r, axis=-1)


def constant_share(w: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Share of the constant component in the spectrum, `|F_0|^2 / ||F||^2`, with the conventions of the ratio above.

    Args:
        w: any weights.
        axis: along which the vectors lie.

    Returns:
        Shape of `w` without `axis`, in [0, 1]; NaN for a vector of zeros.

    Examples:
        >>> round(float(constant_share(jnp.ones(7))), 5)
        1.0
    """
    power = _power(jnp.moveaxis(w, axis, -1), "rfft")
    return power[..., 0] / jnp.sum(power, axis=-1)


def _power(w: Array, transform) -> Array:
    largest = jnp.max(jnp.abs(w), axis=-1, keepdims=True)
    w = w / jnp.where(largest > 0, largest, 1)  # the squares of small weights would vanish in float32
    if transform is None:
        spectrum = w
    elif callable(transform):
        spectrum = transform(w)
    elif transform == "rfft":
        spectrum = jnp.fft.rfft(w, axis=-1)
    else:
        raise ValueError(f'`transform` must be "rfft", a function or None; got {transform!r}.')
    spectrum = jnp.asarray(spectrum)
    return jnp.real(spectrum) ** 2 + jnp.imag(spectrum) ** 2


def neuron_periodicity(
    first: Float[Array, "p width"],
    second: Float[Array, "p width"],
    readout: Float[Array, "width classes"],
    score: Callable[[Float[Array, "width p"]], Float[Array, " width"]] = inverse_participation_ratio,
) -> Float[Array, " width"]:
    """Mean periodicity of the weights into and out of each neuron of a `QuadraticMLP`.

    Args:
        first: weights from the first integer.
        second: weights from the second integer.
        readout: weights to the outputs.
        score: concentration along the last axis, such as `inverse_participation_ratio`.

    Returns:
        One score for each neuron.

    Examples:
        >>> import jax.random as jr
        >>> from separatrix.models.quadratic_mlp import modular_addition_teacher
        >>> teacher = modular_addition_teacher(jr.key(0), p=97, width=100)
        >>> scores = neuron_periodicity(teacher.first, teacher.second, teacher.readout)
        >>> scores.shape, bool(jnp.all(scores > 0.999))
        ((100,), True)
    """
    return (score(first.T) + score(second.T) + score(readout)) / 3


def gini(x: Float[Array, "..."], axis: int = -1) -> Float[Array, "..."]:
    """Gini coefficient, `mean_ij |x_i - x_j| / (2 mean x)`.

    Args:
        x: non-negative numbers, such as the magnitudes of a spectrum.
        axis: along which to compare them.

    Returns:
        Shape of `x` without `axis`, from 0 (all equal) to 1 - 1/n (all in one place); NaN for zeros, and where a number
        is negative.

    Examples:
        >>> round(float(gini(jnp.array([0.0, 0.0, 0.0, 5.0]))), 6)
        0.75
    """
    x = jnp.sort(jnp.moveaxis(jnp.asarray(x), axis, -1), axis=-1)
    n = x.shape[-1]
    # each number enters with the count of smaller ones less the count of larger ones
    weights = (2 * jnp.arange(1, n + 1) - n - 1).astype(x.dtype)
    index = jnp.sum(weights * x, axis=-1) / (n * jnp.sum(x, axis=-1))
    return jnp.where(x[..., 0] < 0, jnp.nan, index)


def primitive_root_powers(p: int) -> Int[np.ndarray, " order"]:
    """Powers `1, g, g^2, ...` of the smallest primitive root g modulo a prime: all integers from 1 to p - 1.

    In this order multiplication modulo p is addition of exponents, so weights that are periodic in the exponent show
    it in their Fourier spectrum: `inverse_participation_ratio(w[..., primitive_root_powers(p)])`.

    Args:
        p: an odd prime.

    Returns:
        The integers, in the order of their discrete logarithms.

    Raises:
        ValueError: if there is no primitive root of order p - 1, so p is not prime.

    Examples:
        >>> primitive_root_powers(7).tolist()
        [1, 3, 2, 6, 4, 5]
    """
    for root in range(2, p):
        powers = [1]
        while (value := powers[-1] * root % p) not in (0, 1) and len(powers) < p:
            powers.append(value)
        if len(powers) == p - 1:
            return np.array(powers)
    raise ValueError(f"`p` must be an odd prime; got {p}.")
