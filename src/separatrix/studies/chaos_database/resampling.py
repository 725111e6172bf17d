"""Arms of importance sampling of initial conditions, with its two controls."""

from separatrix.dynamics import forecasting as fc
from separatrix.dynamics.importance_resampling import resampled_training
from separatrix.study.arms import labelled
from separatrix.systems import get

from .invariants import starts_of
from .settings import Settings


def resampling(s: Settings, keys, power: float | None):
    """Train LSTMs in rounds; a fixed reference trajectory gets twice their steps."""
    build = fc.lstm(s.resample_window, size=s.cells, layers=s.layers).build
    table = []
    for key in keys:
        row = []
        for name in s.resampled:
            options = {"power": power, "epochs": s.epochs, "points": s.reference, "ahead": s.ahead}
            system = get(name)
            start = starts_of(system, [key], name)[0]
            run = resampled_training(system, build, key, window=s.resample_window, initial=start, **options)
            row.append(run.smape)
        table.append(row)
    return labelled({"after": (["trained"], table, "sMAPE, scale 2")}, trained=list(s.resampled))


def importance(s: Settings, keys):
    """New trajectories start where the model errs most."""
    return resampling(s, keys, 4.0)


def uniform(s: Settings, keys):
    """New trajectories start anywhere on the reference trajectory."""
    return resampling(s, keys, 0.0)


def fixed(s: Settings, keys):
    """No new trajectories, and twice the gradient steps."""
    return resampling(s, keys, None)
