"""The largest Lyapunov exponent from data alone: how fast neighbours in reconstructed state space part."""

from typing import NamedTuple

import numpy as np
from jaxtyping import ArrayLike, Float
from scipy.spatial import KDTree

__all__ = ["NeighbourExponent", "delay_embed", "largest_exponent_from_data"]


class NeighbourExponent(NamedTuple):
    """Estimate of the largest exponent.

    Attributes:
        exponent: slope of the mean logarithm of the separation, nats per unit time.
        low: lower end of the 95 % interval, from blocks of reference points drawn with replacement.
        high: upper end.
        times: of the separation curve, in units of time.
        separation: mean logarithm of the distance between neighbours at those times; look whether it is straight.
        fitted: which of the times the line was fitted to.
    """

    exponent: float
    low: float
    high: float
    times: np.ndarray
    separation: np.ndarray
    fitted: np.ndarray


def delay_embed(x: Float[ArrayLike, " t"], dimension: int, lag: int) -> Float[np.ndarray, "n dimension"]:
    """Delay coordinates `x[i], x[i + lag], ...` of a series.

    Args:
        x: a scalar series.
        dimension: number of coordinates.
        lag: samples between them.

    Returns:
        Array of shape `(t - (dimension - 1) lag, dimension)`.

    Raises:
        ValueError: if the series is too short.

    Examples:
        >>> delay_embed([0, 1, 2, 3], 2, 2).tolist()
        [[0.0, 2.0], [1.0, 3.0]]
    """
    x = np.asarray(x, float)
    count = len(x) - (dimension - 1) * lag
    if count < 1:
        raise ValueError(f"{len(x)} samples are too few for {dimension} coordinates {lag} apart.")
    return np.stack([x[j * lag : j * lag + count] for j in range(dimension)], axis=1)


def largest_exponent_from_data(
    x: Float[ArrayLike, "t *dim"],
    dt: float,
    theiler: int,
    horizon: int,
    *,
    skip: int = 0,
    neighbours: int = 1,
    dimension: int = 1,
    lag: int = 1,
    ceiling: float = 0.1,
    resamples: int = 500,
    blocks: int = 20,
    seed: int = 0,
) -> NeighbourExponent:
    """Estimate the largest Lyapunov exponent from a trajectory.

    For each point the nearest neighbours outside the Theiler window are followed, and the mean logarithm of their
    separation is fitted by a line over `skip .. horizon` samples (Rosenstein's method; with many neighbours it is close
    to Kantz's). Times at which the separation exceeds `ceiling` of the attractor's size are left out of the fit,
    because there it saturates. The interval tells of sampling only; a curve without a straight part has no exponent.

    Args:
        x: trajectory `(t, dim)`, or a scalar series `(t,)`, for which `dimension` and `lag` embed it.
        dt: time between samples.
        theiler: samples by which neighbours must differ in time; about one period.
        horizon: samples over which separations are followed.
        skip: samples before the fit, while separations turn into the unstable direction.
        neighbours: neighbours of each point.
        dimension: delay coordinates of a scalar series.
        lag: samples between delay coordinates.
        ceiling: largest separation in the fit, as a fraction of the root mean square distance of two points.
        resamples: bootstrap resamples.
        blocks: stretches of time that are resampled as a whole.
        seed: of the bootstrap.

    Returns:
        The exponent with its interval and the curve it comes from.

    Raises:
        ValueError: if the series is too short, constant or not finite.

    References:
        Rosenstein, Collins, De Luca (1993), Physica D 65, 117-134. Kantz (1994), Physics Letters A 185, 77-87.

    Examples:
        >>> from separatrix.systems import get, simulate
        >>> orbit = simulate(get("Logistic", r=4.0), 2000).x.values
        >>> bool(abs(largest_exponent_from_data(orbit, 1.0, 5, 6).exponent - np.log(2)) < 0.07)
        True
    """
    x = np.asarray(x, float)
    points = delay_embed(x.reshape(-1), dimension, lag) if x.ndim == 1 else x
    count = len(points) - horizon
    if not np.isfinite(points).all():
        raise ValueError("the series has NaN or infinite values; cut or fill them first.")
    if count <= 2 * theiler + neighbours + blocks:
        raise ValueError(f"{len(x)} samples are too few for horizon={horizon} and theiler={theiler}.")
    size = np.sqrt(2 * points.var(axis=0).sum())
    if size == 0:
        raise ValueError("the series is constant.")
    partner = _neighbours(points[:count], theiler, neighbours)
    i = np.repeat(np.arange(count), neighbours)
    j = partner.reshape(-1)
    near = j >= 0
    i, j = i[near], j[near]
    if len(i) < blocks:
        raise ValueError("too few points have a neighbour outside the Theiler window; give a longer series.")
    steps = np.arange(horizon + 1)
    logs = np.empty((horizon + 1, len(i)))
    for s in steps:
        distance = np.linalg.norm(points[i + s] - points[j + s], axis=1)
        logs[s] = np.log(np.where(distance > 0, distance, np.nan))
    group = i * blocks // count
    sums = np.stack([np.nansum(logs[:, group == b], axis=1) for b in range(blocks)], axis=1)
    counts = np.stack([np.isfinite(logs[:, group == b]).sum(axis=1) for b in range(blocks)], axis=1)
    curve = sums.sum(axis=1) / counts.sum(axis=1)
    fitted = (steps >= skip) & (curve < np.log(ceiling * size))
    if fitted.sum() < 3:
        fitted = (steps >= skip) & (steps < skip + 3)
    times = dt * steps

    def slope(y):
        return float(np.polyfit(times[fitted], y[fitted], 1)[0])

    generator = np.random.default_rng(seed)
    drawn = generator.integers(blocks, size=(resamples, blocks))
    slopes = [slope(sums[:, d].sum(axis=1) / counts[:, d].sum(axis=1)) for d in drawn]
    low, high = np.quantile(slopes, [0.025, 0.975])
    return NeighbourExponent(slope(curve), float(low), float(high), times, curve, fitted)


def _neighbours(points: np.ndarray, theiler: int, wanted: int) -> np.ndarray:
    """Indices of the nearest points further than `theiler` in time, -1 where there is none."""
    tree = KDTree(points)
    found = np.full((len(points), wanted), -1)
    todo = np.arange(len(points))
    ask = min(len(points), 4 * wanted + 8)
    while len(todo):
        _, index = tree.query(points[todo], k=ask)
        index = np.asarray(index)
        fit = np.abs(index - todo[:, None]) > theiler
        enough = fit.sum(axis=1) >= wanted
        if ask == len(points):
            enough[:] = True
        order = np.argsort(~fit[enough], axis=1, kind="stable")[:, :wanted]
        chosen = np.take_along_axis(index[enough], order, axis=1)
        found[todo[enough]] = np.where(np.take_along_axis(fit[enough], order, axis=1), chosen, -1)
        todo = todo[~enough]
        ask = min(len(points), 4 * ask)
    return found
