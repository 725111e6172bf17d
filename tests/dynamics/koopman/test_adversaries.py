"""Systems that no algorithm can tell apart, and the games that are played with them."""

import itertools
from fractions import Fraction

import jax
import numpy as np
import pytest
from scipy.special import jv

from separatrix.dynamics.koopman import (
    GOLDEN,
    decision_time,
    disc,
    disc_spectra,
    edmd,
    evaluate,
    game,
    grid,
    hausdorff,
    mp_edmd,
    polynomial,
    pseudospectrum,
    residuals,
    torus,
    wiener_mean,
)
from separatrix.dynamics.koopman.adversarial_game import _deviation

PAIRS = [(5, 8), (8, 13), (13, 21)]


@pytest.mark.parametrize(("a", "expected"), [(0.1, 0.89340), (0.3, 0.41193)])
def test_the_wiener_limit_of_one_harmonic_is_a_sum_of_bessel_functions(a, expected):
    b = a / (2 * np.sin(np.pi * GOLDEN))
    bessel = (jv(np.arange(-60, 61), 2 * np.pi * b) ** 4).sum()
    assert torus(GOLDEN, {1: a}).wiener_limit() == pytest.approx(bessel, abs=1e-12)
    assert bessel == pytest.approx(expected, abs=1e-5)


def test_a_resonant_harmonic_has_the_correlations_of_bessels_function():
    q, a = 8, 0.02
    correlations = torus(Fraction(5, q), {1: 0.2, q: a}).correlations(5 * q + 1)
    s = np.arange(6)
    np.testing.assert_allclose(correlations[::q], jv(0, 2 * np.pi * q * s * a), atol=1e-12)


@pytest.mark.parametrize("alpha", [GOLDEN, Fraction(5, 8), Fraction(5, 7)])
def test_correlations_are_those_of_the_iterated_map(alpha):
    map = torus(alpha, {1: 0.2, 8: 0.03})
    points = np.stack([np.arange(512) / 512, np.zeros(512)], axis=1)
    start, now, direct = points, points, []
    for _ in range(12):
        direct.append(np.exp(2j * np.pi * (now[:, 1] - start[:, 1])).mean())
        now = evaluate(map, now)
    np.testing.assert_allclose(map.correlations(12), direct, atol=1e-10)
    if map.has_eigenfunctions():
        assert map.wiener_limit() == pytest.approx(wiener_mean(map.correlations(1_000))[-1], abs=5e-3)
    else:
        assert map.wiener_limit() == 0


@pytest.mark.parametrize(
    ("pair", "early", "large", "small"),
    [(PAIRS[0], 0.07, 13, 34), (PAIRS[1], 0.024, 18, 35), (PAIRS[2], 0.012, 44, 39)],
)
def test_running_means_differ_when_the_card_says(pair, early, large, small):
    p, q = pair
    times = []
    for a in (0.02, 0.005):
        two = torus(Fraction(p, q), {1: 0.2, q: a}), torus(GOLDEN, {1: 0.2, q: a})
        times.append(decision_time(*two, 0.1, 100))
        if a == 0.02:
            means = [wiener_mean(one.correlations(11))[10] for one in two]
            assert abs(means[0] - means[1]) == pytest.approx(early, abs=1e-3)
    assert times == [large, small]


def test_the_published_wiener_means_of_the_pair():
    # card: .005 against .466 at L = 3000 for 8/13, and .569 for 5/8
    mean = wiener_mean(torus(Fraction(8, 13), {1: 0.2, 13: 0.02}).correlations(3_001))[-1]
    assert mean == pytest.approx(0.005, abs=3e-4)
    for (p, q), golden in zip(PAIRS[:2], (0.569, 0.466), strict=True):
        harmonics = {1: 0.2, q: 0.02}
        assert torus(GOLDEN, harmonics).wiener_limit() == pytest.approx(golden, abs=1e-3)
        assert not torus(Fraction(p, q), harmonics).has_eigenfunctions()


def test_the_two_maps_of_the_disc_are_identical_to_every_algorithm():
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (150, 2))
    first, second = disc(points)
    outputs = []
    for map in (first, second):
        psi = evaluate(polynomial(2, 3), points), evaluate(polynomial(2, 3), evaluate(map, points))
        pairs = edmd(*psi)
        found = [pairs.values, residuals(*pairs, *psi), mp_edmd(*psi).values, pseudospectrum(*psi, grid(spacing=0.75))]
        outputs.append(np.concatenate([np.ravel(f) for f in found]))
    np.testing.assert_array_equal(*outputs)
    assert hausdorff(*disc_spectra()) == pytest.approx(np.sqrt(2), abs=1e-12)


def test_both_maps_of_the_disc_preserve_area_and_the_second_twists():
    points = np.random.default_rng(0).uniform(-0.7, 0.7, (20, 2))
    first, second = disc(points, height=2.0)
    middle = np.array([[(second.low + second.high) / 2, 0.0]])
    with jax.enable_x64():
        for map in (first, second):
            one = lambda x, map=map: map(x[None])[0]  # noqa: E731
            jacobians = jax.vmap(jax.jacfwd(one))(np.concatenate([points, middle * 1.01, middle]))
            np.testing.assert_allclose(np.linalg.det(jacobians), 1, atol=1e-12)
    np.testing.assert_allclose(evaluate(first, middle), -middle, atol=1e-12)
    turned = evaluate(second, middle)[0]
    assert np.angle(turned[0] + 1j * turned[1]) == pytest.approx(np.pi + 2.0 - 2 * np.pi)
    with pytest.raises(ValueError, match="without a sample"):
        disc(points, gap=(0.0, 0.9))


def wiener_test(n, query):
    """Follow orbits for 16 n steps with data of two digits, and believe in eigenfunctions if the mean stays up."""
    x = np.stack([np.arange(32) / 32, np.zeros(32)], axis=1)
    now, correlations = x, [1.0]
    for _ in range(16 * n):
        now = query(now, 1e-2)
        correlations.append(np.abs(np.exp(2j * np.pi * now[:, 1]).mean()))
    return wiener_mean(np.array(correlations))[-1] > 0.2


def test_the_game_makes_an_algorithm_change_its_mind_on_systems_that_agree_with_all_it_saw():
    shown = []

    def spy(n, query):
        def ask(points, precision):
            images = query(points, precision)
            shown.append((points.copy(), images.copy(), precision))
            return images

        return wiener_test(n, ask)

    played = game(spy, 4, stages=60)
    truths = [r.truth for r in played]
    assert truths == [k % 2 == 0 for k in range(len(played))]
    assert len(played) >= 3
    assert all(r.answer == r.truth for r in played[:-1])
    # the last system is still consistent with every answer ever given, at the precision that was asked
    assert _deviation(played[-1].system, shown) <= 1
    assert all(r.error <= 1 for r in played)
    gaps = [abs(b.system.alpha - a.system.alpha) for a, b in itertools.pairwise(played)]
    assert max(gaps[1:]) < gaps[0]


def test_whoever_never_looks_is_wrong_for_good_after_one_move():
    played = game(lambda n, query: True, rounds=5, stages=3)
    assert [(r.truth, r.answer, r.stage) for r in played] == [(True, True, 1), (False, True, 3)]
    with pytest.raises(ValueError, match="at least 1"):
        game(lambda n, query: True, rounds=0)
    with pytest.raises(ValueError, match="precision"):
        game(lambda n, query: bool(query(np.zeros((1, 2)), 0.0).any()), rounds=1)


def test_a_torus_needs_harmonics():
    with pytest.raises(ValueError, match="wave numbers >= 1"):
        torus(GOLDEN, {0: 0.1})
