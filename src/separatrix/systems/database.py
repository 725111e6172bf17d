"""The catalogue: published chaotic flows, delay systems and maps as data, and processes made from its rows."""

import difflib
import functools
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import ArrayLike

from separatrix.systems.delay_flow import DelayFlow
from separatrix.systems.expressions import Equations, names_in, parse
from separatrix.systems.facts import Facts
from separatrix.systems.flow import Flow
from separatrix.systems.maps import Map

__all__ = ["catalogue", "get", "system_from_text"]

KINDS = ("ode", "dde", "map")
PUBLISHED = (
    "lle",
    "lle_naive_mean",
    "lle_qr",
    "lyapunov_spectrum",
    "kaplan_yorke_dimension",
    "correlation_dimension",
    "pesin_entropy",
    "multiscale_entropy",
)
_DELAY_INTERVALS = 400
_DT_PERIODS = 1_000  # steps in one period of a flow that has no stored step


@functools.cache
def _table() -> pd.DataFrame:
    folder = resources.files("separatrix.systems")
    with resources.as_file(folder / "catalogue.csv") as first, resources.as_file(folder / "maps.csv") as second:
        options: dict[str, Any] = {"keep_default_na": False, "dtype": str}
        table = pd.concat([pd.read_csv(first, **options), pd.read_csv(second, **options)], ignore_index=True)
    return table.fillna("").set_index("name", drop=False)


def _number(text: str) -> float:
    return float(text) if text else math.nan


def _nested(text: str) -> Any:
    return json.loads(text) if text else None


@functools.cache
def _catalogue() -> pd.DataFrame:
    from separatrix.systems.computed import computed_invariants

    table = _table()
    frame = pd.DataFrame({"name": table["name"], "kind": table["kind"]})
    frame["dimension"] = table["dimension"].astype(int)
    frame["states"] = [tuple(text.split()) for text in table["state"]]
    frame["parameters"] = [_nested(text) or {} for text in table["parameters"]]
    frame["initial"] = [tuple(_nested(text)) for text in table["initial_condition"]]
    frame["equations"], frame["reported"] = table["rhs"], table["observed"]
    for name in ("period", "dt"):
        frame[name] = table[name].map(_number)
    frame["family"] = np.where(table["family"] == "", table["name"], table["family"])
    for name in ("hamiltonian", "nonautonomous"):
        frame[name] = table[name] == "1"
    for name in ("bifurcation_parameter", "method", "reason", "conserved", "note", "citation"):
        frame[name] = table[name]
    for name in PUBLISHED:
        convert = _nested if name == "lyapunov_spectrum" else _number
        frame[f"published_{name}"] = table[name].map(convert)
    return frame.join(computed_invariants()).reset_index(drop=True)


def catalogue(kind: str | None = None) -> pd.DataFrame:
    """The systems that the package knows, one row each.

    Columns that start with `published_` are the published annotations, kept as they are though many are wrong
    (`published_lle` of Rossler is twice the literature's value); the columns of `computed_invariants` are our own,
    with standard errors. `note` says what differs from the published row.

    Args:
        kind: "ode", "dde" or "map"; all by default.

    Returns:
        A copy of the table, sorted as shipped.

    Raises:
        ValueError: if the kind is unknown.

    References:
        Gilpin (2021), Chaos as an interpretable benchmark for forecasting and data-driven modelling, NeurIPS Datasets
        and Benchmarks.

    Examples:
        >>> catalogue().kind.value_counts().to_dict()
        {'ode': 130, 'map': 22, 'dde': 6}
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}; got {kind!r}.")
    frame = _catalogue()
    if kind is not None:
        frame = frame.loc[frame.kind == kind]
    return frame.reset_index(drop=True).copy()


def get(name: str, **parameters: ArrayLike) -> Flow | DelayFlow | Map:
    """A system of the catalogue, ready to run.

    Args:
        name: as in `catalogue`.
        **parameters: values in place of the defaults; arrays and tracers are welcome.

    Returns:
        A flow, delay flow or map whose parameters and initial state are traced leaves. Defaults are kept in float64 and
        take the precision of the session in which the system is used.

    Raises:
        ValueError: if the name or a parameter is unknown.

    Examples:
        >>> lorenz = get("Lorenz", rho=30.0)
        >>> lorenz.states, lorenz.rhs(lorenz.initial).shape
        (('x', 'y', 'z'), (3,))
    """
    table = _table()
    if name not in table.index:
        raise ValueError(f"the catalogue has no system {name!r}{_hint(name, list(table.index))}")
    row = table.loc[name]
    values = {k: _parameter(v) for k, v in (_nested(row["parameters"]) or {}).items()}
    unknown = sorted(set(parameters) - set(values))
    if unknown:
        raise ValueError(f"{name} has no parameter {unknown[0]!r}; its parameters are {sorted(values)}.")
    for key, value in parameters.items():
        if isinstance(value, str):
            raise ValueError(f"parameter {key!r} of {name} must be a number or an array; got {value!r}.")
    initial = np.array(_nested(row["initial_condition"]), float)
    return _build(
        row["kind"],
        row["rhs"],
        tuple(row["state"].split()),
        values | parameters,
        initial,
        period=_number(row["period"]) if row["period"] else None,
        dt=_number(row["dt"]) if row["dt"] else None,
        reported=row["observed"],
        embedding=int(row["embedding_dimension"] or 1),
        facts=_facts(row),
    )


def system_from_text(
    equations: str,
    parameters: Mapping[str, ArrayLike],
    initial: Sequence[float] | ArrayLike | Mapping[str, float],
    *,
    kind: str = "ode",
    period: float | None = None,
    reported: str = "",
) -> Flow | DelayFlow | Map:
    """A system of one's own, written as text in the grammar of the catalogue (`systems.expressions`).

    Args:
        equations: `dx = ...; dy = ...` for a flow or a delay flow, `nx = ...` for the next state of a map. `x_tau` is
            the state one delay earlier; `t` in a flow is time, and adds a clock coordinate `t` that starts at 0.
        parameters: values by name; arrays are indexed in the text as `k[0,1]`. A delay flow has its delay as `tau`.
        initial: state at the start, in the order of the equations, or by name; for a delay flow the constant history.
        kind: "ode", "dde" or "map".
        period: dominant period; `simulate` estimates it when it is needed and not given.
        reported: reported coordinates as bare expressions, `sin(x); y`; the state by default.

    Returns:
        A flow, delay flow or map.

    Raises:
        ValueError: if the text lies outside the grammar, or names do not fit.

    Examples:
        >>> import jax.numpy as jnp
        >>> pendulum = system_from_text("dq = p; dp = -k*sin(q)", {"k": 1.0}, {"q": 1.0, "p": 0.0})
        >>> pendulum.rhs(jnp.array([jnp.pi / 2, 2.0])).tolist()
        [2.0, -1.0]
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` must be one of {KINDS}; got {kind!r}.")
    prefix = "n" if kind == "map" else "d"
    written = [(name, expression) for name, expression in parse(equations)]
    used = set().union(*(names_in(e) for _, e in written))
    states = [n[1:] for n, _ in written if n[0] == prefix and n not in used and n not in parameters]
    if isinstance(initial, Mapping):
        missing = [s for s in states if s not in initial]
        if missing:
            raise ValueError(f"`initial` lacks {missing[0]!r}; the states are {states}.")
        initial = [initial[s] for s in states]
    start = initial if hasattr(initial, "shape") else np.array(initial, float)
    if kind == "ode" and "t" in used and "t" not in (*states, *parameters):
        equations, states = f"{equations}; dt = 1", [*states, "t"]
        start = np.append(np.asarray(start), 0.0)
        reported = reported or "; ".join(states[:-1])
    if np.shape(start) != (len(states),):
        raise ValueError(f"`initial` must hold {len(states)} numbers, for {states}; got shape {np.shape(start)}.")
    values = {k: _parameter(v) for k, v in parameters.items()}
    if kind == "dde" and "tau" not in values:
        raise ValueError("a delay flow needs its delay among `parameters`, as `tau`.")
    return _build(kind, equations, tuple(states), values, start, period=period, reported=reported)


def _build(kind, text, states, values, initial, *, period, reported, dt=None, embedding=1, facts=None):
    shown = Equations(reported, states).check(values) if reported else None
    prefix = "n" if kind == "map" else "d"
    targets = tuple(f"{prefix}{name}" for name in states)
    if kind == "dde":
        field = Equations(text, states, targets, tuple(f"{name}_tau" for name in states)).check(values)
        start = initial[: len(states)] if np.ndim(initial) else initial
        options = {"period": period, "embedding": embedding, "states": states, "reported": shown, "facts": facts}
        return DelayFlow(field, values, start, intervals=_DELAY_INTERVALS, **options)
    field = Equations(text, states, targets).check(values)
    if kind == "map":
        return Map(field, values, initial, states=states, reported=shown, facts=facts)
    dt = dt or (period / _DT_PERIODS if period else 0.01)
    return Flow(field, values, initial, dt, period=period, states=states, reported=shown, facts=facts)


def _parameter(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return np.array(value, float) if isinstance(value, list | tuple) else value


def _facts(row: Mapping[str, str]) -> Facts:
    published = {name: _nested(row[name]) if row[name] else None for name in PUBLISHED}
    moments = tuple(tuple(_nested(row[name])) for name in ("mean", "std")) if row["mean"] else None
    return Facts(
        name=row["name"],
        kind=row["kind"],
        family=row["family"] or row["name"],
        citation=row["citation"],
        hamiltonian=row["hamiltonian"] == "1",
        nonautonomous=row["nonautonomous"] == "1",
        unbounded=tuple(_nested(row["unbounded_indices"]) or ()),
        bifurcation_parameter=row["bifurcation_parameter"],
        method=row["method"] or "explicit",
        reason=row["reason"],
        transient=float(row["transient"] or 30.0),
        lifetime=float(row["lifetime"] or math.inf),
        steps=int(row["steps"] or 1_000),
        layer=float(row["layer"] or 0.0),
        published=tuple((k, tuple(v) if isinstance(v, list) else v) for k, v in published.items() if v is not None),
        moments=moments,  # pyright: ignore[reportArgumentType]
        conserved=row["conserved"],
        note=row["note"],
    )


def _hint(name: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else "; `catalogue()` lists them."
