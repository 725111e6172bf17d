"""Per-example quantities against loops over examples, and against the mean they add up to."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from separatrix.numerics.per_example import per_example_gradients, per_example_jacobians, per_example_losses

from .curvature_cases import case, dense_jacobian, loss, losses, outputs

CHUNKS = pytest.mark.parametrize("chunk_size", [None, 3])
close = lambda a, b, tol=1e-12: np.testing.assert_allclose(a, b, rtol=0, atol=tol)  # noqa: E731


@CHUNKS
@pytest.mark.parametrize("fn", [loss, losses], ids=["mean", "per example"])
def test_losses(x64, fn, chunk_size):
    params, batch = case(jnp.float64)
    close(per_example_losses(fn, params, batch, chunk_size=chunk_size), losses(params, batch))


@CHUNKS
def test_gradients_are_those_of_a_loop_and_average_to_the_gradient(x64, chunk_size):
    params, batch = case(jnp.float64)
    found = per_example_gradients(loss, params, batch, chunk_size=chunk_size)
    for i in range(7):
        one = jax.grad(loss)(params, jax.tree.map(lambda a, i=i: a[i : i + 1], batch))
        jax.tree.map(lambda a, b, i=i: close(a[i], b), found, one)
    jax.tree.map(lambda a, b: close(a.mean(0), b), found, jax.grad(loss)(params, batch))
    flat = per_example_gradients(loss, params, batch, chunk_size=chunk_size, flat=True)
    close(flat, dense_jacobian(losses, params, batch))


@CHUNKS
def test_norms_without_the_gradients(x64, chunk_size):
    params, batch = case(jnp.float64)
    found = per_example_gradients(loss, params, batch, chunk_size=chunk_size, reduce=optax.tree.norm)
    close(found, jnp.linalg.norm(dense_jacobian(losses, params, batch), axis=1))


@CHUNKS
def test_jacobians(x64, chunk_size):
    params, batch = case(jnp.float64)
    found = per_example_jacobians(outputs, params, batch, chunk_size=chunk_size, flat=True)
    close(found, dense_jacobian(outputs, params, batch))
    tree = per_example_jacobians(outputs, params, batch, chunk_size=chunk_size)
    assert tree["in"].shape == (7, 3, 4, 3)
    close(tree["in"].reshape(7, 3, -1), found[:, :, :12])


def test_jacobian_of_several_outputs(x64):
    params, batch = case(jnp.float64)
    both = lambda p, b: {"a": outputs(p, b), "b": losses(p, b)}  # noqa: E731
    tree = per_example_jacobians(both, params, batch)
    flat = per_example_jacobians(both, params, batch, flat=True)
    assert tree["b"]["out"].shape == (7, 3, 3)
    close(flat[:, 3], dense_jacobian(losses, params, batch))


def test_low_precision_reductions_are_float32():
    params, batch = case(jnp.float16)
    assert per_example_losses(loss, params, batch).dtype == jnp.float32
    assert per_example_gradients(loss, params, batch, flat=True).dtype == jnp.float32
    assert per_example_gradients(loss, params, batch)["in"].dtype == jnp.float16


def test_bounded_memory_of_a_reduction():
    # 1000 gradients of 10_000 numbers would be 40 MB; chunks of ten keep far less alive.
    params = {"w": jnp.ones((100, 100))}
    x = jnp.ones((1_000, 100))
    fn = lambda p, b: jnp.mean(jnp.sum(jnp.sin(b @ p["w"]), axis=-1))  # noqa: E731
    peak = {}
    for chunk in (None, 10):
        norms = lambda p, b, c=chunk: per_example_gradients(fn, p, b, chunk_size=c, reduce=lambda g: g["w"].max())  # noqa: E731
        memory = jax.jit(norms).lower(params, x).compile().memory_analysis()
        peak[chunk] = memory.temp_size_in_bytes
    assert peak[10] < peak[None] / 5


def test_chunk_size_must_be_positive():
    params, batch = case()
    with pytest.raises(ValueError, match="`chunk_size` must be at least 1"):
        per_example_losses(loss, params, batch, chunk_size=0)
