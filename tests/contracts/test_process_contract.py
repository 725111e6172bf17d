"""What every process must satisfy, plain or changed by an intervention."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix import run, run_on_host, wrap_step

from .cases import PROCESSES, SLOW, WRAPPERS, rows, wrapped

STEPS = 4
# Wrappers know nothing of what they wrap, so three processes of different kinds stand for all.
WRAPPED = ("heavy ball", "noisy", "supervised")
EVERY = pytest.mark.parametrize(
    ("name", "wrapper"),
    [
        pytest.param(n, w, marks=[pytest.mark.slow] if n in SLOW else [])
        for n in PROCESSES
        for w in (WRAPPERS if n in WRAPPED else WRAPPERS[:1])
    ],
)


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    if request.param == "float64":
        with jax.enable_x64():
            yield jnp.float64
    else:
        yield jnp.float32


def assert_same_bits(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def assert_close(a, b, ulps):
    """Compare floats within some units in the last place of each array's largest entry; the rest exactly."""

    def compare(x, y):
        x, y = np.asarray(x), np.asarray(y)
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        if np.issubdtype(x.dtype, np.inexact):
            scale = np.max(np.abs(x), initial=np.finfo(x.dtype).tiny)
            np.testing.assert_allclose(x, y, rtol=0, atol=ulps * np.finfo(x.dtype).eps * scale)
        else:
            np.testing.assert_array_equal(x, y)

    jax.tree.map(compare, a, b)


def one_step(process, key):
    stream = getattr(process, "stream", None)
    x = None if stream is None else stream(jnp.int32(0), key)
    return process.step(process.init(key), x, key)


@EVERY
def test_compiled_equals_eager(name, wrapper):
    # Compilers contract products and sums; Adam divides by the root of a small number and so magnifies a last digit.
    process = wrapped(PROCESSES[name], wrapper, jnp.float32)
    eager = one_step(process, jr.key(1))
    compiled = eqx.filter_jit(one_step)(process, jr.key(1))
    assert_close(eager, compiled, ulps=PROCESSES[name].ulps)


def singles(process, keys):
    return jax.tree.map(lambda *a: jnp.stack(a), *[run(process, key, STEPS).state for key in keys])


@EVERY
def test_population_in_blocks_of_one_equals_single_runs_bitwise(name, wrapper):
    process, keys = wrapped(PROCESSES[name], wrapper, jnp.float32), jr.split(jr.key(2), 3)
    assert_same_bits(run(process, keys, STEPS, block=1).state, singles(process, keys))


# `between` is the wrapper whose branches a vectorised program takes both
@pytest.mark.parametrize(
    ("name", "wrapper"),
    [
        *(pytest.param(n, "as it is", marks=[pytest.mark.slow] if n in SLOW else []) for n in PROCESSES),
        *((n, "between") for n in WRAPPED),
    ],
)
def test_vectorised_population_equals_single_runs(name, wrapper):
    process, keys = wrapped(PROCESSES[name], wrapper, jnp.float32), jr.split(jr.key(2), 3)
    together = run(process, keys, STEPS, block=3).state
    assert_close(together, singles(process, keys), ulps=4 * PROCESSES[name].ulps)


@EVERY
def test_step_keeps_structure_shapes_and_dtypes(name, wrapper, dtype):
    process = wrapped(PROCESSES[name], wrapper, dtype)
    state = eqx.filter_eval_shape(process.init, jr.key(3))
    after, info = eqx.filter_eval_shape(one_step, process, jr.key(3))
    assert jax.tree.structure(after) == jax.tree.structure(state)
    for old, new in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        if jnp.issubdtype(new.dtype, jnp.inexact):
            assert new.dtype == dtype
    assert all(value.shape == () for value in info.values())


@pytest.mark.parametrize("name", rows(PROCESSES))
def test_run_keeps_float64(name, x64):
    final = run(PROCESSES[name].build(jnp.float64), jr.key(3), STEPS).state
    floats = [a.dtype for a in jax.tree.leaves(final) if jnp.issubdtype(a.dtype, jnp.inexact)]
    assert set(floats) == {jnp.dtype("float64")}


@EVERY
def test_restore_undoes_view(name, wrapper):
    process = wrapped(PROCESSES[name], wrapper, jnp.float32)
    state, _ = eqx.filter_jit(one_step)(process, jr.key(4))
    restored = process.restore(process.view(state), 1)
    assert_same_bits(process.view(restored), process.view(state))
    if PROCESSES[name].restores:
        assert_same_bits(restored, state)


@pytest.mark.parametrize("name", rows(PROCESSES))
def test_second_run_traces_nothing(name):
    count = 0

    def counting(step):
        def counted(state, x, key):
            nonlocal count
            count += 1
            return step(state, x, key)

        return counted

    process = wrap_step(counting)(PROCESSES[name].build(jnp.float32))
    run(process, jr.key(5), STEPS)
    assert count > 0
    first, count = count, 0
    run(process, jr.key(6), 3 * STEPS)  # another key and another length
    assert (first, count) == (first, 0)


@EVERY
def test_same_key_gives_same_bits_and_another_key_others(name, wrapper):
    case = PROCESSES[name]
    process = wrapped(case, wrapper, jnp.float32)
    first, again, other = (run(process, jr.key(seed), STEPS).state for seed in (8, 8, 9))
    assert_same_bits(first, again)
    differ = [not np.array_equal(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(other), strict=True)]
    assert any(differ) == case.random


@pytest.mark.parametrize("name", rows(PROCESSES))
def test_host_driver_agrees(name):
    process = PROCESSES[name].build(jnp.float32)
    compiled, host = run(process, jr.key(10), STEPS).state, run_on_host(process, jr.key(10), STEPS).state
    assert_close(compiled, host, ulps=4 * PROCESSES[name].ulps)
