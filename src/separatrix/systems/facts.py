"""What the catalogue knows of a system beside its equations."""

import math
from typing import Any, NamedTuple

__all__ = ["Facts"]


class Facts(NamedTuple):
    """Facts of one row of the catalogue; hashable.

    Attributes:
        name: of the row.
        kind: "ode", "dde" or "map".
        family: rows of one family have the same equations and differ in parameters only; keep them on one side of a
            split by system.
        citation: where the system was published.
        hamiltonian: whether volumes are conserved because the flow is Hamiltonian.
        nonautonomous: whether a coordinate is a clock.
        unbounded: indices of coordinates that grow without bound (phases).
        bifurcation_parameter: the parameter that leads to chaos, or "".
        method: how `simulate` integrates it: "explicit", "stiff" or "fixed".
        reason: why, where it is not "explicit".
        transient: periods after which a trajectory from the stored initial state is on the attractor.
        lifetime: periods after the transient for which trajectories stay on the chaotic set; infinite for an attractor.
        steps: fixed Runge-Kutta steps in one period that keep the local error of tangent vectors small.
        layer: half-width over which jumps of the right-hand side are smoothed for tangent vectors; 0 if it has none.
        published: pairs of a name and the published value, unverified: `lle`, `lle_qr`, `lyapunov_spectrum`,
            `kaplan_yorke_dimension`, `correlation_dimension`, `pesin_entropy`, `multiscale_entropy`.
        moments: stored mean and standard deviation of each coordinate, `((mean, ...), (std, ...))`.
        conserved: expression of a conserved quantity, or "".
        note: what differs from the published row.
    """

    name: str
    kind: str
    family: str = ""
    citation: str = ""
    hamiltonian: bool = False
    nonautonomous: bool = False
    unbounded: tuple[int, ...] = ()
    bifurcation_parameter: str = ""
    method: str = "explicit"
    reason: str = ""
    transient: float = 30.0
    lifetime: float = math.inf
    steps: int = 1_000
    layer: float = 0.0
    published: tuple[tuple[str, Any], ...] = ()
    moments: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    conserved: str = ""
    note: str = ""
