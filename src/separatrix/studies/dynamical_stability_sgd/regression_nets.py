"""Arms on networks of two layers: balance of the layers, and the two-layer network of rectifiers."""

import numpy as np

from separatrix._core.intervention import replace
from separatrix._core.schedule import log_spaced
from separatrix._core.stream import FullBatch
from separatrix.data.regression import relu_teacher, sparse_regression
from separatrix.models.diagonal_linear import unbalanced_diagonal
from separatrix.models.two_layer_relu import TwoLayerReLU
from separatrix.training.stability_probes import path_norms

from .settings import Settings
from .training import one_at_a_time, sharpness_probes, train


def balance(s: Settings, keys, stream):
    """Diagonal network whose two layers differ in size from the start, by several ratios."""
    data = lambda key: sparse_regression(key, s.samples, s.samples, s.dim)  # noqa: E731
    model = lambda ratio: lambda key: unbalanced_diagonal(key, s.dim, ratio)  # noqa: E731
    change = lambda process, values: replace(model=model(values["ratio"]))(process)  # noqa: E731
    axes = {"ratio": np.asarray(s.ratios, np.float32)}
    probes, rates = [path_norms(log_spaced(4))], (s.balance_rate,)
    ds = train(keys, data, model(1.0), stream, s.balance_steps, rates, s.balance_clip, probes, axes, change)
    ds["ratio"].attrs = {"long_name": "initial balance score", "units": "1"}
    return ds[["balance", "diverged_at"]].isel(rate=0, drop=True).rename(balance="unbalance")


def balance_sgd(s: Settings, keys):
    """Unbalanced diagonal network, SGD on single examples."""
    return balance(s, keys, one_at_a_time)


def balance_gd(s: Settings, keys):
    """Unbalanced diagonal network, full-batch gradient descent."""
    return balance(s, keys, FullBatch)


def relu(s: Settings, keys, stream, steps, rates):
    """Two-layer ReLU network taught by ten ReLU units, from a large initialisation."""
    data = lambda key: relu_teacher(key, s.samples, 10 * s.samples, s.relu_dim)  # noqa: E731
    model = lambda key: TwoLayerReLU(key, s.relu_dim, s.relu_width)  # noqa: E731
    return train(keys, data, model, stream, steps, rates, s.relu_clip, sharpness_probes(2))


def relu_sgd(s: Settings, keys):
    """Two-layer ReLU network, SGD on single examples drawn independently."""
    return relu(s, keys, one_at_a_time, s.relu_sgd_steps, s.relu_rates)


def relu_gd(s: Settings, keys):
    """Two-layer ReLU network, full-batch gradient descent with the rates of SGD times sqrt(dim)."""
    return relu(s, keys, FullBatch, s.relu_gd_steps, tuple(s.relu_dim**0.5 * rate for rate in s.relu_rates))
