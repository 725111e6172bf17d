"""Fixed points and cycles of piecewise-linear maps against closed forms and each other."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import cycles, fixed_points
from separatrix.models import PLRNN, ClippedDendPLRNN, ClippedShallowPLRNN, MeanCentredPLRNN, ShallowPLRNN


def with_fields(model, **fields):
    for name, value in fields.items():
        model = eqx.tree_at(lambda m, n=name: getattr(m, n), model, jnp.asarray(value, jnp.float32))
    return model


def test_linear_system_has_the_fixed_point_of_its_equation():
    model = with_fields(PLRNN(3, jr.key(0)), A=[0.5, -0.2, 0.9], W=np.zeros((3, 3)), h=[1.0, 2.0, -0.5])
    found = fixed_points(model)
    np.testing.assert_allclose(found.points[0, 0], np.array([1, 2, -0.5]) / (1 - np.array([0.5, -0.2, 0.9])), rtol=1e-5)
    np.testing.assert_allclose(sorted(found.multipliers[0].real), [-0.2, 0.5, 0.9], rtol=1e-6)
    assert found.exhaustive
    assert found.stable.tolist() == [True]


def tent(slope):
    # slope * min(z, 1 - z)
    return with_fields(ShallowPLRNN(1, 1, jr.key(0)), A=[slope], W1=[[-2 * slope]], W2=[[1.0]], h2=[-0.5])


@pytest.mark.parametrize(("k", "count"), [(1, 2), (2, 1), (3, 2), (4, 3), (5, 6), (6, 9)])
def test_tent_map_has_as_many_cycles_as_there_are_necklaces(k, count):
    found = cycles(tent(2.0), k)
    assert len(found.points) == count
    np.testing.assert_allclose(np.abs(found.multipliers), 2.0**k, rtol=1e-6)
    assert not found.stable.any()
    z = found.points[..., 0]
    np.testing.assert_allclose(np.roll(z, -1, axis=1), 2 * np.minimum(z, 1 - z), atol=1e-6)


def test_a_stable_cycle_of_period_two_attracts():
    # z' = -1.2 z for z < 0 and 1 - 0.5 z above: find it, then run onto it
    model = with_fields(ShallowPLRNN(1, 1, jr.key(0)), A=[-0.5], W1=[[1.2]], W2=[[-1.0]], h1=[-0.5], h2=[0.0])
    for k in (1, 2, 3):
        found = cycles(model, k)
        for points, stable in zip(found.points, found.stable, strict=True):
            if stable:
                z = jnp.asarray(points[0] + 1e-3, jnp.float32)
                for _ in range(200 * k):
                    z = model.step(z)
                assert np.abs(points[:, 0] - float(z[0])).min() < 1e-3


def shaken(model, size=0.7):
    return jax.tree.map(lambda a: a + size * jr.normal(jr.key(5), a.shape), model)


@pytest.mark.parametrize(
    "model",
    [
        shaken(PLRNN(3, jr.key(0))),
        shaken(MeanCentredPLRNN(3, jr.key(2))),
        shaken(ClippedShallowPLRNN(2, 4, jr.key(2))),
        shaken(ClippedDendPLRNN(2, 3, jr.key(1))),
    ],
    ids=lambda m: type(m).__name__,
)
def test_heuristic_search_finds_what_the_exhaustive_one_finds(model):
    everything, some = fixed_points(model), fixed_points(model, max_patterns=0)
    assert everything.exhaustive
    assert not some.exhaustive
    assert len(everything.points) == len(some.points)
    np.testing.assert_allclose(everything.points, some.points, atol=1e-6)
    with jax.enable_x64():
        double = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), model)
        again = np.asarray(double.step(jnp.asarray(everything.points)))
    np.testing.assert_allclose(again, everything.points, atol=1e-7)


def test_large_models_are_searched_and_what_is_returned_is_verified():
    model = shaken(ClippedShallowPLRNN(3, 30, jr.key(2)))
    found = fixed_points(model, num_starts=64)
    assert not found.exhaustive
    assert len(found.points) > 0
    step = np.asarray(model.step(jnp.asarray(found.points, jnp.float32)))
    np.testing.assert_allclose(step, found.points, atol=1e-4 * (1 + np.abs(found.points).max()))


def test_a_line_of_fixed_points_is_left_out_and_a_bad_period_refused():
    model = with_fields(PLRNN(2, jr.key(0)), A=[1.0, 0.5], W=np.zeros((2, 2)), h=[0.0, 1.0])
    assert fixed_points(model).points.shape == (0, 1, 2)
    with pytest.raises(ValueError, match="`k` must be at least 1; got 0"):
        cycles(model, 0)
