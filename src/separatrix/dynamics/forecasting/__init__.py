"""Forecasting of series: methods from the mean to transformers behind one seam, and their benchmark."""

from .echo_state_forecast import EchoStateFit, EchoStateForecast
from .forecast_benchmark import correlate, forecast_benchmark, rank, split_at, tune
from .forecast_metrics import METRICS, forecast_metrics
from .forecaster import Forecaster, Scaling, forecast, forecast_many, scaling
from .forest_lags import RandomForestLags
from .four_theta import FourTheta, ThetaFit, smoothed_level
from .fourier_forecast import FourierForecast
from .lag_regression import LagState, LinearLags, NextGenerationReservoir, lagged
from .naive_forecasts import NaiveDrift, NaiveMean, NaiveSeasonal
from .prophet_forecast import ProphetForecast
from .statistical_forecasts import Arima, AutoArima, ExponentialSmoothing, ThetaForecast, differences_needed
from .window_training import WindowFit, WindowForecaster, lstm, nbeats, tcn, transformer

__all__ = [
    "METRICS",
    "Arima",
    "AutoArima",
    "EchoStateFit",
    "EchoStateForecast",
    "ExponentialSmoothing",
    "Forecaster",
    "FourTheta",
    "FourierForecast",
    "LagState",
    "LinearLags",
    "NaiveDrift",
    "NaiveMean",
    "NaiveSeasonal",
    "NextGenerationReservoir",
    "ProphetForecast",
    "RandomForestLags",
    "Scaling",
    "ThetaFit",
    "ThetaForecast",
    "WindowFit",
    "WindowForecaster",
    "correlate",
    "differences_needed",
    "forecast",
    "forecast_benchmark",
    "forecast_many",
    "forecast_metrics",
    "lagged",
    "lstm",
    "nbeats",
    "rank",
    "scaling",
    "smoothed_level",
    "split_at",
    "tcn",
    "transformer",
    "tune",
]
