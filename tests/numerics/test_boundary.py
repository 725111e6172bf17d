"""Boundaries between regimes, where they are known in closed form."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import AbstractProcess, Probe
from separatrix.numerics import Axis, process_regime, trace_boundary
from separatrix.systems import LogisticMap
from separatrix.training import LinearisedSGD, mean_square_threshold

UNIT = Axis(0.0, 1.0)


def of_function(fn):
    """A regime without noise from a function of the axes' values."""
    return lambda values, keys: np.repeat(fn(*values.values())[:, None], len(keys), axis=1)


def dense(fn, axes, resolution):
    side = np.linspace(0, 1, resolution + 1)
    mesh = np.meshgrid(*[axis.at(side) for axis in axes.values()], indexing="ij")
    return fn(*mesh).astype(float)


class HeavyBall(AbstractProcess):
    """Gradient descent with momentum on a parabola."""

    rate: jax.Array
    momentum: jax.Array
    curvature: float = eqx.field(static=True, default=2.0)

    def init(self, key):
        del key
        return jnp.array([1.0, 1.0])  # this iterate and the last

    def step(self, state, x, key):
        del x, key
        now, last = state
        after = now - self.rate * self.curvature * now + self.momentum * (now - last)
        return jnp.stack([after, now]), {}


@pytest.mark.parametrize(
    ("fn", "dim"),
    [
        (lambda x: x > 0.37, 1),
        (lambda x, y: (x - 0.5) ** 2 + (y - 0.45) ** 2 < 0.11, 2),
        # a wave narrower than the cells of the first grid: it enters cells whose corners agree
        (lambda x, y: y > 0.5 + 0.06 * np.sin(40 * x), 2),
        (lambda x, y: np.abs(y - x) < 0.2, 2),
        (lambda x, y, z: (x - 0.5) ** 2 + (y - 0.5) ** 2 + (z - 0.4) ** 2 < 0.1, 3),
    ],
)
def test_lattice_is_that_of_the_uniform_grid(fn, dim):
    axes, resolution = dict(zip("xyz"[:dim], [UNIT] * dim, strict=True)), 64 if dim < 3 else 32
    found = trace_boundary(of_function(fn), axes, jr.key(0), resolution=resolution)
    np.testing.assert_array_equal(found["inside"], dense(fn, axes, resolution))
    lows = np.stack([found[f"{name}_low"].values for name in axes], axis=-1)
    crossed = {tuple(low) for low in np.round(lows * resolution).astype(int).tolist()}
    whole = found["inside"].values
    expected = set()
    for cell in itertools.product(range(resolution), repeat=dim):
        corners = whole[tuple(slice(c, c + 2) for c in cell)]
        if corners.min() != corners.max():
            expected.add(cell)
    assert crossed == expected


def above(x, y):
    return x + y > 1.1


def test_runs_grow_with_the_boundary_and_not_with_the_space():
    axes = {"x": UNIT, "y": UNIT}
    found = [trace_boundary(of_function(above), axes, jr.key(0), resolution=r).attrs for r in (64, 128, 256)]
    saved = [attrs["uniform_runs"] / attrs["runs"] for attrs in found]
    assert saved[0] > 8
    assert saved[1] > 16
    assert 1.7 < (found[2]["runs"] - found[1]["runs"]) / (found[1]["runs"] - found[0]["runs"]) < 2.3


@pytest.mark.parametrize(("seeds", "saving"), [(3, 7), (5, 8), (20, 30)])
def test_seeds_are_spent_where_chance_decides(seeds, saving):
    # the probability of the regime rises from 5 to 95 % within two cells; away from there three runs that agree do
    def noisy(values, keys):
        draws = np.stack([np.asarray(jr.uniform(key, values["x"].shape)) for key in keys], axis=1)
        return draws < 1 / (1 + np.exp(-(values["x"] + values["y"] - 1.1)[:, None] / 0.005))

    found = trace_boundary(noisy, {"x": UNIT, "y": UNIT}, jr.split(jr.key(0), seeds), resolution=64)
    assert found.attrs["uniform_runs"] > saving * found.attrs["runs"]
    assert abs(found.x_at + found.y_at - 1.1).where(~found.decided).max() < 0.05


@pytest.mark.parametrize(("seeds", "confidence", "needed"), [(2, 0.95, 3), (4, 0.99, 5), (5, 0.999, 8)])
def test_too_few_seeds_to_be_sure_are_refused_before_any_run(seeds, confidence, needed):
    never = lambda values, keys: pytest.fail("nothing is to be run")  # noqa: E731
    message = f"{seeds} seeds cannot place a point with confidence {confidence}.* give at least {needed}, or 1"
    with pytest.raises(ValueError, match=message):
        trace_boundary(never, {"x": UNIT}, jr.split(jr.key(0), seeds), confidence=confidence)
    enough = trace_boundary(
        of_function(lambda x: x > 0.4), {"x": UNIT}, jr.split(jr.key(0), needed), confidence=confidence
    )
    assert enough.decided.all()
    assert enough.sizes["cell"] == 1


def test_heavy_ball_is_stable_up_to_its_closed_form():
    grows = process_regime(
        HeavyBall(jnp.array(0.1), jnp.array(0.0)), 2_000, lambda run: ~(np.abs(run.state).max(axis=-1) < 1.0)
    )
    axes = {"rate": Axis(0.25, 3.25), "momentum": Axis(0.0, 0.96)}
    found = trace_boundary(grows, axes, jr.key(0), resolution=64)
    # the boundary is 2 (1 + momentum) / curvature, here 1 + momentum; a corner of each cell is on each side
    assert (found.rate_low <= 1 + found.momentum_high + 1e-6).all()
    assert (found.rate_high >= 1 + found.momentum_low - 1e-6).all()
    assert len(found.cell) >= 32


def test_logistic_map_becomes_chaotic_where_feigenbaum_says():
    slope = Probe(lambda tr, key: {"log_slope": jnp.log(jnp.abs(tr.process.rate * (1 - 2 * tr.before)))})
    chaotic = process_regime(
        LogisticMap(3.0), 4_500, lambda run: run.records["log_slope"][..., 500:].mean(axis=-1) > 0, probes=[slope]
    )
    found = trace_boundary(chaotic, {"rate": Axis(3.5, 3.6)}, jr.key(0), resolution=32)
    assert found.rate_low[0] <= 3.569946 <= found.rate_high[0]


def test_sgd_loses_stability_at_its_mean_square_threshold():
    rows = jr.normal(jr.key(3), (4, 3))
    threshold = float(mean_square_threshold(rows, 1))
    process = LinearisedSGD(rows[:, None], 1.0, 1, num_particles=200)
    growth = Probe(lambda tr, key: {"growth": tr.info["growth"]})
    vary = lambda p, v: eqx.tree_at(  # noqa: E731
        lambda p: (p.jacobian, p.rate), p, (p.jacobian * v["scale"], v["rate"] * threshold)
    )
    unstable = process_regime(
        process, 200, lambda run: run.records["growth"][..., 50:].mean(axis=-1) > 0, vary=vary, probes=[growth]
    )
    axes = {"rate": Axis(0.5, 2.0, log=True), "scale": Axis(0.8, 1.25, log=True)}
    found = trace_boundary(unstable, axes, jr.split(jr.key(0), 4), resolution=32)
    # a rate in units of the threshold, which falls with the square of the gradients
    low, high = found.rate_low * found.scale_low**2, found.rate_high * found.scale_high**2
    assert (low < 1.05).all()
    assert (high > 0.95).all()
    assert found.attrs["runs"] < found.attrs["uniform_runs"] / 5


def test_noisy_regime_is_bounded_where_its_probability_is_a_half():
    asked = []

    def noisy(values, keys):
        asked.append(len(keys) * len(values["x"]))
        draws = jax.vmap(lambda key: jr.uniform(key, (len(values["x"]),)))(keys).T
        return np.asarray(draws) < 1 / (1 + np.exp(-(values["x"] - 0.6)[:, None] / 0.02))

    found = trace_boundary(noisy, {"x": UNIT}, jr.split(jr.key(0), 40), resolution=64)
    centres = (found.x_low + found.x_high) / 2
    assert abs(float(centres.mean()) - 0.6) < 0.03
    sure = found.isel(point=found.decided.values)
    np.testing.assert_array_equal(sure.fraction > 0.5, sure.x_at > 0.6)
    assert sum(asked) == found.attrs["runs"] == int(found.runs.sum())
    far = abs(found.x_at - 0.6) > 0.2
    assert int(found.runs.where(far).max()) == 3  # three that agree leave less than one in twenty to chance
    assert int(found.runs.max()) == 40


def test_a_point_has_the_same_runs_whatever_else_is_visited():
    def noisy(values, keys):
        draws = jax.vmap(jr.uniform)(keys)
        return np.asarray(draws)[None] < values["x"][:, None]

    coarse, fine = (
        trace_boundary(noisy, {"x": UNIT}, jr.split(jr.key(5), 8), resolution=r).set_index(point="x_at")
        for r in (8, 32)
    )
    for x in coarse.point.values:
        assert coarse.fraction.sel(point=x) == fine.fraction.sel(point=x)


def test_progress_is_told_of_the_runs():
    told = []
    trace_boundary(
        of_function(lambda x: x > 0.3), {"x": UNIT}, jr.key(0), resolution=16, progress=lambda *a: told.append(a)
    )
    assert told[0] == (9, 17)
    assert told[-1] == (10, 17)


@pytest.mark.parametrize(
    ("axes", "options", "message"),
    [
        ({}, {}, "one, two or three hyper-parameters; got 0"),
        ({"x": Axis(1.0, 0.0)}, {}, "axis 'x' needs low < high"),
        ({"x": Axis(0.0, 1.0, log=True)}, {}, "low > 0 if logarithmic"),
        ({"x": UNIT}, {"resolution": 60}, "power of two; got 60 and 8"),
        ({"x": UNIT}, {"level": 1.0}, "`level` must lie in"),
    ],
)
def test_bad_input_is_refused(axes, options, message):
    with pytest.raises(ValueError, match=message):
        trace_boundary(of_function(lambda x: x > 0), axes, jr.key(0), **options)


def test_a_regime_of_the_wrong_shape_is_refused():
    with pytest.raises(ValueError, match=r"`regime` must return an array of shape \(9, 1\); got \(9,\)"):
        trace_boundary(lambda values, keys: values["x"] > 0.5, {"x": UNIT}, jr.key(0))
