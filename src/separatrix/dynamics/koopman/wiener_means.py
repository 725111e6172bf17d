"""How much of an observable is made of eigenfunctions: RAGE means of projections, and Wiener means of correlations.

Parts of an observable in the continuous spectrum leave every finite-dimensional space on average (Ruelle, Amrein,
Georgescu, Enss), parts in the point spectrum stay. Two limits: first the mean over time, then the dimension.
"""

import numpy as np
from jaxtyping import Float, Num

__all__ = ["rage", "wiener_mean"]


def rage(
    g: Float[np.ndarray, " times"], n: int, L: int, *, samples: int | None = None, stride: int = 1
) -> Float[np.ndarray, " lags"]:
    """Running means over `l <= L` of the share of `K^l g` that lies in the span of `n` delays of `g`.

    The delays `g(x_{t + stride j})`, `j < n`, are orthonormalised on `samples` times, and projections of the shifted
    observable are averaged. The first limit is `L` to infinity, the second `n`; their value is the share of the
    observable's energy in eigenfunctions. Subtract the mean first, or the constant counts.

    Args:
        g: the observable along a trajectory.
        n: number of delays.
        L: largest shift.
        samples: times that the inner products average over; all that the trajectory allows by default.
        stride: time steps between delays.

    Returns:
        Running means, shape `(L + 1,)`, in [0, 1].

    Raises:
        ValueError: if the trajectory is too short or the observable vanishes.

    References:
        Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312, section 4. Ruelle (1969), Nuovo Cimento A 61, 655-662.

    Examples:
        >>> import numpy as np
        >>> tone = np.cos(0.3 * np.arange(400))
        >>> round(float(rage(tone, 2, 100)[-1]), 6)  # two delays span a tone
        1.0
    """
    g = np.asarray(g, float)
    span = max(L, stride * (n - 1))
    samples = len(g) - span if samples is None else samples
    if g.ndim != 1 or n < 1 or L < 0 or not n <= samples <= len(g) - span:
        raise ValueError(
            f"`g` must hold at least `samples + max(L, stride (n - 1))` times, with `samples >= n`; got {g.shape} for "
            f"samples={samples}, n={n}, L={L}, stride={stride}."
        )
    first = g[:samples]
    if not np.linalg.norm(first) > 0:
        raise ValueError("`g` vanishes on the samples.")
    q, r = np.linalg.qr(np.stack([g[stride * j : stride * j + samples] for j in range(n)], axis=1))
    pivots = np.abs(np.diag(r))
    q = q[:, pivots > 1e-12 * pivots.max()]
    shifted = np.lib.stride_tricks.sliding_window_view(g[: samples + L], samples)
    sums = np.concatenate([[0.0], np.cumsum(g**2)])
    energy = sums[samples : samples + L + 1] - sums[: L + 1]
    rows = max(1, 4_000_000 // samples)
    inside = np.concatenate([((shifted[i : i + rows] @ q) ** 2).sum(1) for i in range(0, L + 1, rows)])
    share = inside / np.maximum(energy, np.finfo(float).tiny)
    return np.cumsum(share) / np.arange(1, L + 2)


def wiener_mean(correlations: Num[np.ndarray, "*batch lags"]) -> Float[np.ndarray, "*batch lags"]:
    """Running means of `|<K^l g, g>|^2`; they tend to the sum of the fourth powers of the eigencomponents' norms.

    Args:
        correlations: `<K^l g, g> / |g|^2` for `l = 0, 1, ...` along the last axis.

    Returns:
        Means over the lags so far; the limit is zero if and only if no eigenfunction is in `g`.

    References:
        Wiener's lemma: Katznelson (2004), An Introduction to Harmonic Analysis, I.7.

    Examples:
        >>> import numpy as np
        >>> wiener_mean(np.cos(0.5 * np.pi * np.arange(4))).tolist()  # two eigenvalues: 2 * (1/2)^2
        [1.0, 0.5, 0.6666666666666666, 0.5]
    """
    power = np.abs(np.asarray(correlations)) ** 2
    return np.cumsum(power, axis=-1) / np.arange(1, power.shape[-1] + 1)
