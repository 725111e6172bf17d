"""Claims, and the one number a seed that each is tested by."""

import numpy as np
import xarray as xr

from separatrix.rl.reach import EDGE, WITHIN
from separatrix.study.effects import curve, final, least, per_seed
from separatrix.study.finding import AtLeast, AtMost, Finding

from .grid import GRID, MIX_ARMS, cell
from .host import TASKS

__all__ = ["FINDINGS"]

LAST = 8  # evaluations whose mean is an arm's return


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
    """Disagreement at the edge over that within reach, mean of the last evaluations; NaN if nothing was at the edge."""
    within = curve(ds, arm, f"{variable}_within").isel(step=slice(-LAST, None))
    return per_seed(ds[f"{variable}_edge"].sel(arm=arm, step=within.step)) / per_seed(within)


def least_ratio(arms: tuple[str, ...], *variables: str):
    """The least of these ratios over the arms in which something was at the edge."""
    return lambda ds: least([ratio(ds, arm, variable) for arm in arms for variable in variables])


def impossible(ds) -> xr.DataArray:
    """Whether the mean value of a batch was ever above 0, the largest possible one: 1 or 0."""
    return per_seed((curve(ds, "k1-n2", "q").max("step") > 0).astype(float))


def box_ratio(ds) -> xr.DataArray:
    """Spread of the critics at the edge over that within reach, means over the plane of the box world."""
    spread, reach = curve(ds, "box", "box_spread").isel(step=-1), ds.box_reach.sel(arm="box")
    return per_seed(spread.where(reach == EDGE)) / per_seed(spread.where(reach == WITHIN))


def only(variable: str):
    """A variable of the exact arm."""
    return lambda ds: ds[variable].sel(arm="exact")


def grid_mean(ds, **chosen) -> xr.DataArray:
    """Mean score over the part of the grid with the given level or model."""
    place = {"level": 0, "model": 1}
    arms = [arm for point, arm in GRID.items() if all(point[place[name]] == value for name, value in chosen.items())]
    return xr.concat([last(ds, arm, "score") for arm in arms], "point").mean("point")


def data_over_dynamics(ds) -> xr.DataArray:
    """Points that wider data bring, minus those that the true dynamics bring, each the mean over the grid."""
    data = grid_mean(ds, level="medium") - grid_mean(ds, level="expert")
    return data - (grid_mean(ds, model="true") - grid_mean(ds, model="learned"))


TABLE = ("k1-n2", "k1-n10", "k1-patch", "k5-n2", "k5-n10", "k40-n2")
TEN = ("k1-n10", "k5-n10")  # for two critics, mean minus least is the standard deviation
OTHERS = (
    "long-k5-n2",
    "long-k5-n10",
    "learned-penalised",
    *(arm for arm in GRID.values() if arm not in TABLE),
    *MIX_ARMS,
)
CALIBRATED = "calibrated on the card"
HERE = "threshold set before any run"
LEARNED = cell("expert", "learned", 5, 2)
PENALTIES = cell("medium", "learned", 5, 10)
FINDINGS = [
    Finding("F1a", "In the true dynamics long rollouts succeed and short ones fail: score at k = 40 minus k = 1.",
            "Table 1", gain("k40-n2", "k1-n2"), AtLeast(60.0), arms=("k1-n2", "k40-n2"), units="points"),
    Finding("F1b", "A middle horizon lies in between: distance of k = 5 from the nearer end.", "Table 1", between,
            AtLeast(0.0), arms=("k1-n2", "k5-n2", "k40-n2"), units="points"),
    Finding("F2a", "Values explode: final mean value minus the optimal one, k = 1.", "section 4",
            lambda ds: final(ds, "k1-n2", "overestimation"), AtLeast(12.0), arms=("k1-n2",), units="reward"),
    Finding("F2b", "They become impossible: share of seeds in which the mean value of a batch exceeds 0, though no "
            "reward is positive.", "section 4", impossible, AtLeast(1.0), arms=("k1-n2",)),
    Finding("F2c", "True values where the data have not been cut the overestimation by half.", "toy, OraclePatch",
            cut("k1-patch"), AtLeast(0.5), arms=("k1-n2", "k1-patch")),
    Finding("F2d", "So do ten critics.", CALIBRATED, cut("k1-n10"), AtLeast(0.5), arms=("k1-n2", "k1-n10")),
    Finding("F3a", "Pessimism about values helps where the dynamics are true: ten critics minus two at k = 5.",
            "Table 1", gain("k5-n10", "k5-n2"), AtLeast(12.0), arms=("k5-n2", "k5-n10"), units="points"),
    Finding("F3b", "More so after 20,000 updates.", CALIBRATED, gain("long-k5-n10", "long-k5-n2"), AtLeast(30.0),
            arms=("long-k5-n2", "long-k5-n10"), since="thorough", units="points"),
    Finding("F4a", "Critics disagree more at the edge: ratio of spreads, the least of the arms on expert data in the "
            "true dynamics.", "Fig. 5", least_ratio(TABLE, "spread"), AtLeast(2.5), arms=TABLE),
    Finding("F4b", "So does the penalty that the minimum implies, where there are ten critics.", "Fig. 5",
            least_ratio(TEN, "penalty"), AtLeast(2.5), arms=TEN),
    Finding("F4c", "Both hold on other data, in other dynamics and after more updates: the least ratio of either.",
            "Fig. 5", least_ratio(OTHERS, "spread", "penalty"), AtLeast(2.5), arms=OTHERS, since="thorough"),
    Finding("F5a", "With data of wide coverage the same short rollouts do much better: medium minus expert data.",
            CALIBRATED, gain("medium-k1-n2", "k1-n2"), AtLeast(40.0), arms=("k1-n2", "medium-k1-n2"),
            since="thorough", units="points", control=True),
    Finding("F5b", "There pessimism only slows learning: ten critics minus two at k = 5.", CALIBRATED,
            gain("medium-k5-n10", "medium-k5-n2"), AtMost(0.0), arms=("medium-k5-n2", "medium-k5-n10"),
            since="thorough", units="points", control=True),
    Finding("F5c", "With a learned model there a penalty for its uncertainty helps.", CALIBRATED,
            gain("learned-penalised", "learned-plain"), AtLeast(20.0), arms=("learned-plain", "learned-penalised"),
            since="thorough", units="points", control=True),
    Finding("F5d", "There the penalty of MOPO ranks transitions as the penalty implied by the minimum of ten critics.",
            "Fig. 6", lambda ds: last(ds, PENALTIES, "penalty_correlation"), AtLeast(0.0), published="positive",
            arms=(PENALTIES,), since="thorough"),
    Finding("F5e", "Reach decides, not the error of the dynamics: what medium data bring over expert data, minus what "
            "the true dynamics bring over learned ones; means over the grid.", HERE, data_over_dynamics, AtLeast(0.0),
            arms=tuple(GRID.values()), since="thorough", units="points"),
    Finding("F6a", "Labels of reach in the box world are exact: contradictions by rollouts.", "definition 1",
            only("wrong_labels"), AtMost(0.0), published=0.0, arms=("exact",)),
    Finding("F6b", "Errors come back along a path as gamma^(k - t) times the error at the edge: deviation.",
            "proposition 1", only("propagation_gap"), AtMost(1e-5), published=0.0, arms=("exact",)),
    Finding("F6c", "Learning from the void diverges at the rate 1 + alpha (gamma c - 1): deviation.", "proposition 1",
            only("growth_gap"), AtMost(1e-4), published=0.0, arms=("exact",)),
    Finding("F6d", "In the box world too critics disagree more at the edge: ratio of spreads.", HERE, box_ratio,
            AtLeast(1.0), arms=("box",)),
    Finding("F7a", "Rollouts of a random model teach nothing.", HERE, lambda ds: last(ds, "mix-0", "score"),
            AtMost(20.0), arms=("mix-0",), since="thorough", units="points", control=True),
    Finding("F7b", "On expert data a better model does not rescue short rollouts: score in the truth minus in the "
            "learned model, k = 5.", "interpolation experiment", gain("k5-n2", LEARNED), AtMost(20.0),
            arms=("k5-n2", LEARNED), since="thorough", units="points"),
    Finding("F7c", "Nor does a model a quarter of the way before or behind: the better of both minus the learned one.",
            HERE, lambda ds: np.maximum(gain("mix-25", LEARNED)(ds), gain("mix-75", LEARNED)(ds)), AtMost(20.0),
            arms=("mix-25", "mix-75", LEARNED), since="thorough", units="points"),
    *(
        Finding(f"F8-{task}-values", f"{TASKS[task].id}: pessimism about values helps in the simulator itself: RAVL "
                "minus the base.", "Table 1", gain(f"{task}-ravl", f"{task}-true"), AtLeast(20.0),
                published="the base near random, RAVL keeps its score", arms=(f"{task}-ravl", f"{task}-true"),
                since="full", units="points")
        for task in TASKS
    ),
    *(
        Finding(f"F8-{task}-dynamics", f"{TASKS[task].id}: with a penalty a learned model does better than the truth, "
                "whose penalty is zero.", "Table 1", gain(f"{task}-learned", f"{task}-true"), AtLeast(20.0),
                published="the base near random in the truth", arms=(f"{task}-learned", f"{task}-true"),
                since="full", units="points")
        for task in TASKS
    ),
]  # fmt: skip
