"""Hessian, Gauss-Newton matrix and empirical Fisher matrix of any loss over any pytree, as linear operators.

Conventions, for a batch of n examples with losses l_i and the loss L = (1/n) sum_i l_i:

- Hessian: the second derivative of L.
- Generalised Gauss-Newton: (1/n) sum_i J_i^T (d^2 l_i / d f_i^2) J_i, where J_i is the Jacobian of the model's outputs
  f_i. For losses that are the negative log-likelihood of an exponential family in its natural parameters (softmax
  cross-entropy on logits, half the squared error) it is the Fisher matrix with labels drawn from the model. With
  l = r^2 / 2 it is (1/n) J^T J; with l = r^2, twice that.
- Empirical Fisher: (1/n) sum_i g_i g_i^T with the gradients g_i of the single losses at the given labels. It is the
  mean of squared per-example gradients, neither the square of the mean gradient nor the Fisher matrix.

Vectors are flat (`FlatView`: the floating-point arrays of the parameters in the order of their leaves) and have at
least the precision of `float32`. Nothing of size dim x dim is formed.
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, PyTree

from separatrix.numerics.flat import FlatView, chunked_mean, num_examples, widen
from separatrix.numerics.per_example import Loss, mean_loss, over_examples

__all__ = ["CurvatureOperator", "Matvec", "empirical_fisher_operator", "gauss_newton_operator", "hessian_operator"]

Matvec = Callable[[Float[Array, " dim"]], Float[Array, " dim"]]
Linear = Callable[[PyTree], PyTree]


def prepare(matvec: Any) -> Matvec:
    """Let an operator compute once what all its products share; other functions pass as they are."""
    linearised = getattr(matvec, "linearised", None)
    return matvec if linearised is None else linearised()


class _Curvature(eqx.Module):
    """A kind of curvature: the linear map at given parameters on a batch, a mean over its examples."""

    @abc.abstractmethod
    def linear(self, floats: PyTree, rest: PyTree, batch: PyTree) -> Linear:
        """Return the map from tangents to tangents, both structured like `floats`."""


class _Hessian(_Curvature):
    loss: Loss

    def linear(self, floats, rest, batch):
        slope = jax.grad(lambda p: mean_loss(self.loss, eqx.combine(p, rest), batch))
        return jax.linearize(slope, floats)[1]


class _GaussNewton(_Curvature):
    outputs: Callable[[PyTree, PyTree], PyTree]
    output_loss: Callable[[PyTree, PyTree], Array]

    def linear(self, floats, rest, batch):
        out, push = jax.linearize(lambda p: self.outputs(eqx.combine(p, rest), batch), floats)
        pull = jax.linear_transpose(push, floats)
        curve = jax.linearize(jax.grad(lambda f: jnp.mean(widen(self.output_loss(f, batch)))), out)[1]
        return lambda tangent: pull(curve(push(tangent)))[0]


class _EmpiricalFisher(_Curvature):
    loss: Loss

    def linear(self, floats, rest, batch):
        count = num_examples(batch)

        def losses(p):
            params = eqx.combine(p, rest)
            values = self.loss(params, batch)
            if values.shape == (count,) and count > 1:
                return widen(values)
            return over_examples(lambda example: mean_loss(self.loss, params, example), batch, None)

        push = jax.linearize(losses, floats)[1]
        pull = jax.linear_transpose(push, floats)
        return lambda tangent: pull(push(tangent) / count)[0]


class CurvatureOperator(eqx.Module):
    """A symmetric matrix known by its products with vectors; calling it is `matvec`.

    It is a pytree of its arrays, so it may be passed into compiled functions: those compile once for one loss function.

    Attributes:
        kind: which curvature.
        params: where it is taken.
        batch: the examples, along the leading axes.
        chunk_size: examples in memory at once; all when None. The loss must be a mean over examples if it is given.
    """

    kind: _Curvature
    params: PyTree
    batch: PyTree
    chunk_size: int | None = eqx.field(static=True, default=None)

    @property
    def view(self) -> FlatView:
        """How parameters lie in a vector."""
        return FlatView(self.params)

    @property
    def dim(self) -> int:
        """Number of parameters."""
        return self.view.dim

    @property
    def dtype(self) -> Any:
        """Dtype of vectors, at least `float32`."""
        return self.view.dtype

    def __call__(self, vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Multiply a vector."""
        return self.matvec(vector)

    @eqx.filter_jit
    def matvec(self, vector: Float[Array, " dim"]) -> Float[Array, " dim"]:
        """Multiply a vector."""
        view = self.view
        return view.ravel(self.tree_matvec(view.unravel(vector)))

    def tree_matvec(self, tangent: PyTree) -> PyTree:
        """Multiply a pytree structured like the floating-point arrays of `params`."""
        floats, rest = eqx.partition(self.params, eqx.is_inexact_array)
        product = lambda batch: self.kind.linear(floats, rest, batch)(tangent)  # noqa: E731
        return chunked_mean(product, self.batch, self.chunk_size)

    @eqx.filter_jit
    def matmat(self, vectors: Float[Array, "k dim"], at_once: int | None = None) -> Float[Array, "k dim"]:
        """Multiply the rows of a matrix.

        Args:
            vectors: shape `(k, dim)`.
            at_once: rows multiplied together; all when None.

        Returns:
            The products, row by row.
        """
        matvec = self.linearised()
        return jax.vmap(matvec)(vectors) if at_once is None else jax.lax.map(matvec, vectors, batch_size=at_once)

    def linearised(self) -> Matvec:
        """Return `matvec` with everything that does not depend on the vector computed once and kept.

        That takes the memory of one backward pass over the batch, so with a `chunk_size` the plain `matvec` is
        returned.
        """
        if self.chunk_size is not None and self.chunk_size < num_examples(self.batch):
            return self.matvec
        view = self.view
        floats, rest = eqx.partition(self.params, eqx.is_inexact_array)
        linear = self.kind.linear(floats, rest, self.batch)
        return lambda vector: view.ravel(linear(view.unravel(vector)))

    def to_dense(self) -> Float[Array, "dim dim"]:
        """Form the matrix, for small models and tests."""
        return self.matmat(jnp.eye(self.dim, dtype=self.dtype))

    def random_vector(self, key: Key[Array, ""]) -> Float[Array, " dim"]:
        """Draw a standard normal vector, a start for iterations."""
        return jr.normal(key, (self.dim,), self.dtype)


def hessian_operator(loss: Loss, params: PyTree, batch: PyTree, *, chunk_size: int | None = None) -> CurvatureOperator:
    """Hessian of a loss.

    Args:
        loss: `(params, batch) -> ` a scalar, or the loss of each example, of which the mean is taken.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the loss takes, arrays with the examples along their leading axes.
        chunk_size: examples in memory at once; all when None. The loss must be a mean over examples if it is given.

    Returns:
        The operator.

    Examples:
        >>> loss = lambda w, batch: jnp.mean((batch @ w) ** 2) / 2
        >>> operator = hessian_operator(loss, jnp.zeros(2), jnp.array([[1.0, 0.0], [0.0, 2.0]]))
        >>> operator(jnp.ones(2)).tolist(), operator.dim
        ([0.5, 2.0], 2)

    References:
        Pearlmutter (1994), Neural Computation 6, 147-160.
    """
    return _operator(_Hessian(loss), params, batch, chunk_size)


def gauss_newton_operator(
    outputs: Callable[[PyTree, PyTree], PyTree],
    output_loss: Callable[[PyTree, PyTree], Array],
    params: PyTree,
    batch: PyTree,
    *,
    chunk_size: int | None = None,
) -> CurvatureOperator:
    """Generalised Gauss-Newton matrix: the Hessian without the curvature of the model.

    Args:
        outputs: `(params, batch) -> ` the model's outputs.
        output_loss: `(outputs, batch) -> ` a scalar, or the loss of each example, of which the mean is taken.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the functions take, arrays with the examples along their leading axes.
        chunk_size: examples in memory at once; all when None.

    Returns:
        The operator; positive semi-definite if the loss is convex in the outputs.

    Examples:
        >>> outputs = lambda w, batch: jnp.sin(batch[0] @ w)
        >>> half_square = lambda f, batch: (f - batch[1]) ** 2 / 2
        >>> batch = (jnp.array([[1.0, 0.0], [0.0, 2.0]]), jnp.zeros(2))
        >>> gauss_newton_operator(outputs, half_square, jnp.zeros(2), batch).to_dense().tolist()
        [[0.5, 0.0], [0.0, 2.0]]

    References:
        Schraudolph (2002), Neural Computation 14, 1723-1738. Martens (2020), JMLR 21(146).
    """
    return _operator(_GaussNewton(outputs, output_loss), params, batch, chunk_size)


def empirical_fisher_operator(
    loss: Loss, params: PyTree, batch: PyTree, *, chunk_size: int | None = None
) -> CurvatureOperator:
    """Empirical Fisher matrix: the mean of the outer products of per-example gradients.

    Args:
        loss: `(params, batch) -> ` the mean loss, or the loss of each example. A mean is taken apart by evaluating
            batches of one example, so it must not mix examples.
        params: any pytree; its floating-point arrays are the variables.
        batch: whatever the loss takes, arrays with the examples along their leading axes.
        chunk_size: examples in memory at once; all when None.

    Returns:
        The operator, positive semi-definite.

    Examples:
        >>> loss = lambda w, batch: jnp.mean(batch @ w)  # gradients are the rows of the batch
        >>> empirical_fisher_operator(loss, jnp.zeros(2), jnp.array([[1.0, 0.0], [0.0, 2.0]])).to_dense().tolist()
        [[0.5, 0.0], [0.0, 2.0]]

    References:
        Kunstner, Balles, Hennig (2019), NeurIPS, arXiv:1905.12558, on how it differs from the Fisher matrix.
    """
    return _operator(_EmpiricalFisher(loss), params, batch, chunk_size)


def _operator(kind: _Curvature, params: PyTree, batch: PyTree, chunk_size: int | None) -> CurvatureOperator:
    FlatView(params)  # refuses what has no real floating-point array
    if chunk_size is not None:
        if chunk_size < 1:
            raise ValueError(f"`chunk_size` must be at least 1; got {chunk_size}.")
        num_examples(batch)
    return CurvatureOperator(kind, params, batch, chunk_size)
