"""Exponents against closed forms, identities and literature."""

import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from scipy.special import lambertw

from separatrix.systems import (
    DelayFlow,
    Flow,
    get,
    kaplan_yorke,
    lyapunov,
    mean_divergence,
    pesin,
)

LITERATURE = [  # Sprott (2003), Chaos and Time-Series Analysis
    ("Lorenz", {"beta": 8 / 3}, 0.9056, 1_500),
    ("Rossler", {}, 0.0714, 4_000),
    ("Henon", {}, 0.4192, 200),
]


@pytest.mark.parametrize(("name", "parameters", "exponent", "periods"), LITERATURE)
def test_literature_values(name, parameters, exponent, periods):
    spectrum = lyapunov(get(name, **parameters), periods=periods)
    assert spectrum.exponents[0] == pytest.approx(exponent, rel=0.03)
    assert abs(spectrum.exponents[0] - exponent) < 4 * spectrum.standard_errors[0]


@pytest.mark.parametrize(
    ("name", "parameters", "exponents"),
    [
        ("Logistic", {"r": 4.0}, [math.log(2)]),
        ("Tent", {"mu": 0.95}, [math.log(1.9)]),
        ("KaplanYorke", {}, [math.log(2), math.log(0.2)]),
        ("Baker", {}, [math.log(2), -math.log(2)]),
        ("Chebyshev", {}, [math.log(6)]),
    ],
)
def test_closed_forms_of_maps(name, parameters, exponents):
    spectrum = lyapunov(get(name, **parameters), periods=100)
    np.testing.assert_allclose(spectrum.exponents, exponents, atol=2e-3)


@pytest.mark.parametrize("name", ["Lorenz", "HyperRossler", "Aizawa"])
def test_the_sum_is_the_mean_divergence_of_the_orbit_and_one_exponent_is_neutral(name):
    # of Aizawa's the divergence varies, and orbits that rounding has separated differ by 0.01 in its mean
    system = get(name)
    spectrum = lyapunov(system, periods=200)
    total = spectrum.exponents.sum()
    assert total == pytest.approx(float(spectrum.average), abs=1e-4 * (abs(total) + 1))
    neutral = np.abs(spectrum.exponents).argmin()
    assert abs(spectrum.exponents[neutral]) < max(3 * spectrum.standard_errors[neutral], 2e-3)


def test_of_a_map_the_average_is_the_log_determinant():
    spectrum = lyapunov(get("Henon"), periods=1, transient=0)
    assert float(spectrum.average) == pytest.approx(math.log(0.3), abs=1e-12)
    assert float(spectrum.exponents.sum()) == pytest.approx(math.log(0.3), abs=1e-8)


def test_mean_divergence_of_an_orbit_of_its_own():
    assert mean_divergence(get("Henon"), periods=1) == pytest.approx(math.log(0.3), abs=1e-12)


def test_a_hamiltonian_spectrum_comes_in_pairs():
    spectrum = lyapunov(get("HenonHeiles"), periods=100)
    np.testing.assert_allclose(spectrum.exponents, -spectrum.exponents[::-1], atol=5e-4)


def test_a_driven_curve_has_no_exponent():
    np.testing.assert_allclose(lyapunov(get("Torus"), periods=20, transient=0).exponents, 0, atol=0.03)


def test_a_linear_flow_has_the_real_parts_of_its_eigenvalues():
    matrix = jnp.array([[-0.1, 2.0, 0.0], [-2.0, -0.1, 0.0], [0.0, 0.0, -1.0]])
    system = Flow(lambda x, p: p["a"] @ x, {"a": np.asarray(matrix, float)}, np.ones(3), 0.01, period=math.pi)
    np.testing.assert_allclose(lyapunov(system, periods=60, transient=10).exponents, [-0.1, -0.1, -1.0], atol=2e-3)


def test_a_linear_delay_equation_has_the_roots_of_its_characteristic_equation():
    # x' = a x + b x(t - tau): lambda = a + W_n(b tau exp(-a tau)) / tau
    a, b, tau = -1.0, 0.5, 1.0
    system = DelayFlow(lambda x, d, p: p["a"] * x + p["b"] * d, {"a": a, "b": b, "tau": tau}, np.ones(1), period=1.0)
    roots = sorted(
        (float((a + lambertw(b * tau * np.exp(-a * tau), n) / tau).real) for n in range(-2, 3)), reverse=True
    )
    spectrum = lyapunov(system, periods=60, transient=10, k=3)
    np.testing.assert_allclose(spectrum.exponents, roots[:3], atol=2e-2)
    assert spectrum.exponents[0] == pytest.approx(roots[0], abs=1e-6)


def test_seeds_are_a_vector_of_keys():
    system = Flow(lambda x, p: -x, {}, np.ones(2), 0.1, spread=0.1, period=1.0)
    spectrum = lyapunov(system, periods=1, transient=0, key=jr.split(jr.key(0), 3), steps_per_period=100)
    assert spectrum.exponents.shape == (3, 2)
    np.testing.assert_allclose(spectrum.exponents, -1, atol=1e-6)


def test_kaplan_yorke():
    assert kaplan_yorke([0.906, 0, -14.572]) == pytest.approx(2 + 0.906 / 14.572)
    assert kaplan_yorke([-14.572, 0.906, 0]) == kaplan_yorke([0.906, 0, -14.572])
    assert kaplan_yorke([-1.0, -2.0]) == 0
    assert math.isnan(kaplan_yorke([1.0, -1.0]))
    assert math.isnan(kaplan_yorke([0.5, 0.1]))
    assert math.isnan(kaplan_yorke([0.5, np.nan]))
    assert math.isnan(kaplan_yorke([]))


def test_pesin_adds_what_is_positive():
    assert pesin([-3.0, 0.5, 0.25]) == 0.75
