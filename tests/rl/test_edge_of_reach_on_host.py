"""The arms of the edge-of-reach study that run a simulator on the host, with the pendulum in MuJoCo's place."""

import jax.random as jr
import pytest

from separatrix.rl import never
from separatrix.studies.edge_of_reach.host import LEARNERS, Task, learn_on_host
from separatrix.studies.edge_of_reach.settings import FullSettings

SMALL = FullSettings(
    host_collect_steps=24,
    host_collect_every=8,
    host_episodes=2,
    host_updates=4,
    host_every=2,
    host_rows=20,
    host_hidden=(8,),
    host_model_hidden=(8,),
    host_model_epochs=2,
    host_batch=8,
    host_evaluations=1,
)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["true", "learned"])  # the third has diverse critics, degenerate for one action
def test_it_scores_every_learner(learner):
    pytest.importorskip("gymnasium")
    ds = learn_on_host(SMALL, jr.split(jr.key(0), 2), Task("Pendulum-v1", never), LEARNERS[learner][0])
    assert ds.score.sizes == {"seed": 2, "step": 2}
    assert bool(ds.score.notnull().all())
    assert bool(ds.q.notnull().all())
