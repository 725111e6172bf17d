"""Arms of surrogate transfer: an encoder trained on chaos, used for classification."""

import numpy as np

from separatrix._core.keys import named_key
from separatrix.dynamics.classification_series import digit_rows, load_series_set, packaged_sets
from separatrix.dynamics.feature_set import series_features
from separatrix.dynamics.surrogate_transfer import (
    code_features,
    ridge_accuracy,
    significant_frequency,
    surrogate_series,
    train_autoencoder,
)
from separatrix.study.arms import generator, labelled

from .settings import Settings, archived

PACE = (np.log(5.0), np.log(200.0))  # points in a period of the control, drawn log-uniformly


def class_sets(s: Settings):
    """The sets, or those of the archive after the digits; a set that is in no installed package is missing."""
    if s.archive:
        return [digit_rows(), *(load_series_set(folder) for folder in archived(s.archive))]
    shipped = packaged_sets()
    found = {n: load_series_set(shipped[n], n) for n in s.sets if n in shipped}
    return [digit_rows() if n == "digits" else found[n] for n in s.sets if n == "digits" or n in found]


def transfer(s: Settings, keys):
    """Ridge classifiers on raw features, and on codes of autoencoders from surrogates of matched or random pace."""
    sets = class_sets(s)
    table = []
    for key in keys:
        rng, rows = generator(key, "pace"), []
        for data in sets:
            pace = {"matched": max(4.0, 2 // significant_frequency(data.train)), "random": np.exp(rng.uniform(*PACE))}
            standard = lambda x: (x - x.mean(1, keepdims=True)) / np.maximum(x.std(1, keepdims=True), 1e-12)  # noqa: E731
            raw = [series_features(standard(x)) for x in (data.train, data.test)]
            row = [ridge_accuracy(raw[0], data.labels, raw[1], data.truth)]
            for name, points in pace.items():
                lead = float(generator(key, name).uniform(5, 25))
                chaos = surrogate_series(s.surrogates, points, points=s.surrogate_points, transient=lead)
                own = named_key(key, f"{name} {data.name}")
                model = train_autoencoder(chaos, own, windows=s.code_windows, epochs=s.code_epochs).model
                codes = [code_features(model, x) for x in (data.train, data.test)]
                row.append(ridge_accuracy(codes[0], data.labels, codes[1], data.truth))
            rows.append(row)
        table.append(rows)
    found = labelled(
        {"accuracy": (["dataset", "features"], table, "accuracy of a ridge classifier")},
        dataset=[d.name for d in sets],
        features=["raw", "matched", "random"],
    )
    return found if s.archive else found.reindex(dataset=list(s.sets))  # a missing set is NaN: not measured
