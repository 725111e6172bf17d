"""A game against any sequence of algorithms that decides whether a system of the torus has eigenfunctions.

The algorithm sees the system through queries of finite precision. As soon as its answer is right, the adversary moves
to a system on which that answer is wrong and which agrees with everything that was shown: a nearby fraction with a
small resonant harmonic (no eigenfunctions in the fibre), or a nearby irrational number (only eigenfunctions). The moves
shrink so quickly that the systems converge. On the limit the algorithm gives the answers that it gave in the game, and
never settles; if it stops changing its mind, it is wrong for good on the system of that moment.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from separatrix.dynamics.koopman.torus_adversary import GOLDEN, SkewTorus, torus

__all__ = ["GameRound", "game"]

Query = Callable[[Float[np.ndarray, "points 2"], float], Float[np.ndarray, "points 2"]]
Algorithm = Callable[[int, Query], bool]

SHARE = 0.2  # of the tightest precision asked so far that one move may use; moves shrink, so their sum stays within it


class GameRound(NamedTuple):
    """One round.

    Attributes:
        system: what the adversary holds in this round.
        truth: whether it has eigenfunctions in the fibre.
        stage: index `n` at which the algorithm was first right, or the last that was tried.
        answer: the algorithm's answer there.
        precision: tightest precision asked up to then.
        error: largest deviation of this system from all that was ever shown, as a share of the precision asked.
    """

    system: SkewTorus
    truth: bool
    stage: int
    answer: bool
    precision: float
    error: float


def game(algorithm: Algorithm, rounds: int, *, stages: int = 200, amplitude: float = 0.2) -> list[GameRound]:
    """Play against a sequence of algorithms `Gamma_1, Gamma_2, ...`.

    Args:
        algorithm: `(n, query) -> bool`, whether the fibre `exp(2 pi i y)` has an eigenfunction; it may call
            `query(points, precision)` for images of points `(k, 2)` in turns, correct to `precision` in each
            coordinate. The same function is called with growing `n`.
        rounds: moves of the adversary.
        stages: largest `n`.
        amplitude: of the first harmonic.

    Returns:
        The rounds. In each the truth is the opposite of the one before; `answer == truth` in all but perhaps the last,
        in which the algorithm is wrong at all stages that were tried. Everything shown stays true of later systems.

    Raises:
        ValueError: if `rounds` is not positive, or a query's precision is not.

    References:
        After Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312; the construction is ours.

    Examples:
        >>> stubborn = game(lambda n, query: True, rounds=3, stages=5)  # never looks
        >>> [(r.truth, r.answer) for r in stubborn]
        [(True, True), (False, True)]
    """
    if rounds < 1:
        raise ValueError(f"`rounds` must be at least 1; got {rounds}.")
    system = torus(GOLDEN, {1: amplitude})
    shown: list[tuple[np.ndarray, np.ndarray, float]] = []
    played: list[GameRound] = []
    stage = 0
    for _ in range(rounds):
        truth = system.has_eigenfunctions()
        answer = not truth
        while answer != truth and stage < stages:
            stage += 1
            answer = bool(algorithm(stage, _oracle(system, shown)))
        precision = min((p for *_, p in shown), default=1e-2)
        played.append(GameRound(system, truth, stage, answer, precision, _deviation(system, shown)))
        if answer != truth:
            break
        system = _flip(system, SHARE ** len(played) * precision)
    return played


def _oracle(system: SkewTorus, shown: list) -> Query:
    def query(points, precision):
        if not precision > 0:
            raise ValueError(f"`precision` of a query must be positive; got {precision}.")
        points = np.asarray(points, float)
        images = _apply(system, points)
        shown.append((points, images, float(precision)))
        return images.copy()

    return query


def _apply(system: SkewTorus, points: np.ndarray) -> np.ndarray:
    """The map in NumPy's double precision, whatever the session's."""
    x, y = points[:, 0], points[:, 1]
    terms = [a * np.cos(2 * np.pi * k * x) for k, a in zip(system.wave_numbers, system.amplitudes, strict=True)]
    return np.mod(np.stack([x + system.alpha, y + np.sum(terms, axis=0)], axis=1), 1.0)


def _deviation(system: SkewTorus, shown: list) -> float:
    """Largest distance on the torus between what was shown and the present system, over the precision asked."""
    worst = 0.0
    for points, images, precision in shown:
        gap = np.abs(_apply(system, points) - images)
        worst = max(worst, float(np.minimum(gap, 1 - gap).max(initial=0.0)) / precision)
    return worst


def _flip(system: SkewTorus, room: float) -> SkewTorus:
    """The nearest system of the other kind, within `room` in both coordinates."""
    harmonics = dict(zip(system.wave_numbers, system.amplitudes, strict=True))
    if not system.has_eigenfunctions():  # leave the fraction for an irrational number
        return torus(system.alpha + room * GOLDEN, harmonics)
    bound = 2
    while True:
        near = Fraction(system.alpha).limit_denominator(bound)
        if abs(float(near) - system.alpha) < room and near.denominator > max(harmonics):
            break
        bound *= 2
    return torus(near, harmonics | {near.denominator: room})
