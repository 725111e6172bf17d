"""The arm on the exact threshold of linear stability, simulated and in closed form."""

from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import xarray as xr

from separatrix._core.intervention import replace
from separatrix._core.keys import named_key
from separatrix._core.probe import info_probe
from separatrix._core.run import run
from separatrix.training.second_moment import LinearisedSGD
from separatrix.training.sgd_stability import mean_square_threshold
from separatrix.training.stability_bounds import gd_threshold, one_step_threshold, rayleigh_threshold, trace_threshold

from .settings import Settings


def random_gradients(s: Settings, keys):
    """Thresholds of random gradients by batch size, and the growth of simulated SGD just below and above them."""
    sizes = tuple(range(1, s.gradients + 1))
    names = {
        "mean_square": (mean_square_threshold, "exact threshold of SGD"),
        "rayleigh": (rayleigh_threshold, "bound at the identity"),
        "trace_bound": (trace_threshold, "bound by the trace"),
        "one_step": (one_step_threshold, "no step lengthens"),
        "gd": (gd_threshold, "gradient descent"),
    }
    draw = lambda key: jr.normal(named_key(key, "gradients"), (s.gradients, s.gradient_dim), jnp.float64)  # noqa: E731
    with jax.enable_x64():
        table = {
            name: [
                np.asarray(jax.jit(jax.vmap(lambda key, fn=fn, size=size: fn(draw(key), size)))(keys)) for size in sizes
            ]
            for name, (fn, _) in names.items()
        }
        growth = []
        for size in sizes[:-1]:

            def build(key, size=size):
                rows = draw(key)
                return LinearisedSGD(rows[:, None], mean_square_threshold(rows, size), size, False, s.particles)

            grid = {"margin": np.asarray(s.margins)}
            vary = lambda p, v: replace(rate=v["margin"] * p.rate)(p)  # noqa: E731
            probes, label = [info_probe("growth")], f"batches of {size}"
            records = run(build, keys, s.moment_steps, probes=probes, over=grid, vary=vary, label=label).records
            growth.append(records["growth"][..., s.moment_steps // 4 :].mean(axis=-1))
    variables: dict[str, Any] = {
        name: (("batch_size", "seed"), np.array(table[name]), {"long_name": label, "units": "1"})
        for name, (_, label) in names.items()
    }
    attrs = {"long_name": "growth of the simulated second moment", "units": "nat/step"}
    variables["growth"] = (("moment_batch", "margin", "seed"), np.array(growth), attrs)
    coords = {"batch_size": list(sizes), "moment_batch": list(sizes[:-1]), "margin": list(s.margins)}
    return xr.Dataset(variables, {**coords, "seed": np.arange(len(keys))})
