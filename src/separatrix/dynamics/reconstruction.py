"""Training a model to reconstruct an attractor, under teacher forcing, as a process."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import optax
from jaxtyping import Array, ArrayLike, Float, Key, PyTree

from separatrix._core.keys import named_key
from separatrix._core.probe import Probe, Transition, info_probe
from separatrix._core.process import AbstractProcess
from separatrix._core.stream import Stream
from separatrix.dynamics.forcing import forced_rollout, sparse_weights
from separatrix.dynamics.forcing_strength import AdaptiveAlpha, spectral_norms
from separatrix.dynamics.windows import Window
from separatrix.models.trained_arrays import put_back, trained_arrays

__all__ = [
    "Reconstruction",
    "ReconstructionState",
    "SparseForcing",
    "constant_forcing",
    "decaying_radam",
    "jacobian_products",
    "training_log",
]

SMALL_STATE = 8  # up to so many units, Jacobians of all times at once are quicker than pulling back step by step
Cadence = int | Callable[[int], Sequence[int]]


def constant_forcing(alpha: Float[Array, ""], length: int) -> Float[Array, ""]:
    """Generalised teacher forcing: the same strength at every time."""
    del length
    return alpha


class SparseForcing(eqx.Module):
    """Sparse teacher forcing: strength one at every tau-th time, zero elsewhere; alpha plays no part.

    Attributes:
        tau: interval, traced if it is an array.
    """

    tau: ArrayLike

    def __call__(self, alpha: Float[Array, ""], length: int) -> Float[Array, " T"]:
        """Return the strength at each time."""
        return sparse_weights(length, self.tau).astype(alpha.dtype)


def decaying_radam(steps: int, first: float = 1e-3, last: float = 1e-6) -> optax.GradientTransformation:
    """Rectified Adam whose rate falls exponentially from `first` to `last` within `steps` updates.

    Args:
        steps: number of updates.
        first: rate at the start.
        last: rate at the end.

    Returns:
        An optax optimiser.

    Raises:
        ValueError: if a number is not positive.

    References:
        Liu et al. (2020), ICLR, arXiv:1908.03265.
    """
    if steps < 1 or first <= 0 or last <= 0:
        raise ValueError(f"`steps`, `first` and `last` must be positive; got {steps}, {first} and {last}.")
    return optax.radam(optax.exponential_decay(first, steps, last / first))


class ReconstructionState(NamedTuple):
    """State of `Reconstruction`.

    Attributes:
        params: trained arrays of model and observation.
        opt_state: state of the optimiser.
        alpha: present strength of forcing.
    """

    params: PyTree
    opt_state: PyTree
    alpha: Float[Array, ""]


class Reconstruction(AbstractProcess):
    """Gradient training of a step function on windows of measurements, under teacher forcing.

    `alpha`, penalties and noise are traced, so arms that differ in them share one compiled program:
    `run(process, keys, steps, over={"alpha": [0.0, 0.1, 0.3, 1.0]})`.

    Attributes:
        model: `key -> model` with `step(z)` (or `step(z, s)`) on batches, and `jacobian(z)` if alpha adapts.
        observation: `key -> observation model`.
        optimiser: any optax transform.
        stream: yields `Window`.
        alpha: strength of forcing, or where adaptation starts.
        forcing: `(alpha, T) -> strength` at each time.
        adapt: how alpha follows the Jacobians, or None if it stays.
        penalties: functions `(model, observation) -> number`, added to the loss.
        noise: standard deviation of the Gaussian added to the measurements that force (not to those to be predicted),
            or None.

    References:
        Hess, Monfared, Brenner, Durstewitz (2023), ICML, arXiv:2306.04406.

    Examples:
        >>> from separatrix import run
        >>> from separatrix.dynamics import decaying_radam, windows_of
        >>> from separatrix.models import ClippedShallowPLRNN, IdentityObservation
        >>> angle = 0.1 * jnp.arange(500)
        >>> circle = jnp.stack([jnp.sin(angle), jnp.cos(angle)], axis=1)
        >>> process = Reconstruction(
        ...     model=lambda key: ClippedShallowPLRNN(2, 10, key),
        ...     observation=lambda key: IdentityObservation(2),
        ...     optimiser=decaying_radam(300, first=1e-2),
        ...     stream=windows_of(circle, length=20),
        ...     alpha=0.2,
        ... )
        >>> log = run(process, jr.key(0), 300, probes=[training_log(every=150)]).records
        >>> log["gradient_norm"].shape
        (2,)
    """

    model: Callable[[Key[Array, ""]], Any]
    observation: Callable[[Key[Array, ""]], Any]
    optimiser: optax.GradientTransformation
    stream: Stream
    alpha: ArrayLike = 1.0
    forcing: Callable[[Float[Array, ""], int], Float[Array, "..."]] = constant_forcing
    adapt: AdaptiveAlpha | None = None
    penalties: tuple[Callable[[Any, Any], Float[Array, ""]], ...] = ()
    noise: ArrayLike | None = None

    def _build(self, key):
        return self.model(named_key(key, "model")), self.observation(named_key(key, "observation"))

    def init(self, key):
        """Initialise model, observation and optimiser."""
        params = trained_arrays(self._build(key))
        dtype = jax.tree.leaves(params)[0].dtype
        return ReconstructionState(params, self.optimiser.init(params), jnp.asarray(self.alpha, dtype))

    def trained(self, state: ReconstructionState) -> tuple[Any, Any]:
        """Return the model and the observation with the parameters of `state` put back."""
        return put_back(self._build, state.params)

    def predictions(self, model: Any, observation: Any, x: Window, alpha: Float[Array, ""]) -> Float[Array, "T B M"]:
        """Return the forced predictions of the states of a batch of windows, before forcing."""
        start, zbar = observation.start(x.x[0]), observation.infer(x.x[1:])
        weights = self.forcing(alpha, len(zbar))
        if x.observed is not None:
            seen = observation.determined(x.observed[1:])
            weights = jnp.reshape(weights, (-1, *(1,) * (zbar.ndim - 1))) * seen
        jacobian = getattr(model, "jacobian", None) if start.shape[-1] <= SMALL_STATE else None
        return forced_rollout(model.step, start, zbar, weights, x.inputs, jacobian=jacobian)

    def objective(
        self, parts: tuple[Any, Any], forced: Window, x: Window, alpha: Float[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Return the penalised loss and the mean squared error of the predictions."""
        model, observation = parts
        error = (observation.observe(self.predictions(model, observation, forced, alpha)) - x.x[1:]) ** 2
        if x.observed is None:
            loss = jnp.mean(error)
        else:
            seen = x.observed[1:]
            loss = jnp.sum(error * seen) / jnp.maximum(jnp.sum(seen), 1)
        total = loss
        for penalty in self.penalties:
            total += penalty(model, observation)
        return total, loss

    def step(self, state, x, key):
        """Take one optimiser step on a batch of windows."""
        model, observation = self.trained(state)
        alpha = state.alpha
        if self.adapt is not None:
            alpha = self.adapt(alpha, x.step, model, observation.start(x.x))
        forced = x
        if self.noise is not None:
            forced = x._replace(x=x.x + self.noise * jr.normal(named_key(key, "noise"), x.x.shape, x.x.dtype))

        def objective(params):
            parts = self.trained(state._replace(params=params))
            return self.objective(parts, forced, x, alpha)

        (_, loss), gradient = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt_state = self.optimiser.update(gradient, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        info = {"loss": loss, "gradient_norm": optax.tree.norm(gradient), "alpha": alpha}
        return ReconstructionState(params, opt_state, alpha), info


def training_log(every: Cadence = 1) -> Probe:
    """Loss, gradient norm and strength of forcing of the update.

    Args:
        every: cadence.

    Returns:
        A probe recording `loss`, `gradient_norm` and `alpha`.
    """
    attrs = {
        "loss": {"units": "1", "long_name": "mean squared error of forced predictions"},
        "gradient_norm": {"units": "1", "long_name": "norm of the gradient"},
        "alpha": {"units": "1", "long_name": "strength of forcing"},
    }
    return info_probe("loss", "gradient_norm", "alpha", every=every, attrs=attrs)


def jacobian_products(lags: Sequence[int] = (1, 10, 100), every: Cadence = 100) -> Probe:
    """Norms of the products of forced Jacobians, `|prod (1 - alpha) J_k|`, along the states of the batch.

    They bound how far a gradient reaches back; the logarithm is recorded, the largest of all sequences.

    Args:
        lags: numbers of factors, increasing, no longer than the windows.
        every: cadence.

    Returns:
        A probe recording `log_jacobian_product` with the axis `lag`.

    Raises:
        ValueError: if the lags do not increase from 1.
    """
    lags = tuple(lags)
    if not lags or lags[0] < 1 or any(a >= b for a, b in itertools.pairwise(lags)):
        raise ValueError(f"`lags` must be increasing and at least 1; got {lags}.")
    attrs = {
        "log_jacobian_product": {
            "units": "1",
            "long_name": "log norm of a product of forced Jacobians",
            "description": f"numbers of factors: {lags}",
        }
    }
    return Probe(
        _Products(lags),
        every=every,
        name="jacobian_products",
        dims={"log_jacobian_product": ("lag",)},
        attrs=attrs,
    )


class _Products(eqx.Module):
    lags: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, tr: Transition, key) -> dict[str, Array]:
        del key
        process: Any = tr.process
        model, observation = process.trained(tr.after)
        factors = (1 - tr.after.alpha) * model.jacobian(observation.start(tr.x.x))
        if len(factors) < self.lags[-1]:
            raise ValueError(f"windows have {len(factors)} states; a product cannot have {self.lags[-1]} factors.")

        def body(carry, factor):
            product, log = carry
            product = factor @ product
            size = jnp.maximum(jnp.linalg.norm(product, axis=(-2, -1), keepdims=True), 1e-30)
            product, log = product / size, log + jnp.log(size[..., 0, 0])
            return (product, log), jnp.max(log + jnp.log(spectral_norms(product)))

        identity = jnp.broadcast_to(jnp.eye(factors.shape[-1], dtype=factors.dtype), factors.shape[1:])
        logs = jax.lax.scan(body, (identity, jnp.zeros_like(factors[0, ..., 0, 0])), factors[: self.lags[-1]])[1]
        return {"log_jacobian_product": logs[jnp.array(self.lags) - 1]}
