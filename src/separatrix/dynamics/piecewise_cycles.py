"""Fixed points and cycles of piecewise-linear maps, exactly: in a region the map is affine, so each is one solve."""

import functools
import itertools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Bool, Complex, Float, Key

__all__ = ["Cycles", "cycles", "fixed_points"]

MAX_PATTERNS = 4_096


class Cycles(NamedTuple):
    """Cycles of a map.

    Attributes:
        points: the points of each cycle in order, shape `(cycles, k, M)`, float64.
        multipliers: eigenvalues of the derivative once around each, largest modulus first, shape `(cycles, M)`.
        exhaustive: whether every combination of regions was tried; if not, there may be more.
    """

    points: Float[np.ndarray, "cycles k M"]
    multipliers: Complex[np.ndarray, "cycles M"]
    exhaustive: bool

    @property
    def stable(self) -> Bool[np.ndarray, " cycles"]:
        """Whether all multipliers of a cycle lie inside the unit circle."""
        return np.all(np.abs(self.multipliers) < 1, axis=1)


def fixed_points(model: Any, **how: Any) -> Cycles:
    """Fixed points of a piecewise-linear map; see `cycles`.

    Args:
        model: a piecewise-linear recurrent network.
        how: further arguments of `cycles`.

    Returns:
        Cycles of length one.

    Examples:
        >>> from separatrix.models import PLRNN
        >>> model = eqx.tree_at(lambda m: m.h, PLRNN(2, jr.key(0)), jnp.ones(2))
        >>> fixed_points(model).points.shape[1:]
        (1, 2)
    """
    return cycles(model, 1, **how)


def cycles(
    model: Any,
    k: int,
    *,
    key: Key[Array, ""] | None = None,
    starts: Float[np.ndarray, "starts M"] | None = None,
    num_starts: int = 512,
    spread: float = 3.0,
    rounds: int = 30,
    max_patterns: int = MAX_PATTERNS,
    tolerance: float = 1e-8,
) -> Cycles:
    """Cycles of least period `k` of a piecewise-linear map without input.

    With at most `max_patterns` combinations of regions all are tried: composing the affine pieces gives one linear
    system each. Otherwise the same solve is iterated from many states, each time with the regions that the last
    solution passes through, until the regions repeat. Whatever is returned has been verified by applying the map: each
    point returns after `k` steps and not before. Regions in which one is an eigenvalue of the composed matrix (lines
    of cycles) are left out.

    Args:
        model: with `step`, `gates`, `gate_options` and `piece`, as the models of the PLRNN family have.
        k: period, at least 1.
        key: drives the random states of the heuristic search; `jr.key(0)` by default.
        starts: states of the heuristic search, such as points of an attractor, added to the random ones.
        num_starts: number of random states, standard normal times `spread`.
        spread: of the random states.
        rounds: most solves from one state.
        max_patterns: most combinations to be tried exhaustively.
        tolerance: of the verification, relative to the size of the points.

    Returns:
        The cycles, those nearest to the origin first.

    Raises:
        ValueError: if `k` is below 1.

    References:
        Koppe et al. (2019), PLoS Comput. Biol. 15, e1007263; Eisenmann, Monfared, Goering, Durstewitz (2023), NeurIPS.

    Examples:
        A tent of slope 2 has one cycle of period 2, between 0.4 and 0.8:

        >>> from separatrix.models import ShallowPLRNN
        >>> tent = ShallowPLRNN(1, 1, jr.key(0))  # 2 z - 4 relu(z - 1/2)
        >>> new = (jnp.array([2.0]), jnp.array([[-4.0]]), jnp.array([[1.0]]), jnp.array([-0.5]))
        >>> tent = eqx.tree_at(lambda m: (m.A, m.W1, m.W2, m.h2), tent, new)
        >>> cycles(tent, 2).points.round(6).tolist(), cycles(tent, 2).multipliers.real.round(6).tolist()
        ([[[0.4], [0.8]]], [[-4.0]])
    """
    if k < 1:
        raise ValueError(f"`k` must be at least 1; got {k}.")
    with jax.enable_x64():
        double = lambda a: jnp.asarray(a, jnp.float64) if eqx.is_inexact_array(a) else a  # noqa: E731
        search = _Search(jax.tree.map(double, model), k, tolerance)
        options = model.gate_options()
        count = 1
        for option in options:
            count = count * len(option)
            if count**k > max_patterns:
                break
        exhaustive = count**k <= max_patterns
        if exhaustive:
            found = search.everywhere(options)
        else:
            key = jr.key(0) if key is None else key
            random = spread * np.asarray(jr.normal(key, (num_starts, len(model.A)), jnp.float64))
            begin = random if starts is None else np.concatenate([np.asarray(starts, float), random])
            found = search.from_states(begin, rounds)
        points, multipliers = search.verified(found)
    return Cycles(points, multipliers, exhaustive)


@eqx.filter_jit
def _step(model, z):
    return model.step(z)


@eqx.filter_jit
def _piece(model, gates):
    return model.piece(gates)


@eqx.filter_jit
def _pieces(model, z):
    return model.piece(model.gates(z))


class _Search:
    """The map in float64, and the algebra of its affine pieces on the host."""

    def __init__(self, model: Any, k: int, tolerance: float):
        self.k, self.tolerance = k, tolerance
        self.step = functools.partial(_step, model)
        self.pieces = functools.partial(_pieces, model)
        self.piece = functools.partial(_piece, model)

    def everywhere(self, options: list[np.ndarray]) -> np.ndarray:
        """Solve for every combination of regions."""
        patterns = np.array([np.stack(choice) for choice in itertools.product(*options)])
        matrices, offsets = (np.asarray(a) for a in self.piece(jnp.asarray(patterns)))
        combinations = np.array(list(itertools.product(range(len(patterns)), repeat=self.k)))
        combinations = combinations[combinations[:, 0] == combinations.min(axis=1)]  # one of the k rotations
        return _solve(*_compose(matrices[combinations], offsets[combinations]))

    def orbit(self, z: np.ndarray) -> np.ndarray:
        """Return the points visited in `k` steps, the first included, shape `(starts, k, M)`."""
        points = [z]
        for _ in range(self.k - 1):
            points.append(np.asarray(self.step(jnp.asarray(points[-1]))))
        return np.stack(points, axis=1)

    def from_states(self, z: np.ndarray, rounds: int) -> np.ndarray:
        """Iterate the solve from many states; it stops to move where the regions are right."""
        for _ in range(rounds):
            matrices, offsets = (np.asarray(a) for a in self.pieces(jnp.asarray(self.orbit(z))))
            after = _solve(*_compose(matrices, offsets))
            good = np.isfinite(after.sum(axis=1))
            moved = np.abs(after[good] - z[good]).max(initial=0.0)
            z = np.where(good[:, None], after, z)
            if moved <= self.tolerance:
                break
        return z

    def verified(self, candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keep what the map itself confirms, each cycle once."""
        dim = candidates.shape[1]
        candidates = candidates[np.flatnonzero(np.isfinite(candidates.sum(axis=1)))]
        nothing = np.zeros((0, self.k, dim)), np.zeros((0, dim), complex)
        if not len(candidates):
            return nothing
        orbits = self.orbit(candidates)
        scale = self.tolerance * (1 + np.abs(orbits).max(axis=(1, 2)))
        again = np.asarray(self.step(jnp.asarray(orbits[:, -1])))
        kept = np.abs(again - orbits[:, 0]).max(axis=1) <= scale
        for shift in range(1, self.k):  # a shorter period
            kept &= np.abs(orbits[:, shift] - orbits[:, 0]).max(axis=1) > 100 * scale
        orbits, scale = orbits[kept], scale[kept]
        order = np.argsort(np.linalg.norm(orbits, axis=2).min(axis=1), kind="stable")
        distinct: list[np.ndarray] = []
        for i in order:
            orbit = orbits[i]
            close = [np.abs(other - orbit[0]).max(axis=1).min() <= 100 * scale[i] for other in distinct]
            if not any(close):
                distinct.append(np.roll(orbit, -int(np.lexsort(orbit.T[::-1])[0]), axis=0))
        if not distinct:
            return nothing
        points = np.stack(distinct)
        matrices, offsets = (np.asarray(a) for a in self.pieces(jnp.asarray(points)))
        values = np.linalg.eigvals(_compose(matrices, offsets)[0]).astype(complex)
        values = np.take_along_axis(values, np.argsort(-np.abs(values), axis=1, kind="stable"), axis=1)
        return points, values


def _compose(matrices: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compose affine maps along axis 1, the first applied first."""
    matrix, offset = matrices[:, 0], offsets[:, 0]
    for i in range(1, matrices.shape[1]):
        offset = (matrices[:, i] @ offset[..., None])[..., 0] + offsets[:, i]
        matrix = matrices[:, i] @ matrix
    return matrix, offset


def _solve(matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Solve `z = matrix z + offset`; NaN where one is (nearly) an eigenvalue of the matrix."""
    system = np.eye(matrix.shape[-1]) - matrix
    finite = np.all(np.isfinite(system), axis=(1, 2))
    safe = np.where(finite[:, None, None], system, np.eye(matrix.shape[-1]))
    with np.errstate(divide="ignore"):
        regular = finite & (np.linalg.cond(safe) < 1e12)
    result = np.full(offset.shape, np.nan)
    if regular.any():
        result[regular] = np.linalg.solve(system[regular], offset[regular][..., None])[..., 0]
    return result
