"""What survives at large width in each parametrisation."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix.models.parametrisation import (
    LayerScale,
    ParametrisedMLP,
    mean_field_parametrisation,
    mup_parametrisation,
    ntk_parametrisation,
    scale_by_layer,
    standard_parametrisation,
)

EVERY = {
    "standard": standard_parametrisation,
    "ntk": ntk_parametrisation,
    "mean field": mean_field_parametrisation,
    "mup": mup_parametrisation,
}
WIDTHS = (32, 256)
SEEDS = 32


def slope(values):
    return np.log(values[1] / values[0]) / np.log(WIDTHS[1] / WIDTHS[0])


def one_step(parametrisation, width, key):
    """Output, its move and the features' move in one step of gradient descent, and the features' size."""
    model = ParametrisedMLP(key, (3, width, width, 1), parametrisation)
    x = jnp.array([1.0, -0.5, 0.3])
    grads = jax.grad(lambda m: 0.5 * (m(x)[0] - 1.0) ** 2)(model)
    updates, _ = scale_by_layer(model.scales).update(grads, optax.EmptyState())
    after = eqx.apply_updates(model, jax.tree.map(lambda u: -1e-4 * u, updates))
    hidden = [m.preactivations(x)[-1] for m in (model, after)]
    moved = jnp.sqrt(jnp.mean((hidden[1] - hidden[0]) ** 2))
    return jnp.stack([model(x)[0], after(x)[0] - model(x)[0], moved, jnp.sqrt(jnp.mean(hidden[0] ** 2))])


@pytest.fixture(scope="module")
def exponents():
    """Power of the width by which each size grows, by parametrisation."""
    out = {}
    for name, parametrisation in EVERY.items():
        keys = jr.split(jr.key(0), SEEDS)
        draws = [eqx.filter_jit(jax.vmap(lambda k, w=w, p=parametrisation: one_step(p, w, k)))(keys) for w in WIDTHS]
        sizes = [np.sqrt(np.mean(np.square(draw), axis=0)) for draw in draws]
        out[name] = dict(
            zip(("output", "output move", "feature move", "features"), map(slope, np.transpose(sizes)), strict=True)
        )
    return out


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("standard", {"output": 0, "output move": 1, "feature move": 0.5, "features": 0}),
        ("ntk", {"output": 0, "output move": 0, "feature move": -0.5, "features": 0}),
        ("mean field", {"output": -0.5, "output move": 0, "feature move": 0, "features": 0}),
        ("mup", {"output": -0.5, "output move": 0, "feature move": 0, "features": 0}),
    ],
)
def test_powers_of_the_width(exponents, name, expected):
    for what, power in expected.items():
        assert exponents[name][what] == pytest.approx(power, abs=0.2), what


def test_mean_field_and_maximal_update_are_one_parametrisation_for_one_input(x64):
    # rescaling each matrix by its multiplier turns one into the other when the input has one dimension
    x, outputs = jnp.array([0.7]), []
    for parametrisation in (mean_field_parametrisation, mup_parametrisation):
        model = ParametrisedMLP(jr.key(0), (1, 32, 32, 1), parametrisation, activation=jnp.tanh, dtype=jnp.float64)
        optimiser = optax.chain(optax.sgd(0.05), scale_by_layer(model.scales))
        params = eqx.filter(model, eqx.is_inexact_array)
        state, trajectory = optimiser.init(params), []
        for _ in range(5):
            value, grads = eqx.filter_value_and_grad(lambda m: (m(x)[0] - 1.0) ** 2)(model)
            trajectory.append(float(value))
            updates, state = optimiser.update(grads, state)
            model = eqx.apply_updates(model, updates)
        outputs.append(trajectory)
    np.testing.assert_allclose(outputs[0], outputs[1], rtol=1e-10)
    assert outputs[0][-1] < 0.9 * outputs[0][0]


def test_plain_network_with_the_multipliers_taken_in_is_the_same_function():
    model = ParametrisedMLP(jr.key(0), (3, 16, 2), ntk_parametrisation)
    np.testing.assert_allclose(model(jnp.ones(3)), model.effective()(jnp.ones(3)))
    assert model.preactivations(jnp.ones(3))[0].shape == (16,)


def test_rates_of_adam_and_refusals():
    scales = [LayerScale(1.0, 1.0, 2.0, 5.0)]
    for adam, factor in ((False, 2.0), (True, 5.0)):
        updates, _ = scale_by_layer(scales, adam).update([jnp.ones(2)], optax.EmptyState())
        np.testing.assert_array_equal(updates[0], factor)
    with pytest.raises(ValueError, match="has 1 layers; the updates have 2 arrays"):
        scale_by_layer(scales).update([jnp.ones(2), jnp.ones(2)], optax.EmptyState())
    with pytest.raises(ValueError, match="must have a hidden width"):
        ParametrisedMLP(jr.key(0), (3, 1))
