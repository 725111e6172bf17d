"""The box world, where reach is known exactly: what critics believe within reach, at its edge and beyond."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from separatrix._core.run import run
from separatrix.envs.box_world import BoxWorld
from separatrix.rl.model_based import mbpo
from separatrix.rl.model_rollouts import OracleModel
from separatrix.rl.reach import WITHIN, reach_labels
from separatrix.rl.transitions import Transitions
from separatrix.rl.value_probes import edge_targets, value_map

from .pendulum import shared
from .settings import Settings

__all__ = ["box"]


class Within(eqx.Module):
    """States that some step before the last can enter."""

    horizon: int = eqx.field(static=True)

    def holds(self, states):
        """Say whether states are within reach."""
        return reach_labels(states, self.horizon) == WITHIN


def logged(s: Settings) -> Transitions:
    """Uniform actions from the box of starts, one step each, the same for all seeds."""
    starts, actions = (jr.uniform(jr.key(i), (s.rows, 2), minval=-1.0) for i in range(2))
    after = jax.vmap(OracleModel(BoxWorld()))(starts, actions, jr.split(jr.key(2), s.rows))
    return Transitions(starts, actions, after.reward, after.observation, after.terminal)


def box(s: Settings, keys):
    """Box world: two critics learn from the shortest rollouts; labels of reach are exact."""
    env, horizon = BoxWorld(), s.short
    side = jnp.linspace(-2.0 - horizon, 2.0 + horizon, s.map)
    plane = jnp.stack(jnp.meshgrid(side, side, indexing="ij"), axis=-1)
    probes = [
        edge_targets(Within(horizon), env.state_of, s.shown, every=s.updates),
        value_map(plane, ("x", "y"), every=s.updates),
    ]
    process = mbpo(logged(s), OracleModel(env), horizon=horizon, **shared(s))
    ds = run(process, keys, s.updates, probes=probes).records.to_dataset()
    labels = np.broadcast_to(reach_labels(plane, horizon), (len(keys), *plane.shape[:2])).astype(float)
    ds["box_reach"] = (("seed", "x", "y"), labels, {"long_name": "within reach (0), at its edge (1), out of reach (2)"})
    ds = ds.rename(value_map="box_value", spread_map="box_spread")
    return ds.assign_coords(x=np.asarray(side), y=np.asarray(side))
