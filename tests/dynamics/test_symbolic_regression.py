"""Exact recovery of quadratic systems, scores by hand, and peers that are not installed."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.dynamics import PolynomialLibrary
from separatrix.dynamics.symbolic_regression import (
    FourierLibrary,
    Law,
    fit_dsr,
    fit_law,
    fit_pysr,
    law_score,
    recovery,
)
from separatrix.systems import get

QUADRATIC = ["Lorenz", "Chen", "Rucklidge", *(f"Sprott{c}" for c in "ABCDEFGHIJKLMNOPQRS")]


@pytest.mark.parametrize("name", QUADRATIC)
def test_quadratic_systems_are_recovered_exactly_from_exact_derivatives(name):
    system = get(name)
    with jax.enable_x64():
        # a cloud about the initial state; an attractor is not needed for the regression
        rng = np.random.default_rng(0)
        x = np.asarray(system.initial, float) + rng.normal(size=(200, 3))
        v = np.stack([np.asarray(system.rhs(jnp.asarray(row))) for row in x[:60]])
    found = recovery(fit_law(x[:60], v, PolynomialLibrary(3, 2, bias=True)), system.rhs)
    assert found.f1 == 1
    assert found.error < 1e-3


def test_recovery_counts_missing_and_wrong_terms():
    library = PolynomialLibrary(2, 1, bias=True)
    truth = lambda x: jnp.stack([x[1], -2 * x[0]])  # noqa: E731
    law = Law(library, np.array([[0.0, 0.5], [0.0, -2.0], [0.0, 0.0]]))  # misses x1, adds a constant
    found = recovery(law, truth)
    assert found.f1 == pytest.approx(2 * 1 / (2 + 2))
    assert found.error == pytest.approx(1.0)
    with pytest.raises(ValueError, match="does not lie in the span"):
        recovery(law, lambda x: x**2)


def test_score_is_the_median_component_on_a_scale_of_two():
    x, v = np.ones((4, 3)), np.ones((4, 3))
    assert law_score(lambda x: np.stack([x[:, 0], -x[:, 1], 3 * x[:, 2]], axis=1), x, v) == pytest.approx(1.0)


def test_sines_fit_what_they_are_and_polynomials_do_not():
    x = np.random.default_rng(0).uniform(-3, 3, (200, 1))
    v = 2 * np.sin(3 * x)
    waves, powers = (fit_law(x, v, b) for b in (FourierLibrary(1, 4), PolynomialLibrary(1, 2, bias=True)))
    assert law_score(waves, x, v) < 1e-8
    assert law_score(powers, x, v) > 0.5
    assert dict(zip(waves.library.names(), waves.coefficients[:, 0], strict=True))["sin(3 x0)"] == pytest.approx(2.0)
    assert FourierLibrary(2, 3, bias=True).size == len(FourierLibrary(2, 3, bias=True).names()) == 13


def test_dependent_columns_do_not_break_the_fit():
    x = np.stack([np.linspace(0.1, 1, 40)] * 2, axis=1)  # x0 = x1 on the samples
    law = fit_law(x, x, PolynomialLibrary(2, 2, bias=True))
    assert np.isfinite(law.coefficients).all()
    np.testing.assert_allclose(law(x), x, atol=1e-8)
    with pytest.raises(ValueError, match="fewer than the 6 functions"):
        fit_law(x[:4], x[:4], PolynomialLibrary(2, 2, bias=True))


@pytest.mark.parametrize(("fit", "package"), [(fit_pysr, "pysr"), (fit_dsr, "dso")])
def test_missing_peers_are_named(fit, package, monkeypatch):
    def absent(name, *rest):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ImportError, match=f"pip install {package}"):
        fit(np.ones((3, 1)), np.ones((3, 1)))
