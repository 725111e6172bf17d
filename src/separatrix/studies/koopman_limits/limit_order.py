"""Arms on the order of limits: snapshots before observables, and the other way round."""

import functools

import numpy as np

from separatrix.dynamics import koopman as kp
from separatrix.study.arms import labelled

from .draws import Mark, mark
from .duffing import duffing_pairs
from .settings import Settings


@functools.lru_cache(maxsize=32)
def limit_data(which: Mark, size: int, samples: int, held_out: int):
    """Snapshots for the order of limits: a dictionary, training and fresh observables."""
    x, y = duffing_pairs(which, "limit", samples, 1)
    fresh = duffing_pairs(which, "limit-fresh", held_out, 1)
    dictionary = kp.radial_kmeans(fresh[0], size, seed=which[-1] % 2**31)
    observables = lambda pair: kp.Snapshots(*(kp.evaluate(dictionary, p) for p in pair))  # noqa: E731
    return observables((x, y)), observables(fresh)


def worst_residual(which: Mark, size: int, samples: int, held_out: int, most: int):
    """Mean residual of the EDMD pairs on the fitted, and on fresh, snapshots."""
    train, fresh = limit_data(which, size, most, held_out)
    psi = kp.Snapshots(train.psi_x[:samples], train.psi_y[:samples])
    pairs = kp.edmd(*psi)
    return [float(np.mean(kp.residuals(pairs.values, pairs.vectors, *part))) for part in (psi, fresh)]


def limit_order(s: Settings, keys):
    """Residuals on the fitted snapshots against fresh ones, as the number of snapshots passes that of observables."""
    n, table = s.limit_size, []
    most = n * max(s.limit_factors)
    for key in keys:
        table.append([worst_residual(mark(key), n, n * f, 4_000, most) for f in s.limit_factors])
    return labelled(
        {"limit_residual": (["factor", "on"], table, "mean residual of eigenpairs")},
        factor=list(s.limit_factors),
        on=["fitted", "fresh"],
    )


def tower(s: Settings, keys):
    """A tower of limits: the residual that ResDMD reports, over snapshots and observables, read in both orders."""
    tables, limits = [], []
    most = max(s.tower_samples)
    for key in keys:
        estimate = lambda N, M, key=key: worst_residual(mark(key), N, M, 1_000, most)[0]  # noqa: E731
        table = kp.Tower(estimate, {"N": s.tower_sizes, "M": s.tower_samples}).evaluate()
        tables.append(table.values)
        limits.append([kp.iterated_limit(table, order) for order in (["M", "N"], ["N", "M"])])
    return labelled(
        {
            "reported": (["N", "M"], tables, "mean residual reported on the fitted snapshots"),
            "limit": (["order"], limits, "value of the tower"),
        },
        N=list(s.tower_sizes),
        M=list(s.tower_samples),
        order=["M then N", "N then M"],
    )
