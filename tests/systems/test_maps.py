"""Maps against their closed forms."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run
from separatrix.systems import LinearMap, LogisticMap


@pytest.mark.parametrize("rate", [1.5, 2.0, 2.9])
def test_logistic_map_settles_on_its_fixed_point(rate, x64):
    state, _ = run(LogisticMap(rate), jr.split(jr.key(0), 3), 2_000)
    np.testing.assert_allclose(state, 1 - 1 / rate, atol=1e-12)


def test_logistic_map_at_four_is_a_doubled_angle(x64):
    # x = sin^2(theta) is mapped to sin^2(2 theta)
    theta = 0.3
    after, info = LogisticMap(4.0).step(jnp.sin(theta) ** 2, None, jr.key(0))
    assert after == pytest.approx(np.sin(2 * theta) ** 2, abs=1e-15)
    assert info == {}


def test_logistic_map_starts_uniformly():
    start = run(LogisticMap(3.0), jr.split(jr.key(0), 500), 0, block=500).state
    assert start.min() >= 0
    assert start.max() <= 1
    assert start.mean() == pytest.approx(0.5, abs=4 / np.sqrt(12 * 500))


def test_linear_map_is_a_matrix_power(x64):
    matrix = jnp.array([[0.9, 0.3], [-0.2, 1.1]])
    process = LinearMap(matrix)
    start = run(process, jr.key(1), 0).state
    np.testing.assert_allclose(run(process, jr.key(1), 7).state, jnp.linalg.matrix_power(matrix, 7) @ start, rtol=1e-13)
