"""Scores of trained models by their own long orbits: geometry, spectrum and short forecasts."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from separatrix.dynamics.generation import generate
from separatrix.systems.attractor_distance import d_hellinger, d_stsp_binned, d_stsp_gmm
from separatrix.systems.forecast_error import prediction_error

__all__ = ["free_orbits", "orbit_scores", "short_errors"]

BINNED_UP_TO = 5  # variables; histograms of more have too many cells


@eqx.filter_jit
def _orbits(models, starts, count):
    return eqx.filter_vmap(lambda model, start: generate(model.step, start, count))(models, starts)


@eqx.filter_jit
def _errors(models, starts, targets, n):
    score = lambda model, start, target: prediction_error(model.step, start, target, n)  # noqa: E731
    return eqx.filter_vmap(score)(models, starts, targets)


def free_orbits(
    models: Any, starts: Float[Array, "members M"], points: int, discard: int = 0
) -> Float[np.ndarray, "members points M"]:
    """Free-running orbits of a population of models.

    Args:
        models: models with `step(z)` whose arrays have the members along their first axis.
        starts: where each starts.
        points: number of points kept.
        discard: number of points before them.

    Returns:
        The orbits.
    """
    return np.asarray(_orbits(models, starts, points + discard))[:, discard:]


def orbit_scores(true: Float[np.ndarray, "T N"], orbit: Float[np.ndarray, "S N"], bins: int = 30) -> dict[str, float]:
    """Distances of a generated orbit from a true series.

    Args:
        true: the true series.
        orbit: the generated one; the longer of the two is cut for the spectrum.
        bins: of each variable's histogram, where there are at most 5 variables; with more, Gaussian mixtures are used.

    Returns:
        `d_stsp` (state space) and `d_hellinger` (power spectrum).

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(400, 2))
        >>> orbit_scores(x, x)
        {'d_stsp': 0.0, 'd_hellinger': 0.0}
    """
    state_space = d_stsp_binned(true, orbit, bins) if true.shape[1] <= BINNED_UP_TO else d_stsp_gmm(true, orbit)
    count = min(len(true), len(orbit))
    finite = np.isfinite(orbit).all()
    return {"d_stsp": state_space, "d_hellinger": d_hellinger(true[:count], orbit[:count]) if finite else np.nan}


def short_errors(
    models: Any, states: Float[Array, "members T M"], series: Float[np.ndarray, "members T N"], n: int = 20
) -> Float[np.ndarray, " members"]:
    """Prediction errors PE(n) of a population of models, from every time of a series.

    Args:
        models: as in `free_orbits`.
        states: state inferred at each time, for each member.
        series: measurements at the same times; the first N units are compared.
        n: steps ahead.

    Returns:
        Mean squared errors.
    """
    ahead = jax.numpy.asarray(series[:, n:], states.dtype)
    return np.asarray(_errors(models, states[:, : states.shape[1] - n], ahead, n))
