"""Which arms the traced settings of a sweep or a map reach, known before anything is computed.

An arm of a study's quick preset is called for one seed and two values, and stopped where its first run would begin. The
trace of that run tells which settings have an effect on it.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import UsageError, nearest
from .study import Study
from .sweep import POINT, Over

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["check_variable", "leave_out_idle", "reaching", "told"]


def reaching(study: Study, arm: str, values: Mapping[str, Sequence[Any]]) -> frozenset[str]:
    """Tell which traced settings have an effect on an arm.

    Args:
        study: the study.
        arm: its name.
        values: two or more of each setting, by name.

    Returns:
        Names of settings; none if the first run of the arm does not go along them, and all if the arm fails, which it
        will say itself.

    Raises:
        UsageError: if the arm refuses the settings.
    """
    from separatrix._core.monitor import Cancelled, Monitor, monitored

    class FirstRun(Monitor):
        names: frozenset[str] = frozenset()

        def varies(self, label, grid, effective):
            self.names = frozenset(effective() & set(grid.get(POINT, ())))

        def begin(self, label, steps, members):
            raise Cancelled("The first run says it all.")

    monitor = FirstRun()
    try:
        with monitored(monitor):
            found = _quick(study, arm, values)
    except Cancelled:
        return monitor.names
    except (ValueError, UsageError) as error:
        raise UsageError(str(error)) from error
    except Exception:
        return frozenset(values)
    return frozenset(values if POINT in found.dims else ())  # it needed no run


def _quick(study: Study, arm: str, values: Mapping[str, Sequence[Any]]) -> "xr.Dataset":
    import jax

    two = {name: np.array(column[:2]) for name, column in values.items()}
    keys = jax.vmap(jax.random.key)(np.arange(1, dtype=np.uint32))
    return study.arms[arm](dataclasses.replace(study.presets["quick"], **two), keys)


def leave_out_idle(study: Study, swept: Study, over: Sequence[Over]) -> tuple[Study, dict[str, str]]:
    """Leave the arms out of a sweep that none of its traced settings has an effect on, or that refuse them.

    Args:
        study: the study.
        swept: from `sweep.sweep_of`.
        over: the axes.

    Returns:
        The swept study, in which such arms have no grid points and so no cells; and why, by arm.

    Raises:
        UsageError: if no arm is left.
    """
    values = {axis.name: axis.values for axis in over if axis.name in study.traced}
    why: dict[str, str] = {}
    for arm in swept.arms if values else ():
        try:
            if not reaching(study, arm, values):
                why[arm] = f"no effect of {' or '.join(values)}"
        except UsageError as error:
            why[arm] = str(error)
    if len(why) == len(swept.arms):
        raise UsageError(f"there is no arm to sweep: {told(why)}")
    nowhere, grid = {over[0].name: ()}, swept.grid
    return dataclasses.replace(swept, grid=lambda s, arm: nowhere if arm in why else grid(s, arm)), why


def told(why: Mapping[str, str]) -> str:
    """Write on one line which arms are left out and why.

    Args:
        why: a reason by arm.

    Examples:
        >>> told({"a": "of no use", "b": "of no use", "c": "too large"})
        'a, b (of no use); c (too large)'
    """
    arms: dict[str, list[str]] = {}
    for arm, reason in why.items():
        arms.setdefault(reason, []).append(arm)
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in arms.items())


def check_variable(study: Study, arms: Sequence[str], over: Sequence[Over], variable: str) -> None:
    """Refuse to draw what no arm measures, as the quick preset of the arms tells.

    Args:
        study: the study.
        arms: of the sweep.
        over: its axes.
        variable: what is to be drawn.

    Raises:
        UsageError: if there is no such variable.
    """
    values = {axis.name: axis.values for axis in over if axis.name in study.traced}
    known: set[str] = set()
    for arm in arms:
        try:
            found = _quick(study, arm, values)
        except Exception:  # the arm will say itself what is wrong
            return
        known |= {str(name) for name in found.data_vars}
        if variable in known:
            return
    raise UsageError(f"there is no variable {variable!r}{nearest(variable, known)}")
