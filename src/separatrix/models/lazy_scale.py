"""Lazy or rich by scale: an output factor alpha around the model's initial function.

For large alpha a small change of the parameters suffices to fit, and the model stays near its linearisation (lazy);
for small alpha it must move far and learns features (rich). Divide the learning rate by `alpha^2`
(`lazy_learning_rate`), so that the outputs move as fast at any alpha.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

__all__ = ["LazyModel", "LazyScale", "trained_leaves"]


class LazyScale(eqx.Module):
    """`alpha (f(x; theta) - f(x; theta_0))`, the scaled and centred output of a model.

    The initial model and alpha are leaves that receive no gradient. Optimisers that move leaves without a gradient, by
    weight decay say, must be masked: `optax.adamw(..., mask=trained_leaves)`.

    Args:
        model: any callable module of one example.
        alpha: output factor.
        center: subtract the initial function, so that the output starts at zero; without it, a large alpha starts far
            from any target.

    Attributes:
        model: the model that is trained.
        initial: the model at the start, None if not centred.
        alpha: output factor.

    References:
        Chizat, Oyallon, Bach (2019), NeurIPS, arXiv 1812.07956.

    Example:
        >>> lazy = LazyScale(lambda x: 2 * x, alpha=10.0)
        >>> float(lazy(jnp.array(1.0))), float(LazyScale(lambda x: 2 * x, alpha=10.0, center=False)(jnp.array(1.0)))
        (0.0, 20.0)
    """

    model: Callable[..., Array]
    initial: Callable[..., Array] | None
    alpha: Any

    def __init__(self, model: Callable[..., Array], alpha: float | Float[Array, ""], center: bool = True):
        self.model = model
        self.initial = model if center else None
        self.alpha = alpha

    def __call__(self, *args, **kwargs) -> Array:
        """Scaled output for one example, in the dtype of the model's."""
        output = self.model(*args, **kwargs)
        if self.initial is not None:
            held = jax.tree.map(lambda a: lax.stop_gradient(a) if eqx.is_inexact_array(a) else a, self.initial)
            output = output - held(*args, **kwargs)
        return output * lax.stop_gradient(jnp.asarray(self.alpha, output.dtype))


class LazyModel(eqx.Module):
    """A constructor of `LazyScale` models whose alpha a grid can go over: pass it as `Supervised.model`.

    Attributes:
        build: `key -> model`.
        alpha: output factor, a traced leaf.
        center: as for `LazyScale`.

    Example:
        >>> import jax.random as jr
        >>> from separatrix.models import MLP
        >>> LazyModel(lambda key: MLP(key, (3, 4, 1)), alpha=2.0)(jr.key(0))(jnp.ones(3)).tolist()
        [0.0]
    """

    build: Callable[[PRNGKeyArray], Any]
    alpha: Any
    center: bool = eqx.field(static=True, default=True)

    def __call__(self, key: PRNGKeyArray) -> LazyScale:
        """Return a new model."""
        return LazyScale(self.build(key), self.alpha, self.center)


def trained_leaves(params: PyTree) -> PyTree:
    """Mark the leaves that learn: all but the initial model and the alpha of `LazyScale` modules.

    Args:
        params: pytree that may contain `LazyScale` modules.

    Returns:
        Pytree of booleans, for the masks of optax and as `filter_spec` of `empirical_ntk`.

    Example:
        >>> marks = trained_leaves(LazyScale(jnp.ones(2), jnp.array(3.0)))
        >>> marks.model, marks.initial, marks.alpha
        (True, False, False)
    """
    if isinstance(params, LazyScale):
        off = jax.tree.map(lambda _: False, (params.initial, params.alpha))
        return eqx.tree_at(
            lambda p: (p.model, p.initial, p.alpha), params, (trained_leaves(params.model), *off), is_leaf=_is_none
        )
    is_lazy = lambda node: isinstance(node, LazyScale)  # noqa: E731
    if not any(map(is_lazy, jax.tree.leaves(params, is_leaf=is_lazy))):
        return jax.tree.map(lambda _: True, params)
    return jax.tree.map(lambda node: trained_leaves(node) if is_lazy(node) else True, params, is_leaf=is_lazy)


def _is_none(node: Any) -> bool:
    return node is None
