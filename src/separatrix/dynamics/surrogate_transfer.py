"""Transfer from chaotic surrogates: an autoencoder trained on chaotic series gives features for others."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, Float, Key
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from separatrix._core.keys import named_key
from separatrix.dynamics.feature_set import series_features
from separatrix.models.convolutional_autoencoder import ConvolutionalAutoencoder
from separatrix.systems.ensembles import ensemble

__all__ = [
    "TrainedAutoencoder",
    "code_features",
    "ridge_accuracy",
    "significant_frequency",
    "surrogate_series",
    "train_autoencoder",
]


def significant_frequency(
    x: Float[ArrayLike, "n T"], *, n_surrogates: int = 100, level: float = 0.95, most: int = 50, seed: int = 0
) -> float:
    """Frequency of a set of series: the strongest one that stands out from surrogates without correlations.

    Surrogates are the series in random order. (Phase-randomised ones have the periodogram of the series, so that a line
    cannot stand out from them.) Frequencies at which the mean windowed power exceeds that of a share `level` of
    surrogates count; the strongest of them is taken, or the strongest of all if none does.

    Args:
        x: series, one a row.
        n_surrogates: sets of surrogates.
        level: share of them that must have less power.
        most: series that are looked at.
        seed: of the surrogates.

    Returns:
        Cycles per sample.

    Examples:
        >>> wave = np.sin(2 * np.pi * np.arange(96) / 12)[None] + 0.1 * np.random.default_rng(0).normal(size=(5, 96))
        >>> round(1 / significant_frequency(wave), 1)
        12.0
    """
    x = np.asarray(x, float)[:most]
    window = np.hanning(x.shape[1] + 2)[1:-1]

    def power(rows):
        return np.mean(np.abs(np.fft.rfft(window * (rows - rows.mean(axis=-1, keepdims=True)), axis=-1)) ** 2, axis=0)

    own = power(x)
    rng = np.random.default_rng(seed)
    others = np.stack([power(rng.permuted(x, axis=1)) for _ in range(n_surrogates)])
    stands = (others < own).mean(axis=0) >= level
    stands[0] = False
    score = np.where(stands, own, -1.0) if stands.any() else np.r_[-1.0, own[1:]]
    return float(np.fft.rfftfreq(x.shape[1])[score.argmax()])


def surrogate_series(
    names: Iterable[str], pts_per_period: float, *, points: int = 1_000, **options: Any
) -> Float[np.ndarray, "systems points"]:
    """Standardised first coordinates of chaotic systems at a granularity.

    Args:
        names: of the catalogue.
        pts_per_period: granularity; twice the period of the target series, in samples, for matched surrogates.
        points: length of each series.
        **options: of `simulate`.

    Returns:
        One series a row; systems whose integration stops early are left out.

    Examples:
        >>> surrogate_series(["Henon"], 10, points=40).shape
        (1, 40)
    """
    parts = ensemble(names, points, pts_per_period=pts_per_period, standardize="series", **options)
    kept = [part.x.values[:, 0] for part in parts.values() if bool(part.complete)]
    return np.stack(kept)


class TrainedAutoencoder(NamedTuple):
    """The model, and its loss at each gradient step (variance left unexplained)."""

    model: ConvolutionalAutoencoder
    losses: Float[np.ndarray, " steps"]


def train_autoencoder(
    series: Float[ArrayLike, "n T"],
    key: Key[Array, ""],
    *,
    window: int = 100,
    windows: int = 10_000,
    epochs: int = 200,
    batch: int = 64,
    rate: float = 1e-3,
) -> TrainedAutoencoder:
    """Train an autoencoder on random windows of series, by Adam on the mean squared error.

    Args:
        series: standardised series, one a row.
        key: drives weights, windows and batches.
        window: samples of a window; series shorter than that are taken whole.
        windows: number of windows.
        epochs: passes over them.
        batch: windows of a step.
        rate: Adam's step size.

    Returns:
        Model and losses.

    Examples:
        >>> waves = np.sin(0.3 * np.arange(300.0) + np.arange(4.0)[:, None])
        >>> _, losses = train_autoencoder(waves, jr.key(0), windows=64, epochs=60, batch=16, rate=1e-2)
        >>> bool(losses[-1] < 0.3 * losses[0])
        True
    """
    series = np.asarray(series, float)
    window = min(window, series.shape[1])
    draw = named_key(key, "windows")
    row = jr.randint(named_key(draw, "row"), (windows,), 0, len(series))
    first = jr.randint(named_key(draw, "first"), (windows,), 0, series.shape[1] - window + 1)
    rows = jnp.asarray(series)[row[:, None], first[:, None] + jnp.arange(window)]
    model = ConvolutionalAutoencoder(named_key(key, "model"))
    steps = -(-epochs * windows // batch)
    arrays, static = eqx.partition(model, eqx.is_inexact_array)
    arrays, losses = _train(arrays, static, rows, named_key(key, "batches"), steps, batch, jnp.asarray(rate))
    trained: Any = eqx.combine(arrays, static)
    return TrainedAutoencoder(trained, np.asarray(losses))


@eqx.filter_jit
def _train(arrays, static, rows, key, steps, batch, rate):
    optimiser = optax.adam(rate)

    def loss(arrays, x):
        return jnp.mean((jax.vmap(eqx.combine(arrays, static))(x) - x) ** 2)

    def step(carry, i):
        arrays, memory = carry
        index = jr.randint(jr.fold_in(key, i), (batch,), 0, len(rows))
        value, slope = jax.value_and_grad(loss)(arrays, rows[index])
        updates, memory = optimiser.update(slope, memory, arrays)
        return (optax.apply_updates(arrays, updates), memory), value

    (arrays, _), losses = jax.lax.scan(step, (arrays, optimiser.init(arrays)), jnp.arange(steps))
    return arrays, losses


def code_features(model: ConvolutionalAutoencoder, x: Float[ArrayLike, "n T"]) -> Float[np.ndarray, "n features"]:
    """Features of the channels of the code of each series.

    Args:
        model: a trained autoencoder.
        x: series, one a row, each standardised here by itself.

    Returns:
        `series_features` of every channel, side by side.

    Examples:
        >>> code_features(ConvolutionalAutoencoder(jr.key(0)), np.random.default_rng(0).normal(size=(2, 60))).shape
        (2, 208)
    """
    x = np.asarray(x, float)
    deviation = x.std(axis=1, keepdims=True)
    z = (x - x.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1.0)
    short = 9 * model.stride - z.shape[1]
    if short > 0:  # a code has nine rows at least
        z = np.pad(z, ((0, 0), (0, short)), mode="edge")
    codes = np.asarray(_encode(model, jnp.asarray(z)))
    return np.concatenate([series_features(codes[..., k]) for k in range(codes.shape[2])], axis=1)


@eqx.filter_jit
def _encode(model, x):
    return jax.vmap(model.encode)(x)


def ridge_accuracy(
    train: Float[ArrayLike, "n p"], labels: ArrayLike, test: Float[ArrayLike, "m p"], truth: ArrayLike
) -> float:
    """Accuracy of a ridge classifier on standardised features, its penalty chosen by leave-one-out.

    Args:
        train: features.
        labels: classes of the training series.
        test: features.
        truth: classes of the test series.

    Returns:
        Share of the test series that are classified correctly.

    Examples:
        >>> x = np.array([[0.0], [0.1], [1.0], [1.1]])
        >>> ridge_accuracy(x, [0, 0, 1, 1], x, [0, 0, 1, 1])
        1.0
    """
    model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    return float(model.fit(np.asarray(train), np.asarray(labels)).score(np.asarray(test), np.asarray(truth)))
