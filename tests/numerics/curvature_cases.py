"""Small networks with two leaves, a batch and dense references, shared by the tests of curvature."""

import jax
import jax.numpy as jnp
import jax.random as jr
from jax.flatten_util import ravel_pytree


def network(params, x):
    return jnp.tanh(x @ params["in"]) @ params["out"]


def outputs(params, batch):
    return network(params, batch[0])


def output_losses(f, batch):
    """Cross-entropy of each example."""
    return -jnp.take_along_axis(jax.nn.log_softmax(f), batch[1][:, None], axis=1)[:, 0]


def losses(params, batch):
    return output_losses(outputs(params, batch), batch)


def loss(params, batch):
    return jnp.mean(losses(params, batch))


def case(dtype=jnp.float32, count=7):
    keys = jr.split(jr.key(3), 4)
    params = {"in": jr.normal(keys[0], (4, 3), dtype), "out": jr.normal(keys[1], (3, 3), dtype)}
    return params, (jr.normal(keys[2], (count, 4), dtype), jr.randint(keys[3], (count,), 0, 3))


def dense_hessian(fn, params, batch):
    flat, unravel = ravel_pytree(params)
    return jax.jit(jax.hessian(lambda v: fn(unravel(v), batch)))(flat)


def dense_jacobian(fn, params, batch):
    flat, unravel = ravel_pytree(params)
    return jax.jit(jax.jacrev(lambda v: fn(unravel(v), batch)))(flat)


def symmetric(eigenvalues, key=0):
    """A matrix with the given eigenvalues in random directions."""
    eigenvalues = jnp.asarray(eigenvalues)
    q = jnp.linalg.qr(jr.normal(jr.key(key), (eigenvalues.size,) * 2, eigenvalues.dtype))[0]
    return (q * eigenvalues) @ q.T
