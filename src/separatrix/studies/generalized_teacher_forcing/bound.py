"""The arm that checks the bound on products of Jacobians."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from separatrix._core.keys import named_key
from separatrix.models.shallow_plrnn import ClippedShallowPLRNN

from .scores import log_norms
from .series import series
from .settings import Settings


def bound(s: Settings, keys):
    """Products of forced Jacobians of random models along data, with the strength that the theory asks for."""
    largest = []
    with jax.enable_x64():
        for key in keys:
            model = ClippedShallowPLRNN(3, s.hidden, named_key(key, "model"))
            model = eqx.tree_at(lambda m: m.W1, model, 4 * model.W1)  # so that Jacobians do expand
            x = jnp.asarray(series(s, key)[0][: s.bound_steps], jnp.float64)
            jacobians = np.asarray(model.jacobian(x))
            sigma = np.linalg.norm(jacobians, 2, axis=(1, 2)).max()
            largest.append(np.exp(log_norms(jacobians * min(1.0, 1 / sigma)).max()))
    attrs = {"units": "1", "long_name": "largest norm of a product of forced Jacobians"}
    return xr.Dataset({"product_norm": ("seed", np.array(largest), attrs)})
