"""Effects that most findings are made of: from a study's Dataset to one number a seed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["curve", "final", "first_step", "least", "most", "of", "per_seed"]


def of(results: "xr.Dataset", arm: str, variable: str, **labels: Any) -> "xr.DataArray":
    """Return one variable of one arm, at labels of its other dimensions.

    Args:
        results: Dataset of a run, with a dimension `arm`.
        arm: name of the arm.
        variable: name of the variable.
        **labels: coordinate by dimension.

    Returns:
        Array without the dimensions `arm` and those named.
    """
    return results[variable].sel(arm=arm, drop=True).sel(labels)


def least(cases: "Sequence[xr.DataArray]") -> "xr.DataArray":
    """Return the smallest of several effects, seed by seed."""
    import xarray as xr

    return xr.concat(cases, "case").min("case")


def most(cases: "Sequence[xr.DataArray]") -> "xr.DataArray":
    """Return the largest of several effects, seed by seed."""
    import xarray as xr

    return xr.concat(cases, "case").max("case")


def curve(results: "xr.Dataset", arm: str, variable: str) -> "xr.DataArray":
    """Return a variable of one arm at the steps at which the arm measured it.

    Args:
        results: Dataset of a run, with dimensions `arm` and `step`.
        arm: name of the arm.
        variable: name of the variable.

    Returns:
        Array without the dimension `arm`.
    """
    return results[variable].sel(arm=arm).dropna("step", how="all")


def per_seed(array: "xr.DataArray") -> "xr.DataArray":
    """Average over all dimensions but `seed`, such as those of a static grid.

    Args:
        array: with a dimension `seed`.

    Returns:
        One number a seed.
    """
    return array.mean([dim for dim in array.dims if dim != "seed"])


def final(results: "xr.Dataset", arm: str, variable: str) -> "xr.DataArray":
    """Return the last measured value of a variable.

    Args:
        results: Dataset of a run.
        arm: name of the arm.
        variable: name of the variable.

    Returns:
        One number a seed.
    """
    return per_seed(curve(results, arm, variable).isel(step=-1))


def first_step(results: "xr.Dataset", arm: str, variable: str, level: float) -> "xr.DataArray":
    """Return the first recorded step at which a variable is at least `level`.

    Args:
        results: Dataset of a run.
        arm: name of the arm.
        variable: name of the variable.
        level: to be reached.

    Returns:
        Steps; where the level is never reached, the last recorded step, a lower bound.

    Examples:
        >>> import xarray as xr
        >>> ds = xr.Dataset({"acc": (("arm", "seed", "step"), [[[0.1, 0.9, 0.8], [0.1, 0.2, 0.3]]])},
        ...                 coords={"arm": ["a"], "step": [10, 20, 30]})
        >>> first_step(ds, "a", "acc", 0.5).values.tolist()
        [20.0, 30.0]
    """
    values = curve(results, arm, variable)
    return values.step.where(values >= level).min("step").fillna(values.step[-1])
