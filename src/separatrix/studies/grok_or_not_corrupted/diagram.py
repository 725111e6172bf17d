"""Arms over corruption and the fraction of data: the phase diagrams."""

from typing import Any

import numpy as np
import xarray as xr

from separatrix._core.keys import named_key
from separatrix.data.modular import operation_table
from separatrix.models.quadratic_mlp import PreactivationDropout, QuadraticMLP
from separatrix.training.corruption_grid import CorruptedTable, WeightedLoss, phase_diagram
from separatrix.training.phases import PHASES, classify_phase
from separatrix.training.running_statistics import SupervisedWithStatistics
from separatrix.training.squared_error import one_hot_squared_error
from separatrix.training.supervised import Supervised

from .batch_norm import batch_norm_seams
from .corrupted import batch_rate
from .network import Network, adamw
from .settings import Settings


def diagram(s: Settings, keys, decay=0.0, batch_size=None, process: Any = Supervised, rate=None, **seams):
    """Final accuracies over training fraction and corruption, one compiled program for all of them and the seeds."""
    a, b, c = operation_table(s.diagram_p, "add")
    pairs, sums = np.stack([a, b], axis=1).astype(np.int32), c.astype(np.int32)
    parts = {"model": Network(QuadraticMLP, s.diagram_p, s.diagram_width), **seams}

    def build(key):
        table = CorruptedTable.shuffled(named_key(key, "data"), pairs, sums, s.diagram_p, batch_size)
        return process(
            loss=WeightedLoss(one_hot_squared_error), optimiser=adamw(rate or s.rate, decay), stream=table, **parts
        )

    ds = phase_diagram(
        build,
        keys,
        s.diagram_steps,
        train_fractions=s.diagram_fractions,
        corruptions=s.diagram_corruptions,
    ).records.to_dataset()
    ds = ds.isel(step=-1, drop=True).rename({name: f"diagram_{name}" for name in ds.data_vars if name != "diverged_at"})
    train, test = ds.diagram_train_accuracy, ds.diagram_test_accuracy
    found = xr.apply_ufunc(classify_phase, train, test, ds.corruption, kwargs={"num_classes": s.diagram_p})
    meaning = {"units": "1", "long_name": f"phase ({', '.join(f'{i} {name}' for i, name in enumerate(PHASES))})"}
    diverged_at = ds.diverged_at.max(["train_fraction", "corruption"], keep_attrs=True)
    return ds.assign(diagram_phase=found.assign_attrs(meaning), diverged_at=diverged_at)


def diagram_plain(s: Settings, keys):
    """Phase diagram without regularisation."""
    return diagram(s, keys)


def diagram_decay(s: Settings, keys):
    """Phase diagram with weight decay."""
    return diagram(s, keys, decay=s.diagram_decay)


def diagram_dropout(s: Settings, keys):
    """Phase diagram with dropout."""
    return diagram(s, keys, forward=PreactivationDropout(s.dropout))


def diagram_batch_norm(s: Settings, keys):
    """Phase diagram with batch normalisation, on mini-batches drawn with replacement."""
    seams = batch_norm_seams(s.diagram_p, s.diagram_width)
    return diagram(s, keys, 0.0, s.batch_size, SupervisedWithStatistics, batch_rate(s), **seams)
