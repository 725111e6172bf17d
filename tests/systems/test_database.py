"""The catalogue against an independent evaluation, divergence identities and conserved quantities."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run
from separatrix.systems import DelayFlow, Equations, catalogue, get, lorenz63, simulate, system_from_text

STORED = json.loads(Path(__file__).with_name("derivatives.json").read_text())
HAMILTONIAN = ["HenonHeiles", "DoublePendulum", "NuclearQuadrupole", "SwingingAtwood"]


def test_every_row_has_its_stored_derivative(x64):
    names = list(catalogue().name)
    assert {*names} == {*STORED} - {"origin"}
    for name in names:
        system, row = get(name), STORED[name]
        arguments = [jnp.array(row["at"])] + ([jnp.array(row["delayed"])] if "delayed" in row else [])
        scale = np.abs(row["value"]).max() + 1
        np.testing.assert_allclose(system.rhs(*arguments), row["value"], rtol=1e-9, atol=1e-11 * scale, err_msg=name)


def test_the_numbers_of_rows_are_the_published_ones_and_the_second_double_pendulum():
    assert catalogue().kind.value_counts().to_dict() == {"ode": 129 + 1, "dde": 6, "map": 22}
    assert len(catalogue("dde")) == 6


@pytest.mark.parametrize(
    ("name", "divergence"),
    [
        ("Lorenz", -(10 + 1 + 2.667)),
        ("SprottB", -1.0),
        ("Rucklidge", -3.0),
        ("WangSun", -1.2),
        ("Sakarya", -1.0),
        ("Thomas", -5.55),
        ("Chen", -10.0),
        ("Halvorsen", -4.2),
        ("ArnoldBeltramiChildress", 0.0),
        ("BickleyJet", 0.0),
        ("OscillatingFlow", 0.0),
        ("LidDrivenCavityFlow", 0.0),
        ("HenonHeiles", 0.0),
        ("DoublePendulum", 0.0),
        ("NuclearQuadrupole", 0.0),
        ("SwingingAtwood", 0.0),
    ],
)
def test_constant_divergence(name, divergence, x64):
    system = get(name)
    points = jnp.asarray(system.initial) + 0.1 * jr.normal(jr.key(0), (4, len(system.initial)))
    traces = jax.vmap(lambda x: jnp.trace(system.jacobian(x)))(points)
    np.testing.assert_allclose(traces, divergence, atol=1e-10)


@pytest.mark.parametrize("name", HAMILTONIAN)
def test_energy_is_conserved_pointwise(name, x64):
    system = get(name)
    energy = Equations(system.facts.conserved, system.states)
    points = jnp.asarray(system.initial) * (1 + 0.1 * jr.normal(jr.key(1), (5, 4)))

    def rate(x):
        slope = jax.grad(lambda x: energy(x, system.parameters)[0])(x)
        return slope @ system.rhs(x) / (jnp.linalg.norm(slope) * jnp.linalg.norm(system.rhs(x)))

    assert float(jnp.abs(jax.vmap(rate)(points)).max()) < 1e-14


def test_the_published_double_pendulum_gains_energy_and_the_corrected_one_does_not(x64):
    energy = Equations(get("DoublePendulum").facts.conserved, get("DoublePendulum").states)
    drift = {}
    for name in ("DoublePendulum", "DoublePendulumDysts"):
        system = get(name)
        start = np.array([1.0, 2.0, 0.5, -0.5])
        end = simulate(system, 2, pts_per_period=0.4, initial=start).final_state.values
        first, last = (float(energy(jnp.asarray(x), system.parameters)[0]) for x in (start, end))
        drift[name] = abs(last - first) / abs(first)
    assert drift["DoublePendulum"] < 1e-7
    assert drift["DoublePendulumDysts"] > 0.05


def test_families_share_their_equations():
    table = catalogue("ode")
    for _, rows in table.groupby("family"):
        if rows.name.iloc[0] != "DoublePendulum" and len(rows) > 1:
            fields = {get(name).field.text for name in rows.name}
            assert len(fields) <= len(rows)
    assert set(table.family[table.name.isin(["Arneodo", "Coullet"])]) == {"Arneodo"}


def test_parameters_are_traced_leaves(x64):
    slope = jax.grad(lambda rho: get("Lorenz", rho=rho).rhs(jnp.array([2.0, 3.0, 4.0]))[1])(28.0)
    assert slope == pytest.approx(2.0)  # x
    rates = jax.vmap(lambda rho: get("Lorenz", rho=rho).rhs(jnp.array([2.0, 3.0, 4.0]))[1])(jnp.array([1.0, 5.0]))
    np.testing.assert_allclose(rates, [2 - 8 - 3, 10 - 8 - 3])


def test_a_grid_over_a_parameter_runs_as_a_process():
    vary = lambda p, v: get("Logistic", r=v["r"])  # noqa: E731
    state = run(get("Logistic"), jr.key(0), 300, over={"r": [2.0, 2.5]}, vary=vary).state
    np.testing.assert_allclose(state[:, 0], [0.5, 0.6], atol=1e-6)


def test_stored_invariants_hold_for_the_stored_parameters_only():
    assert get("Henon").invariants["exponent"] == pytest.approx(0.4192, rel=0.03)
    assert get("Henon", a=1.2).invariants == {}
    assert lorenz63().invariants == {}
    with pytest.raises(ValueError, match="no exponent is stored"):
        simulate(get("Lorenz", rho=60.0), 10, timescale="lyapunov")


def test_text_and_function_come_in_by_the_same_door(x64):
    system = system_from_text("dx = a*cos(t) - x", {"a": 2.0}, {"x": 1.0}, period=2 * np.pi)
    assert system.states == ("x", "t")
    data = simulate(system, 50)
    t = data.time.values
    np.testing.assert_allclose(data.x.values[:, 0], np.cos(t) + np.sin(t), atol=1e-9)
    assert list(data.coord.values) == ["x"]


def test_a_delay_flow_from_text():
    system = system_from_text("dx = -x_tau", {"tau": 1.0}, [1.0], kind="dde", period=1.0)
    assert isinstance(system, DelayFlow)
    with pytest.raises(ValueError, match="needs its delay"):
        system_from_text("dx = -x_tau", {}, [1.0], kind="dde")


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="did you mean Lorenz"):
        get("Lorentz")
    with pytest.raises(ValueError, match="parameters are \\['beta', 'rho', 'sigma'\\]"):
        get("Lorenz", r=1.0)
    with pytest.raises(ValueError, match="parameter 'rho' of Lorenz must be a number or an array; got 'a'"):
        get("Lorenz", rho="a")
    with pytest.raises(ValueError, match="`kind` must be one of"):
        catalogue("flow")
