"""ARIMA, exponential smoothing and Theta through statsmodels, fitted to each coordinate by itself."""

import importlib
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["Arima", "AutoArima", "ExponentialSmoothing", "ThetaForecast", "differences_needed"]


def _statsmodels(module: str) -> Any:
    try:
        return importlib.import_module(f"statsmodels.tsa.{module}")
    except ImportError as error:
        raise ImportError("this method needs statsmodels: pip install 'separatrix[forecast]'.") from error


def _each(y: Float[np.ndarray, "T D"], fit: Callable[[np.ndarray], Any]) -> list[Any]:
    """Fit each coordinate; a constant one is its own forecast, for which no likelihood exists."""
    out = []
    _statsmodels("stattools")  # its import sets filters of its own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # failed convergence is judged by the forecast
        for column in np.asarray(y, float).T:
            out.append(float(column[-1]) if np.ptp(column) == 0 else fit(column))
    return out


def _ahead(fits: list[Any], steps: int, call: Callable[[Any], Any]) -> Float[np.ndarray, "steps D"]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.stack([np.full(steps, f) if isinstance(f, float) else np.asarray(call(f)) for f in fits], axis=1)


@dataclass(frozen=True)
class Arima:
    """ARIMA(p, d, q) by maximum likelihood in state space. It forecasts from the end of the fitted series.

    Attributes:
        p: autoregressive order.
        d: differences.
        q: order of the moving average.

    References:
        Box and Jenkins (1970), Time Series Analysis: Forecasting and Control.

    Examples:
        >>> y = 0.5 ** np.arange(20.0)[:, None]
        >>> model = Arima(1, 0, 0)
        >>> model.predict(model.fit(y, None), y, 2).shape
        (2, 1)
    """

    p: int = 12
    d: int = 1
    q: int = 0

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> list[Any]:
        """Maximise the likelihood."""
        del key
        return _each(y, lambda x: _arima(x, (self.p, self.d, self.q)))

    def predict(self, state: list[Any], context: Any, steps: int) -> Float[np.ndarray, "steps D"]:
        """Return conditional means."""
        del context
        return _ahead(state, steps, lambda f: f.forecast(steps))


def _arima(x: np.ndarray, order: tuple[int, int, int]) -> Any:
    trend = "c" if order[1] == 0 else "n"
    return _statsmodels("arima.model").ARIMA(x, order=order, trend=trend).fit()


def differences_needed(x: Float[np.ndarray, " T"], most: int = 2) -> int:
    """Differences until the test of Kwiatkowski et al. no longer rejects stationarity at 5 %.

    Args:
        x: series.
        most: largest number of differences.

    Returns:
        The number.

    References:
        Kwiatkowski, Phillips, Schmidt, Shin (1992), Journal of Econometrics 54, 159-178.

    Examples:
        >>> differences_needed(np.cumsum(np.random.default_rng(0).normal(size=300)))
        1
    """
    test = _statsmodels("stattools").kpss
    for d in range(most):
        z = np.diff(x, d)
        if np.ptp(z) == 0:
            return d
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = test(z, regression="c", nlags="auto")
        if result[1] > 0.05:
            return d
    return most


@dataclass(frozen=True)
class AutoArima:
    """ARIMA whose orders are found stepwise by the corrected Akaike criterion.

    Attributes:
        most_p: largest autoregressive order.
        most_q: largest order of the moving average.
        most_d: largest number of differences, chosen by `differences_needed`.

    References:
        Hyndman and Khandakar (2008), Journal of Statistical Software 27 (3).

    Examples:
        >>> y = np.random.default_rng(0).normal(size=(60, 1))
        >>> model = AutoArima(1, 1)
        >>> model.predict(model.fit(y, None), y, 2).shape
        (2, 1)
    """

    most_p: int = 5
    most_q: int = 5
    most_d: int = 2

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> list[Any]:
        """Search the orders."""
        del key
        return _each(y, self._search)

    def _search(self, x: np.ndarray) -> Any:
        d, tried = differences_needed(x, self.most_d), {}

        def criterion(p: int, q: int) -> float:
            if (p, q) not in tried:
                try:
                    fit = _arima(x, (p, d, q))
                    tried[p, q] = (fit.aicc if np.isfinite(fit.aicc) else math.inf, fit)
                except (np.linalg.LinAlgError, ValueError):
                    tried[p, q] = (math.inf, None)
            return tried[p, q][0]

        starts = [(2, 2), (0, 0), (1, 0), (0, 1)]
        best = min(((min(p, self.most_p), min(q, self.most_q)) for p, q in starts), key=lambda o: criterion(*o))
        while True:
            p, q = best
            near = [(p + i, q + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            near = [(i, j) for i, j in near if 0 <= i <= self.most_p and 0 <= j <= self.most_q]
            new = min(near, key=lambda o: criterion(*o))
            if criterion(*new) >= criterion(*best):
                break
            best = new
        if tried[best][1] is None:
            raise np.linalg.LinAlgError("no ARIMA model could be fitted.")
        return tried[best][1]

    def predict(self, state: list[Any], context: Any, steps: int) -> Float[np.ndarray, "steps D"]:
        """Return conditional means."""
        del context
        return _ahead(state, steps, lambda f: f.forecast(steps))


@dataclass(frozen=True)
class ExponentialSmoothing:
    """Exponential smoothing with a damped additive trend and, if wanted, an additive season.

    Attributes:
        season: samples in a season; 0 for none.
        trend: whether there is a trend.

    References:
        Holt (1957); Winters (1960), Management Science 6, 324-342.

    Examples:
        >>> y = np.arange(30.0)[:, None]
        >>> model = ExponentialSmoothing()
        >>> model.predict(model.fit(y, None), y, 2).shape
        (2, 1)
    """

    season: int = 0
    trend: bool = True

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> list[Any]:
        """Find smoothing constants and initial values by least squares."""
        del key
        options: dict[str, Any] = {"trend": "add", "damped_trend": True} if self.trend else {}
        if self.season:
            if len(y) < 2 * self.season:
                raise ValueError(f"{len(y)} samples are fewer than two seasons of {self.season}; use season=0.")
            options |= {"seasonal": "add", "seasonal_periods": self.season}
        model = _statsmodels("holtwinters").ExponentialSmoothing
        return _each(y, lambda x: model(x, initialization_method="estimated", **options).fit())

    def predict(self, state: list[Any], context: Any, steps: int) -> Float[np.ndarray, "steps D"]:
        """Extrapolate level, trend and season."""
        del context
        return _ahead(state, steps, lambda f: f.forecast(steps))


@dataclass(frozen=True)
class ThetaForecast:
    """The Theta method: simple exponential smoothing with half the slope of the trend.

    Attributes:
        season: samples in a season that is removed first and put back; 0 for none.

    References:
        Assimakopoulos and Nikolopoulos (2000), Int. J. Forecasting 16, 521-530. Hyndman and Billah (2003), ibid. 19.

    Examples:
        >>> y = np.arange(30.0)[:, None]
        >>> model = ThetaForecast()
        >>> model.predict(model.fit(y, None), y, 2).shape
        (2, 1)
    """

    season: int = 0

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> list[Any]:
        """Fit smoothing constant and slope."""
        del key
        model = _statsmodels("forecasting.theta").ThetaModel
        options: dict[str, Any] = {"deseasonalize": False}
        if self.season:
            options = {"period": self.season, "deseasonalize": True, "use_test": False, "method": "additive"}
        return _each(y, lambda x: model(x, **options).fit())

    def predict(self, state: list[Any], context: Any, steps: int) -> Float[np.ndarray, "steps D"]:
        """Extrapolate."""
        del context
        return _ahead(state, steps, lambda f: f.forecast(steps))
