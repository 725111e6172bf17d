"""Mean-field theory: its exact start, its structure, and the network that it predicts."""

import functools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.training.committee_dmft import dmft_committee


@pytest.fixture
def solved(x64):
    return dmft_committee(jr.key(0), 3.0, 2, steps=6, samples=4_000)


def test_start_is_exact(solved):
    assert float(solved.test_mse[0]) == pytest.approx(1.125, abs=1e-12)
    assert float(solved.train_mse[0]) == pytest.approx(1.125, rel=0.1)  # sampled
    np.testing.assert_array_equal(solved.overlap[0, 0], np.eye(2))


def test_response_is_causal_and_one_to_a_force_just_applied(solved):
    response = np.asarray(solved.response)
    for t in range(7):
        np.testing.assert_array_equal(response[t, t:], 0)
        if t:
            np.testing.assert_allclose(response[t, t - 1], np.eye(2), atol=1e-12)


def test_overlap_is_a_covariance(solved):
    overlap = np.asarray(solved.overlap)
    np.testing.assert_allclose(overlap, overlap.transpose(1, 0, 3, 2), atol=1e-12)
    flat = overlap.transpose(0, 2, 1, 3).reshape(14, 14)
    assert np.linalg.eigvalsh(flat)[0] > -1e-8


def test_an_even_target_is_not_found_without_a_head_start(solved):
    np.testing.assert_allclose(solved.teacher, 0, atol=1e-12)


def test_without_examples_nothing_moves(x64):
    field = dmft_committee(jr.key(0), 0.0, 2, steps=4, samples=200)
    np.testing.assert_allclose(field.overlap, np.broadcast_to(np.eye(2), (5, 5, 2, 2)), atol=1e-12)
    np.testing.assert_allclose(field.test_mse, 1.125, atol=1e-10)


@functools.partial(jax.jit, static_argnums=(2, 3))
def simulate(key, overlap, dim, steps, eps=0.5, eta=0.15):
    """Training losses and mean overlap with the teacher of two neurons on three examples an input, step by step."""
    keys = [jr.fold_in(key, i) for i in range(3)]
    beta = jr.normal(keys[0], (dim,))
    beta = beta * dim**0.5 / jnp.linalg.norm(beta)
    x, w = jr.normal(keys[1], (3 * dim, dim)) / dim**0.5, jr.normal(keys[2], (2, dim))
    w = overlap * beta + (1 - overlap**2) ** 0.5 * (w - jnp.outer(w @ beta, beta) / dim)

    start = w

    def step(w, _):
        h = x @ w.T
        residual = (x @ beta) ** 2 / 2 - jnp.mean(h + eps / 2 * h**2, axis=1)
        after = w + eta * (residual[:, None] * (1 + eps * h)).T @ x
        return after, (jnp.mean(residual**2), jnp.mean(w @ beta) / dim, jnp.trace(w @ start.T) / (2 * dim))

    return jax.lax.scan(step, w, None, length=steps + 1)[1]


@pytest.mark.parametrize("overlap", [0.0, 0.4])
def test_it_predicts_the_training_of_large_networks(x64, overlap):
    field = dmft_committee(jr.key(1), 3.0, 2, steps=5, samples=10_000, overlap=overlap)
    losses, teacher, memory = jax.lax.map(lambda key: simulate(key, overlap, 500, 5), jr.split(jr.key(5), 8))
    np.testing.assert_allclose(field.train_mse, losses.mean(0), rtol=0.1)
    found = field.teacher.mean(axis=1)
    np.testing.assert_allclose(found, teacher.mean(0), atol=4 * float(teacher.std(0).max()) / 8**0.5)
    remembered = jnp.einsum("tkk->t", field.overlap[:, 0]) / 2  # of the start
    np.testing.assert_allclose(remembered, memory.mean(0), atol=4 * float(memory.std(0).max()) / 8**0.5)
    if overlap:
        assert float(found[5]) < overlap / 2  # it forgets a head start, which a wrong sign would let grow


def test_stored_values_of_another_implementation(x64):
    # 2e4 plain samples at nu = 3, alpha = 1, eps = 0.5, eta = 0.15; a few percent of noise on either side
    losses = np.mean([dmft_committee(jr.key(i), 3.0, 2, steps=5, samples=10_000).train_mse for i in range(4)], axis=0)
    np.testing.assert_allclose(losses[[0, 1, 2, 5]], [1.126, 0.618, 0.469, 0.312], rtol=0.06)


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="`samples` even and positive; got 2, 3 and 5"):
        dmft_committee(jr.key(0), 1.0, 2, steps=3, samples=5)
