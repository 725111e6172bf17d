"""The tangent kernel of a model, and how far training has carried it.

A model whose parameters move little is its own linearisation: training it is kernel regression with the tangent kernel
`K(x, x') = <df(x)/dtheta, df(x')/dtheta>` of its initial parameters (lazy). A kernel that moves is learning features
(rich). The kernel is formed block by block, so that memory is bounded whatever the number of examples.
"""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from separatrix.numerics.kernel_similarity import kernel_cosine

__all__ = ["empirical_ntk", "ntk_distance", "parameter_displacement"]

JACOBIAN_BYTES = 128 * 2**20  # of one block of examples


def empirical_ntk(
    f: Callable[[PyTree, PyTree], Array],
    params: PyTree,
    inputs: PyTree,
    others: PyTree = None,
    *,
    trace: bool = False,
    block: int | None = None,
    filter_spec: PyTree = eqx.is_inexact_array,
) -> Float[Array, "n m *outputs"]:
    """Inner products of the parameter gradients of a model at pairs of inputs.

    Two blocks of `block` examples are held as Jacobians at a time, and gradients of the second block are computed once
    for each block of the first: memory grows with `block`, time with `n m / block`.

    Args:
        f: `(params, x) -> output` of one example; a scalar, or an array of any shape.
        params: pytree; its selected leaves are differentiated, the others are held.
        inputs: n examples, a pytree of arrays with examples on the first axis.
        others: m examples of the same structure; `inputs` by default.
        trace: sum over the outputs, `sum_k K_kk`, as one kernel for all outputs.
        block: examples whose Jacobians are held at once on each side; by default as many as fit into 128 MiB.
        filter_spec: which leaves of `params` count, as for `equinox.partition`: a function of a leaf, or a pytree of
            booleans (a prefix of `params`); restrict it for the kernel of one layer.

    Returns:
        `(n, m)` for scalar outputs and with `trace`; else `(n, m, *shape, *shape)` for outputs of that shape. At
        least `float32`.

    Raises:
        ValueError: if `block` is not positive, or no parameter is selected.

    References:
        Jacot, Gabriel, Hongler (2018), NeurIPS, arXiv 1806.07572.

    Example:
        >>> x = jnp.array([[1.0, 0.0], [1.0, 2.0]])
        >>> linear = lambda w, x: w @ x  # its tangent kernel is the kernel of its inputs
        >>> empirical_ntk(linear, jnp.ones(2), x).tolist()
        [[1.0, 1.0], [1.0, 5.0]]
        >>> empirical_ntk(lambda w, x: w @ x, jnp.ones((3, 2)), x, trace=True).tolist()
        [[3.0, 3.0], [3.0, 15.0]]
    """
    selected, held = eqx.partition(params, filter_spec)
    leaves, structure = jax.tree.flatten(selected)
    if not leaves:
        raise ValueError("`filter_spec` selects no parameter; the kernel would be empty.")
    others = inputs if others is None else others
    example = jax.tree.map(lambda a: a[0], inputs)
    output = jax.eval_shape(lambda p, x: f(eqx.combine(jax.tree.unflatten(structure, p), held), x), leaves, example)
    dtype = jnp.result_type(jnp.float32, output.dtype, *leaves)
    if block is None:
        row_bytes = output.size * sum(a.size for a in leaves) * dtype.itemsize
        block = max(1, JACOBIAN_BYTES // max(1, row_bytes))
    if block < 1:
        raise ValueError(f"`block` must be at least 1; got {block}.")

    def jacobian(x: PyTree) -> list[Array]:
        """Jacobians of a block of examples, one `(block, outputs, parameters)` array a leaf."""
        value = lambda p, one: f(eqx.combine(jax.tree.unflatten(structure, p), held), one).reshape(-1)  # noqa: E731
        rows = jax.vmap(jax.jacrev(value), in_axes=(None, 0))(leaves, x)
        return [a.reshape(*a.shape[:2], -1).astype(dtype) for a in rows]

    spec = "iap,jap->ij" if trace else "iap,jbp->ijab"

    def product(left: list[Array], right: list[Array]) -> Array:
        parts = (jnp.einsum(spec, a, b, precision=lax.Precision.HIGHEST) for a, b in zip(left, right, strict=True))
        return sum(parts, start=jnp.zeros((), dtype))

    n, m = (jax.tree.leaves(a)[0].shape[0] for a in (inputs, others))
    if n <= block and m <= block:
        left = jacobian(inputs)
        kernel = product(left, left if others is inputs else jacobian(others))
    else:
        columns = _blocks(others, m, min(block, m))

        def row_block(x: PyTree) -> Array:
            left = jacobian(x)
            tiles = lax.map(lambda z: product(left, jacobian(z)), columns)  # (blocks, rows, columns, ...)
            tiles = jnp.moveaxis(tiles, 0, 1)
            return tiles.reshape(tiles.shape[0], -1, *tiles.shape[3:])[:, :m]

        tiles = lax.map(row_block, _blocks(inputs, n, min(block, n)))
        kernel = tiles.reshape(-1, *tiles.shape[2:])[:n]
    return kernel if trace else kernel.reshape(n, m, *output.shape, *output.shape)


def _blocks(inputs: PyTree, count: int, block: int) -> PyTree:
    """Group examples into blocks; the last is filled up with repetitions of the last example."""
    rows = jnp.minimum(jnp.arange(math.ceil(count / block) * block), count - 1).reshape(-1, block)
    return jax.tree.map(lambda a: jnp.asarray(a)[rows], inputs)


def ntk_distance(kernel: Float[Array, "n *rest"], initial: Float[Array, "n *rest"]) -> Float[Array, ""]:
    """How much a kernel has turned, `1 - <K, K_0> / (|K| |K_0|)`: 0 in lazy training, whatever the kernel's scale.

    Args:
        kernel: any kernel of some examples, per output or summed.
        initial: the kernel of the same examples before.

    Returns:
        Scalar in [0, 1] for positive semi-definite kernels.

    References:
        Fort, Dziugaite, Paul, Kharaghani, Roy, Ganguli (2020), NeurIPS, arXiv 2010.15110.

    Example:
        >>> float(ntk_distance(3 * jnp.eye(2), jnp.eye(2)))
        0.0
        >>> float(ntk_distance(jnp.diag(jnp.array([1.0, 0.0])), jnp.eye(2)))
        0.2928932...
    """
    return 1 - kernel_cosine(kernel, initial)


def parameter_displacement(params: PyTree, initial: PyTree, relative: bool = True) -> Float[Array, ""]:
    """Distance of the parameters from where they started, `|theta - theta_0|`, over `|theta_0|` if relative.

    Args:
        params: pytree; its floating-point arrays count.
        initial: pytree of the same structure.
        relative: divide by the norm of `initial`.

    Returns:
        Scalar >= 0, at least `float32`; infinite or NaN if relative to zero.

    References:
        Chizat, Oyallon, Bach (2019), NeurIPS, arXiv 1812.07956.

    Example:
        >>> float(parameter_displacement({"w": jnp.array([3.0, 4.0])}, {"w": jnp.array([0.0, 4.0])}))
        0.75
    """
    now, start = (jax.tree.leaves(eqx.filter(tree, eqx.is_inexact_array)) for tree in (params, initial))
    moved = _norm([a.astype(_wide(a)) - b.astype(_wide(b)) for a, b in zip(now, start, strict=True)])
    return moved / _norm(start) if relative else moved


def _norm(leaves: list[Any]) -> Float[Array, ""]:
    return jnp.sqrt(sum((jnp.sum(jnp.square(a.astype(_wide(a)))) for a in leaves), start=jnp.zeros((), jnp.float32)))


def _wide(a: Array) -> Any:
    return jnp.promote_types(a.dtype, jnp.float32)
