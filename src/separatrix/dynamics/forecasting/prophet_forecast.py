"""Prophet through its own package, which is not a dependency."""

import importlib
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

__all__ = ["ProphetForecast"]


@dataclass(frozen=True)
class ProphetForecast:
    """Prophet's piecewise trend and Fourier seasons, for each coordinate; samples are taken to be days.

    It raises an ImportError where the package is missing.

    Attributes:
        season: samples in one season, given to Prophet as a season of its own; 0 for its defaults.
        order: Fourier order of that season.

    References:
        Taylor and Letham (2018), The American Statistician 72, 37-45.
    """

    season: int = 0
    order: int = 5

    def __post_init__(self):
        _package()  # now rather than at the end of a long benchmark

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> list[Any]:
        """Fit one model a coordinate.

        Args:
            y: series.
            key: not used.

        Returns:
            Fitted models.
        """
        del key
        logging.getLogger("cmdstanpy").setLevel(logging.ERROR)
        fits = []
        for column in np.asarray(y, float).T:
            model = _package().Prophet()
            if self.season:
                model.add_seasonality("dominant", self.season, self.order)
            days = pd.date_range("2000-01-01", periods=len(column), freq="D")
            fits.append(model.fit(pd.DataFrame({"ds": days, "y": column})))
        return fits

    def predict(self, state: list[Any], context: Any, steps: int) -> Float[np.ndarray, "steps D"]:
        """Extrapolate from the end of the fitted series."""
        del context
        out = []
        for model in state:
            future = model.make_future_dataframe(steps, freq="D", include_history=False)
            out.append(model.predict(future)["yhat"].to_numpy())
        return np.stack(out, axis=1)


def _package() -> Any:
    try:
        return importlib.import_module("prophet")
    except ImportError as error:
        raise ImportError("ProphetForecast needs Prophet's own package: pip install 'separatrix[prophet]'.") from error
