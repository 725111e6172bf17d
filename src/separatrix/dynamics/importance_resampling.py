"""Importance resampling: integrate anew from where the model errs most."""

import dataclasses
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Key
from scipy.signal import savgol_filter

from separatrix._core.keys import named_key
from separatrix.systems.forecast_error import smape
from separatrix.systems.sampling import simulate

__all__ = ["ResampledTraining", "importance_probabilities", "importance_resample", "resampled_training"]


def importance_probabilities(
    errors: Float[ArrayLike, " T"], power: float = 4.0, *, window: int = 51, order: int = 3
) -> Float[np.ndarray, " T"]:
    """Probabilities proportional to a power of smoothed squared errors.

    Args:
        errors: squared error of a back-test at each time.
        power: 0 gives equal probabilities, the control.
        window: of the local polynomial that smooths (Savitzky and Golay); shortened for short series.
        order: its degree.

    Returns:
        Probabilities that sum to 1. Negative smoothed values count as 0.

    Examples:
        >>> importance_probabilities([1.0, 1.0, 2.0], window=1, order=0).round(3).tolist()
        [0.056, 0.056, 0.889]
    """
    errors = np.asarray(errors, float)
    if not np.isfinite(errors).all() or (errors < 0).any():
        raise ValueError("squared errors must be finite and not negative.")
    window = min(window, len(errors) - (len(errors) + 1) % 2)
    smooth: Any = savgol_filter(errors, window, order) if window > order + 1 else errors
    smooth = np.maximum(smooth, 0.0)
    if power == 0 or smooth.max() == 0:
        return np.full(len(errors), 1 / len(errors))
    weights = (smooth / smooth.max()) ** power
    return weights / weights.sum()


def importance_resample(
    states: Float[ArrayLike, "T D"],
    errors: Float[ArrayLike, " T"],
    n: int,
    key: Key[Array, ""],
    *,
    power: float = 4.0,
    jitter: float = 1e-2,
) -> Float[np.ndarray, "n D"]:
    """Draw initial states from a trajectory, where a model errs most.

    Args:
        states: of the system along a trajectory.
        errors: squared error of the model at each of them.
        n: number of states to draw, with replacement.
        key: drives the draw.
        power: see `importance_probabilities`.
        jitter: width of the uniform noise added to each coordinate, in standard deviations of the trajectory.

    Returns:
        The states.

    References:
        Gilpin (2021), arXiv:2110.05266, section 5.3.

    Examples:
        >>> path, errors = np.arange(5.0)[:, None], np.array([0, 0, 0, 1.0, 0])
        >>> importance_resample(path, errors, 2, jr.key(0), jitter=0.0).tolist()
        [[3.0], [3.0]]
    """
    states = np.asarray(states, float)
    if len(states) != len(np.asarray(errors)):
        raise ValueError(f"there must be one error a state; got {len(states)} and {len(np.asarray(errors))}.")
    smoothing = 51 if len(states) > 51 else 1
    p = importance_probabilities(errors, power, window=smoothing, order=3 if smoothing > 1 else 0)
    rng = np.random.default_rng(np.asarray(jr.key_data(named_key(key, "importance"))))
    chosen = states[rng.choice(len(states), n, p=p)]
    return chosen + jitter * states.std(axis=0) * rng.uniform(-0.5, 0.5, chosen.shape)


class ResampledTraining(NamedTuple):
    """Result of `resampled_training`.

    Attributes:
        smape: of the forecast after the reference trajectory, on the scale of 2.
        forecast: first coordinate.
        truth: what came.
        steps: gradient steps that were taken.
        starts: initial states of each round, `(rounds, trajectories, D)`.
    """

    smape: float
    forecast: Float[np.ndarray, " ahead"]
    truth: Float[np.ndarray, " ahead"]
    steps: int
    starts: Float[np.ndarray, "rounds trajectories D"]


def resampled_training(
    system: Any,
    build: Any,
    key: Key[Array, ""],
    *,
    power: float | None = 4.0,
    rounds: int = 5,
    epochs: int = 30,
    points: int = 1_000,
    ahead: int = 200,
    trajectories: int = 10,
    length: int = 150,
    drop: int = 2,
    window: int = 50,
    batch: int = 32,
    rate: float = 1e-3,
    pts_per_period: float = 100,
    initial: Float[ArrayLike, " D"] | None = None,
) -> ResampledTraining:
    """Train a forecaster of the first coordinate in rounds, each on new trajectories from chosen initial states.

    In each round the model's one-step squared errors along a reference trajectory choose the initial states of new
    trajectories, on which it is trained for `epochs` passes. The score is the forecast of what follows the reference.
    The first round starts from an untrained network, so its errors say where the network's start is worst.

    Args:
        system: a flow.
        build: `(window, chunk, D, key) -> network`, as for `forecasting.WindowForecaster`; rows of its output continue
            rows of its input.
        key: drives everything.
        power: of the importance; 0 draws uniformly; None never draws: it trains on the reference trajectory alone, for
            exactly twice the gradient steps of all rounds, the paper's fixed baseline.
        rounds: number of rounds.
        epochs: passes over the data of a round; trajectories that end early change the data, not the steps.
        points: of the reference trajectory.
        ahead: points to forecast after it.
        trajectories: new trajectories of a round.
        length: of each.
        drop: first points of each that are left out.
        window: of the network.
        batch: windows of a step.
        rate: Adam's step size.
        pts_per_period: granularity.
        initial: start of the reference trajectory, on the attractor; the system's own by default.

    Returns:
        The score and what led to it.

    References:
        Gilpin (2021), arXiv:2110.05266, section 5.3.
    """
    reference = simulate(system, points + ahead, pts_per_period=pts_per_period, initial=initial)
    data = reference.x.values[:, :1]
    mean, scale = data[:points].mean(), data[:points].std()
    z = (data - mean) / scale
    states = _states(system, reference, points, initial, pts_per_period)
    network = build(window, 1, 1, named_key(key, "network"))
    arrays, static = eqx.partition(network, eqx.is_inexact_array)
    optimiser = optax.adam(rate)
    memory = optimiser.init(arrays)
    span = window + 1
    count = math.ceil(trajectories * (length - drop - window) * epochs / batch)
    starts, steps = [], 0
    for r in range(1 if power is None else rounds):
        own = named_key(key, f"round {r}")
        if power is None:
            parts, count = z[None, :points], 2 * rounds * count
        else:
            errors = np.asarray(_one_step(arrays, static, jnp.asarray(z[:points]), window))
            chosen = importance_resample(states[window:], errors, trajectories, own, power=power)
            fresh = simulate(system, length, pts_per_period=pts_per_period, initial=chosen)
            complete = fresh.complete.values
            parts = ((np.swapaxes(fresh.x.values, 0, 1)[:, drop:, :1] - mean) / scale)[complete]
            starts.append(chosen)
        rows = np.concatenate([_rows(part, span) for part in parts])
        arrays, memory = _train(arrays, memory, static, optimiser.update, jnp.asarray(rows), own, count, batch)
        steps += count
    guess = np.asarray(_run_on(arrays, static, jnp.asarray(z[points - window : points]), ahead))[:, 0] * scale + mean
    truth = data[points:, 0]
    return ResampledTraining(smape(truth, guess, scale=2.0), guess, truth, steps, np.array(starts))


def _states(system: Any, reference: Any, points: int, initial: Any, pts_per_period: float) -> np.ndarray:
    if getattr(system, "reported", None) is None:
        return reference.x.values[:points]
    plain = dataclasses.replace(system, reported=None)  # reported coordinates are no states to start from
    total = reference.sizes["time"]
    return simulate(plain, total, pts_per_period=pts_per_period, initial=initial).x.values[:points]


def _rows(part: np.ndarray, span: int) -> np.ndarray:
    return part[np.arange(len(part) - span + 1)[:, None] + np.arange(span)]


@eqx.filter_jit
def _one_step(arrays, static, z, window):
    network = eqx.combine(arrays, static)
    rows = z[jnp.arange(len(z) - window)[:, None] + jnp.arange(window)]
    guess = jax.lax.map(lambda row: network(row)[-1], rows, batch_size=256)
    return jnp.sum((guess - z[window:]) ** 2, axis=1)


@eqx.filter_jit
def _train(arrays, memory, static, update, rows, key, count, batch):
    def loss(arrays, batch_rows):
        out = jax.vmap(eqx.combine(arrays, static))(batch_rows[:, :-1])
        return jnp.mean((out - batch_rows[:, batch_rows.shape[1] - out.shape[1] :]) ** 2)

    def step(i, carry):
        arrays, memory = carry
        index = jr.randint(jr.fold_in(key, i), (batch,), 0, len(rows))
        updates, memory = update(jax.grad(loss)(arrays, rows[index]), memory, arrays)
        return optax.apply_updates(arrays, updates), memory

    return jax.lax.fori_loop(0, count, step, (arrays, memory))


@eqx.filter_jit
def _run_on(arrays, static, context, steps):
    network = eqx.combine(arrays, static)

    def advance(row, _):
        new = jnp.clip(network(row)[-1:], -1e3, 1e3)
        return jnp.concatenate([row[1:], new]), new[0]

    return jax.lax.scan(advance, context, length=steps)[1]
