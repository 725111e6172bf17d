"""EDMD and ResDMD on 100,000 snapshots and 500 observables: Separatrix against kooplearn and a NumPy transcription.

Work: two trajectories of the Lorenz system, the first for the fit and the second for the residuals, and 500 radial
functions `exp(-2 r / d)` of the state at fixed centres. EDMD: from states to eigenvalues, against kooplearn's `Ridge`
without rank reduction and regularisation (PyDMD's EDMD forms a kernel matrix of all pairs of snapshots, 80 GB here).
ResDMD: from states to eigenpairs with their residuals on the second trajectory, against a transcription of the
published algorithm (QR, products, residuals) in NumPy. Separatrix streams chunks of the trajectory
(`trajectory_gram`); a further row gives the road that does not square the condition number (`compress`). The same data
and the same accuracy: the largest difference of the 20 largest eigenvalues, and the median residuals, are printed. Set
`SMALL=1` in the environment for tiny sizes that only check the code.
"""

import os
import time

from harness import main, matrix_rate, table

SMALL = bool(os.environ.get("SMALL"))
SNAPSHOTS, SIZE = (2_000, 20) if SMALL else (100_000, 500)
LEADING = 20
FLOP_PRODUCTS = 2 * 2 * SNAPSHOTS * SIZE**2  # G and A


def _data():
    """Both trajectories and the centres; small files are not needed, the integration takes a second."""
    import jax
    import numpy as np

    from separatrix.dynamics.koopman import simulate_snapshots
    from separatrix.systems import lorenz63

    with jax.enable_x64():
        flow = lorenz63(dt=0.01)
    starts = np.array([[1.0, 1.0, 20.0], [-2.0, 3.0, 15.0]])
    first, second = simulate_snapshots(flow, starts, SNAPSHOTS, every=5, discard=2_000)
    centres = first[np.random.default_rng(0).choice(SNAPSHOTS, SIZE, replace=False)]
    scale = float(np.linalg.norm(first - first.mean(0), axis=1).mean())
    return first, second, centres, scale


def _leading(values) -> dict[str, float]:
    import numpy as np

    moduli = np.sort(np.abs(values))[::-1][:LEADING]
    return {f"value_{i}": float(v) for i, v in enumerate(moduli)}


def _double_rate() -> float:
    import jax
    import jax.numpy as jnp

    with jax.enable_x64():
        a = jnp.ones((1_500, 1_500), jnp.float64)
        product = jax.jit(lambda a: a @ a)
        product(a).block_until_ready()
        seconds = []
        for _ in range(5):
            began = time.perf_counter()
            product(a).block_until_ready()
            seconds.append(time.perf_counter() - began)
    return 2 * 1_500**3 / min(seconds)


def ours() -> dict[str, float]:
    import numpy as np

    from separatrix.dynamics import koopman as kp

    first, second, centres, scale = _data()
    dictionary = kp.rbf(centres, scale=scale)
    figures = {"matrix_rate": matrix_rate(), "double_rate": _double_rate()}
    began = time.perf_counter()
    kp.trajectory_gram(dictionary, first[: kp.gram_matrices.CHUNK + 1])
    figures["compile"] = time.perf_counter() - began
    began = time.perf_counter()
    inner = kp.trajectory_gram(dictionary, first)
    figures["products"] = time.perf_counter() - began
    pairs = kp.koopman_pairs(kp.gram_form(inner))
    figures["edmd"] = time.perf_counter() - began
    residual = kp.residuals_from_gram(pairs.values, pairs.vectors, kp.trajectory_gram(dictionary, second))
    figures["resdmd"] = time.perf_counter() - began
    figures["median_residual"] = float(np.median(residual))
    began = time.perf_counter()
    train = kp.compress(dictionary, first[:-1], first[1:])
    fresh = kp.compress(dictionary, second[:-1], second[1:])
    ones = np.ones(len(train.psi_x))
    pairs_by_qr = kp.edmd(*train, ones)
    by_qr = kp.residuals(*pairs_by_qr, *fresh, ones)
    figures["resdmd_qr"] = time.perf_counter() - began
    figures["median_residual_qr"] = float(np.median(by_qr))
    return figures | _leading(pairs.values)


def _observables(states, centres, scale):
    import numpy as np
    from scipy.spatial.distance import cdist

    return np.exp(-2 * cdist(states, centres) / scale)


def kooplearn() -> dict[str, float]:
    from kooplearn.linear_model import Ridge

    first, _, centres, scale = _data()
    began = time.perf_counter()
    features = _observables(first, centres, scale)
    model = Ridge(reduced_rank=False, alpha=1e-13, eigen_solver="dense", copy_X=False).fit(features)
    values = model.eig()
    return {"edmd": time.perf_counter() - began, **_leading(values)}


def numpy_transcription() -> dict[str, float]:
    import numpy as np

    first, second, centres, scale = _data()
    began = time.perf_counter()
    weight = SNAPSHOTS**-0.5
    psi_x, psi_y = (weight * _observables(p, centres, scale) for p in (first[:-1], first[1:]))
    q, r = np.linalg.qr(psi_x)
    operator = np.linalg.solve(r, q.T @ psi_y)
    values, vectors = np.linalg.eig(operator)
    edmd = time.perf_counter() - began
    psi_x, psi_y = (weight * _observables(p, centres, scale) for p in (second[:-1], second[1:]))
    before = psi_x @ vectors
    miss = np.linalg.norm(psi_y @ vectors - before * values, axis=0)
    residual = miss / np.linalg.norm(before, axis=0)
    seconds = time.perf_counter() - began
    return {"edmd": edmd, "resdmd": seconds, "median_residual": float(np.median(residual)), **_leading(values)}


def summarise(sides: dict[str, dict]) -> str:
    mine, peer, plain = sides["separatrix"], sides["kooplearn"], sides["numpy"]
    gap = lambda other: max(abs(mine[f"value_{i}"] - other[f"value_{i}"]) for i in range(LEADING))  # noqa: E731
    rows = [
        ["EDMD, kooplearn", f"{mine['edmd']:.2f}", f"{peer['edmd']:.2f}", f"{peer['edmd'] / mine['edmd']:.1f}x"],
        ["EDMD, NumPy", f"{mine['edmd']:.2f}", f"{plain['edmd']:.2f}", f"{plain['edmd'] / mine['edmd']:.1f}x"],
        [
            "ResDMD, NumPy",
            f"{mine['resdmd']:.2f}",
            f"{plain['resdmd']:.2f}",
            f"{plain['resdmd'] / mine['resdmd']:.1f}x",
        ],
        [
            "ResDMD without squaring, NumPy",
            f"{mine['resdmd_qr']:.2f}",
            f"{plain['resdmd']:.2f}",
            f"{plain['resdmd'] / mine['resdmd_qr']:.1f}x",
        ],
    ]
    share = FLOP_PRODUCTS / mine["products"] / mine["double_rate"]
    text = f"""{SNAPSHOTS:,} snapshots, {SIZE} observables; compilation ({mine["compile"]:.1f} s) apart. The products of
the fit, dictionary included, run at {share:.0%} of the float64 matrix rate ({mine["double_rate"] / 1e9:.0f} GFLOP/s at
1500 x 1500; float32 {mine["matrix_rate"] / 1e9:.0f}). Moduli of the {LEADING} largest eigenvalues differ by at most
{gap(peer):.1e} from kooplearn's and {gap(plain):.1e} from NumPy's; median residuals {mine["median_residual"]:.4f}
(products), {mine["median_residual_qr"]:.4f} (QR) and {plain["median_residual"]:.4f} (NumPy). Peak memory:
{mine["peak_mib"]:.0f} MiB against {peer["peak_mib"]:.0f} (kooplearn) and {plain["peak_mib"]:.0f} (NumPy)."""
    return table(["", "separatrix s", "other s", "ratio"], rows) + "\n\n" + text


if __name__ == "__main__":
    main(
        f"Koopman: EDMD and ResDMD on {SNAPSHOTS:,} snapshots and {SIZE} observables",
        {"separatrix": ours, "kooplearn": kooplearn, "numpy": numpy_transcription},
        summarise,
    )
