"""Errors of forecasts: the cards' closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest

from separatrix.systems.forecast_error import (
    pointwise_nrmse,
    pointwise_smape,
    prediction_error,
    smape,
    valid_prediction_time,
)

Y, P = np.array([1.0, 2, 3, 4, 5]), np.array([1.1, 1.9, 3.2, 4.1, 5.1])


def test_smape_states_its_scale():
    # 2 * mean(|y - p| / (|y| + |p|)) = 5.111 %; the card's 5.110 "on 0-100" is the scale of 200
    assert smape(Y, P, scale=200) == pytest.approx(5.111, abs=1e-3)
    assert smape(Y, P, scale=100) == pytest.approx(smape(Y, P) / 2)
    assert smape(Y, -Y, scale=2) == pytest.approx(2)
    assert smape(Y, Y) == 0


def test_prediction_error_of_a_wrong_slope():
    x = jnp.ones((5, 1))
    assert float(prediction_error(lambda z: 1.1 * z, x, x, n=2)) == pytest.approx((1.21 - 1) ** 2, rel=1e-5)
    with pytest.raises(ValueError, match="a target for each start; got n=1, 5 starts and 4 targets"):
        prediction_error(lambda z: z, x, x[1:], n=1)


def test_prediction_error_observes():
    z = jnp.array([[1.0, 2.0]])
    error = prediction_error(lambda z: z, z, jnp.array([[3.0]]), n=3, observe=lambda z: z.sum(-1, keepdims=True))
    assert float(error) == 0


def test_valid_prediction_time_of_an_exponential_error():
    # error of 0.01 exp(t) in units of the deviation passes 0.5 at t = log 50
    t = np.arange(0.01, 20, 0.01)
    y = np.sqrt(2) * np.sin(np.arange(len(t)))[:, None]
    p = y + 0.01 * np.exp(t)[:, None] * y.std()
    time = valid_prediction_time(y, p, dt=0.01, exponent=0.9, threshold=0.5, error=pointwise_nrmse)
    assert time == pytest.approx(0.9 * np.log(50), abs=0.02)


def test_a_forecast_that_is_never_wrong_is_valid_throughout_and_nan_is_not():
    y = np.ones((10, 2))
    assert valid_prediction_time(y, y, dt=0.1) == pytest.approx(1.0)
    assert valid_prediction_time(y, y * np.nan) == 0
    assert pointwise_smape(y, y).shape == (10,)
