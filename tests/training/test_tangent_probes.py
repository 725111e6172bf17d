"""Laziness of scaled networks under training."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, run
from separatrix.models.lazy_scale import LazyModel, LazyScale
from separatrix.models.mlp import MLP
from separatrix.numerics.kernel_similarity import centered_kernel_alignment
from separatrix.numerics.kernels import empirical_ntk
from separatrix.training.supervised import Batch, Supervised
from separatrix.training.tangent_probes import laziness, lazy_start, losses, tangent_alignment

X = jr.normal(jr.key(0), (12, 3))


def squared(outputs, targets):
    return jnp.sum((outputs - targets) ** 2, axis=-1)


def network(key):
    return MLP(key, (3, 16, 2), activation=jnp.tanh)


def process(alpha, targets=None, loss=squared):
    targets = jnp.stack([X[:, 0] * X[:, 1], X[:, 2]], axis=1) if targets is None else targets
    batch = Batch(X, targets)
    rate = 0.05 / alpha**2
    return Supervised(LazyModel(network, alpha), loss, optax.sgd(rate), FullBatch(batch), batch)


def test_the_scale_makes_training_lazy():
    ends = {}
    for alpha in (0.3, 30.0):
        _, records = run(process(alpha), jr.key(1), 200, probes=[laziness(200), losses(200)])
        ends[alpha] = {name: float(records[name][-1]) for name in records.variables}
        assert records["train_loss"] == records["test_loss"]
    assert ends[0.3]["displacement"] > 10 * ends[30.0]["displacement"]
    assert ends[0.3]["ntk_distance"] > 100 * ends[30.0]["ntk_distance"]


def test_alignment_is_that_of_the_kernel_of_the_trained_leaves(x64):
    state, records = run(process(2.0), jr.key(1), 5, probes=[tangent_alignment(5, examples=7)])
    net, targets = state.params.model, process(2.0).stream.data.targets[:7]
    kernel = empirical_ntk(lambda p, x: eqx.combine(p, network(jr.key(0)))(x), net, X[:7], trace=True)
    expected = centered_kernel_alignment(kernel, targets @ targets.T)
    assert float(records["kernel_alignment"][0]) == pytest.approx(float(expected), rel=1e-4)


def test_integer_targets_count_as_one_hot_codes():
    labels = (X[:, 0] > 0).astype(jnp.int32)
    probes = [tangent_alignment(3)]
    codes = run(process(1.0, jax.nn.one_hot(labels, 2)), jr.key(1), 3, probes=probes).records["kernel_alignment"]
    as_codes = lambda outputs, y: squared(outputs, jax.nn.one_hot(y, 2))  # noqa: E731
    classes = run(process(1.0, labels, as_codes), jr.key(1), 3, probes=probes).records["kernel_alignment"]
    np.testing.assert_allclose(codes, classes, rtol=1e-4)


def test_other_models_need_a_function_for_their_start():
    with pytest.raises(ValueError, match="pass a function `start`"):
        lazy_start({"w": jnp.ones(2)})
    with pytest.raises(ValueError, match="pass a function `start`"):
        lazy_start(LazyScale(network(jr.key(0)), 1.0, center=False))
