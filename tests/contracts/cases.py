"""The processes, streams and probes that the contract tests go through; a new one is one more row here."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax

from separatrix import AbstractProcess, FullBatch, MiniBatches, Probe, at_step, between, info_probe, replace, wrap_step
from separatrix.data.teachers import single_index_data
from separatrix.models.mlp import MLP
from separatrix.numerics.lyapunov import Tangent
from separatrix.systems import LinearMap, LogisticMap, lorenz63
from separatrix.training.committee_dynamics import CommitteeDynamics
from separatrix.training.descent import HeavyBall
from separatrix.training.probes import accuracy, collapse, norms, weight_alignment
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


def examples(count: int, dtype) -> Batch:
    x = jr.normal(jr.key(7), (count, 5), dtype)
    return Batch(x, (x[:, 0] > 0).astype(jnp.int32) + (x[:, 1] > 0.5).astype(jnp.int32))


def classifier(dtype, batch_size: int = 4, optimiser=None) -> Supervised:
    return Supervised(
        model=_SmallNetwork(dtype),
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=_ADAM if optimiser is None else optimiser,
        stream=MiniBatches(examples(16, dtype), batch_size),
        held_out=examples(8, dtype),
    )


_ADAM = optax.adam(1e-2)


class _SmallNetwork(eqx.Module):
    dtype: Any = eqx.field(static=True)

    def __call__(self, key):
        return MLP(key, (5, 6, 3), dtype=self.dtype)


def quartic(w):
    return jnp.sum(w["a"] ** 4) / 4 + jnp.sum(w["b"] ** 2) / 2


class _Point(eqx.Module):
    dtype: Any = eqx.field(static=True)

    def __call__(self, key):
        return {"a": jr.normal(key, (2,), self.dtype), "b": jnp.ones((), self.dtype)}


def heavy_ball(dtype) -> HeavyBall:
    return HeavyBall(quartic, _Point(dtype), rate=jnp.asarray(0.05, dtype), momentum=jnp.asarray(0.5, dtype))


def _scalar(value):
    return lambda dtype: jnp.asarray(value, dtype)


def lorenz(dtype):
    return lorenz63(dt=jnp.asarray(0.01, dtype), dtype=dtype)


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
    "flow": ProcessCase(lorenz, True, ("dt", _scalar(0.02))),
    "tangent": ProcessCase(lambda t: Tangent(lorenz(t), k=2), True, ("inner", lambda t: lorenz63(rho=20.0, dtype=t))),
    "heavy ball": ProcessCase(heavy_ball, True, ("rate", _scalar(0.1))),
    "noisy": ProcessCase(lambda t: Noisy(jnp.asarray(0.1, t)), True, ("drift", _scalar(0.3))),
    "supervised": ProcessCase(classifier, True, ("stream", lambda t: MiniBatches(examples(16, t), 4, replace=True))),
}


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


class ProbeCase(NamedTuple):
    build: Callable[[int], Probe]  # from a cadence
    variables: dict[str, tuple[str, ...]]  # trailing axes by name


PROBES = {
    "info": ProbeCase(lambda n: info_probe("loss", every=n), {"loss": ()}),
    "accuracy": ProbeCase(accuracy, {"train_accuracy": (), "test_accuracy": ()}),
    "collapse": ProbeCase(
        lambda n: collapse("float16", n), {"softmax_collapse": (), "zero_loss": (), "logit_scale": ()}
    ),
    "losses": ProbeCase(losses, {"train_loss": (), "test_loss": ()}),
    "norms": ProbeCase(norms, {"weight_norm": ()}),
    "weight alignment": ProbeCase(weight_alignment, {"nlm_alignment": ("layer",)}),
    "displacement": ProbeCase(displacement, {"displacement": ()}),
    "noise": ProbeCase(noisy_probe, {"noise": ("noise_0",)}),
}
