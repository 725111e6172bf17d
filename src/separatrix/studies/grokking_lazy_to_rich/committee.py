"""Arms on the committee: closed dynamics of its two moments, in float64."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.schedule import log_spaced
from separatrix.data.teachers import single_index_data
from separatrix.numerics.kernel_fit import kernel_regression
from separatrix.study.sweep import along_points, first_point
from separatrix.training.committee_dynamics import CommitteeDynamics, committee_tangent, loss_terms
from separatrix.training.committee_theory import committee_kernel

from .settings import Settings


def committee(s: Settings, key, samples: int) -> CommitteeDynamics:
    """The committee on the data that belong to a key."""
    s = first_point(s)
    data = single_index_data(named_key(key, "data"), samples, s.dim, dtype="float64")
    return CommitteeDynamics(
        data.train_inputs, data.train_targets, data.directions[0], s.rate, s.alpha, s.eps, width=s.width
    )


def committee_run(s: Settings, keys, samples: int, over=None, vary=None, tangent=True) -> xr.Dataset:
    """Train committees, one data set and initialisation a seed, over a grid of traced fields; or those of a sweep."""
    probes = [loss_terms(log_spaced(60))] + ([committee_tangent(log_spaced(10))] if tangent else [])
    with jax.enable_x64():
        processes = [committee(s, key, samples) for key in keys]
        grid = grid_of(over) if over else along_points(s)
        out = run(processes, keys, s.steps, probes=probes, over=grid, vary=vary)
        ds = out.records.to_dataset()
        if tangent:
            ds["kernel_error"] = kernel_error(s, keys, processes, out.state.initial, over or {})
    return ds


def grid_of(over: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A grid as float64 arrays, to be made where 64-bit types are enabled."""
    return {name: np.asarray(values, np.float64) for name, values in over.items()}


def kernel_error(s: Settings, keys, processes, start, over) -> xr.DataArray:
    """Test error of regression with the initial tangent kernel, the plateau of lazy training; it ignores alpha."""
    curvatures = over.get("eps", (s.eps,))
    first = jax.tree.map(lambda a: a[0] if over else a, start)  # the start does not depend on the grid

    @jax.jit
    def error(split, statistics, eps):
        x = split.train_inputs
        own, cross = (committee_kernel(statistics, z, x, 1.0, eps) for z in (x, split.test_inputs))
        return jnp.mean((split.test_targets - kernel_regression(own, split.train_targets, cross)) ** 2)

    rows = []
    for i, (key, process) in enumerate(zip(keys, processes, strict=True)):
        split = single_index_data(named_key(key, "data"), len(process.targets), s.dim, num_test=2_000, dtype="float64")
        statistics = jax.tree.map(lambda a, i=i: a[i], first)
        rows.append([float(error(split, statistics, eps)) for eps in curvatures])
    attrs = {"units": "1", "long_name": "test loss of regression with the initial tangent kernel"}
    if "eps" not in over:
        return xr.DataArray(np.array(rows)[:, 0], dims=("seed",), attrs=attrs)
    return xr.DataArray(np.array(rows), dims=("seed", "eps"), attrs=attrs)


def alpha_sweep(s: Settings, keys):
    """Output scales from rich to lazy, 225 examples of 50 inputs."""
    return committee_run(s, keys, s.samples, over={"alpha": s.alphas})


def alpha_sweep_scarce(s: Settings, keys):
    """Output scales from rich to very lazy, 200 examples."""
    return committee_run(s, keys, s.scarce, over={"alpha": s.lazy_alphas})


def with_curvature(process, values):
    """Set eps, and the rate that keeps the initial kernel's size."""
    eps = values["eps"]
    return eqx.tree_at(lambda p: (p.eps, p.rate), process, (eps, process.rate / (1 + eps**2)))


def one_scale(s: Settings, keys):
    """One output scale and one learning rate, 225 examples, for sweeps and maps."""
    return committee_run(s, keys, s.samples, tangent=False)


def eps_sweep(s: Settings, keys):
    """Curvature of the activation, which aligns the initial kernel with the target."""
    return committee_run(s, keys, s.samples, over={"eps": s.curvatures}, vary=with_curvature)


def few_samples(s: Settings, keys):
    """Too few examples to find the feature: 60."""
    return committee_run(s, keys, s.few, tangent=False)


def many_samples(s: Settings, keys):
    """More examples than the kernel has dimensions: 1,500."""
    return committee_run(s, keys, s.many, tangent=False)


def decomposition(s: Settings, keys):
    """The three terms of the exact test loss beside the loss on a large sample, rich and lazy."""
    s = first_point(s)
    with jax.enable_x64():
        processes = []
        for key in keys:
            how = {"num_test": s.test_samples, "dtype": "float64"}
            test = single_index_data(named_key(key, "data"), s.samples, s.dim, **how)
            processes.append(replace(committee(s, key, s.samples), held_out=(test.test_inputs, test.test_targets)))
        probes = [loss_terms(log_spaced(8))]
        out = run(processes, keys, s.steps, probes=probes, over=grid_of({"alpha": (s.alpha, s.lazy_alpha)}))
        return out.records.to_dataset()
