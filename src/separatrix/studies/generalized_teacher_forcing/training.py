"""Models and their training; models stay the same objects, so that arms share their programs."""

import functools

import numpy as np
import optax
import xarray as xr

from separatrix._core.run import run
from separatrix.dynamics.reconstruction import Reconstruction, decaying_radam, jacobian_products, training_log
from separatrix.dynamics.reconstruction_penalties import LatentPenalty
from separatrix.dynamics.windows import windows_of
from separatrix.models.neural_ode import NeuralODEStep
from separatrix.models.observation_models import IdentityObservation
from separatrix.models.recurrent_steps import LSTMStep
from separatrix.models.shallow_plrnn import ClippedShallowPLRNN
from separatrix.study.arms import cadence

from .series import series
from .settings import Settings


@functools.cache
def plrnn(N: int, hidden: int):
    """Builder of a clipped shallow PLRNN with as many units as variables."""
    return lambda key: ClippedShallowPLRNN(N, hidden, key)


@functools.cache
def lstm(N: int, size: int):
    """Builder of an LSTM that reads its own output."""
    return lambda key: LSTMStep(N, size, key)


@functools.cache
def neural_ode(N: int):
    """Builder of a neural ordinary differential equation."""
    return lambda key: NeuralODEStep(N, 30, key)


@functools.cache
def identity(N: int, M: int):
    """Builder of the observation of the first N of M units."""
    return lambda key: IdentityObservation(N, M, key)


optimiser = functools.cache(decaying_radam)
adam = functools.cache(optax.adam)


def fit(s: Settings, keys, system="lorenz", model=None, units=None, **how):
    """Train one model a seed; return models and observations along a leading axis, the records and the data."""
    data = [series(s, key, system) for key in keys]
    N = data[0][0].shape[1]
    length, steps = how.pop("length", s.length), how.pop("steps", s.steps)
    batch_size = how.pop("batch_size", s.batch_size)
    penalties = (LatentPenalty(np.float32(s.latent_penalty), np.float32(1)),) if model is None else ()
    processes = [
        Reconstruction(
            model=model or plrnn(N, s.hidden),
            observation=identity(N, units or N),
            stream=windows_of(train, length, batch_size),
            penalties=penalties,
            **{"optimiser": optimiser(steps), **how},
        )
        for train, _ in data
    ]
    probes = [training_log(cadence(steps, 12_000))]
    lags = tuple(n for n in (1, 10, 100, 1_000) if n <= length)
    if model is None:
        probes.append(jacobian_products(lags, every=cadence(steps, 20)))
    state, records = run(processes, keys, steps, probes=probes)
    ds = records.to_dataset()
    return processes[0].trained(state), ds.assign_coords(lag=list(lags)) if "lag" in ds.dims else ds, data


def thinned(ds: xr.Dataset) -> xr.Dataset:
    """Keep what is needed of every step: the largest gradient norm, and some records of the rest."""
    largest = ds.gradient_norm.max("step", keep_attrs=True).rename("max_gradient_norm")
    largest.attrs["long_name"] = "largest norm of the gradient in training"
    few = ds.isel(step=np.unique(np.linspace(0, ds.sizes["step"] - 1, 200).astype(int)))
    return few.assign(max_gradient_norm=largest)
