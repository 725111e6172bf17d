"""How much each parameter matters for a task: diagonals that weight penalties are made of.

Conventions differ between papers and a penalty's strength never carries over from one to another, so each is a function
of its own and says what it averages: always a mean over examples of something per example, never the square of a batch
gradient (which is smaller by about the batch size).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

__all__ = ["empirical_fisher", "exact_fisher", "mean_over_examples", "output_sensitivity"]

CHUNK = 64


def mean_over_examples(
    fn: Callable[[PyTree], PyTree], examples: PyTree, weight: Float[Array, " examples"], chunk_size: int = CHUNK
) -> PyTree:
    """Weighted mean of a function of one example, in the memory of `chunk_size` results.

    Args:
        fn: from one example to a pytree of arrays.
        examples: a pytree of arrays with the examples on the first axis.
        weight: of each example, not negative, with a positive sum.
        chunk_size: examples evaluated at once.

    Returns:
        What `fn` returns, averaged.

    Examples:
        >>> mean_over_examples(lambda x: x**2, jnp.arange(4.0), jnp.array([1.0, 1, 1, 0])).item()
        1.6666666269302368
    """
    count = len(weight)
    size = min(chunk_size, count)
    chunks = -(-count // size)
    fill = chunks * size - count

    def fold(a):
        a = jnp.asarray(a)
        a = jnp.concatenate([a, jnp.repeat(a[-1:], fill, axis=0)]) if fill else a
        return a.reshape(chunks, size, *a.shape[1:])

    weights = jnp.concatenate([weight, jnp.zeros(fill, weight.dtype)]).reshape(chunks, size)
    one = lambda chunk, w: jax.tree.map(  # noqa: E731
        lambda a: jnp.tensordot(w.astype(a.dtype), a, axes=1), jax.vmap(fn)(chunk)
    )
    folded = jax.tree.map(fold, examples)
    first = jax.eval_shape(one, *jax.tree.map(lambda a: a[0], (folded, weights)))
    zeros = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), first)
    total, _ = jax.lax.scan(lambda sum_, c: (jax.tree.map(jnp.add, sum_, one(*c)), None), zeros, (folded, weights))
    return jax.tree.map(lambda a: a / jnp.sum(weight).astype(a.dtype), total)


def _squares(gradient: PyTree) -> PyTree:
    return jax.tree.map(lambda g: g**2, gradient)


def empirical_fisher(
    loss: Callable[[PyTree, PyTree, PyTree], Float[Array, ""]],
    params: PyTree,
    inputs: PyTree,
    targets: PyTree,
    weight: Float[Array, " examples"] | None = None,
) -> PyTree:
    """Mean over examples of the squared gradient of the loss at the given target.

    Args:
        loss: `(params, input, target) -> scalar` of one example.
        params: a pytree of floating-point arrays.
        inputs: examples on the first axis.
        targets: their targets.
        weight: of each example; 1 by default.

    Returns:
        A pytree like `params`, not negative.

    Examples:
        Squared error on a line: the gradient of the slope is `2 x (w x - y)`.

        >>> loss = lambda w, x, y: (w * x - y) ** 2
        >>> empirical_fisher(loss, jnp.array(0.0), jnp.array([1.0, 2.0]), jnp.array([1.0, 1.0])).item()
        10.0

    References:
        Kunstner, Balles, Hennig (2019), NeurIPS, arXiv:1905.12558, on what it is not.
    """
    weight = jnp.ones(len(jax.tree.leaves(inputs)[0])) if weight is None else weight
    one = lambda example: _squares(jax.grad(loss)(params, *example))  # noqa: E731
    return mean_over_examples(one, (inputs, targets), weight)


def exact_fisher(
    logits: Callable[[PyTree, PyTree], Float[Array, " classes"]],
    params: PyTree,
    inputs: PyTree,
    weight: Float[Array, " examples"] | None = None,
) -> PyTree:
    """Mean over examples of `sum_c p_c (d log p_c)^2`, with the model's own probabilities: the diagonal Fisher.

    Args:
        logits: `(params, input) -> logits` of one example.
        params: a pytree of floating-point arrays.
        inputs: examples on the first axis.
        weight: of each example; 1 by default.

    Returns:
        A pytree like `params`, not negative; it costs as many gradients as there are classes.

    Examples:
        Two logits `(w, 0)`: `p (1 - p)` with the logistic `p`.

        >>> logits = lambda w, x: jnp.array([w * x, 0.0])
        >>> exact_fisher(logits, jnp.array(0.0), jnp.array([1.0])).item()
        0.25
    """
    weight = jnp.ones(len(jax.tree.leaves(inputs)[0])) if weight is None else weight

    def one(x):
        log_p, pull = jax.vjp(lambda p: jax.nn.log_softmax(logits(p, x)), params)
        rows = jax.vmap(lambda e: pull(e)[0])(jnp.eye(len(log_p), dtype=log_p.dtype))
        return jax.tree.map(lambda g: jnp.tensordot(jnp.exp(log_p).astype(g.dtype), g**2, axes=1), rows)

    return mean_over_examples(one, inputs, weight)


def output_sensitivity(
    outputs: Callable[[PyTree, PyTree], Float[Array, " outputs"]],
    params: PyTree,
    inputs: PyTree,
    weight: Float[Array, " examples"] | None = None,
) -> PyTree:
    """Mean over examples of the modulus of the gradient of the squared norm of the outputs (MAS).

    Args:
        outputs: `(params, input) -> outputs` of one example.
        params: a pytree of floating-point arrays.
        inputs: examples on the first axis; no targets are needed.
        weight: of each example; 1 by default.

    Returns:
        A pytree like `params`, not negative.

    Examples:
        >>> output_sensitivity(lambda w, x: w * x, jnp.array([3.0]), jnp.array([[1.0], [2.0]])).tolist()
        [15.0]

    References:
        Aljundi, Babiloni, Elhoseiny, Rohrbach, Tuytelaars (2018), ECCV, arXiv:1711.09601.
    """
    weight = jnp.ones(len(jax.tree.leaves(inputs)[0])) if weight is None else weight
    one = lambda x: jax.tree.map(  # noqa: E731
        jnp.abs, jax.grad(lambda p: jnp.sum(outputs(p, x) ** 2))(params)
    )
    return mean_over_examples(one, inputs, weight)
