"""The quick road for one long trajectory: each state's observables once, two matrix products, bounded memory.

Snapshot pairs of a trajectory share their states, so the dictionary is evaluated once a state in place of twice, and
`L` is `G` but for the two ends. The price against `compress` is the square of the condition number: directions of the
dictionary below `1e-7` of the first are lost.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from separatrix.dynamics.koopman.gram_matrices import CHUNK, Dictionary, Gram, evaluate
from separatrix.dynamics.koopman.orthonormal_basis import OrthonormalForm

__all__ = ["gram_form", "trajectory_gram"]


def trajectory_gram(dictionary: Dictionary, path: Float[np.ndarray, "times dim"], *, chunk: int = CHUNK) -> Gram:
    """Inner products of a dictionary on the `times - 1` snapshot pairs of a trajectory, with equal weights.

    Args:
        dictionary: maps `(samples, dim)` to `(samples, size)`, real or complex.
        path: the trajectory.
        chunk: states whose observables are in memory at once.

    Returns:
        `G`, `A` and `L`, as `stream_gram(dictionary, path[:-1], path[1:])` gives them.

    Raises:
        ValueError: if there are fewer than two times, `chunk` is below 1, or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> from separatrix.dynamics.koopman import polynomial, stream_gram
        >>> path = np.cos(np.arange(50.0))[:, None]
        >>> quick = trajectory_gram(polynomial(1, 2), path, chunk=8)
        >>> plain = stream_gram(polynomial(1, 2), path[:-1], path[1:])
        >>> bool(all(np.allclose(a, b) for a, b in zip(quick, plain)))
        True
    """
    path = np.asarray(path, float)
    if path.ndim != 2 or len(path) < 2 or chunk < 1:
        raise ValueError(
            f"`path` must be (times, dim) with two times or more and `chunk` >= 1; got {path.shape}, {chunk}."
        )
    pairs = len(path) - 1
    chunk = min(chunk, pairs)
    first, last = evaluate(dictionary, path[:1])[0], evaluate(dictionary, path[-1:])[0]
    with jax.enable_x64():
        zeros = jnp.zeros((len(first), len(first)), np.result_type(first, np.float64))
        total = (zeros, zeros)
        for start in range(0, pairs, chunk):
            rows = np.arange(start, start + chunk + 1)
            real = jnp.asarray(rows[:-1] < pairs)
            states = jnp.asarray(path[np.minimum(rows, pairs)])
            if isinstance(dictionary, eqx.Module):
                total = _add_states(dictionary, total, states, real)
            else:
                total = _add_observables(total, jnp.asarray(dictionary(states)), real)
        g, a = (np.asarray(m) / pairs for m in total)
    ends = (np.outer(last.conj(), last) - np.outer(first.conj(), first)) / pairs
    if not (np.isfinite(g).all() and np.isfinite(a).all()):
        raise ValueError("the dictionary has NaN or infinite values on the trajectory; cut it there.")
    return Gram(g, a, g + ends)


@jax.jit
def _add_observables(total: Any, psi: Any, real: Any) -> Any:
    before = jnp.where(real[:, None], psi[:-1], 0.0)
    return total[0] + before.conj().T @ before, total[1] + before.conj().T @ psi[1:]


@eqx.filter_jit
def _add_states(dictionary, total, states, real):
    return _add_observables(total, dictionary(states), real)


def gram_form(inner: Gram, tolerance: float = 1e-13) -> OrthonormalForm:
    """Koopman's operator in an orthonormal basis, from inner products alone.

    Args:
        inner: Gram matrices.
        tolerance: eigenvalues of `G` below this share of the largest are pruned.

    Returns:
        What `orthonormal_form` makes of the snapshots, to about the square root of rounding; give it to
        `koopman_pairs` or `smallest_residuals`.

    References:
        Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77, 221-283.

    Examples:
        >>> import numpy as np
        >>> from separatrix.dynamics.koopman import gram, koopman_pairs
        >>> cycle = gram(np.eye(4), np.roll(np.eye(4), 1, 0))
        >>> bool(np.allclose(np.sort_complex(koopman_pairs(gram_form(cycle)).values**4), 1))
        True
    """
    values, vectors = np.linalg.eigh((inner.G + inner.G.conj().T) / 2)
    keep = values > tolerance * values[-1]
    root = np.sqrt(values[keep])
    basis = vectors[:, keep] / root
    operator = basis.conj().T @ inner.A @ basis
    rest = basis.conj().T @ inner.L @ basis - operator.conj().T @ operator
    sizes, directions = np.linalg.eigh((rest + rest.conj().T) / 2)
    leak = np.sqrt(np.maximum(sizes, 0))[:, None] * directions.conj().T
    return OrthonormalForm(operator, leak, basis, root[:, None] * vectors[:, keep].conj().T)
