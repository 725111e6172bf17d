"""Our own invariants of the catalogue's systems, as the audit wrote them (`python -m separatrix.systems.audit`)."""

import functools
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from jax.core import Tracer

__all__ = ["COLUMNS", "computed_invariants", "invariants_of", "is_as_catalogued"]

COLUMNS = (
    "spectrum",
    "spectrum_errors",
    "exponent",
    "exponent_error",
    "kaplan_yorke",
    "pesin",
    "divergence",
    "periods",
    "transient",
    "steps_per_period",
)
_FILE = "invariants.csv"


@functools.cache
def _load() -> pd.DataFrame:
    path = resources.files("separatrix.systems") / _FILE
    if not path.is_file():
        return pd.DataFrame({name: pd.Series(dtype=float) for name in COLUMNS}, index=pd.Index([], name="name"))
    with resources.as_file(path) as file:
        frame = pd.read_csv(file).set_index("name")
    for name in ("spectrum", "spectrum_errors"):
        frame[name] = [tuple(float(v) for v in str(text).split()) for text in frame[name]]
    return frame.loc[:, list(COLUMNS)]


def computed_invariants() -> pd.DataFrame:
    """Lyapunov spectra of the catalogue with standard errors, computed by the audit.

    Returns:
        One row a system, indexed by name; exponents in nats per unit time (per iteration for maps), `divergence` the
        mean of the trace of the Jacobian along the same orbit, `periods` the length of the average.
    """
    return _load().copy()


def is_as_catalogued(system: Any) -> bool:
    """Whether a system comes from the catalogue and has its parameters; what is stored of it holds for those only.

    Args:
        system: a flow, delay flow or map.

    Returns:
        False for other systems, changed parameters, and parameters that are being traced.
    """
    from separatrix.systems.database import catalogue, get

    if system.facts is None or not (catalogue().name == system.facts.name).any():
        return False
    default = get(system.facts.name).parameters
    if set(default) != set(system.parameters):
        return False
    values = [(system.parameters[name], default[name]) for name in default]
    if any(isinstance(value, Tracer) for value, _ in values):
        return False
    return all(np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-6, atol=0) for a, b in values)


def invariants_of(system: Any) -> dict[str, Any]:
    """Our stored invariants of a system.

    Args:
        system: a flow, delay flow or map.

    Returns:
        The columns of `computed_invariants` for a system of the catalogue with its parameters, where the audit has it;
        empty otherwise.
    """
    if not is_as_catalogued(system):
        return {}
    table = _load()
    return table.loc[system.facts.name].to_dict() if system.facts.name in table.index else {}
