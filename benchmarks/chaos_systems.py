"""Sampling and Lyapunov spectra of the whole catalogue of chaotic flows: Separatrix against dysts.

Work, sampling: 10 trajectories of 1,200 points, 12 dominant periods, at 100 points in a period, for every flow and
delay system. Separatrix integrates to 1e-10 (relative and absolute) with a method of order 8; dysts is timed at the
same tolerance with SciPy's method of order 8 (DOP853), and once more as it comes, with Radau at 1e-12. Work, spectra:
30 periods of transient and an average of 200 periods; dysts as published, 30 periods in all at 500 points in a period
(its values average 20 such runs, of which one is timed). Compilation counts, with the persistent cache off.

dysts needs hours for the whole, so it is timed on every 26th flow of the catalogue, one trajectory each, and its
sampling time is multiplied by 10, since it integrates trajectories one after another. The ratios compare that subset;
the whole catalogue is timed for Separatrix only. Both sides' error after one period is measured against a run at 1e-13.
Set `SMALL=1` in the environment for tiny sizes that only check the code. Needs `pip install dysts numba` (dysts imports
gluonts for a file format that is not used here; an empty module stands in when it is missing).
"""

import os
import sys
import time
import types

from harness import main, table

SMALL = bool(os.environ.get("SMALL"))
POINTS, PER_PERIOD, TRAJECTORIES = (20, 20, 2) if SMALL else (1_200, 100, 10)
PERIODS = 5 if SMALL else 200
DYSTS_POINTS, DYSTS_PER_PERIOD = (50, 50) if SMALL else (15_000, 500)
EVERY = 70 if SMALL else 26
LEFT_OUT = {"DoublePendulum", "Torus"}  # rows whose equations or state differ from the published ones


def _subset() -> list[str]:
    from separatrix.systems import catalogue

    names = [name for name in catalogue("ode").name if name not in LEFT_OUT]
    return names[::EVERY]


def _references(names: list[str]):
    import numpy as np

    from separatrix.systems import Adaptive, get, simulate

    exact = {}
    for name in names:
        system = get(name)
        data = simulate(system, 2, pts_per_period=2, solver=Adaptive(1e-13, 1e-13))
        exact[name] = (np.asarray(data.x.values[-1]), np.abs(data.x.values).max())
    return exact


def ours() -> dict[str, float]:
    import jax
    import jax.random as jr
    import numpy as np

    from separatrix.systems import catalogue, get, jitter_initial, lyapunov, simulate

    jax.config.update("jax_enable_compilation_cache", False)
    subset, figures = _subset(), {}
    exact, errors = _references(subset), []
    jax.clear_caches()
    began = time.perf_counter()
    for name in subset:
        starts = jitter_initial(get(name), TRAJECTORIES, jr.key(0))
        simulate(get(name), POINTS, pts_per_period=PER_PERIOD, initial=starts)
    figures["subset_sampling"] = time.perf_counter() - began
    for name in subset:
        end = simulate(get(name), 2, pts_per_period=2).x.values[-1]
        errors.append(np.abs(end - exact[name][0]).max() / exact[name][1])
    figures["error"] = float(np.median(errors))
    began = time.perf_counter()
    for name in subset:
        lyapunov(get(name), periods=PERIODS, transient=30 if not SMALL else 1)
    figures["subset_spectra"] = time.perf_counter() - began
    names = subset if SMALL else [*catalogue("ode").name, *catalogue("dde").name]
    jax.clear_caches()
    began = time.perf_counter()
    starts = {name: jitter_initial(get(name), TRAJECTORIES, jr.key(0)) for name in names}
    data = _ensemble(names, starts)
    figures["all_sampling"] = time.perf_counter() - began
    figures["incomplete"] = float(sum(d.attrs["incomplete"] for d in data))
    jax.clear_caches()
    began = time.perf_counter()
    finite = 0
    for name in names:
        finite += bool(np.isfinite(lyapunov(get(name), periods=PERIODS).exponents).all())
    figures["all_spectra"] = time.perf_counter() - began
    figures["finite"], figures["systems"] = finite, len(names)
    return figures


def _ensemble(names, starts):
    from concurrent.futures import ThreadPoolExecutor

    from separatrix.systems import get, simulate

    def one(name):
        return simulate(get(name), POINTS, pts_per_period=PER_PERIOD, initial=starts[name])

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(one, names))


def dysts() -> dict[str, float]:
    import warnings

    import numpy as np

    warnings.simplefilter("ignore")
    if "gluonts" not in sys.modules:
        try:
            import gluonts  # noqa: F401
        except ModuleNotFoundError:
            for name in ("gluonts", "gluonts.dataset", "gluonts.dataset.arrow"):
                sys.modules[name] = types.ModuleType(name)
            sys.modules["gluonts.dataset.arrow"].ArrowWriter = None
    import dysts.flows
    from dysts.analysis import find_lyapunov_exponents

    subset = _subset()
    exact, figures = _references(subset), {}
    models = {name: getattr(dysts.flows, name.removesuffix("Dysts"))() for name in subset}
    for model in models.values():
        model.rhs(np.array(model.ic), 0.0)  # compile
    options = {"DOP853": {"method": "DOP853", "rtol": 1e-10, "atol": 1e-10}, "Radau": {}}
    for label, option in options.items():
        began = time.perf_counter()
        for model in models.values():
            model.make_trajectory(POINTS, pts_per_period=PER_PERIOD, **option)
        figures[f"sampling_{label}"] = TRAJECTORIES * (time.perf_counter() - began)
    errors = []
    for name, model in models.items():
        end = model.make_trajectory(2, pts_per_period=2, **options["DOP853"])[-1]
        errors.append(np.abs(end - exact[name][0]).max() / exact[name][1])
    figures["error"] = float(np.median(errors))
    began = time.perf_counter()
    for model in models.values():
        try:
            model.jac(np.array(model.ic), 0.0)
        except NotImplementedError:  # its finite differences are reached only when `jac` returns None
            model.jac = lambda X, t: None
        find_lyapunov_exponents(model, DYSTS_POINTS, pts_per_period=DYSTS_PER_PERIOD)
    figures["spectra"] = time.perf_counter() - began
    return figures


def summarise(sides: dict[str, dict]) -> str:
    mine, peer = sides["separatrix"], sides["dysts"]
    rows = []
    for label, ours_key, theirs_key in (
        ("sampling, dysts at the same tolerance (DOP853, 1e-10)", "subset_sampling", "sampling_DOP853"),
        ("sampling, dysts as it comes (Radau, 1e-12)", "subset_sampling", "sampling_Radau"),
        ("spectra, ours of 230 periods, dysts of 30", "subset_spectra", "spectra"),
    ):
        ratio = peer[theirs_key] / mine[ours_key]
        rows.append([label, f"{mine[ours_key]:.1f}", f"{peer[theirs_key]:.1f}", f"{ratio:.1f}x"])
    names = ", ".join(_subset())
    return "\n".join(
        [
            table(["", "separatrix s", "dysts s", "ratio"], rows),
            "",
            f"Subset: {names}; {TRAJECTORIES} trajectories each, dysts timed on one and multiplied. Median error after "
            f"one period, relative to the largest coordinate: {mine['error']:.0e} and {peer['error']:.0e} (DOP853). "
            f"All {mine['systems']:.0f} flows and delay systems: {mine['all_sampling']:.0f} s to sample "
            f"({mine['incomplete']:.0f} incomplete trajectories), {mine['all_spectra']:.0f} s for spectra "
            f"({mine['finite']:.0f} finite). Peak memory: {mine['peak_mib']:.0f} and {peer['peak_mib']:.0f} MiB.",
        ]
    )


if __name__ == "__main__":
    main("Chaotic systems: sampling and exponents", {"separatrix": ours, "dysts": dysts}, summarise)
