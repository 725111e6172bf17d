"""Diversity by hand and against a Jacobian for each example; the conservative term against a loop."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.rl import Agent, Conservative, QEnsemble, TanhGaussian, Transitions, diversity_loss, edac, ravl


def linear(*slopes):
    """Critics whose gradients with respect to the action are given."""
    slopes = jnp.asarray(slopes)
    return lambda s, a: jnp.einsum("mba,ma->mb", jnp.broadcast_to(a, (len(slopes), *a.shape[-2:])), slopes)


@pytest.mark.parametrize(
    ("slopes", "value"),
    [
        ([(1.0, 0.0), (0.0, 1.0)], 0.0),
        ([(2.0, 1.0), (4.0, 2.0)], 2.0),
        ([(1.0, 0.0), (-3.0, 0.0)], -2.0),
        ([(1.0, 1.0)] * 5, 5.0),
        ([(0.0, 0.0), (1.0, 0.0)], 0.0),
    ],
)
def test_diversity_by_hand(slopes, value):
    found = diversity_loss(linear(*slopes), jnp.zeros((3, 1)), jnp.zeros((3, 2)))
    assert float(found) == pytest.approx(value, abs=1e-6)


def test_diversity_equals_a_jacobian_for_each_example():
    critic = QEnsemble(jr.key(0), 3, 2, (8, 8), members=4)
    s, a = jr.normal(jr.key(1), (6, 3)), jr.uniform(jr.key(2), (6, 2))
    slow = []
    for row in range(6):
        jacobian = jax.jacrev(lambda x, row=row: critic(s[row][None], x[None])[:, 0])(a[row])
        unit = jacobian / jnp.linalg.norm(jacobian, axis=1, keepdims=True)
        gram = unit @ unit.T
        slow.append((gram.sum() - jnp.trace(gram)) / 3)
    assert float(diversity_loss(critic, s, a)) == pytest.approx(float(np.mean(slow)), abs=1e-5)


def test_diversity_has_a_gradient_where_a_member_is_flat():
    critic = jax.tree.map(lambda w: w.at[0].set(0.0), QEnsemble(jr.key(0), 3, 2, (8,), members=2))
    slope = jax.grad(lambda c: diversity_loss(c, jnp.ones((4, 3)), jnp.zeros((4, 2))))(critic)
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(slope))


def test_one_action_dimension_is_refused():
    data = Transitions(jnp.ones((4, 3)), jnp.ones((4, 1)), jnp.ones(4), jnp.ones((4, 3)), jnp.zeros(4, bool))
    with pytest.raises(ValueError, match="degenerate for one-dimensional actions"):
        edac(data)
    with pytest.raises(ValueError, match="pass eta=0"):
        ravl(data, None)
    assert edac(data, eta=0).critic_term is None


def test_the_conservative_term_is_the_soft_maximum_minus_the_logged_value():
    policy, critic = TanhGaussian(jr.key(0), 3, 2, (4,)), QEnsemble(jr.key(1), 3, 2, (4,), members=2)
    s, a = jr.normal(jr.key(2), (5, 3)), jr.uniform(jr.key(3), (5, 2), minval=-1.0)
    batch = Transitions(s, a, jnp.zeros(5), s[::-1], jnp.zeros(5, bool))
    key, count = jr.key(4), 3
    uniform = jr.uniform(jr.fold_in(key, 0), (count * 5, 2), minval=-1.0).reshape(count, 5, 2)
    here = policy.sample(jnp.tile(s, (count, 1)), jr.fold_in(key, 1))
    there = policy.sample(jnp.tile(s[::-1], (count, 1)), jr.fold_in(key, 2))
    total = 0.0
    for member in range(2):
        for row in range(5):
            terms = []
            for i in range(count):

                def value(x, member=member, row=row):
                    return float(critic(s[row][None], x[None])[member, 0])

                terms.append(value(uniform[i, row]) - np.log(0.25))
                for action, density in (here, there):
                    terms.append(value(action.reshape(count, 5, 2)[i, row]) - float(density.reshape(count, 5)[i, row]))
            total += (np.log(np.sum(np.exp(terms))) - float(critic(s[row][None], a[row][None])[member, 0])) / 5
    found = Conservative(5.0, samples=count)(Agent(policy, critic), Agent(), batch, key)
    assert float(found) == pytest.approx(5 * total, rel=1e-4)


def test_the_conservative_term_moves_no_policy():
    policy, critic = TanhGaussian(jr.key(0), 3, 2, (4,)), QEnsemble(jr.key(1), 3, 2, (4,), members=2)
    batch = Transitions(jnp.ones((5, 3)), jnp.zeros((5, 2)), jnp.zeros(5), jnp.ones((5, 3)), jnp.zeros(5, bool))
    slope = jax.grad(lambda p: Conservative(1.0)(Agent(p, critic), Agent(), batch, jr.key(2)))(policy)
    assert all(not bool(leaf.any()) for leaf in jax.tree.leaves(slope))
