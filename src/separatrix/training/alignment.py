"""How far a gradient step only rescales the weights.

For a homogeneous network the weights themselves are a direction that scales the logits and changes no prediction. The
cosine between the negative gradient and the weights, tensor by tensor, tells how much of a step goes there.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

__all__ = ["nlm_alignment", "weight_norm"]


def nlm_alignment(params: PyTree[Float[Array, "..."]], grads: PyTree[Float[Array, "..."]]) -> PyTree[Float[Array, ""]]:
    """Cosine between the negative gradient and the weights, for each leaf ("naive loss minimisation").

    Args:
        params: pytree of float arrays.
        grads: gradients of a loss, structured like `params`.

    Returns:
        Pytree like `params` of scalars in [-1, 1], at least `float32`: 1 if a gradient step lengthens the weights and
        does nothing else. NaN where it is undefined, for a zero gradient, a zero weight tensor or an empty leaf.

    References:
        Prieto, Barsbey, Mediano, Birdal (2025), ICLR, arXiv 2501.04697, section 4.

    Example:
        >>> params = {"in": jnp.array([1.0, 0.0]), "out": jnp.array([[2.0]])}
        >>> grads = {"in": jnp.array([-3.0, 4.0]), "out": jnp.array([[0.1]])}
        >>> {name: round(float(cosine), 6) for name, cosine in nlm_alignment(params, grads).items()}
        {'in': 0.6, 'out': -1.0}
    """

    def cosine(w: Array, g: Array) -> Array:
        w, g = _unit_size(w), _unit_size(g)
        lengths = jnp.sqrt(jnp.sum(w * w) * jnp.sum(g * g))
        return jnp.where(lengths > 0, -jnp.sum(w * g) / jnp.where(lengths > 0, lengths, 1), jnp.nan)

    return jax.tree.map(cosine, params, grads)


def _unit_size(x: Array) -> Array:
    # Late in training gradients reach 1e-20, and their squares vanish in float32.
    x = jnp.asarray(x)
    x = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    size = jnp.max(jnp.abs(x), initial=0)
    return x / jnp.where(size > 0, size, 1)


def weight_norm(params: PyTree[Float[Array, "..."]]) -> Float[Array, ""]:
    """Euclidean norm of all parameters as one vector.

    Args:
        params: pytree of float arrays.

    Returns:
        Scalar >= 0, at least `float32`; 0 for a pytree without leaves.

    Example:
        >>> float(weight_norm({"w": jnp.array([[3.0, 0.0]]), "b": jnp.array([4.0])}))
        5.0
    """
    leaves = [jnp.asarray(x) for x in jax.tree.leaves(params)]
    wide = [x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in leaves]
    return jnp.sqrt(sum((jnp.sum(x * x) for x in wide), start=jnp.zeros((), jnp.float32)))
