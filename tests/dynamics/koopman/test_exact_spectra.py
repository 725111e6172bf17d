"""Systems whose spectra and pseudospectra are known in closed form."""

import numpy as np
import pytest

from separatrix.dynamics.koopman import (
    GOLDEN,
    ToralMap,
    edmd,
    evaluate,
    exact_pseudospectrum,
    fourier,
    grid,
    isometric_floor,
    mp_edmd,
    pseudo_eigenfunctions,
    pseudospectrum,
    residuals,
    toral_chains,
    uniform_torus,
    verified_spectrum,
    wiener_mean,
)

MAPS = {
    "doubling": (ToralMap([[2]], [0.0]), 10),
    "tripling": (ToralMap([[3]], [0.0]), 10),
    "cat": (ToralMap([[2, 1], [1, 1]], [0.0, 0.0]), 2),
    "rotation": (ToralMap([[1]], [GOLDEN]), 10),
    "shifted cat": (ToralMap([[2, 1], [1, 1]], [0.3, 0.1]), 2),
    "reflection": (ToralMap([[-1]], [0.2]), 5),
}


def waves(map, n, side=64):
    x = uniform_torus(len(map.shift), side)
    dictionary = fourier(len(map.shift), n)
    return evaluate(dictionary, x), evaluate(dictionary, evaluate(map, x))


@pytest.mark.parametrize("name", MAPS)
def test_toral_maps_obey_the_law_of_chains_and_cycles(name):
    map, n = MAPS[name]
    z = grid((-1.4, 1.4), (-1.0, 1.0), 0.4).ravel()
    z = np.append(z, [0.0, 1.0, np.exp(2j * np.pi * GOLDEN)])
    np.testing.assert_allclose(pseudospectrum(*waves(map, n), z), exact_pseudospectrum(map, n, z), atol=1e-8)


def test_doubling_map_has_eigenvalues_one_and_zero_and_the_published_values():
    map, n = MAPS["doubling"]
    psi = waves(map, n)
    pairs = edmd(*psi)
    # nilpotent chains of length m: rounding moves their eigenvalues by eps^(1/m)
    assert abs(pairs.values[0] - 1) < 1e-12
    assert np.abs(pairs.values[1:]).max() < 2e-3
    assert len(pairs.values) == 2 * n + 1
    assert max(toral_chains(map, n)[0]) == 4  # 1 + floor(log2 10)
    np.testing.assert_allclose(
        pseudospectrum(*psi, np.array([-1.0, 0.5, 0.0])), [2 * np.sin(np.pi / 10), 0.5, 1.0], atol=1e-9
    )
    top = np.eye(2 * n + 1)[:, -1:]  # e_10 leaves the dictionary: an eigenvector of 0 with residual exactly one
    assert residuals(np.array([0.0]), top, *psi)[0] == pytest.approx(1, abs=1e-12)


def test_inside_the_disc_the_doubling_map_has_no_approximate_spectrum():
    map, n = MAPS["doubling"]
    z = grid((-0.9, 0.9), (-0.4, 0.4), 0.1).ravel()
    z = z[np.abs(z) < 1]
    assert (pseudospectrum(*waves(map, n), z) >= 1 - np.abs(z) - 1e-9).all()


def test_a_rotation_has_its_characters_and_stays_away_from_the_rest():
    map, n = MAPS["rotation"]
    psi = waves(map, n)
    eigenvalues = np.exp(2j * np.pi * GOLDEN * np.arange(-n, n + 1))
    assert pseudospectrum(*psi, eigenvalues).max() < 1e-9
    assert residuals(eigenvalues, np.eye(2 * n + 1), *psi).max() < 1e-12
    z = grid((-1.5, 1.5), (-1.5, 1.5), 0.3)
    assert (pseudospectrum(*psi, z) >= np.abs(1 - np.abs(z)) - 1e-9).all()


@pytest.mark.parametrize("c", [3, 7])
def test_a_cyclic_shift_has_the_roots_of_unity_without_residual(c):
    psi = np.eye(c), np.roll(np.eye(c), 1, 0)
    roots = np.exp(2j * np.pi * np.arange(c) / c)
    for values, vectors in (edmd(*psi), mp_edmd(*psi)[:2]):
        assert np.abs(values[:, None] - roots).min(0).max() < 1e-12
        assert residuals(values, vectors, *psi).max() < 1e-12
    # a point mass with its mean removed: each of the other c - 1 eigenvalues has the same share
    mass = np.eye(c)[0] - 1 / c
    correlations = np.array([mass @ np.roll(mass, k) for k in range(40 * c)]) / (mass @ mass)
    assert wiener_mean(correlations)[-1] == pytest.approx(1 / (c - 1), rel=1e-12)


def test_minimisers_have_the_residual_that_is_claimed():
    map, n = MAPS["cat"]
    psi, z = waves(map, n), np.array([0.3 + 0.2j, -1.0, 1.2j])
    found = pseudo_eigenfunctions(*psi, z)
    np.testing.assert_allclose(residuals(z, found.vectors, *psi), found.tau, atol=1e-9)


def test_the_verified_spectrum_of_a_rotation_lies_at_its_eigenvalues():
    map, n = ToralMap([[1]], [0.25]), 6  # eigenvalues 1, i, -1, -i
    z = grid((-1.5, 1.5), (-1.5, 1.5), 0.1)
    tau = pseudospectrum(*waves(map, n), z)
    found = verified_spectrum(z, tau, isometric=True)
    assert found.certificate < 1e-9
    assert np.abs(found.points[:, None] - np.array([1, 1j, -1, -1j])).min(1).max() < 1e-9
    assert len(found.points) == 4
    assert (isometric_floor(z, 0 * tau) == np.abs(1 - np.abs(z))).all()


def test_the_verified_spectrum_is_empty_where_nothing_is_below_one():
    found = verified_spectrum(np.array([5.0, 6.0]), np.array([4.0, 5.0]))
    assert len(found.points) == 0
    assert np.isnan(found.certificate)
