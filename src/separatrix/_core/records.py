"""What was measured: the records of a run, and the labelled data set they become."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .probe import Probe

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Record", "Records", "axis_names"]


class Record(NamedTuple):
    """One measured variable.

    Attributes:
        steps: completed updates at each record, shape `(records,)`.
        values: shape `(*population, records, *trailing)`.
        dims: names of the trailing axes.
        attrs: units and the like.
    """

    steps: np.ndarray
    values: np.ndarray
    dims: tuple[str, ...]
    attrs: dict[str, str]


def axis_names(probe: Probe, name: str, count: int) -> tuple[str, ...]:
    """Name the trailing axes of a variable.

    Args:
        probe: records it.
        name: of the variable.
        count: number of its trailing axes.

    Returns:
        The probe's names, or else names made from the variable's.

    Raises:
        ValueError: if the probe names another number of axes.
    """
    dims = dict(probe.dims).get(name, tuple(f"{name}_{axis}" for axis in range(count)))
    if len(dims) != count:
        raise ValueError(f"{name!r} has {count} trailing axes; its probe names {dims}.")
    return dims


@dataclass(frozen=True)
class Records:
    """All that a run measured.

    Attributes:
        variables: records by the name of the variable.
        diverged_at: first step with a non-finite number in the state, -1 if none; shape `(*population,)`. States of
            more than 4 096 numbers are looked at after every 32nd step and the last.
        population_dims: names of the leading axes: those of the grid, then `seed`; empty for a single run.
        coords: values along the grid's axes.
        attrs: how the run was carried out (layout, seconds).
    """

    variables: dict[str, Record]
    diverged_at: np.ndarray
    population_dims: tuple[str, ...]
    coords: dict[str, np.ndarray]
    attrs: dict[str, Any]

    def __getitem__(self, name: str) -> np.ndarray:
        """Return the values of one variable, shape `(*population, records, *trailing)`."""
        return self.variables[name].values

    def to_dataset(self, seeds: Sequence[int] | None = None, attrs: Mapping[str, Any] | None = None) -> "xr.Dataset":
        """Label the records.

        Variables with different cadences share one `step` coordinate; NaN marks steps at which one was not measured.

        Args:
            seeds: coordinate of the seed axis; counts from 0 by default.
            attrs: attributes of the data set, added to those of the run.

        Returns:
            Dataset with dimensions `(*grid, seed, step, ...)` and the variable `diverged_at`.
        """
        import xarray as xr

        steps = np.unique(np.concatenate([[], *(r.steps for r in self.variables.values())])).astype(np.int64)
        lead = self.population_dims
        data: dict[str, Any] = {}
        for name, record in self.variables.items():
            values = record.values
            if len(record.steps) != len(steps):
                dtype = values.dtype if np.issubdtype(values.dtype, np.inexact) else np.float64
                shape = (*values.shape[: len(lead)], len(steps), *values.shape[len(lead) + 1 :])
                filled = np.full(shape, np.nan, dtype)
                filled[(slice(None),) * len(lead) + (np.searchsorted(steps, record.steps),)] = values
                values = filled
            data[name] = ((*lead, "step", *record.dims), values, dict(record.attrs))
        data["diverged_at"] = (
            lead,
            self.diverged_at,
            {"units": "step", "long_name": "first step with a non-finite state, -1 if none"},
        )
        coords: dict[str, Any] = dict(self.coords)
        if len(steps):
            coords["step"] = ("step", steps, {"units": "step", "long_name": "completed updates"})
        if "seed" in lead:
            count = self.diverged_at.shape[-1]
            coords["seed"] = np.arange(count) if seeds is None else np.asarray(seeds)
        return xr.Dataset(data, coords=coords, attrs={**self.attrs, **(attrs or {})})
