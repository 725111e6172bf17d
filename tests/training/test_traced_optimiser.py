"""An optimiser with traced hyper-parameters takes the same steps, and compiles once for all of them."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

from separatrix import FullBatch, replace, run
from separatrix._core.program import freeze
from separatrix.training.supervised import Batch, Supervised
from separatrix.training.traced_optimiser import traced

DATA = Batch(jr.normal(jr.key(0), (8, 3)), jnp.arange(8.0))


def weights(key):
    return {"w": jr.normal(key, (3,))}


def forward(model, x, key):
    del key
    return x @ model["w"]


def squared(outputs, targets):
    return (outputs - targets) ** 2


def process(optimiser):
    return Supervised(weights, squared, optimiser, FullBatch(DATA), forward=forward)


def decay(value):
    return traced(optax.adamw, learning_rate=0.01, b2=0.98, weight_decay=value)


def test_steps_equal_those_of_optax():
    ours = run(process(decay(5.0)), jr.key(1), 20).state
    theirs = run(process(optax.adamw(0.01, b2=0.98, weight_decay=5.0)), jr.key(1), 20).state
    np.testing.assert_allclose(ours.params["w"], theirs.params["w"], rtol=1e-5)


def test_without_gradient_decoupled_decay_shrinks_by_rate_times_decay():
    # 1 - 0.01 x 15 a step, whatever the gradient's scale: decoupled, not an L2 penalty
    optimiser = decay(15.0)
    params = {"w": jnp.ones(2)}
    updates, _ = optimiser.update({"w": jnp.zeros(2)}, optimiser.init(params), params)
    np.testing.assert_allclose(optax.apply_updates(params, updates)["w"], 0.85, rtol=1e-6)


def test_processes_that_differ_in_the_decay_are_one_program():
    leaves, frozen = freeze(process(decay(0.0)))
    others, same = freeze(process(decay(15.0)))
    assert frozen == same
    assert hash(frozen) == hash(same)
    assert sum(not np.array_equal(a, b) for a, b in zip(leaves, others, strict=True)) == 1


def test_a_grid_of_decays_equals_single_runs():
    vary = lambda p, values: replace(optimiser=decay(values["decay"]))(p)  # noqa: E731
    grid = run(process(decay(0.0)), jr.key(1), 10, over={"decay": [0.0, 5.0]}, vary=vary, block=2).state
    for i, value in enumerate((0.0, 5.0)):
        single = run(process(decay(value)), jr.key(1), 10).state
        np.testing.assert_allclose(grid.params["w"][i], single.params["w"], rtol=1e-5)
    jax.block_until_ready(grid)
