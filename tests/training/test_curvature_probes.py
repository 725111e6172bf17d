"""Curvature probes in a run: against closed forms of a linear model, and the tracker against fresh starts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import FullBatch, MiniBatches, info_probe, run
from separatrix.training import (
    Batch,
    Supervised,
    hessian_norm_probe,
    hessian_trace_probe,
    loss_scaled_trace_probe,
    preconditioned_sharpness_probe,
    sharpness_probe,
    spectral_density_probe,
    track_sharpness,
)

close = lambda a, b, tol: np.testing.assert_allclose(a, b, rtol=tol, atol=tol)  # noqa: E731
X = jr.normal(jr.key(0), (12, 3))
Y = X @ jnp.array([1.0, -2.0, 0.5]) + 0.1 * jr.normal(jr.key(1), (12,))
GRAM = np.linalg.eigvalsh(np.asarray(X.T @ X / 12))


class _Weights(eqx.Module):
    def __call__(self, key):
        return jr.normal(key, (3,))


class _Network(eqx.Module):
    def __call__(self, key):
        return eqx.nn.MLP(3, "scalar", 6, 1, activation=jnp.tanh, key=key)


def half_square(outputs, targets):
    return (outputs - targets) ** 2 / 2


def linear(optimiser=None):
    return Supervised(
        model=_Weights(),
        loss=half_square,
        optimiser=optax.sgd(0.1) if optimiser is None else optimiser,
        stream=FullBatch(Batch(X, Y)),
        forward=_dot,
    )


def _dot(w, inputs, key):
    del key
    return inputs @ w


def network(batch_size=None):
    data = Batch(X, Y)
    stream = FullBatch(data) if batch_size is None else MiniBatches(data, batch_size)
    return Supervised(model=_Network(), loss=half_square, optimiser=optax.sgd(0.05), stream=stream)


def test_linear_model_has_the_spectrum_of_its_data():
    probes = [
        sharpness_probe(every=2),
        hessian_trace_probe(every=2, num_matvecs=200),
        hessian_norm_probe(every=2, num_matvecs=200, chunk_size=5),
        spectral_density_probe(every=2, num_points=16),
    ]
    ds = run(linear(), jr.key(0), 4, probes=probes).records.to_dataset()
    close(ds["sharpness"], GRAM[-1], 1e-4)
    for name, exact in (("hessian_trace", GRAM.sum()), ("hessian_norm", np.sqrt((GRAM**2).sum()))):
        assert bool((abs(ds[name] - exact) < 4 * ds[name + "_error"]).all())
    assert ds["spectral_density"].dims == ds["spectral_grid"].dims == ("step", "eigenvalue")
    assert all(ds[name].attrs["long_name"] for name in ds if name != "diverged_at")


def test_loss_scaled_trace_is_the_residual_weighted_mean_of_squared_gradients():
    state, records = run(linear(), jr.key(0), 3, probes=[loss_scaled_trace_probe(every=3, chunk_size=5)])
    residual = np.asarray(X @ state.params - Y)
    expected = np.average((np.asarray(X) ** 2).sum(1), weights=residual**2)
    close(records["loss_scaled_trace"], expected, 1e-4)


def test_preconditioned_sharpness_reads_the_state_of_adam():
    state, records = run(linear(optax.adam(0.1)), jr.key(0), 3, probes=[preconditioned_sharpness_probe(every=3)])
    adam = state.opt_state[0]
    scale = (1 - 0.9**3) * (np.sqrt(np.asarray(adam.nu) / (1 - 0.999**3)) + 1e-8)
    expected = np.linalg.eigvals(np.asarray(X.T @ X / 12) / scale[:, None]).real.max()
    close(records["preconditioned_sharpness"], expected, 1e-3)


def test_probes_under_a_population_equal_single_runs():
    keys = jr.split(jr.key(0), 2)
    both = run(network(), keys, 2, probes=[sharpness_probe(every=2)], block=2).records["sharpness"]
    single = [run(network(), key, 2, probes=[sharpness_probe(every=2)]).records["sharpness"] for key in keys]
    close(both, np.stack(single), 1e-4)


def test_tracker_finds_what_a_fresh_start_finds_and_leaves_training_alone():
    probes = [info_probe("sharpness", every=5)]
    tracked, records = run(track_sharpness(every=5)(network()), jr.key(0), 20, probes=probes)
    plain, fresh = run(network(), jr.key(0), 20, probes=[sharpness_probe(every=5)])
    jax.tree.map(lambda a, b: close(a, b, 1e-6), tracked.params, plain.params)
    close(records["sharpness"], fresh["sharpness"], 2e-3)


def test_tracker_repeats_its_value_in_between():
    tracked = track_sharpness(every=2)(network(batch_size=4))
    _, records = run(tracked, jr.key(0), 4, probes=[info_probe("sharpness")])
    first, second, third, fourth = records["sharpness"]
    assert np.isnan(first)
    assert second == third != fourth


def test_tracker_refuses_a_cadence_below_one():
    with pytest.raises(ValueError, match="`every` must be at least 1"):
        track_sharpness(every=0)
