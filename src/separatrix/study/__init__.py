"""The study machine: studies, their findings, the store and the verdicts.

Only what needs no JAX is imported here, so that the command line stays quick.
"""

from .errors import UsageError
from .figures import curves, points
from .files import StoreError
from .finding import AtLeast, AtMost, Between, Finding, Verdict, judge
from .remote_runs import pull
from .runs import find_runs
from .statistics import (
    holm,
    interquartile_mean,
    mean_interval,
    probability_of_improvement,
    sign_flip_p,
)
from .store import Store, open_run
from .study import Regime, Study
from .sweep import along_points, first_point
from .sweep_figures import along

__all__ = [
    "AtLeast",
    "AtMost",
    "Between",
    "Finding",
    "Regime",
    "Store",
    "StoreError",
    "Study",
    "UsageError",
    "Verdict",
    "along",
    "along_points",
    "curves",
    "find_runs",
    "first_point",
    "holm",
    "interquartile_mean",
    "judge",
    "mean_interval",
    "open_run",
    "points",
    "probability_of_improvement",
    "pull",
    "sign_flip_p",
]
