"""Arms on mini-batches, with batch normalisation and without."""

from separatrix.models.batch_norm import BatchStatistics
from separatrix.models.quadratic_mlp import BatchNormMLP, QuadraticMLP, batch_norm_evaluate, batch_norm_forward
from separatrix.training.label_noise import neuron_scores
from separatrix.training.running_statistics import SupervisedWithStatistics
from separatrix.training.supervised import Supervised

from .corrupted import mini_batch
from .network import SCALE, Network, net_periodicity, norm_scale, periodicity
from .settings import Settings


def batch_norm_seams(p: int, width: int):
    """What batch normalisation changes in a process."""
    return {
        "model": Network(BatchNormMLP, p, width),
        "statistics": BatchStatistics.standard(width),
        "forward": batch_norm_forward,
        "evaluate": batch_norm_evaluate,
    }


def batch_norm(s: Settings, keys):
    """Mini-batches with batch normalisation after the activation."""
    return mini_batch(
        s,
        keys,
        net_periodicity,
        [neuron_scores("norm_scale", norm_scale, s.batch_steps, SCALE)],
        SupervisedWithStatistics,
        **batch_norm_seams(s.p, s.width),
    )


def minibatch(s: Settings, keys):
    """The same mini-batches without batch normalisation."""
    return mini_batch(s, keys, periodicity, [], Supervised, model=Network(QuadraticMLP, s.p, s.width))
