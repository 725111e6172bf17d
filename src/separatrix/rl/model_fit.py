"""Fit an ensemble of Gaussian models: hold-out, early stopping and elites, all members and the whole loop compiled."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, Float, Int, Key

from separatrix._core.keys import named_key

from .gaussian_ensemble import GaussianEnsemble, Terminal, never
from .model_free import sizes_of
from .transitions import Transitions

__all__ = ["ModelFit", "fit_ensemble", "layer_decays", "model_loss"]

ENOUGH = 0.01  # relative improvement of the hold-out error that counts


class ModelFit(NamedTuple):
    """A fitted ensemble and how it came about.

    Attributes:
        model: every member with its best weights; the elites are chosen.
        held_out: mean squared error of each member on the hold-out after every epoch, shape `(max_epochs, members)`;
            NaN after the last epoch.
        epochs: number of epochs.
    """

    model: GaussianEnsemble
    held_out: Float[Array, "epochs members"]
    epochs: Int[Array, ""]


def layer_decays(layers: int) -> tuple[float, ...]:
    """Weight decay of each layer: 2.5e-5, 5e-5, 7.5e-5 in all layers between, 1e-4 in the last.

    Args:
        layers: their number.

    Returns:
        One coefficient a layer.

    Examples:
        >>> layer_decays(5)
        (2.5e-05, 5e-05, 7.5e-05, 7.5e-05, 0.0001)
    """
    return (*(2.5e-5, 5e-5)[: layers - 1], *(7.5e-5,) * (layers - 3), 1e-4)[:layers]


def model_loss(model: GaussianEnsemble, batch: Transitions, decays: Sequence[float]) -> Float[Array, ""]:
    """Sum over members of the mean Gaussian loss, `(mu - t)^2 exp(-l) + l`, with bounds and weights held in.

    Args:
        model: the ensemble.
        batch: rows of shape `(members, batch, ...)`, one batch for each member.
        decays: weight decay of each layer, on half the squared weights.

    Returns:
        Scalar.
    """
    mean, log_variance = model.moments(batch.observation, batch.action)
    target = jnp.concatenate([batch.next_observation - batch.observation, batch.reward[..., None]], axis=-1)
    fit = jnp.sum(jnp.mean((mean - target) ** 2 * jnp.exp(-log_variance) + log_variance, axis=(1, 2)))
    shrink = sum(0.5 * d * jnp.sum(w**2) for d, w in zip(decays, model.network.weights, strict=True))
    return fit + 0.01 * (jnp.sum(model.high) - jnp.sum(model.low)) + shrink


def fit_ensemble(
    data: Transitions,
    key: Key[Array, ""],
    *,
    hidden: Sequence[int] = (200, 200, 200, 200),
    members: int = 7,
    elites: int = 5,
    batch_size: int = 256,
    rate: float = 1e-3,
    holdout: float = 0.2,
    max_holdout: int = 1_000,
    patience: int = 5,
    min_epochs: int = 50,
    max_epochs: int = 1_000,
    drops: int = 0,
    decays: Sequence[float] | None = None,
    terminal: Terminal = never,
) -> ModelFit:
    """Fit Gaussian models to logged transitions, each member on its own bootstrap of the training rows.

    When no member's hold-out error has improved by 1 % for `patience` epochs, and `min_epochs` have passed, the rate is
    multiplied by 0.3, `drops` times; the next time training stops. Each member keeps the weights of its best epoch; the
    elites are those with the least hold-out error.

    Args:
        data: logged transitions.
        key: random; it may be one of a `vmap`.
        hidden: widths of the hidden layers.
        members: number of networks.
        elites: members that are used.
        batch_size: rows in a batch, cut to the training rows.
        rate: of Adam.
        holdout: share of the rows held out, at most `max_holdout`.
        max_holdout: largest number of rows held out.
        patience: epochs without improvement before the end.
        min_epochs: smallest number of epochs; small data sets, whose epochs are few updates, need many.
        max_epochs: largest number of epochs.
        drops: of the rate, before the end.
        decays: weight decay of each layer; `layer_decays` by default.
        terminal: the known rule of terminal states.

    Returns:
        The ensemble, its hold-out errors and the number of epochs.

    Raises:
        ValueError: if the data are malformed or fewer than two rows, or there are more elites than members.

    References:
        Lu, Ball, Parker-Holder, Osborne, Roberts (2022), ICLR, arXiv 2110.04135; Chua et al. (2018), NeurIPS.

    Examples:
        >>> import jax.numpy as jnp, jax.random as jr
        >>> s, a = jr.normal(jr.key(0), (400, 2)), jr.uniform(jr.key(1), (400, 1), minval=-1.0)
        >>> data = Transitions(s, a, s[:, 0], s + 0.1 * a, jnp.zeros(400, bool))
        >>> fit = fit_ensemble(data, jr.key(2), hidden=(16,), members=3, elites=2, batch_size=32, max_epochs=30)
        >>> fit.model.elites.shape, bool(fit.held_out[int(fit.epochs) - 1].min() < 0.1)
        ((2,), True)
    """
    sizes = sizes_of(data)
    rows = data.num_rows
    held = max(1, min(int(holdout * rows), max_holdout))
    if rows < 2 or held >= rows:
        raise ValueError(f"a model needs two transitions or more, and some that are not held out; got {rows}.")
    if not 1 <= elites <= members:
        raise ValueError(f"`elites` must lie in 1..{members}, the members; got {elites}.")
    decays = layer_decays(len(hidden) + 1) if decays is None else tuple(decays)
    if len(decays) != len(hidden) + 1:
        raise ValueError(f"`decays` needs one number for each of {len(hidden) + 1} layers; got {len(decays)}.")
    shape = (sizes, tuple(hidden), members, elites, min(batch_size, rows - held), held)
    stop = jnp.asarray([patience, min_epochs, drops])
    return _fit((*shape, max_epochs), tuple(decays), terminal, data, key, jnp.asarray(rate), stop)


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _fit(shape, decays, terminal, data, key, rate, stop) -> ModelFit:
    sizes, hidden, members, elites, batch_size, held, max_epochs = shape
    patience, min_epochs, drops = stop
    order = jr.permutation(named_key(key, "hold-out"), data.num_rows)
    test, train = data.take(order[:held]), data.take(order[held:])
    inputs = jnp.concatenate([train.observation, train.action], axis=-1)
    centre, scale = jnp.mean(inputs, axis=0), jnp.std(inputs, axis=0)
    model = GaussianEnsemble(
        named_key(key, "weights"),
        *sizes,
        hidden=hidden,
        members=members,
        centre=centre,
        scale=jnp.where(scale > 1e-6, scale, 1.0),
        terminal=terminal,
    )
    trained = lambda m: (m.network, m.low, m.high)  # noqa: E731
    put = lambda values: eqx.tree_at(trained, model, values)  # noqa: E731
    adam = optax.scale_by_adam()
    count = train.num_rows
    bootstrap = jr.randint(named_key(key, "bootstrap"), (members, count), 0, count)
    batches = count // batch_size

    def epoch(values, moments, rate, key):
        shuffled = jax.vmap(jr.permutation)(jr.split(key, members), bootstrap)
        order = shuffled[:, : batches * batch_size].reshape(members, batches, batch_size).swapaxes(0, 1)

        def update(carry, rows):
            values, moments = carry
            gradient = jax.grad(lambda v: model_loss(put(v), train.take(rows), decays))(values)
            change, moments = adam.update(gradient, moments)
            return (jax.tree.map(lambda p, c: p - rate * c, values, change), moments), None

        return jax.lax.scan(update, (values, moments), order)[0]

    def error(values):
        mean, _ = put(values).moments(test.observation, test.action)
        target = jnp.concatenate([test.next_observation - test.observation, test.reward[:, None]], axis=-1)
        return jnp.mean((mean - target) ** 2, axis=(1, 2))

    def body(carry):
        values, moments, best, least, history, stale, dropped, done = carry
        values, moments = epoch(values, moments, rate * 0.3**dropped, jr.fold_in(named_key(key, "epoch"), done))
        found = error(values)
        better = (least - found) > ENOUGH * least

        def keep(new, old):  # the bounds, which members share, come with any improvement
            own = new.ndim > 1
            return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)) if own else jnp.any(better), new, old)

        best = jax.tree.map(keep, values, best)
        stale, done = jnp.where(jnp.any(better), 0, stale + 1), done + 1
        drop = (stale >= patience) & (done >= min_epochs)
        stale, dropped = jnp.where(drop & (dropped < drops), 0, stale), dropped + drop
        return (
            values,
            moments,
            best,
            jnp.where(better, found, least),
            history.at[done - 1].set(found),
            stale,
            dropped,
            done,
        )

    going = lambda carry: (carry[-1] < max_epochs) & (carry[-2] <= drops)  # noqa: E731
    start = trained(model)
    # inf - x > 0.01 inf is false, so the first epoch counts by a finite bound
    never_met, blank = jnp.full(members, jnp.finfo(rate.dtype).max), jnp.full((max_epochs, members), jnp.nan)
    carry = start, adam.init(start), start, never_met, blank, jnp.int32(0), jnp.int32(0), jnp.int32(0)
    _, _, best, least, history, _, _, done = jax.lax.while_loop(going, body, carry)
    model = eqx.tree_at(lambda m: m.elites, put(best), jnp.argsort(least)[:elites])
    return ModelFit(model, history, jnp.asarray(done))
