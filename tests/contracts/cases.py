"""The processes, streams and probes that the contract tests go through; a new one is one more row here."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import (
    AbstractProcess,
    FullBatch,
    MiniBatches,
    Probe,
    at_step,
    between,
    info_probe,
    replace,
    wrap_step,
)
from separatrix.continual import Learner, Reservoir, experience_replay
from separatrix.data.task_sets import gaussian_tasks
from separatrix.data.task_streams import TaskStream
from separatrix.data.teachers import single_index_data
from separatrix.dynamics import Reconstruction, decaying_radam, windows_of
from separatrix.envs import Pendulum
from separatrix.models.batch_norm import BatchStatistics
from separatrix.models.mlp import MLP
from separatrix.models.observation_models import IdentityObservation
from separatrix.models.quadratic_mlp import BatchNormMLP, batch_norm_evaluate, batch_norm_forward
from separatrix.models.shallow_plrnn import ClippedShallowPLRNN
from separatrix.numerics.lyapunov import Tangent
from separatrix.rl import ActorCritic, Transitions, iql, sac
from separatrix.systems import LinearMap, LogisticMap, get, lorenz63
from separatrix.training.committee_dynamics import CommitteeDynamics
from separatrix.training.curvature_probes import (
    hessian_norm_probe,
    hessian_trace_probe,
    loss_scaled_trace_probe,
    preconditioned_sharpness_probe,
    sharpness_probe,
    spectral_density_probe,
)
from separatrix.training.descent import HeavyBall
from separatrix.training.label_noise import ACCURACY_ATTRS, NoisyBatch, neuron_scores, noisy_accuracy, pruned_accuracy
from separatrix.training.probes import accuracy, collapse, norms, weight_alignment
from separatrix.training.pruning import mask_hidden_layer
from separatrix.training.running_statistics import SupervisedWithStatistics
from separatrix.training.second_moment import LinearisedSGD
from separatrix.training.sharpness_tracking import track_sharpness
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.stability_probes import (
    curvature_noise,
    gauss_newton_estimates,
    gauss_newton_sharpness,
    noise_trace,
    path_norms,
)
from separatrix.training.supervised import Batch, Supervised
from separatrix.training.tangent_probes import losses


class Noisy(AbstractProcess):
    """A random walk with drift: the smallest process that uses its key."""

    drift: Any

    def init(self, key):
        return jr.normal(key, (3,), jnp.result_type(self.drift))

    def step(self, state, x, key):
        return state + self.drift + jr.normal(key, state.shape, state.dtype), {"level": state[0]}


class ProcessCase(NamedTuple):
    build: Callable[[Any], AbstractProcess]  # from a dtype
    random: bool  # whether two keys lead to different states
    fields: tuple[str, Any]  # a traced field that a grid may go over, and another value of it
    ulps: int = 8  # by which one step may differ between two compilations, in units of the largest entry's last place
    restores: bool = True  # whether `restore` brings back all, or all but a start value that only saves time


def examples(count: int, dtype) -> Batch:
    x = jr.normal(jr.key(7), (count, 5), dtype)
    return Batch(x, (x[:, 0] > 0).astype(jnp.int32) + (x[:, 1] > 0.5).astype(jnp.int32))


def noisy(data: Batch) -> NoisyBatch:
    """Every third label counts as corrupted."""
    return NoisyBatch(data.inputs, data.targets, jnp.arange(len(data.targets)) % 3 == 0)


def classifier(dtype, batch_size: int = 4, optimiser=None) -> Supervised:
    return Supervised(
        model=_SmallNetwork(dtype),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=_ADAM if optimiser is None else optimiser,
        stream=MiniBatches(noisy(examples(16, dtype)), batch_size),
        held_out=examples(8, dtype),
    )


_ADAM = optax.adam(1e-2)


class _SmallNetwork(eqx.Module):
    dtype: Any = eqx.field(static=True)

    def __call__(self, key):
        return _Watched(MLP(key, (5, 6, 3), dtype=self.dtype))


class _Watched(eqx.Module):
    """A network with what the probes of pruning and of path norms ask of one."""

    net: MLP

    def __call__(self, x):
        return self.net(x)

    def mask_neurons(self, keep):
        return _Watched(mask_hidden_layer(0)(self.net, keep))

    def path_norm(self):
        first, second = self.net.weights
        return jnp.sum(jnp.abs(first) @ jnp.abs(second))

    def population_trace(self):
        return sum(jnp.sum(w**2) for w in self.net.weights)

    def balance_score(self):
        first, second = self.net.weights
        return jnp.linalg.norm(first) / jnp.linalg.norm(second)


def neuron_norms(model):
    return jnp.linalg.norm(model.net.weights[0], axis=0)


class _NormalisedNetwork(eqx.Module):
    dtype: Any = eqx.field(static=True)

    def __call__(self, key):
        return BatchNormMLP(key, p=5, width=6, dtype=self.dtype)


def pairs(count: int) -> Batch:
    chosen = jr.randint(jr.key(8), (count, 2), 0, 5)
    return Batch(chosen, jnp.sum(chosen, axis=1) % 5)


def with_statistics(dtype) -> SupervisedWithStatistics:
    return SupervisedWithStatistics(
        model=_NormalisedNetwork(dtype),
        statistics=BatchStatistics.standard(6, dtype),
        loss=one_hot_squared_error,
        optimiser=_ADAM,
        stream=MiniBatches(pairs(16), 4),
        forward=batch_norm_forward,
        evaluate=batch_norm_evaluate,
        held_out=pairs(8),
    )


def linearised(dtype) -> LinearisedSGD:
    jacobian = jr.normal(jr.key(9), (6, 1, 4), dtype)
    return LinearisedSGD(jacobian, jnp.asarray(0.2, dtype), batch_size=2, num_particles=5)


def small_tasks(dtype, batch_size: int = 4) -> TaskStream:
    tasks = gaussian_tasks(jr.key(9), 2, num_classes=3, dim=5, num_train=16, num_test=8)
    cast = lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.inexact) else a  # noqa: E731
    return TaskStream(jax.tree.map(cast, tasks), 2, batch_size)


def continual(dtype):
    plain = Learner(
        _SmallNetwork(dtype), optax.losses.softmax_cross_entropy_with_integer_labels, _SGD, small_tasks(dtype)
    )
    return experience_replay(Reservoir(8))(plain)


_SGD = optax.sgd(1e-2)


def quartic(w):
    return jnp.sum(w["a"] ** 4) / 4 + jnp.sum(w["b"] ** 2) / 2


class _Point(eqx.Module):
    dtype: Any = eqx.field(static=True)

    def __call__(self, key):
        return {"a": jr.normal(key, (2,), self.dtype), "b": jnp.ones((), self.dtype)}


def heavy_ball(dtype) -> HeavyBall:
    return HeavyBall(quartic, _Point(dtype), rate=jnp.asarray(0.05, dtype), momentum=jnp.asarray(0.5, dtype))


_RADAM = decaying_radam(50)


def _plrnn(key):
    return ClippedShallowPLRNN(2, 4, key)  # in the default float type


def _identity(key):
    return IdentityObservation(2)


def reconstruction(dtype) -> Reconstruction:
    stream = windows_of(np.asarray(jr.normal(jr.key(11), (40, 2), dtype)), length=5, batch_size=3)
    return Reconstruction(_plrnn, _identity, _RADAM, stream, alpha=jnp.asarray(0.3, dtype))


class _Cast(eqx.Module):
    """An agent's networks in another float format."""

    networks: Callable[..., Any]
    dtype: Any = eqx.field(static=True)

    def __call__(self, key):
        cast = lambda a: a.astype(self.dtype) if eqx.is_inexact_array(a) else a  # noqa: E731
        return jax.tree.map(cast, self.networks(key))


def offline_actor_critic(dtype) -> ActorCritic:
    """Every part of an agent but the temperature, on logged rows."""
    rows = jr.normal(jr.key(12), (16, 9), dtype)
    data = Transitions(rows[:, :3], jnp.tanh(rows[:, 3:5]), rows[:, 5], rows[:, 6:], jnp.arange(16) % 4 == 0)
    process = iql(data, hidden=(4,), batch_size=4, discount=jnp.asarray(0.9, dtype))
    return dataclasses.replace(process, networks=_Cast(process.networks, dtype))


def online_actor_critic(dtype) -> ActorCritic:
    """A temperature, and an environment with its buffer in the state."""
    process = sac(Pendulum(), hidden=(4,), batch_size=4, capacity=8, warmup=4, discount=jnp.asarray(0.9, dtype))
    return dataclasses.replace(process, networks=_Cast(process.networks, dtype))


def _scalar(value):
    return lambda dtype: jnp.asarray(value, dtype)


def lorenz(dtype):
    return lorenz63(dt=jnp.asarray(0.01, dtype), dtype=dtype)


def of_catalogue(name, dtype, **changes):
    system = get(name)
    initial = jnp.asarray(system.initial, dtype)
    return dataclasses.replace(system, initial=initial, spread=jnp.asarray(1e-2, dtype), **changes)


def committee(dtype):
    data = single_index_data(jr.key(3), 12, 4, num_test=1, dtype=dtype)
    return CommitteeDynamics(
        data.train_inputs, data.train_targets, data.directions[0], jnp.asarray(0.2, dtype), width=6
    )


PROCESSES = {
    "committee": ProcessCase(committee, True, ("rate", _scalar(0.4))),
    "logistic map": ProcessCase(lambda t: LogisticMap(jnp.asarray(3.7, t)), True, ("rate", _scalar(3.2))),
    "linear map": ProcessCase(
        lambda t: LinearMap(jnp.array([[0.9, 0.2], [-0.1, 0.8]], t)),
        True,
        ("matrix", lambda t: jnp.array([[0.5, 0.0], [0.1, 0.5]], t)),
    ),
    "catalogue flow": ProcessCase(
        lambda t: of_catalogue("BeerRNN", t, dt=jnp.asarray(0.1, t)), True, ("dt", _scalar(0.2))
    ),
    "catalogue map": ProcessCase(lambda t: of_catalogue("Henon", t), True, ("spread", _scalar(0.1))),
    "delay flow": ProcessCase(lambda t: of_catalogue("MackeyGlass", t, intervals=20), True, ("spread", _scalar(0.1))),
    "flow": ProcessCase(lorenz, True, ("dt", _scalar(0.02))),
    "tangent": ProcessCase(
        lambda t: Tangent(lorenz(t), k=2), True, ("inner", lambda t: lorenz63(rho=20.0, dtype=t)), ulps=256
    ),
    "heavy ball": ProcessCase(heavy_ball, True, ("rate", _scalar(0.1))),
    "reconstruction": ProcessCase(reconstruction, True, ("alpha", _scalar(0.8))),
    "continual": ProcessCase(continual, True, ("stream", lambda t: small_tasks(t, 3))),
    "offline actor-critic": ProcessCase(offline_actor_critic, True, ("discount", _scalar(0.5)), ulps=64),
    "online actor-critic": ProcessCase(online_actor_critic, True, ("discount", _scalar(0.5)), ulps=64),
    "noisy": ProcessCase(lambda t: Noisy(jnp.asarray(0.1, t)), True, ("drift", _scalar(0.3))),
    "linearised SGD": ProcessCase(linearised, True, ("rate", _scalar(0.4))),
    "supervised": ProcessCase(
        classifier, True, ("stream", lambda t: MiniBatches(noisy(examples(16, t)), 4, replace=True)), ulps=64
    ),
    "supervised with statistics": ProcessCase(
        with_statistics, True, ("stream", lambda t: MiniBatches(pairs(16), 4, replace=True)), ulps=64
    ),
    # the residual of an iteration is what rounding left of a difference: it agrees to a tenth
    "tracked sharpness": ProcessCase(
        lambda t: track_sharpness()(classifier(t)),
        True,
        ("inner", lambda t: classifier(t, 2)),
        ulps=1_000_000,
        restores=False,
    ),
}


SLOW = ("offline actor-critic", "online actor-critic")  # a minute for both, nearly all of it compilation


def rows(names) -> list[Any]:
    """Return the names of processes as parameters of a test."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in names]


def slower(step):
    """Go half of the way, in every floating-point leaf."""

    def half(state, x, key):
        after, info = step(state, x, key)
        return jax.tree.map(_midpoint, state, after), info

    return half


def _midpoint(old, new):
    return old + (new - old) / 2 if jnp.issubdtype(old.dtype, jnp.inexact) else new


def shrink(state, key):
    del key
    return jax.tree.map(lambda a: a / 2 if jnp.issubdtype(a.dtype, jnp.inexact) else a, state)


def wrapped(case: ProcessCase, wrapper: str, dtype) -> AbstractProcess:
    name, value = case.fields
    interventions = {
        "as it is": lambda p: p,
        "wrap_step": wrap_step(slower),
        "at_step": at_step(2, shrink),
        "between": between(1, 3, wrap_step(slower)),
        "replace": replace(**{name: value(dtype)}),
    }
    return interventions[wrapper](case.build(dtype))


WRAPPERS = ["as it is", "wrap_step", "at_step", "between", "replace"]


STREAMS = {
    "full batch": lambda: FullBatch(examples(16, jnp.float32)),
    "without replacement": lambda: MiniBatches(examples(16, jnp.float32), 4),
    "without replacement, ragged": lambda: MiniBatches(examples(16, jnp.float32), 5),
    "with replacement": lambda: MiniBatches(examples(16, jnp.float32), 4, replace=True),
}


def displacement(every: int = 1) -> Probe:
    return Probe(_displacement, every=every, name="displacement", attrs={"displacement": {"units": "1"}})


def _displacement(tr, key):
    del key
    moved = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), tr.after.params, tr.before.params)
    return {"displacement": jnp.sqrt(sum(jax.tree.leaves(moved)))}


def noisy_probe(every: int = 1) -> Probe:
    return Probe(lambda tr, key: {"noise": jr.normal(key, (2,))}, every=every, name="noise")


class _Prefixed(eqx.Module):
    prefix: str = eqx.field(static=True)
    fn: Callable[..., Any]

    def __call__(self, tr, key):
        return {f"{self.prefix}_{name}": value for name, value in self.fn(tr, key).items()}


def prefixed(prefix: str, probe: Probe) -> Probe:
    """Rename what a probe records, so that it can run beside another that records the same names."""
    return Probe(_Prefixed(prefix, probe.fn), every=probe.every, name=probe.name)


class ProbeCase(NamedTuple):
    build: Callable[[int], Probe]  # from a cadence
    variables: dict[str, tuple[str, ...]]  # trailing axes by name


GAUSS_NEWTON = ("gn_trace", "gn_frobenius", "gn_lambda_max")
PROBES = {
    "info": ProbeCase(lambda n: info_probe("loss", every=n), {"loss": ()}),
    "accuracy": ProbeCase(accuracy, {"train_accuracy": (), "test_accuracy": ()}),
    "collapse": ProbeCase(
        lambda n: collapse("float16", n), {"softmax_collapse": (), "zero_loss": (), "logit_scale": ()}
    ),
    "losses": ProbeCase(losses, {"train_loss": (), "test_loss": ()}),
    "norms": ProbeCase(norms, {"weight_norm": ()}),
    "weight alignment": ProbeCase(weight_alignment, {"nlm_alignment": ("layer",)}),
    "curvature noise": ProbeCase(lambda n: curvature_noise(every=n), {"non_uniformity": ()}),
    "gauss-newton": ProbeCase(lambda n: gauss_newton_sharpness(every=n), dict.fromkeys(GAUSS_NEWTON, ())),
    "gauss-newton estimates": ProbeCase(
        lambda n: prefixed("estimated", gauss_newton_estimates(num_samples=2, num_iterations=4, every=n)),
        dict.fromkeys([f"estimated_{name}" for name in GAUSS_NEWTON], ()),
    ),
    "hessian norm": ProbeCase(
        lambda n: hessian_norm_probe(n, num_matvecs=3), {"hessian_norm": (), "hessian_norm_error": ()}
    ),
    "hessian trace": ProbeCase(
        lambda n: hessian_trace_probe(n, num_matvecs=3), {"hessian_trace": (), "hessian_trace_error": ()}
    ),
    "loss-scaled trace": ProbeCase(loss_scaled_trace_probe, {"loss_scaled_trace": ()}),
    "neuron scores": ProbeCase(lambda n: neuron_scores("neuron_norm", neuron_norms, n), {"neuron_norm": ("unit",)}),
    "noise trace": ProbeCase(lambda n: noise_trace(every=n), {"noise_trace": ()}),
    "noisy accuracy": ProbeCase(
        lambda n: prefixed("noisy", noisy_accuracy(n)), dict.fromkeys([f"noisy_{name}" for name in ACCURACY_ATTRS], ())
    ),
    "path norms": ProbeCase(path_norms, {"path_norm": (), "balance": ()}),
    "preconditioned sharpness": ProbeCase(
        preconditioned_sharpness_probe, {"preconditioned_sharpness": (), "preconditioned_sharpness_residual": ()}
    ),
    "pruned accuracy": ProbeCase(
        lambda n: pruned_accuracy(neuron_norms, (0.0, 0.5), n),
        dict.fromkeys([f"pruned_{name}" for name in ACCURACY_ATTRS], ("order", "pruned")),
    ),
    "sharpness": ProbeCase(sharpness_probe, {"sharpness": (), "sharpness_residual": ()}),
    "spectral density": ProbeCase(
        lambda n: spectral_density_probe(n, num_probes=2, num_steps=4, num_points=8),
        {"spectral_density": ("eigenvalue",), "spectral_grid": ("eigenvalue",)},
    ),
    "displacement": ProbeCase(displacement, {"displacement": ()}),
    "noise": ProbeCase(noisy_probe, {"noise": ("noise_0",)}),
}
