"""Teachers on Gaussian inputs."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.teachers import hermite, multi_index_data, single_index_data


def test_targets_are_those_of_the_direction(x64):
    split = single_index_data(jr.key(0), 30, 8, degree=3, num_test=5, dtype=jnp.float64)
    (beta,) = split.directions
    assert float(beta @ beta) == pytest.approx(8)
    for x, y in ((split.train_inputs, split.train_targets), (split.test_inputs, split.test_targets)):
        np.testing.assert_allclose(y, (x @ beta) ** 3 / 3, rtol=1e-10)


def test_moments_of_the_quadratic_target():
    # beta . x is standard normal: E y = 1/2, E y^2 = 3/4; inputs have covariance I/D
    split = single_index_data(jr.key(1), 200_000, 4, num_test=1)
    assert float(split.train_targets.mean()) == pytest.approx(0.5, abs=0.01)
    assert float((split.train_targets**2).mean()) == pytest.approx(0.75, abs=0.03)
    np.testing.assert_allclose(split.train_inputs.T @ split.train_inputs / 200_000, np.eye(4) / 4, atol=3e-3)


def test_hermite_polynomials_are_orthonormal(x64):
    points, weights = np.polynomial.hermite_e.hermegauss(20)
    values = np.stack([hermite(n)(jnp.asarray(points)) for n in range(5)])
    np.testing.assert_allclose(values * weights @ values.T / np.sqrt(2 * np.pi), np.eye(5), atol=1e-10)


def test_directions_are_orthogonal_and_the_link_sees_their_coordinates(x64):
    split = multi_index_data(jr.key(2), 6, 5, 3, lambda a: a[0] * a[1] + a[2], dtype=jnp.float64)
    np.testing.assert_allclose(split.directions @ split.directions.T, 5 * np.eye(3), atol=1e-12)
    a = split.train_inputs @ split.directions.T
    np.testing.assert_allclose(split.train_targets, a[:, 0] * a[:, 1] + a[:, 2], rtol=1e-10)


def test_noise_and_test_size_change_nothing_else():
    plain = single_index_data(jr.key(3), 10, 4)
    noisy = single_index_data(jr.key(3), 10, 4, noise=0.5, num_test=7)
    np.testing.assert_array_equal(plain.train_inputs, noisy.train_inputs)
    np.testing.assert_array_equal(plain.directions, noisy.directions)
    assert float(jnp.std(noisy.train_targets - plain.train_targets)) > 0.1


def test_seeds_can_be_batched():
    batch = jax.vmap(lambda key: single_index_data(key, 5, 3))(jr.split(jr.key(0), 2))
    assert batch.train_inputs.shape == (2, 5, 3)


def test_refusals():
    with pytest.raises(ValueError, match="`degree` must be at least 1; got 0"):
        single_index_data(jr.key(0), 5, 3, degree=0)
    with pytest.raises(ValueError, match=r"1..3 directions"):
        multi_index_data(jr.key(0), 5, 3, 4, lambda a: a[0])
    with pytest.raises(ValueError, match="must not be negative"):
        hermite(-1)
