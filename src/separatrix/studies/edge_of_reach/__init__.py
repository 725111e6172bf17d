"""The edge-of-reach problem in offline model-based reinforcement learning (Sims, Lu, Foerster, Teh, NeurIPS 2024).

Does learning from short rollouts of a model fail even when the model is the truth, because some states are only ever
bootstrapped from and never trained, and does pessimism about values repair what pessimism about dynamics cannot?
"""

from separatrix.study.figures import curves, points
from separatrix.study.study import Study

from .box import box
from .exact import exact
from .figures import box_plane, grid_table, mixture, value_plane
from .findings import FINDINGS
from .grid import GRID_ARMS, MIX_ARMS
from .host import HOST_ARMS
from .pendulum import (
    k1_n2,
    k1_n10,
    k1_patch,
    k5_n2,
    k5_n10,
    k40_n2,
    learned_penalised,
    learned_plain,
    long_k5_n2,
    long_k5_n10,
    medium_k1_n2,
    medium_k5_n2,
    medium_k5_n10,
)
from .settings import PRESETS, FullSettings

__all__ = ["STUDY"]


def points_of(settings, arm: str):
    """Leave the MuJoCo arms out of every preset but `full`."""
    return {"seeds": ()} if arm in HOST_ARMS and not isinstance(settings, FullSettings) else {}


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
    the failure. A seed has the same initialisation and data in every arm. The same learner in a box world, where reach
    is known exactly, shows what its critics believe at the edge.""",
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
        "box": box,
        **GRID_ARMS,
        **MIX_ARMS,
        **HOST_ARMS,
    },
    grid=points_of,
    findings=FINDINGS,
    figures={
        "States, reach and values: the black line bounds what the data cover": value_plane(
            ("k1-n2", "k5-n10", "k40-n2")
        ),
        "Box world: states, exact labels of reach, and values; the lines bound what is within reach, and its edge": (
            box_plane
        ),
        "Score while learning in the true dynamics": curves("score", arms=["k1-n2", "k5-n2", "k5-n10", "k40-n2"]),
        "Value minus optimal value": curves("overestimation", arms=["k1-n2", "k1-patch", "k1-n10", "k40-n2"]),
        "Share of targets at the edge of reach": points("edge_fraction"),
        "Data of wide coverage": curves(
            "score", arms=["medium-k1-n2", "medium-k5-n2", "medium-k5-n10", "learned-plain", "learned-penalised"]
        ),
        "Score by data, dynamics, horizon and number of critics": grid_table,
        "From a random model by the learned one to the truth": mixture,
        "MuJoCo, and the pendulum beside it": curves("score", arms=["k5-n2", "k5-n10", *HOST_ARMS]),
    },
    remarks={
        "F2d": "Ten critics take away between a third and all of the overestimation, by seed.",
        "F3a": "After 8,000 updates ten critics are 5 points ahead, with a spread of 15 over seeds: they have only "
        "begun to succeed (17 points). Longer learning is F3b.",
        "F3b": "After 20,000 updates ten critics are at 85 to 101 points in every seed, two at 51 to 99: some seeds of "
        "the base succeed in the end, so the gain is certain in sign for three of five.",
        "F4a": "This is the least of six arms, seed by seed. Arm by arm the means are 4.1 to 7.3, all above the "
        "threshold; single seeds of the base at k = 1, where about nine targets an evaluation lie at the edge, go down "
        "to 2.4.",
        "F4c": "It fails in two kinds of arms. On medium data at k = 1 there is nothing at the edge, or a few targets "
        "(ratios 0.06 to 2.5). In a random model, or one a quarter of the way from it, critics disagree nearly as much "
        "where the data reach (1.2 to 1.3), since the targets themselves are noise. In all other arms every ratio is "
        "above 1.2 and the means are 1.9 to 6.3.",
        "F5b": "Both succeed on medium data (91 to 99 points), so there is nothing to gain or to lose.",
        "F5c": "Without the penalty seeds end between 50 and 97 points, with it between 90 and 101: it rescues those "
        "that fail.",
    },
    revision=3,
    costs={
        "quick": "a minute",
        "default": "3 minutes",
        "thorough": "half an hour",
        "full": "days on two cores; MuJoCo needs the extra `rl`",
    },
)
