"""The MuJoCo tasks of the paper: our own data, and the simulator itself where a learned model could stand."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax.random as jr

from separatrix._core.probe import info_probe
from separatrix._core.run import run
from separatrix.envs.callback_env import CallbackEnv
from separatrix.rl.collection import Collected, collect
from separatrix.rl.gaussian_ensemble import GaussianEnsemble, Terminal, never
from separatrix.rl.model_based import mbpo, mopo, ravl
from separatrix.rl.model_fit import fit_ensemble
from separatrix.rl.model_rollouts import OracleModel
from separatrix.rl.penalties import ensemble_std
from separatrix.rl.terminal_rules import hopper_terminal, walker2d_terminal
from separatrix.rl.value_probes import returns

from .settings import FullSettings

__all__ = ["HOST_ARMS", "TASKS", "Task", "learn_on_host"]

LEVEL = "medium"


class Task(NamedTuple):
    """A gymnasium id, the rule that says which states are terminal, and how many critics pessimism needs there."""

    id: str
    terminal: Terminal
    members: int = 10


TASKS = {
    "hopper": Task("Hopper-v5", hopper_terminal, members=50),  # as in EDAC
    "halfcheetah": Task("HalfCheetah-v5", never),
    "walker2d": Task("Walker2d-v5", walker2d_terminal),
}


@functools.cache
def environment(task: Task) -> CallbackEnv:
    """Return the simulator, one for each task, so that arms share compiled programs."""
    return CallbackEnv(task.id)


@functools.lru_cache(maxsize=3)
def collected(s: FullSettings, task: Task) -> Collected:
    """Collect data of all levels, the same for all seeds."""
    return collect(
        environment(task),
        jr.key(0),
        steps=s.host_collect_steps,
        every=s.host_collect_every,
        warmup=s.host_collect_every,
        episodes=s.host_episodes,
        evaluations=s.host_evaluations,
        hidden=s.host_hidden,
        batch_size=s.host_batch,
        rate=s.host_rate,
    )


@functools.lru_cache(maxsize=3)
def fitted(s: FullSettings, task: Task) -> GaussianEnsemble:
    """Fit an ensemble of models to the data, the same for all seeds."""
    data, epochs = collected(s, task).levels[LEVEL], s.host_model_epochs
    hidden, terminal = s.host_model_hidden, task.terminal
    found = fit_ensemble(data, jr.key(1), hidden=hidden, terminal=terminal, min_epochs=epochs, max_epochs=epochs)
    return found.model


def learn_on_host(s: FullSettings, keys, task: Task, make: Callable):
    """Run a learner on our data of a task, and measure returns and values."""
    found = collected(s, task)
    settings = {
        "horizon": s.host_horizon,
        "rows": s.host_rows,
        "hidden": s.host_hidden,
        "batch_size": s.host_batch,
        "rate": s.host_rate,
    }
    process = make(s, task, found.levels[LEVEL], settings)
    probes = [
        returns(environment(task), s.host_evaluations, every=s.host_every),
        info_probe("q", every=s.host_every),
    ]
    ds = run(process, keys, s.host_updates, probes=probes).records.to_dataset()
    ds["q"].attrs = {"units": "reward", "long_name": "mean value of the critics on a batch"}
    ds["score"] = (ds["return"] - found.random_return) * (100 / (found.expert_return - found.random_return))
    ds["score"].attrs = {"units": "%", "long_name": "return between random (0) and expert (100)"}
    return ds


def _base(s: FullSettings, task: Task, data, settings):
    return mbpo(data, OracleModel(environment(task)), **settings)


def _pessimistic(s: FullSettings, task: Task, data, settings):
    return ravl(data, OracleModel(environment(task)), members=task.members, **settings)


def _learned(s: FullSettings, task: Task, data, settings):
    return mopo(data, fitted(s, task), penalty=ensemble_std, weight=s.host_penalty, **settings)


LEARNERS = {
    "true": (_base, "two critics in the simulator itself, where every penalty of the dynamics is zero"),
    "ravl": (_pessimistic, "many diverse critics in the simulator itself"),
    "learned": (_learned, "two critics in a learned model with a penalty for its uncertainty"),
}


def _arm(name: str, learner: str):
    make, words = LEARNERS[learner]

    def arm(s: FullSettings, keys):
        return learn_on_host(s, keys, TASKS[name], make)

    arm.__doc__ = f"{TASKS[name].id}, our data of the level {LEVEL}: {words}."
    return arm


HOST_ARMS = {f"{task}-{learner}": _arm(task, learner) for task in TASKS for learner in LEARNERS}
