"""Probes are values: two equal calls build equal ones, so that a second run compiles nothing."""

import jax
import jax.numpy as jnp
import jax.random as jr
import optax
import pytest

from separatrix import FullBatch, run, wrap_step
from separatrix.models.mlp import MLP
from separatrix.training.curvature_probes import (
    hessian_norm_probe,
    hessian_trace_probe,
    loss_scaled_trace_probe,
    preconditioned_sharpness_probe,
    sharpness_probe,
    spectral_density_probe,
)
from separatrix.training.probes import accuracy, collapse, norms, weight_alignment
from separatrix.training.stability_probes import path_norms
from separatrix.training.supervised import Batch, Supervised

CHEAP = [accuracy, collapse, norms, weight_alignment]
COSTLY = [
    hessian_norm_probe,
    hessian_trace_probe,
    loss_scaled_trace_probe,
    preconditioned_sharpness_probe,
    sharpness_probe,
    spectral_density_probe,
    path_norms,
]


@pytest.mark.parametrize("build", [*CHEAP, *COSTLY])
def test_equal_calls_build_equal_probes(build):
    one, other = build(every=2), build(every=2)
    assert one.fn == other.fn
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert jax.tree.structure(one) != jax.tree.structure(build(every=3))


def test_settings_tell_probes_apart():
    assert collapse("float16").fn != collapse("float32").fn
    assert sharpness_probe(tolerance=1e-2).fn != sharpness_probe(tolerance=1e-3).fn


def _network(key):
    return MLP(key, (3, 4, 2))


def test_a_second_run_with_equal_probes_traces_nothing():
    count = 0

    def counting(step):
        def counted(state, x, key):
            nonlocal count
            count += 1
            return step(state, x, key)

        return counted

    data = Batch(jnp.eye(3), jnp.array([0, 1, 0]))
    loss = optax.losses.softmax_cross_entropy_with_integer_labels
    process = wrap_step(counting)(Supervised(_network, loss, optax.sgd(0.1), FullBatch(data), held_out=data))
    run(process, jr.key(0), 2, probes=[build() for build in CHEAP])
    assert count > 0
    count = 0
    run(process, jr.key(1), 2, probes=[build() for build in CHEAP])
    assert count == 0
