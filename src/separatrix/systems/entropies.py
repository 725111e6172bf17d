"""Entropies of a series: sample entropy, and composite fuzzy entropy over many scales."""

import numpy as np
from jaxtyping import ArrayLike, Float

__all__ = ["fuzzy_entropy", "multiscale_entropy", "sample_entropy"]

_CHUNK = 2_000_000  # distances held at once


def sample_entropy(x: Float[ArrayLike, " t"], m: int = 2, tolerance: float = 0.2) -> float:
    """Sample entropy `-ln(A / B)`: how seldom stretches that agree over `m` samples agree over one more.

    Args:
        x: a scalar series.
        m: length of the stretches.
        tolerance: two stretches agree when no sample differs by more than this many standard deviations.

    Returns:
        Nats; infinity when no stretches of length `m + 1` agree, NaN for a constant series.

    Raises:
        ValueError: if the series is too short.

    References:
        Richman, Moorman (2000), Am. J. Physiol. 278, H2039-H2049.

    Examples:
        >>> import numpy as np
        >>> sample_entropy(np.tile([0.0, 1.0], 50)).__round__(6)  # a period repeats for ever
        0.0
    """
    short, long = _agreement(x, m, tolerance, lambda distance, radius: distance <= radius, centred=False)
    return _minus_log(long, short)


def fuzzy_entropy(x: Float[ArrayLike, " t"], m: int = 2, tolerance: float = 0.2, radius: float | None = None) -> float:
    """Fuzzy entropy: sample entropy with the agreement `exp(-distance / radius)` of stretches freed of their means.

    Args:
        x: a scalar series.
        m: length of the stretches.
        tolerance: radius in standard deviations of the series.
        radius: radius in units of the series, in place of `tolerance`.

    Returns:
        Nats; NaN for a constant series.

    Raises:
        ValueError: if the series is too short.

    References:
        Chen, Wang, Xie, Yu (2007), IEEE Trans. Neural Syst. Rehabil. Eng. 15, 266-272.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(size=500)
        >>> fuzzy_entropy(noise) > fuzzy_entropy(np.sin(np.arange(500) / 10))
        True
    """
    grade = lambda distance, r: np.exp(-distance / r)  # noqa: E731
    short, long = _agreement(x, m, tolerance, grade, centred=True, radius=radius)
    return _minus_log(long, short)


def multiscale_entropy(x: Float[ArrayLike, "t *dim"], *, scales: int = 20, m: int = 2, tolerance: float = 0.2) -> float:
    """Composite fuzzy entropy, averaged over time scales, of the median coordinate.

    Each coordinate is standardised. At scale `s` it is averaged over stretches of `s` samples, in each of the `s` ways
    to begin, and the fuzzy entropies of those series are averaged. The radius stays that of the first scale. The mean
    over scales, by the trapezoidal rule, is the coordinate's value. For comparison between systems use 3000 points at
    100 points in a period.

    Args:
        x: `(t, dim)` or `(t,)`.
        scales: number of scales, 1 .. scales.
        m: length of the stretches that are compared.
        tolerance: radius of agreement in standard deviations.

    Returns:
        Nats; NaN for constant series.

    Raises:
        ValueError: if the series is too short for the coarsest scale.

    References:
        Costa, Goldberger, Peng (2002), Phys. Rev. Lett. 89, 068102. Wu, Wu, Lin, Lee, Lin (2013), Entropy 15,
        1069-1084, for the composite.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(size=300)
        >>> multiscale_entropy(noise, scales=5) > multiscale_entropy(np.sin(np.arange(300) / 20), scales=5)
        True
    """
    x = np.asarray(x, float).reshape(len(x), -1)  # pyright: ignore[reportArgumentType]
    values = []
    for column in x.T:
        deviation = column.std()
        if deviation == 0:
            values.append(np.nan)
            continue
        series = (column - column.mean()) / deviation
        curve = []
        for scale in range(1, scales + 1):
            coarse = [_coarse(series, scale, begin) for begin in range(scale)]
            curve.append(np.mean([fuzzy_entropy(c, m, radius=tolerance) for c in coarse]))
        values.append(np.trapezoid(curve) / (scales - 1) if scales > 1 else curve[0])
    return float(np.median(values))


def _coarse(series: np.ndarray, scale: int, begin: int) -> np.ndarray:
    count = (len(series) - begin) // scale
    return series[begin : begin + count * scale].reshape(count, scale).mean(axis=1)


def _minus_log(long: float, short: float) -> float:
    if np.isnan(short) or short == 0:
        return float("nan")
    return float("inf") if long == 0 else float(np.log(short / long))


def _agreement(x, m, tolerance, grade, *, centred, radius=None) -> tuple[float, float]:
    """Mean agreement of pairs of stretches of length m, and of length m + 1, over the same beginnings."""
    x = np.asarray(x, float)
    count = len(x) - m
    if x.ndim != 1 or count < 3:
        raise ValueError(f"the series must be scalar and longer than {m + 2} samples; got shape {x.shape}.")
    deviation = x.std()
    if deviation == 0:
        return np.nan, np.nan
    r = tolerance * deviation if radius is None else radius
    totals = []
    for length in (m, m + 1):
        stretches = np.lib.stride_tricks.sliding_window_view(x, length)[:count]
        if centred:
            stretches = stretches - stretches.mean(axis=1, keepdims=True)
        columns = [np.ascontiguousarray(c) for c in stretches.T]
        rows, total = max(1, _CHUNK // count), 0.0
        for begin in range(0, count, rows):
            distance = np.zeros((min(rows, count - begin), count))
            for column in columns:
                np.maximum(distance, np.abs(column[begin : begin + rows, None] - column), out=distance)
            total += float(grade(distance, r).sum())
        totals.append(total - count)  # without each stretch's agreement with itself
    return totals[0], totals[1]
