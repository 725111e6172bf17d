"""Smoothed spectral measures: rates of convergence, and agreement of the three roads."""

import numpy as np
import pytest

from separatrix.dynamics.koopman import (
    atomic_measure,
    cosine_filter,
    fejer_filter,
    moment_measure,
    moments,
    mp_edmd,
    rational_kernel,
    resolvent_measure,
    spectral_measure,
    vandeven_filter,
)

POINTS = 2_048
ANGLES = 2 * np.pi * np.arange(POINTS) / POINTS


def density(theta):
    return np.exp(np.cos(theta)) / (2 * np.pi * np.i0(1.0))


def smoothed_error(eps, order):
    """Error at one angle of the density convolved with the kernel (the trapezoidal rule, exact to rounding here)."""
    return abs((rational_kernel(0.7 - ANGLES, eps, order) * density(ANGLES)).mean() * 2 * np.pi - density(0.7))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_kernel_of_order_m_converges_at_the_rate_eps_to_the_m(order):
    eps = np.array([0.2, 0.1, 0.05])
    errors = np.array([smoothed_error(e, order) for e in eps])
    bound = eps**order * np.log(1 / eps)
    slopes = np.log(errors[:-1] / errors[1:]) / np.log(bound[:-1] / bound[1:])
    assert slopes.min() > 0.85, errors
    assert errors[-1] < 3 * bound[-1]


def test_order_one_is_poissons_kernel():
    eps = 0.3
    expected = ((1 + eps) ** 2 - 1) / np.abs(1 - (1 + eps) * np.exp(1j * ANGLES)) ** 2 / (2 * np.pi)
    np.testing.assert_allclose(rational_kernel(ANGLES, eps, 1), expected)


@pytest.mark.parametrize("order", [1, 3])
def test_the_resolvent_gives_the_kernel_on_the_atoms_of_a_unitary_matrix(order):
    rng = np.random.default_rng(0)
    unitary, _ = np.linalg.qr(rng.normal(size=(6, 6)) + 1j * rng.normal(size=(6, 6)))
    angles, f = np.linspace(-2, 2, 6), rng.normal(size=6) + 0j
    matrix = unitary * np.exp(1j * angles) @ unitary.conj().T
    weights = np.abs(unitary.conj().T @ f) ** 2
    theta = np.linspace(0, 6, 5)
    expected = sum(w * rational_kernel(theta - a, 0.1, order) for w, a in zip(weights, angles, strict=True))
    np.testing.assert_allclose(resolvent_measure(matrix, f, theta, 0.1, order), expected, atol=1e-12)


def test_the_measure_of_a_snapshot_matrix_has_the_mass_of_the_observable():
    cycle = np.eye(5), np.roll(np.eye(5), 1, 0)
    c = np.array([1.0, 2, 0, 0, 0])
    total = spectral_measure(*cycle, c, ANGLES[::4], 0.2, 2).mean() * 2 * np.pi
    assert total == pytest.approx((c**2).mean(), rel=1e-6)
    angles, weights = atomic_measure(mp_edmd(*cycle), c)
    assert weights.sum() == pytest.approx((c**2).mean(), rel=1e-12)
    np.testing.assert_allclose(angles, 2 * np.pi * np.arange(-2, 3) / 5, atol=1e-12)


def test_distribution_functions_of_mpedmd_converge_to_the_uniform_law_of_a_shift():
    # a truncated shift of length N: the observable e_0 has the Lebesgue measure
    for n in (8, 32, 128):
        angles, weights = atomic_measure(mp_edmd(np.eye(n) + 0j, np.roll(np.eye(n), 1, 0)), np.eye(n)[0])
        above, law = np.cumsum(weights) / weights.sum(), (angles + np.pi) / (2 * np.pi)
        gap = np.maximum(np.abs(above - law), np.abs(above - weights / weights.sum() - law)).max()
        assert gap == pytest.approx(1 / n, rel=1e-9)


@pytest.mark.parametrize(("filter_fn", "order"), [(fejer_filter, 1), (cosine_filter, 2), (vandeven_filter, 4)])
def test_filters_converge_at_their_order(filter_fn, order):
    exact = np.fft.fft(density(ANGLES)) / POINTS  # mu_n = int exp(-i n t) nu dt / 2 pi
    errors = np.array(
        [abs(moment_measure(exact[: n + 1], np.array([0.7]), filter_fn)[0] - density(0.7)) for n in (40, 80, 160)]
    )
    slopes = np.log2(errors[:-1] / errors[1:])
    assert slopes.min() > order - 0.3, errors
    assert filter_fn(np.array([0.0]))[0] == 1
    assert filter_fn(np.array([1.0]))[0] == pytest.approx(0, abs=1e-12)


def test_moments_are_plain_averages():
    x = np.random.default_rng(0).normal(size=50) + 1j * np.random.default_rng(1).normal(size=50)
    expected = [(x[: 50 - k] * x[k:].conj()).mean() / (2 * np.pi) for k in range(6)]
    np.testing.assert_allclose(moments(x, 5), expected, atol=1e-13)
    with pytest.raises(ValueError, match="more than 60 times"):
        moments(x, 60)


@pytest.mark.parametrize(("eps", "order"), [(0.0, 1), (1.0, 1), (0.1, 0)])
def test_a_kernel_needs_a_width_and_an_order(eps, order):
    with pytest.raises(ValueError, match="`eps` must lie"):
        rational_kernel(ANGLES, eps, order)
