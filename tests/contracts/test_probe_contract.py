"""What every probe must satisfy: it names what it records and changes nothing else."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from separatrix import Probe, Transition, run

from .cases import PROBES, classifier

STEPS = 6
KEYS = jr.split(jr.key(0), 2)
EVERY = pytest.mark.parametrize("name", PROBES)


@pytest.fixture(scope="module")
def process():
    return classifier(jnp.float32)


@pytest.fixture(scope="module")
def bare(process):
    return run(process, KEYS, STEPS, block=1)


@pytest.fixture(scope="module")
def everything(process):
    other = Probe(lambda tr, key: {"other": jr.normal(key)}, name="other")
    return run(process, KEYS, STEPS, probes=[other, *(case.build(3) for case in PROBES.values())], block=1)


@pytest.fixture(scope="module", params=PROBES)
def alone(process, request):
    case = PROBES[request.param]
    return case, run(process, KEYS, STEPS, probes=[case.build(3)], block=1)


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_probe_leaves_the_state_alone(alone, bare):
    _, probed = alone
    assert_same_bits(probed.state, bare.state)
    np.testing.assert_array_equal(probed.records.diverged_at, bare.records.diverged_at)


def test_other_probes_leave_its_records_alone(alone, everything):
    case, probed = alone
    for variable in case.variables:
        np.testing.assert_array_equal(probed.records[variable], everything.records[variable])


def test_records_are_shaped_and_named(alone):
    case, (_, records) = alone
    assert set(records.variables) == set(case.variables)
    for variable, dims in case.variables.items():
        record = records.variables[variable]
        assert record.dims == dims
        assert record.steps.tolist() == [3, 6]
        assert record.values.shape[:2] == (2, 2)
        assert record.values.ndim == 2 + len(dims)
        assert np.isfinite(record.values).all()
    dataset = records.to_dataset()
    assert dataset.sizes["step"] == 2
    assert set(dataset.data_vars) == {*case.variables, "diverged_at"}


@EVERY
def test_compiled_equals_eager(name, process):
    state = eqx.filter_jit(process.init)(jr.key(1))
    x = process.stream(jnp.int32(0), jr.key(2))
    after, info = eqx.filter_jit(process.step)(state, x, jr.key(3))
    fn = PROBES[name].build(1).fn

    def measure(before, x, info, after, key):
        return fn(Transition(process, jnp.int32(1), before, x, info, after), key)

    arguments = (state, x, info, after, jr.key(4))
    eager, compiled = measure(*arguments), jax.jit(measure)(*arguments)
    assert set(eager) == set(PROBES[name].variables)
    for variable, value in eager.items():
        rounding = 1e-5 if variable.endswith("residual") else 1e-7  # a residual is what rounding left of a difference
        np.testing.assert_allclose(compiled[variable], value, rtol=1e-5, atol=rounding)


def test_displacement_is_the_length_of_a_step():
    # an optimiser that moves each of the 48 weights by 0.5 moves the whole by 0.5 sqrt(48)
    shift = optax.stateless(lambda updates, params: jax.tree.map(lambda u: jnp.full_like(u, 0.5), updates))
    records = run(
        classifier(jnp.float32, optimiser=shift), jr.key(0), 1, probes=[PROBES["displacement"].build(1)]
    ).records
    np.testing.assert_allclose(records["displacement"], 0.5 * np.sqrt(48), rtol=1e-6)


def test_noise_of_a_probe_depends_on_its_name_and_the_step_only(process):
    fine, coarse = (run(process, jr.key(0), STEPS, probes=[PROBES["noise"].build(n)]).records["noise"] for n in (1, 3))
    np.testing.assert_array_equal(fine[[2, 5]], coarse)
    assert len(np.unique(fine)) == fine.size
