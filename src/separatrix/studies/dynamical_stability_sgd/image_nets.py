"""Arms on a multilayer perceptron and images."""

import jax

from separatrix._core.schedule import log_spaced
from separatrix._core.stream import FullBatch, MiniBatches
from separatrix.data.images import digits, fashion_mnist
from separatrix.data.regression import RegressionSplit
from separatrix.models.mlp import MLP
from separatrix.study.sweep import first_point
from separatrix.training.regression_loss import regression_errors
from separatrix.training.stability_probes import curvature_noise, gauss_newton_estimates

from .settings import Settings
from .training import at_end, train


def images(s: Settings, keys, stream, steps):
    """Bias-carrying multilayer perceptron on a thousand images, squared error on one-hot codes."""
    s = first_point(s)

    def data(key):
        load = {"digits": digits, "fashion-mnist": fashion_mnist}[s.images]
        split = load(key, num_train=s.image_samples, num_test=s.image_samples // 2)
        codes = lambda labels: jax.nn.one_hot(labels, 10)  # noqa: E731
        return RegressionSplit(
            split.train_inputs, codes(split.train_targets), split.test_inputs, codes(split.test_targets)
        )

    pixels = {"digits": 64, "fashion-mnist": 784}[s.images]
    model = lambda key: MLP(key, (pixels, *[s.image_width] * 3, 10), use_bias=True)  # noqa: E731
    probes = [
        regression_errors(log_spaced(2)),
        gauss_newton_estimates(every=at_end),
        curvature_noise(chunk=s.image_chunk, every=at_end),
    ]
    return train(keys, data, model, stream, steps, s.image_rates, s.clip, probes)


def images_sgd(s: Settings, keys):
    """Multilayer perceptron on images, SGD with small batches drawn independently."""
    return images(s, keys, lambda data: MiniBatches(data, s.image_batch, replace=True), s.image_sgd_steps)


def images_gd(s: Settings, keys):
    """Multilayer perceptron on images, full-batch gradient descent."""
    return images(s, keys, FullBatch, s.image_gd_steps)
