"""An estimator for a user's snapshots: fit, forecast, eigenfunctions, and certificates on data kept out of the fit."""

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Complex, Float, Num
from sklearn.base import BaseEstimator

from separatrix.dynamics.koopman.dictionaries import delay, radial_kmeans
from separatrix.dynamics.koopman.extended_dmd import edmd
from separatrix.dynamics.koopman.gram_matrices import Dictionary, Snapshots, compress, evaluate
from separatrix.dynamics.koopman.mode_forecast import KoopmanModes, fit_modes, forecast
from separatrix.dynamics.koopman.pseudospectra import pseudo_eigenfunctions
from separatrix.dynamics.koopman.residual_dmd import residuals
from separatrix.dynamics.koopman.snapshot_data import pairs_from
from separatrix.dynamics.koopman.verification import VerifiedSpectrum, verified_spectrum

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["KoopmanLearner"]

DEFAULT_SIZE = 100


class KoopmanLearner(BaseEstimator):
    """Koopman analysis of snapshots in the manner of scikit-learn.

    Part of the data is kept out of the fit: whole trajectories if there are several, the last times of a single one.
    All residuals are measured there.

    Snapshots are reduced by orthogonal factors (`compress`). Normal equations (`trajectory_gram`) are several times as
    quick, but they square the condition number, and radial functions or delays of smooth series reach that of 1e7 from
    which on they lose directions; residuals below 1e-7 would be rounding. Use them where neither matters.

    Attributes:
        eigenvalues_: shape `(count,)`, most trustworthy first.
        eigenvectors_: coefficients in the dictionary, shape `(size, count)`.
        residuals_: of each pair on the held-out pairs; infinite without any.
        kept_: how many of the pairs, from the first, `predict` uses.
        modes_: shape `(kept_, dim)`.
        dictionary_: the dictionary that was used.

    Args:
        dictionary: maps states `(samples, dim * delays)` to observables; by default a constant and 100 radial functions
            at k-means centres of the data.
        delays: delay coordinates that make a state of the measurements.
        stride: time steps between them.
        held_out: share of the data kept out, in [0, 1).
        largest_residual: pairs above it are not used in forecasts.
        tolerance: pivots of the dictionary below this share of the first are pruned.
        chunk: snapshots whose observables are held in memory at once; chosen by size by default.

    References:
        Colbrook, Mezic, Stepanenko (2024), arXiv 2407.06312. Colbrook, Townsend (2024), Commun. Pure Appl. Math. 77.

    Examples:
        >>> import numpy as np
        >>> from separatrix.dynamics.koopman import Coordinates
        >>> spiral = (0.98 * np.exp(0.3j)) ** np.arange(80)
        >>> path = np.stack([spiral.real, spiral.imag], axis=1)
        >>> learner = KoopmanLearner(Coordinates(), held_out=0.25).fit(path)
        >>> np.abs(learner.eigenvalues_).round(6).tolist()
        [1.0, 0.98, 0.98]
        >>> bool(np.allclose(learner.predict(path[:1], 5)[0, -1], path[5]))
        True
    """

    def __init__(
        self,
        dictionary: Dictionary | None = None,
        *,
        delays: int = 1,
        stride: int = 1,
        held_out: float = 0.3,
        largest_residual: float = float("inf"),
        tolerance: float = 1e-10,
        chunk: int | None = None,
    ):
        self.dictionary = dictionary
        self.delays = delays
        self.stride = stride
        self.held_out = held_out
        self.largest_residual = largest_residual
        self.tolerance = tolerance
        self.chunk = chunk

    def fit(self, X: Any, Y: Any = None, held_out: tuple[Any, Any] | None = None) -> "KoopmanLearner":
        """Fit eigenpairs and measure their residuals on other data.

        Args:
            X: a trajectory `(times, dim)`; a list of trajectories of any lengths, or `(count, times, dim)`; or states
                `(samples, dim)` if `Y` is given.
            Y: images of the states.
            held_out: pairs `(X2, Y2)` for the residuals, in place of a part of `X`; `Y2` may be None for trajectories.

        Returns:
            The estimator.

        Raises:
            ValueError: if a value is not finite, a trajectory is too short, or nothing is left to fit.
        """
        parts = pairs_from(X, Y, self.delays, self.stride)
        if held_out is None:
            train, test = self._split(parts)
        else:
            train = tuple(np.concatenate(c) for c in zip(*parts, strict=True))
            test = tuple(np.concatenate(c) for c in zip(*pairs_from(*held_out, self.delays, self.stride), strict=True))
        x, y = train
        self.n_features_in_ = x.shape[1] // self.delays
        self.dictionary_ = self._default(x) if self.dictionary is None else self.dictionary
        self._train = compress(self.dictionary_, x, y, chunk=self.chunk)
        pairs = edmd(*self._train, self._ones(self._train), self.tolerance)
        self._test = compress(self.dictionary_, *test, chunk=self.chunk) if len(test[0]) else None
        residual = self._held_out_residual(pairs.values, pairs.vectors)
        order = np.lexsort((-np.abs(pairs.values), residual.round(9)))
        self.eigenvalues_, self.eigenvectors_ = pairs.values[order], pairs.vectors[:, order]
        self.residuals_ = residual[order]
        trusted = int((self.residuals_ <= self.largest_residual).sum())
        if not trusted:
            raise ValueError(
                f"no pair has a residual below `largest_residual` = {self.largest_residual:g}; the smallest is "
                f"{self.residuals_[0]:.3g}. Enlarge the dictionary or the bound."
            )
        self.kept_ = trusted
        rows = min(len(x), max(20_000, 4 * self.kept_))
        some = np.linspace(0, len(x) - 1, rows).astype(int)
        modes = fit_modes(self.eigenvalues_[:trusted], self._functions(x[some])[:, :trusted], x[some])
        self.modes_ = modes.modes[:, -self.n_features_in_ :]
        return self

    def _split(self, parts: list) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        if not 0 <= self.held_out < 1:
            raise ValueError(f"`held_out` must lie in [0, 1); got {self.held_out}.")
        if len(parts) > 1:
            count = min(len(parts) - 1, max(1, round(self.held_out * len(parts)))) if self.held_out else 0
            train, test = parts[: len(parts) - count], parts[len(parts) - count :]
        else:
            cut = len(parts[0].x) - round(self.held_out * len(parts[0].x))
            gap = self.stride * (self.delays - 1)  # embedded states on both sides would share measurements
            train = [type(parts[0])(*(a[:cut] for a in parts[0]))]
            test = [type(parts[0])(*(a[cut + gap :] for a in parts[0]))]
        if not sum(len(p.x) for p in train):
            raise ValueError("nothing is left to fit; lower `held_out` or give more snapshots.")
        joined = [tuple(np.concatenate(c) for c in zip(*side, strict=True)) if side else () for side in (train, test)]
        empty = (np.zeros((0, parts[0].x.shape[1])),) * 2
        return joined[0], joined[1] or empty  # pyright: ignore[reportReturnType]

    @staticmethod
    def _default(x: Float[np.ndarray, "samples dim"]) -> Dictionary:
        from separatrix.dynamics.koopman.dictionaries import Coordinates, stack

        return stack(Coordinates(), radial_kmeans(x, min(DEFAULT_SIZE, max(1, len(x) // 10))))

    @staticmethod
    def _ones(rows: Snapshots) -> Float[np.ndarray, " rows"]:
        return np.ones(len(rows.psi_x))

    def _held_out_residual(self, values: Any, vectors: Any) -> Float[np.ndarray, " count"]:
        if self._test is None:
            return np.full(len(values), np.inf)
        return residuals(values, vectors, *self._test, self._ones(self._test))

    def _functions(self, states: Float[np.ndarray, "samples dim"]) -> Complex[np.ndarray, "samples count"]:
        return evaluate(self.dictionary_, states) @ self.eigenvectors_

    def _states(self, X: Any) -> Float[np.ndarray, "rows dim"]:
        if not hasattr(self, "eigenvalues_"):
            raise ValueError("this KoopmanLearner is not fitted yet; call `fit` first.")
        if (isinstance(X, list | tuple) and all(np.ndim(part) == 2 for part in X)) or np.ndim(X) == 3:
            return np.concatenate([self._states(part) for part in X])
        X = np.asarray(X, float)
        X = X[:, None] if X.ndim == 1 else X
        if X.ndim == 2 and X.shape[1] == self.n_features_in_:
            return delay(X, self.delays, self.stride)
        if X.ndim == 2 and X.shape[1] == self.n_features_in_ * self.delays:
            return X
        raise ValueError(f"`X` must have {self.n_features_in_} columns, as in `fit`; got shape {X.shape}.")

    def eigenfunctions(self, X: Any) -> Complex[np.ndarray, "rows count"]:
        """Eigenfunctions at states, in the order of `eigenvalues_`.

        Args:
            X: measurements `(times, dim)`; with delays, consecutive times (one row for each that has all its delays).
                Of several trajectories, as `fit` takes them, the rows follow one another.

        Returns:
            One column an eigenfunction.
        """
        return self._functions(self._states(X))

    def predict(self, X: Any, steps: int = 1) -> Float[np.ndarray, "rows times dim"]:
        """Forecast the measurements.

        Args:
            X: measurements `(times, dim)`, or several trajectories; with delays, consecutive times.
            steps: number of steps to forecast.

        Returns:
            Shape `(rows, steps, dim)`: 1 to `steps` steps after each row (after its last time, with delays).
        """
        start = self._functions(self._states(X))[:, : self.kept_]
        return forecast(KoopmanModes(self.eigenvalues_[: self.kept_], self.modes_), start, np.arange(1, steps + 1))

    def certificates(self, z: Num[np.ndarray, " points"] | None = None) -> "xr.Dataset":
        """How far each eigenvalue, or point of the plane, can be trusted.

        Args:
            z: points of the complex plane; the eigenvalues themselves by default.

        Returns:
            For eigenvalues, their residual on held-out data. For points, `tau` on the fitted data and `residual`, that
            of the minimising function on held-out data: with many held-out snapshots, an upper bound of the distance to
            an approximate eigenfunction which the fit cannot flatter.
        """
        import xarray as xr

        if z is None:
            self._states(np.zeros((1, self.n_features_in_ * self.delays)))
            points, data = self.eigenvalues_, {"residual": ("pair", self.residuals_, _RESIDUAL)}
            dim = "pair"
        else:
            dim, points = "point", np.ravel(np.asarray(z, complex))
            found = pseudo_eigenfunctions(*self._train, points, self._ones(self._train), tolerance=self.tolerance)
            data = {
                "tau": (dim, found.tau, {"units": "1", "long_name": "smallest residual on the fitted snapshots"}),
                "residual": (dim, self._held_out_residual(points, found.vectors), _RESIDUAL),
            }
        coords = {"real": (dim, np.real(points)), "imaginary": (dim, np.imag(points))}
        return xr.Dataset(data, coords=coords)

    def verified_spectrum(self, z: Num[np.ndarray, " points"], *, isometric: bool = False) -> VerifiedSpectrum:
        """Points of a grid that held-out data certify to lie near the spectrum.

        Args:
            z: candidates.
            isometric: the system is known to preserve the measure of the snapshots.

        Returns:
            Points and their certificate.
        """
        z = np.ravel(np.asarray(z, complex))
        return verified_spectrum(z, self.certificates(z)["residual"].values, isometric=isometric)


_RESIDUAL = {"units": "1", "long_name": "relative residual on held-out snapshots"}
