"""Regression on Gaussian inputs whose targets depend on one direction or a few: single- and multi-index teachers."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["TeacherSplit", "hermite", "multi_index_data", "single_index_data"]


class TeacherSplit(eqx.Module):
    """Training and test examples of a regression task with a known teacher.

    Attributes:
        train_inputs: examples on the first axis, each entry of variance 1/D.
        train_targets: one number each.
        test_inputs: held-out inputs.
        test_targets: their targets, without noise.
        directions: the teacher's directions as rows, each of squared length D, so that `directions @ x` is standard
            normal.
    """

    train_inputs: Float[Array, "train dim"]
    train_targets: Float[Array, " train"]
    test_inputs: Float[Array, "test dim"]
    test_targets: Float[Array, " test"]
    directions: Float[Array, "index dim"]


def hermite(degree: int) -> Callable[[Array], Array]:
    """Hermite polynomial of a standard normal variable, normalised to mean square 1.

    Args:
        degree: from 0.

    Returns:
        An elementwise function; different degrees are orthonormal under the standard normal distribution.

    Raises:
        ValueError: if `degree` is negative.

    Example:
        >>> [round(float(v), 4) for v in hermite(2)(jnp.array([0.0, 1.0, 3.0]))]  # (a^2 - 1) / sqrt(2)
        [-0.7071, 0.0, 5.6569]
    """
    if degree < 0:
        raise ValueError(f"`degree` must not be negative; got {degree}.")
    return _Hermite(degree)


class _Hermite(eqx.Module):
    degree: int = eqx.field(static=True)

    def __call__(self, a: Array) -> Array:
        previous, current = jnp.zeros_like(a), jnp.ones_like(a)
        for n in range(self.degree):
            previous, current = current, a * current - n * previous
        return current / math.sqrt(math.factorial(self.degree))


def single_index_data(
    key: PRNGKeyArray,
    num_train: int,
    dim: int,
    degree: int = 2,
    *,
    num_test: int = 1000,
    link: Callable[[Float[Array, ""]], Float[Array, ""]] | None = None,
    noise: ArrayLike = 0.0,
    dtype: DTypeLike = jnp.float32,
) -> TeacherSplit:
    """Inputs `x ~ N(0, I/D)` with targets `(beta . x)^degree / degree`, or `link(beta . x)`, for a random beta.

    As `|beta|^2 = D`, `beta . x` is standard normal. For degree 2 the targets have mean 1/2 and mean square 3/4.

    Args:
        key: drives direction, inputs and noise, each by its own key; may be traced.
        num_train: number of training examples.
        dim: D.
        degree: power of the target, at least 1.
        num_test: number of test examples.
        link: target as a function of `beta . x`, in place of the power; `hermite(k)` say.
        noise: standard deviation of Gaussian noise on the training targets.
        dtype: float dtype of everything.

    Returns:
        The split; its `directions` has the one row beta.

    Raises:
        ValueError: if a size or `degree` is not positive, or `dtype` is no usable float format.

    References:
        Kumar, Bordelon, Gershman, Pehlevan (2024), ICLR, arXiv 2310.06110.

    Example:
        >>> split = single_index_data(jr.key(0), num_train=20, dim=5)
        >>> a = split.train_inputs @ split.directions[0]
        >>> split.train_inputs.shape, bool(jnp.allclose(split.train_targets, a**2 / 2, rtol=1e-4))
        ((20, 5), True)
    """
    if degree < 1:
        raise ValueError(f"`degree` must be at least 1; got {degree}.")
    single = link if link is not None else lambda a: a**degree / degree
    how = {"num_test": num_test, "noise": noise, "dtype": dtype}
    return multi_index_data(key, num_train, dim, 1, lambda a: single(a[0]), **how)


def multi_index_data(
    key: PRNGKeyArray,
    num_train: int,
    dim: int,
    num_directions: int,
    link: Callable[[Float[Array, " index"]], Float[Array, ""]],
    *,
    num_test: int = 1000,
    noise: ArrayLike = 0.0,
    dtype: DTypeLike = jnp.float32,
) -> TeacherSplit:
    """Inputs `x ~ N(0, I/D)` with targets `link(B x)` for random orthogonal directions B.

    Args:
        key: drives directions, inputs and noise, each by its own key; may be traced.
        num_train: number of training examples.
        dim: D.
        num_directions: rows of B, at most D; each has squared length D.
        link: target of one example from its independent standard normal coordinates, shape `(num_directions,)`.
        num_test: number of test examples.
        noise: standard deviation of Gaussian noise on the training targets.
        dtype: float dtype of everything.

    Returns:
        The split.

    Raises:
        ValueError: if a size is out of range, or `dtype` is no usable float format.

    Example:
        >>> split = multi_index_data(jr.key(0), 20, dim=5, num_directions=2, link=lambda a: a[0] * a[1])
        >>> bool(jnp.allclose(split.directions @ split.directions.T, 5 * jnp.eye(2), atol=1e-4))
        True
    """
    if min(num_train, num_test, num_directions) < 1 or num_directions > dim:
        raise ValueError(
            f"there must be examples on both sides and 1..{dim} directions; got num_train={num_train}, "
            f"num_test={num_test}, num_directions={num_directions}."
        )
    dtype = resolve_float_dtype(dtype)
    raw = jr.normal(jr.fold_in(key, 0), (dim, num_directions), dtype)
    directions = jnp.sqrt(jnp.asarray(dim, dtype)) * jnp.linalg.qr(raw)[0].T
    train, test = (
        jr.normal(jr.fold_in(key, i), (n, dim), dtype) / jnp.sqrt(jnp.asarray(dim, dtype))
        for i, n in ((1, num_train), (2, num_test))
    )
    clean = [jax.vmap(link)(x @ directions.T) for x in (train, test)]
    noisy = clean[0] + jnp.asarray(noise, dtype) * jr.normal(jr.fold_in(key, 3), (num_train,), dtype)
    return TeacherSplit(train, noisy, test, clean[1], directions)
