"""Reach in the box world, errors along a path and divergence, where the answers are known."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr

from separatrix.envs.box_world import BoxWorld
from separatrix.rl.model_rollouts import OracleModel, rollout
from separatrix.rl.policies import TanhGaussian
from separatrix.rl.reach import EDGE, OUT, chain_errors, reach_labels, td_growth

from .settings import Settings


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
