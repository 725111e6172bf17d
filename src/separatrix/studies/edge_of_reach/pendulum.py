"""Learners on the pendulum: from data of one level, in the true dynamics or in another model of them."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from separatrix._core.probe import info_probe
from separatrix._core.run import run
from separatrix.envs.pendulum import Pendulum
from separatrix.envs.value_grid import ValueGrid, optimal_values
from separatrix.rl.collection import Collected, collect
from separatrix.rl.coverage import covered_cells
from separatrix.rl.gaussian_ensemble import GaussianEnsemble
from separatrix.rl.model_based import mbpo, mopo, ravl
from separatrix.rl.model_fit import fit_ensemble
from separatrix.rl.model_rollouts import OracleModel
from separatrix.rl.oracle_patch import patch_with_oracle
from separatrix.rl.penalties import ensemble_std, max_aleatoric
from separatrix.rl.value_probes import (
    edge_statistics,
    edge_targets,
    penalty_correlation,
    q_vs_true,
    returns,
    value_map,
)

from .settings import Settings

CORNER = (float(np.pi), 8.0)  # of the plane of angle and angular velocity


class Setting(NamedTuple):
    """What all arms on one level of data share."""

    collected: Collected
    values: ValueGrid


@functools.lru_cache(maxsize=2)
def _collected(steps: int, every: int, warmup: int, episodes: int, evaluations: int) -> Collected:
    return collect(
        Pendulum(), jr.key(0), steps=steps, every=every, warmup=warmup, episodes=episodes, evaluations=evaluations
    )


@functools.lru_cache(maxsize=2)
def _values(points: int) -> ValueGrid:
    corner = jnp.asarray(CORNER)
    return optimal_values(Pendulum(), -corner, corner, shape=(points, points), periodic=(True, False))


def setting(s: Settings) -> Setting:
    """Collect the data and compute the true values, once a process."""
    data = _collected(s.collect_steps, s.collect_every, s.warmup, s.episodes, s.evaluations)
    return Setting(data, _values(s.grid))


@functools.lru_cache(maxsize=2)
def learned_model(s: Settings, level: str) -> GaussianEnsemble:
    """Fit an ensemble of models to a level of data, the same for all seeds."""
    data = setting(s).collected.levels[level]
    count, hidden = s.model_epochs, (s.hidden, s.hidden)
    return fit_ensemble(data, jr.key(1), hidden=hidden, min_epochs=count, max_epochs=count).model


def plane(s: Settings) -> jax.Array:
    """States on a coarse grid, for the map of values, shape `(map, map, 2)`."""
    axes = [jnp.linspace(-c, c, s.map) for c in CORNER]
    return jnp.stack(jnp.meshgrid(*axes, indexing="ij"), axis=-1)


def shared(s: Settings) -> dict:
    """Settings of every learner."""
    return {
        "rows": s.rows,
        "every": s.every,
        "batch_size": s.batch,
        "hidden": (s.hidden, s.hidden),
        "rate": s.rate,
        "temperature": s.temperature,
    }


def learn(s: Settings, keys, level: str, make: Callable, *, long: bool = False, patch: bool = False, model=None):
    """Run a learner on a level of data, and measure returns, values and disagreement."""
    env, truth = Pendulum(), setting(s)
    data, corner = truth.collected.levels[level], jnp.asarray(CORNER)
    states = jax.vmap(env.state_of)(data.observation)
    cells = {"shape": (s.grid, s.grid), "periodic": (True, False)}
    covered = covered_cells(states, -corner, corner, dilate=2, **cells)
    process = make(data)
    if patch:
        visited = covered_cells(states, -corner, corner, **cells)
        process = patch_with_oracle(truth.values, visited, env.state_of)(process)
    rows = slice(None, None, max(1, data.num_rows // s.observed))
    optimal = jax.vmap(truth.values.at)(states[rows])
    steps, grid = s.long_updates if long else s.updates, plane(s)
    dims = ("angle", "velocity")
    probes = [
        returns(env, s.evaluations, every=s.every),
        q_vs_true(data.observation[rows], optimal, every=s.every),
        info_probe("q", every=s.every),
        edge_statistics(covered, env.state_of, s.edge_rows, every=s.every),
        edge_targets(covered, env.state_of, s.shown, every=steps),
        value_map(jax.vmap(jax.vmap(env.observe))(grid), dims, every=steps),
    ]
    if model is not None:
        probes += [
            penalty_correlation(model, max_aleatoric, every=s.every),
            penalty_correlation(model, ensemble_std, every=s.every, prefix="std"),
        ]
    ds = run(process, keys, steps, probes=probes).records.to_dataset()
    ds["q"].attrs = {"units": "reward", "long_name": "mean value of the critics on a batch"}
    low, high = truth.collected.random_return, truth.collected.expert_return
    ds["score"] = (ds["return"] - low) * (100 / (high - low))
    ds["score"].attrs = {"units": "%", "long_name": "return between random (0) and expert (100)"}
    maps = {
        "true_map": (jax.vmap(jax.vmap(truth.values.at))(grid), "optimal value", "reward"),
        "covered_map": (covered.holds(grid).astype(float), "whether the data cover a state", "1"),
    }
    for name, (values, meaning, units) in maps.items():
        repeated = np.broadcast_to(values, (len(keys), *values.shape))
        ds[name] = (("seed", *dims), repeated, {"units": units, "long_name": meaning})
    return ds.assign_coords(dict(zip(dims, (grid[:, 0, 0], grid[0, :, 1]), strict=True)))


def base(s: Settings, horizon: int) -> Callable:
    """Two critics, true dynamics."""
    return lambda data: mbpo(data, OracleModel(Pendulum()), horizon=horizon, **shared(s))


def pessimistic(s: Settings, horizon: int) -> Callable:
    """Many critics, true dynamics; no diversity, which one action dimension does not allow."""
    return lambda data: ravl(data, OracleModel(Pendulum()), eta=0, members=s.ensemble, horizon=horizon, **shared(s))


def k1_n2(s: Settings, keys):
    """Rollouts of one step in the true dynamics, two critics."""
    return learn(s, keys, "expert", base(s, s.short))


def k1_patch(s: Settings, keys):
    """The same, with the true value as target wherever the data have not been."""
    return learn(s, keys, "expert", base(s, s.short), patch=True)


def k1_n10(s: Settings, keys):
    """Rollouts of one step in the true dynamics, ten critics."""
    return learn(s, keys, "expert", pessimistic(s, s.short))


def k5_n2(s: Settings, keys):
    """Rollouts of five steps in the true dynamics, two critics."""
    return learn(s, keys, "expert", base(s, s.middle))


def k5_n10(s: Settings, keys):
    """Rollouts of five steps in the true dynamics, ten critics."""
    return learn(s, keys, "expert", pessimistic(s, s.middle))


def k40_n2(s: Settings, keys):
    """Rollouts of forty steps in the true dynamics, two critics: long enough to reach nearly everything."""
    return learn(s, keys, "expert", base(s, s.long))


def long_k5_n2(s: Settings, keys):
    """Five steps, two critics, 20,000 updates."""
    return learn(s, keys, "expert", base(s, s.middle), long=True)


def long_k5_n10(s: Settings, keys):
    """Five steps, ten critics, 20,000 updates."""
    return learn(s, keys, "expert", pessimistic(s, s.middle), long=True)


def medium_k1_n2(s: Settings, keys):
    """Data of wide coverage: one step in the true dynamics, two critics."""
    return learn(s, keys, "medium", base(s, s.short))


def medium_k5_n2(s: Settings, keys):
    """Data of wide coverage: five steps in the true dynamics, two critics."""
    return learn(s, keys, "medium", base(s, s.middle))


def medium_k5_n10(s: Settings, keys):
    """Data of wide coverage: five steps in the true dynamics, ten critics."""
    return learn(s, keys, "medium", pessimistic(s, s.middle))


def in_learned(s: Settings, keys, level: str, *, horizon: int, members: int = 2, weight: float = 0.0):
    """Learn in a model that was fitted to the same data, with a penalty for its uncertainty if `weight` is not 0."""
    model = learned_model(s, level)
    settings = {"penalty": ensemble_std, "weight": weight, "horizon": horizon, "members": members, **shared(s)}
    return learn(s, keys, level, lambda data: mopo(data, model, **settings), model=model)


def learned_plain(s: Settings, keys):
    """Data of wide coverage: five steps in a learned model, two critics, no penalty."""
    return in_learned(s, keys, "medium", horizon=s.middle)


def learned_penalised(s: Settings, keys):
    """Data of wide coverage: five steps in a learned model, two critics, a large penalty for its uncertainty."""
    return in_learned(s, keys, "medium", horizon=s.middle, weight=s.penalty)
