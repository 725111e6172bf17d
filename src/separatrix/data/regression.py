"""Regression tasks with a planted solution: a sparse linear predictor, and a small two-layer ReLU teacher."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

__all__ = ["RegressionSplit", "relu_teacher", "sparse_regression", "sphere"]


class RegressionSplit(eqx.Module):
    """Training and test examples of a regression task.

    Attributes:
        train_inputs: shape `(train, dim)`.
        train_targets: shape `(train,)`, or `(train, outputs)`.
        test_inputs: shape `(test, dim)`.
        test_targets: shape `(test,)`, or `(test, outputs)`.
    """

    train_inputs: Float[Array, "train dim"]
    train_targets: Float[Array, "train *outputs"]
    test_inputs: Float[Array, "test dim"]
    test_targets: Float[Array, "test *outputs"]


def _check(**sizes: int) -> None:
    for name, size in sizes.items():
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1; got {size}.")


def sparse_regression(
    key: PRNGKeyArray,
    num_train: int = 300,
    num_test: int = 3_000,
    dim: int = 1_000,
    num_relevant: int = 3,
    dtype: DTypeLike = jnp.float32,
) -> RegressionSplit:
    """Inputs uniform in [-1, 1]^dim, targets the sum of their first coordinates, without noise.

    The inputs have `E x_j^2 = 1/3`; the planted predictor has l1 norm `num_relevant`.

    Args:
        key: drives the inputs; may be traced.
        num_train: training examples; fewer than `dim` leave the predictor undetermined.
        num_test: test examples.
        dim: number of inputs.
        num_relevant: coordinates that are summed, at most `dim`.
        dtype: float dtype.

    Returns:
        The split. For the same key the training examples do not depend on `num_test`.

    Raises:
        ValueError: if a size is out of range.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490; its sizes are the defaults.

    Example:
        >>> split = sparse_regression(jr.key(0), num_train=5, num_test=2, dim=4)
        >>> bool(jnp.allclose(split.train_targets, split.train_inputs[:, :3].sum(axis=1))), split.test_inputs.shape
        (True, (2, 4))
    """
    _check(num_train=num_train, num_test=num_test, dim=dim, num_relevant=num_relevant)
    if num_relevant > dim:
        raise ValueError(f"`num_relevant` must be at most dim={dim}; got {num_relevant}.")
    parts = []
    for i, count in enumerate((num_train, num_test)):
        inputs = jr.uniform(jr.fold_in(key, i), (count, dim), dtype, minval=-1, maxval=1)
        parts += [inputs, jnp.sum(inputs[:, :num_relevant], axis=1)]
    return RegressionSplit(*parts)


def sphere(key: PRNGKeyArray, count: int, dim: int, dtype: DTypeLike = jnp.float32) -> Float[Array, "count dim"]:
    """Points drawn uniformly from the unit sphere in `dim` dimensions.

    Args:
        key: drives the points.
        count: number of points.
        dim: dimension of the space, at least 1.
        dtype: float dtype.

    Returns:
        Rows of length 1.

    Example:
        >>> bool(jnp.allclose(jnp.linalg.norm(sphere(jr.key(0), 4, 3), axis=1), 1))
        True
    """
    points = jr.normal(key, (count, dim), dtype)
    return points / jnp.linalg.norm(points, axis=1, keepdims=True)


def relu_teacher(
    key: PRNGKeyArray,
    num_train: int = 300,
    num_test: int = 3_000,
    dim: int = 100,
    num_units: int = 10,
    dtype: DTypeLike = jnp.float32,
) -> RegressionSplit:
    """Inputs uniform on the sphere of radius `sqrt(dim)`, targets `sum_i relu(v_i . x)` with random unit vectors v_i.

    Args:
        key: drives teacher and inputs; may be traced.
        num_train: training examples.
        num_test: test examples.
        dim: number of inputs.
        num_units: hidden units of the teacher.
        dtype: float dtype.

    Returns:
        The split. For the same key the training examples do not depend on `num_test`.

    Raises:
        ValueError: if a size is out of range.

    References:
        Wu, Su (2023), ICML, arXiv 2305.17490; its sizes are the defaults.

    Example:
        >>> split = relu_teacher(jr.key(0), num_train=5, num_test=2)
        >>> bool(jnp.allclose(jnp.linalg.norm(split.train_inputs, axis=1), 10, rtol=1e-5))
        True
    """
    _check(num_train=num_train, num_test=num_test, dim=dim, num_units=num_units)
    teacher = sphere(jr.fold_in(key, 2), num_units, dim, dtype)
    parts = []
    for i, count in enumerate((num_train, num_test)):
        inputs = math.sqrt(dim) * sphere(jr.fold_in(key, i), count, dim, dtype)
        parts += [inputs, jnp.sum(jax.nn.relu(inputs @ teacher.T), axis=1)]
    return RegressionSplit(*parts)
