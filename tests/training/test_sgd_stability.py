"""Mean-square stability of SGD: closed forms, bounds in order, and parity with dense and simulated moments."""

import itertools

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.training import sgd_stability, stability_bounds
from separatrix.training.second_moment import simulated_growth
from separatrix.training.sgd_stability import project, sampling_noise, sgd_moment_map
from separatrix.training.stability_notions import METHODS, NOTIONS, is_linearly_stable, sgd_stability_threshold


def compiled(fn, *static):
    return jax.jit(fn, static_argnames=("batch_size", "replace", *static))


mean_square_threshold = compiled(sgd_stability.mean_square_threshold)
mean_square_radius = compiled(sgd_stability.mean_square_radius)
mean_square_threshold_by_power = compiled(sgd_stability.mean_square_threshold_by_power, "tolerance")
gd_threshold = compiled(stability_bounds.gd_threshold)
one_step_threshold = compiled(stability_bounds.one_step_threshold)
rayleigh_threshold = compiled(stability_bounds.rayleigh_threshold)
trace_threshold = compiled(stability_bounds.trace_threshold)
loss_stability_threshold = compiled(stability_bounds.loss_stability_threshold)
noise_alignment = jax.jit(stability_bounds.noise_alignment)
non_uniformity = jax.jit(stability_bounds.non_uniformity)

WORKED = np.array([[1.0, 0, 0], [0, 2, 0], [1, 1, 1], [0, 1, -1]])
EXACT = {1: 0.6150571640526, 2: 0.9692945305150, 4: 1.2801760419993}  # the card's, computed independently


def gradients(seed=0, n=5, p=8, k=None):
    shape = (n, p) if k is None else (n, k, p)
    return np.random.default_rng(seed).normal(size=shape)


def dense_map(jacobian, rate, size, replace=False):
    """T on vec(M), from every possible batch."""
    n, p = jacobian.shape[0], jacobian.shape[-1]
    own = [np.atleast_2d(j).T @ np.atleast_2d(j) for j in jacobian]
    batches = itertools.product(range(n), repeat=size) if replace else itertools.combinations(range(n), size)
    maps = [np.eye(p) - rate * sum(own[i] for i in batch) / size for batch in batches]
    return sum(np.kron(m, m) for m in maps) / len(maps)


def thresholds(jacobian, replace=False):
    return [float(mean_square_threshold(jnp.asarray(jacobian), b, replace)) for b in range(1, len(jacobian) + 1)]


@pytest.mark.parametrize("size", [1, 2, 4])
def test_worked_example(x64, size):
    assert float(mean_square_threshold(jnp.asarray(WORKED), size)) == pytest.approx(EXACT[size], abs=1e-10)


def test_orthogonal_gradients_have_the_threshold_of_the_longest(x64):
    squares = np.array([1.0, 4.0, 9.0])
    jacobian = jnp.asarray(np.diag(np.sqrt(squares)))
    assert float(mean_square_threshold(jacobian, 1)) == pytest.approx(2 / 9, abs=1e-12)
    assert float(trace_threshold(jacobian)) == pytest.approx(3 / 7, abs=1e-12)
    assert float(gd_threshold(jacobian)) == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_moment_map_is_the_mean_over_all_batches(x64, size, replace, k):
    jacobian = gradients(n=4, p=3, k=k)
    rng = np.random.default_rng(1)
    moment = rng.normal(size=(3, 3))
    moment = moment + moment.T
    dense = (dense_map(jacobian, 0.3, size, replace) @ moment.ravel()).reshape(3, 3)
    result = sgd_moment_map(jnp.asarray(jacobian), 0.3, size, replace)(jnp.asarray(moment))
    np.testing.assert_allclose(result, dense, atol=1e-12)


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("replace", [False, True])
def test_radius_equals_that_of_the_dense_matrix_on_the_span(x64, replace, k):
    jacobian = gradients(n=3, p=3, k=k)  # the rows span everything, so nothing has factor 1 by default
    radius = max(abs(np.linalg.eigvals(dense_map(jacobian, 0.4, 2, replace))))
    assert float(mean_square_radius(jnp.asarray(jacobian), 0.4, 2, replace)) == pytest.approx(radius, rel=1e-10)


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_radius_is_one_at_the_threshold_and_crosses_it_there(x64, size, replace):
    jacobian = jnp.asarray(gradients())
    threshold = mean_square_threshold(jacobian, size, replace)
    assert float(mean_square_radius(jacobian, threshold, size, replace)) == pytest.approx(1, abs=1e-10)
    assert float(mean_square_radius(jacobian, 0.95 * threshold, size, replace)) < 1
    assert float(mean_square_radius(jacobian, 1.05 * threshold, size, replace)) > 1


def test_the_null_space_keeps_its_moments_and_does_not_touch_the_threshold(x64):
    jacobian = gradients(n=3, p=3)
    padded = np.pad(jacobian, ((0, 0), (0, 4)))
    np.testing.assert_allclose(thresholds(padded), thresholds(jacobian), rtol=1e-10)
    moment = jnp.zeros((7, 7), jnp.float64).at[5, 5].set(1.0)
    np.testing.assert_allclose(sgd_moment_map(jnp.asarray(padded), 0.5, 1)(moment), moment, atol=1e-12)
    rate = thresholds(jacobian)[0] / 2
    expected = mean_square_radius(jnp.asarray(jacobian), rate, 1)
    assert float(mean_square_radius(jnp.asarray(padded), rate, 1)) == pytest.approx(float(expected), rel=1e-10)


def test_repeated_gradients_of_lower_rank_are_no_trouble(x64):
    jacobian = np.repeat(gradients(n=2, p=6), 2, axis=0)  # rank 2 of 4
    rate = thresholds(jacobian)[0]
    dense = dense_map(np.asarray(project(jnp.asarray(jacobian)).jacobian)[:, 0, :2], rate, 1)
    assert max(abs(np.linalg.eigvals(dense))) == pytest.approx(1, abs=1e-9)


def test_projection_keeps_inner_products(x64):
    jacobian = gradients(n=4, p=9)
    rows, eigenvalues = project(jnp.asarray(jacobian))
    np.testing.assert_allclose(rows[:, 0] @ rows[:, 0].T, jacobian @ jacobian.T, atol=1e-12)
    np.testing.assert_allclose(rows[:, 0].T @ rows[:, 0] / 4, np.diag(eigenvalues), atol=1e-12)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("replace", [False, True])
def test_thresholds_grow_with_the_batch_to_that_of_gradient_descent(x64, seed, replace):
    jacobian = gradients(seed)
    values = thresholds(jacobian, replace)
    descent = float(gd_threshold(jnp.asarray(jacobian)))
    assert all(a < b for a, b in itertools.pairwise(values))
    if replace:
        assert values[-1] < descent
    else:
        assert values[-1] == pytest.approx(descent, rel=1e-12)


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("seed", range(2))
def test_bounds_bracket_the_exact_threshold_in_order(x64, seed, k):
    jacobian = jnp.asarray(gradients(seed, n=4, p=9, k=k))
    for size in (1, 2, 4):
        exact = float(mean_square_threshold(jacobian, size))
        slack = 1e-12
        assert float(one_step_threshold(jacobian, size)) <= exact + slack
        assert exact <= float(rayleigh_threshold(jacobian, size)) + slack
        assert exact <= float(gd_threshold(jacobian)) + slack
        assert float(rayleigh_threshold(jacobian, size)) <= float(trace_threshold(jacobian, size)) + slack


@pytest.mark.parametrize("size", [1, 2, 4])
def test_rayleigh_bound_of_the_worked_example(x64, size):
    expected = {1: 2 / 3, 2: 10 / 9, 4: 5 / 3}[size]
    assert float(rayleigh_threshold(jnp.asarray(WORKED), size)) == pytest.approx(expected, abs=1e-10)
    assert float(trace_threshold(jnp.asarray(WORKED))) == pytest.approx(0.8, abs=1e-12)


def test_one_step_threshold_is_where_the_published_matrix_reaches_one(x64):
    size, noise = 2, sampling_noise(4, 2)
    own = np.einsum("ip,iq->ipq", WORKED, WORKED)
    hessian = own.mean(axis=0)
    spread = (own @ own).mean(axis=0) - hessian @ hessian
    rate = float(one_step_threshold(jnp.asarray(WORKED), size))

    def largest(r):
        mean = np.eye(3) - r * hessian
        return np.linalg.eigvalsh(mean @ mean + r**2 * noise * spread)[-1]

    assert largest(rate) == pytest.approx(1, abs=1e-10)
    assert largest(1.01 * rate) > 1 > largest(0.99 * rate)
    assert float(non_uniformity(jnp.asarray(WORKED))) ** 2 == pytest.approx(np.linalg.eigvalsh(spread)[-1], rel=1e-10)


@pytest.mark.parametrize("k", [None, 2])
@pytest.mark.parametrize("replace", [False, True])
def test_power_iteration_reaches_the_exact_threshold_from_above(x64, replace, k):
    jacobian = jnp.asarray(gradients(n=6, p=5, k=k))
    for size in (1, 3):
        exact = float(mean_square_threshold(jacobian, size, replace))
        power = float(mean_square_threshold_by_power(jacobian, size, replace, tolerance=1e-9))
        assert exact - 1e-12 <= power <= exact * (1 + 1e-8)


def test_power_iteration_goes_where_the_dense_matrix_cannot(x64):
    jacobian = jnp.asarray(gradients(n=80, p=90))
    with pytest.raises(ValueError, match="mean_square_threshold_by_power"):
        mean_square_threshold(jacobian, 1)
    power = mean_square_threshold_by_power(jacobian, 1)
    assert float(one_step_threshold(jacobian, 1)) <= float(power) <= float(rayleigh_threshold(jacobian, 1))


def test_scaling_and_rotation(x64):
    # thresholds go with the inverse square of the gradients and do not see the basis
    jacobian = gradients()
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(8, 8)))
    np.testing.assert_allclose(thresholds(3 * jacobian), np.array(thresholds(jacobian)) / 9, rtol=1e-10)
    np.testing.assert_allclose(thresholds(jacobian @ rotation), thresholds(jacobian), rtol=1e-10)


def test_a_minimum_without_gradients_is_stable_at_every_rate(x64):
    flat = jnp.zeros((3, 4), jnp.float64)
    assert float(mean_square_threshold(flat, 1)) == np.inf
    assert float(mean_square_threshold_by_power(flat, 1)) == np.inf
    assert float(one_step_threshold(flat, 1)) == np.inf


def test_monte_carlo_second_moment_agrees_with_the_map(x64):
    jacobian, rate, size = jnp.asarray(gradients(n=4, p=3)), 0.2, 2
    start = jnp.array([1.0, -0.5, 0.3])
    draws = 40_000

    def once(key):
        rows = jacobian[jr.permutation(key, 4)[:size]]
        delta = start - rate / size * (rows @ start) @ rows
        return jnp.outer(delta, delta)

    samples = jax.vmap(once)(jr.split(jr.key(0), draws))
    expected = sgd_moment_map(jacobian, rate, size)(jnp.outer(start, start))
    error = np.asarray(samples.std(axis=0)) / np.sqrt(draws)
    np.testing.assert_array_less(np.abs(np.asarray(samples.mean(axis=0) - expected)), 5 * error + 1e-12)


@pytest.mark.parametrize(("size", "replace"), [(1, False), (2, True)])
@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_simulated_growth_is_the_logarithm_of_the_radius(x64, size, replace, factor):
    jacobian = jnp.asarray(gradients(n=4, p=6))
    rate = factor * mean_square_threshold(jacobian, size, replace)
    growth = simulated_growth(jacobian, rate, size, jr.key(0), replace=replace, steps=300, num_particles=500)
    expected = float(jnp.log(mean_square_radius(jacobian, rate, size, replace)))
    assert float(growth) == pytest.approx(expected, abs=0.25 * abs(expected))
    assert np.sign(float(growth)) == np.sign(factor - 1)


def test_alignment_is_one_for_noise_of_twice_the_loss_times_the_curvature(x64):
    # residuals of one size and gradients that sum to zero under them: Sigma = 2 L H exactly
    half = gradients(n=3, p=5)
    jacobian, residuals = np.concatenate([half, half]), np.repeat([0.7, -0.7], 3)
    assert float(noise_alignment(jnp.asarray(jacobian), jnp.asarray(residuals))) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize("k", [None, 2])
def test_alignment_agrees_with_its_definition(x64, k):
    jacobian = gradients(n=5, p=4, k=k)
    residuals = np.random.default_rng(2).normal(size=jacobian.shape[:-1])
    rows = jacobian.reshape(5, -1, 4)
    hessian = np.einsum("ikp,ikq->pq", rows, rows) / 5
    each = np.einsum("ikp,ik->ip", rows, residuals.reshape(5, -1))
    noise = each.T @ each / 5 - np.outer(each.mean(axis=0), each.mean(axis=0))
    expected = np.trace(hessian @ noise) / ((residuals**2).sum() / 5 * (hessian**2).sum())
    assert float(noise_alignment(jnp.asarray(jacobian), jnp.asarray(residuals))) == pytest.approx(expected, rel=1e-12)


def test_above_the_loss_threshold_the_expected_loss_grows_in_one_step(x64):
    # E L' over all batches, with the alignment at this very point
    jacobian, delta = gradients(n=4, p=6), np.random.default_rng(5).normal(size=6)
    residuals = jacobian @ delta
    mu = noise_alignment(jnp.asarray(jacobian), jnp.asarray(residuals))
    rate = float(loss_stability_threshold(jnp.asarray(jacobian), 1, alignment=mu))
    after = [delta - rate * jacobian[i] * residuals[i] for i in range(4)]
    losses = [np.mean((jacobian @ d) ** 2) / 2 for d in after]
    assert np.mean(losses) >= np.mean(residuals**2) / 2


def test_tables_name_the_functions(x64):
    jacobian = jnp.asarray(WORKED)
    for name, fn in METHODS.items():
        assert float(sgd_stability_threshold(jacobian, 2, method=name)) == float(fn(jacobian, 2, False))
    for name, fn in NOTIONS.items():
        threshold = float(fn(jacobian, 2, False))
        assert bool(is_linearly_stable(jacobian, 0.99 * threshold, 2, name))
        assert not bool(is_linearly_stable(jacobian, 1.01 * threshold, 2, name))
    assert bool(is_linearly_stable(jacobian, 0.5, 1, lambda j, b, r: jnp.asarray(0.6)))


@pytest.mark.parametrize(
    ("n", "size", "replace", "q"), [(7, 1, False, 1), (7, 7, False, 0), (7, 3, True, 1 / 3), (1, 1, False, 0)]
)
def test_sampling_noise_at_its_ends(n, size, replace, q):
    assert sampling_noise(n, size, replace) == pytest.approx(q)


def test_bad_arguments_are_explained():
    jacobian = jnp.ones((3, 2))
    with pytest.raises(ValueError, match=r"`batch_size` must lie in 1..3; got 4"):
        mean_square_threshold(jacobian, 4)
    with pytest.raises(ValueError, match=r"shape \(n, p\) or \(n, k, p\)"):
        mean_square_threshold(jnp.ones(3), 1)
    with pytest.raises(ValueError, match="`method` must be one of exact, power, trace_bound; got 'fast'"):
        sgd_stability_threshold(jacobian, 1, method="fast")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`notion` must be one of gd, mean_square, loss, wu2018; got 'sgd'"):
        is_linearly_stable(jacobian, 0.1, 1, "sgd")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"`residuals` must have the shape \(3,\)"):
        noise_alignment(jacobian, jnp.ones(2))
    with pytest.raises(ValueError, match="`discard` must lie in"):
        simulated_growth(jacobian, 0.1, 1, jr.key(0), steps=5, discard=5)
