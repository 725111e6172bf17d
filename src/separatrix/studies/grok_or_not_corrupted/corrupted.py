"""Arms on corrupted modular arithmetic: full batches, and mini-batches."""

import numpy as np

from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix._core.stream import FullBatch, MiniBatches
from separatrix.data.corruption import clean_floor, corrupt_labels
from separatrix.data.modular import modular_arithmetic
from separatrix.models.quadratic_mlp import PreactivationDropout, QuadraticMLP
from separatrix.study.arms import cadence
from separatrix.training.label_noise import NoisyBatch, neuron_scores, noisy_accuracy, pruned_accuracy
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.supervised import Batch, Supervised

from .network import IPR, Network, adamw, log_periodicity, periodicity
from .settings import PRUNED, Operation, Settings


def corrupted_task(s: Settings, key, fraction, corruption, operation: Operation = "add"):
    """Training pairs with corrupted labels and clean test pairs; the same in every arm with the same fractions."""
    split = modular_arithmetic(named_key(key, "data"), s.p, operation, fraction, "pairs")
    labels, mask = corrupt_labels(named_key(key, "corruption"), split.train_targets, s.p, corruption)
    return NoisyBatch(split.train_inputs, labels, mask), Batch(split.test_inputs, split.test_targets)


def with_corruption(records, at_the_end, corruption: float, p: int):
    """Label the records, drop the step of what is measured at the last step only, and note what to compare with."""
    ds = records.to_dataset()
    ds = ds.assign({name: ds[name].isel(step=-1, drop=True) for name in at_the_end})
    fraction = {"units": "1", "long_name": "corrupted fraction of the training labels"}
    floor = {"units": "1", "long_name": "training accuracy of the true classes"}
    each = np.ones(ds.sizes["seed"])
    return ds.assign(
        corrupted_fraction=("seed", corruption * each, fraction),
        train_floor=("seed", clean_floor(corruption, p) * each, floor),
    )


def full_batch(s: Settings, keys, steps, records, decay=0.0, corruption=None, operation: Operation = "add", **seams):
    """Train on all pairs at every step."""
    score = periodicity if operation == "add" else log_periodicity
    xi = s.corruption if corruption is None else corruption

    def build(key):
        data, held_out = corrupted_task(s, key, s.train_fraction, xi, operation)
        network, optimiser = Network(QuadraticMLP, s.p, s.width), adamw(s.rate, decay)
        return Supervised(network, one_hot_squared_error, optimiser, FullBatch(data), held_out, **seams)

    pruning = pruned_accuracy(score, PRUNED, steps)
    probes = [noisy_accuracy(cadence(steps, records)), pruning, neuron_scores("neuron_ipr", score, steps, IPR)]
    ds = with_corruption(run(build, keys, steps, probes=probes).records, ["neuron_ipr", *dict(pruning.dims)], xi, s.p)
    return ds.assign_coords(order=["lowest first", "highest first"], pruned=list(PRUNED))


def plain(s: Settings, keys):
    """No regularisation: the network generalises and memorises."""
    return full_batch(s, keys, s.steps, 50)


def decay_5(s: Settings, keys):
    """Weight decay 5, decoupled."""
    return full_batch(s, keys, s.decay_steps, 100, 5.0)


def decay_15(s: Settings, keys):
    """Weight decay 15, decoupled."""
    return full_batch(s, keys, s.decay_steps, 100, 15.0)


def decay_20(s: Settings, keys):
    """Weight decay 20, decoupled, for long."""
    return full_batch(s, keys, s.forgetting_steps, 50, 20.0)


def clean_labels(s: Settings, keys):
    """Weight decay 5 on labels that are all right."""
    return full_batch(s, keys, s.clean_steps, 20, 5.0, corruption=0.0)


def dropout(s: Settings, keys):
    """Dropout of pre-activations."""
    return full_batch(s, keys, s.dropout_steps, 50, forward=PreactivationDropout(s.dropout))


def multiplication(s: Settings, keys):
    """No regularisation, multiplication in place of addition."""
    return full_batch(s, keys, s.steps, 50, operation="multiply")


def batch_rate(s: Settings):
    """Learning rate that goes with the batch size."""
    return s.rate * min(1.0, s.batch_size / 256) ** 0.5


def mini_batch(s: Settings, keys, score, more_probes, process, **seams):
    """Train on mini-batches without weight decay."""

    def build(key):
        data, held_out = corrupted_task(s, key, s.batch_fraction, s.batch_corruption)
        stream = MiniBatches(data, s.batch_size)
        return process(
            loss=one_hot_squared_error, optimiser=adamw(batch_rate(s)), stream=stream, held_out=held_out, **seams
        )

    probes = [
        noisy_accuracy(cadence(s.batch_steps, 20)),
        neuron_scores("neuron_ipr", score, s.batch_steps, IPR),
        *more_probes,
    ]
    records = run(build, keys, s.batch_steps, probes=probes).records
    last = [name for name in ("neuron_ipr", "norm_scale") if name in records.variables]
    return with_corruption(records, last, s.batch_corruption, s.p)
