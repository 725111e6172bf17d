"""The 4Theta method: theta lines of any curvature, with the variant chosen on the fitted series."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import minimize_scalar

__all__ = ["FourTheta", "ThetaFit", "smoothed_level"]


class ThetaFit(NamedTuple):
    """One coordinate.

    Attributes:
        theta: curvature of the theta line.
        level: last level of the smoothed theta line.
        trend: intercept and slope of the trend line; of its logarithm for an exponential trend.
        exponential: whether the trend is exponential.
        season: additive seasonal profile in the order of the forecast.
        length: of the fitted series.
    """

    theta: float
    level: float
    trend: tuple[float, float]
    exponential: bool
    season: np.ndarray
    length: int


def smoothed_level(x: Float[np.ndarray, " T"]) -> tuple[float, float]:
    """Simple exponential smoothing with the constant that minimises one-step errors.

    Args:
        x: series.

    Returns:
        Smoothing constant and last level.

    Examples:
        >>> alpha, level = smoothed_level(np.arange(50.0))  # a ramp is best followed by its last value
        >>> round(alpha, 2), round(level, 1)
        (1.0, 49.0)
    """
    from scipy.signal import lfilter

    def levels(alpha):
        return lfilter([alpha], [1, alpha - 1], x, zi=[(1 - alpha) * x[0]])[0]

    def error(alpha):
        return float(np.sum((x[1:] - levels(alpha)[:-1]) ** 2))

    alpha = float(minimize_scalar(error, bounds=(1e-4, 1.0), method="bounded", options={"xatol": 1e-6}).x)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue, reportArgumentType]
    return alpha, float(levels(alpha)[-1])


@dataclass(frozen=True)
class FourTheta:
    """A theta line `theta x + (1 - theta) trend`, smoothed and combined with the trend so that the series is restored.

    The forecast is `smoothed / theta + (1 - 1 / theta) trend`. Trends are linear, or exponential for positive series;
    the one with the smaller error on the last sixth of the fitted series is used, as is the best of `thetas`.

    Attributes:
        thetas: curvatures that are tried; 2 is the Theta method.
        season: samples in an additive season that is removed first and put back; 0 for none.

    References:
        Spiliotis, Assimakopoulos, Makridakis (2020), European Journal of Operational Research 284, 550-558.

    Examples:
        >>> y = 2 * np.arange(30.0)[:, None]
        >>> model = FourTheta(thetas=(2.0,))  # half the slope of the trend, from the last level 58
        >>> model.predict(model.fit(y, None), y, 2).round(2).ravel().tolist()
        [59.0, 60.0]
    """

    thetas: tuple[float, ...] = (1.0, 2.0, 3.0)
    season: int = 0

    def __post_init__(self):
        if not self.thetas or min(self.thetas) < 1:
            raise ValueError(f"`thetas` must be at least 1 each; got {self.thetas}.")

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> list[ThetaFit]:
        """Choose and fit a variant for each coordinate."""
        del key
        y = np.asarray(y, float)
        if len(y) < max(12, 2 * self.season):
            raise ValueError(f"{len(y)} samples are too few; give 12, and two seasons.")
        return [self._choose(column) for column in y.T]

    def _choose(self, x: np.ndarray) -> ThetaFit:
        cut = len(x) - len(x) // 6
        variants = [(t, e) for t in self.thetas for e in ((False, True) if x.min() > 0 else (False,))]

        def error(variant):
            guess = _ahead(self._one(x[:cut], *variant), len(x) - cut)
            return np.mean(np.abs(guess - x[cut:]))

        return self._one(x, *min(variants, key=error))

    def _one(self, x: np.ndarray, theta: float, exponential: bool) -> ThetaFit:
        count = len(x)
        t = np.arange(count)
        profile = np.zeros(1)
        if self.season:
            detrended = x - np.polyval(np.polyfit(t, x, 1), t)
            profile = np.array([detrended[k :: self.season].mean() for k in range(self.season)])
            profile -= profile.mean()
            x = x - profile[t % self.season]
            profile = np.roll(profile, -(count % self.season))
        exponential = exponential and x.min() > 0
        slope, intercept = np.polyfit(t, np.log(x) if exponential else x, 1)
        trend = _line((intercept, slope), t, exponential)
        _, level = smoothed_level(theta * x + (1 - theta) * trend)
        return ThetaFit(theta, level, (float(intercept), float(slope)), exponential, profile, count)

    def predict(self, state: list[ThetaFit], context: Any, steps: int) -> Float[np.ndarray, "steps D"]:
        """Combine the smoothed line with the trend, from the end of the fitted series."""
        del context
        return np.stack([_ahead(fit, steps) for fit in state], axis=1)


def _line(coefficients: tuple[float, float], t: np.ndarray, exponential: bool) -> np.ndarray:
    value = coefficients[0] + coefficients[1] * t
    return np.exp(value) if exponential else value


def _ahead(fit: ThetaFit, steps: int) -> np.ndarray:
    trend = _line(fit.trend, fit.length + np.arange(steps), fit.exponential)
    season = fit.season[np.arange(steps) % len(fit.season)]
    return fit.level / fit.theta + (1 - 1 / fit.theta) * trend + season
