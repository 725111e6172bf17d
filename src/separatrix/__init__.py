"""Separatrix: a laboratory for learning dynamics.

Names are imported on first use, so that `import separatrix` is quick.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "AbstractProcess": "_core.process",
    "Cancelled": "_core.monitor",
    "FullBatch": "_core.stream",
    "Intervention": "_core.intervention",
    "MiniBatches": "_core.stream",
    "Monitor": "_core.monitor",
    "Probe": "_core.probe",
    "Records": "_core.records",
    "Run": "_core.run",
    "Stream": "_core.stream",
    "Transition": "_core.probe",
    "at_step": "_core.intervention",
    "between": "_core.intervention",
    "chain": "_core.intervention",
    "checkpointing": "_core.monitor",
    "info_probe": "_core.probe",
    "log_spaced": "_core.schedule",
    "monitored": "_core.monitor",
    "named_key": "_core.keys",
    "observe": "observation",
    "replace": "_core.intervention",
    "run": "_core.run",
    "run_on_host": "_core.host",
    "wrap_step": "_core.intervention",
}
_DOMAINS = ("continual", "data", "dynamics", "envs", "models", "numerics", "rl", "study", "systems", "training")

__all__ = [*_HOME, *_DOMAINS]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from separatrix import continual, data, dynamics, envs, models, numerics, rl, study, systems, training
    from separatrix._core.host import run_on_host
    from separatrix._core.intervention import Intervention, at_step, between, chain, replace, wrap_step
    from separatrix._core.keys import named_key
    from separatrix._core.monitor import Cancelled, Monitor, checkpointing, monitored
    from separatrix._core.probe import Probe, Transition, info_probe
    from separatrix._core.process import AbstractProcess
    from separatrix._core.records import Records
    from separatrix._core.run import Run, run
    from separatrix._core.schedule import log_spaced
    from separatrix._core.stream import FullBatch, MiniBatches, Stream
    from separatrix.observation import observe


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"separatrix.{_HOME[name]}"), name)
    elif name in _DOMAINS:
        value = importlib.import_module(f"separatrix.{name}")
    else:
        raise AttributeError(f"module 'separatrix' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
