"""Lyapunov exponents against closed forms, published values and laws."""

import math

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import AbstractProcess, FullBatch, MiniBatches
from separatrix.numerics.lyapunov import Tangent, leading_exponent, lyapunov_spectrum
from separatrix.systems import LinearMap, LogisticMap, lorenz63
from separatrix.training.descent import HeavyBall


def test_lorenz_63_has_the_published_exponents(x64):
    # Sprott (2003): 0.9056, 0, -14.5723 per unit time. Eight runs of 2 000 units have a standard error of about 0.0015.
    dt, seeds = 0.01, 8
    steps, discard = 210_000, 10_000
    spectrum = lyapunov_spectrum(lorenz63(dt=dt), jr.split(jr.key(0), seeds), steps, discard=discard, every=5)
    first, second, third = spectrum.exponents.mean(axis=0) / dt
    assert first == pytest.approx(0.9056, abs=0.005)
    assert second == pytest.approx(0.0, abs=0.001)
    assert third == pytest.approx(-14.5723, abs=0.01)
    assert (np.abs(spectrum.exponents[:, 0] / dt - 0.9056) < 4 * spectrum.standard_errors[:, 0] / dt).all()


def test_exponents_of_lorenz_63_sum_to_its_divergence(x64):
    # the divergence is constant, -(sigma + 1 + beta), so the only error is the integrator's, of fourth order in dt
    errors = []
    for dt in (0.01, 0.005, 0.0025):
        steps, discard = round(60 / dt), round(20 / dt)
        spectrum = lyapunov_spectrum(lorenz63(dt=dt), jr.key(0), steps, discard=discard)
        errors.append(abs(spectrum.exponents.sum() / dt + 10 + 1 + 8 / 3))
    assert errors[-1] < 1e-6
    np.testing.assert_allclose(np.log2(np.divide(errors[:-1], errors[1:])), 4.0, atol=0.3)


def _quadratic(curvatures):
    return lambda w: 0.5 * jnp.sum(curvatures * w**2)


def test_gradient_descent_on_a_quadratic_gives_the_log_multipliers(x64):
    curvatures, rate = jnp.array([0.1, 1.0, 3.0, 6.0]), 0.3
    descent = HeavyBall(_quadratic(curvatures), lambda key: jr.normal(key, (4,)), rate)
    spectrum = lyapunov_spectrum(descent, jr.key(0), 1_000, discard=200, k=4)
    expected = np.sort(np.log(np.abs(1 - rate * np.asarray(curvatures))))[::-1]
    np.testing.assert_allclose(spectrum.exponents, expected, atol=1e-9)
    assert leading_exponent(descent, jr.key(0), 1_000, discard=200) == pytest.approx(expected[0], abs=1e-9)


@pytest.mark.parametrize("momentum", [0.5, 0.9])
def test_heavy_ball_with_complex_roots_contracts_at_half_log_momentum(x64, momentum):
    # The roots have modulus sqrt(momentum) whatever the rate; their product, the determinant, is the momentum.
    ball = HeavyBall(_quadratic(1.0), lambda key: jr.normal(key, (1,)), rate=0.3, momentum=momentum)
    spectrum = lyapunov_spectrum(ball, jr.key(0), 4_000, discard=400, blocks=1)
    np.testing.assert_allclose(spectrum.exponents, 0.5 * math.log(momentum), atol=1e-3)
    assert spectrum.exponents.sum() == pytest.approx(math.log(momentum), abs=1e-12)


def test_heavy_ball_with_real_roots_gives_their_logarithms(x64):
    ball = HeavyBall(_quadratic(1.0), lambda key: jr.normal(key, (1,)), rate=0.05, momentum=0.5)
    roots = np.roots([1.0, -(1 + 0.5 - 0.05), 0.5])
    spectrum = lyapunov_spectrum(ball, jr.key(0), 1_000, discard=200)
    np.testing.assert_allclose(spectrum.exponents, np.sort(np.log(roots.real))[::-1], atol=1e-9)


def test_linear_map_gives_the_log_moduli_of_its_eigenvalues(x64):
    basis = jnp.array([[1.0, 0.3, 0.0], [0.1, 1.0, 0.2], [0.0, -0.1, 1.0]])
    matrix = basis @ jnp.diag(jnp.array([0.5, -0.9, 0.2])) @ jnp.linalg.inv(basis)
    spectrum = lyapunov_spectrum(LinearMap(matrix), jr.key(0), 1_000, discard=500)
    np.testing.assert_allclose(spectrum.exponents, np.log([0.9, 0.5, 0.2]), atol=1e-9)


def test_fewer_vectors_give_the_leading_exponents(x64):
    matrix = jnp.diag(jnp.array([0.2, 0.9, 0.5]))
    spectrum = lyapunov_spectrum(LinearMap(matrix), jr.key(0), 400, discard=200, k=2)
    np.testing.assert_allclose(spectrum.exponents, np.log([0.9, 0.5]), atol=1e-9)


def test_logistic_map_at_four_gives_log_two_within_its_standard_error(x64):
    spectrum = lyapunov_spectrum(LogisticMap(4.0), jr.split(jr.key(0), 4), 50_000, discard=1_000)
    assert (np.abs(spectrum.exponents[:, 0] - math.log(2)) < 3 * spectrum.standard_errors[:, 0]).all()
    assert spectrum.standard_errors.max() < 1e-2


def test_standard_error_falls_like_the_root_of_the_steps(x64):
    # sixteen times the steps quarter it
    keys = jr.split(jr.key(0), 16)
    errors = [
        np.sqrt((lyapunov_spectrum(_Multiplier(), keys, n, blocks=20).standard_errors ** 2).mean())
        for n in (500, 8_000)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.2)
    assert errors[1] == pytest.approx(1.0 / math.sqrt(8_000), rel=0.2)  # the logarithms are standard normal


class _Multiplier(AbstractProcess):
    """`x -> exp(noise - 1) x`, whose exponent is the mean of the noise less one, exactly."""

    def init(self, key):
        return jr.normal(key, (1,))

    def step(self, state, x, key):
        return jnp.exp(jr.normal(key) - 1) * state, {}


def test_noise_is_part_of_the_map(x64):
    spectrum = lyapunov_spectrum(_Multiplier(), jr.split(jr.key(1), 4), 4_000)
    assert (np.abs(spectrum.exponents[:, 0] + 1) < 4 * spectrum.standard_errors[:, 0]).all()
    assert len(np.unique(spectrum.exponents)) == 4


class _Driven(AbstractProcess):
    stream: object = None

    def init(self, key):
        return jnp.ones(1)

    def step(self, state, x, key):
        return x * state, {}


def test_inputs_are_part_of_the_map(x64):
    # batches without replacement: each epoch multiplies by all four factors
    factors = jnp.array([[0.5], [0.9], [1.1], [0.8]])
    batches = MiniBatches(factors, 1)
    expected = np.log(np.asarray(factors)).mean()
    squeeze = lambda step, key: batches(step, key)[0]  # noqa: E731
    assert leading_exponent(_Driven(squeeze), jr.key(0), 400) == pytest.approx(expected, abs=1e-12)
    own = leading_exponent(_Driven(squeeze), jr.key(0), 400, stream=FullBatch(jnp.array([0.7])))
    assert own == pytest.approx(math.log(0.7), abs=1e-12)


def test_exponents_do_not_depend_on_the_interval_of_orthonormalisation(x64):
    matrix = jnp.array([[0.9, 0.3], [0.1, 0.5]])
    one, two, five = (lyapunov_spectrum(LinearMap(matrix), jr.key(0), 1_100, discard=100, every=n) for n in (1, 2, 5))
    np.testing.assert_allclose(two.exponents, one.exponents, atol=1e-10)
    np.testing.assert_allclose(five.exponents, one.exponents, atol=1e-10)


def test_leading_exponent_is_the_first_of_the_spectrum(x64):
    matrix = jnp.array([[0.9, 0.3], [0.1, 0.5]])
    spectrum = lyapunov_spectrum(LinearMap(matrix), jr.split(jr.key(0), 2), 600, discard=100)
    leading = leading_exponent(LinearMap(matrix), jr.split(jr.key(0), 2), 600, discard=100)
    assert leading.shape == (2,)
    np.testing.assert_allclose(leading, spectrum.exponents[:, 0], atol=1e-10)


def test_long_sums_keep_their_digits_in_float32():
    # a plain float32 sum of 200 000 times -0.1 is wrong in the third digit
    shrinking = LinearMap(jnp.array([[0.9]], jnp.float32))
    exponent = leading_exponent(shrinking, jr.key(0), 200_000)
    assert exponent == pytest.approx(math.log(0.9), rel=3e-6)


def test_superstable_orbit_has_exponent_minus_infinity(x64):
    # the derivative of the logistic map at rate 2 vanishes at its fixed point 1/2
    spectrum = lyapunov_spectrum(LogisticMap(2.0), jr.key(0), 2_000, discard=1_000)
    assert spectrum.exponents.tolist() == [-np.inf]


def test_whole_numbers_in_the_state_carry_no_tangent(x64):
    from separatrix import at_step

    counted = at_step(3, lambda s, key: s)(LinearMap(jnp.diag(jnp.array([0.9, 0.5]))))
    spectrum = lyapunov_spectrum(counted, jr.key(0), 400, discard=200)
    np.testing.assert_allclose(spectrum.exponents, np.log([0.9, 0.5]), atol=1e-9)


def test_tangent_vectors_stay_orthonormal(x64):
    from separatrix import run

    vectors = run(Tangent(lorenz63(), k=2), jr.key(0), 100).state.vectors
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(2), atol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"discard": 100}, r"`discard` must lie in 0..99; got 100."),
        ({"discard": -1}, r"`discard` must lie in 0..99; got -1."),
        ({"blocks": 30}, r"must be a multiple of `blocks \* every` = 30 .* got steps=100, discard=0."),
        ({"blocks": 0}, r"must be a multiple of `blocks \* every` = 0"),
        ({"every": 0}, r"must be a multiple of `blocks \* every` = 0"),
        ({"discard": 5, "every": 2, "blocks": 1}, r"and `discard` of `every`; got steps=100, discard=5."),
        ({"k": 3}, r"`k` must lie in 1..2, .* got 3."),
        ({"k": 0}, r"`k` must lie in 1..2, .* got 0."),
    ],
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lyapunov_spectrum(LinearMap(jnp.eye(2)), jr.key(0), 100, **arguments)
