"""Arms on the diagonal linear network."""

from separatrix._core.stream import FullBatch, MiniBatches
from separatrix.data.regression import sparse_regression
from separatrix.models.diagonal_linear import DiagonalLinear
from separatrix.study.sweep import along_points, first_point

from .settings import Settings
from .training import one_at_a_time, sharpness_probes, train


def diagonal(s: Settings, keys, stream, steps, rates, points=None):
    """Diagonal linear network from a large initialisation, fewer examples than inputs."""
    s = first_point(s)
    data = lambda key: sparse_regression(key, s.samples, 10 * s.samples, s.dim)  # noqa: E731
    model = lambda key: DiagonalLinear(key, s.dim)  # noqa: E731
    return train(keys, data, model, stream, steps, rates, s.clip, sharpness_probes(3), points)


def diagonal_sgd(s: Settings, keys):
    """Diagonal linear network, SGD on single examples drawn independently."""
    return diagonal(s, keys, one_at_a_time, s.sgd_steps, s.rates)


def diagonal_gd(s: Settings, keys):
    """Diagonal linear network, full-batch gradient descent with the same rates."""
    return diagonal(s, keys, FullBatch, s.gd_steps, s.rates)


def batches(s: Settings, keys, size):
    """The diagonal network at one learning rate with batches of a given size, drawn independently."""
    stream = lambda data: MiniBatches(data, min(size, s.samples), replace=True)  # noqa: E731
    return diagonal(s, keys, stream, s.batch_steps, (first_point(s).batch_rate,), along_points(s))


def batch_1(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 1."""
    return batches(s, keys, 1)


def batch_4(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 4."""
    return batches(s, keys, 4)


def batch_16(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 16."""
    return batches(s, keys, 16)


def batch_64(s: Settings, keys):
    """Diagonal linear network, SGD with batches of 64."""
    return batches(s, keys, 64)
