"""Scores of agents: normalised returns, and their statistics over runs and tasks."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float

from separatrix.study.statistics import interquartile_mean

__all__ = [
    "D4RL_RETURNS",
    "ScoreSummary",
    "normalised_score",
    "optimality_gap",
    "performance_profile",
    "summarise_scores",
]

D4RL_RETURNS = {
    "hopper": (-20.272305, 3234.3),
    "halfcheetah": (-280.178953, 12135.0),
    "walker2d": (1.629008, 4592.3),
    "ant": (-325.6, 3879.7),
    "pendulum": (-1233.0, -159.0),
}
"""Returns of a random and of an expert policy; the pendulum's are this project's own."""


def normalised_score(returns: ArrayLike, reference: str | tuple[float, float]) -> Float[np.ndarray, "*shape"]:
    """Scale returns so that a random policy scores 0 and an expert 100.

    Args:
        returns: undiscounted returns.
        reference: returns of a random and of an expert policy, or a name of `D4RL_RETURNS`.

    Returns:
        Scores, of the same shape.

    Raises:
        ValueError: if the name is unknown, or the two returns are equal.

    References:
        Fu et al. (2020), D4RL, arXiv:2004.07219.

    Examples:
        >>> normalised_score([-1233.0, -159.0, -696.0], "pendulum").tolist()
        [0.0, 100.0, 50.0]
    """
    if isinstance(reference, str):
        if reference not in D4RL_RETURNS:
            raise ValueError(f"there are no reference returns of {reference!r}; known are {', '.join(D4RL_RETURNS)}.")
        reference = D4RL_RETURNS[reference]
    low, high = reference
    if low == high:
        raise ValueError(f"the two reference returns must differ; got {reference}.")
    return 100 * (np.asarray(returns, float) - low) / (high - low)


class ScoreSummary(NamedTuple):
    """A statistic with its interval.

    Attributes:
        value: the interquartile mean: the mean of the middle half of all runs and tasks.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def summarise_scores(scores: Float[ArrayLike, "runs tasks"], *, resamples: int = 2_000, seed: int = 0) -> ScoreSummary:
    """Interquartile mean over runs and tasks, with a bootstrap over the runs of each task.

    Args:
        scores: a column a task.
        resamples: bootstrap samples; runs are drawn anew within each task.
        seed: of the resamples.

    Returns:
        The statistic and its 95 % percentile interval.

    Raises:
        ValueError: if the scores are no matrix.

    References:
        Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical Precipice, NeurIPS.

    Examples:
        >>> import numpy as np
        >>> summarise_scores(np.arange(100.0)[:, None]).value
        49.5
    """
    scores = _matrix(scores)
    runs, tasks = scores.shape
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, runs, (resamples, runs, tasks))
    values = [float(interquartile_mean(scores[draw, np.arange(tasks)])) for draw in draws]
    low, high = np.quantile(values, [0.025, 0.975])
    return ScoreSummary(float(interquartile_mean(scores)), float(low), float(high))


def performance_profile(scores: Float[ArrayLike, "runs tasks"], thresholds: ArrayLike) -> Float[np.ndarray, " n"]:
    """Share of runs and tasks that score above each threshold.

    Args:
        scores: a column a task.
        thresholds: shape `(n,)`.

    Returns:
        Shares, falling with the threshold.

    Examples:
        >>> performance_profile([[0.0, 1.0], [2.0, 3.0]], [0.5, 2.5]).tolist()
        [0.75, 0.25]
    """
    return (_matrix(scores).reshape(-1, 1) > np.asarray(thresholds, float)).mean(axis=0)


def optimality_gap(scores: Float[ArrayLike, "runs tasks"], target: float = 100.0) -> float:
    """Mean amount by which scores fall short of a target; what exceeds it does not count.

    Args:
        scores: a column a task.
        target: the score of an expert.

    Returns:
        The gap.

    Examples:
        >>> optimality_gap([[50.0, 150.0]])
        25.0
    """
    return float(np.maximum(target - _matrix(scores), 0).mean())


def _matrix(scores: ArrayLike) -> Float[np.ndarray, "runs tasks"]:
    scores = np.asarray(scores, float)
    if scores.ndim != 2 or not scores.size:
        raise ValueError(f"`scores` must be a matrix, a row a run and a column a task; got shape {scores.shape}.")
    return scores
