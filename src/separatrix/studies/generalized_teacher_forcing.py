"""Generalized teacher forcing for learning chaotic dynamics (Hess, Monfared, Brenner, Durstewitz, ICML 2023).

Does mixing data into the states of a recurrent network, by just so much that products of its Jacobians stay bounded,
let it learn the long-term behaviour of a chaotic system?
"""

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import xarray as xr

from separatrix._core.keys import named_key
from separatrix._core.run import run
from separatrix.dynamics import forcing_strength as strength
from separatrix.dynamics.forcing_strength import AdaptiveAlpha
from separatrix.dynamics.function_library import PolynomialLibrary
from separatrix.dynamics.generation import generate, lyapunov_of_map, warm_up
from separatrix.dynamics.reconstruction import (
    Reconstruction,
    SparseForcing,
    decaying_radam,
    jacobian_products,
    training_log,
)
from separatrix.dynamics.reconstruction_scores import free_orbits, orbit_scores, short_errors
from separatrix.dynamics.sparse_flow import fit_sparse_flow
from separatrix.dynamics.windows import windows_of
from separatrix.models.neural_ode import NeuralODEStep
from separatrix.models.observation_models import IdentityObservation
from separatrix.models.recurrent_steps import LSTMStep
from separatrix.models.reservoir import EchoState, fit_echo_state
from separatrix.models.shallow_plrnn import ClippedShallowPLRNN
from separatrix.study.effects import final
from separatrix.study.figures import PALETTE, NoData, curves, points
from separatrix.study.finding import AtLeast, AtMost, Between, Finding
from separatrix.study.study import Arm, Study
from separatrix.systems.attractor_distance import smoothed_spectrum
from separatrix.systems.database import get
from separatrix.systems.flow import Flow, lorenz63

EXPONENT = 0.9056  # of Lorenz's system, per unit time


@dataclass(frozen=True)
class Settings:
    """The card's scale: Lorenz-63 sampled at 0.01, 15,000 points to train on and 15,000 to test, 12,000 steps.

    The paper has 100,000 points and 250,000 steps (preset `full`). Windows of 1,000 steps (F4b, F4c) are trained for a
    fifth of the steps and Lorenz-96 for half of them, so that they cost what the other arms cost.
    """

    seeds: int = 5
    points: int = 15_000  # to train on, and as many to test
    dt: float = 0.01
    noise: float = 0.05  # standard deviation of the training noise, in units of the data's
    hidden: int = 50
    length: int = 200
    batch_size: int = 16
    steps: int = 12_000
    taus: tuple[int, int] = (16, 30)  # intervals of sparse forcing
    long_length: int = 1_000
    long_steps: int = 2_400
    exponent_steps: int = 10_000
    bound_steps: int = 1_000  # F3
    high_dim: int = 10  # variables of Lorenz-96
    high_hidden: int = 100
    high_steps: int = 6_000
    baseline_size: int = 50  # memory cells of the LSTM
    baseline_steps: int = 3_000
    reservoir: int = 500
    keep: int = 1_000  # points of each attractor that are stored for the figures


PRESETS = {
    "quick": Settings(
        seeds=2,
        points=400,
        hidden=8,
        length=20,
        batch_size=4,
        steps=20,
        taus=(5, 10),
        long_length=40,
        long_steps=20,
        exponent_steps=100,
        bound_steps=50,
        high_hidden=12,
        high_steps=20,
        baseline_size=6,
        baseline_steps=20,
        reservoir=30,
        keep=50,
    ),
    "default": Settings(),
    "thorough": Settings(),
    "full": Settings(points=100_000, steps=250_000, long_steps=50_000, high_dim=20, high_steps=250_000),
}


# Data: one trajectory of the system for each seed, from its own initial condition.


def lorenz96(x, p):
    """Field of Lorenz's system of 1996 on a ring."""
    return (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x + p["f"]


def flow_named(s: Settings, system: str) -> tuple[Flow, int]:
    """The system with the step of its integrator, and steps between two samples."""
    if system == "lorenz":
        return lorenz63(dt=s.dt, dtype="float64"), 1
    if system == "lorenz96":
        start = jnp.full(s.high_dim, 8.0).at[0].add(0.5)
        return Flow(lorenz96, {"f": 8.0}, start, s.dt, 1e-3), 4  # 0.04 between samples
    flow: Any = get("MultiChua")
    return dataclasses.replace(flow, dt=flow.period / 75 / 40, spread=1e-3), 40  # 75 samples a period, as for Lorenz


@eqx.filter_jit
def sampled(flow: Flow, start, count: int, every: int):
    """Orbit after a transient of a tenth of its length and 1,000 samples."""
    unused = jr.key(0)  # a flow is deterministic
    advance = lambda z: jax.lax.fori_loop(0, every, lambda _, y: flow.step(y, None, unused)[0], z)  # noqa: E731
    start = jax.lax.fori_loop(0, 1_000 + count // 10, lambda _, z: advance(z), start)
    return generate(advance, start, count)


@functools.lru_cache(maxsize=64)
def _series(s: Settings, system: str, seed: bytes):
    data = jr.wrap_key_data(jnp.asarray(np.frombuffer(seed, np.uint32)))
    with jax.enable_x64():
        flow, every = flow_named(s, system)
        orbit = np.asarray(sampled(flow, flow.init(data), 2 * s.points, every))
    orbit = (orbit - orbit.mean(axis=0)) / orbit.std(axis=0)
    noise = np.asarray(jr.normal(named_key(data, "noise"), (s.points, orbit.shape[1])))
    return (orbit[: s.points] + s.noise * noise).astype(np.float32), orbit[s.points :].astype(np.float32)


def series(s: Settings, key, system: str = "lorenz"):
    """Noisy training series and clean test series of a seed, standardised."""
    return _series(s, system, np.asarray(jr.key_data(named_key(key, "data"))).tobytes())


# Models: values that stay the same object, so that arms share their compiled programs.


@functools.cache
def plrnn(N: int, hidden: int):
    """Builder of a clipped shallow PLRNN with as many units as variables."""
    return lambda key: ClippedShallowPLRNN(N, hidden, key)


@functools.cache
def lstm(N: int, size: int):
    """Builder of an LSTM that reads its own output."""
    return lambda key: LSTMStep(N, size, key)


@functools.cache
def neural_ode(N: int):
    """Builder of a neural ordinary differential equation."""
    return lambda key: NeuralODEStep(N, 30, key)


@functools.cache
def identity(N: int, M: int):
    """Builder of the observation of the first N of M units."""
    return lambda key: IdentityObservation(N, M, key)


optimiser = functools.cache(decaying_radam)
adam = functools.cache(optax.adam)


def every(steps: int, records: int) -> int:
    """Cadence that divides `steps` and gives at most so many records."""
    return next(e for e in range(max(1, -(-steps // records)), steps + 1) if steps % e == 0)


def fit(s: Settings, keys, system="lorenz", model=None, units=None, **how):
    """Train one model a seed; return models and observations along a leading axis, the records and the data."""
    data = [series(s, key, system) for key in keys]
    N = data[0][0].shape[1]
    length, steps = how.pop("length", s.length), how.pop("steps", s.steps)
    batch_size = how.pop("batch_size", s.batch_size)
    processes = [
        Reconstruction(
            model=model or plrnn(N, s.hidden),
            observation=identity(N, units or N),
            stream=windows_of(train, length, batch_size),
            **{"optimiser": optimiser(steps), **how},
        )
        for train, _ in data
    ]
    probes = [training_log(every(steps, 12_000))]
    lags = tuple(n for n in (1, 10, 100, 1_000) if n <= length)
    if model is None:
        probes.append(jacobian_products(lags, every=every(steps, 20)))
    state, records = run(processes, keys, steps, probes=probes)
    ds = records.to_dataset()
    return processes[0].trained(state), ds.assign_coords(lag=list(lags)) if "lag" in ds.dims else ds, data


def thinned(ds: xr.Dataset) -> xr.Dataset:
    """Keep what is needed of every step: the largest gradient norm, and some records of the rest."""
    largest = ds.gradient_norm.max("step", keep_attrs=True).rename("max_gradient_norm")
    largest.attrs["long_name"] = "largest norm of the gradient in training"
    few = ds.isel(step=np.unique(np.linspace(0, ds.sizes["step"] - 1, 200).astype(int)))
    return few.assign(max_gradient_norm=largest)


SCORES = {
    "d_stsp": ("nat", "state-space divergence D_stsp"),
    "d_hellinger": ("1", "Hellinger distance of power spectra D_H"),
    "floor": ("nat", "D_stsp of two halves of the test series"),
    "error": ("1", "prediction error PE(20)"),
    "exponent": ("1/time", "leading Lyapunov exponent of the trained map"),
    "growth": ("1/time", "growth rate of the product of unforced Jacobians"),
    "attractor": ("1", "generated attractor"),
    "true_attractor": ("1", "test series"),
    "spectrum": ("1", "power spectrum of the first variable, generated"),
    "true_spectrum": ("1", "power spectrum of the first variable, test series"),
}


def scored(s: Settings, models, states, data, exponents: bool = False) -> xr.Dataset:
    """Judge one model a seed by its orbit; `states` holds where it starts, or a state for every time of the tests."""
    tests = np.stack([test for _, test in data])
    N, half = tests.shape[-1], s.points // 2
    orbits = free_orbits(models, states[:, 0], s.points, s.points // 4)[..., :N]
    rows = [orbit_scores(test, orbit) for test, orbit in zip(tests, orbits, strict=True)]
    out = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    out["floor"] = np.array([orbit_scores(test[:half], test[half : 2 * half])["d_stsp"] for test in tests])
    if states.shape[1] > 1:
        out["error"] = short_errors(models, states, tests, min(20, half))
    if exponents:
        out |= growth_rates(s, models, orbits)
    for prefix, group in (("", orbits), ("true_", tests)):
        spectra = [smoothed_spectrum(x[:, :1])[: s.points // 10 : max(1, s.points // 2_000), 0] for x in group]
        out[f"{prefix}attractor"], out[f"{prefix}spectrum"] = group[:, : s.keep, :3], np.stack(spectra)
    trailing = {"attractor": ("point", "coordinate"), "spectrum": ("frequency",)}
    trailing |= {f"true_{name}": dims for name, dims in trailing.items()}
    return xr.Dataset(
        {
            name: (
                ("seed", *trailing.get(name, ())),
                value,
                dict(zip(("units", "long_name"), SCORES[name], strict=True)),
            )
            for name, value in out.items()
        }
    )


def growth_rates(s: Settings, models, orbits) -> dict[str, np.ndarray]:
    """Leading exponent of each map by QR, and the growth of the product of Jacobians along another stretch of orbit."""
    exponents, growths = [], []
    for i, orbit in enumerate(orbits):
        model = jax.tree.map(lambda a, i=i: a[i], models)
        found = lyapunov_of_map(model, orbit[0], s.exponent_steps, discard=0, dt=s.dt, k=1, label=f"exponent {i}")
        exponents.append(found.exponents[0])
        jacobians = np.asarray(model.jacobian(jnp.asarray(orbit[-s.exponent_steps :])), float)
        growths.append(log_norms(jacobians)[-1] / len(jacobians) / s.dt)
    return {"exponent": np.array(exponents), "growth": np.array(growths)}


def log_norms(jacobians):
    """Logarithms of the norms of the products of the first 1, 2, ... matrices."""
    product, log, out = np.eye(jacobians.shape[-1]), 0.0, []
    for jacobian in jacobians:
        product = jacobian @ product
        size = max(np.linalg.norm(product, 2), 1e-300)  # a superstable orbit maps everything to zero
        product, log = product / size, log + np.log(size)
        out.append(log)
    return np.array(out)


def states_of(data):
    """States at the times of the test series of a model without memory."""
    return jnp.stack([jnp.asarray(test) for _, test in data])


def trained(s: Settings, keys, exponents=False, **how) -> xr.Dataset:
    """Train PLRNNs and judge them."""
    (models, _), ds, data = fit(s, keys, **how)
    scores = scored(s, models, states_of(data), data, exponents)
    return xr.merge([thinned(ds), scores], combine_attrs="drop_conflicts")


def arm_of(does, doc: str, **fixed) -> Arm:
    """An arm with some arguments fixed, and what it does in words."""

    def arm(s: Settings, keys):
        return does(s, keys, **fixed)

    arm.__doc__ = doc
    return arm


def constant(s: Settings, keys, alpha):
    """Constant strength: one compiled program serves all of them, as it is traced."""
    return trained(s, keys, alpha=np.float32(alpha), exponents=True)


@functools.cache
def adaptation(estimator) -> AdaptiveAlpha:
    """The published rule with one of the estimators."""
    return AdaptiveAlpha(estimator)


def adaptive(s: Settings, keys, estimator):
    """Strength that follows an estimate of Jacobian norms."""
    return trained(s, keys, alpha=1.0, adapt=adaptation(estimator))


def sparse(s: Settings, keys, which):
    """Sparse teacher forcing at one of the intervals of the settings."""
    return trained(s, keys, forcing=SparseForcing(jnp.int32(s.taus[which])))


def gtf_long(s: Settings, keys):
    """Constant strength 0.3 on windows of 1,000 steps."""
    return trained(s, keys, alpha=np.float32(0.3), length=s.long_length, steps=s.long_steps)


def sparse_long(s: Settings, keys, which):
    """Sparse teacher forcing on windows of 1,000 steps."""
    forcing = SparseForcing(jnp.int32(s.taus[which]))
    return trained(s, keys, length=s.long_length, steps=s.long_steps, forcing=forcing)


def bound(s: Settings, keys):
    """Products of forced Jacobians of random models along data, with the strength that the theory asks for."""
    largest = []
    with jax.enable_x64():
        for key in keys:
            model = ClippedShallowPLRNN(3, s.hidden, named_key(key, "model"))
            model = eqx.tree_at(lambda m: m.W1, model, 4 * model.W1)  # so that Jacobians do expand
            x = jnp.asarray(series(s, key)[0][: s.bound_steps], jnp.float64)
            jacobians = np.asarray(model.jacobian(x))
            sigma = np.linalg.norm(jacobians, 2, axis=(1, 2)).max()
            largest.append(np.exp(log_norms(jacobians * min(1.0, 1 / sigma)).max()))
    attrs = {"units": "1", "long_name": "largest norm of a product of forced Jacobians"}
    return xr.Dataset({"product_norm": ("seed", np.array(largest), attrs)})


def lorenz96_arm(s: Settings, keys, **how):
    """The setting of Lorenz-96."""
    return trained(dataclasses.replace(s, hidden=s.high_hidden), keys, system="lorenz96", steps=s.high_steps, **how)


def lorenz96_gtf(s: Settings, keys):
    """Lorenz-96 with adaptive strength."""
    return lorenz96_arm(s, keys, alpha=1.0, adapt=adaptation(strength.product_upper_bound))


def lorenz96_sparse(s: Settings, keys, which):
    """Lorenz-96 with sparse teacher forcing."""
    return lorenz96_arm(s, keys, forcing=SparseForcing(jnp.int32(s.taus[which])))


def after_context(models, observations, data):
    """States at the first test time after the last 200 training measurements, for models with memory."""
    x = jnp.stack([jnp.concatenate([jnp.asarray(train[-200:]), jnp.asarray(test[:1])]) for train, test in data])
    return eqx.filter_vmap(lambda m, o, x: warm_up(m.step, o, x))(models, observations, x)[:, None]


def lstm_baseline(s: Settings, keys, system):
    """LSTM trained by backpropagation through time on its teacher-forced outputs."""
    model, units = lstm(3, s.baseline_size), 3 + 2 * s.baseline_size
    how = {"model": model, "units": units, "alpha": 1.0, "steps": s.baseline_steps}
    (models, observations), ds, data = fit(s, keys, system, optimiser=adam(1e-3), **how)
    scores = scored(s, models, after_context(models, observations, data), data)
    return xr.merge([thinned(ds), scores], combine_attrs="drop_conflicts")


def neural_ode_baseline(s: Settings, keys, system):
    """Neural ODE trained free-running on windows of 30 samples."""
    how = {"model": neural_ode(3), "alpha": 0.0, "steps": s.baseline_steps}
    (models, _), ds, data = fit(s, keys, system, length=min(30, s.length), batch_size=64, optimiser=adam(1e-2), **how)
    return xr.merge([thinned(ds), scored(s, models, states_of(data), data)], combine_attrs="drop_conflicts")


def echo_state(s: Settings, keys, system):
    """Echo state network with a ridge readout."""
    data = [series(s, key, system) for key in keys]
    reservoirs = jax.vmap(lambda key: EchoState(3, s.reservoir, named_key(key, "model")))(keys)
    trains = jnp.stack([jnp.asarray(train) for train, _ in data])
    models = eqx.filter_jit(eqx.filter_vmap(fit_echo_state))(reservoirs, trains)
    observations = jax.vmap(identity(3, 3 + s.reservoir))(keys)
    return scored(s, models, after_context(models, observations, data), data)


def sindy(s: Settings, keys, system):
    """Sparse identification with quadratic functions of the state: all the terms of Lorenz's system."""
    data = [series(s, key, system) for key in keys]
    library = PolynomialLibrary(3, 2, bias=True)
    fitted = [fit_sparse_flow(train, s.dt, library, threshold=0.2, window=15) for train, _ in data]
    models = jax.tree.map(lambda *a: jnp.stack([jnp.asarray(x, jnp.float32) for x in a]), *fitted)
    return scored(s, models, states_of(data), data)


def plrnn_baseline(s: Settings, keys, system):
    """Clipped shallow PLRNN with generalised teacher forcing of strength 0.3."""
    return trained(s, keys, system=system, alpha=np.float32(0.3))


BASELINES = {
    "lstm": lstm_baseline,
    "neural-ode": neural_ode_baseline,
    "echo-state": echo_state,
    "sindy": sindy,
}
ON_LORENZ = {name: arm_of(arm, f"{arm.__doc__} Lorenz-63.", system="lorenz") for name, arm in BASELINES.items()}
ON_MULTICHUA = {
    f"multichua-{name}": arm_of(arm, f"{arm.__doc__} The multi-scroll circuit of Chua.", system="multichua")
    for name, arm in {"plrnn": plrnn_baseline, **BASELINES}.items()
}
ARMS = {
    "no-forcing": arm_of(constant, "Free-running backpropagation through time, strength 0.", alpha=0.0),
    "gtf-0.1": arm_of(constant, "Generalised teacher forcing of strength 0.1.", alpha=0.1),
    "gtf-0.3": arm_of(constant, "Generalised teacher forcing of strength 0.3.", alpha=0.3),
    "full-forcing": arm_of(constant, "Full teacher forcing, strength 1.", alpha=1.0),
    "adaptive": arm_of(
        adaptive, "Strength by the geometric mean of norms (published default).", estimator=strength.product_upper_bound
    ),
    "bound": bound,
    "adaptive-bound": arm_of(adaptive, "Strength by the model's bound.", estimator=strength.jacobian_upper_bound),
    "adaptive-maximum": arm_of(adaptive, "Strength by the largest norm.", estimator=strength.batch_maximum),
    "adaptive-explog": arm_of(adaptive, "Strength by the geometric mean of matrices.", estimator=strength.explog),
    "adaptive-mean": arm_of(adaptive, "Strength by the mean Jacobian.", estimator=strength.arithmetic_mean),
    "sparse-short": arm_of(sparse, "Sparse teacher forcing at the shorter interval.", which=0),
    "sparse-wide": arm_of(sparse, "Sparse teacher forcing at the longer interval.", which=1),
    "gtf-long": gtf_long,
    "sparse-short-long": arm_of(sparse_long, "Sparse forcing, shorter interval, windows of 1,000 steps.", which=0),
    "sparse-wide-long": arm_of(sparse_long, "Sparse forcing, longer interval, windows of 1,000 steps.", which=1),
    "lorenz96-gtf": lorenz96_gtf,
    "lorenz96-sparse-short": arm_of(lorenz96_sparse, "Lorenz-96, sparse forcing, shorter interval.", which=0),
    "lorenz96-sparse-wide": arm_of(lorenz96_sparse, "Lorenz-96, sparse forcing, longer interval.", which=1),
    **ON_LORENZ,
    **ON_MULTICHUA,
}


# Effects: one number a seed.


CONSTANT = ("gtf-0.1", "gtf-0.3")  # the strengths in [0.1, 0.5]


def least(ds, arms, variable: str = "d_stsp"):
    """A variable of that arm, chosen for each seed, whose D_stsp is least."""
    order = ds.d_stsp.sel(arm=list(arms)).fillna(np.inf).argmin("arm")
    return ds[variable].sel(arm=list(arms)).isel(arm=order)


def of(ds, arm: str, variable: str = "d_stsp"):
    """A variable of one arm."""
    return ds[variable].sel(arm=arm)


def gradient_ratio(ds):
    """Logarithm to base 10 of the largest gradient norm without forcing over that with strength 0.3."""
    return np.log10(of(ds, "no-forcing", "max_gradient_norm") / of(ds, "gtf-0.3", "max_gradient_norm"))


def growth_error(ds):
    """Growth of Jacobian products against the exponent of the same map, at the best strength."""
    return np.abs(least(ds, CONSTANT, "growth") / least(ds, CONSTANT, "exponent") - 1)


def exponent_error(ds):
    """Relative error of the leading exponent at the best strength."""
    return np.abs(least(ds, CONSTANT, "exponent") / EXPONENT - 1)


ESTIMATORS = ("adaptive-bound", "adaptive-maximum", "adaptive-explog", "adaptive-mean")
SPARSE, SPARSE_LONG = ("sparse-short", "sparse-wide"), ("sparse-short-long", "sparse-wide-long")
LORENZ96_SPARSE = ("lorenz96-sparse-short", "lorenz96-sparse-wide")
NOT_SINDY = ("gtf-0.3", "lstm", "neural-ode", "echo-state")
NOT_PLRNN = tuple(name for name in ON_MULTICHUA if name != "multichua-plrnn")

FINDINGS = [
    Finding("F1a", "Without forcing the largest gradient is 1,000 times that at strength 0.3 (log10 of the ratio).",
            "section 3, theorem 1", gradient_ratio, AtLeast(3.0), published="4.9 on the card",
            arms=("no-forcing", "gtf-0.3")),
    Finding("F1b", "The best strength in [0.1, 0.5] reconstructs the attractor: D_stsp.", "Table 1, Fig. 4",
            lambda ds: least(ds, CONSTANT), AtMost(3.0), published=0.26, arms=CONSTANT, units="nat"),
    Finding("F1c", "Its D_stsp is at most half of that of full teacher forcing.", "Fig. 4",
            lambda ds: least(ds, CONSTANT) / of(ds, "full-forcing"), AtMost(0.5),
            arms=(*CONSTANT, "full-forcing")),
    Finding("F1d", "Its D_stsp is at most a quarter of that without forcing.", "Fig. 4; factor proposed here",
            lambda ds: least(ds, CONSTANT) / of(ds, "no-forcing"), AtMost(0.25),
            arms=(*CONSTANT, "no-forcing")),
    Finding("F1e", "Its power spectrum agrees: D_H.", "Table 1", lambda ds: least(ds, CONSTANT, "d_hellinger"),
            AtMost(0.15), published=0.09, arms=CONSTANT),
    Finding("F2a", "Adaptive strength settles strictly between none and full forcing.", "Fig. 3",
            lambda ds: final(ds, "adaptive", "alpha"), Between(0.02, 0.5), arms=("adaptive",)),
    Finding("F2b", "Its D_stsp is within twice that of the best constant strength, without tuning.", "Table 1",
            lambda ds: of(ds, "adaptive") / least(ds, CONSTANT), AtMost(2.0), arms=(*CONSTANT, "adaptive")),
    Finding("F2c", "No other estimator has less than half of its D_stsp.", "appendix; factor proposed here",
            lambda ds: of(ds, "adaptive") / least(ds, ESTIMATORS), AtMost(2.0),
            arms=("adaptive", *ESTIMATORS), since="thorough"),
    Finding("F3a", "With strength 1 - 1 / sigma_max no product of 1 to 1,000 Jacobians exceeds norm 1.", "theorem 1",
            lambda ds: of(ds, "bound", "product_norm"), AtMost(1.0 + 1e-9), published=1.0, arms=("bound",)),
    Finding("F3b", "Without forcing the product grows at the leading exponent of the trained map (relative error).",
            "section 3", growth_error, AtMost(0.1), arms=CONSTANT),
    Finding("F4a", "Constant strength has a D_stsp no larger than sparse forcing's, the better of both grids each.",
            "Table 1", lambda ds: (least(ds, CONSTANT) <= least(ds, SPARSE)).astype(float), AtLeast(0.8),
            arms=(*CONSTANT, *SPARSE), since="thorough", units="share"),
    Finding("F4b", "Windows of 1,000 steps serve generalised forcing as well: D_stsp over that of 200 steps.",
            "Fig. 5; factor proposed here", lambda ds: of(ds, "gtf-long") / of(ds, "gtf-0.3"),
            AtMost(2.0), arms=("gtf-0.3", "gtf-long"), since="thorough"),
    Finding("F4c", "On windows of 1,000 steps sparse forcing has at least twice its D_stsp.",
            "Fig. 5; factor proposed here", lambda ds: least(ds, SPARSE_LONG) / of(ds, "gtf-long"),
            AtLeast(2.0), arms=("gtf-long", *SPARSE_LONG), since="thorough"),
    Finding("F5a", "The leading exponent of the best model is within 30 % of the true one.", "card", exponent_error,
            AtMost(0.3), arms=CONSTANT),
    Finding("F5b", "It is within 15 % after the paper's training.", "card", exponent_error, AtMost(0.15),
            arms=CONSTANT, since="full"),
    Finding("F6", "On Lorenz-96 adaptive forcing has a smaller D_stsp than sparse forcing (ratio).", "Table 1",
            lambda ds: of(ds, "lorenz96-gtf") / least(ds, LORENZ96_SPARSE), AtMost(1.0),
            published="1.68 for 20 variables", arms=("lorenz96-gtf", *LORENZ96_SPARSE), since="thorough"),
    Finding("F7a", "On Lorenz-63 sparse identification, whose library holds the true terms, is the best of all.",
            "Table 1", lambda ds: of(ds, "sindy") / least(ds, NOT_SINDY), AtMost(1.0),
            arms=("sindy", *NOT_SINDY), since="thorough"),
    Finding("F7b", "On a flow that is no polynomial the PLRNN with generalised forcing is the best of all.", "card",
            lambda ds: of(ds, "multichua-plrnn") / least(ds, NOT_PLRNN), AtMost(1.0),
            arms=tuple(ON_MULTICHUA), since="thorough"),
]  # fmt: skip


SHOWN = {
    "no-forcing": "no forcing",
    "gtf-0.1": "strength 0.1",
    "gtf-0.3": "strength 0.3",
    "full-forcing": "full forcing",
    "adaptive": "adaptive",
}


def shown(ds, variable: str) -> dict[str, xr.DataArray]:
    """The first seed of the arms that were run, by caption; the test series, where there is one, first."""
    found = {}
    for arm, caption in SHOWN.items():
        if variable in ds and arm in ds.arm.values:
            if f"true_{variable}" in ds and not found:
                found["test series"] = ds[f"true_{variable}"].sel(arm=arm).isel(seed=0)
            found[caption] = ds[variable].sel(arm=arm).isel(seed=0)
    found = {caption: values for caption, values in found.items() if bool(values.notnull().any())}
    if not found:
        raise NoData(f"{variable} was not measured")
    return found


def attractors(ds):
    """Draw the true attractor beside generated ones."""
    from matplotlib.figure import Figure

    panels = shown(ds, "attractor")
    figure = Figure(figsize=(2.1 * len(panels), 2.3), layout="constrained")
    for i, (caption, values) in enumerate(panels.items()):
        axes = figure.add_subplot(1, len(panels), i + 1)
        x = values.transpose("point", "coordinate").values
        axes.plot(x[:, 0], x[:, 2], color=PALETTE[i % len(PALETTE)], linewidth=0.5)
        axes.set(xlim=(-3, 3), ylim=(-3, 3), title=caption, xticks=[], yticks=[])
    return figure


def spectra(ds):
    """Draw power spectra of the first variable."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for colour, (caption, values) in zip(PALETTE, shown(ds, "spectrum").items(), strict=False):
        axes.plot(np.linspace(0, 0.1, values.size), values.values, color=colour, label=caption)
    axes.set(yscale="log", xlabel="frequency (cycles per sample)", ylabel="share of the power")
    axes.legend(frameon=False, fontsize="small")
    return figure


STUDY = Study(
    slug="generalized-teacher-forcing",
    seed=23,
    domain="dynamics",
    title="Generalized Teacher Forcing for Learning Chaotic Dynamics",
    paper="arXiv:2306.04406",
    citation="""@inproceedings{hess2023generalized,
  title = {Generalized Teacher Forcing for Learning Chaotic Dynamics},
  author = {Hess, Florian and Monfared, Zahra and Brenner, Manuel and Durstewitz, Daniel},
  booktitle = {International Conference on Machine Learning},
  year = {2023},
  note = {arXiv:2306.04406}
}""",
    question="Does forcing that just bounds the gradients let a network learn the long-term behaviour of chaos?",
    method="""Clipped shallow PLRNNs learn Lorenz-63 from noisy windows. Before each step the state is mixed with the
    one inferred from data; arms differ in the strength (none, constant, adaptive, full) or force at intervals. Models
    are judged by their own long orbits: state-space divergence, power spectrum, exponent. Seeds share data and
    initial weights across arms, so effects are paired.""",
    presets=PRESETS,
    arms=ARMS,
    findings=FINDINGS,
    figures={
        "Attractors: true and generated, first seed": attractors,
        "Power spectra of the first variable, first seed": spectra,
        "Gradient norms: forcing keeps them bounded": curves("gradient_norm", arms=list(SHOWN), y="log"),
        "Adaptive strength of forcing over training": curves("alpha", arms=["adaptive", *ESTIMATORS, "lorenz96-gtf"]),
        "State-space divergence, every seed": points("d_stsp"),
    },
    costs={
        "quick": "a minute, most of it compilation",
        "default": "4 minutes",
        "thorough": "half an hour",
        "full": "the paper's scale, for a GPU",
    },
)
