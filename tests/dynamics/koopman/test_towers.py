"""RAGE means, towers of limits and the vocabulary of solvability."""

import numpy as np
import pytest

from separatrix.dynamics.koopman import (
    Tower,
    classify,
    covering,
    edmd,
    evaluate,
    hausdorff,
    iterated_limit,
    polynomial,
    rage,
    residuals,
    settles,
    simulate_snapshots,
    verified,
    wiener_mean,
)
from separatrix.systems import lorenz63

T = 2 * 4_000 + 200


def test_rage_finds_two_tones_in_four_delays():
    t = np.arange(T)
    g = np.cos(0.31 * t) + np.cos(0.1234 * np.sqrt(2) * t)
    means = [rage(g, n, 4_000, samples=4_000, stride=10)[-1] for n in (1, 2, 4, 20)]
    # one delay: sum of fourth powers over ..., as <K^l g, g>^2 / |g|^4 averages to 2 (1/2)^2 / 2 = 1/4
    assert means[0] == pytest.approx(0.25, abs=0.04)
    assert means[0] < means[1] < 0.6
    assert min(means[2:]) >= 0.98


def test_rage_finds_little_of_chaos_and_nothing_of_noise(x64):
    z = simulate_snapshots(lorenz63(), np.array([[1.0, 1.0, 20.0]]), T - 1, every=5, discard=2_000)[0, :, 2]
    means = [rage(z - z.mean(), n, 4_000, samples=4_000, stride=10)[-1] for n in (1, 10, 20)]
    assert means[0] < means[1] < means[2] <= 0.15
    noise = np.random.default_rng(0).normal(size=T)
    assert rage(noise, 20, 4_000, samples=4_000, stride=10)[-1] < 0.02


def test_rage_is_the_projection_that_it_says():
    g = np.random.default_rng(0).normal(size=60)
    found = rage(g, 3, 10, samples=30, stride=5)
    q = np.linalg.qr(np.stack([g[5 * j : 5 * j + 30] for j in range(3)], axis=1))[0]
    shares = [np.linalg.norm(q.T @ g[k : k + 30]) ** 2 / np.linalg.norm(g[k : k + 30]) ** 2 for k in range(11)]
    np.testing.assert_allclose(found, np.cumsum(shares) / np.arange(1, 12))
    with pytest.raises(ValueError, match="must hold at least"):
        rage(g, 3, 10, samples=55)


def test_wiener_means_sum_the_fourth_powers_of_the_components():
    weights, angles = np.array([0.5, 0.3, 0.2]), np.array([0.1, 1.3, 2.9])
    correlations = (weights * np.exp(1j * angles * np.arange(20_000)[:, None])).sum(1)
    assert wiener_mean(correlations)[-1] == pytest.approx((weights**2).sum(), abs=1e-3)


def test_limits_of_residual_dmd_do_not_commute():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1_100, 1))
    y = 1 - 2 * x**2  # Ulam's map: it mixes

    observables = {N: [evaluate(polynomial(1, N - 1), p) for p in (x, y)] for N in (3, 10, 40)}

    def reported(N, M):
        psi = tuple(p[:M] for p in observables[N])
        pairs = edmd(*psi)
        return residuals(*pairs, *psi).max()

    table = Tower(reported, {"N": [3, 10, 40], "M": [3, 10, 40, 1_000]}, name="residual").evaluate()
    assert table.dims == ("N", "M")
    assert table.attrs["limits"] == "M to infinity then N to infinity"
    assert iterated_limit(table, ["M", "N"]) > 0.5  # honest
    assert iterated_limit(table, ["N", "M"]) < 1e-6  # everything is certified
    assert np.isnan(iterated_limit(table, ["M", "N"], reach=1e6))


def test_towers_of_three_limits_and_of_arrays():
    table = Tower(lambda a, b, c: a + 10 * b + 100 * c, {"a": [1, 2], "b": [1, 100], "c": [1, 1_000]}).evaluate()
    assert table.sel(a=2, b=100, c=1).item() == 2 + 1_000 + 100
    assert iterated_limit(table, ["c", "b", "a"]) == 2 + 10 * 100 + 100 * 1_000
    sets = Tower(lambda n: np.array([n, -n]), {"n": [1, 2, 3]}).evaluate()
    assert sets.dims == ("n", "value_0")
    with pytest.raises(ValueError, match="increasing"):
        Tower(lambda n: n, {"n": [2, 1]})
    with pytest.raises(ValueError, match="must name the dimensions"):
        iterated_limit(table, ["c", "b"])


@pytest.mark.parametrize(
    ("preserves", "modulus", "symbol"),
    [
        (True, True, "Sigma_1"),
        (True, False, "Sigma_2 \\ Delta_2"),
        (False, True, "Pi_2 \\ Delta_2"),
        (False, False, "Pi_3 \\ Delta_3"),
    ],
)
def test_the_classification_is_the_papers(preserves, modulus, symbol):
    assert classify(measure_preserving=preserves, known_modulus=modulus).symbol == symbol


def test_verified_and_covering_sequences():
    circle = np.exp(2j * np.pi * np.arange(4_000) / 4_000)
    inside = [circle[: n * 100] * (1 + 0.9 * 2.0**-n) for n in range(1, 6)]  # parts of the circle, ever closer
    assert verified(inside, circle, 1e-3)
    assert not covering(inside, circle, 1e-3)
    around = [np.concatenate([circle, [0.0]]) for _ in range(5)]  # all of it, and a point that pollutes
    assert covering(around, circle, 1e-3)
    assert not verified(around, circle, 1e-3)
    assert settles([circle[:1], circle[:2], circle[:2]], 1e-9)
    assert not settles([np.array([1.0, -1.0]), circle] * 4, 0.5)
    assert hausdorff(circle, np.zeros(0)) == np.inf
