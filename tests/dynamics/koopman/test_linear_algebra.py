"""Gram matrices, compression, residuals and the two ways to the least singular value."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import polar

from separatrix.dynamics.koopman import (
    Coordinates,
    compress,
    delay,
    edmd,
    evaluate,
    fourier,
    gram,
    gram_form,
    grid,
    koopman_matrix,
    koopman_pairs,
    mp_edmd,
    neural,
    orthonormal_form,
    polynomial,
    pseudospectra as internals,
    pseudospectrum,
    radial_kmeans,
    rbf,
    residuals,
    residuals_from_gram,
    smallest_residuals,
    stack,
    stream_gram,
    trajectory_gram,
)


def pairs(samples=300, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (samples, 2))
    return x, np.stack([0.8 * x[:, 1], x[:, 0] - 0.3 * x[:, 1] ** 2], axis=1)


@pytest.mark.parametrize("dictionary", [polynomial(2, 3), fourier(2, 1), lambda x: np.cos(x @ np.ones((2, 4)))])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_streamed_inner_products_are_those_of_the_whole(dictionary, is_weighted):
    x, y = pairs()
    weights = np.random.default_rng(1).uniform(size=len(x)) if is_weighted else None
    psi = np.asarray(evaluate(dictionary, x)), np.asarray(evaluate(dictionary, y))
    w = np.diag(np.full(len(x), 1 / len(x)) if weights is None else weights)
    naive = [a.conj().T @ w @ b for a, b in ((psi[0], psi[0]), (psi[0], psi[1]), (psi[1], psi[1]))]
    few = compress(dictionary, x, y, weights, chunk=70)
    for found in (
        gram(*psi, weights),
        stream_gram(dictionary, x, y, weights, chunk=70),
        gram(*few, np.ones(len(few[0]))),
    ):
        for a, b in zip(found, naive, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_compressed_snapshots_give_the_same_answers():
    x, y = pairs()
    dictionary = polynomial(2, 4)
    whole = evaluate(dictionary, x), evaluate(dictionary, y)
    few = compress(dictionary, x, y, chunk=64)
    one = np.ones(len(few.psi_x))
    assert few.psi_x.shape == (30, 15)
    a, b = edmd(*whole), edmd(*few, one)
    np.testing.assert_allclose(a.values, b.values, atol=1e-9)
    np.testing.assert_allclose(residuals(*a, *whole), residuals(*b, *few, one), atol=1e-8)
    z = grid((-1, 1), (-1, 1), 0.5)
    np.testing.assert_allclose(pseudospectrum(*whole, z), pseudospectrum(*few, z, one), atol=1e-9)


@pytest.mark.parametrize("dictionary", [polynomial(2, 2), fourier(2, 1), lambda x: np.cos(x @ np.ones((2, 4)))])
@pytest.mark.parametrize("times", [2, 65, 200])
def test_a_trajectory_gives_the_products_of_its_pairs(dictionary, times):
    path = np.random.default_rng(0).uniform(-1, 1, (times, 2))
    quick = trajectory_gram(dictionary, path, chunk=64)
    plain = gram(evaluate(dictionary, path[:-1]), evaluate(dictionary, path[1:]))
    for a, b in zip(quick, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-13)


def test_the_form_made_of_inner_products_is_that_of_the_snapshots():
    x, y = pairs()
    psi = evaluate(polynomial(2, 3), x), evaluate(polynomial(2, 3), y)
    quick, exact = gram_form(gram(*psi)), orthonormal_form(*psi)
    np.testing.assert_allclose(koopman_pairs(quick).values, koopman_pairs(exact).values, atol=1e-9)
    z = grid((-1, 1), (-1, 1), 0.5)
    np.testing.assert_allclose(smallest_residuals(quick, z)[0], smallest_residuals(exact, z)[0], atol=1e-7)


def test_residuals_by_inner_products_agree_with_the_direct_ones():
    x, y = pairs()
    psi = evaluate(polynomial(2, 3), x), evaluate(polynomial(2, 3), y)
    found = edmd(*psi)
    np.testing.assert_allclose(residuals_from_gram(*found, gram(*psi)), residuals(*found, *psi), atol=1e-7)


def test_edmd_is_the_least_squares_matrix():
    x, y = pairs()
    psi = evaluate(polynomial(2, 3), x), evaluate(polynomial(2, 3), y)
    dense = np.linalg.lstsq(*psi, rcond=None)[0]
    np.testing.assert_allclose(koopman_matrix(*psi), dense, atol=1e-10)
    found = edmd(*psi)
    np.testing.assert_allclose(dense @ found.vectors, found.vectors * found.values, atol=1e-9)
    np.testing.assert_allclose((np.abs(psi[0] @ found.vectors) ** 2).mean(0), 1)


def test_redundant_observables_are_pruned_and_change_nothing():
    x, y = pairs()
    few = evaluate(polynomial(2, 2), x), evaluate(polynomial(2, 2), y)
    mix = np.random.default_rng(0).normal(size=(6, 9))
    many = few[0] @ mix, few[1] @ mix
    assert len(edmd(*many).values) == 6
    z = grid((-1, 1), (0, 1), 0.5)
    np.testing.assert_allclose(pseudospectrum(*many, z), pseudospectrum(*few, z), atol=1e-9)


def test_fewer_snapshots_than_observables_certify_everything():
    x, y = pairs(10)
    psi = evaluate(polynomial(2, 5), x), evaluate(polynomial(2, 5), y)
    assert pseudospectrum(*psi, np.array([0.3, 5.0 + 1j])).max() > 0.1  # not a point of ten eigenvalues
    found = edmd(*psi)
    assert residuals(*found, *psi).max() < 1e-8
    fresh = pairs(400, seed=5)
    assert residuals(*found, *(evaluate(polynomial(2, 5), p) for p in fresh)).max() > 0.5


def test_inverse_lanczos_agrees_with_the_singular_values_and_never_falls_below(monkeypatch):
    x, y = pairs(600)
    dictionary = rbf(np.random.default_rng(2).uniform(-1, 1, (40, 2)))
    psi = evaluate(dictionary, x), evaluate(dictionary, y)
    z = grid((-1.2, 1.2), (-0.6, 0.6), 0.3)
    monkeypatch.setattr(internals, "DENSE", 100)
    dense = pseudospectrum(*psi, z)
    monkeypatch.setattr(internals, "DENSE", 0)
    quick = pseudospectrum(*psi, z)
    assert (quick >= dense - 1e-9).all()
    np.testing.assert_allclose(quick, dense, rtol=0.02, atol=1e-6)
    np.testing.assert_array_equal(quick, quick[::-1])  # a real dictionary: tau(conj z) = tau(z)


def test_orthonormal_form_splits_the_image_into_span_and_leak():
    x, y = pairs()
    psi = evaluate(polynomial(2, 3), x), evaluate(polynomial(2, 3), y)
    form = orthonormal_form(*psi)
    length = form.basis.conj().T @ gram(*psi).L @ form.basis
    np.testing.assert_allclose(form.operator.T @ form.operator + form.leak.T @ form.leak, length, atol=1e-10)
    np.testing.assert_allclose(form.basis.T @ gram(*psi).G @ form.basis, np.eye(10), atol=1e-10)


def test_measure_preserving_matrix_is_unitary_in_the_data_and_the_nearest():
    x, y = pairs()
    psi = evaluate(polynomial(2, 3), x), evaluate(polynomial(2, 3), y)
    fit = mp_edmd(*psi)
    np.testing.assert_allclose(np.abs(fit.values), 1, atol=1e-13)
    inner = gram(*psi).G
    np.testing.assert_allclose(fit.matrix.conj().T @ inner @ fit.matrix, inner, atol=1e-9)
    np.testing.assert_allclose(fit.matrix.imag, 0, atol=1e-9)
    form = orthonormal_form(*psi)
    turned = form.coordinates @ fit.matrix @ form.basis
    np.testing.assert_allclose(turned, polar(form.operator)[0], atol=1e-9)
    miss = lambda k: np.linalg.norm(psi[1] @ np.linalg.inv(np.linalg.cholesky(inner).T) - psi[0] @ k)  # noqa: E731
    root = np.linalg.inv(np.linalg.cholesky(inner).T)
    turn, _ = np.linalg.qr(np.eye(10) + 0.05 * np.random.default_rng(0).normal(size=(10, 10)))
    assert miss(fit.matrix @ root) <= miss(fit.matrix @ root @ turn)
    energy = (np.abs(fit.evolve(np.eye(10)[1], np.array([0, 1000]))) ** 2).sum(1)
    assert energy[1] == pytest.approx(energy[0], rel=1e-12)


def test_dictionaries_have_their_values():
    x = np.array([[0.5, 2.0]])
    np.testing.assert_allclose(evaluate(Coordinates(), x), [[1, 0.5, 2]])
    np.testing.assert_allclose(evaluate(polynomial(2, 1), x), [[1, 2, 0.5]])
    np.testing.assert_allclose(evaluate(rbf(np.array([[0.5, 1.0]]), scale=2.0), x), [[np.exp(-1)]])
    np.testing.assert_allclose(evaluate(neural(lambda s: jnp.stack([s.sum()])), x), [[2.5]])
    np.testing.assert_allclose(evaluate(stack(Coordinates(), neural(lambda s: s[:1])), x), [[1, 0.5, 2, 0.5]])
    np.testing.assert_allclose(evaluate(fourier(2, 1), x)[0, -1], np.exp(2j * np.pi * 2.5), atol=1e-12)
    np.testing.assert_array_equal(delay(np.arange(6).reshape(3, 2), 2), [[0, 1, 2, 3], [2, 3, 4, 5]])
    assert evaluate(radial_kmeans(pairs()[0], 7), x).shape == (1, 7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gram(np.eye(2), np.eye(3)), "equal matrices"),
        (lambda: gram(np.eye(2), np.eye(2), -np.ones(2)), "`weights` must hold 2"),
        (lambda: gram(np.eye(2) * np.nan, np.eye(2)), "NaN or infinite"),
        (lambda: edmd(np.zeros((3, 2)), np.ones((3, 2))), "vanishes"),
        (lambda: stream_gram(polynomial(1, 1), np.ones((3, 1)), np.ones((2, 1))), "equal matrices"),
        (lambda: compress(polynomial(1, 1), np.full((3, 1), np.nan), np.ones((3, 1))), "NaN or infinite"),
        (lambda: delay(np.arange(3), 4), "need 4 times"),
        (lambda: residuals(np.ones(1), np.ones((3, 1)), np.eye(2), np.eye(2)), "must have the shape"),
        (lambda: radial_kmeans(np.ones((3, 1)), 4), r"must lie in 1\.\.3"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, message):
    with pytest.raises(ValueError, match=message):
        call()
