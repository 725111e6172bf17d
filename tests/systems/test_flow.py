"""The integrator and Lorenz's system."""

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run
from separatrix.systems import Flow, lorenz63


def _rotation(state, p):
    return p["frequency"] * jnp.stack([-state[1], state[0]])


def test_flow_converges_at_fourth_order(x64):
    errors = []
    for steps in (20, 40, 80):
        flow = Flow(_rotation, {"frequency": 2.0}, jnp.array([1.0, 0.0]), 1.0 / steps)
        state, _ = run(flow, jr.key(0), steps)
        errors.append(float(jnp.linalg.norm(state - jnp.array([jnp.cos(2.0), jnp.sin(2.0)]))))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    np.testing.assert_allclose(orders, 4.0, atol=0.1)


def test_spread_sets_seeds_apart_and_zero_keeps_them_together():
    flow = lambda spread: Flow(_rotation, {"frequency": 1.0}, jnp.zeros(2), 0.1, spread)  # noqa: E731
    keys = jr.split(jr.key(0), 400)
    assert float(jnp.abs(run(flow(0.0), keys, 0, block=400).state).max()) == 0
    assert float(run(flow(0.5), keys, 0, block=400).state.std()) == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize("sign", [-1, 1])
def test_lorenz_63_rests_at_its_fixed_points(sign, x64):
    sigma, rho, beta = 10.0, 28.0, 8 / 3
    side = sign * np.sqrt(beta * (rho - 1))
    rest = jnp.array([side, side, rho - 1])
    after, _ = lorenz63(sigma, rho, beta).step(rest, None, jr.key(0))
    np.testing.assert_allclose(after, rest, atol=1e-13)


def test_lorenz_63_dies_out_below_the_first_bifurcation(x64):
    state, _ = run(lorenz63(rho=0.5), jr.key(0), 5_000)
    np.testing.assert_allclose(state, 0, atol=1e-9)


def test_lorenz_63_stays_on_its_attractor():
    state, records = run(lorenz63(), jr.split(jr.key(0), 8), 5_000)
    assert bool((jnp.abs(state) < 60).all())
    assert (records.diverged_at == -1).all()


def test_dtype_follows_the_argument(x64):
    assert lorenz63(dtype=jnp.float32).initial.dtype == jnp.float32
    assert lorenz63().initial.dtype == jnp.float64
