"""Reach in the box world is exact; errors at the edge come back along the path; learning from them diverges."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.envs import BoxWorld, Pendulum
from separatrix.rl import (
    EDGE,
    OUT,
    WITHIN,
    Deterministic,
    OracleModel,
    chain_errors,
    covered_cells,
    density_labels,
    patched_target,
    reach_density,
    reach_labels,
    rollout,
    td_growth,
)


def test_an_error_at_the_edge_comes_back_along_the_path():
    np.testing.assert_allclose(chain_errors(3, 10.0, 0.9), [7.29, 8.1, 9.0, 10.0], rtol=1e-6)


@pytest.mark.parametrize(("rate", "discount", "feature"), [(0.1, 0.9, 2.0), (0.1, 0.9, 1.0), (0.5, 0.99, 3.0)])
def test_learning_from_the_void_grows_by_a_factor(rate, discount, feature):
    factor = 1 + rate * (discount * feature - 1)
    np.testing.assert_allclose(td_growth(rate, discount, feature, 20), factor ** np.arange(21), rtol=1e-4)


def test_the_farthest_actions_reach_exactly_the_labelled_boxes():
    env, horizon = BoxWorld(), 3

    class Outward:
        def sample(self, observation, key):
            return jnp.sign(observation), jnp.zeros(len(observation))

    corners = jnp.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]])
    found = rollout(OracleModel(env), Outward(), corners, horizon, jr.key(0))
    labels = reach_labels(found.transitions.next_observation, horizon)
    assert labels.tolist() == [[WITHIN] * 3, [WITHIN] * 3, [EDGE] * 3]
    assert int(reach_labels(jnp.array([4.0 + 1e-3, 0.0]), horizon)) == OUT


def test_inputs_of_learning_are_never_at_the_edge():
    policy = Deterministic(jr.key(0), 2, 2, (8,))
    starts = jr.uniform(jr.key(1), (500, 2), minval=-1.0)
    found = rollout(OracleModel(BoxWorld()), policy, starts, 4, jr.key(2)).transitions
    assert not bool((reach_labels(found.observation, 4) != WITHIN).any())
    assert not bool((reach_labels(found.next_observation, 4) == OUT).any())


def test_a_horizon_of_none_is_refused():
    with pytest.raises(ValueError, match="horizon"):
        reach_labels(jnp.zeros(2), 0)


def test_densities_integrate_to_one_and_tell_the_edge():
    class Right:
        def sample(self, observation, key):
            return jnp.broadcast_to(jnp.array([1.0, 0.0]), observation.shape), jnp.zeros(len(observation))

    starts = 0.1 * jr.normal(jr.key(0), (300, 2))
    axis = jnp.linspace(-2, 5, 71)
    grid = jnp.stack(jnp.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    density = reach_density(grid, starts, OracleModel(BoxWorld()), Right(), 2, jr.key(1), bandwidth=0.2)
    np.testing.assert_allclose(density.sum(1) * 0.1**2, 1.0, atol=2e-3)
    points = jnp.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.5, 0.0]])
    density = reach_density(points, starts, OracleModel(BoxWorld()), Right(), 2, jr.key(1), bandwidth=0.2)
    assert density_labels(density, 0.05).tolist() == [WITHIN, WITHIN, EDGE, OUT]


def test_covered_cells_wrap_where_the_axis_closes():
    corner = jnp.array([[-0.99, 0.0]])
    found = covered_cells(corner, -jnp.ones(2), jnp.ones(2), shape=(10, 5), periodic=(True, False), dilate=2)
    assert np.flatnonzero(found.cells[:, 2]).tolist() == [0, 1, 2, 8, 9]
    assert np.flatnonzero(found.cells[0]).tolist() == [0, 1, 2, 3, 4]
    flat = covered_cells(corner, -jnp.ones(2), jnp.ones(2), shape=(10, 5), dilate=2)
    assert np.flatnonzero(flat.cells[:, 2]).tolist() == [0, 1, 2]


def test_data_always_lie_in_their_own_cells():
    states = jax.vmap(Pendulum().reset)(jr.split(jr.key(0), 200))
    edge = jnp.array([jnp.pi, 8.0])
    assert bool(covered_cells(states, -edge, edge).holds(states).all())


def test_a_patch_replaces_values_at_the_edge_only():
    edge = jnp.array([False, True])
    assert patched_target(jnp.array([1.0, 2.0]), jnp.array([-5.0, -6.0]), edge).tolist() == [1.0, -6.0]
    each = patched_target(jnp.ones((3, 2)), jnp.array([-5.0, -6.0]), edge)
    assert each.tolist() == [[1.0, -6.0]] * 3
