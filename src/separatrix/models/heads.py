"""Output heads for sequences of tasks: one for all, one each, and a common one whose classes appear over time.

A head sits on a trunk that gives features; `MultiHead` and `MaskedHead` are called with a pair of an input and a task
index, which `separatrix.continual` supplies (`with_own_task`, `with_current_task`). Shapes never change: classes that
do not count get a logit of -1e9, finite so that gradients stay numbers.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from separatrix.models.mlp import uniform_weights

__all__ = ["HIDDEN_LOGIT", "MaskedHead", "MultiHead", "SharedHead", "expanding_head", "mask_logits"]

HIDDEN_LOGIT = -1e9
"""Logit of a class that does not count."""


def mask_logits(logits: Float[Array, "*batch classes"], visible: Bool[Array, "*batch classes"]) -> Array:
    """Give hidden classes a logit of -1e9.

    Args:
        logits: classes on the last axis.
        visible: which classes count.

    Returns:
        Array shaped like `logits`; no gradient reaches hidden logits.

    Examples:
        >>> mask_logits(jnp.array([1.0, 2.0]), jnp.array([True, False])).tolist()
        [1.0, -1000000000.0]
    """
    return jnp.where(visible, logits, jnp.asarray(HIDDEN_LOGIT, logits.dtype))


class SharedHead(eqx.Module):
    """One linear layer for all tasks on top of a trunk.

    Args:
        key: drives the weights of the layer.
        trunk: `input -> features`, any module.
        features: number of features.
        classes: number of outputs.
        activation: applied to the features.
        dtype: float dtype of the layer.

    Attributes:
        trunk: as given.
        weight: shape `(features, classes)`.
        bias: shape `(classes,)`.
        activation: as given.

    Examples:
        >>> head = SharedHead(jr.key(0), lambda x: x[:3], features=3, classes=5)
        >>> head(jnp.ones(8)).shape
        (5,)
    """

    trunk: Callable[[PyTree], Float[Array, " features"]]
    weight: Float[Array, "features classes"]
    bias: Float[Array, " classes"]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        trunk: Callable[[PyTree], Array],
        features: int,
        classes: int,
        *,
        activation: Callable[[Array], Array] = lambda x: x,
        dtype: DTypeLike = jnp.float32,
    ):
        self.trunk, self.activation = trunk, activation
        self.weight = uniform_weights(jr.fold_in(key, 0), (features, classes), features, dtype)
        self.bias = uniform_weights(jr.fold_in(key, 1), (classes,), features, dtype)

    def __call__(self, x: PyTree) -> Float[Array, " classes"]:
        """Logits of one example."""
        return self.activation(self.trunk(x)) @ self.weight + self.bias


class MultiHead(eqx.Module):
    """A linear layer for each task on top of a trunk; the task is part of the input.

    Args:
        key: drives the weights; head t does not depend on the number of heads.
        trunk: `input -> features`, any module.
        features: number of features.
        tasks: number of heads.
        classes: outputs of each head.
        activation: applied to the features.
        dtype: float dtype of the layers.

    Attributes:
        trunk: as given.
        weight: shape `(tasks, features, classes)`.
        bias: shape `(tasks, classes)`.
        activation: as given.

    Examples:
        >>> head = MultiHead(jr.key(0), lambda x: x, features=4, tasks=3, classes=2)
        >>> head((jnp.ones(4), jnp.int32(1))).shape
        (2,)
    """

    trunk: Callable[[PyTree], Float[Array, " features"]]
    weight: Float[Array, "tasks features classes"]
    bias: Float[Array, "tasks classes"]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        key: PRNGKeyArray,
        trunk: Callable[[PyTree], Array],
        features: int,
        tasks: int,
        classes: int,
        *,
        activation: Callable[[Array], Array] = lambda x: x,
        dtype: DTypeLike = jnp.float32,
    ):
        heads = [SharedHead(jr.fold_in(key, t), trunk, features, classes, dtype=dtype) for t in range(tasks)]
        self.trunk, self.activation = trunk, activation
        self.weight = jnp.stack([head.weight for head in heads])
        self.bias = jnp.stack([head.bias for head in heads])

    def __call__(self, x_and_task: tuple[PyTree, Int[Array, ""]]) -> Float[Array, " classes"]:
        """Logits of one example under the head of its task."""
        x, task = x_and_task
        return self.activation(self.trunk(x)) @ self.weight[task] + self.bias[task]


class MaskedHead(eqx.Module):
    """A model with one common head of which each task sees some classes.

    Args:
        model: `input -> logits`.
        visible: which classes count for each task, booleans or 0/1.

    Attributes:
        model: as given.
        visible: shape `(tasks, classes)`, not trained.

    Examples:
        >>> model = MaskedHead(lambda x: x, jnp.array([[True, False], [True, True]]))
        >>> [model((jnp.ones(2), task)).tolist() for task in (0, 1)]
        [[1.0, -1000000000.0], [1.0, 1.0]]
    """

    model: Callable[[PyTree], Float[Array, " classes"]]
    visible: Bool[Array, "tasks classes"]

    def __init__(self, model: Callable[[PyTree], Array], visible: Bool[Array, "tasks classes"]):
        self.model, self.visible = model, jnp.asarray(visible).astype(bool)

    def __call__(self, x_and_task: tuple[PyTree, Int[Array, ""]]) -> Float[Array, " classes"]:
        """Logits of one example; classes that its task does not see are hidden."""
        x, task = x_and_task
        return mask_logits(self.model(x), self.visible[task])


def expanding_head(model: Callable[[PyTree], Array], introduced: Bool[Array, "tasks classes"]) -> MaskedHead:
    """A common head that grows: at task t it has the classes of tasks 0..t.

    Args:
        model: `input -> logits` for all classes that will ever appear.
        introduced: which classes each task brings (`TaskSet.class_mask`).

    Returns:
        A `MaskedHead`, to be called with the current task (`separatrix.continual.with_current_task`).

    Examples:
        >>> grown = expanding_head(lambda x: x, jnp.eye(3, dtype=bool))
        >>> (grown((jnp.ones(3), 1)) > -1).tolist()
        [True, True, False]
    """
    return MaskedHead(model, jnp.cumsum(jnp.asarray(introduced).astype(jnp.int32), axis=0) > 0)
