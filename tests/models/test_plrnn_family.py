"""Piecewise-linear recurrent networks: the card's example, Jacobians, pieces and bounds."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.models import (
    PLRNN,
    ClippedDendPLRNN,
    ClippedShallowPLRNN,
    DendPLRNN,
    MeanCentredPLRNN,
    ShallowPLRNN,
)

FAMILY = {
    "plrnn": lambda key, **k: PLRNN(4, key, **k),
    "mean-centred": lambda key, **k: MeanCentredPLRNN(4, key, **k),
    "shallow": lambda key, **k: ShallowPLRNN(4, 9, key, **k),
    "clipped shallow": lambda key, **k: ClippedShallowPLRNN(4, 9, key, **k),
    "dendritic": lambda key, **k: DendPLRNN(4, 5, key, **k),
    "clipped dendritic": lambda key, **k: ClippedDendPLRNN(4, 5, key, **k),
}
CLIPPED = ["clipped shallow", "clipped dendritic"]


@pytest.fixture(params=FAMILY)
def model(request):
    """A model whose biases and thresholds are not at their special initial values."""
    model = FAMILY[request.param](jr.key(0))
    return jax.tree.map(lambda a: a + 0.3 * jr.normal(jr.key(a.size), a.shape), model)


CARD = {
    "A": [0.9, 0.8],
    "W1": [[0.5, -0.3, 0.2], [0.1, 0.4, -0.6]],
    "W2": [[1, -1], [0.5, 2], [-1.5, 0.7]],
    "h1": [0.05, -0.02],
    "h2": [0.3, -0.4, 0.1],
}


@pytest.mark.parametrize(("kind", "after"), [(ShallowPLRNN, [0.73, -0.32]), (ClippedShallowPLRNN, [0.38, -0.39])])
def test_worked_example_of_the_card(kind, after):
    model = kind(2, 3, jr.key(0))
    for name, value in CARD.items():
        model = eqx.tree_at(lambda m, n=name: getattr(m, n), model, jnp.array(value, jnp.float32))
    z = jnp.array([0.2, -0.5])
    np.testing.assert_allclose(model.step(z), after, atol=1e-6)
    if kind is ShallowPLRNN:
        np.testing.assert_allclose(model.jacobian(z), [[1.4, -0.5], [0.1, 0.7]], atol=1e-6)


def test_jacobian_is_the_derivative(model):
    z = 2 * jr.normal(jr.key(1), (50, 4))
    np.testing.assert_allclose(model.jacobian(z), jax.vmap(jax.jacobian(model.step))(z), atol=2e-6)


def test_step_is_affine_on_each_piece(model):
    z = 2 * jr.normal(jr.key(2), (50, 4))
    matrix, offset = model.piece(model.gates(z))
    np.testing.assert_allclose(jnp.einsum("bij,bj->bi", matrix, z) + offset, model.step(z), atol=1e-5)


def test_gate_options_contain_every_pattern_that_occurs(model):
    gates = np.asarray(model.gates(3 * jr.normal(jr.key(3), (2_000, 4))))
    options = model.gate_options()
    assert len(options) == gates.shape[1]
    for unit, option in enumerate(options):
        seen = {tuple(row) for row in gates[:, unit]}
        assert seen <= {tuple(row) for row in option}


def test_norm_bound_holds_everywhere(model):
    norms = np.linalg.norm(np.asarray(model.jacobian(3 * jr.normal(jr.key(4), (2_000, 4)))), 2, axis=(1, 2))
    assert norms.max() <= float(model.norm_bound()) * (1 + 1e-5)


@pytest.mark.parametrize("name", CLIPPED)
def test_orbits_of_clipped_models_stay_within_their_bound(name):
    model = FAMILY[name](jr.key(5))
    model = jax.tree.map(lambda a: a + jr.normal(jr.key(a.size), a.shape), model)
    model = eqx.tree_at(lambda m: m.A, model, jnp.array([0.9, -0.8, 0.5, 0.1]))
    bound = float(model.orbit_bound())
    z = 100 * jr.normal(jr.key(6), (200, 4))
    for _ in range(400):
        z = model.step(z)
    assert float(jnp.linalg.norm(z, axis=1).max()) <= bound
    assert np.isinf(eqx.tree_at(lambda m: m.A, model, jnp.ones(4)).orbit_bound())


@pytest.mark.parametrize("name", FAMILY)
def test_initial_linear_part_is_contracting_and_biases_are_as_published(name):
    model = FAMILY[name](jr.key(7))
    assert float(jnp.abs(model.A).max()) <= 1 + 1e-6
    if hasattr(model, "W1"):
        assert float(jnp.abs(model.W1).max()) <= 1 / 3
        assert float(jnp.abs(model.W2).max()) <= 1 / 2
        assert float(jnp.abs(model.h1).max()) == 0
        assert (float(jnp.abs(model.h2).max()) > 0) == (name in CLIPPED)


@pytest.mark.parametrize("name", FAMILY)
def test_external_inputs_enter_linearly(name):
    model = FAMILY[name](jr.key(8), num_inputs=2)
    z, s = jr.normal(jr.key(9), (7, 4)), jr.normal(jr.key(10), (7, 2))
    np.testing.assert_allclose(model.step(z, s) - model.step(z), s @ model.C.T, atol=1e-6)
    with pytest.raises(ValueError, match="no external inputs"):
        FAMILY[name](jr.key(8)).step(z, s)


def test_parameter_count_is_that_of_the_paper_with_an_affine_observation():
    # 3 + 2 * 150 + 50 + 3 = 356 for M = 3 and H = 50, and 9 of B
    model = ClippedShallowPLRNN(3, 50, jr.key(0))
    assert sum(a.size for a in jax.tree.leaves(model)) + 9 == 365


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="`M` must be at least 1"):
        PLRNN(0, jr.key(0))
    with pytest.raises(ValueError, match="every dimension must be at least 1"):
        ShallowPLRNN(3, 0, jr.key(0))
