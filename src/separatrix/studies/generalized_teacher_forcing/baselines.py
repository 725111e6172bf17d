"""Arms that other models reconstruct attractors in."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from separatrix._core.keys import named_key
from separatrix.dynamics.function_library import PolynomialLibrary
from separatrix.dynamics.generation import warm_up
from separatrix.dynamics.sparse_flow import fit_sparse_flow
from separatrix.models.reservoir import EchoState, fit_echo_state

from .forced import arm_of, states_of, trained
from .scores import scored
from .series import series
from .settings import Settings
from .training import adam, fit, identity, lstm, neural_ode, thinned


def after_context(models, observations, data):
    """States at the first test time after the last 200 training measurements, for models with memory."""
    x = jnp.stack([jnp.concatenate([jnp.asarray(train[-200:]), jnp.asarray(test[:1])]) for train, test in data])
    return eqx.filter_vmap(lambda m, o, x: warm_up(m.step, o, x))(models, observations, x)[:, None]


def lstm_baseline(s: Settings, keys, system):
    """LSTM trained by backpropagation through time on its teacher-forced outputs."""
    model, units = lstm(3, s.baseline_size), 3 + 2 * s.baseline_size
    how = {"model": model, "units": units, "alpha": 1.0, "steps": s.baseline_steps}
    (models, observations), ds, data = fit(s, keys, system, optimiser=adam(1e-3), **how)
    scores = scored(s, models, after_context(models, observations, data), data)
    return xr.merge([thinned(ds), scores], combine_attrs="drop_conflicts")


def neural_ode_baseline(s: Settings, keys, system):
    """Neural ODE trained free-running on windows of 30 samples."""
    how = {"model": neural_ode(3), "alpha": 0.0, "steps": s.baseline_steps}
    (models, _), ds, data = fit(s, keys, system, length=min(30, s.length), batch_size=64, optimiser=adam(1e-2), **how)
    return xr.merge([thinned(ds), scored(s, models, states_of(data), data)], combine_attrs="drop_conflicts")


def echo_state(s: Settings, keys, system):
    """Echo state network with a ridge readout."""
    data = [series(s, key, system) for key in keys]
    reservoirs = jax.vmap(lambda key: EchoState(3, s.reservoir, named_key(key, "model")))(keys)
    trains = jnp.stack([jnp.asarray(train) for train, _ in data])
    models = eqx.filter_jit(eqx.filter_vmap(fit_echo_state))(reservoirs, trains)
    observations = jax.vmap(identity(3, 3 + s.reservoir))(keys)
    return scored(s, models, after_context(models, observations, data), data)


def sindy(s: Settings, keys, system):
    """Sparse identification with quadratic functions of the state: all the terms of Lorenz's system."""
    data = [series(s, key, system) for key in keys]
    library = PolynomialLibrary(3, 2, bias=True)
    fitted = [fit_sparse_flow(train, s.dt, library, threshold=0.2, window=15) for train, _ in data]
    models = jax.tree.map(lambda *a: jnp.stack([jnp.asarray(x, jnp.float32) for x in a]), *fitted)
    return scored(s, models, states_of(data), data)


def plrnn_baseline(s: Settings, keys, system):
    """Clipped shallow PLRNN with generalised teacher forcing of strength 0.3."""
    return trained(s, keys, system=system, alpha=np.float32(0.3))


BASELINES = {
    "lstm": lstm_baseline,
    "neural-ode": neural_ode_baseline,
    "echo-state": echo_state,
    "sindy": sindy,
}
ON_LORENZ = {name: arm_of(arm, f"{arm.__doc__} Lorenz-63.", system="lorenz") for name, arm in BASELINES.items()}
ON_MULTICHUA = {
    f"multichua-{name}": arm_of(arm, f"{arm.__doc__} The multi-scroll circuit of Chua.", system="multichua")
    for name, arm in {"plrnn": plrnn_baseline, **BASELINES}.items()
}
