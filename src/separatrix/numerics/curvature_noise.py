"""How much the examples of a data set differ in curvature, for models too large to hold their Jacobians."""

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key, PyTree

from separatrix.numerics.gauss_newton import Model, lanczos_ritz_values

__all__ = ["estimate_non_uniformity"]


def estimate_non_uniformity(
    f: Model, params: PyTree, inputs: PyTree, key: Key[Array, ""], *, num_iterations: int = 24, chunk: int | None = None
) -> Float[Array, ""]:
    """Root of the largest eigenvalue of the variance of the examples' curvatures, `(1/n) sum_i H_i^2 - H^2`.

    `H_i = J_i^T J_i` is the Gauss-Newton matrix of half the squared error of one example and H their mean. Products are
    formed from Jacobian products and each example's k x k matrix `J_i J_i^T`; the eigenvalue is Lanczos' largest Ritz
    value, which does not exceed it.

    Args:
        f: `(params, x) -> output` of one example, a scalar or a vector of k outputs.
        params: pytree of floating-point arrays, p numbers in all.
        inputs: n examples on the first axis of each leaf.
        key: drives the first Lanczos vector.
        num_iterations: Lanczos steps; their vectors take `num_iterations p` numbers.
        chunk: examples whose Jacobians are held at once, `chunk k p` numbers; all by default.

    Returns:
        Scalar >= 0, in the units of H.

    Raises:
        ValueError: if `num_iterations` is below 1.

    References:
        Wu, Ma, E (2018), NeurIPS, "How SGD selects the global minima in over-parameterized learning".

    Example:
        >>> inputs = jnp.array([[1.0], [3.0]])
        >>> round(float(estimate_non_uniformity(lambda w, x: w @ x, jnp.zeros(1), inputs, jr.key(0))), 4)
        4.0
    """
    if num_iterations < 1:
        raise ValueError(f"`num_iterations` must be at least 1; got {num_iterations}.")
    flat, unravel = ravel_pytree(params)

    def outputs(vector):
        values = jax.vmap(f, in_axes=(None, 0))(unravel(vector), inputs)
        return values.reshape(len(values), -1)

    def own(x):
        jacobian = jax.jacrev(lambda vector: f(unravel(vector), x).reshape(-1))(flat)
        return jacobian @ jacobian.T

    grams = jax.vmap(own)(inputs) if chunk is None else jax.lax.map(own, inputs, batch_size=chunk)
    values, pull = jax.vjp(outputs, flat)
    n = len(values)
    push = lambda v: jax.jvp(outputs, (flat,), (v,))[1]  # noqa: E731

    def product(v):
        along = push(v)
        (of_squares,) = pull(jnp.einsum("iab,ib->ia", grams, along) / n)
        (once,) = pull(along / n)
        (twice,) = pull(push(once) / n)
        return of_squares - twice

    start = jr.normal(key, flat.shape, flat.dtype)
    return jnp.sqrt(jnp.maximum(lanczos_ritz_values(product, start, num_iterations)[-1], 0))
