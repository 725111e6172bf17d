"""Running statistics are state: updated by training, read by evaluation, and out of the optimiser's reach."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, MiniBatches, run
from separatrix.models.batch_norm import BatchStatistics
from separatrix.models.quadratic_mlp import BatchNormMLP, batch_norm_evaluate, batch_norm_forward
from separatrix.training.probes import accuracy
from separatrix.training.running_statistics import SupervisedWithStatistics
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.supervised import Batch

PAIRS = jnp.stack(jnp.meshgrid(jnp.arange(5), jnp.arange(5)), axis=-1).reshape(-1, 2)
DATA = Batch(PAIRS, PAIRS.sum(axis=1) % 5)


def network(key):
    return BatchNormMLP(key, 5, 12)


def process(stream, optimiser=None):
    return SupervisedWithStatistics(
        model=network,
        statistics=BatchStatistics.standard(12),
        loss=one_hot_squared_error,
        optimiser=optax.adam(0.01) if optimiser is None else optimiser,
        stream=stream,
        forward=batch_norm_forward,
        evaluate=batch_norm_evaluate,
        held_out=DATA,
    )


def test_a_step_equals_its_parts():
    p = process(FullBatch(DATA), optax.sgd(0.1))
    state = p.init(jr.key(0))
    after, info = p.step(state, DATA, jr.key(1))
    model = p.model_at(state)

    def objective(m):
        return jnp.mean(one_hot_squared_error(batch_norm_forward(m, state.statistics, PAIRS)[0], DATA.targets))

    value, gradient = jax.value_and_grad(objective)(model)
    assert float(info["loss"]) == pytest.approx(float(value), rel=1e-6)
    expected = jax.tree.map(lambda w, g: w - 0.1 * g, model, gradient)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), p.model_at(after), expected)
    _, statistics = batch_norm_forward(model, state.statistics, PAIRS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.statistics, statistics)


def test_evaluation_uses_the_running_statistics_and_leaves_them_alone():
    p = process(MiniBatches(DATA, 8))
    state = run(p, jr.key(0), 50, probes=[accuracy(10)]).state
    bare = run(p, jr.key(0), 50).state
    jax.tree.map(np.testing.assert_array_equal, state, bare)
    outputs = p.outputs(state, PAIRS)
    np.testing.assert_allclose(outputs, batch_norm_evaluate(p.model_at(state), state.statistics, PAIRS), atol=1e-6)
    trained = batch_norm_forward(p.model_at(state), state.statistics, PAIRS)[0]
    assert float(jnp.max(jnp.abs(outputs - trained))) > 1e-3


def test_at_a_rate_of_zero_only_the_statistics_move():
    p = process(FullBatch(DATA), optax.sgd(0.0))
    start, state = p.init(jr.key(3)), None
    state = run(p, jr.key(0), 200).state
    model = p.model_at(state)
    hidden = jax.vmap(model.net.preactivations)(PAIRS) ** 2
    np.testing.assert_allclose(state.statistics.mean, hidden.mean(axis=0), rtol=1e-3)
    np.testing.assert_allclose(state.statistics.variance, hidden.var(axis=0, ddof=1), rtol=1e-3)
    # then evaluation and training agree, up to the bias of the variance
    trained = batch_norm_forward(model, state.statistics, PAIRS)[0]
    scale = np.sqrt(25 / 24)
    np.testing.assert_allclose(p.outputs(state, PAIRS) * scale, trained, atol=2e-3)
    assert jax.tree.structure(start) == jax.tree.structure(state)


def test_weight_decay_does_not_reach_the_statistics():
    p = process(FullBatch(DATA), optax.adamw(0.0, weight_decay=10.0))
    shrunk = optax.chain(optax.set_to_zero(), optax.add_decayed_weights(-0.1))
    state = run(process(FullBatch(DATA), shrunk), jr.key(0), 3).state
    start = run(p, jr.key(0), 3).state
    np.testing.assert_allclose(state.params.norm.scale, 0.9**3, rtol=1e-5)
    assert float(jnp.min(state.statistics.variance)) > 0
    assert len(jax.tree.leaves(start.params)) == 5
    assert len(jax.tree.leaves(start.opt_state)) == 11  # a count and two moments of each parameter


def test_step_keeps_structure_and_dtype_in_float64(x64):
    p = SupervisedWithStatistics(
        model=lambda key: BatchNormMLP(key, 5, 12, dtype=jnp.float64),
        statistics=BatchStatistics.standard(12, jnp.float64),
        loss=one_hot_squared_error,
        optimiser=optax.adam(0.01),
        stream=FullBatch(DATA),
        forward=batch_norm_forward,
        evaluate=batch_norm_evaluate,
    )
    state = run(p, jr.key(0), 4).state
    assert {a.dtype for a in jax.tree.leaves((state.params, state.statistics))} == {jnp.dtype("float64")}


def test_seeds_in_a_block_equal_single_runs():
    p, keys = process(MiniBatches(DATA, 8)), jr.split(jr.key(1), 2)
    both = run(p, keys, 5, block=2).state
    for i, key in enumerate(keys):
        single = run(p, key, 5).state
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a[i], b, rtol=2e-4, atol=1e-6), both, single)  # noqa: B023
