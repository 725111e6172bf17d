"""Norms that the trace bounds: conserved quantities, closed forms of the trace, and equality when balanced."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.data.regression import sphere
from separatrix.models.diagonal_linear import DiagonalLinear, unbalanced_diagonal
from separatrix.models.norm_equivalence import balance_score, path_norm
from separatrix.models.two_layer_relu import TwoLayerReLU
from separatrix.numerics.gauss_newton import example_jacobian


def diagonal(dtype=jnp.float32):
    return DiagonalLinear(jr.key(0), 6, dtype=dtype)


def relu(dtype=jnp.float32):
    return TwoLayerReLU(jr.key(0), 5, 4, dtype=dtype)


def sample_traces(net, inputs):
    return jnp.sum(example_jacobian(lambda params, x: params(x), net, inputs) ** 2, axis=1)


@pytest.mark.parametrize("kind", ["diagonal", "relu"])
def test_population_trace_agrees_with_monte_carlo(kind):
    if kind == "diagonal":
        net, inputs = diagonal(), jr.uniform(jr.key(1), (20_000, 6), minval=-1, maxval=1)
        expected = net.population_trace(1 / 3)
    else:
        net, inputs = relu(), 5**0.5 * sphere(jr.key(1), 20_000, 5)
        expected = net.population_trace()
    traces = sample_traces(net, inputs)
    assert abs(float(traces.mean() - expected)) < 4 * float(traces.std()) / np.sqrt(len(inputs))


@pytest.mark.parametrize("net", [diagonal(), relu()], ids=["diagonal", "relu"])
def test_trace_is_at_least_its_bound_and_equal_when_balanced(net):
    factor = 2.0 if isinstance(net, DiagonalLinear) else 5**0.5
    assert float(net.population_trace()) > factor * float(path_norm(net))
    assert float(balance_score(net)) == pytest.approx(float(net.population_trace() / (factor * path_norm(net))))
    if isinstance(net, DiagonalLinear):
        balanced = eqx.tree_at(lambda m: m.b, net, -net.a)
    else:
        balanced = eqx.tree_at(lambda m: m.a, net, -jnp.linalg.norm(net.w, axis=1) / 5**0.5)
    assert float(balance_score(balanced)) == pytest.approx(1, rel=1e-6)


@pytest.mark.parametrize("build", [diagonal, relu], ids=["diagonal", "relu"])
def test_gradient_descent_of_small_rate_conserves_the_difference_of_squares(x64, build):
    net = build(jnp.float64)
    inputs, targets = jr.normal(jr.key(2), (8, 6 if build is diagonal else 5), jnp.float64), jnp.ones(8)

    def conserved(m):
        return m.a**2 - m.b**2 if isinstance(m, DiagonalLinear) else jnp.sum(m.w**2, axis=1) - m.a**2

    def drift(rate):
        loss = lambda m: jnp.mean((jax.vmap(m)(inputs) - targets) ** 2) / 2  # noqa: E731
        step = lambda _, m: jax.tree.map(lambda w, g: w - rate * g, m, jax.grad(loss)(m))  # noqa: E731
        end = jax.lax.fori_loop(0, round(0.5 / rate), step, net)
        moved = max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(*map(jax.tree.leaves, (end, net)), strict=True))
        return float(jnp.max(jnp.abs(conserved(end) - conserved(net)))), moved

    (coarse, moved), (fine, _) = drift(1e-3), drift(5e-4)
    assert moved > 0.05  # it trained
    assert coarse < 0.01
    assert coarse / fine == pytest.approx(2, rel=0.1)  # the drift of gradient descent is of first order in the rate


@pytest.mark.parametrize("ratio", [1.0, 2.0, 16.0])
def test_unbalanced_networks_have_the_ratio_asked_for(ratio):
    net = unbalanced_diagonal(jr.key(0), 50, ratio)
    assert float(balance_score(net)) == pytest.approx(ratio, rel=1e-5)
    grid = jax.vmap(lambda r: balance_score(unbalanced_diagonal(jr.key(0), 50, r)))(jnp.array([ratio, 3.0]))
    np.testing.assert_allclose(grid, [ratio, 3.0], rtol=1e-5)


def test_path_norms_of_known_networks():
    two = eqx.tree_at(
        lambda m: (m.w, m.a), TwoLayerReLU(jr.key(0), 2, 2), (jnp.array([[3.0, 4], [0, 1]]), jnp.array([2.0, -7]))
    )
    assert float(path_norm(two)) == 2 * 5 + 7
    assert float(two(jnp.array([1.0, -1.0]))) == 0.0
    assert float(two(jnp.array([0.0, 1.0]))) == 2 * 4 - 7


def test_homogeneity():
    for net, x in ((diagonal(), jnp.arange(6.0)), (relu(), jnp.arange(5.0))):
        doubled = jax.tree.map(lambda w: 2 * w, net)
        np.testing.assert_allclose(doubled(x), 4 * net(x), rtol=1e-6)
        np.testing.assert_allclose(path_norm(doubled), 4 * path_norm(net), rtol=1e-6)
        np.testing.assert_allclose(balance_score(doubled), balance_score(net), rtol=1e-6)


def test_initial_scales():
    net = TwoLayerReLU(jr.key(0), 100, 400)
    assert float(net.w.std()) == pytest.approx(100**-0.25, rel=0.02)
    assert float(net.a.std()) == pytest.approx(1, rel=0.15)


def test_bad_arguments_are_explained():
    with pytest.raises(ValueError, match="methods of HasPathNorm"):
        path_norm({"w": jnp.ones(2)})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`dim` must be at least 1"):
        DiagonalLinear(jr.key(0), 0)
    with pytest.raises(ValueError, match="`ratio` must be at least 1"):
        unbalanced_diagonal(jr.key(0), 3, 0.5)
    with pytest.raises(ValueError, match="`dim` and `width`"):
        TwoLayerReLU(jr.key(0), 3, 0)
