"""Statistics of per-seed effects: an interval with honest small-sample coverage, sign flips, ranks, corrections.

Everything here works on plain arrays, needs no labels, and draws its random numbers from its own seeded generator, so
the same effects always give the same verdict.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "holm",
    "interquartile_mean",
    "mean_interval",
    "probability_of_improvement",
    "sign_flip_p",
]

# Calibrated once, by simulation on normal and log-normal samples at n = 5, 10, 20; see `mean_interval`.
_TAIL = 0.61  # share of the nominal tail that is used up to n = 10; tends to 1 beyond
_NARROWEST = 0.9  # an end is never nearer to the mean than this multiple of Student's
_WIDEST = 4.0  # ... nor farther than this multiple, nor than `_TRUST * n**2` times Student's
_TRUST = 0.056

_EXACT_UP_TO = 12  # 2**12 sign patterns are enumerated; more seeds are sampled


def mean_interval(
    effects: ArrayLike, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[NDArray[np.float64] | float, NDArray[np.float64] | float]:
    r"""Interval for the mean of per-seed effects: a studentised bootstrap, held near Student's where seeds are few.

    With `z` the standardised effects, each resample gives `t* = mean(z*) / (sd(z*) / sqrt(n))`; resamples without
    spread (all draws equal) have no `t*` and are left out. With `t` Student's quantile, the ends lie at

        mean - clip(q(1 - tail), near, far) * sd / sqrt(n)   and   mean + clip(-q(tail), near, far) * sd / sqrt(n),

    where `q` are quantiles of `t*`, `near = 0.9 t` and `far = min(0.056 n^2, 4) t` (never below `t`). Five values
    cannot show the shape of their distribution, so at n = 5 the interval stays within 1.4 times Student's; from n = 9
    on the bootstrap may make it as lopsided as the data. `tail` is `(1 - level) / 2` times 0.61 up to n = 10, rising to
    1 beyond, because a bootstrap sample varies less than a sample (Hesterberg 2015 widens the percentile interval for
    the same reason).

    Measured coverage in percent of the true mean by the 95 % interval (40,000 samples each, standard error 0.1):

    | samples               | n = 5 | n = 10 | n = 20 |
    | --------------------- | ----- | ------ | ------ |
    | normal                | 96.3  | 97.0   | 95.9   |
    | log-normal, sigma 0.5 | 93.8  | 96.0   | 95.4   |
    | log-normal, sigma 1   | 86.4  | 93.0   | 93.5   |
    | exponential           | 91.7  | 96.2   | 95.7   |

    So five seeds do **not** reach 93 % under a long tail (sigma 1: Student 82 %, percentile bootstrap 72 %, BCa 74 %).
    The misses are one-sided there: the true mean lies above `high` in 13.5 % and below `low` in 0.1 % of the samples,
    so with a long upper tail "at most" is the claim to distrust. An uncapped studentised bootstrap would cover 90 %, at
    2.6 times Student's width and with too little power to confirm real effects; this one is 1.2 times as wide as
    Student's at n = 5.

    Args:
        effects: finite values, one per seed along the last axis; leading axes are independent samples.
        level: nominal coverage, between 0 and 1.
        resamples: number of bootstrap resamples, at least 100.
        seed: of the generator that draws the resamples; the result is a function of the arguments alone.

    Returns:
        `(low, high)`, floats for one sample and arrays of the leading shape for several. A sample without spread gives
        a point; a single value says nothing of the spread and gives `(-inf, inf)`.

    Raises:
        ValueError: if there is no value, a value is not finite, or `level` or `resamples` is out of range.

    References:
        Hall (1988), Annals of Statistics 16, 927-953; Hesterberg (2015), The American Statistician 69, 371-386.
    """
    values = np.asarray(effects, dtype=np.float64)
    _check_interval_arguments(values, level, resamples)
    n = values.shape[-1]
    if n == 1:
        low, high = np.full(values.shape[:-1], -np.inf), np.full(values.shape[:-1], np.inf)
    else:
        flat = np.ptp(values, axis=-1) == 0.0  # else rounding gives equal values a spread
        mean = np.where(flat, values[..., 0], values.mean(-1))
        spread = np.where(flat, 0.0, values.std(-1, ddof=1))
        lower, upper = _bootstrap_t_quantiles(values, mean, spread, level, resamples, seed)
        student = _student_quantile(0.5 + level / 2, n - 1)
        near, far = _NARROWEST * student, max(1.0, min(_TRUST * n**2, _WIDEST)) * student
        error = spread / np.sqrt(n)
        low = mean - np.clip(upper, near, far) * error
        high = mean + np.clip(-lower, near, far) * error
    return (float(low), float(high)) if values.ndim == 1 else (low, high)


def _check_interval_arguments(values: NDArray[np.float64], level: float, resamples: int) -> None:
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ValueError(f"`effects` must hold at least one value along its last axis; got shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"`effects` must be finite; got {int((~np.isfinite(values)).sum())} that are not.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must lie between 0 and 1, for example 0.95; got {level}.")
    if resamples < 100:
        raise ValueError(f"`resamples` must be at least 100; got {resamples}.")


def _bootstrap_t_quantiles(
    values: NDArray[np.float64],
    mean: NDArray[np.float64],
    spread: NDArray[np.float64],
    level: float,
    resamples: int,
    seed: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper quantile of `t*` for each sample; 0 where no resample has spread."""
    n = values.shape[-1]
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=resamples).T / n
    z = (values - mean[..., None]) / np.where(spread > 0.0, spread, 1.0)[..., None]
    centre = z @ weights
    variance = (z**2 @ weights - centre**2) * (n / (n - 1))
    usable = variance > 1e-10
    t = np.where(usable, centre / np.sqrt(np.where(usable, variance, 1.0) / n), np.inf)
    t.sort(axis=-1)  # the unusable come last
    count = usable.sum(-1)
    tail = (1.0 - level) / 2 * (1.0 - (1.0 - _TAIL) * min(1.0, 10.0 / n))
    outside = np.floor(tail * np.maximum(count - 1, 0)).astype(np.int64)
    # The index of the upper quantile mirrors the lower one, so that negated effects give the mirrored interval.
    lower = np.take_along_axis(t, outside[..., None], axis=-1)[..., 0]
    upper = np.take_along_axis(t, np.maximum(count - 1 - outside, 0)[..., None], axis=-1)[..., 0]
    return np.where(count > 0, lower, 0.0), np.where(count > 0, upper, 0.0)


def _student_quantile(probability: float, degrees: int) -> float:
    from scipy.special import stdtrit  # a tenth of the import time of scipy.stats

    return float(stdtrit(degrees, probability))


def sign_flip_p(
    effects: ArrayLike,
    threshold: float = 0.0,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
    resamples: int = 10_000,
    seed: int = 0,
) -> float:
    """P-value of a paired sign-flip test that effects are symmetric about `threshold`.

    All `2**n` sign patterns are enumerated for n <= 12, so the smallest possible value is `2**-n` (one-sided) or
    `2**(1-n)`; above that, `resamples` random patterns are drawn and the observed one is counted among them.

    Args:
        effects: finite values, one per seed.
        threshold: centre of symmetry under the null hypothesis.
        alternative: "greater" if a mean above the threshold is evidence, "less", or "two-sided".
        resamples: random patterns for n > 12.
        seed: of the generator that draws them.

    Returns:
        The p-value, in (0, 1].

    Raises:
        ValueError: if `effects` is not a finite vector or `alternative` is unknown.
    """
    values = np.asarray(effects, dtype=np.float64) - threshold
    if values.ndim != 1 or values.size == 0 or not np.isfinite(values).all():
        raise ValueError(f"`effects` must be a vector of finite values, one per seed; got shape {values.shape}.")
    orient = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}
    if alternative not in orient:
        raise ValueError(f"`alternative` must be one of {', '.join(orient)}; got {alternative!r}.")
    n = values.size
    exact = n <= _EXACT_UP_TO
    if exact:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], size=(resamples, n))
    statistic = orient[alternative]
    observed = statistic(values.sum())
    slack = 1e-12 * np.abs(values).sum()  # rounding must not break ties with the observed pattern
    as_extreme = int((statistic(signs @ values) >= observed - slack).sum())
    return as_extreme / 2**n if exact else (as_extreme + 1) / (resamples + 1)


def probability_of_improvement(x: ArrayLike, y: ArrayLike) -> float:
    """Probability that a run of `x` beats a run of `y`, ties counting half; the mean of it over tasks.

    Args:
        x: scores, shape `(runs,)` or `(runs, tasks)`; higher is better.
        y: scores of the rival with the same tasks; the number of runs may differ.

    Returns:
        A number in [0, 1]: the Mann-Whitney statistic divided by the number of pairs.

    Raises:
        ValueError: if the tasks differ or there are no runs.

    References:
        Agarwal et al. (2021), NeurIPS, "Deep reinforcement learning at the edge of the statistical precipice".
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if a.ndim == 0 or b.ndim == 0 or a.shape[1:] != b.shape[1:] or a.size == 0 or b.size == 0:
        raise ValueError(f"`x` and `y` must have runs first and the same tasks after; got {a.shape} and {b.shape}.")
    return float((np.greater(a[:, None], b[None]) + 0.5 * np.equal(a[:, None], b[None])).mean())


def interquartile_mean(x: ArrayLike, axis: int | None = None) -> NDArray[np.float64] | float:
    """Mean of the middle half: `floor(n / 4)` values are dropped at each end.

    Args:
        x: values.
        axis: the axis to reduce; None pools all values (runs and tasks alike).

    Returns:
        A float if one number remains, else an array.

    Raises:
        ValueError: if the axis is empty.
    """
    values = np.asarray(x, dtype=np.float64)
    ordered = np.sort(values.ravel() if axis is None else np.moveaxis(values, axis, -1), axis=-1)
    n = ordered.shape[-1]
    if n == 0:
        raise ValueError("`x` must hold at least one value along the axis; got none.")
    middle = ordered[..., n // 4 : n - n // 4].mean(-1)
    return float(middle) if middle.ndim == 0 else middle


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down adjustment: rejecting where it is at most alpha keeps the family-wise error below alpha.

    Args:
        p_values: one p-value per hypothesis, each in [0, 1].

    Returns:
        Adjusted p-values in the given order.

    Raises:
        ValueError: if a value is not a probability.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0.0) & (p <= 1.0)).all():
        raise ValueError(f"`p_values` must be a vector of probabilities; got {p_values!r}.")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return adjusted
