"""Arithmetic with the rounding of a chosen float format, written down where a compiler cannot undo it.

Experiments on numerical precision need to know after *which* operations a value is rounded, and in what order a sum
is taken. Casting to `float16` and back does not say so: XLA may keep the excess precision of a pair of casts, sum
halves in a `float32` accumulator, contract `a * b + c` to a fused multiply-add, and evaluate `exp` of one array
element by one routine and of its neighbour by another (vector lanes and the remainder of a loop). Here values stay in
a wide *carrier* type and each rounding is an explicit operation on them, so one expression has one value, whether it
runs eagerly, compiled, or batched.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import DTypeLike
from jaxtyping import Array, Float

__all__ = ["pairwise_sum", "resolve_float_dtype", "round_to", "rounded_exp", "rounded_log"]

_FORMATS = ("float16", "bfloat16", "float32", "float64")


def resolve_float_dtype(dtype: DTypeLike) -> np.dtype:
    """Turn a name or type into one of the four float dtypes, and make sure JAX can use it now.

    Args:
        dtype: `"float16"`, `"bfloat16"`, `"float32"`, `"float64"`, or anything that NumPy reads as one of them.

    Returns:
        The NumPy dtype.

    Raises:
        ValueError: if `dtype` is none of the four, or is `float64` while 64-bit types are disabled.

    Example:
        >>> resolve_float_dtype("bfloat16").itemsize
        2
    """
    try:
        resolved = jnp.dtype(dtype)
    except TypeError:
        resolved = None
    if resolved is None or resolved.name not in _FORMATS:
        raise ValueError(f"A float format must be one of {', '.join(_FORMATS)}; got {dtype!r}.")
    if resolved.name == "float64" and not jax.config.jax_enable_x64:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            "float64 arithmetic needs 64-bit types, which are disabled, so JAX would silently compute in float32. "
            "Wrap the call in `with jax.enable_x64():`."
        )
    return resolved


def round_to(x: Float[Array, "..."], dtype: DTypeLike) -> Float[Array, "..."]:
    """Round to the nearest value of a float format, ties to even, and stay in the dtype of `x`.

    The result is bit-equal to a cast to `dtype` and back, subnormal numbers and overflow to infinity included, and XLA
    cannot remove it. If `x` already has that dtype the values do not change, but the result is still sealed: a product
    rounded by `round_to` is not contracted with a later sum into a fused multiply-add.

    The derivative is that of the identity, as for a cast.

    Args:
        x: any shape, a float dtype that contains `dtype` (or `dtype` itself, or a narrower format of its values).
        dtype: the format to round to, as for `resolve_float_dtype`. Formats wider than `x` leave it as it is.

    Returns:
        Array shaped and typed like `x`. On processors set to flush subnormal numbers, as XLA sets them, subnormal
        values of `dtype` survive as long as they are normal in the dtype of `x`; those of `bfloat16` in a `float32`
        carrier are kept by the rounding, but the next arithmetic operation may read them as zero.

    Raises:
        ValueError: if `x` is not a float array, if one of `x.dtype` and `dtype` is `float16` and the other
            `bfloat16` (neither contains the other), or if `dtype` is no usable float format.

    Example:
        The spacing of `float16` above 1 is 2^-10, and its largest number is 65504.

        >>> round_to(jnp.array([1 + 2**-11, 1 + 3 * 2**-11, 0.1, 65519.0, 65520.0]), "float16").tolist()
        [1.0, 1.001953125, 0.0999755859375, 65504.0, inf]
    """
    x = jnp.asarray(x)
    target = resolve_float_dtype(dtype)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"`x` must have a float dtype; got {x.dtype}. Convert it first, e.g. `x.astype(jnp.float32)`.")
    if {x.dtype.name, target.name} == {"float16", "bfloat16"}:
        raise ValueError(
            f"{x.dtype.name} cannot carry {target.name}: neither format contains the other. Cast `x` to float32 first."
        )
    return _round(x, target.name)


@partial(jax.custom_jvp, nondiff_argnums=(1,))
@partial(jax.jit, static_argnums=1)
def _round(x: Array, name: str) -> Array:
    target, carrier = jnp.finfo(name), jnp.finfo(x.dtype)
    if target.nmant >= carrier.nmant:
        # Nothing to round. A select that never selects: it stops the contraction of `a * b - c`, which
        # `lax.reduce_precision` to the same format and `lax.optimization_barrier` do not.
        return jnp.where(jnp.isnan(x), jnp.nan, x)
    rounded = lax.reduce_precision(x, target.nexp, target.nmant)
    if target.nexp == carrier.nexp:
        return rounded
    # `reduce_precision` flushes the subnormal numbers of a format with fewer exponent bits. They lie on a uniform
    # grid, so there rounding is to the nearest integer multiple of its spacing; the scalings are exact.
    spacing = 2.0 ** (target.minexp - target.nmant)
    subnormal = jnp.round(x * (1 / spacing)) * spacing
    return jnp.where(jnp.abs(x) < 2.0**target.minexp, subnormal, rounded)


@_round.defjvp
def _round_jvp(name: str, primals: Any, tangents: Any):
    return _round(primals[0], name), tangents[0]


def pairwise_sum(x: Float[Array, "..."], axis: int = -1, dtype: DTypeLike | None = None) -> Float[Array, "..."]:
    """Sum over one axis by a balanced tree, each partial sum rounded to a float format.

    The tree adds the first half of the axis to the second half until one entry is left; an odd entry waits for the
    next level. The order therefore depends on the length of the axis only, and a sum of n terms has n - 1 roundings,
    at most ceil(log2(n)) of them on any path.

    Args:
        x: any shape, float.
        axis: the axis to sum over; may have any length (an empty sum is 0).
        dtype: format of the partial sums, as for `round_to`; the dtype of `x` by default.

    Returns:
        `x` without `axis`, in the dtype of `x`.

    Raises:
        ValueError: as `round_to`.

    References:
        Higham (1993), SIAM J. Sci. Comput. 14, 783-799.

    Example:
        In `float16` a term of 2^-11 is absorbed by 1, but two of them make 2^-10, which is not.

        >>> terms = jnp.array([1.0, 2**-11, 2**-11, 0.0])
        >>> float(pairwise_sum(terms, dtype="float16"))  # (1 + 2^-11) + (2^-11 + 0)
        1.0
        >>> float(pairwise_sum(terms[jnp.array([0, 1, 3, 2])], dtype="float16"))  # (1 + 0) + (2^-11 + 2^-11)
        1.0009765625
    """
    x = jnp.asarray(x)
    dtype = resolve_float_dtype(x.dtype if dtype is None else dtype)
    return _pairwise_sum(round_to(jnp.moveaxis(x, axis, -1), dtype), dtype.name)


# Compiled as one: called eagerly, each level of the tree would be compiled on its own.
@partial(jax.jit, static_argnums=1)
def _pairwise_sum(x: Array, name: str) -> Array:
    if x.shape[-1] == 0:
        return jnp.zeros(x.shape[:-1], x.dtype)
    while x.shape[-1] > 1:
        half = x.shape[-1] // 2
        paired = _round(x[..., :half] + x[..., half : 2 * half], name)
        x = jnp.concatenate([paired, x[..., 2 * half :]], axis=-1)
    return x[..., 0]


def _in_double(fn, x: Array) -> Array:
    # With 64-bit types enabled only here: the dtypes of the program around stay as they are.
    with jax.enable_x64():
        return lax.convert_element_type(fn(lax.convert_element_type(x, jnp.float64)), x.dtype)


@jax.custom_jvp
def rounded_exp(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Exponential with one rounding, to the dtype of `x`, whatever the shape of `x`.

    XLA's own `exp` in `float32` is off by one unit in the last place in about one case in ten, and returns different
    bits for the same number in arrays of different length. This one is evaluated in `float64` (also where 64-bit types
    are disabled) and rounded. For `float64` it is the plain `exp`.

    Args:
        x: any shape, float.

    Returns:
        exp(x), shaped and typed like `x`.

    Example:
        >>> bool(rounded_exp(jnp.float32(-16.0)) == np.float32(np.exp(-16.0)))
        True
    """
    return _in_double(lax.exp, jnp.asarray(x))


@rounded_exp.defjvp
def _rounded_exp_jvp(primals: Any, tangents: Any):
    value = rounded_exp(primals[0])
    return value, value * tangents[0]


@jax.custom_jvp
def rounded_log(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Natural logarithm with one rounding, to the dtype of `x`; see `rounded_exp`.

    Args:
        x: any shape, float.

    Returns:
        log(x), shaped and typed like `x`; NaN for negative and -inf for zero entries.

    Example:
        >>> bool(rounded_log(jnp.float32(1 + 2**-23)) == np.float32(np.log1p(2.0**-23)))
        True
    """
    return _in_double(lax.log, jnp.asarray(x))


@rounded_log.defjvp
def _rounded_log_jvp(primals: Any, tangents: Any):
    return rounded_log(primals[0]), tangents[0] / primals[0]
