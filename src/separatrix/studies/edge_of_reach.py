"""The edge-of-reach problem in offline model-based reinforcement learning (Sims, Lu, Foerster, Teh, NeurIPS 2024).

Does learning from short rollouts of a model fail even when the model is the truth, because some states are only ever
bootstrapped from and never trained, and does pessimism about values repair what pessimism about dynamics cannot?
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr

from separatrix._core.run import run
from separatrix.envs.box_world import BoxWorld
from separatrix.envs.pendulum import Pendulum
from separatrix.envs.value_grid import ValueGrid, optimal_values
from separatrix.rl.collection import Collected, collect
from separatrix.rl.coverage import covered_cells
from separatrix.rl.gaussian_ensemble import GaussianEnsemble
from separatrix.rl.model_based import mbpo, mopo, ravl
from separatrix.rl.model_fit import fit_ensemble
from separatrix.rl.model_rollouts import OracleModel, rollout
from separatrix.rl.oracle_patch import patch_with_oracle
from separatrix.rl.penalties import ensemble_std
from separatrix.rl.policies import TanhGaussian
from separatrix.rl.reach import EDGE, OUT, chain_errors, reach_labels, td_growth
from separatrix.rl.value_probes import edge_statistics, penalty_correlation, q_vs_true, returns, value_map
from separatrix.study.effects import curve, final, per_seed
from separatrix.study.figures import NoData, curves, points
from separatrix.study.finding import AtLeast, AtMost, Finding
from separatrix.study.study import Study

LAST = 8  # evaluations whose mean is an arm's return


@dataclass(frozen=True)
class Settings:
    """The card's protocol on the pendulum: 64 x 2 networks, 4,000 model transitions a generation for every horizon.

    The data are those of one own agent, the same for all seeds; seeds are those of the learners. `default` has the arms
    that decide the main claims. What its four minutes do not hold is in `thorough`: ten critics at the shortest
    horizon, 20,000 updates, and data of the level medium with true and learned dynamics. The MuJoCo tasks of the paper
    are not part of this study.
    """

    seeds: int = 5
    # data
    collect_steps: int = 8_000
    collect_every: int = 500
    warmup: int = 500
    episodes: int = 50
    # learners
    updates: int = 8_000
    long_updates: int = 20_000
    every: int = 250
    rows: int = 4_000
    short: int = 1
    middle: int = 5
    long: int = 40
    ensemble: int = 10
    hidden: int = 64
    batch: int = 128
    rate: float = 1e-3
    temperature: float = 0.2
    evaluations: int = 10
    # truth
    grid: int = 121
    map: int = 41
    observed: int = 500
    edge_rows: int = 4_096
    # the learned model
    model_epochs: int = 115  # about 4,000 updates
    penalty: float = 10.0


PRESETS = {
    "quick": Settings(
        seeds=2,
        collect_steps=24,
        collect_every=8,
        warmup=8,
        episodes=2,
        updates=8,
        long_updates=8,
        every=4,
        rows=16,
        middle=1,
        long=1,
        ensemble=2,
        hidden=8,
        batch=8,
        evaluations=2,
        grid=31,
        map=5,
        observed=20,
        edge_rows=64,
        model_epochs=2,
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": Settings(seeds=10, updates=20_000, long_updates=40_000),
}

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
        edge_statistics(covered, env.state_of, s.edge_rows, every=s.every),
        value_map(jax.vmap(jax.vmap(env.observe))(grid), dims, every=steps),
        *([] if model is None else [penalty_correlation(model, ensemble_std, every=s.every)]),
    ]
    ds = run(process, keys, steps, probes=probes).records.to_dataset()
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


def _learned(s: Settings, keys, weight: float):
    model = learned_model(s, "medium")
    make = lambda data: mopo(  # noqa: E731
        data, model, penalty=ensemble_std, weight=weight, horizon=s.middle, **shared(s)
    )
    return learn(s, keys, "medium", make, model=model)


def learned_plain(s: Settings, keys):
    """Data of wide coverage: five steps in a learned model, two critics, no penalty."""
    return _learned(s, keys, 0.0)


def learned_penalised(s: Settings, keys):
    """Data of wide coverage: five steps in a learned model, two critics, a large penalty for its uncertainty."""
    return _learned(s, keys, s.penalty)


def exact(s: Settings, keys):
    """Box world: labels of reach against rollouts, errors along a path and divergence against their closed forms."""
    del s
    horizon, env = 3, BoxWorld()

    def wrongly_labelled(key):
        starts = jr.uniform(jr.fold_in(key, 0), (512, 2), minval=-1.0)
        policy = TanhGaussian(jr.fold_in(key, 1), 2, 2, (8,))
        found = rollout(OracleModel(env), policy, starts, horizon, jr.fold_in(key, 2)).transitions
        inside = reach_labels(found.observation, horizon)
        after = reach_labels(found.next_observation, horizon)
        return jnp.sum(inside >= EDGE) + jnp.sum(after == OUT)

    expected = 10.0 * 0.9 ** np.arange(horizon, -1, -1)
    gap = np.abs(np.asarray(chain_errors(horizon, 10.0, 0.9)) - expected).max()
    rate, discount, feature, steps = 0.1, 0.9, 2.0, 50
    growth = float(td_growth(rate, discount, feature, steps)[-1]) / (1 + rate * (discount * feature - 1)) ** steps
    wrong = np.asarray(jax.vmap(wrongly_labelled)(keys), float)
    say = lambda values, text: ("seed", np.broadcast_to(values, wrong.shape), {"units": "1", "long_name": text})  # noqa: E731
    return xr.Dataset(
        {
            "wrong_labels": say(wrong, "states whose exact label of reach is contradicted by a rollout"),
            "propagation_gap": say(gap, "largest deviation of errors along a path from their closed form"),
            "growth_gap": say(abs(growth - 1), "relative deviation of divergence from its closed form"),
        }
    )


# Effects: one number a seed.


def last(ds, arm: str, variable: str) -> xr.DataArray:
    """Mean of the last evaluations of an arm."""
    return per_seed(curve(ds, arm, variable).isel(step=slice(-LAST, None)))


def gain(better: str, worse: str):
    """Points of score between two arms."""
    return lambda ds: last(ds, better, "score") - last(ds, worse, "score")


def between(ds):
    """How far the middle horizon lies inside the interval of the others, in points."""
    short, middle, long = (last(ds, arm, "score") for arm in ("k1-n2", "k5-n2", "k40-n2"))
    return np.minimum(middle - short, long - middle)


def cut(arm: str):
    """Share of the final overestimation of the base that an arm takes away."""
    return lambda ds: 1 - final(ds, arm, "overestimation") / final(ds, "k1-n2", "overestimation")


def ratio(ds, arm: str, variable: str) -> xr.DataArray:
    """Disagreement at the edge over that within reach, mean of the last evaluations."""
    found = {place: curve(ds, arm, f"{variable}_{place}").isel(step=slice(-LAST, None)) for place in ("edge", "within")}
    return per_seed(found["edge"]) / per_seed(found["within"])


def least_ratio(variable: str, arms: tuple[str, ...]):
    """The least of these ratios over arms."""
    return lambda ds: functools.reduce(np.minimum, [ratio(ds, arm, variable) for arm in arms])


def only(variable: str):
    """A variable of the exact arm."""
    return lambda ds: ds[variable].sel(arm="exact")


EXPERT = ("k1-n2", "k1-patch", "k5-n2", "k5-n10", "k40-n2")
CALIBRATED = "calibrated on the card"
FINDINGS = [
    Finding("F1a", "In the true dynamics long rollouts succeed and short ones fail: score at k = 40 minus k = 1.",
            "Table 1", gain("k40-n2", "k1-n2"), AtLeast(60.0), arms=("k1-n2", "k40-n2"), units="points"),
    Finding("F1b", "A middle horizon lies in between: distance of k = 5 from the nearer end.", "Table 1", between,
            AtLeast(0.0), arms=("k1-n2", "k5-n2", "k40-n2"), units="points"),
    Finding("F2a", "Values explode: final mean value minus the optimal one, k = 1.", "section 4",
            lambda ds: final(ds, "k1-n2", "overestimation"), AtLeast(12.0), arms=("k1-n2",), units="reward"),
    Finding("F2b", "They become impossible: the largest mean value, where no reward is positive.", "section 4",
            lambda ds: per_seed(curve(ds, "k1-n2", "value").max("step")), AtLeast(0.0), arms=("k1-n2",),
            units="reward"),
    Finding("F2c", "True values where the data have not been cut the overestimation by half.", "toy, OraclePatch",
            cut("k1-patch"), AtLeast(0.5), arms=("k1-n2", "k1-patch")),
    Finding("F2d", "So do ten critics.", CALIBRATED, cut("k1-n10"), AtLeast(0.5), arms=("k1-n2", "k1-n10"),
            since="thorough"),
    Finding("F3a", "Pessimism about values helps where the dynamics are true: ten critics minus two at k = 5.",
            "Table 1", gain("k5-n10", "k5-n2"), AtLeast(12.0), arms=("k5-n2", "k5-n10"), units="points"),
    Finding("F3b", "More so after 20,000 updates.", CALIBRATED, gain("long-k5-n10", "long-k5-n2"), AtLeast(30.0),
            arms=("long-k5-n2", "long-k5-n10"), since="thorough", units="points"),
    Finding("F4a", "Critics disagree more at the edge: ratio of spreads, the least of all arms.", "Fig. 5",
            least_ratio("spread", EXPERT), AtLeast(2.5), arms=EXPERT),
    Finding("F4b", "So does the penalty that the minimum implies.", "Fig. 5", least_ratio("penalty", EXPERT),
            AtLeast(2.5), arms=EXPERT),
    Finding("F5a", "With data of wide coverage the same short rollouts do much better: medium minus expert data.",
            CALIBRATED, gain("medium-k1-n2", "k1-n2"), AtLeast(40.0), arms=("k1-n2", "medium-k1-n2"),
            since="thorough", units="points", control=True),
    Finding("F5b", "There pessimism only slows learning: ten critics minus two at k = 5.", CALIBRATED,
            gain("medium-k5-n10", "medium-k5-n2"), AtMost(0.0), arms=("medium-k5-n2", "medium-k5-n10"),
            since="thorough", units="points", control=True),
    Finding("F5c", "With a learned model there a penalty for its uncertainty helps.", CALIBRATED,
            gain("learned-penalised", "learned-plain"), AtLeast(20.0), arms=("learned-plain", "learned-penalised"),
            since="thorough", units="points", control=True),
    Finding("F5d", "Its uncertainty ranks states as the critics' disagreement does.", "Fig. 6",
            lambda ds: last(ds, "learned-penalised", "penalty_correlation"), AtLeast(0.0), published="positive",
            arms=("learned-penalised",), since="thorough"),
    Finding("F6a", "Labels of reach in the box world are exact: contradictions by rollouts.", "definition 1",
            only("wrong_labels"), AtMost(0.0), published=0.0, arms=("exact",)),
    Finding("F6b", "Errors come back along a path as gamma^(k - t) times the error at the edge: deviation.",
            "proposition 1", only("propagation_gap"), AtMost(1e-5), published=0.0, arms=("exact",)),
    Finding("F6c", "Learning from the void diverges at the rate 1 + alpha (gamma c - 1): deviation.", "proposition 1",
            only("growth_gap"), AtMost(1e-4), published=0.0, arms=("exact",)),
]  # fmt: skip


def value_plane(arms: tuple[str, ...]):
    """Draw optimal and learned values over the plane of states, with the border of what the data cover."""

    def draw(ds):
        from matplotlib.figure import Figure

        measured = [
            a for a in arms if "value_map" in ds and a in ds.arm and bool(ds.value_map.sel(arm=a).notnull().any())
        ]
        if not measured:
            raise NoData("no map of values was measured")
        pick = {"arm": measured[0], "seed": ds.seed[0]}
        maps = {"optimal": ds.true_map.sel(pick)}
        maps |= {arm: curve(ds, arm, "value_map").isel(step=-1, seed=0) for arm in measured}
        covered = ds.covered_map.sel(pick).transpose("velocity", "angle").values
        low = float(maps["optimal"].min())
        high = max(1.0, *(float(m.max()) for m in maps.values()))
        figure = Figure(figsize=(3.0 * len(maps) + 0.8, 3.2), layout="constrained")
        panels = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
        image = None
        for axes, (name, values) in zip(panels, maps.items(), strict=True):
            shown = values.transpose("velocity", "angle").values
            image = axes.pcolormesh(ds.angle, ds.velocity, shown, vmin=low, vmax=high, cmap="viridis")
            if 0 < covered.mean() < 1:
                axes.contour(ds.angle, ds.velocity, covered, levels=[0.5], colors="white", linewidths=0.8)
            axes.set(title=name, xlabel="angle [rad]")
        panels[0].set_ylabel("angular velocity [rad/s]")
        assert image is not None
        figure.colorbar(image, ax=list(panels), label="value")
        return figure

    return draw


STUDY = Study(
    slug="edge-of-reach",
    seed=14,
    domain="rl",
    title="The Edge-of-Reach Problem in Offline Model-Based Reinforcement Learning",
    paper="arXiv:2402.12527",
    citation="""@inproceedings{sims2024edge,
  title = {The Edge-of-Reach Problem in Offline Model-Based Reinforcement Learning},
  author = {Sims, Anya and Lu, Cong and Foerster, Jakob N. and Teh, Yee Whye},
  booktitle = {Advances in Neural Information Processing Systems},
  year = {2024},
  note = {arXiv:2402.12527}
}""",
    question="Do short model rollouts fail even in the true dynamics, by bootstrapping from states never trained?",
    method="""Soft actor-critic learns from logged transitions of the pendulum and from rollouts of the true dynamics
    that start at logged states, with the same number of model transitions for every horizon. Values are compared with
    the optimal ones from value iteration; states count as the edge of reach where no data lie within two cells of a
    121 x 121 grid. The targets are patched with optimal values, or two critics are replaced by ten, to see what repairs
    the failure. A seed has the same initialisation and data in every arm.""",
    presets=PRESETS,
    arms={
        "k1-n2": k1_n2,
        "k1-patch": k1_patch,
        "k1-n10": k1_n10,
        "k5-n2": k5_n2,
        "k5-n10": k5_n10,
        "k40-n2": k40_n2,
        "long-k5-n2": long_k5_n2,
        "long-k5-n10": long_k5_n10,
        "medium-k1-n2": medium_k1_n2,
        "medium-k5-n2": medium_k5_n2,
        "medium-k5-n10": medium_k5_n10,
        "learned-plain": learned_plain,
        "learned-penalised": learned_penalised,
        "exact": exact,
    },
    findings=FINDINGS,
    figures={
        "States, reach and values: the white line bounds what the data cover": value_plane(
            ("k1-n2", "k5-n10", "k40-n2")
        ),
        "Score while learning in the true dynamics": curves("score", arms=["k1-n2", "k5-n2", "k5-n10", "k40-n2"]),
        "Value minus optimal value": curves("overestimation", arms=["k1-n2", "k1-patch", "k1-n10", "k40-n2"]),
        "Share of targets at the edge of reach": points("edge_fraction"),
        "Data of wide coverage": curves(
            "score", arms=["medium-k1-n2", "medium-k5-n2", "medium-k5-n10", "learned-plain", "learned-penalised"]
        ),
    },
    costs={
        "quick": "a minute",
        "default": "4 minutes",
        "thorough": "15 minutes",
        "full": "an hour and a half",
    },
)
