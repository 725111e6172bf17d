"""Windows of measurements: random access, borders between series, missing values."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

from separatrix.dynamics import windows_of


def rows(window):
    return np.asarray(window.x)[..., 0]


def test_windows_are_consecutive_and_cross_no_border():
    first, second = np.arange(30.0)[:, None], 100 + np.arange(12.0)[:, None]
    stream = windows_of([first, second], length=5, batch_size=64)
    assert len(stream.starts) == 25 + 7
    seen = np.concatenate([rows(stream(jnp.int32(step), jr.key(0))) for step in range(20)], axis=1)
    np.testing.assert_array_equal(np.diff(seen, axis=0), 1)
    assert set(seen[0]) == set(range(25)) | set(range(100, 107))  # the last admissible start included


def test_access_is_random_and_compiled_equals_eager():
    stream = windows_of(np.arange(50.0)[:, None], length=5, batch_size=3)
    forwards = [rows(stream(jnp.int32(i), jr.key(0))) for i in range(5)]
    for i in reversed(range(5)):
        np.testing.assert_array_equal(forwards[i], rows(stream(jnp.int32(i), jr.key(0))))
        np.testing.assert_array_equal(forwards[i], rows(eqx.filter_jit(stream)(jnp.int32(i), jr.key(0))))
    assert not np.array_equal(forwards[0], rows(stream(jnp.int32(0), jr.key(1))))
    assert int(stream(jnp.int32(7), jr.key(0)).step) == 7


def test_missing_measurements_are_marked_and_never_first():
    x = np.arange(40.0)[:, None]
    x[[3, 17]] = np.nan
    stream = windows_of(x, length=4, batch_size=200)
    window = stream(jnp.int32(0), jr.key(0))
    assert bool(window.observed[0].all())
    assert not bool(window.observed.all())
    assert bool(jnp.all(jnp.isfinite(window.x)))
    assert windows_of(np.arange(9.0)[:, None], 3, 2).observed is None


def test_inputs_act_on_the_step_that_leads_to_their_time():
    x = np.arange(20.0)[:, None]
    window = windows_of(x, 4, 3, inputs=10 * x)(jnp.int32(0), jr.key(0))
    np.testing.assert_array_equal(window.inputs, 10 * window.x[1:])


def test_dtype_is_that_of_the_data(x64):
    assert windows_of(np.zeros((9, 1), np.float32), 3, 2).x.dtype == jnp.float32
    assert windows_of(np.zeros((9, 1)), 3, 2).x.dtype == jnp.float64
    assert jnp.issubdtype(windows_of(np.zeros((9, 1), int), 3, 2).x.dtype, jnp.floating)


@pytest.mark.parametrize(
    ("series", "how", "message"),
    [
        (np.zeros((5, 1)), {"length": 5}, "no window of 6 measurements"),
        (np.full((9, 1), np.nan), {"length": 3}, "with a complete first one"),
        (np.full((9, 1), np.inf), {"length": 3}, "write NaN where one is missing"),
        ([np.zeros((9, 1)), np.zeros((9, 2))], {"length": 3}, "equal variables"),
        (np.zeros((9, 1)), {"length": 0}, "must be at least 1"),
        (np.zeros((9, 1)), {"length": 3, "inputs": np.zeros((8, 1))}, "one row for each measurement; got 8 for 9"),
    ],
)
def test_data_that_do_not_fit_are_refused(series, how, message):
    with pytest.raises(ValueError, match=message):
        windows_of(series, **how)


def test_stream_vmaps_over_keys_with_one_copy_of_the_data():
    stream = windows_of(np.arange(50.0)[:, None], length=5, batch_size=3)
    together = jax.vmap(lambda key: stream(jnp.int32(2), key).x)(jr.split(jr.key(0), 4))
    assert together.shape == (4, 6, 3, 1)
