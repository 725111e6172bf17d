"""Training and test examples of one data set.

Sizes are static and the choice of examples is traced, so a data set can be drawn for many seeds at once:
`jax.vmap(lambda key: modular_arithmetic(key, 59))(jax.random.split(key, 4))`.
"""

import math

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.typing import ArrayLike
from jaxtyping import Array, Int, PRNGKeyArray, Shaped

__all__ = ["Split", "num_train_examples", "random_split"]


class Split(eqx.Module):
    """Training and test examples of a classification task.

    Attributes:
        train_inputs: inputs, examples on the first axis.
        train_targets: integer class of each training example, in [0, num_classes).
        test_inputs: inputs of the held-out examples.
        test_targets: their classes.
        num_classes: number of classes, static.
    """

    train_inputs: Shaped[Array, "train ..."]
    train_targets: Int[Array, " train"]
    test_inputs: Shaped[Array, "test ..."]
    test_targets: Int[Array, " test"]
    num_classes: int = eqx.field(static=True)


def num_train_examples(num_examples: int, train_fraction: float) -> int:
    """Number of training examples, `floor(train_fraction * num_examples)`.

    Args:
        num_examples: number of examples in all.
        train_fraction: in (0, 1).

    Returns:
        The number, at least 1 and less than `num_examples`.

    Raises:
        ValueError: if `train_fraction` is out of range, or leaves one part empty.

    Example:
        >>> num_train_examples(100, 0.29), 0.29 * 100  # 29, although the product is a little less
        (29, 28.999999999999996)
    """
    if not 0 < train_fraction < 1:
        raise ValueError(f"`train_fraction` must be in (0, 1); got {train_fraction}.")
    num_train = math.floor(train_fraction * num_examples + 1e-9)
    if not 0 < num_train < num_examples:
        raise ValueError(
            f"`train_fraction` must leave examples on both sides; {train_fraction} of {num_examples} examples gives "
            f"{num_train} for training."
        )
    return num_train


def random_split(
    key: PRNGKeyArray,
    inputs: ArrayLike,
    targets: ArrayLike,
    num_classes: int,
    num_train: int,
    num_test: int | None = None,
) -> Split:
    """Draw disjoint training and test examples, uniformly and without replacement.

    Args:
        key: drives the choice; may be traced.
        inputs: examples on the first axis.
        targets: integer class of each example.
        num_classes: number of classes.
        num_train: number of training examples, at least 1.
        num_test: number of test examples, at least 1; by default all that are left.

    Returns:
        The split, in random order. For the same key the training examples do not depend on `num_test`.

    Raises:
        ValueError: if the sizes do not fit the number of examples.

    Example:
        >>> split = random_split(jr.key(0), jnp.arange(10), jnp.arange(10) % 2, num_classes=2, num_train=7)
        >>> sorted([*split.train_inputs.tolist(), *split.test_inputs.tolist()])
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    inputs, targets = jnp.asarray(inputs), jnp.asarray(targets)
    total = inputs.shape[0]
    num_test = total - num_train if num_test is None else num_test
    if num_train < 1 or num_test < 1 or num_train + num_test > total:
        raise ValueError(
            f"`num_train` and `num_test` must be at least 1 and add up to at most {total}, the number of examples; "
            f"got {num_train} and {num_test}."
        )
    order = jr.permutation(key, total)
    train, test = order[:num_train], order[num_train : num_train + num_test]
    return Split(inputs[train], targets[train], inputs[test], targets[test], num_classes)
