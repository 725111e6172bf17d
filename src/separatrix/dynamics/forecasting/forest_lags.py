"""Random forest on lagged samples."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.ensemble import RandomForestRegressor

from separatrix.dynamics.forecasting.lag_regression import lagged

__all__ = ["RandomForestLags"]


@dataclass(frozen=True)
class RandomForestLags:
    """A random forest of the next sample on the last ones, applied again and again.

    Attributes:
        lags: samples that are looked at.
        trees: number of trees.
        workers: threads.

    References:
        Breiman (2001), Machine Learning 45, 5-32.

    Examples:
        >>> import jax.random as jr
        >>> y = np.sin(0.4 * np.arange(80.0))[:, None]
        >>> model = RandomForestLags(5, trees=10)
        >>> model.predict(model.fit(y, jr.key(0)), y, 3).shape
        (3, 1)
    """

    lags: int = 5
    trees: int = 100
    workers: int = 1

    def fit(self, y: Float[np.ndarray, "T D"], key: Any) -> RandomForestRegressor:
        """Grow the trees."""
        import jax.random as jr

        y = np.asarray(y, float)
        past, target = (np.asarray(a) for a in lagged(y, self.lags))  # pyright: ignore[reportArgumentType]
        seed = int(jr.bits(key)) % 2**31
        forest = RandomForestRegressor(self.trees, random_state=seed, n_jobs=self.workers)
        return forest.fit(past, target.ravel() if target.shape[1] == 1 else target)

    def predict(
        self, state: RandomForestRegressor, context: Float[np.ndarray, "W D"], steps: int
    ) -> Float[np.ndarray, "steps D"]:
        """Iterate the forest."""
        window, path = np.asarray(context, float)[-self.lags :], []
        for _ in range(steps):
            path.append(state.predict(window.reshape(1, -1)).reshape(-1))
            window = np.concatenate([window[1:], path[-1][None]])
        return np.array(path)
