"""Gradients projected orthogonally to the weights.

Once a network fits its training data, the gradient of the cross-entropy points along the weights themselves: it
lowers the loss by scaling the logits and changes no prediction. Removing this component leaves only the directions
that do. Any optimiser may follow: `optax.chain(perp_grad(), optax.adamw(1e-2, weight_decay=0.0))`.
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike
from jaxtyping import Array, PyTree

from separatrix.numerics.rounding import resolve_float_dtype

__all__ = ["perp_grad", "with_state_dtype"]


def perp_grad(
    rescale: bool = True, eps: float = 1e-30, per: Literal["leaf", "global", "neuron"] = "leaf"
) -> optax.GradientTransformation:
    """Remove from each gradient g its component along the weights w, `g_perp = g - w <w, g> / (<w, w> + eps)`.

    `-g_perp` is a descent direction, `<-g_perp, g> = -|g_perp|^2`. A step of plain gradient descent still lengthens the
    weights, `|w - rate g_perp|^2 = |w|^2 + rate^2 |g_perp|^2`; after a preconditioner such as Adam's, updates are no
    longer orthogonal to the weights.

    Norms and products are accumulated in at least `float32`, on gradients divided by their largest entry, so that
    gradients as small as the format allows do not square to zero. Where w is zero, nothing is removed. Where g is zero,
    or parallel to w up to rounding (so always for a single non-zero weight), the result is exactly zero: a residue
    below `max(8 machine epsilons, the resolution of the leaf's dtype)` times |g| is not blown up by the rescaling.

    Args:
        rescale: multiply the result so that it has the norm of g again, as the code published with the paper does; the
            paper's definition does not.
        eps: added to `<w, w>`, so weights with a norm below `sqrt(eps)` are treated as zero; at least 1e-37.
        per: what counts as one vector. `"leaf"`: each array of the pytree. `"global"`: the whole pytree. `"neuron"`:
            in arrays of two and more dimensions, the weights into each output unit, which the *last* axis indexes
            (weights are stored `(in, out)` and applied as `x @ w`); other arrays as for `"leaf"`.

    Returns:
        A transformation without state whose `update` needs the parameters. Each update has the dtype of its gradient.

    Raises:
        ValueError: if `eps` or `per` is out of range; by `update`, if it is called without parameters.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 5.

    Example:
        >>> w, g = jnp.array([1.0, 0.0]), jnp.array([3.0, 4.0])
        >>> for rescale in (True, False):
        ...     transform = perp_grad(rescale=rescale)
        ...     print(transform.update(g, transform.init(w), w)[0])
        [0. 5.]
        [0. 4.]
    """
    if per not in ("leaf", "global", "neuron"):
        raise ValueError(f'`per` must be "leaf", "global" or "neuron"; got {per!r}.')
    if not 1e-37 <= eps < float("inf"):
        raise ValueError(f"`eps` must be at least 1e-37, so that float32 can hold it, and finite; got {eps}.")

    def init(params: PyTree) -> optax.EmptyState:
        del params
        return optax.EmptyState()

    def update(updates: PyTree, state: optax.OptState, params: PyTree = None):
        if params is None:
            raise ValueError("`perp_grad` projects on the weights: pass them, `update(grads, state, params)`.")
        grads, structure = jax.tree.flatten(updates)
        weights = structure.flatten_up_to(params)
        if per == "global":
            projected = _orthogonalise(grads, weights, None, rescale, eps)
        else:
            axes = [tuple(range(g.ndim - 1)) if per == "neuron" and g.ndim >= 2 else None for g in grads]
            projected = [
                _orthogonalise([g], [w], axis, rescale, eps)[0] for g, w, axis in zip(grads, weights, axes, strict=True)
            ]
        return jax.tree.unflatten(structure, projected), state

    return optax.GradientTransformation(init, update)


def _orthogonalise(
    grads: Sequence[Array], weights: Sequence[Array], axis: tuple[int, ...] | None, rescale: bool, eps: float
) -> list[Array]:
    """Project arrays that together form one vector (or, with `axis`, one vector per entry of the last axis)."""
    if not grads:
        return []
    dtypes = [g.dtype for g in grads]
    wide = jnp.result_type(jnp.float32, *dtypes, *[w.dtype for w in weights])

    def dot(xs: Sequence[Array], ys: Sequence[Array]) -> Array:
        return sum((jnp.sum(x * y, axis=axis) for x, y in zip(xs, ys, strict=True)), start=jnp.zeros((), wide))

    def remove_component(xs: Sequence[Array]) -> list[Array]:
        along = dot(xs, w) / squared
        return [x - along * y for x, y in zip(xs, w, strict=True)]

    w = [x.astype(wide) for x in weights]
    g = [x.astype(wide) for x in grads]
    squared = dot(w, w) + eps
    size = jnp.max(jnp.stack([jnp.max(jnp.abs(x), axis=axis, initial=0) for x in g]), axis=0)
    scale = jnp.where(size == 0, 1, size)
    unit = [x / scale for x in g]
    # The second pass removes what rounding left of the component in the first, when little else is left.
    perpendicular = remove_component(remove_component(unit))
    before, after = jnp.sqrt(dot(unit, unit)), jnp.sqrt(dot(perpendicular, perpendicular))
    resolution = max(8 * float(jnp.finfo(wide).eps), *(float(jnp.finfo(d).eps) for d in dtypes))
    vanishes = after <= resolution * before
    factor = before / jnp.where(vanishes, 1, after) if rescale else jnp.ones_like(after)
    factor = jnp.where(vanishes, 0, factor)
    return [(x * factor * scale).astype(d) for x, d in zip(perpendicular, dtypes, strict=True)]


def with_state_dtype(
    transform: optax.GradientTransformation, dtype: DTypeLike
) -> optax.GradientTransformationExtraArgs:
    """Run a transformation with its state, gradients and parameters in another float dtype.

    Squares of gradients near 1e-20 are lost in `float32`; with a `float64` state Adam keeps dividing by them. Updates
    are cast back, so the model keeps its dtype.

    Args:
        transform: any optax transformation.
        dtype: float dtype of everything inside; `float64` needs 64-bit types in `init` and `update`.

    Returns:
        The wrapped transformation. Leaves that are not float arrays pass unchanged.

    Raises:
        ValueError: by `init` and `update`, if `dtype` is no float format, or is `float64` while 64-bit types are
            disabled.

    Example:
        >>> params = jnp.ones(2, jnp.bfloat16)
        >>> transform = with_state_dtype(optax.trace(0.9), "float32")
        >>> state = transform.init(params)
        >>> updates, state = transform.update(params, state)
        >>> state.trace.dtype.name, updates.dtype.name
        ('float32', 'bfloat16')
    """
    inner = optax.with_extra_args_support(transform)

    def cast(tree: PyTree) -> PyTree:
        target = resolve_float_dtype(dtype)
        return jax.tree.map(lambda x: x.astype(target) if _is_float(x) else x, tree)

    def init(params: PyTree) -> Any:
        return inner.init(cast(params))

    def update(updates: PyTree, state: Any, params: PyTree = None, **extra_args: Any):
        result, state = inner.update(cast(updates), state, cast(params), **extra_args)
        return jax.tree.map(lambda new, old: new.astype(old.dtype) if _is_float(old) else new, result, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def _is_float(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)
