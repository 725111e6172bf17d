"""A small training that is killed and restarted; run as a script by `test_kill.py`."""

import os
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax

import separatrix._core.run as driver
from separatrix import AbstractProcess, MiniBatches, Probe, checkpointing, info_probe, log_spaced, run, run_on_host
from separatrix.dynamics import AdaptiveAlpha, Reconstruction, decaying_radam, windows_of
from separatrix.envs import Pendulum
from separatrix.models import ClippedShallowPLRNN, IdentityObservation
from separatrix.rl import ActorCritic, sac
from separatrix.training.supervised import Batch, Supervised


class Well(AbstractProcess):
    """Noisy descent in a double well, one slow step at a time."""

    def init(self, key):
        return jr.normal(key, (2,))

    def step(self, state, x, key):
        after = descend(state, key)
        return after, {"height": jnp.sum(after**2)}


@jax.jit
def descend(state, key):
    return state - 0.01 * (state**3 - state) + 0.1 * jr.normal(key, (2,))


def model(key):
    one, two = jr.split(key)
    return {"in": jr.normal(one, (6, 64)) / 3, "out": jr.normal(two, (64, 3)) / 8}


def forward(params, inputs, key):
    hidden = jnp.tanh(inputs @ params["in"])
    if key is not None:  # dropout, so that each step draws noise
        hidden = hidden * jr.bernoulli(key, 0.9, hidden.shape)
    return hidden @ params["out"]


def training() -> Supervised:
    inputs = jr.normal(jr.key(1), (300, 6))
    labels = (inputs[:, 0] > 0).astype(jnp.int32) + (inputs[:, 1] * inputs[:, 2] > 0)
    return Supervised(
        model=model,
        loss=optax.losses.softmax_cross_entropy_with_integer_labels,
        optimiser=optax.adam(3e-3),
        stream=MiniBatches(Batch(inputs, labels), 32),
        forward=forward,
    )


def reconstruction() -> Reconstruction:
    """The strength of forcing is part of the state, and the measurements that force are noisy."""
    angle = 0.1 * jnp.arange(400)
    return Reconstruction(
        model=lambda key: ClippedShallowPLRNN(2, 8, key),
        observation=lambda key: IdentityObservation(2),
        optimiser=decaying_radam(20_000),
        stream=windows_of(np.asarray(jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=1)), length=10, batch_size=4),
        alpha=0.5,
        adapt=AdaptiveAlpha(),
        noise=0.05,
    )


def actor_critic() -> ActorCritic:
    """The environment's state and the buffer of its transitions are part of the state."""
    return sac(Pendulum(), hidden=(16,), batch_size=16, capacity=256, warmup=16)


def noise(tr, key):
    floats = [a for a in jax.tree.leaves(tr.after) if jnp.issubdtype(a.dtype, jnp.inexact)]
    return {"noise": jr.normal(key, (2,)), "size": jnp.sqrt(sum(jnp.sum(a**2) for a in floats))}


PROCESSES = {  # with the name of a number to record
    "plain": (training, "loss"),
    "blocks": (training, "loss"),
    "measured": (training, "loss"),
    "reconstruction": (reconstruction, "alpha"),
    "actor-critic": (actor_critic, "critic_loss"),
}


def compute(kind: str, steps: int):
    drawn = Probe(noise, every=log_spaced(8), name="noise")
    if kind == "host":
        return run_on_host(Well(), jr.split(jr.key(0), 2), steps, probes=[info_probe("height", every=20), drawn])
    build, watched = PROCESSES[kind]
    probes = [info_probe(watched, every=50), drawn]
    if kind == "measured":  # which of two layouts is quicker, however short the run
        driver.SECONDS_WORTH_MEASURING, driver.candidates = 0.0, lambda members: [1, 3]
        return run(build(), jr.split(jr.key(0), 3), steps, probes=probes)
    return run(build(), jr.split(jr.key(0), 3), steps, probes=probes, block=2 if kind == "blocks" else 1)


def main(kind: str, steps: str, folder: str, out: str) -> None:
    jax.config.update("jax_compilation_cache_dir", os.environ["KILLED_CACHE"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    with checkpointing(folder, every_seconds=0.05):
        state, records = compute(kind, int(steps))
    arrays = {f"state{i}": np.asarray(a) for i, a in enumerate(jax.tree.leaves(state))}
    arrays |= {name: record.values for name, record in records.variables.items()}
    arrays |= {f"steps of {name}": record.steps for name, record in records.variables.items()}
    with open(out + ".part", "wb") as file:
        np.savez(file, diverged_at=records.diverged_at, **arrays)
    Path(out + ".part").rename(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
