"""The inverse participation ratio of spectra that are known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models.quadratic_mlp import QuadraticMLP, modular_addition_teacher
from separatrix.training.periodicity import (
    constant_share,
    gini,
    inverse_participation_ratio,
    neuron_periodicity,
    primitive_root_powers,
)

P = 97
ROW = jr.normal(jr.key(0), (P,))


@pytest.mark.parametrize("frequency", [1, 17, 48])
def test_a_cosine_of_odd_length_has_ratio_one(frequency):
    row = jnp.cos(2 * jnp.pi * frequency * jnp.arange(P) / P + 0.7)
    assert float(inverse_participation_ratio(row)) == pytest.approx(1, abs=1e-5)
    assert float(constant_share(row)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("p", [97, 96, 5])
def test_a_delta_has_a_flat_spectrum(p):
    assert float(inverse_participation_ratio(jnp.eye(p)[3])) == pytest.approx(1 / (p // 2 + 1), rel=1e-5)
    assert float(inverse_participation_ratio(jnp.eye(p)[3], transform=None)) == 1


def test_a_constant_has_ratio_one_and_is_told_by_its_share():
    assert float(inverse_participation_ratio(jnp.full(P, -2.0))) == pytest.approx(1, abs=1e-6)
    assert float(constant_share(jnp.full(P, -2.0))) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("count", [2, 3])
def test_equal_parts_of_several_frequencies_give_one_over_their_number(count):
    row = sum(jnp.cos(2 * jnp.pi * f * jnp.arange(P) / P) for f in range(1, count + 1))
    assert float(inverse_participation_ratio(row)) == pytest.approx(1 / count, rel=1e-4)
    assert float(inverse_participation_ratio(row, r=3)) == pytest.approx(1 / count**2, rel=1e-4)


def test_gaussian_rows_have_twice_the_flat_value():
    # powers are exponential variables: E[x^2] / E[x]^2 = 2, less a correction of order 1 / components
    rows = jr.normal(jr.key(1), (4_000, P))
    assert float(inverse_participation_ratio(rows).mean()) == pytest.approx(2 / 49, rel=0.06)


@pytest.mark.parametrize("change", [lambda w: -3e-12 * w, lambda w: 1e25 * w, lambda w: jnp.roll(w, 13)])
def test_scale_and_cyclic_shift_change_nothing(change):
    np.testing.assert_allclose(inverse_participation_ratio(change(ROW)), inverse_participation_ratio(ROW), rtol=2e-5)


@pytest.mark.parametrize("transform", [None, "rfft", lambda w: w[..., ::-1]])
def test_it_lies_between_one_over_components_and_one(transform):
    rows = jr.normal(jr.key(2), (50, 21)) ** 3
    values = inverse_participation_ratio(rows, transform=transform)
    assert bool(jnp.all((values >= 1 / 21) & (values <= 1)))


def test_axis_and_definition_agree_with_numpy():
    w = np.asarray(jr.normal(jr.key(3), (4, 9, 2)))
    f = np.abs(np.fft.rfft(w, axis=1))
    expected = ((f / np.linalg.norm(f, axis=1, keepdims=True)) ** 4).sum(axis=1)
    np.testing.assert_allclose(inverse_participation_ratio(jnp.asarray(w), axis=1), expected, rtol=1e-5)


def test_zeros_have_no_ratio_and_unknown_bases_are_refused():
    assert bool(jnp.isnan(inverse_participation_ratio(jnp.zeros(5))))
    with pytest.raises(ValueError, match="`transform`"):
        inverse_participation_ratio(jnp.ones(5), transform="fft")  # pyright: ignore[reportArgumentType]


def test_teacher_neurons_are_periodic_and_random_ones_are_not():
    teacher, random = modular_addition_teacher(jr.key(0), P, 100), QuadraticMLP(jr.key(0), P, 100)
    score = lambda m: neuron_periodicity(m.first, m.second, m.readout)  # noqa: E731
    np.testing.assert_allclose(score(teacher), 1, atol=1e-4)
    assert float(score(random).max()) < 0.1
    row = jnp.stack([inverse_participation_ratio(w[7]) for w in (random.first.T, random.second.T, random.readout)])
    np.testing.assert_allclose(score(random)[7], row.mean(), rtol=1e-5)


def test_gini_equals_the_mean_of_all_differences():
    x = np.asarray(jr.uniform(jr.key(4), (3, 40)))
    expected = np.abs(x[:, :, None] - x[:, None, :]).mean(axis=(1, 2)) / (2 * x.mean(axis=1))
    np.testing.assert_allclose(gini(jnp.asarray(x)), expected, rtol=1e-5)
    np.testing.assert_allclose(gini(jnp.asarray(x.T), axis=0), expected, rtol=1e-5)


def test_gini_of_equal_numbers_and_of_one_alone():
    assert float(gini(jnp.full(8, 3.0))) == pytest.approx(0, abs=1e-6)
    assert float(gini(jnp.eye(8)[2])) == pytest.approx(1 - 1 / 8, rel=1e-6)


def test_lists_are_taken_and_gini_of_negative_numbers_is_undefined():
    assert float(inverse_participation_ratio([0.0, 2.0, 0.0], transform=None)) == 1.0
    assert np.isnan(gini([-1.0, 1.0, 2.0]))


def test_gini_ranks_neurons_as_the_ratio_does():
    teacher, random = modular_addition_teacher(jr.key(0), 31, 40), QuadraticMLP(jr.key(0), 31, 40)
    score = lambda w: gini(jnp.abs(jnp.fft.rfft(w)))  # noqa: E731
    scores = [neuron_periodicity(m.first, m.second, m.readout, score) for m in (teacher, random)]
    assert float(scores[0].min()) > float(scores[1].max())


@pytest.mark.parametrize("p", [3, 7, 47, 97])
def test_powers_of_the_root_are_a_permutation_that_turns_products_into_shifts(p):
    powers = primitive_root_powers(p)
    assert sorted(powers) == list(range(1, p))
    np.testing.assert_array_equal(powers * powers[1] % p, np.roll(powers, -1))


def test_composite_moduli_have_no_such_order():
    with pytest.raises(ValueError, match="`p` must be an odd prime; got 8"):
        primitive_root_powers(8)


def test_it_is_traceable_and_differentiable():
    slope = jax.jit(jax.grad(lambda w: jnp.sum(inverse_participation_ratio(w))))(ROW)
    # invariant under scaling: the gradient is orthogonal to the weights
    assert abs(float(slope @ ROW)) < 1e-5
