"""Sampling against closed forms, and the conventions of the catalogue."""

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import xarray as xr

from separatrix._core.program import freeze
from separatrix.systems import (
    Adaptive,
    DelayFlow,
    FixedSteps,
    Flow,
    Implicit,
    ensemble,
    get,
    jitter_initial,
    make_split,
    read_series,
    sample_initial_conditions,
    simulate,
    system_from_text,
    write_series,
)
from separatrix.systems.trajectories import flow_program


def oscillator(period=2 * np.pi):
    return system_from_text("dx = p; dp = -x", {}, [1.0, 0.0], period=period)


def test_the_grid_is_the_published_one():
    data = simulate(oscillator(), 60, pts_per_period=20)
    np.testing.assert_allclose(data.time, np.linspace(0, 3 * 2 * np.pi, 60), rtol=1e-15)
    np.testing.assert_allclose(data.x.values[:, 0], np.cos(data.time), atol=1e-9)


@pytest.mark.parametrize("solver", [Adaptive(), Implicit(1e-8, 1e-8), FixedSteps(1e-2)])
def test_solvers_agree_with_the_closed_form(solver):
    data = simulate(oscillator(), 30, pts_per_period=10, solver=solver, transient=0.25)
    phase = data.time.values + np.pi / 2
    np.testing.assert_allclose(data.x.values, np.stack([np.cos(phase), -np.sin(phase)], 1), atol=1e-6)


def test_tolerance_sets_the_error():
    errors = []
    for tolerance in (1e-6, 1e-8, 1e-10):
        data = simulate(oscillator(), 12, pts_per_period=2, solver=Adaptive(tolerance, tolerance))
        errors.append(np.abs(data.x.values[:, 0] - np.cos(data.time.values)).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-8


def test_fixed_steps_converge_at_fourth_order():
    half = lambda h: simulate(oscillator(), 2, pts_per_period=4, solver=FixedSteps(h)).x.values[-1]  # noqa: E731
    errors = [np.linalg.norm(half(h) - [-1, 0]) for h in (np.pi / 10, np.pi / 20)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(4, abs=0.25)


def test_a_jump_is_resolved():
    # x' = sign(x - 1) + 2 crosses 1 once; x(t) = t up to t = 1, and 1 + 3 (t - 1) after it
    system = system_from_text("dx = sign(x - 1) + 2", {}, [0.0], period=1.0)
    data = simulate(system, 31, pts_per_period=10)
    t = data.time.values
    np.testing.assert_allclose(data.x.values[:, 0], np.where(t < 1, t, 3 * t - 2), atol=1e-8)


def test_an_integration_that_stops_is_reported_and_kept():
    system = system_from_text("dx = x^2", {}, [1.0], period=1.0)  # 1 / (1 - t)
    with pytest.warns(RuntimeWarning, match="1 of 2 integrations stopped early"):
        data = simulate(system, 20, pts_per_period=10, initial=np.array([[1.0], [0.1]]))
    assert data.complete.values.tolist() == [False, True]
    before = data.time.values < 0.95
    np.testing.assert_allclose(data.x.values[before, 0, 0], 1 / (1 - data.time.values[before]), rtol=1e-7)
    assert np.isnan(data.x.values[-1, 0, 0])
    assert data.attrs["incomplete"] == 1


def test_a_trajectory_does_not_depend_on_its_company():
    starts = jitter_initial(get("Lorenz"), 3, jr.key(0), scale=0.1)
    together = simulate(get("Lorenz"), 40, initial=starts).x.values
    alone = simulate(get("Lorenz"), 40, initial=starts[1]).x.values
    np.testing.assert_allclose(together[:, 1], alone, rtol=1e-9)


def test_transients_of_one_trajectory_each_are_shifts_of_one_orbit():
    data = simulate(oscillator(), 10, pts_per_period=10, transient=[0.0, 0.5])
    np.testing.assert_allclose(data.x.values[:, 1], -data.x.values[:, 0], atol=1e-9)


def test_other_parameters_need_no_compilation():
    simulate(get("Rossler"), 10)
    compiled = flow_program(False)._cache_size()
    simulate(get("Rossler", c=4.0), 10)
    assert flow_program(False)._cache_size() == compiled


def test_little_and_much_work_give_the_same_numbers():
    starts = jitter_initial(get("Lorenz"), 2, jr.key(0), scale=0.1)
    leaves, frozen = freeze((get("Lorenz").field, get("Lorenz").parameters))
    gaps = np.full((2, 100), 0.015)
    with jax.enable_x64():
        little, much = (np.asarray(flow_program(m)(Adaptive(), frozen, leaves, starts, gaps)) for m in (False, True))
    np.testing.assert_allclose(little, much, rtol=1e-8)


def test_maps_start_with_the_first_iterate():
    data = simulate(get("Logistic"), 3, initial=[0.5])
    np.testing.assert_allclose(data.x.values[0, 0], 3.9 / 4, rtol=1e-15)
    shifted = simulate(get("Logistic"), 2, initial=[0.5], transient=1)
    np.testing.assert_array_equal(shifted.x.values[:2], data.x.values[1:])


def test_process_noise_is_ito_with_the_size_of_the_initial_state():
    # dX = -X dt + s dW from |x0| = 1: variance s^2 / 2 (1 - exp(-2 t)) about exp(-t)
    system = Flow(lambda x, p: -x, {}, np.ones(1), 0.01, period=1.0)
    data = simulate(system, 4, pts_per_period=2, initial=np.ones((800, 1)), noise=0.4, key=jr.key(0))
    t = data.time.values
    np.testing.assert_allclose(data.x.values[..., 0].mean(1), np.exp(-t), atol=0.04)
    np.testing.assert_allclose(data.x.values[1:, :, 0].var(1), 0.08 * (1 - np.exp(-2 * t[1:])), rtol=0.2)


def test_measurement_noise_is_in_standard_deviations():
    clean = simulate(get("Lorenz"), 3_000)
    noisy = simulate(get("Lorenz"), 3_000, measurement_noise=0.1, key=jr.key(0))
    ratio = (noisy.x - clean.x).std("time") / clean.x.std("time")
    np.testing.assert_allclose(ratio, 0.1, rtol=0.05)


def test_standardised_series():
    data = simulate(get("Lorenz"), 500, standardize="series")
    np.testing.assert_allclose(data.x.mean("time"), 0, atol=1e-12)
    np.testing.assert_allclose(data.x.std("time"), 1, rtol=1e-12)
    stored = simulate(get("Lorenz"), 5_000, pts_per_period=20, standardize="stored")
    np.testing.assert_allclose(stored.x.std("time"), 1, atol=0.1)


def test_the_lyapunov_time_scale_names_its_exponent():
    data = simulate(get("Lorenz"), 10, pts_per_period=5, timescale="lyapunov")
    assert float(data.time[-1]) == pytest.approx(2 / data.attrs["exponent"])
    assert data.attrs["exponent_source"] in ("computed", "published lle")


def test_phases_are_reported_by_their_sines():
    data = simulate(get("ArnoldBeltramiChildress"), 20)
    assert list(data.coord.values) == ["sin(x)", "cos(y)", "sin(z)"]
    assert float(np.abs(data.x).max()) <= 1


def delayed_decay(intervals=50, **options):
    return DelayFlow(lambda x, d, p: -d, {"tau": 1.0}, np.ones(1), intervals=intervals, period=1.0, **options)


def test_method_of_steps_on_a_linear_equation():
    # x' = -x(t - 1) from x = 1: 1 - t, then 1 - t + (t - 1)^2 / 2, then minus (t - 2)^3 / 6
    data = simulate(delayed_decay(), 61, pts_per_period=20)
    t = data.time.values
    exact = 1 - t + np.clip(t - 1, 0, None) ** 2 / 2 - np.clip(t - 2, 0, None) ** 3 / 6
    np.testing.assert_allclose(data.x.values[t <= 1, 0], exact[t <= 1], atol=5e-6)
    np.testing.assert_allclose(data.x.values[:, 0], exact, atol=5e-5)  # the kink at 0 costs two orders in one step


def test_a_function_is_a_history():
    # x(t) = cos(w t) solves x' = -w x(t - tau) with w tau = pi / 2
    w = np.pi / 2
    system = DelayFlow(lambda x, d, p: -w * d, {"tau": 1.0}, np.ones(1), intervals=100, period=4.0)
    data = simulate(system, 40, pts_per_period=20, initial=lambda t: jnp.cos(w * t)[None])
    np.testing.assert_allclose(data.x.values[:, 0], np.cos(w * data.time.values), atol=1e-7)


def test_delay_coordinates_are_shifts_of_each_other():
    system = get("MackeyGlass")
    data = simulate(system, 200, pts_per_period=800)
    later = np.interp(data.time.values[:100] + 16 / 9, data.time.values, data.x.values[:, 1])
    np.testing.assert_allclose(data.x.values[:100, 0], later, atol=1e-3)
    assert data.sizes["coord"] == 10


def test_steps_of_the_process_are_the_solution_on_the_grid(x64):
    system = delayed_decay(20)
    state, key = system.init(jr.key(0)), jr.key(0)
    step = jax.jit(lambda s: system.step(s, None, key)[0])
    values = []
    for _ in range(65):
        state = step(state)
        values.append(float(state.now[0]))
    np.testing.assert_allclose(values, system.solve(system.past(), 65)[:, 0], rtol=1e-12)


def test_initial_conditions_lie_on_the_attractor():
    starts = sample_initial_conditions(get("Lorenz"), 200, jr.key(0), points=700, transient=100)
    assert len(np.unique(starts, axis=0)) == 200
    assert np.abs(starts).max() < 60
    assert starts[:, 2].std() == pytest.approx(8.6, rel=0.15)


def test_a_split_has_two_different_series_of_each_system():
    split = make_split(["Lorenz", "Henon"], pts_per_period=15, periods=12, seed=1)
    assert dict(split.sizes) == {"part": 2, "system": 2, "time": 180, "coord": 3}
    assert not np.allclose(split.x.sel(part="train", system="Lorenz"), split.x.sel(part="test", system="Lorenz"))
    assert np.isnan(split.x.sel(system="Henon").isel(coord=2)).all()
    assert split.complete.all()
    xr.testing.assert_equal(split, make_split(["Lorenz", "Henon"], seed=1))


def test_an_ensemble_is_its_members():
    both = ensemble(["Rossler", "Henon"], 15)
    xr.testing.assert_identical(both["Rossler"], simulate(get("Rossler"), 15))


@pytest.mark.parametrize("ending", ["nc", "parquet"])
def test_data_sets_survive_the_disk(ending, tmp_path):
    pytest.importorskip("pyarrow")
    one = simulate(get("Lorenz"), 12)
    several = simulate(get("Lorenz"), 12, initial=jitter_initial(get("Lorenz"), 3, jr.key(0)))
    split = make_split(["Lorenz", "Henon"], periods=1)
    for number, dataset in enumerate((one, several, split)):
        back = read_series(write_series(dataset, tmp_path / f"{number}.{ending}"))
        xr.testing.assert_equal(back, dataset)
        assert back.attrs == dataset.attrs


def test_errors_say_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="noise needs a `key`"):
        simulate(get("Lorenz"), 5, noise=0.1)
    with pytest.raises(ValueError, match="`transient` must not be negative; got -5"):
        simulate(get("Lorenz"), 5, transient=-5)
    with pytest.raises(ValueError, match="`pts_per_period` must be positive; got 0"):
        simulate(get("Lorenz"), 5, pts_per_period=0)
    with pytest.raises(ValueError, match="has no `period`"):
        simulate(system_from_text("dx = -x", {}, [1.0]), 5)
    with pytest.raises(ValueError, match="must have shape"):
        simulate(get("Lorenz"), 5, initial=np.ones(2))
    with pytest.raises(ValueError, match=r"end in \.nc or \.parquet"):
        write_series(simulate(get("Henon"), 5), tmp_path / "a.csv")
    with pytest.raises(ValueError, match="no stored moments"):
        simulate(get("Henon"), 5, standardize="stored")
