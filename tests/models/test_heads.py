"""Heads for sequences of tasks."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from separatrix.models import MaskedHead, MultiHead, SharedHead, expanding_head, mask_logits


def test_a_head_of_a_task_does_not_depend_on_the_number_of_heads_nor_learn_from_other_tasks():
    trunk = lambda x: jnp.tanh(x)  # noqa: E731
    few, many = (MultiHead(jr.key(0), trunk, 4, n, 2) for n in (2, 5))
    x = (jnp.arange(4.0), jnp.int32(1))
    np.testing.assert_array_equal(few(x), many(x))
    slope = jax.grad(lambda w: jnp.sum(MultiHead.__call__(_with(few, w), x)))(few.weight)
    assert float(jnp.abs(slope[0]).max()) == 0
    assert float(jnp.abs(slope[1]).max()) > 0


def _with(head, weight):
    import equinox as eqx

    return eqx.tree_at(lambda h: h.weight, head, weight)


def test_shared_head_is_one_linear_layer():
    head = SharedHead(jr.key(0), lambda x: x, 3, 2, activation=jnp.sin)
    x = jnp.arange(3.0)
    np.testing.assert_allclose(head(x), jnp.sin(x) @ head.weight + head.bias, rtol=1e-6)


def test_hidden_classes_get_no_probability_and_no_gradient_and_no_nan():
    visible = jnp.array([True, False, True])
    loss = lambda z: jax.nn.logsumexp(mask_logits(z, visible)) - z[0]  # noqa: E731
    value, slope = jax.value_and_grad(loss)(jnp.array([0.0, 50.0, 0.0]))
    assert float(value) == np.float32(np.log(2))
    assert slope.tolist() == [-0.5, 0.0, 0.5]


def test_expanding_head_shows_the_classes_of_all_tasks_so_far():
    introduced = jnp.array([[True, False, False], [False, False, True], [False, True, False]])
    head = expanding_head(lambda x: x, introduced)
    assert isinstance(head, MaskedHead)
    assert head.visible.tolist() == [[True, False, False], [True, False, True], [True, True, True]]
